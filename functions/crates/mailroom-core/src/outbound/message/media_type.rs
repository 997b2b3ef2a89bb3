//! The media type of an attachment.

use crate::invalid::Invalid;

/// The most parameters of a media type, and the longest value of one.
const MAX_PARAMETERS: usize = 8;
const MAX_VALUE: usize = 200;

/// The longest media type with its parameters, in bytes.
const MAX_BYTES: usize = 1000;

/// What may stand around a semicolon.
const BLANK: [char; 2] = [' ', '\t'];

/// The media type of an attached message (RFC 2046 §5.2.1).
const ENCLOSED_MESSAGE: &str = "message/rfc822";

/// `type/subtype`, with parameters (RFC 2045 §5.1, RFC 6838 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    text: String,
    essence: usize,
}

impl MediaType {
    /// Reads a media type, such as `text/calendar; method=REQUEST`.
    ///
    /// # Errors
    /// When the text is not a media type, names one that cannot be attached as bytes (RFC 2046 §5), or has a parameter
    /// that is another field's.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fine = |part: &str| {
            (1..=64).contains(&part.len())
                && part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let (essence, rest) = match text.split_once(';') {
            Some((essence, rest)) => (essence.trim_end_matches(BLANK), Some(rest)),
            None => (text, None),
        };
        if text.len() > MAX_BYTES {
            return Err(Invalid::new("must have at most 1000 characters"));
        }
        let essence = essence.to_ascii_lowercase();
        let mut whole = match essence.split_once('/') {
            Some(_) if essence == ENCLOSED_MESSAGE => essence.clone(),
            Some(("multipart" | "message", _)) => {
                return Err(Invalid::new(
                    "must not be multipart, nor message but for message/rfc822: attach that as application/octet-stream",
                ));
            }
            Some((kind, subtype)) if fine(kind) && fine(subtype) => essence.clone(),
            Some(_) | None => return Err(Invalid::new("must be a media type such as application/pdf")),
        };
        for (name, value) in rest.map(parameters).transpose()?.unwrap_or_default() {
            whole.push_str(&format!(
                "; {name}={}",
                if is_token(&value) { value } else { format!("\"{value}\"") }
            ));
        }
        Ok(Self { text: whole, essence: essence.len() })
    }

    /// The media type with its parameters; all names are in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a message (RFC 2046 §5.2.1), which has to go out without an encoding.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.text.get(..self.essence) == Some(ENCLOSED_MESSAGE)
    }
}

/// The parameters after the first semicolon.
fn parameters(mut rest: &str) -> Result<Vec<(String, String)>, Invalid> {
    let wrong = || Invalid::new("must have parameters such as charset=utf-8 after the media type");
    let mut found: Vec<(String, String)> = Vec::new();
    rest = rest.trim_start_matches(BLANK);
    loop {
        let (name, after) = rest.split_once('=').ok_or_else(wrong)?;
        let name = name.to_ascii_lowercase();
        let value;
        (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
            None => {
                let (value, rest) = after.split_at(after.find(';').unwrap_or(after.len()));
                (value.trim_end_matches(BLANK), rest)
            }
        };
        rest = rest.trim_start_matches(BLANK);
        let next = rest.strip_prefix(';').map(|next| next.trim_start_matches(BLANK));
        if next.is_none() && !rest.is_empty() {
            return Err(wrong());
        }
        // A backslash would quote the next character (RFC 5322 §3.2.4); nobody needs one.
        let fine = (1..=MAX_VALUE).contains(&value.len())
            && value.bytes().all(|b| (b == b' ' || b.is_ascii_graphic()) && b != b'"' && b != b'\\')
            && (after.starts_with('"') || is_token(value));
        if !is_token(&name) || name.len() > 64 || !fine || found.iter().any(|(one, _)| *one == name) {
            return Err(wrong());
        }
        if matches!(name.trim_end_matches('*'), "name" | "boundary") {
            return Err(Invalid::new("must not have the parameters name (give filename) and boundary"));
        }
        found.push((name, value.to_owned()));
        if found.len() > MAX_PARAMETERS {
            return Err(Invalid::new("must have at most 8 parameters"));
        }
        match next {
            Some(next) => rest = next,
            None => return Ok(found),
        }
    }
}

/// A token of RFC 2045 §5.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_kept_in_one_spelling() {
        for (text, read) in [
            (
                "Text/Calendar; METHOD=REQUEST;charset=\"utf-8\"",
                "text/calendar; method=REQUEST; charset=utf-8",
            ),
            ("text/plain;format=flowed ; x=\"a b\"", "text/plain; format=flowed; x=\"a b\""),
            ("message/RFC822", "message/rfc822"),
        ] {
            let media_type = MediaType::parse(text).unwrap();
            assert_eq!(media_type.as_str(), read);
            assert_eq!(MediaType::parse(read).unwrap(), media_type);
            assert_eq!(media_type.is_message(), read.starts_with("message"));
        }
        for wrong in [
            "text/plain;",
            "text/plain; a",
            "text/plain; a=",
            "text/plain; =b",
            "text/plain; a=b c",
            "text/plain; a=\"b",
            "text/plain; a=\"b\\\"\"",
            "text/plain; a=b\r\nBcc: x",
            "text/plain; a=\"b\r\nBcc: x\"",
            "text/plain; a=1; A=2",
            "text/plain; a=\"b\"c",
            "text/plain; name=x",
            "text/plain; boundary=x",
            "text/plain; a=\u{fc}",
            "text/plain\n; a=b",
            "text/plain;\u{a0}a=b",
            "message/partial",
            "multipart/mixed; boundary=a",
        ] {
            assert!(MediaType::parse(wrong).is_err(), "{wrong}");
        }
    }
}
