//! Header fields beside those that a message has anyway.

use crate::invalid::Invalid;

/// The most characters of a value.
const MAX_VALUE: usize = 900;

/// A header field that a sender may add: it tells other programs how to treat the message, and never who sends it, to whom,
/// or how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    name: String,
    value: String,
}

impl ExtraHeader {
    /// The names that can be added, besides `X-` and a name.
    pub const NAMES: [&str; 4] =
        ["List-Unsubscribe", "List-Unsubscribe-Post", "X-Auto-Response-Suppress", "Importance"];

    /// Reads a field.
    ///
    /// # Errors
    /// When the name is not among those that can be added, or the value is not one that the name takes.
    pub fn parse(name: &str, value: &str) -> Result<Self, Invalid> {
        let known = Self::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let fine = |rest: &str| {
            (1..=62).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let of_its_own = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"))
            && name.get(2..).is_some_and(fine);
        let name = match known {
            Some(known) => known.to_owned(),
            None if of_its_own => name.to_owned(),
            None => {
                return Err(Invalid::new(
                    "must be named List-Unsubscribe, List-Unsubscribe-Post, X-Auto-Response-Suppress, Importance, or X- and letters, digits and hyphens",
                ));
            }
        };
        let line = !value.is_empty()
            && value.trim() == value
            && value.chars().count() <= MAX_VALUE
            && !value.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        if !line {
            return Err(Invalid::new("must have a value of one line, of 1 to 900 characters"));
        }
        // What other programs read is taken as the standards write it.
        let right = match known {
            // RFC 2369 §3.2.
            Some("List-Unsubscribe") => value.is_ascii() && value.starts_with('<') && value.ends_with('>'),
            // RFC 8058 §3.1.
            Some("List-Unsubscribe-Post") => value == "List-Unsubscribe=One-Click",
            // RFC 2156 §5.3.4.
            Some("Importance") => matches!(value.to_ascii_lowercase().as_str(), "high" | "normal" | "low"),
            Some(_) | None => true,
        };
        if right {
            Ok(Self { name, value: value.to_owned() })
        } else {
            Err(Invalid::new(
                "must be as the standard has it: List-Unsubscribe <https://…>, List-Unsubscribe-Post List-Unsubscribe=One-Click, Importance high, normal or low",
            ))
        }
    }

    /// The field's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_say_how_to_treat_a_message_are_added() {
        for (name, value, written) in [
            ("list-unsubscribe", "<https://example.org/u?1>, <mailto:u@example.org>", "List-Unsubscribe"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click", "List-Unsubscribe-Post"),
            ("X-AUTO-RESPONSE-SUPPRESS", "All", "X-Auto-Response-Suppress"),
            ("Importance", "High", "Importance"),
            ("X-Ticket", "Gr\u{f6}\u{df}e 4711", "X-Ticket"),
        ] {
            let header = ExtraHeader::parse(name, value).unwrap();
            assert_eq!((header.name(), header.value()), (written, value));
        }
        for (name, value) in [
            ("Bcc", "eve@example.org"),
            ("From", "eve@example.org"),
            ("Content-Type", "text/html"),
            ("DKIM-Signature", "v=1"),
            ("X-", "a"),
            ("X-a: b\r\nBcc", "a"),
            ("X-a b", "a"),
            ("X-Ticket", ""),
            ("X-Ticket", " a"),
            ("X-Ticket", "a\r\nBcc: eve@example.org"),
            ("X-Ticket", "a\u{2028}b"),
            ("List-Unsubscribe", "https://example.org"),
            ("List-Unsubscribe-Post", "yes"),
            ("Importance", "urgent"),
        ] {
            assert!(ExtraHeader::parse(name, value).is_err(), "{name}: {value:?}");
        }
    }
}
