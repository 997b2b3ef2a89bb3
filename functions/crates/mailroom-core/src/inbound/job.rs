//! The flow job: what a flow receives for a mail. A wire format, version 1; `flow-job.v1.json` is its JSON Schema.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::profile::ProfileId;

/// SHA-256 of a message's raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `raw`.
    #[must_use]
    pub fn of(raw: &[u8]) -> Self {
        Self(Sha256::digest(raw).into())
    }

    /// The digest that stands for a message too large to be fetched, from its header block and RFC822.SIZE.
    ///
    /// It can never equal the digest of a whole message: the prefix is no header.
    #[must_use]
    pub fn of_oversize(header: &[u8], size: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"\0mailroom oversize\0");
        hash.update(size.to_be_bytes());
        hash.update(header);
        Self(hash.finalize().into())
    }

    /// The digest that stands for a message that cannot be fetched at all, from the place where it lies.
    #[must_use]
    pub fn of_place(mailbox: &str, uid_validity: Option<u32>, uid: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"\0mailroom place\0");
        hash.update(uid_validity.unwrap_or(0).to_be_bytes());
        hash.update(uid.to_be_bytes());
        hash.update(mailbox);
        Self(hash.finalize().into())
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// A job's id: the same for equal mail of one profile, for ever. Also the queue's deduplication id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// For [`crate::inbound::truncate`] alone.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.0
    }

    /// From the profile's id and the mail's digest, never from headers: those collide.
    #[must_use]
    pub fn new(profile: ProfileId, mail: Digest) -> Self {
        let mut hash = Sha256::new();
        hash.update(profile.to_string());
        hash.update(mail.0);
        Self(hex::encode(hash.finalize()))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The conversation a mail belongs to: jobs of one conversation are delivered in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(String);

impl ConversationId {
    /// For [`crate::inbound::truncate`] alone.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.0
    }

    /// The conversation of a mail: that of the first message it refers to, else of the one it answers, else its own.
    ///
    /// The oldest entry of References names the thread's root (RFC 5322 §3.6.4); `In-Reply-To` does where a client
    /// leaves References out; a mail without any id is a conversation of its own. Hashed with the profile, so that
    /// it fits a FIFO group (128 characters) and two profiles never wait for each other.
    #[must_use]
    pub fn new(
        profile: ProfileId,
        references: &[String],
        in_reply_to: &[String],
        message_id: Option<&str>,
        mail: Digest,
    ) -> Self {
        let root = references
            .first()
            .or_else(|| in_reply_to.first())
            .map(String::as_str)
            .or(message_id)
            .map_or_else(|| mail.to_hex(), str::to_owned);
        let mut hash = Sha256::new();
        hash.update(profile.to_string());
        hash.update(root);
        let mut id = hex::encode(hash.finalize());
        id.truncate(32);
        Self(id)
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a job is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A mail from someone.
    Message,
    /// A mail from a machine that answers mail (RFC 3834), receipts and notices of delay or delivery included.
    AutoReply,
    /// A report that mail of ours was not delivered (RFC 3464).
    Bounce,
    /// A mail above the profile's limit: its headers only.
    Oversize,
    /// A mail that made us fail again and again: where it lies, nothing of what it says.
    Quarantined,
}

/// A flow job, as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowJob {
    /// The format's version: 1.
    pub version: u32,
    /// See [`JobId`].
    pub job_id: JobId,
    /// The flow schema to start.
    pub flow_schema_id: String,
    /// The profile that received the mail.
    pub profile_id: String,
    /// Its name.
    pub profile_name: String,
    /// Its login.
    pub login: String,
    /// The mailbox, in UTF-8.
    pub mailbox: String,
    /// UIDVALIDITY at the time; null from a server that has none.
    pub uid_validity: Option<u32>,
    /// The message's UID.
    pub uid: u32,
    /// INTERNALDATE; null where the server gave none that can be read.
    #[serde(with = "time::serde::rfc3339::option")]
    pub received_at: Option<OffsetDateTime>,
    /// When we fetched it.
    #[serde(with = "time::serde::rfc3339")]
    pub fetched_at: OffsetDateTime,
    /// What it is.
    pub kind: Kind,
    /// See [`ConversationId`].
    pub conversation_id: ConversationId,
    /// The mail, decoded.
    pub message: MessageContent,
    /// The mail as it came; null where it was not fetched (`oversize`, and a `quarantined` mail that could not be).
    pub raw: Option<ObjectRef>,
}

/// An object in our bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

/// An address of a header field; either part can be missing in real mail, never both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The display name, decoded.
    pub name: Option<String>,
    /// `local@domain` (RFC 5322 §3.4.1), as written.
    pub address: Option<String>,
}

/// A mail's content, decoded. Everything can be missing in real mail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageContent {
    /// Without angle brackets.
    pub message_id: Option<String>,
    /// Without angle brackets.
    pub in_reply_to: Vec<String>,
    /// Oldest first, without angle brackets.
    pub references: Vec<String>,
    /// The `Date` field, RFC 3339, in the sender's zone.
    #[serde(with = "time::serde::rfc3339::option")]
    pub date: Option<OffsetDateTime>,
    /// Decoded (RFC 2047).
    pub subject: Option<String>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`.
    pub sender: Vec<Address>,
    /// `Reply-To`.
    pub reply_to: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Bcc`.
    pub bcc: Vec<Address>,
    /// The plain text body, decoded to UTF-8, `format=flowed` unwrapped; made from the HTML where there is no other.
    pub text: Option<String>,
    /// The HTML body, decoded to UTF-8, not sanitized.
    pub html: Option<String>,
    /// The keyword of the `Auto-Submitted` field (RFC 3834 §5): `auto-generated` for what a program wrote on its own.
    /// `None` without the field and for `no`, and in jobs older than it.
    #[serde(default)]
    pub auto_submitted: Option<String>,
    /// Whether something was left out because of its length or number; `raw` is whole.
    pub truncated: bool,
    /// All header fields in order: name, and value decoded and unfolded.
    pub headers: Vec<(String, String)>,
    /// The attachments and inline parts.
    pub attachments: Vec<Attachment>,
    /// Bytes of the raw message (RFC822.SIZE for `oversize`).
    pub size: u64,
    /// [`Digest`] in hexadecimal.
    pub sha256: String,
    /// Where `text` comes from; none without one.
    #[serde(default)]
    pub text_source: Option<TextSource>,
    /// What was written in this message: no quoted history, signature or disclaimer. None where nothing is left, or
    /// it cannot be told.
    #[serde(default)]
    pub reply_text: Option<String>,
    /// Why a program wrote it; none for people.
    #[serde(default)]
    pub automatic: Option<Automatic>,
    /// Whether an automatic answer is in order (RFC 3834 §2); none where the header was not read.
    #[serde(default)]
    pub answerable: Option<bool>,
    /// The address it was delivered to: the topmost of Delivered-To, X-Original-To and Envelope-To.
    #[serde(default)]
    pub delivered_to: Option<String>,
    /// What follows the first `+` in the local part of the address it came to (RFC 5233).
    #[serde(default)]
    pub subaddress: Option<String>,
    /// The mailing list that sent it.
    #[serde(default)]
    pub list: Option<MailingList>,
    /// `Importance`, or else `X-Priority` or `Priority`.
    #[serde(default)]
    pub importance: Option<Importance>,
}

/// Which body a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSource {
    /// A `text/plain` part.
    Plain,
    /// The HTML, where no part is plain text.
    Html,
}

/// That a program wrote a message, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Automatic {
    /// The narrowest reason that the header proves.
    pub reason: AutomaticReason,
}

/// Why a program wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutomaticReason {
    /// It answers a message by itself (RFC 3834 §5 `auto-replied`).
    Vacation,
    /// A read receipt (RFC 8098).
    Receipt,
    /// A message is late, and still on its way (RFC 3464 §2.3.3 `delayed`).
    Delay,
    /// Any other delivery report (RFC 3464).
    DeliveryReport,
    /// A complaint (RFC 5965).
    Complaint,
    /// Something that a program tells on its own (RFC 3834 §5 `auto-generated`).
    Generated,
    /// A mailing list passed it on (RFC 2919) or it is bulk.
    List,
}

/// A mailing list's header fields (RFC 2369, RFC 2919, RFC 8058).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailingList {
    /// `List-Id` without angle brackets.
    pub id: Option<String>,
    /// The first URI of `List-Post`; none where nobody may post.
    pub post: Option<String>,
    /// The URIs of `List-Unsubscribe`, in order.
    pub unsubscribe: Vec<String>,
    /// Whether a POST to the first `https` URI unsubscribes without a question (RFC 8058).
    pub one_click: bool,
}

/// How important its sender calls a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// Urgent.
    High,
    /// As any other.
    Normal,
    /// Can wait.
    Low,
}

/// A part that is stored as an object of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The name, decoded, without any path.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Decoded bytes.
    pub size: u64,
    /// `Content-ID` without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is meant to be shown in the body.
    pub inline: bool,
    /// The object's key in the job's bucket.
    pub key: String,
}

impl FlowJob {
    /// The largest job in bytes of JSON: 256 KiB, the least that an SQS queue anywhere accepts, less its attributes.
    pub const MAX_BYTES: usize = 256 * 1024 - 1024;
}

/// The JSON Schema (2020-12) of [`FlowJob`], as it is served to those who read jobs.
pub const FLOW_JOB_SCHEMA: &str = include_str!("flow-job.v1.json");

#[cfg(test)]
mod tests;
