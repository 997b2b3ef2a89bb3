//! The flow job: what a flow receives for a message. A wire format, version 1; `flow-job.v1.json` is its JSON Schema.

mod address;
mod attachment;
mod authentication;
mod calendar;
mod gmail;
mod report;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::invalid::Invalid;
use crate::outbound::delivery::{BouncedMessage, ReportedFailure};
use crate::outbound::loop_guard::AutomatedSender;
use crate::outbound::message::{MessageId, OutboundId};
use crate::profile::ProfileId;

pub use self::address::Address;
pub use self::attachment::{Attachment, EnclosedMessage, EnclosedPart};
pub use self::authentication::{Authentication, Spam, SpamVerdict};
pub use self::calendar::{Attendee, CalendarEvent};
pub use self::gmail::Gmail;
pub use self::report::{
    Complaint, OriginalMessage, Receipt, Report, ReportedAction, ReportedOutbound, ReportedRecipient,
};

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

    /// Reads what [`Self::to_hex`] writes.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok().map(|()| Self(bytes))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// A job's id: always the same for equal messages of one profile. Also the queue's deduplication id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// For [`crate::inbound::truncate`] alone.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.0
    }

    /// From the profile's id and the message's digest, never from headers: those collide.
    #[must_use]
    pub fn new(profile: ProfileId, message: Digest) -> Self {
        let mut hash = Sha256::new();
        hash.update(profile.to_string());
        hash.update(message.0);
        Self(hex::encode(hash.finalize()))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The conversation that a message belongs to: jobs of one conversation are delivered in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(String);

impl ConversationId {
    /// For [`crate::inbound::truncate`] alone.
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.0
    }

    /// Reads an id that [`Self::as_str`] gave out.
    ///
    /// # Errors
    /// When it has anything but 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fine = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(fine) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be 32 lower-case hexadecimal digits"))
        }
    }

    /// The conversation that a message's own header names, which is what counts while nothing is known of the messages
    /// that it names (see [`crate::conversation`]): that of the first message it refers to, else of the one it answers, else its own.
    ///
    /// The oldest entry of References names the thread's root (RFC 5322 §3.6.4); `In-Reply-To` does where a client
    /// leaves References out; a message without any id is a conversation of its own. Hashed with the profile, so that
    /// it fits a FIFO group (128 characters) and two profiles never wait for each other.
    #[must_use]
    pub fn new(
        profile: ProfileId,
        references: &[String],
        in_reply_to: &[String],
        message_id: Option<&str>,
        message: Digest,
    ) -> Self {
        let root = references
            .first()
            .or_else(|| in_reply_to.first())
            .map(String::as_str)
            .or(message_id)
            .map_or_else(|| message.to_hex(), str::to_owned);
        Self::of_root(profile, &root)
    }

    /// The conversation that begins with the message that has this id.
    #[must_use]
    pub(crate) fn of_root(profile: ProfileId, root: &str) -> Self {
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
    /// A message that a person, or a program on its own, wrote.
    Message,
    /// A message that a program wrote in answer to one (RFC 3834); also receipts, and notices of delay or delivery.
    AutoReply,
    /// A report that a message was not delivered (RFC 3464).
    Bounce,
    /// A message above the profile's limit: its headers alone.
    Oversize,
    /// A message that could not be read: its place in the mailbox, and its header where the server gave that. A job that
    /// supersedes this one follows if the message can be read within seven days.
    Quarantined,
}

/// A flow job, as it is sent, and as a flow reads it: fields that a later Mailroom adds are passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowJob {
    /// The format's version: 1.
    pub version: u32,
    /// The job's id, the same in every repeat.
    pub job_id: JobId,
    /// The flow schema to start.
    pub flow_schema_id: String,
    /// The profile that received the message.
    pub profile_id: String,
    /// The profile's name.
    pub profile_name: String,
    /// The profile's login name.
    pub login: String,
    /// The mailbox's name, in UTF-8.
    pub mailbox: String,
    /// UIDVALIDITY at the time; null from a server that has none.
    pub uid_validity: Option<u32>,
    /// The message's UID.
    pub uid: u32,
    /// INTERNALDATE; null where the server gave none that can be read.
    #[serde(with = "time::serde::rfc3339::option")]
    pub received_at: Option<OffsetDateTime>,
    /// When Mailroom fetched it.
    #[serde(with = "time::serde::rfc3339")]
    pub fetched_at: OffsetDateTime,
    /// The kind of message.
    pub kind: Kind,
    /// Jobs of one conversation are delivered in order.
    pub conversation_id: ConversationId,
    /// The message, decoded.
    pub message: MessageContent,
    /// The message as it was received; null where it was not fetched (`oversize`, and a `quarantined` message that cannot
    /// be fetched).
    pub raw: Option<ObjectRef>,
    /// The report that the message is; none for any other message.
    #[serde(default)]
    pub report: Option<Report>,
    /// What the mailbox's provider found out about the sender; none where it is not known, or wrote nothing.
    #[serde(default)]
    pub authentication: Option<Authentication>,
    /// What the provider's filter says; none where it is not known, or says nothing.
    #[serde(default)]
    pub spam: Option<Spam>,
    /// The job of kind `quarantined` that was sent for this message before it could be read; null for others.
    #[serde(default)]
    pub supersedes: Option<JobId>,
    /// Whether this job may have been sent before, by a run that crashed. FIFO queues drop most repeats.
    #[serde(default)]
    pub redelivered: bool,
    /// The events of its calendar parts.
    #[serde(default)]
    pub calendar: Vec<CalendarEvent>,
    /// How it is encrypted; none where it is not.
    #[serde(default)]
    pub encrypted: Option<Encryption>,
}

/// An object in Mailroom's bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

/// A message's content, decoded. Real messages lack any part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MessageContent {
    /// `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// `In-Reply-To`, without angle brackets.
    pub in_reply_to: Vec<String>,
    /// `References`, the oldest first, without angle brackets.
    pub references: Vec<String>,
    /// The `Date` field, RFC 3339, in the sender's zone.
    #[serde(with = "time::serde::rfc3339::option")]
    pub date: Option<OffsetDateTime>,
    /// `Subject`, decoded (RFC 2047).
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
    /// The HTML body in UTF-8, not sanitized.
    pub html: Option<String>,
    /// The keyword of the `Auto-Submitted` field (RFC 3834 §5): `auto-generated` for what a program wrote on its own.
    /// `None` without the field and for `no`, and in jobs older than it.
    #[serde(default)]
    pub auto_submitted: Option<String>,
    /// Whether something was left out because of its length or number; `raw` is whole.
    pub truncated: bool,
    /// All header fields in their order: name, and decoded and unfolded value.
    pub headers: Vec<(String, String)>,
    /// The attachments and inline parts.
    pub attachments: Vec<Attachment>,
    /// Bytes of the raw message (RFC822.SIZE for `oversize`).
    pub size: u64,
    /// The message's [`Digest`] in hexadecimal.
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
    /// Its flags and keywords when it was fetched (RFC 9051 §2.3.2), without `\Recent`; none where the server told none.
    #[serde(default)]
    pub flags: Option<Vec<String>>,
    /// What Gmail keeps of it besides; none from other servers.
    #[serde(default)]
    pub gmail: Option<Gmail>,
    /// How many attachments are not stored by themselves, because there are too many; `raw` has them.
    #[serde(default)]
    pub attachments_omitted: u64,
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

/// How a message is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// S/MIME (RFC 8551).
    Smime,
    /// OpenPGP (RFC 3156).
    Pgp,
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

impl FlowJob {
    /// The largest job in bytes of JSON: 256 KiB, the least that any SQS queue accepts, less its attributes.
    pub const MAX_BYTES: usize = 256 * 1024 - 1024;

    /// The message's id and the kind of program that wrote it; `None` where a person wrote it, or it has no id by which
    /// an answer could name it.
    #[must_use]
    pub fn automated_sender(&self) -> Option<(MessageId, AutomatedSender)> {
        let has_null_return_path = || {
            self.message.headers.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("Return-Path") && value.replace([' ', '\t'], "") == "<>"
            })
        };
        let sender = match self.kind {
            Kind::AutoReply => AutomatedSender::AutoReply,
            Kind::Message | Kind::Oversize if self.message.auto_submitted.is_some() => {
                AutomatedSender::AutoReply
            }
            Kind::Bounce => AutomatedSender::Bounce,
            Kind::Message | Kind::Oversize if has_null_return_path() => AutomatedSender::NullSender,
            Kind::Message | Kind::Oversize | Kind::Quarantined => return None,
        };
        Some((MessageId::parse(self.message.message_id.as_deref()?).ok()?, sender))
    }

    /// The outbound message of this profile that the report says was not delivered, and to whom; `None` where it says so
    /// of nobody. A notice of delay says nothing final.
    #[must_use]
    pub fn bounced_message(&self) -> Option<BouncedMessage> {
        let report = self.report.as_ref()?;
        let failed = |one: &&ReportedRecipient| one.action == Some(ReportedAction::Failed);
        let failures = report.delivery.iter().flatten().filter(failed).map(|one| ReportedFailure {
            addresses: one.original_recipient.iter().chain(&one.recipient).cloned().collect(),
            status: one.status.clone(),
            diagnostic: one.diagnostic.clone(),
            remote_mta: one.remote_mta.clone(),
        });
        let failures: Vec<ReportedFailure> = failures.collect();
        let message = OutboundId::parse(&report.outbound.as_ref()?.message).ok()?;
        (!failures.is_empty()).then_some(BouncedMessage { message, failures })
    }
}

/// The JSON Schema (2020-12) of [`FlowJob`], as the API serves it.
pub const FLOW_JOB_SCHEMA: &str = include_str!("flow-job.v1.json");

#[cfg(test)]
mod tests;
