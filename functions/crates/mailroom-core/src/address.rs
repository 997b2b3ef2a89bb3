//! Email addresses, and the text that stands beside them.

use std::fmt;

use crate::invalid::Invalid;

/// An address that a message can be sent to (RFC 5321 §4.1.2, RFC 6531 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress {
    text: String,
    wire: String,
}

impl EmailAddress {
    /// The longest address in bytes: a path of RFC 5321 §4.5.3.1.3 without its brackets.
    pub const MAX_BYTES: usize = 254;

    /// Reads `local@domain`, in any script.
    ///
    /// # Errors
    /// When the text is not an address.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("must be an email address such as ann@example.org");
        if text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(wrong());
        }
        let options = email_address::Options::default().without_display_text();
        email_address::EmailAddress::parse_with_options(text, options).map_err(|_| wrong())?;
        let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
        let wire = if domain.starts_with('[') {
            if !is_literal(domain) {
                return Err(wrong());
            }
            text.to_owned()
        } else {
            let ascii = idna::domain_to_ascii(domain).map_err(|_| wrong())?;
            let plain = ascii.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
            // No server takes one that is longer on the wire.
            if ascii.is_empty() || !plain || local.len() + 1 + ascii.len() > Self::MAX_BYTES {
                return Err(wrong());
            }
            // Only with an ASCII local part does the ASCII form of the domain make the whole address one that every
            // server takes.
            if local.is_ascii() { format!("{local}@{ascii}") } else { text.to_owned() }
        };
        Ok(Self { text: text.to_owned(), wire })
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address as it goes over the wire: its domain in ASCII (RFC 5891 §4.4) where that makes it an address for every server.
    #[must_use]
    pub fn wire(&self) -> &str {
        &self.wire
    }

    /// Whether only servers with SMTPUTF8 (RFC 6531) take the address.
    #[must_use]
    pub fn is_international(&self) -> bool {
        !self.wire.is_ascii()
    }

    /// The part before the last `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.wire.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The part after the last `@`, as it goes over the wire.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.wire.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The same text for all spellings of an address. RFC 5321 §2.4 lets hosts distinguish upper and lower case; none
    /// that matters does.
    #[must_use]
    pub fn key(&self) -> String {
        self.wire.to_lowercase()
    }
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
fn is_literal(domain: &str) -> bool {
    let inner = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
    match inner.strip_prefix("IPv6:") {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => inner.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text of a header field: one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HeaderText(String);

impl HeaderText {
    /// Reads a text of at most `most` characters.
    ///
    /// # Errors
    /// When the text is longer, or holds control characters or line separators.
    pub fn parse(text: &str, most: usize) -> Result<Self, Invalid> {
        if text.chars().count() > most {
            return Err(Invalid::new(format!("must have at most {most} characters")));
        }
        // The two separators are not control characters, but some programs break lines there.
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(Invalid::new("must be one line without control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
