//! The parts that responses and commands share: the text of a response with its literals taken out, its status, and
//! the tag that joins a command to its answer (RFC 9051 §2.2, §4.3, §7.1).

use super::error::Refusal;

/// The tag of a command: `M` and this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u32);

/// Stands for a literal in the text of a response: no text may hold it (RFC 9051 §9, `CHAR`).
pub(super) const LITERAL: u8 = 0;

/// A response before it is parsed.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// The text, with [`LITERAL`] in place of each literal.
    pub(super) text: Vec<u8>,
    /// The literals, in order.
    pub(super) literals: Vec<Vec<u8>>,
}

impl Frame {
    /// The literal whose length ends the last line of the text, which begins at `line_start`: the position of its `{`,
    /// and its length, which saturates at `u64::MAX`.
    pub(super) fn trailing_literal(&self, line_start: usize) -> Option<(usize, u64)> {
        if self.is_human_text() {
            return None;
        }
        let line = self.text.get(line_start..)?;
        let brace = line.iter().rposition(|byte| *byte == b'{')?;
        let inner = line.get(brace + 1..)?.strip_suffix(b"}")?;
        // Servers do not send LITERAL+ (RFC 7888); one that does means what it says.
        let digits = inner.strip_suffix(b"+").unwrap_or(inner);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
        // `~{n}` is a literal of bytes (RFC 3516 §4.4).
        let tilde = line.get(..brace).is_some_and(|before| before.last() == Some(&b'~'));
        Some((line_start + brace - usize::from(tilde), length))
    }

    /// Whether the text ends in human-readable text, where `{n}` does not begin a literal.
    fn is_human_text(&self) -> bool {
        let mut words = self.text.splitn(3, |byte| *byte == b' ');
        let first = words.next().unwrap_or_default();
        first == b"+" || words.next().is_some_and(|word| Status::parse(word).is_some())
    }
}

/// The status of a response (RFC 9051 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

impl Status {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        let known = [
            ("OK", Self::Ok),
            ("NO", Self::No),
            ("BAD", Self::Bad),
            ("BYE", Self::Bye),
            ("PREAUTH", Self::Preauth),
        ];
        known.iter().find(|(known, _)| word.eq_ignore_ascii_case(known.as_bytes())).map(|(_, status)| *status)
    }

    pub(super) const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Ok | Self::Preauth => None,
            Self::No => Some(Refusal::No),
            Self::Bad => Some(Refusal::Bad),
            Self::Bye => Some(Refusal::Bye),
        }
    }
}
