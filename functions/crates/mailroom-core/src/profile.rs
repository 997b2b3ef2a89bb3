//! The email profile: a mailbox described once by its owner.

use std::fmt;
use std::num::NonZeroU16;

use time::{Date, OffsetDateTime};
use ulid::Ulid;

use crate::flow::FlowSchemaId;
use crate::health::{Sending, Status};
use crate::inbound::cursor::Cursor;
use crate::oauth2::{Authorization, Oauth2};

/// Why a value is not what it should be: one sentence that follows the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// A profile's id: a ULID of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(Ulid);

impl ProfileId {
    /// The id that holds `ulid`.
    #[must_use]
    pub const fn new(ulid: Ulid) -> Self {
        Self(ulid)
    }

    /// Reads the 26 characters of a ULID.
    ///
    /// # Errors
    /// When `text` is no ULID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Ulid::from_string(text).map(Self).map_err(|_| Invalid::new("must be a ULID of 26 characters"))
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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

/// How a connection becomes a TLS connection. There is no third way.
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

/// What we log in as. The password or client secret is in the profile's secret, never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Login and password.
    Plain {
        /// The login name, often the address.
        login: String,
    },
    /// OAuth2.
    Oauth2(Oauth2),
}

impl Auth {
    /// The login name.
    #[must_use]
    pub fn login(&self) -> &str {
        match self {
            Self::Plain { login } | Self::Oauth2(Oauth2 { login, .. }) => login,
        }
    }
}

/// Which mail counts as new at the first poll of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// What arrives from now on.
    Now,
    /// All that lies there.
    All,
    /// What arrived on this day (UTC) or later.
    Date(Date),
}

/// What is done to a mail once its job is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterFetch {
    /// Nothing: a poll never changes the mailbox.
    Keep,
    /// `\Seen` is set.
    MarkSeen,
    /// It is moved to another mailbox.
    Move(Mailbox),
}

/// Seconds between two polls: 10, 15, 20, 30, or whole minutes up to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefreshInterval(u32);

impl RefreshInterval {
    /// Five minutes.
    pub const DEFAULT: Self = Self(300);

    /// Reads a number of seconds.
    ///
    /// # Errors
    /// When it is not one of the intervals we keep.
    pub fn from_seconds(seconds: u32) -> Result<Self, Invalid> {
        let short = matches!(seconds, 10 | 15 | 20 | 30);
        let minutes = seconds.is_multiple_of(60) && (60..=86_400).contains(&seconds);
        if short || minutes {
            Ok(Self(seconds))
        } else {
            Err(Invalid::new("must be 10, 15, 20, 30, or a multiple of 60 up to 86400 (seconds)"))
        }
    }

    /// The number of seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// The settings and state of one mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Our id.
    pub id: ProfileId,
    /// What the owner calls it: 1–100 characters.
    pub name: String,
    /// The owner's notes: at most 1000 characters.
    pub description: String,
    /// Whether inbound mail is fetched.
    pub listen: bool,
    /// The mailbox that is polled.
    pub mailbox: Mailbox,
    /// The IMAP server; required while `listen` is true.
    pub imap: Option<Server>,
    /// The SMTP server; required to send.
    pub smtp: Option<Server>,
    /// The flow schema that each mail starts; required while `listen` is true.
    pub flow_schema_id: Option<FlowSchemaId>,
    /// How often it is polled.
    pub refresh_interval: RefreshInterval,
    /// What we log in as.
    pub auth: Auth,
    /// Whether mail that someone has read before us counts.
    pub include_seen: bool,
    /// What counts as new at the first poll.
    pub start_from: StartFrom,
    /// What happens to a mail after the hand-over.
    pub after_fetch: AfterFetch,
    /// A larger mail (bytes, RFC822.SIZE) becomes a headers-only job.
    pub max_message_bytes: u64,
    /// Counts the owner's edits; the `ETag`.
    pub version: u64,
    /// The version of the profile's secret; `None` until one is stored.
    pub secret_version: Option<String>,
    /// What stands of a sign-in; `None` until somebody has signed in.
    pub authorization: Option<Authorization>,
    /// When the profile was made.
    pub created_at: OffsetDateTime,
    /// When the owner last changed it.
    pub updated_at: OffsetDateTime,
    /// How far its mailbox is handled; `None` before the first poll.
    pub cursor: Option<Cursor>,
    /// What the owner is shown.
    pub status: Status,
    /// OwnerError with sending, as it is stored; see [`Profile::sending_trouble`].
    pub sending: Option<Sending>,
}

impl Profile {
    /// The default of `max_message_bytes`: 25 MiB, what the large providers accept.
    pub const DEFAULT_MAX_MESSAGE_BYTES: u64 = 26_214_400;

    /// A new profile that listens to INBOX of `imap`, with the default of everything that is not said here.
    #[must_use]
    pub fn listening(
        id: ProfileId,
        name: &str,
        imap: Server,
        auth: Auth,
        flow_schema_id: FlowSchemaId,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            description: String::new(),
            listen: true,
            mailbox: Mailbox::inbox(),
            imap: Some(imap),
            smtp: None,
            flow_schema_id: Some(flow_schema_id),
            refresh_interval: RefreshInterval::DEFAULT,
            auth,
            include_seen: false,
            start_from: StartFrom::Now,
            after_fetch: AfterFetch::Keep,
            max_message_bytes: Self::DEFAULT_MAX_MESSAGE_BYTES,
            version: 1,
            secret_version: None,
            authorization: None,
            created_at: now,
            updated_at: now,
            cursor: None,
            status: Status::default(),
            sending: None,
        }
    }

    /// The trouble with sending that stands: not what was seen before the last edit.
    #[must_use]
    pub fn sending_error(&self) -> Option<&Sending> {
        self.sending.as_ref().filter(|sending| sending.version == self.version)
    }
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
    fn mailboxes_are_utf8_and_inbox_has_one_name() {
        assert_eq!(Mailbox::parse("inBox").unwrap().as_str(), "INBOX");
        assert_eq!(Mailbox::parse("Entw\u{fc}rfe/2026").unwrap().as_str(), "Entw\u{fc}rfe/2026");
        for bad in ["", "a*", "%", "a\r\nb", "a\0"] {
            assert!(Mailbox::parse(bad).is_err(), "{bad:?}");
        }
    }
}
