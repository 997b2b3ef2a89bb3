//! An outbound message's item in the table, and the key of what is noted about automated senders.
//!
//! The names and values of attributes are those of items that are stored already: they never change, whatever the types
//! in core are called.

use std::collections::HashMap;

use mailroom_core::outbound::delivery::{
    Bounce, Delivery, DeliveryState, OutcomeEvent, Phase, Recipient, RecipientStatus, SendError,
    SendErrorCode, SendLease, SentCopy,
};
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::{MessageId, OutboundId};
use mailroom_core::profile::ProfileId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::attribute::{Unreadable, invalid, millis, time_of};
use super::profile_item::profile_key;
use super::table::{Item, text};

/// How long a message's status can be read.
const RETENTION: Duration = Duration::days(30);

/// The sort key of an outbound message.
pub(super) fn out_key(id: &OutboundId) -> String {
    format!("OUT#{id}")
}

/// The key of the note that a received message came from a program. The Message-ID is hashed: it may be longer than a
/// key.
pub(super) fn machine_key(id: ProfileId, message_id: &str) -> Item {
    let sort = format!("MACHINE#{}", hex::encode(Sha256::digest(message_id)));
    HashMap::from([("PK".to_owned(), text(profile_key(id))), ("SK".to_owned(), text(sort))])
}

pub(super) const fn machine_name(sender: AutomatedSender) -> &'static str {
    match sender {
        AutomatedSender::AutoReply => "auto_reply",
        AutomatedSender::Bounce => "bounce",
        AutomatedSender::NullSender => "null_sender",
    }
}

pub(super) fn machine_of(name: &str) -> Option<AutomatedSender> {
    [AutomatedSender::AutoReply, AutomatedSender::Bounce, AutomatedSender::NullSender]
        .into_iter()
        .find(|sender| machine_name(*sender) == name)
}

/// An outbound message as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DeliveryItem {
    #[serde(rename = "PK")]
    pk: String,
    #[serde(rename = "SK")]
    sk: String,
    id: String,
    message_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    recipients: Vec<RecipientItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<LeaseItem>,
    attempts: u32,
    #[serde(rename = "deaths", default)]
    crashes: u32,
    #[serde(rename = "checks", default)]
    searches: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<SendErrorItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    smtp_reply: Option<String>,
    #[serde(default)]
    exhausted: bool,
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resent_at: Option<i64>,
    updated_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<i64>,
    #[serde(rename = "copy")]
    sent_copy: SentCopyItem,
    #[serde(rename = "told")]
    published: bool,
    pub(super) revision: u64,
    /// When DynamoDB may remove it (seconds since 1970).
    expires_at: i64,
    /// The profile's list in the directory. An item that was last written before there was one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_key: Option<String>,
    /// When the message was accepted, and its id: the order of the list. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sort: Option<String>,
    /// What the list is filtered by: see [`listed_state`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecipientItem {
    address: String,
    #[serde(rename = "fate")]
    status: RecipientStatusItem,
    /// The server's last reply about the recipient, or why it is rejected.
    #[serde(rename = "said", default, skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    /// Whether the recipient waits for a transaction of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
    /// Why it is uncertain whether the message was taken for the recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubt: Option<SendErrorItem>,
    /// What a report said after a server had taken the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounce: Option<BounceItem>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BounceItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagnostic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remote_mta: Option<String>,
    reported_at: i64,
}

impl From<&Bounce> for BounceItem {
    fn from(bounce: &Bounce) -> Self {
        let Bounce { status, diagnostic, remote_mta, reported_at } = bounce.clone();
        Self { status, diagnostic, remote_mta, reported_at: millis(reported_at) }
    }
}

impl BounceItem {
    fn read(self) -> Result<Bounce, Unreadable> {
        let Self { status, diagnostic, remote_mta, reported_at } = self;
        Ok(Bounce { status, diagnostic, remote_mta, reported_at: time_of("bounce", reported_at)? })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecipientStatusItem {
    Waiting,
    InFlight,
    Accepted,
    Rejected,
    #[serde(rename = "in_doubt")]
    Uncertain,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LeaseItem {
    holder: String,
    until: i64,
    /// Whether the final dot may be out.
    #[serde(rename = "dot")]
    data_sent: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SendErrorItem {
    code: String,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SentCopyItem {
    Due(u32),
    Filed,
    Skipped,
    Nowhere,
    Failed,
}

/// The partition of the directory that lists a profile's messages.
pub(super) fn list_key(profile: ProfileId) -> String {
    format!("OUT#{profile}")
}

/// The place of a message that was accepted at this time, in milliseconds, in its profile's list. Up to the year 2286
/// the order of these texts is the order of time.
pub(super) fn list_sort(created_at: i64, id: &str) -> String {
    format!("{created_at:013}.{id}")
}

/// A message's state as the directory knows it: it tells those apart that are done, so that a message on its way writes
/// the directory once.
pub(super) const fn listed_state(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued | DeliveryState::Sending => "open",
        DeliveryState::Sent => "sent",
        DeliveryState::Failed => "failed",
        DeliveryState::Uncertain => "uncertain",
        DeliveryState::Cancelled => "cancelled",
    }
}

impl From<&SendError> for SendErrorItem {
    fn from(error: &SendError) -> Self {
        Self { code: error.code.name(), message: error.message.clone() }
    }
}

impl SendErrorItem {
    fn read(self) -> Result<SendError, Unreadable> {
        let why = || Unreadable { attribute: "error", why: "has an unknown code".to_owned() };
        let code = SendErrorCode::parse(&self.code).ok_or_else(why)?;
        Ok(SendError { code, message: self.message })
    }
}

impl From<&Delivery> for DeliveryItem {
    fn from(delivery: &Delivery) -> Self {
        let lease = |lease: &SendLease, data_sent| LeaseItem {
            holder: lease.holder.clone(),
            until: millis(lease.until),
            data_sent,
        };
        Self {
            pk: profile_key(delivery.profile),
            sk: out_key(&delivery.id),
            id: delivery.id.to_string(),
            message_id: delivery.message_id.as_str().to_owned(),
            content: delivery.content.clone(),
            digest: delivery.digest.clone(),
            recipients: delivery.recipients.iter().map(RecipientItem::from).collect(),
            lease: match &delivery.phase {
                Phase::Idle => None,
                Phase::Claimed(held) => Some(lease(held, false)),
                Phase::DataSent(held) => Some(lease(held, true)),
            },
            attempts: delivery.attempts,
            crashes: delivery.crashes,
            searches: delivery.searches,
            error: delivery.error.as_ref().map(SendErrorItem::from),
            smtp_reply: delivery.smtp_reply.clone(),
            exhausted: delivery.exhausted,
            created_at: millis(delivery.created_at),
            resent_at: delivery.resent_at.map(millis),
            updated_at: millis(delivery.updated_at),
            next_at: delivery.next_at.map(millis),
            sent_at: delivery.sent_at.map(millis),
            sent_copy: match delivery.sent_copy {
                SentCopy::Due(tries) => SentCopyItem::Due(tries),
                SentCopy::Filed => SentCopyItem::Filed,
                SentCopy::Skipped => SentCopyItem::Skipped,
                SentCopy::Nowhere => SentCopyItem::Nowhere,
                SentCopy::Failed => SentCopyItem::Failed,
            },
            published: delivery.outcome_event == OutcomeEvent::Published,
            revision: delivery.revision,
            expires_at: expiry(delivery.resent_at.unwrap_or(delivery.created_at), RETENTION),
            list_key: Some(list_key(delivery.profile)),
            list_sort: Some(list_sort(millis(delivery.created_at), delivery.id.as_str())),
            search: Some(listed_state(delivery.state()).to_owned()),
        }
    }
}

impl From<&Recipient> for RecipientItem {
    fn from(recipient: &Recipient) -> Self {
        let (status, reply) = match &recipient.status {
            RecipientStatus::Waiting(reply) => (RecipientStatusItem::Waiting, reply.clone()),
            RecipientStatus::WaitingAlone(reply) => (RecipientStatusItem::Waiting, Some(reply.clone())),
            RecipientStatus::InFlight => (RecipientStatusItem::InFlight, None),
            RecipientStatus::Accepted(reply) => (RecipientStatusItem::Accepted, reply.clone()),
            RecipientStatus::Rejected(reply) => (RecipientStatusItem::Rejected, Some(reply.clone())),
            RecipientStatus::Uncertain(_) => (RecipientStatusItem::Uncertain, None),
            RecipientStatus::Cancelled => (RecipientStatusItem::Cancelled, None),
        };
        let doubt = match &recipient.status {
            RecipientStatus::Uncertain(doubt) => doubt.as_ref().map(SendErrorItem::from),
            RecipientStatus::Waiting(_)
            | RecipientStatus::WaitingAlone(_)
            | RecipientStatus::InFlight
            | RecipientStatus::Accepted(_)
            | RecipientStatus::Rejected(_)
            | RecipientStatus::Cancelled => None,
        };
        let alone = matches!(recipient.status, RecipientStatus::WaitingAlone(_));
        let bounce = recipient.bounce.as_ref().map(BounceItem::from);
        Self { address: recipient.address.clone(), status, reply, alone, doubt, bounce }
    }
}

impl RecipientItem {
    fn read(self) -> Result<Recipient, Unreadable> {
        let status = match self.status {
            RecipientStatusItem::Waiting if self.alone => {
                RecipientStatus::WaitingAlone(self.reply.unwrap_or_default())
            }
            RecipientStatusItem::Waiting => RecipientStatus::Waiting(self.reply),
            RecipientStatusItem::InFlight => RecipientStatus::InFlight,
            RecipientStatusItem::Accepted => RecipientStatus::Accepted(self.reply),
            RecipientStatusItem::Rejected => RecipientStatus::Rejected(self.reply.unwrap_or_default()),
            RecipientStatusItem::Uncertain => {
                RecipientStatus::Uncertain(self.doubt.map(SendErrorItem::read).transpose()?)
            }
            RecipientStatusItem::Cancelled => RecipientStatus::Cancelled,
        };
        let bounce = self.bounce.map(BounceItem::read).transpose()?;
        Ok(Recipient { address: self.address, status, bounce })
    }
}

impl DeliveryItem {
    pub(super) fn read(self, profile: ProfileId) -> Result<Delivery, Unreadable> {
        let at = |attribute, millis: Option<i64>| millis.map(|at| time_of(attribute, at)).transpose();
        let phase = match self.lease {
            None => Phase::Idle,
            Some(LeaseItem { holder, until, data_sent }) => {
                let lease = SendLease { holder, until: time_of("lease", until)? };
                if data_sent { Phase::DataSent(lease) } else { Phase::Claimed(lease) }
            }
        };
        Ok(Delivery {
            profile,
            id: OutboundId::parse(&self.id).map_err(invalid("id"))?,
            message_id: MessageId::parse(&self.message_id).map_err(invalid("message_id"))?,
            content: self.content,
            digest: self.digest,
            recipients: self.recipients.into_iter().map(RecipientItem::read).collect::<Result<_, _>>()?,
            phase,
            attempts: self.attempts,
            crashes: self.crashes,
            searches: self.searches,
            error: self.error.map(SendErrorItem::read).transpose()?,
            smtp_reply: self.smtp_reply,
            exhausted: self.exhausted,
            created_at: time_of("created_at", self.created_at)?,
            resent_at: at("resent_at", self.resent_at)?,
            updated_at: time_of("updated_at", self.updated_at)?,
            next_at: at("next_at", self.next_at)?,
            sent_at: at("sent_at", self.sent_at)?,
            sent_copy: match self.sent_copy {
                SentCopyItem::Due(tries) => SentCopy::Due(tries),
                SentCopyItem::Filed => SentCopy::Filed,
                SentCopyItem::Skipped => SentCopy::Skipped,
                SentCopyItem::Nowhere => SentCopy::Nowhere,
                SentCopyItem::Failed => SentCopy::Failed,
            },
            outcome_event: if self.published { OutcomeEvent::Published } else { OutcomeEvent::Due },
            revision: self.revision,
        })
    }
}

/// When DynamoDB may remove an item that was stored `at`, in seconds since 1970.
pub(super) fn expiry(at: OffsetDateTime, retention: Duration) -> i64 {
    at.saturating_add(retention).unix_timestamp()
}
