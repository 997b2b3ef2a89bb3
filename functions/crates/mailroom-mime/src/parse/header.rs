//! A header block, field by field (RFC 5322 §2.2), read leniently.

use super::limits::{MAX_FIELD_BYTES, MAX_FIELDS, MAX_HEADER_BYTES};
use super::{charset, encoded_word};

/// A header field as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// As written.
    pub(super) name: &'a str,
    /// What follows the colon, folds included, up to [`MAX_FIELD_BYTES`].
    raw: &'a [u8],
}

impl Field<'_> {
    /// Whether this is the field called `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value on one line (RFC 5322 §2.2.3), encoded words as they are. Raw 8-bit text is UTF-8 (RFC 6532) if it
    /// is valid UTF-8, else windows-1252, which is what those mean who write no charset.
    pub(super) fn unfolded(&self) -> String {
        let text = charset::guess(self.raw);
        charset::clean_line(&text.replace("\r\n", "").replace('\n', ""))
    }

    /// The value for people: unfolded, encoded words decoded, no control characters.
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
}

impl<'a> Block<'a> {
    /// Reads the block at `start` of `data`, up to the line that `ends` it, the empty line, or the end.
    ///
    /// A line that is no field is passed over if a field follows it, and is the first line of the body otherwise: a
    /// mail that lacks the empty line keeps its text.
    pub(super) fn read(data: &'a [u8], start: usize, ends: impl Fn(&[u8]) -> bool) -> Self {
        let mut block = Self { body: data.len(), ..Self::default() };
        let mut open: Option<(&'a str, usize, usize)> = None;
        let mut at = start;
        while let Some((line, next)) = line_at(data, at) {
            if line.is_empty() || ends(line) {
                block.body = if line.is_empty() { next } else { at };
                break;
            }
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                open = open.map(|(name, from, _)| (name, from, next));
            } else if let Some((name, length)) = name_of(line) {
                block.push(data, open.replace((name, at + length, next)));
            } else if line_at(data, next).is_none_or(|(after, _)| name_of(after).is_none()) {
                block.body = at;
                break;
            }
            at = next;
        }
        block.push(data, open);
        block
    }

    fn push(&mut self, data: &'a [u8], field: Option<(&'a str, usize, usize)>) {
        let Some((name, from, to)) = field else { return };
        if self.fields.len() == MAX_FIELDS {
            self.cut = true;
            return;
        }
        self.cut |= to - from > MAX_FIELD_BYTES;
        let raw = data.get(from..to.min(from + MAX_FIELD_BYTES)).unwrap_or_default();
        self.fields.push(Field { name, raw });
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
    let sound = !name.is_empty() && name.iter().all(|byte| (33..=126).contains(byte));
    if !sound {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, colon + 1))
}
