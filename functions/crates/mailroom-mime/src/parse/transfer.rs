//! Content transfer encodings (RFC 2045 §6), read leniently: what is broken is passed over, never refused.

use std::borrow::Cow;

use super::uuencode;

/// How a part's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// `7bit`, `8bit`, `binary`, or an unknown name: as they are.
    Identity,
    /// RFC 2045 §6.8.
    Base64,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// `x-uuencode`: before MIME, and still met.
    Uuencode,
}

impl Transfer {
    /// From the value of a `Content-Transfer-Encoding` field.
    pub(super) fn parse(value: &str) -> Self {
        let name = value.split([';', ' ', '\t', '(']).find(|token| !token.is_empty()).unwrap_or_default();
        match name.trim_matches('"').to_ascii_lowercase().as_str() {
            "base64" => Self::Base64,
            "quoted-printable" => Self::QuotedPrintable,
            "x-uuencode" | "uuencode" | "x-uue" | "uue" => Self::Uuencode,
            _ => Self::Identity,
        }
    }

    /// The bytes of a part that is not text.
    pub(super) fn decode(self, encoded: &[u8]) -> Decoded<'_> {
        match self {
            Self::Identity => Decoded::as_is(encoded),
            Self::Base64 => {
                let (bytes, sound, rest) = base64_until_text(encoded);
                Decoded { bytes: Cow::Owned(bytes), sound: sound && rest.is_empty(), rest }
            }
            Self::QuotedPrintable => own(quoted_printable(encoded)),
            Self::Uuencode => own(uuencoded(encoded)),
        }
    }

    /// The bytes of a text, which may be called base64 without being that.
    pub(super) fn decode_text(self, encoded: &[u8]) -> Decoded<'_> {
        if self == Self::Base64 && is_plain_text(encoded) {
            return Decoded { sound: false, ..Decoded::as_is(encoded) };
        }
        self.decode(encoded)
    }
}

/// What a transfer encoding gives.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Whether all of the input made sense.
    pub(super) sound: bool,
    /// What follows the encoded text, as it is: a footer that a mailing list has appended.
    pub(super) rest: &'a [u8],
}

impl<'a> Decoded<'a> {
    fn as_is(bytes: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), sound: true, rest: &[] }
    }
}

fn own((bytes, sound): (Vec<u8>, bool)) -> Decoded<'static> {
    Decoded { bytes: Cow::Owned(bytes), sound, rest: &[] }
}

/// Base64 (RFC 2045 §6.8) up to plain text, which is returned. Text is a line that is not base64 behind padding, an
/// empty line, or a line shorter than the first; foreign characters elsewhere are passed over, as the RFC demands.
fn base64_until_text(encoded: &[u8]) -> (Vec<u8>, bool, &[u8]) {
    if let Some(bytes) = base64_alone(encoded) {
        return (bytes, true, &[]);
    }
    let (mut at, mut width) = (0, 0);
    // The line before: an empty one, or one that may be the last.
    let mut last: Option<&[u8]> = None;
    for line in encoded.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        let ended = last.filter(|_| !text.is_empty() && !is_base64_line(text));
        if ended.is_some_and(|last| last.is_empty() || last.ends_with(b"=") || is_base64_line(last)) {
            let (bytes, sound) = base64(encoded.get(..at).unwrap_or_default());
            return (bytes, sound, encoded.get(at..).unwrap_or_default());
        }
        let may_end = text.is_empty() || text.ends_with(b"=") || text.len() < width;
        last = (width > 0 || !text.is_empty()).then_some(text).filter(|_| may_end);
        width = width.max(text.len());
        at += line.len();
    }
    let (bytes, sound) = base64(encoded);
    (bytes, sound, &[])
}

/// Whether `line` can be one of base64: groups of four of its characters, more than one of them.
fn is_base64_line(line: &[u8]) -> bool {
    let data = line.strip_suffix(b"==").or_else(|| line.strip_suffix(b"=")).unwrap_or(line);
    let varied = data.first().is_some_and(|first| data.iter().any(|byte| byte != first)) || data.len() <= 4;
    let known = data.iter().all(|byte| base64_value(*byte).is_some() || *byte == b'=');
    let ruled = data.starts_with(b"--") || data.starts_with(b"__");
    known && varied && !ruled && line.len().is_multiple_of(4)
}

/// Whether a text that is called base64 is none: its first line has other characters or an odd length, and decodes to
/// control characters.
fn is_plain_text(encoded: &[u8]) -> bool {
    let line = encoded.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    let Some(line) = line else { return false };
    let line = line.get(..1000).unwrap_or(line);
    let spaces = line.iter().filter(|byte| **byte == b' ').count();
    let known = line.iter().filter(|byte| base64_value(**byte).is_some() || **byte == b'=').count();
    let foreign = line.len() - known - spaces;
    let sound = foreign == 0 && spaces == 0 && line.len().is_multiple_of(4);
    // Words and punctuation: no base64 has a foreign character in ten.
    let prose = foreign * 10 > line.len() && spaces > 0;
    let control = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n\x1b".contains(byte);
    !sound && (prose || base64(line).0.iter().any(control))
}

/// Base64 (RFC 2045 §6.8). Foreign characters are passed over; padding ends a run, and another may follow.
pub(super) fn base64(encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let (mut group, mut bits, mut sound) = (0_u32, 0_u32, true);
    for &byte in encoded {
        let Some(value) = base64_value(byte) else {
            match byte {
                b'=' => (group, bits) = (0, 0),
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => sound = false,
            }
            continue;
        };
        group = (group << 6) | value;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(low_byte(group >> bits));
        }
    }
    (bytes, sound)
}

/// Base64 that holds nothing else and is padded at its end only, as nearly all is: in one pass.
fn base64_alone(encoded: &[u8]) -> Option<Vec<u8>> {
    let end = encoded.trim_ascii_end();
    let data = end.strip_suffix(b"==").or_else(|| end.strip_suffix(b"=")).unwrap_or(end);
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3 + 3);
    let (mut group, mut bits) = (0_u32, 0_u32);
    for &byte in data {
        match base64_value(byte) {
            Some(value) if byte != b'-' => {
                group = (group << 6) | value;
                bits += 6;
                if bits >= 8 {
                    bits -= 8;
                    bytes.push(low_byte(group >> bits));
                }
            }
            None if matches!(byte, b'\r' | b'\n') => {}
            Some(_) | None => return None,
        }
    }
    Some(bytes)
}

/// The six bits that a character stands for, `-` as in base64url included.
pub(super) const fn base64_value(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value as u32)
}

/// The lowest eight bits.
const fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

/// Quoted-printable (RFC 2045 §6.7): a `=` that starts nothing stands for itself.
fn quoted_printable(encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut sound = true;
    for line in encoded.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        let ends = if line.ends_with(b"\r\n") {
            &b"\r\n"[..]
        } else if line.ends_with(b"\n") {
            &b"\n"[..]
        } else {
            &b""[..]
        };
        let (text, ends) = match text.strip_suffix(b"=") {
            Some(text) => (text, &b""[..]),
            None => (text, ends),
        };
        let mut rest = text;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte != b'=' {
                bytes.push(byte);
                continue;
            }
            if let Some((value, tail)) = hex_pair(tail) {
                bytes.push(value);
                rest = tail;
            } else {
                bytes.push(byte);
                sound = false;
            }
        }
        bytes.extend_from_slice(ends);
    }
    (bytes, sound)
}

/// The byte that two hexadecimal digits at the start of `text` name, and what follows them.
pub(super) fn hex_pair(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = text.split_first_chunk::<2>()?;
    Some((hex_digit(high)? << 4 | hex_digit(low)?, rest))
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The lines between `begin` and `end`; without a `begin`, the bytes as they are.
fn uuencoded(encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut lines = encoded.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    if !lines.by_ref().any(|line| line.starts_with(b"begin ")) {
        return (encoded.to_vec(), false);
    }
    let mut bytes = Vec::with_capacity(encoded.len() / 4 * 3);
    for line in lines {
        if line == b"end" {
            return (bytes, true);
        }
        uuencode::decode_line(line, &mut bytes);
    }
    (bytes, false)
}
