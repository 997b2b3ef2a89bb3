//! A header block, field by field (RFC 5322 §2.2), read leniently.

use encoding_rs::Encoding;

use super::limits::{MAX_FIELD_BYTES, MAX_FIELDS, MAX_HEADER_BYTES, MAX_STRAY_LINES};
use super::param::Params;
use super::{charset, encoded_word};

/// Fields that a line which is no field is passed over for: other words before a colon may be a body's.
const KNOWN_FIELDS: [&str; 22] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "received",
    "return-path",
    "delivered-to",
    "mime-version",
    "precedence",
    "importance",
    "user-agent",
    "comments",
    "keywords",
    "auto-submitted",
    "envelope-to",
];

/// How the names of other fields begin.
const KNOWN_PREFIXES: [&str; 9] =
    ["x-", "content-", "list-", "resent-", "arc-", "dkim-", "authentication-", "received-", "thread-"];

/// A header field as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// As written.
    pub(super) name: &'a str,
    /// What follows the colon, folds included, up to [`MAX_FIELD_BYTES`].
    raw: &'a [u8],
    /// The charset of raw 8-bit text that is not UTF-8, where it is known.
    charset: Option<&'static Encoding>,
}

impl Field<'_> {
    /// Whether this is the field called `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value on one line (RFC 5322 §2.2.3), encoded words as they are. Raw 8-bit text is UTF-8 (RFC 6532) if it
    /// can be, else in the charset of the body, else what detection says of the whole header.
    pub(super) fn unfolded(&self) -> String {
        let text = charset::guess(self.raw, self.charset);
        charset::clean_line(&text.replace("\r\n", "").replace('\n', ""))
    }

    /// The value as it is read: unfolded, encoded words decoded, no control characters.
    pub(super) fn decoded(&self) -> String {
        charset::clean_line(&encoded_word::decode(&self.unfolded()))
    }
}

/// A header block.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub(super) fields: Vec<Field<'a>>,
    /// Where the body begins.
    pub(super) body: usize,
    /// Whether fields were left out or cut.
    pub(super) cut: bool,
    /// The boundary of the first `Content-Type`.
    boundary: Option<String>,
}

/// A field whose end is not found yet.
struct Open<'a> {
    name: &'a str,
    from: usize,
    to: usize,
}

impl Open<'_> {
    /// Whether a line without white space before it goes on with this field, as some programs write it: a parameter
    /// after a semicolon, an address after a comma, an id after an id, an encoded word after another.
    fn continues(&self, data: &[u8], line: &[u8]) -> bool {
        let so_far = data.get(self.from..self.to).unwrap_or_default().trim_ascii_end();
        let is = |names: &[&str]| names.iter().any(|name| self.name.eq_ignore_ascii_case(name));
        if is(&["Content-Type", "Content-Disposition"]) {
            let name = line.iter().position(|byte| *byte == b'=').and_then(|at| line.get(..at));
            let named = name.is_some_and(|name| {
                !name.is_empty()
                    && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"*-".contains(byte))
            });
            return so_far.ends_with(b";") && named;
        }
        if is(&["To", "Cc", "Bcc", "From", "Reply-To"]) {
            let spaced = line.iter().position(|byte| *byte == b':').is_none();
            return so_far.ends_with(b",") && line.contains(&b'@') && spaced;
        }
        if is(&["References", "In-Reply-To", "Message-ID"]) {
            return line.starts_with(b"<") && line.trim_ascii_end().ends_with(b">");
        }
        so_far.ends_with(b"?=") && line.starts_with(b"=?")
    }
}

/// Where a known field begins behind some lines that are none, if one does before the header ends.
fn known_field_after(data: &[u8], mut at: usize, ends: impl Fn(&[u8]) -> bool) -> Option<usize> {
    for _ in 0..MAX_STRAY_LINES {
        let (line, next) = line_at(data, at).filter(|(line, _)| !line.is_empty() && !ends(line))?;
        if name_of(line).is_some_and(|(name, _)| is_known(name)) {
            return Some(at);
        }
        at = next;
    }
    None
}

fn is_known(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    KNOWN_FIELDS.contains(&name.as_str()) || KNOWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

impl<'a> Block<'a> {
    /// Reads the block at `start` of `data`, up to the line that `ends` it, the empty line, or the end.
    ///
    /// Also ended by a boundary that it has just declared. A line that is no field continues a field that is not
    /// finished, or is passed over if a known field follows before the empty line; else it is the first line of the
    /// body: a message that lacks the empty line keeps its text.
    pub(super) fn read(data: &'a [u8], start: usize, ends: impl Fn(&[u8]) -> bool) -> Self {
        let mut block = Self { body: data.len(), ..Self::default() };
        let mut open: Option<Open<'a>> = None;
        let mut at = start;
        while let Some((line, next)) = line_at(data, at) {
            if line.is_empty() || ends(line) {
                block.body = if line.is_empty() { next } else { at };
                break;
            }
            let folded = line.starts_with(b" ") || line.starts_with(b"\t");
            if folded || open.as_ref().is_some_and(|open| open.continues(data, line)) {
                open = open.map(|open| Open { to: next, ..open });
            } else if let Some((name, length)) = name_of(line) {
                block.push(data, open.replace(Open { name, from: at + length, to: next }));
            } else {
                if line.starts_with(b"--") {
                    block.push(data, open.take());
                    if block.declares(line) {
                        block.body = at;
                        break;
                    }
                }
                let Some(field) = known_field_after(data, next, &ends) else {
                    block.body = at;
                    break;
                };
                at = field;
                continue;
            }
            at = next;
        }
        block.push(data, open);
        block.settle(None, Vec::new);
        block
    }

    fn push(&mut self, data: &'a [u8], field: Option<Open<'a>>) {
        let Some(Open { name, from, to }) = field else { return };
        if self.fields.len() == MAX_FIELDS {
            self.cut = true;
            return;
        }
        self.cut |= to - from > MAX_FIELD_BYTES;
        let raw = data.get(from..to.min(from + MAX_FIELD_BYTES)).unwrap_or_default();
        let field = Field { name, raw, charset: None };
        if self.boundary.is_none() && field.is("Content-Type") {
            self.boundary = Params::parse(&field.unfolded()).exact("boundary");
        }
        self.fields.push(field);
    }

    /// Whether `line` is the boundary of the multipart that this header begins.
    fn declares(&self, line: &[u8]) -> bool {
        let text = line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end);
        self.boundary.as_ref().is_some_and(|boundary| text == Some(boundary.as_bytes()))
    }

    /// Settles the charset of raw 8-bit text: that of the body, by its own `Content-Type` or by `body` where the
    /// parts name it, else what detection says of all fields together, and then with a `sample` of the body.
    pub(super) fn settle(&mut self, body: Option<&str>, sample: impl FnOnce() -> Vec<u8>) {
        let is_raw = |field: &&Field<'_>| !field.raw.is_ascii();
        if !self.fields.iter().any(|field| is_raw(&field)) {
            return;
        }
        let own = self.first("Content-Type").and_then(|value| Params::parse(&value).text("charset"));
        let named = own.as_deref().and_then(charset::named).or_else(|| body.and_then(charset::named));
        let charset = named.or_else(|| {
            let raw: Vec<&[u8]> = self.fields.iter().filter(is_raw).map(|field| field.raw).collect();
            let raw = raw.concat();
            charset::detect(&raw).or_else(|| {
                let sample = Some(sample()).filter(|sample| std::str::from_utf8(sample).is_err())?;
                charset::detect(&[raw, sample].concat())
            })
        });
        self.fields.iter_mut().for_each(|field| field.charset = charset);
    }

    /// The fields called `name`, in order.
    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// The unfolded value of the first field called `name`.
    pub(super) fn first(&self, name: &str) -> Option<String> {
        self.all(name).next().map(Field::unfolded)
    }

    /// All fields decoded, and whether some were left out to stay below [`MAX_HEADER_BYTES`].
    pub(super) fn listed(&self) -> (Vec<(String, String)>, bool) {
        let mut left = MAX_HEADER_BYTES;
        let mut listed = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let value = field.decoded();
            let Some(rest) = left.checked_sub(field.name.len() + value.len()) else {
                return (listed, true);
            };
            left = rest;
            listed.push((field.name.to_owned(), value));
        }
        (listed, self.cut)
    }
}

/// Where the header block begins: behind a byte order mark, empty lines and the envelope line of an mbox file, which some
/// servers and import tools leave there.
pub(super) fn beginning(raw: &[u8]) -> usize {
    let mut at = if raw.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while let Some((line, next)) = line_at(raw, at) {
        if name_of(line).is_some() {
            return at;
        }
        if !(line.is_empty() || line.starts_with(b"From ") || line.starts_with(b">From ")) {
            // Empty lines before what is no header are the end of an empty one.
            return 0;
        }
        at = next;
    }
    0
}

/// The line at `at` without its line break (CRLF, or a bare LF), and where the next begins; `None` at the end.
pub(super) fn line_at(data: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = data.get(at..).filter(|rest| !rest.is_empty())?;
    let (line, length) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
        None => (rest, rest.len()),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + length))
}

/// The field name that `line` starts with, and the bytes up to the colon, that included. Spaces before the colon are
/// obsolete syntax (RFC 5322 §4.5).
pub(super) fn name_of(line: &[u8]) -> Option<(&str, usize)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    let sound =
        !name.is_empty() && !name.starts_with(b"=?") && name.iter().all(|byte| (33..=126).contains(byte));
    if !sound {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, colon + 1))
}
