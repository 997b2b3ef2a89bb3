//! Which parts are the message's text, and which are attachments.

use super::attachment::{Part, written_name};
use super::flowed::{self, Space};
use super::limits::{MAX_BODY_BYTES, MAX_PARTS};
use super::multipart::{Group, Leaf, Tree};
use super::transfer::Decoded;
use super::uuencode::{File, Split};
use super::{charset, param, tnef, uuencode};

const RELATED: &str = "multipart/related";
const HTML: &str = "text/html";

/// The bodies and the other parts.
#[derive(Debug, Default)]
pub(super) struct Bodies<'a> {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    pub(super) parts: Vec<Part<'a>>,
    /// Whether a body was cut.
    pub(super) cut: bool,
    /// Whether a transfer encoding has bytes that do not belong there.
    pub(super) foreign: bool,
    /// Whether a body is in a charset that is not known.
    pub(super) unknown: bool,
    /// The text and the HTML of a `winmail.dat`, for a message that has no other.
    packed: (Option<String>, Option<String>),
}

/// What a part is to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Text,
    Html,
    Attachment,
}

impl<'a> Bodies<'a> {
    /// Sorts the parts of a message.
    pub(super) fn of(tree: &Tree<'a>) -> Self {
        let mut bodies = Self::default();
        for (leaf, group, role) in roles(tree) {
            match role {
                Role::Text => bodies.add_text(leaf),
                Role::Html => bodies.add_html(leaf),
                Role::Attachment => {
                    let (part, sound, cut) = Part::of(leaf, is_shown(leaf, group));
                    bodies.foreign |= !sound;
                    bodies.cut |= cut;
                    bodies.attach(part);
                }
            }
        }
        let is_blank = |body: &Option<String>| body.as_ref().is_none_or(|body| body.trim().is_empty());
        if is_blank(&bodies.text) && is_blank(&bodies.html) {
            bodies.text = bodies.packed.0.take().or(bodies.text);
            bodies.html = bodies.packed.1.take().or(bodies.html);
        }
        bodies
    }

    /// Adds a part, or what a `winmail.dat` has in it. What cannot be read to its end is kept as well.
    fn attach(&mut self, part: Part<'a>) {
        let most = MAX_PARTS.saturating_sub(self.parts.len());
        let packed = tnef::is_named(&part.content_type, part.filename.as_deref())
            .then(|| tnef::unpack(&part.bytes, most))
            .flatten();
        let Some(mut packed) = packed else {
            self.parts.push(part);
            return;
        };
        tnef::look_into(&mut packed.files);
        self.cut |= packed.cut;
        if self.packed == (None, None) {
            self.packed = (packed.text, packed.html);
        }
        self.parts.extend(packed.files.into_iter().map(|file| file.into_part()));
        if !packed.whole {
            self.parts.push(part);
        }
    }

    fn add_text(&mut self, leaf: &Leaf<'_>) {
        let text = match self.files(leaf) {
            Some(text) => self.read(leaf, &text, b"", |_| None),
            None => self.body(leaf, |_| None),
        };
        let is = |name, value: &str| {
            leaf.head.kind.raw(name).is_some_and(|named| named.eq_ignore_ascii_case(value))
        };
        let text = if is("format", "flowed") {
            flowed::unwrap(&text, if is("delsp", "yes") { Space::Deleted } else { Space::Kept })
        } else {
            text.as_str().into()
        };
        self.cut |= join(&mut self.text, &text);
    }

    fn add_html(&mut self, leaf: &Leaf<'_>) {
        let html = self.body(leaf, charset::of_html);
        self.cut |= join(&mut self.html, &html);
    }

    /// A body's text, in UTF-8, from the charset of its field or else the one that it names itself. Never more is
    /// decoded than a job could hold.
    fn body(&mut self, leaf: &Leaf<'_>, own_charset: fn(&[u8]) -> Option<String>) -> String {
        // No transfer encoding takes more than three bytes for one, but for line breaks.
        let encoded = leaf.body.get(..MAX_BODY_BYTES * 4).unwrap_or(leaf.body);
        self.cut |= encoded.len() < leaf.body.len();
        let Decoded { bytes, sound, rest } = leaf.head.transfer.decode_text(encoded);
        self.foreign |= !sound;
        self.read(leaf, &bytes, rest, own_charset)
    }

    /// The text of decoded bytes, and of what follows them.
    fn read(
        &mut self,
        leaf: &Leaf<'_>,
        bytes: &[u8],
        rest: &[u8],
        own_charset: fn(&[u8]) -> Option<String>,
    ) -> String {
        let named = leaf.head.kind.text("charset").or_else(|| own_charset(bytes));
        let mut decoded = charset::decode(bytes, named.as_deref());
        if !rest.is_empty() {
            // A list's footer is text as well, in a charset that nothing names.
            decoded.text.push('\n');
            decoded.text.push_str(&charset::guess(rest, None));
        }
        self.unknown |= !decoded.known;
        charset::clean_body(&decoded.text)
    }

    /// Takes the files out of a text that holds some, and returns the rest, in its charset.
    fn files(&mut self, leaf: &Leaf<'_>) -> Option<Vec<u8>> {
        if !uuencode::may_hold_files(leaf.body) {
            return None;
        }
        let Decoded { bytes, sound, .. } = leaf.head.transfer.decode_text(leaf.body);
        let Split { mut text, files } = uuencode::split(&bytes, MAX_PARTS);
        if files.is_empty() {
            return None;
        }
        self.foreign |= !sound;
        self.cut |= text.len() > MAX_BODY_BYTES * 4;
        text.truncate(MAX_BODY_BYTES * 4);
        self.parts.extend(files.into_iter().map(|File { name, bytes }| Part {
            filename: param::filename(&charset::guess(&name, None)),
            content_type: "application/octet-stream".to_owned(),
            bytes: bytes.into(),
            ..Part::default()
        }));
        Some(text)
    }
}

/// The parts of a message that are not its bodies, and whether each is meant to be shown in them.
pub(super) fn attached<'t, 'a>(tree: &'t Tree<'a>) -> impl Iterator<Item = (&'t Leaf<'a>, bool)> {
    let attached = roles(tree).filter(|(_, _, role)| *role == Role::Attachment);
    attached.map(|(leaf, group, _)| (leaf, is_shown(leaf, group)))
}

/// What each part is to the reader.
fn roles<'t, 'a>(tree: &'t Tree<'a>) -> impl Iterator<Item = (&'t Leaf<'a>, Option<&'t Group>, Role)> {
    let roots = roots(tree);
    tree.leaves.iter().enumerate().map(move |(n, leaf)| {
        let group = leaf.group.and_then(|group| tree.groups.get(group));
        (leaf, group, role(leaf, group, roots.contains(&n)))
    })
}

/// The leaves that are the root of their `multipart/related` (RFC 2387 §3.2): the one that `start` names; without it the
/// first part, and where that is not HTML, the first HTML that is not a file: programs write the images first.
fn roots(tree: &Tree<'_>) -> Vec<usize> {
    let mut roots = Vec::new();
    for (n, group) in tree.groups.iter().enumerate().filter(|(_, group)| group.media_type == RELATED) {
        let mut leaves = tree.leaves.iter().enumerate().filter(|(_, leaf)| leaf.group == Some(n));
        let started = group
            .start
            .as_ref()
            .and_then(|start| leaves.clone().find(|(_, leaf)| leaf.head.content_id.as_ref() == Some(start)));
        if let Some((leaf, _)) = started {
            roots.push(leaf);
            continue;
        }
        let first = leaves.clone().find(|(_, leaf)| leaf.first);
        roots.extend(first.map(|(leaf, _)| leaf));
        if !group.nests && first.is_none_or(|(_, leaf)| leaf.head.media_type() != HTML) {
            let html =
                leaves.find(|(_, leaf)| leaf.head.media_type() == HTML && written_name(leaf).is_none());
            roots.extend(html.map(|(leaf, _)| leaf));
        }
    }
    roots
}

/// Adds a part's text to what is there, on a new line; an empty part adds nothing. Whether something was cut.
fn join(all: &mut Option<String>, text: &str) -> bool {
    match all {
        Some(all) if text.trim().is_empty() || all.trim().is_empty() => {
            if all.trim().is_empty() {
                text.clone_into(all);
            }
        }
        Some(all) => {
            if !all.ends_with('\n') {
                all.push('\n');
            }
            all.push_str(text);
        }
        None => *all = Some(text.to_owned()),
    }
    all.as_mut().is_some_and(|all| charset::cut(all, MAX_BODY_BYTES))
}

/// The rule of JMAP (RFC 8621 §4.1.4): text that is not an attachment by its disposition, and has no filename unless
/// it is the first of its multipart, or one of several forms of the same body (RFC 2046 §5.1.4).
///
/// Unlike JMAP's, a text stands only for itself: HTML is never shown as text, nor text as HTML.
fn role(leaf: &Leaf<'_>, group: Option<&Group>, is_root: bool) -> Role {
    let role = match leaf.head.media_type() {
        "text/plain" => Role::Text,
        HTML => Role::Html,
        // A text in a markup of its own is better read than not (RFC 2046 §4.1.4), where it is all there is.
        "text/enriched" | "text/richtext" | "text/markdown" if leaf.first && group.is_none() => Role::Text,
        _ => Role::Attachment,
    };
    let attached = leaf.head.disposition.as_ref().is_some_and(|disposition| disposition.value != "inline");
    let named = written_name(leaf).is_some();
    let body = match group.map(|group| group.media_type.as_str()) {
        Some(RELATED) => is_root,
        Some("multipart/alternative") => true,
        Some(_) | None => leaf.first || !named,
    };
    if body && !attached { role } else { Role::Attachment }
}

/// Whether the part is meant to be shown in the body: it says so, or it says nothing and is the companion of an HTML
/// body (RFC 2387) or another form of it (RFC 2046 §5.1.4).
fn is_shown(leaf: &Leaf<'_>, group: Option<&Group>) -> bool {
    match &leaf.head.disposition {
        Some(disposition) => disposition.value == "inline",
        None => {
            group.is_some_and(|group| [RELATED, "multipart/alternative"].contains(&group.media_type.as_str()))
        }
    }
}
