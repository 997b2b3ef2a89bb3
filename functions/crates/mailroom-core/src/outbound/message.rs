//! The outbound message: what a flow or a person asks to send through a profile.
//!
//! A message built from these types cannot smuggle in a header field: none of them holds a line break or a control
//! character where a field could start.

mod extra_header;
mod media_type;

use std::fmt;

use sha2::{Digest as _, Sha256};
use ulid::Ulid;

pub use self::extra_header::ExtraHeader;
pub use self::media_type::MediaType;
pub use crate::address::{EmailAddress, HeaderText};
use crate::invalid::Invalid;
use crate::profile::ProfileId;

/// The most recipients of one message, `to`, `cc` and `bcc` together: what the large providers accept over SMTP.
pub const MAX_RECIPIENTS: usize = 100;

/// The most attachments of one message.
pub const MAX_ATTACHMENTS: usize = 50;

/// The most bytes of all attachments of one message, before they are encoded: 25 MiB, what the large providers accept.
pub const MAX_ATTACHMENT_BYTES: u64 = 26_214_400;

/// A person or list in `To`, `Cc`, `Bcc` or `Reply-To`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correspondent {
    /// The display name (RFC 5322 §3.4).
    pub name: Option<HeaderText>,
    /// The address.
    pub address: EmailAddress,
}

/// A Message-ID (RFC 5322 §3.6.4), without its angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// The longest id in bytes: it has to fit on one line of a `References` field (RFC 5322 §2.1.1).
    pub const MAX_BYTES: usize = 900;

    /// Reads an id, with or without angle brackets, as loosely as mail programs write them.
    ///
    /// # Errors
    /// When the id is empty or too long, or holds anything but visible ASCII without angle brackets.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
        let fine = |b: u8| b.is_ascii_graphic() && b != b'<' && b != b'>';
        if (1..=Self::MAX_BYTES).contains(&inner.len()) && inner.bytes().all(fine) {
            Ok(Self(inner.to_owned()))
        } else {
            Err(Invalid::new("must be a Message-ID such as <4711@example.org>"))
        }
    }

    /// The Message-ID of an outbound message: the same at every attempt, and unique to it. It holds the message's id, so
    /// that a report about the message names it.
    #[must_use]
    pub fn of(profile: ProfileId, id: &OutboundId, from: &EmailAddress) -> Self {
        // The right side names the domain that made the id unique; it has to be ASCII.
        let domain = idna::domain_to_ascii(from.domain()).unwrap_or_else(|_| "mailroom.invalid".to_owned());
        Self(format!("{id}.{}@{domain}", proof(profile, id)))
    }

    /// The outbound message of `profile` that has this Message-ID; `None` for any other id. Nobody can make up one that
    /// passes without having seen it, or the profile's id.
    #[must_use]
    pub fn outbound(&self, profile: ProfileId) -> Option<OutboundId> {
        let (local, _) = self.0.split_once('@')?;
        let (id, found) = local.rsplit_once('.')?;
        let id = OutboundId::parse(id).ok()?;
        (found == proof(profile, &id)).then_some(id)
    }

    /// The id without angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What proves that a Message-ID is that of a profile's message: 32 hexadecimal digits.
fn proof(profile: ProfileId, id: &OutboundId) -> String {
    let mut hash = Sha256::new();
    hash.update(profile.to_string());
    hash.update([0]);
    hash.update(id.as_str());
    let mut proof = hex::encode(hash.finalize());
    proof.truncate(32);
    proof
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// An outbound message's id: made by the API, or chosen by the flow that puts the message on the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundId(String);

impl OutboundId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Reads an id: ASCII letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// When the id is empty, holds another character, or is longer than [`Self::MAX_BYTES`].
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

/// Where an attachment's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The bytes came with the message.
    Bytes(Vec<u8>),
    /// The bytes are in Mailroom's bucket, under this key.
    Object(ObjectKey),
}

/// The key of an object of the bucket that belongs to the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Reads a key. Only keys below the profile's own prefix are its objects.
    ///
    /// # Errors
    /// When the key is elsewhere, or longer than 512 bytes.
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
            Err(Invalid::new(
                "must be the key of an attachment of a message of this profile, as its job names it, or that of an upload",
            ))
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an attachment is shown (RFC 2183 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// The attachment is a file beside the text.
    Attachment,
    /// The HTML shows the attachment, by `cid:` and this id (RFC 2392).
    Inline(MessageId),
}

/// A file that is attached to the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file name.
    pub filename: HeaderText,
    /// The media type.
    pub content_type: MediaType,
    /// Where the bytes are.
    pub source: Source,
    /// How the attachment is shown.
    pub disposition: Disposition,
}

/// Whether Mailroom files a copy in the sent mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveToSent {
    /// A copy is filed unless the provider files its own.
    #[default]
    Auto,
    /// A copy is always filed, whether or not the provider files its own.
    Always,
    /// No copy is filed.
    Never,
}

/// Whether the message is held back if it could start a mail loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopGuard {
    /// The loop guard checks the message.
    #[default]
    On,
    /// The sender has turned the loop guard off for this message.
    Off,
}

/// Who caused the message (RFC 3834 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A person wrote or requested the message.
    #[default]
    Person,
    /// A program sends the message on its own.
    Automatic,
}

/// A message to be sent, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The `To` field.
    pub to: Vec<Correspondent>,
    /// The `Cc` field.
    pub cc: Vec<Correspondent>,
    /// The recipients that no header field names.
    pub bcc: Vec<Correspondent>,
    /// The `Reply-To` field.
    pub reply_to: Vec<Correspondent>,
    /// The display name beside the profile's address in `From`.
    pub from_name: Option<HeaderText>,
    /// The `Subject` field.
    pub subject: HeaderText,
    /// The body as plain text.
    pub text: Option<String>,
    /// The body as HTML.
    pub html: Option<String>,
    /// The message that this one replies to.
    pub in_reply_to: Option<MessageId>,
    /// The `References` field: the conversation so far, oldest first.
    pub references: Vec<MessageId>,
    /// The attached files.
    pub attachments: Vec<Attachment>,
    /// Further header fields.
    pub headers: Vec<ExtraHeader>,
    /// Who caused the message.
    pub origin: Origin,
    /// Whether a copy is filed in the sent mailbox.
    pub save_to_sent: SaveToSent,
    /// Whether the loop guard checks the message.
    pub loop_guard: LoopGuard,
}

impl Message {
    /// All recipients, each address once.
    #[must_use]
    pub fn recipients(&self) -> Vec<EmailAddress> {
        let mut seen = std::collections::HashSet::new();
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.map(|one| one.address.clone()).filter(|address| seen.insert(address.key())).collect()
    }

    /// The messages that this one replies to: none of them may come from a program.
    #[must_use]
    pub fn replies_to(&self) -> Vec<&MessageId> {
        let mut ids: Vec<&MessageId> = self.in_reply_to.iter().collect();
        ids.extend(self.references.last().filter(|last| self.in_reply_to.as_ref() != Some(*last)));
        ids
    }
}

#[cfg(test)]
mod tests;
