//! A message's parts (RFC 2046 §5.1), found in one pass over its lines.
//!
//! mail-parser's own `MessageParser` is not used: a message that is a few megabytes of nested `message/rfc822` makes it
//! overflow the stack when it is freed, which ends the process (measured with 0.11.9: 100,000 levels, 3 MB); multiparts
//! without their boundary cost it a scan to the end each (10,000 in 490 kB: 2.2 s); and a million tiny parts take
//! 168 MiB. Here enclosed messages stay closed, each line is looked at once, and parts, depth and lines are bounded.

use super::header::{Block, line_at};
use super::limits::{MAX_BOUNDARY_BYTES, MAX_DEPTH, MAX_PARTS};
use super::param::Params;
use super::transfer::{Decoded, Transfer};

/// How much of a text is looked at to tell its charset.
const MAX_SAMPLE_BYTES: usize = 4 * 1024;

/// What a part's header says.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// `Content-Type`; its value is sound.
    pub(super) kind: Params,
    /// `Content-Disposition`, where there is one.
    pub(super) disposition: Option<Params>,
    pub(super) transfer: Transfer,
    /// Without angle brackets.
    pub(super) content_id: Option<String>,
}

impl Head {
    /// Reads the fields that matter. `default` is the type of a part that names none (RFC 2046 §5.1.5).
    pub(super) fn read(block: &Block<'_>, default: &str) -> Self {
        let params = |name| block.first(name).map(|value| Params::parse(&value));
        let disposition = params("Content-Disposition").and_then(Params::or_attachment);
        let mut kind = params("Content-Type")
            .filter(|kind| !kind.value.is_empty())
            .unwrap_or_else(|| Params::parse(default));
        if kind.media_type().is_none() {
            // `text`, or nothing that can be read: RFC 2045 §5.2 wants text/plain, unless it is meant as a file.
            let file = kind.value != "text" && (disposition.is_some() || kind.raw("name").is_some());
            (if file { "application/octet-stream" } else { "text/plain" }).clone_into(&mut kind.value);
        }
        let content_id = block.first("Content-ID").map(|id| id_of(&id));
        Self {
            kind,
            disposition,
            transfer: block
                .first("Content-Transfer-Encoding")
                .map_or(Transfer::Identity, |v| Transfer::parse(&v)),
            content_id: content_id.filter(|id| !id.is_empty()),
        }
    }

    /// `type/subtype`, lower case.
    pub(super) fn media_type(&self) -> &str {
        &self.kind.value
    }

    /// The boundary, if this is a multipart that has one.
    fn boundary(&self) -> Option<String> {
        if !self.is_multipart() {
            return None;
        }
        let boundary = self.kind.exact("boundary")?.trim_end().to_owned();
        (!boundary.is_empty() && boundary.len() <= MAX_BOUNDARY_BYTES).then_some(boundary)
    }

    fn is_multipart(&self) -> bool {
        self.media_type().starts_with("multipart/")
    }
}

/// A part that is no multipart.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    pub(super) head: Head,
    /// As it came: still encoded.
    pub(super) body: &'a [u8],
    /// The multipart around it, among [`Tree::groups`]; none for a message of one part.
    pub(super) group: Option<usize>,
    /// Whether it is the first of its multipart.
    pub(super) first: bool,
}

/// A multipart, as its parts see it.
#[derive(Debug)]
pub(super) struct Group {
    /// `multipart/…`.
    pub(super) media_type: String,
    /// The Content-ID of the root of a `multipart/related` (RFC 2387 §3.2).
    pub(super) start: Option<String>,
    /// Whether one of its parts is a multipart.
    pub(super) nests: bool,
}

impl<'a> Leaf<'a> {
    /// The part's bytes.
    pub(super) fn decoded(&self) -> Decoded<'a> {
        self.head.transfer.decode(self.body)
    }
}

/// All parts of a message.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    pub(super) leaves: Vec<Leaf<'a>>,
    pub(super) groups: Vec<Group>,
    /// Whether a limit left something out.
    pub(super) cut: bool,
    /// Whether a multipart has no boundary, never begins, or does not end.
    pub(super) broken: bool,
}

/// A multipart that has begun and not ended.
struct Open {
    head: Head,
    boundary: String,
    /// Where its body begins.
    body: usize,
    children: usize,
    /// Among [`Tree::groups`].
    group: usize,
}

/// A part whose end is not found yet.
struct Pending {
    head: Head,
    body: usize,
    place: Place,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    group: Option<usize>,
    first: bool,
}

/// The whole message, or a multipart that turned out to be a text.
const ALONE: Place = Place { group: None, first: true };

impl<'a> Tree<'a> {
    /// Finds the parts of the message with this `head`, whose body begins at `body`.
    pub(super) fn read(raw: &'a [u8], head: Head, body: usize) -> Self {
        let multipart = head.is_multipart();
        let boundary = head.boundary();
        let tree = Walk::over(raw, head.clone(), boundary, body);
        // A message that lost its boundary, or has another than it says, still shows one.
        let lost = multipart && tree.broken && tree.leaves.len() == 1;
        match lost.then(|| apparent_boundary(raw.get(body..).unwrap_or_default())).flatten() {
            Some(boundary) => Self { broken: true, ..Walk::over(raw, head, Some(boundary), body) },
            None => tree,
        }
    }

    /// Puts the parts of another entity in the place of the first part.
    pub(super) fn replace_first(&mut self, inner: Tree<'a>) {
        let (from, count) = (self.groups.len(), self.leaves.len().min(1));
        let place = self.leaves.first().and_then(|leaf| leaf.group);
        self.groups.extend(inner.groups);
        let leaves = inner
            .leaves
            .into_iter()
            .map(|leaf| Leaf { group: leaf.group.map_or(place, |group| Some(from + group)), ..leaf });
        self.leaves.splice(..count, leaves);
        self.cut |= inner.cut;
        self.broken |= inner.broken;
    }

    /// The beginning of the first text, where it names no charset.
    pub(super) fn sample(&self) -> Vec<u8> {
        let text = self.leaves.iter().find(|leaf| leaf.head.media_type().starts_with("text/"));
        let unnamed = text.filter(|leaf| leaf.head.kind.text("charset").is_none());
        unnamed.map_or_else(Vec::new, |leaf| {
            let beginning = leaf.body.get(..MAX_SAMPLE_BYTES).unwrap_or(leaf.body);
            leaf.head.transfer.decode(beginning).bytes.into_owned()
        })
    }

    /// The charset that the first text names.
    pub(super) fn charset(&self) -> Option<String> {
        let text = self.leaves.iter().find(|leaf| leaf.head.media_type().starts_with("text/"));
        text.and_then(|leaf| leaf.head.kind.text("charset"))
    }
}

struct Walk<'a> {
    raw: &'a [u8],
    tree: Tree<'a>,
    open: Vec<Open>,
    pending: Option<Pending>,
    parts: usize,
}

impl<'a> Walk<'a> {
    fn over(raw: &'a [u8], head: Head, boundary: Option<String>, body: usize) -> Tree<'a> {
        let mut walk = Self { raw, tree: Tree::default(), open: Vec::new(), pending: None, parts: 0 };
        walk.enter(head, boundary, body, ALONE);
        walk.run(body);
        walk.tree
    }

    fn run(&mut self, body: usize) {
        let mut at = body;
        while !self.open.is_empty() {
            let Some((line, next)) = line_at(self.raw, at) else {
                // The last boundary is missing: cut off on its way, or never written.
                self.tree.broken = true;
                break;
            };
            let Some((depth, closes)) = delimiter(&self.open, line) else {
                at = next;
                continue;
            };
            self.leave(depth + 1, at);
            at = next;
            if closes {
                self.leave(depth, at);
            } else if self.parts == MAX_PARTS {
                self.tree.cut = true;
                self.open.clear();
                return;
            } else {
                at = self.part(next);
            }
        }
        self.leave(0, self.raw.len());
    }

    /// Begins the part whose header is at `at`; where its body begins.
    fn part(&mut self, at: usize) -> usize {
        let open = &self.open;
        let block = Block::read(self.raw, at, |line| delimiter(open, line).is_some());
        let Some(parent) = self.open.last_mut() else { return block.body };
        let digest = parent.head.media_type() == "multipart/digest";
        let default = if digest { "message/rfc822" } else { "text/plain" };
        let place = Place { group: Some(parent.group), first: parent.children == 0 };
        parent.children += 1;
        self.tree.cut |= block.cut;
        let head = Head::read(&block, default);
        let boundary = head.boundary();
        self.enter(head, boundary, block.body, place);
        block.body
    }

    fn enter(&mut self, head: Head, boundary: Option<String>, body: usize, place: Place) {
        self.parts += 1;
        match boundary {
            Some(boundary) if self.open.len() < MAX_DEPTH => {
                if let Some(group) = place.group.and_then(|group| self.tree.groups.get_mut(group)) {
                    group.nests = true;
                }
                let group = self.tree.groups.len();
                self.tree.groups.push(Group {
                    media_type: head.media_type().to_owned(),
                    start: head.kind.exact("start").map(|id| id_of(&id)).filter(|id| !id.is_empty()),
                    nests: false,
                });
                self.open.push(Open { head, boundary, body, children: 0, group });
            }
            Some(_) => {
                self.tree.cut = true;
                self.pending = Some(Pending { head, body, place });
            }
            None if head.is_multipart() => {
                self.tree.broken = true;
                self.pending = Some(Pending { head: shown(head), body, place });
            }
            None => self.pending = Some(Pending { head, body, place }),
        }
    }

    /// Ends the part that is being read, and all multiparts from `depth` on, before the boundary line at `end`.
    fn leave(&mut self, depth: usize, end: usize) {
        if let Some(Pending { head, body, place: Place { group, first } }) = self.pending.take() {
            let body = content(self.raw, body, end);
            self.tree.leaves.push(Leaf { head, body, group, first });
        }
        for open in self.open.drain(depth..) {
            if open.children == 0 {
                // A multipart in which its own boundary never comes: what is there is shown as it is.
                self.tree.broken = true;
                let body = content(self.raw, open.body, end);
                let Place { group, first } = ALONE;
                self.tree.leaves.push(Leaf { head: shown(open.head), body, group, first });
            }
        }
    }
}

/// The boundary that the first lines with two hyphens show, if a line closes it as well.
fn apparent_boundary(body: &[u8]) -> Option<String> {
    let mut shown: Option<&[u8]> = None;
    let mut at = 0;
    while let Some((line, next)) = line_at(body, at) {
        at = next;
        let Some(text) = line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end) else { continue };
        match shown {
            Some(boundary) if text.strip_suffix(b"--") == Some(boundary) => {
                return String::from_utf8(boundary.to_vec()).ok();
            }
            Some(_) => {}
            None => shown = (5..=MAX_BOUNDARY_BYTES).contains(&text.len()).then_some(text),
        }
    }
    None
}

/// A Content-ID without its angle brackets.
fn id_of(value: &str) -> String {
    value.replace(['<', '>'], "").trim().to_owned()
}

/// The head of a multipart that cannot be opened, as that of a text.
fn shown(head: Head) -> Head {
    let kind = Params::parse("text/plain");
    Head { kind, ..head }
}

/// The bytes from `body` to the line at `end`, less the line break that belongs to the boundary (RFC 2046 §5.1.1).
fn content(raw: &[u8], body: usize, end: usize) -> &[u8] {
    let bytes = raw.get(body..end).unwrap_or_default();
    if end == raw.len() {
        return bytes;
    }
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Which open multipart `line` delimits, innermost first, and whether it closes it. Only spaces may follow
/// (RFC 2046 §5.1.1): one boundary is often the beginning of another.
fn delimiter(open: &[Open], line: &[u8]) -> Option<(usize, bool)> {
    let text =
        line.strip_prefix(b"--").filter(|text| text.len() <= MAX_BOUNDARY_BYTES + 100)?.trim_ascii_end();
    let closing = text.strip_suffix(b"--");
    open.iter().enumerate().rev().find_map(|(depth, open)| {
        let boundary = open.boundary.as_bytes();
        if text == boundary {
            Some((depth, false))
        } else {
            (closing == Some(boundary)).then_some((depth, true))
        }
    })
}
