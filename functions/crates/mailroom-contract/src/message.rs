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

/// References of one message: more than any conversation that is still read.
const MAX_REFERENCES: usize = 100;

/// Addresses in `reply_to`.
const MAX_REPLY_TO: usize = 10;

/// A message to be sent.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = complete -> Problems)]
#[schema(as = Message)]
pub struct MessageBody {
    /// Who it is for.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub to: Vec<PersonBody>,
    /// Who receives a copy.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub cc: Vec<PersonBody>,
    /// Who receives a copy that nobody else sees.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub bcc: Vec<PersonBody>,
    /// Where answers go, if not to the profile's address.
    #[deserr(default)]
    #[schema(max_items = 10, default = json!([]))]
    pub reply_to: Vec<PersonBody>,
    /// The name beside the profile's address.
    #[deserr(default)]
    pub from_name: Option<PersonName>,
    /// The subject.
    #[deserr(default)]
    #[schema(inline = false, default = "")]
    pub subject: SubjectText,
    /// The body as plain text.
    #[deserr(default)]
    pub text: Option<BodyText>,
    /// The body as HTML; with `text` it is the same in another form.
    #[deserr(default)]
    pub html: Option<BodyText>,
    /// The Message-ID of what this answers, as its job tells it.
    #[deserr(default)]
    pub in_reply_to: Option<MessageIdText>,
    /// The Message-IDs of the conversation, oldest first.
    #[deserr(default)]
    #[schema(max_items = 100, default = json!([]))]
    pub references: Vec<MessageIdText>,
    /// The files that go along: 25 MiB together.
    #[deserr(default)]
    #[schema(max_items = 50, default = json!([]))]
    pub attachments: Vec<AttachmentBody>,
    /// Whether a program sends this by itself: it says so in the mail, and is limited per recipient and hour.
    #[deserr(default)]
    #[schema(default = false)]
    pub auto_submitted: bool,
    /// Whether a copy is filed in the folder for sent mail.
    #[deserr(default = SaveToSentBody::Auto)]
    #[schema(default = "auto")]
    pub save_to_sent: SaveToSentBody,
    /// Whether it is held back if it answers a machine, or a profile of this Mailroom.
    #[deserr(default = true)]
    #[schema(default = true)]
    pub loop_guard: bool,
}

/// Someone who is written to, or answered.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = Person)]
pub struct PersonBody {
    /// What they are called.
    #[deserr(default)]
    pub name: Option<PersonName>,
    /// Where mail for them goes.
    pub address: AddressText,
}

/// A file that goes along: its `content`, or the `key` of an attachment that the profile has received.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = one_source -> Problems)]
#[schema(as = Attachment)]
pub struct AttachmentBody {
    /// What it is called.
    pub filename: FileName,
    /// What it is.
    #[deserr(default = MediaTypeText::unknown())]
    #[schema(default = "application/octet-stream")]
    pub content_type: MediaTypeText,
    /// Its bytes.
    #[deserr(default)]
    pub content: Option<Base64Bytes>,
    /// The key of an attachment, as a job of the profile tells it.
    #[deserr(default)]
    pub key: Option<KeyText>,
    /// The id by which the HTML shows it: `<img src="cid:…">`.
    #[deserr(default)]
    pub content_id: Option<ContentIdText>,
}

/// Whether a copy is filed in the folder for sent mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[serde(rename_all = "lowercase")]
#[schema(as = SaveToSent)]
pub enum SaveToSentBody {
    /// Unless the provider files its own.
    Auto,
    /// Whatever the provider does.
    Always,
    /// Not at all.
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

/// What depends on more than one field.
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
        problems.add("attachments", "must have at most 25 MiB together");
    }
    problems.none_or().map(|()| body)
}

impl MessageBody {
    /// The message that this describes, of a profile.
    ///
    /// # Errors
    /// When an attachment is no object of the profile.
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

/// A message that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedMessage {
    /// Its id, by which its status is read.
    pub id: String,
    /// Its Message-ID, which stays the same at every try.
    pub message_id: String,
    /// `queued`.
    #[schema(value_type = String, example = "queued")]
    pub status: &'static str,
}

impl From<&Delivery> for AcceptedMessage {
    fn from(delivery: &Delivery) -> Self {
        Self { id: delivery.id.to_string(), message_id: delivery.message_id.to_string(), status: "queued" }
    }
}

/// How a message is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredMessage)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// The profile that sends it.
    pub profile_id: String,
    /// Its Message-ID.
    pub message_id: String,
    /// In a word.
    pub status: MessageState,
    /// Tries that came to an end.
    pub attempts: u32,
    /// Why it is not sent, or not yet.
    pub error: Option<MessageError>,
    /// What the server said last.
    pub smtp_reply: Option<String>,
    /// The recipients to whom it does not go.
    pub rejected: Vec<RejectedRecipient>,
    /// What has become of the copy for the sent mail.
    pub sent_copy: CopyState,
    /// When it was accepted.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When this last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
    /// When it is tried again; null if that may be now, or never.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When a server first took it.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<OffsetDateTime>,
}

/// A message's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// It waits for its first or next try.
    Queued,
    /// It is being sent.
    Sending,
    /// A server has taken it, for at least one recipient.
    Sent,
    /// No server has taken it, and it is not tried again.
    Failed,
    /// The connection broke when the message was complete: the server may have it. It is never sent again by itself.
    Uncertain,
}

/// What has become of the copy for the sent mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// It will be filed once the message is sent.
    Pending,
    /// It is filed.
    Filed,
    /// Nobody wants it, the provider has filed its own, or there is no folder for it.
    Skipped,
    /// It could not be filed. The message is sent all the same.
    Failed,
}

/// Why a message is not sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageError {
    /// What kind.
    #[schema(schema_with = message_codes)]
    pub code: String,
    /// One sentence, with the server's words.
    pub message: String,
}

/// A recipient to whom a message does not go.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedRecipient {
    /// The address as it went over the wire.
    pub address: String,
    /// Why: what the server said, in most cases.
    pub smtp_reply: String,
}

/// The codes of messages' errors: those of profiles, and two of their own.
fn message_codes() -> Object {
    let all = SendErrorCode::OWN.into_iter().chain(ErrorCode::ALL.into_iter().map(SendErrorCode::Profile));
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What kind."))
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

/// The outcome of a message, as it is told to the outcome queue: its status and a version.
#[derive(Debug, Serialize)]
pub struct Outcome<'a> {
    /// 1.
    pub version: u32,
    /// The status, which stays.
    #[serde(flatten)]
    pub message: &'a MessageView,
}

impl Outcome<'_> {
    /// The format's version.
    pub const VERSION: u32 = 1;
}

impl MediaTypeText {
    /// What is said of bytes of which nothing is said (RFC 2046 §4.5.1).
    fn unknown() -> Self {
        match MediaType::parse("application/octet-stream") {
            Ok(unknown) => Self(unknown),
            Err(_) => unreachable!("this is a media type"),
        }
    }
}

#[cfg(test)]
mod tests;
