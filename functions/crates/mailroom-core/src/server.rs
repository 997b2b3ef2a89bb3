//! Mail servers, and the mailboxes on them.

use std::fmt;
use std::num::NonZeroU16;

use crate::invalid::Invalid;

/// A mail server's name or IP address as typed, in ASCII and lower case. Says nothing about where it resolves to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// The longest name of RFC 1035 §2.3.4, without the final dot.
    pub const MAX_BYTES: usize = 253;

    /// Reads a domain name (RFC 1123 §2.1 labels) or an IP address (IPv6 without brackets).
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label_is_fine = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // No top-level domain begins with a digit, and resolvers read `0` or `127.1` as addresses.
        let ends_in_number =
            name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
        if name.len() > Self::MAX_BYTES || ends_in_number || !name.split('.').all(label_is_fine) {
            return Err(Invalid::new("must be a host name such as imap.example.com, or an IP address"));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    /// The name, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An IMAP mailbox's name as people write it, in UTF-8 (RFC 9051 §5.1). The driver encodes it for the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox(String);

impl Mailbox {
    /// Longer names are a mistake or an attack.
    pub const MAX_BYTES: usize = 1000;

    /// Reads a mailbox name; `inbox` in any case is `INBOX` (RFC 9051 §5.1).
    ///
    /// # Errors
    /// When it is empty, too long, or holds control characters or wildcards (`*`, `%`).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(Invalid::new("must be 1 to 1000 bytes long"));
        }
        if text.chars().any(|c| c.is_control() || c == '*' || c == '%') {
            return Err(Invalid::new("must not hold control characters, * or %"));
        }
        Ok(Self(if text.eq_ignore_ascii_case("inbox") { "INBOX".to_owned() } else { text.to_owned() }))
    }

    /// The inbox.
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".to_owned())
    }

    /// Whether both names lead to the same mailbox: `INBOX` in any case, and a name with or without the hierarchy
    /// separator at its end (RFC 9051 §6.3.4).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let plain = |mailbox: &Self| {
            let name = mailbox.0.trim_end_matches(['/', '.']);
            Self::parse(name).unwrap_or_else(|_| mailbox.clone())
        };
        plain(self) == plain(other)
    }

    /// The name in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a connection becomes a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// Implicit TLS, from the first byte (RFC 8314 §3).
    Tls,
    /// Plain until STARTTLS; nothing of value is said before it.
    StartTls,
}

impl Security {
    /// The usual security of an IMAP port: 143 is STARTTLS, all others implicit TLS.
    #[must_use]
    pub const fn of_imap_port(port: u16) -> Self {
        if port == 143 { Self::StartTls } else { Self::Tls }
    }

    /// The usual security of an SMTP port: 465 is implicit TLS, all others STARTTLS.
    #[must_use]
    pub const fn of_smtp_port(port: u16) -> Self {
        if port == 465 { Self::Tls } else { Self::StartTls }
    }
}

/// A port of an SMTP server that takes messages from their senders (RFC 6409 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionPort(NonZeroU16);

impl SubmissionPort {
    /// The port between mail servers (RFC 5321 §4.5.4.2).
    pub const RELAY: u16 = 25;

    /// The usual port of message submission (RFC 6409 §3.1).
    pub const USUAL: Self = Self(match NonZeroU16::new(587) {
        Some(port) => port,
        None => NonZeroU16::MAX,
    });

    /// Any port but [`Self::RELAY`]: AWS lets no function connect to it, and servers take no logins there.
    ///
    /// # Errors
    /// When it is that port.
    pub fn new(port: NonZeroU16) -> Result<Self, Invalid> {
        if port.get() == Self::RELAY {
            return Err(Invalid::new(
                "must not be 25: that port is for mail between servers, and AWS blocks it; servers take messages from their senders at 587 (STARTTLS) or 465 (TLS)",
            ));
        }
        Ok(Self(port))
    }

    /// The port.
    #[must_use]
    pub const fn get(self) -> NonZeroU16 {
        self.0
    }
}

/// Where a protocol's server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// The host as typed.
    pub host: Host,
    /// The TCP port.
    pub port: NonZeroU16,
    /// How TLS begins.
    pub security: Security,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_else() {
        for good in ["imap.example.com", "IMAP.Example.COM.", "localhost", "127.0.0.1", "::1", "a_b.example"]
        {
            assert!(Host::parse(good).is_ok(), "{good}");
        }
        assert_eq!(Host::parse("IMAP.Example.COM.").unwrap().as_str(), "imap.example.com");
        let long = format!("{}.com", "a".repeat(64));
        for bad in [
            "",
            ".",
            "a..b",
            "0",
            "127.1",
            "a.0x7f",
            "-a.com",
            "a b",
            "http://a",
            "a:993",
            "a/b",
            "[::1]",
            "m\u{fc}ller.de",
            &long,
        ] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_are_submitted_at_any_port_but_that_between_servers() {
        let port = |port| SubmissionPort::new(NonZeroU16::new(port).unwrap());
        for good in [1, 24, 26, 465, 587, 2525, 65535] {
            assert_eq!(port(good).unwrap().get().get(), good);
        }
        assert!(port(25).unwrap_err().to_string().contains("587"));
    }

    #[test]
    fn mailboxes_are_utf8_and_inbox_has_one_name() {
        assert_eq!(Mailbox::parse("inBox").unwrap().as_str(), "INBOX");
        assert_eq!(Mailbox::parse("Entw\u{fc}rfe/2026").unwrap().as_str(), "Entw\u{fc}rfe/2026");
        let same = |one, other| Mailbox::parse(one).unwrap().is_same(&Mailbox::parse(other).unwrap());
        for (one, other) in [("INBOX", "inbox/"), ("Inbox.", "INBOX"), ("Orders", "Orders/"), ("/", "/")] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in
            [("Orders", "orders"), ("Orders/Done", "Orders"), ("INBOX/a", "INBOX"), ("/", ".")]
        {
            assert!(!same(one, other), "{one} {other}");
        }
        for bad in ["", "a*", "%", "a\r\nb", "a\0"] {
            assert!(Mailbox::parse(bad).is_err(), "{bad:?}");
        }
    }
}
