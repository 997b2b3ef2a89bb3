//! Content transfer encodings (RFC 2045 §6), read leniently: what is broken is passed over, never refused.

use std::borrow::Cow;

/// How a part's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// `7bit`, `8bit`, `binary`, or a name that nobody knows: as they are.
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

    /// The bytes, and whether all of `encoded` made sense.
    pub(super) fn decode(self, encoded: &[u8]) -> (Cow<'_, [u8]>, bool) {
        match self {
            Self::Identity => (Cow::Borrowed(encoded), true),
            Self::Base64 => own(base64(encoded)),
            Self::QuotedPrintable => own(quoted_printable(encoded)),
            Self::Uuencode => own(uuencode(encoded)),
        }
    }
}

fn own((bytes, sound): (Vec<u8>, bool)) -> (Cow<'static, [u8]>, bool) {
    (Cow::Owned(bytes), sound)
}

/// Base64 (RFC 2045 §6.8). Foreign characters are passed over, as it demands, until the padding has come: what
/// follows it may be a second run of base64, or a footer that a mailing list has appended, which ends the reading.
pub(super) fn base64(encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let (mut group, mut bits, mut sound, mut padded) = (0_u32, 0_u32, true, false);
    for &byte in encoded {
        let Some(value) = base64_value(byte) else {
            match byte {
                b'=' => {
                    padded = true;
                    (group, bits) = (0, 0);
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if padded => return (bytes, false),
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

const fn base64_value(byte: u8) -> Option<u32> {
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
fn uuencode(encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut lines = encoded.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    if !lines.by_ref().any(|line| line.starts_with(b"begin ")) {
        return (encoded.to_vec(), false);
    }
    let mut bytes = Vec::with_capacity(encoded.len() / 4 * 3);
    for line in lines {
        let Some((&length, data)) = line.split_first() else { continue };
        if line == b"end" {
            return (bytes, true);
        }
        let wanted = bytes.len() + usize::from(length.wrapping_sub(b' ') & 0x3f);
        for group in data.chunks(4) {
            let value = (0..4).fold(0_u32, |value, at| {
                let byte = group.get(at).copied().unwrap_or(b' ');
                value << 6 | u32::from(byte.wrapping_sub(b' ') & 0x3f)
            });
            bytes.extend([low_byte(value >> 16), low_byte(value >> 8), low_byte(value)]);
        }
        bytes.truncate(wanted);
    }
    (bytes, false)
}
