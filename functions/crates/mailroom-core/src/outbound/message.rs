//! The outbound message: what a flow, or a person, wants to have sent through a profile.
//!
//! What is built from these types cannot carry another header field: none of them holds a line break or a control
//! character where a field could be begun.

use std::fmt;

use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::invalid::Invalid;
use crate::profile::ProfileId;

/// Recipients of one message, `to`, `cc` and `bcc` together: what the large providers take over SMTP.
pub const MAX_RECIPIENTS: usize = 100;

/// Attachments of one message.
pub const MAX_ATTACHMENTS: usize = 50;

/// Attachments of one message in bytes, all together, before they are encoded: 25 MiB, what the large providers take.
pub const MAX_ATTACHMENT_BYTES: u64 = 26_214_400;

/// An address that mail can be sent to (RFC 5321 §4.1.2, RFC 6531 §3.3).
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
    /// When it is no address.
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
            // What is longer on the wire, no server takes.
            if ascii.is_empty() || !plain || local.len() + 1 + ascii.len() > Self::MAX_BYTES {
                return Err(wrong());
            }
            // Only with an ASCII local part does the ASCII form of the domain make the whole address one that every
            // server takes.
            if local.is_ascii() { format!("{local}@{ascii}") } else { text.to_owned() }
        };
        Ok(Self { text: text.to_owned(), wire })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As it goes over the wire: its domain in ASCII (RFC 5891 §4.4) where that makes it an address for every server.
    #[must_use]
    pub fn wire(&self) -> &str {
        &self.wire
    }

    /// Whether only servers with SMTPUTF8 (RFC 6531) take it.
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

    /// What two spellings of one address have in common. RFC 5321 §2.4 lets hosts tell cases apart; none that matters
    /// does.
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

/// A text for a header field: one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Line(String);

impl Line {
    /// Reads a text of at most `most` characters.
    ///
    /// # Errors
    /// When it is longer, or holds control characters or line separators.
    pub fn parse(text: &str, most: usize) -> Result<Self, Invalid> {
        if text.chars().count() > most {
            return Err(Invalid::new(format!("must have at most {most} characters")));
        }
        // The separators are no control characters, and line breaks to some who read the message.
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

/// Someone who is written to, or answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correspondent {
    /// What they are called.
    pub name: Option<Line>,
    /// Where mail for them goes.
    pub address: EmailAddress,
}

/// A Message-ID (RFC 5322 §3.6.4), without its angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// The longest id in bytes. One that leaves no room on its line (RFC 5322 §2.1.1) cannot be referred to.
    pub const MAX_BYTES: usize = 900;

    /// Reads an id, with or without angle brackets. Taken as loosely as mail programs write them.
    ///
    /// # Errors
    /// When it is empty or too long, or holds anything but visible ASCII without angle brackets.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
        let fine = |b: u8| b.is_ascii_graphic() && b != b'<' && b != b'>';
        if (1..=Self::MAX_BYTES).contains(&inner.len()) && inner.bytes().all(fine) {
            Ok(Self(inner.to_owned()))
        } else {
            Err(Invalid::new("must be a Message-ID such as <4711@example.org>"))
        }
    }

    /// The id of a message of ours: the same at every try, and no other message's.
    #[must_use]
    pub fn of(profile: ProfileId, id: &OutboundId, from: &EmailAddress) -> Self {
        let mut hash = Sha256::new();
        hash.update(profile.to_string());
        hash.update([0]);
        hash.update(id.as_str());
        let mut unique = hex::encode(hash.finalize());
        unique.truncate(32);
        // The right side names who has made it unique; an international address has no domain in ASCII there.
        let domain = idna::domain_to_ascii(from.domain()).unwrap_or_else(|_| "mailroom.invalid".to_owned());
        Self(format!("{unique}@{domain}"))
    }

    /// Without angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// An outbound message's id: ours, or chosen by the flow that puts the message on the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundId(String);

impl OutboundId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Reads an id: ASCII letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// When it is not like that, or longer than [`Self::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(fine) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 1 to 64 letters (a-z), digits, hyphens or underscores"))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Ulid> for OutboundId {
    fn from(ulid: Ulid) -> Self {
        Self(ulid.to_string())
    }
}

impl fmt::Display for OutboundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `type/subtype` (RFC 6838 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// Reads a media type without parameters.
    ///
    /// # Errors
    /// When it is none, or one that cannot be attached as bytes (RFC 2046 §5).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fine = |part: &str| {
            (1..=64).contains(&part.len())
                && part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let lower = text.to_ascii_lowercase();
        match lower.split_once('/') {
            Some(("multipart" | "message", _)) => {
                Err(Invalid::new("must not be multipart or message: attach that as application/octet-stream"))
            }
            Some((kind, subtype)) if fine(kind) && fine(subtype) => Ok(Self(lower)),
            Some(_) | None => Err(Invalid::new("must be a media type such as application/pdf")),
        }
    }

    /// In lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an attachment's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the message.
    Bytes(Vec<u8>),
    /// In our bucket, under this key.
    Object(ObjectKey),
}

/// The key of an object that belongs to a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Reads a key. Only those below the profile's own folder are its objects.
    ///
    /// # Errors
    /// When it lies elsewhere, or is longer than S3 allows.
    pub fn parse(text: &str, profile: ProfileId) -> Result<Self, Invalid> {
        let own = text.strip_prefix("mail/").and_then(|rest| rest.strip_prefix(&profile.to_string()));
        let fine = |rest: &str| {
            rest.starts_with('/')
                && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
                && rest.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."))
        };
        if text.len() <= 512 && own.is_some_and(fine) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be the key of an attachment of this profile's mail, as jobs tell it"))
        }
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an attachment is shown (RFC 2183 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// As a file beside the text.
    Attachment,
    /// In the HTML, which names it by `cid:` and this id (RFC 2392).
    Inline(MessageId),
}

/// A file that goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is called.
    pub filename: Line,
    /// What it is.
    pub content_type: MediaType,
    /// Where its bytes are.
    pub source: Source,
    /// How it is shown.
    pub disposition: Disposition,
}

/// Whether a copy is filed in the folder for sent mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveToSent {
    /// Unless the provider files its own.
    #[default]
    Auto,
    /// Whatever the provider does.
    Always,
    /// Not at all.
    Never,
}

/// Whether mail that could begin a loop is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopGuard {
    /// It is.
    #[default]
    On,
    /// Whoever sends it knows better.
    Off,
}

/// Who caused a message (RFC 3834 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A person.
    #[default]
    Person,
    /// A program, by itself.
    Automatic,
}

/// What is to be sent, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `To`.
    pub to: Vec<Correspondent>,
    /// `Cc`.
    pub cc: Vec<Correspondent>,
    /// Who receives it without being named in it.
    pub bcc: Vec<Correspondent>,
    /// `Reply-To`.
    pub reply_to: Vec<Correspondent>,
    /// The name beside the profile's address in `From`.
    pub from_name: Option<Line>,
    /// `Subject`.
    pub subject: Line,
    /// The body as plain text.
    pub text: Option<String>,
    /// The body as HTML.
    pub html: Option<String>,
    /// What it answers.
    pub in_reply_to: Option<MessageId>,
    /// The conversation so far, oldest first.
    pub references: Vec<MessageId>,
    /// The files that go along.
    pub attachments: Vec<Attachment>,
    /// Who caused it.
    pub origin: Origin,
    /// Whether a copy is filed.
    pub save_to_sent: SaveToSent,
    /// Whether it is held back if it could begin a loop.
    pub loop_guard: LoopGuard,
}

impl Message {
    /// Everyone who receives it, each address once.
    #[must_use]
    pub fn recipients(&self) -> Vec<EmailAddress> {
        let mut seen = std::collections::HashSet::new();
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.map(|one| one.address.clone()).filter(|address| seen.insert(address.key())).collect()
    }

    /// The messages that it answers: those that must not be a machine's.
    #[must_use]
    pub fn answered(&self) -> Vec<&MessageId> {
        let mut ids: Vec<&MessageId> = self.in_reply_to.iter().collect();
        ids.extend(self.references.last().filter(|last| self.in_reply_to.as_ref() != Some(*last)));
        ids
    }
}

#[cfg(test)]
mod tests;
