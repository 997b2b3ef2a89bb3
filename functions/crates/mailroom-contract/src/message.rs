//! Outbound messages as they are written, on the API and on the send queue, and as their status is shown.

mod field;

use deserr::{Deserr, ValuePointerRef};
use mailroom_core::outbound::delivery::{Delivery, DeliveryState, SendErrorCode, SentCopy};
use mailroom_core::outbound::message::{
    Attachment, Correspondent, Disposition, LoopGuard, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, MAX_RECIPIENTS,
    MediaType, Message, ObjectKey, Origin, SaveToSent, Source,
};
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::ProfileId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use self::field::{
    AddressText, Base64Bytes, BodyText, ContentIdText, FileName, KeyText, MediaTypeText, MessageIdText,
    PersonName, SubjectText,
};
use crate::problem::Problems;
use crate::profile_view::{rfc3339, rfc3339_or_null};

/// The most references of one message: more than any real conversation has.
const MAX_REFERENCES: usize = 100;

/// The most addresses in `reply_to`.
const MAX_REPLY_TO: usize = 10;

/// A message to be sent.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = complete -> Problems)]
#[schema(as = Message)]
pub struct MessageBody {
    /// The recipients whom the message is addressed to.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub to: Vec<PersonBody>,
    /// Recipients of a copy.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub cc: Vec<PersonBody>,
    /// Recipients of a copy whom no other recipient sees.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub bcc: Vec<PersonBody>,
    /// Where replies go, if not to the profile's address.
    #[deserr(default)]
    #[schema(max_items = 10, default = json!([]))]
    pub reply_to: Vec<PersonBody>,
    /// The sender's name, shown beside the profile's address.
    #[deserr(default)]
    pub from_name: Option<PersonName>,
    /// The subject: one line.
    #[deserr(default)]
    #[schema(inline = false, default = "")]
    pub subject: SubjectText,
    /// The body as plain text.
    #[deserr(default)]
    pub text: Option<BodyText>,
    /// The body as HTML. With `text`, both are sent as alternatives.
    #[deserr(default)]
    pub html: Option<BodyText>,
    /// The Message-ID of the message that this one replies to, as its job names it.
    #[deserr(default)]
    pub in_reply_to: Option<MessageIdText>,
    /// The Message-IDs of the conversation, oldest first.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub references: Vec<MessageIdText>,
    /// The attached files: at most 25 MiB in total.
    #[deserr(default)]
    #[schema(max_items = 50, default = json!([]))]
    pub attachments: Vec<AttachmentBody>,
    /// Whether a program sends the message on its own. The message then carries `Auto-Submitted`, and the number per
    /// recipient and hour is limited.
    #[deserr(default)]
    #[schema(default = false)]
    pub auto_submitted: bool,
    /// Whether a copy is filed in the sent mailbox.
    #[deserr(default = SaveToSentBody::Auto)]
    #[schema(default = "auto")]
    pub save_to_sent: SaveToSentBody,
    /// Whether the message is refused if it could start a mail loop: if it replies to an automatic message, goes to a
    /// bounce address, or is a reply or an automatic message to a profile of this Mailroom.
    #[deserr(default = true)]
    #[schema(default = true)]
    pub loop_guard: bool,
}

/// A person or a list, by address.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = Person)]
pub struct PersonBody {
    /// The name that is shown beside the address.
    #[deserr(default)]
    pub name: Option<PersonName>,
    /// The address, such as `ann@example.org`.
    pub address: AddressText,
}

/// An attached file: its `content`, or the `key` of an attachment that the profile has received.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = one_source -> Problems)]
#[schema(as = Attachment)]
pub struct AttachmentBody {
    /// The name under which the recipient saves the file.
    pub filename: FileName,
    /// The media type of the file (RFC 2046).
    #[deserr(default = MediaTypeText::unknown())]
    #[schema(default = "application/octet-stream")]
    pub content_type: MediaTypeText,
    /// The file's bytes in Base64.
    #[deserr(default)]
    pub content: Option<Base64Bytes>,
    /// The key of a received attachment, as a job of the profile names it.
    #[deserr(default)]
    pub key: Option<KeyText>,
    /// The id by which the HTML shows it: `<img src="cid:…">`.
    #[deserr(default)]
    pub content_id: Option<ContentIdText>,
}

/// Whether a copy is filed in the sent mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[serde(rename_all = "lowercase")]
#[schema(as = SaveToSent)]
pub enum SaveToSentBody {
    /// File a copy, unless the provider files its own.
    Auto,
    /// Always file a copy, whether or not the provider files its own.
    Always,
    /// File no copy, whatever the provider does.
    Never,
}

fn one_source(body: AttachmentBody, location: ValuePointerRef<'_>) -> Result<AttachmentBody, Problems> {
    match (&body.content, &body.key) {
        (Some(_), Some(_)) | (None, None) => {
            let name = crate::problem::name_of(location);
            Err(Problems::one(name, "must have either content or key"))
        }
        (Some(_), None) | (None, Some(_)) => Ok(body),
    }
}

/// Checks what depends on more than one field.
fn complete(body: MessageBody, _: ValuePointerRef<'_>) -> Result<MessageBody, Problems> {
    let mut problems = Problems::default();
    let recipients = body.to.len() + body.cc.len() + body.bcc.len();
    if recipients == 0 {
        problems.add("to", "must have an entry, unless cc or bcc has one");
    }
    if recipients > MAX_RECIPIENTS {
        problems.add("to", "must have at most 100 entries, together with cc and bcc");
    }
    for (name, length, most) in [
        ("reply_to", body.reply_to.len(), MAX_REPLY_TO),
        ("references", body.references.len(), MAX_REFERENCES),
        ("attachments", body.attachments.len(), MAX_ATTACHMENTS),
    ] {
        if length > most {
            problems.add(name, format!("must have at most {most} entries"));
        }
    }
    if body.text.is_none() && body.html.is_none() && body.attachments.is_empty() {
        problems.add("text", "is required, unless there is html or an attachment");
    }
    let bytes: usize =
        body.attachments.iter().filter_map(|one| one.content.as_ref()).map(|content| content.0.len()).sum();
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > MAX_ATTACHMENT_BYTES) {
        problems.add("attachments", "must have at most 25 MiB in total");
    }
    problems.none_or().map(|()| body)
}

impl MessageBody {
    /// The message, as a profile sends it.
    ///
    /// # Errors
    /// When an attachment's key is not one of the profile's objects.
    pub fn describe(self, profile: ProfileId) -> Result<Message, Problems> {
        let people = |people: Vec<PersonBody>| people.into_iter().map(PersonBody::describe).collect();
        let mut problems = Problems::default();
        let mut attachments = Vec::new();
        for (n, attachment) in self.attachments.into_iter().enumerate() {
            match attachment.describe(profile) {
                Ok(attachment) => attachments.push(attachment),
                Err(why) => problems.add(format!("attachments[{n}].key"), why),
            }
        }
        problems.none_or()?;
        Ok(Message {
            to: people(self.to),
            cc: people(self.cc),
            bcc: people(self.bcc),
            reply_to: people(self.reply_to),
            from_name: self.from_name.map(|name| name.0),
            subject: self.subject.0,
            text: self.text.map(|text| text.0),
            html: self.html.map(|html| html.0),
            in_reply_to: self.in_reply_to.map(|id| id.0),
            references: self.references.into_iter().map(|id| id.0).collect(),
            attachments,
            origin: if self.auto_submitted { Origin::Automatic } else { Origin::Person },
            save_to_sent: match self.save_to_sent {
                SaveToSentBody::Auto => SaveToSent::Auto,
                SaveToSentBody::Always => SaveToSent::Always,
                SaveToSentBody::Never => SaveToSent::Never,
            },
            loop_guard: if self.loop_guard { LoopGuard::On } else { LoopGuard::Off },
        })
    }
}

impl PersonBody {
    fn describe(self) -> Correspondent {
        Correspondent { name: self.name.map(|name| name.0), address: self.address.0 }
    }
}

impl AttachmentBody {
    fn describe(self, profile: ProfileId) -> Result<Attachment, String> {
        let source = match (self.content, self.key) {
            (Some(content), _) => Source::Bytes(content.0),
            (None, key) => {
                let key = key.map(|key| key.0).unwrap_or_default();
                Source::Object(ObjectKey::parse(&key, profile).map_err(|why| why.to_string())?)
            }
        };
        Ok(Attachment {
            filename: self.filename.0,
            content_type: self.content_type.0,
            source,
            disposition: match self.content_id {
                Some(id) => Disposition::Inline(id.0),
                None => Disposition::Attachment,
            },
        })
    }
}

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
    /// The attempts that have ended.
    pub attempts: u32,
    /// Why the message is not sent, or not yet.
    pub error: Option<MessageError>,
    /// The mail server's last reply.
    pub smtp_reply: Option<String>,
    /// The recipients that the message does not go to.
    pub rejected: Vec<RejectedRecipient>,
    /// The state of the copy for the sent mailbox.
    pub sent_copy: CopyState,
    /// When the message was accepted for sending.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
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
}

/// The state of the copy for the sent mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// The copy is filed once the message is sent.
    Pending,
    /// The copy is in the sent mailbox.
    Filed,
    /// No copy is filed: it is not wanted, the provider files its own, or there is no sent mailbox.
    Skipped,
    /// The copy could not be filed. The message was sent.
    Failed,
}

/// Why a message is not sent, or not yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageError {
    /// The kind of error.
    #[schema(schema_with = message_codes)]
    pub code: String,
    /// One sentence, with the mail server's reply where there was one.
    pub message: String,
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
            status: match state {
                DeliveryState::Queued => MessageState::Queued,
                DeliveryState::Sending => MessageState::Sending,
                DeliveryState::Sent => MessageState::Sent,
                DeliveryState::Failed => MessageState::Failed,
                DeliveryState::Uncertain => MessageState::Uncertain,
            },
            attempts: delivery.attempts,
            error: delivery
                .error
                .as_ref()
                .map(|error| MessageError { code: error.code.name(), message: error.message.clone() }),
            smtp_reply: delivery.smtp_reply.clone(),
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
                SentCopy::Failed => CopyState::Failed,
            },
            created_at: delivery.created_at,
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

impl MediaTypeText {
    /// The media type of bytes of unknown kind (RFC 2046 §4.5.1).
    fn unknown() -> Self {
        match MediaType::parse("application/octet-stream") {
            Ok(unknown) => Self(unknown),
            Err(_) => unreachable!("this is a media type"),
        }
    }
}

#[cfg(test)]
mod tests;
