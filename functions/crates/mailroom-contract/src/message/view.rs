//! Messages and their status, as the API shows them and the outcome queue receives them.

use mailroom_core::outbound::delivery::{
    Bounce, Delivery, DeliveryState, Recipient, RecipientStatus, SendErrorCode, SentCopy,
};
use mailroom_core::owner_error::ErrorCode;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use crate::time_text::{rfc3339, rfc3339_or_null};

/// A message that was accepted for sending.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedMessage {
    /// The message's id, for reading its status.
    pub id: String,
    /// The message's Message-ID, the same at every attempt.
    pub message_id: String,
    /// The status, which is `queued`.
    #[schema(value_type = String, example = "queued")]
    pub status: &'static str,
}

impl From<&Delivery> for AcceptedMessage {
    fn from(delivery: &Delivery) -> Self {
        Self { id: delivery.id.to_string(), message_id: delivery.message_id.to_string(), status: "queued" }
    }
}

/// A message and its status.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredMessage)]
pub struct MessageView {
    /// The id of the message, for its status.
    pub id: String,
    /// The profile that sends it.
    pub profile_id: String,
    /// The message's Message-ID, the same at every attempt.
    pub message_id: String,
    /// How far the message is.
    pub status: MessageState,
    /// The attempts that have ended since the message was accepted or last resent.
    pub attempts: u32,
    /// Why the message is not sent, or not yet.
    pub error: Option<MessageError>,
    /// The mail server's last reply.
    pub smtp_reply: Option<String>,
    /// The recipients, each with how far the message is for it.
    pub recipients: Vec<RecipientView>,
    /// The recipients that the message does not go to.
    pub rejected: Vec<RejectedRecipient>,
    /// The state of the copy for the sent mailbox.
    pub sent_copy: CopyState,
    /// When the message was accepted for sending.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When the message was last resent; null if it never was.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resent_at: Option<OffsetDateTime>,
    /// When this status last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
    /// When the next attempt is due; null if it is due now, or if there is none.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When a mail server first took the message.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<OffsetDateTime>,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// The message waits for its first or next attempt.
    Queued,
    /// The message is being sent.
    Sending,
    /// A mail server has taken the message, for at least one recipient.
    Sent,
    /// No mail server has taken the message, and it is not retried.
    Failed,
    /// The connection broke after the message was complete: the server may have it. It is not sent again automatically.
    Uncertain,
    /// The message was cancelled before a mail server took it for anybody.
    Cancelled,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Sending, Self::Sent, Self::Failed, Self::Uncertain, Self::Cancelled];

    /// Reads a state's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<DeliveryState> for MessageState {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Queued => Self::Queued,
            DeliveryState::Sending => Self::Sending,
            DeliveryState::Sent => Self::Sent,
            DeliveryState::Failed => Self::Failed,
            DeliveryState::Uncertain => Self::Uncertain,
            DeliveryState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<MessageState> for DeliveryState {
    fn from(state: MessageState) -> Self {
        match state {
            MessageState::Queued => Self::Queued,
            MessageState::Sending => Self::Sending,
            MessageState::Sent => Self::Sent,
            MessageState::Failed => Self::Failed,
            MessageState::Uncertain => Self::Uncertain,
            MessageState::Cancelled => Self::Cancelled,
        }
    }
}

/// The state of the copy for the sent mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// The copy is filed once the message is sent.
    Pending,
    /// The copy is in the sent mailbox.
    Filed,
    /// No copy is filed: it is not wanted, the provider files its own, or the message was not sent.
    Skipped,
    /// There is no sent mailbox to file a copy in: the profile has no IMAP server, or the account no such mailbox.
    None,
    /// The copy could not be filed. The message was sent.
    Failed,
}

/// Why a message is not sent, or not yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageError {
    /// The kind of error.
    #[schema(schema_with = message_codes)]
    pub code: String,
    /// What went wrong, with the mail server's reply where there was one, and what happens next.
    pub message: String,
}

/// A recipient, and how far the message is for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipient)]
pub struct RecipientView {
    /// The address as it goes over the wire.
    pub address: String,
    /// How far the message is for this recipient.
    pub status: RecipientState,
    /// The mail server's last reply about this recipient; null where it gave none. In place of a reply, the reason of
    /// Mailroom's own for which the message does not go to the recipient.
    pub smtp_reply: Option<String>,
    /// What a delivery report said after the mail server had taken the message; null unless the status is `bounced`.
    pub bounce: Option<BounceView>,
}

/// What a delivery report says of a recipient that the message did not reach.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bounce)]
pub struct BounceView {
    /// The enhanced status code (RFC 3463), such as `5.1.1`; null where the report gives none.
    pub status: Option<String>,
    /// What the remote server said; null where the report does not quote it.
    pub diagnostic: Option<String>,
    /// The server that said it; null where the report does not name it.
    pub remote_mta: Option<String>,
    /// When Mailroom read the report.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub reported_at: OffsetDateTime,
}

/// How far a message is for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecipientState {
    /// The message waits to be sent to the recipient.
    Queued,
    /// The message is being sent to the recipient.
    Sending,
    /// A mail server has taken the message for the recipient.
    Sent,
    /// A mail server had taken the message for the recipient, and a report says that it did not get there.
    Bounced,
    /// The message does not go to the recipient.
    Failed,
    /// A mail server may have taken the message for the recipient.
    Uncertain,
    /// The message was cancelled before it went to the recipient.
    Cancelled,
}

impl From<&Recipient> for RecipientView {
    fn from(recipient: &Recipient) -> Self {
        let (status, smtp_reply) = match &recipient.status {
            RecipientStatus::Waiting(reply) => (RecipientState::Queued, reply.clone()),
            RecipientStatus::WaitingAlone(reply) => (RecipientState::Queued, Some(reply.clone())),
            RecipientStatus::InFlight => (RecipientState::Sending, None),
            RecipientStatus::Accepted(reply) if recipient.bounce.is_some() => {
                (RecipientState::Bounced, reply.clone())
            }
            RecipientStatus::Accepted(reply) => (RecipientState::Sent, reply.clone()),
            RecipientStatus::Rejected(reply) => (RecipientState::Failed, Some(reply.clone())),
            RecipientStatus::Uncertain(_) => (RecipientState::Uncertain, None),
            RecipientStatus::Cancelled => (RecipientState::Cancelled, None),
        };
        let bounce = recipient.bounce.clone().map(|bounce| {
            let Bounce { status, diagnostic, remote_mta, reported_at } = bounce;
            BounceView { status, diagnostic, remote_mta, reported_at }
        });
        Self { address: recipient.address.clone(), status, smtp_reply, bounce }
    }
}

/// A page of a profile's messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessagePage {
    /// The messages, newest first.
    pub items: Vec<MessageView>,
    /// Where the next page begins, as `cursor`; null at the end.
    pub next: Option<String>,
}

/// A recipient that a message does not go to.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedRecipient {
    /// The address as it goes over the wire.
    pub address: String,
    /// Why: the mail server's reply, in most cases.
    pub smtp_reply: String,
}

/// The codes of messages' errors: those of profiles, and two of their own.
fn message_codes() -> Object {
    let all = SendErrorCode::OWN.into_iter().chain(ErrorCode::ALL.into_iter().map(SendErrorCode::Profile));
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The kind of error."))
        .enum_values(Some(all.map(SendErrorCode::name)))
        .build()
}

impl From<&Delivery> for MessageView {
    fn from(delivery: &Delivery) -> Self {
        let state = delivery.state();
        Self {
            id: delivery.id.to_string(),
            profile_id: delivery.profile.to_string(),
            message_id: delivery.message_id.to_string(),
            status: MessageState::from(state),
            attempts: delivery.attempts,
            error: delivery.error.as_ref().map(|error| MessageError {
                code: error.code.name(),
                message: match delivery.outlook() {
                    Some(outlook) => format!("{} {outlook}", error.message),
                    None => error.message.clone(),
                },
            }),
            smtp_reply: delivery.smtp_reply.clone(),
            recipients: delivery.recipients.iter().map(RecipientView::from).collect(),
            rejected: delivery
                .rejected()
                .map(|(address, why)| RejectedRecipient {
                    address: address.to_owned(),
                    smtp_reply: why.to_owned(),
                })
                .collect(),
            sent_copy: match delivery.sent_copy {
                SentCopy::Due(_) => CopyState::Pending,
                SentCopy::Filed => CopyState::Filed,
                SentCopy::Skipped => CopyState::Skipped,
                SentCopy::Nowhere => CopyState::None,
                SentCopy::Failed => CopyState::Failed,
            },
            created_at: delivery.created_at,
            resent_at: delivery.resent_at,
            updated_at: delivery.updated_at,
            next_attempt_at: delivery.next_at.filter(|_| state == DeliveryState::Queued),
            sent_at: delivery.sent_at,
        }
    }
}

/// A message's final outcome, as the outcome queue receives it: its status, and the format's version.
#[derive(Debug, Serialize)]
pub struct Outcome<'a> {
    /// The version of this format: [`Outcome::VERSION`].
    pub version: u32,
    /// The message with its final status.
    #[serde(flatten)]
    pub message: &'a MessageView,
}

impl Outcome<'_> {
    /// The version that is written now.
    pub const VERSION: u32 = 1;
}
