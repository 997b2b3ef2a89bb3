//! Outbound messages as they are written, on the API and on the send queue, and as their status is shown.

mod field;
mod view;

use deserr::{Deserr, ValuePointerRef};
use mailroom_core::outbound::message::{
    Attachment, Correspondent, Disposition, ExtraHeader, LoopGuard, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS,
    MAX_RECIPIENTS, MediaType, Message, ObjectKey, Origin, SaveToSent, Source,
};
use mailroom_core::profile::ProfileId;
use utoipa::ToSchema;

use self::field::{
    Base64Bytes, BodyText, ContentIdText, FileName, KeyText, MediaTypeText, MessageIdText, SubjectText,
};
pub use self::view::{AcceptedMessage, MessagePage, MessageState, MessageView, Outcome};
use crate::address::{AddressText, PersonName};
use crate::problem::Problems;

/// The most references of one message: more than any real conversation has.
const MAX_REFERENCES: usize = 100;

/// The most addresses in `reply_to`.
const MAX_REPLY_TO: usize = 10;

/// The most further header fields.
const MAX_HEADERS: usize = 20;

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
    /// Further header fields: how other programs treat the message.
    #[deserr(default)]
    #[schema(max_items = 20, default = json!([]))]
    pub headers: Vec<HeaderBody>,
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

/// A header field: `List-Unsubscribe`, `List-Unsubscribe-Post`, `X-Auto-Response-Suppress`, `Importance`, or one whose name
/// begins with `X-`.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = one_field -> Problems)]
#[schema(as = HeaderField)]
pub struct HeaderBody {
    /// The field's name.
    #[schema(example = "X-Ticket")]
    pub name: String,
    /// The field's value: one line.
    #[schema(min_length = 1, max_length = 900, example = "4711")]
    pub value: String,
}

/// An attached file: its `content`, or the `key` of an attachment that the profile has received.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = one_source -> Problems)]
#[schema(as = Attachment)]
pub struct AttachmentBody {
    /// The name under which the recipient saves the file.
    pub filename: FileName,
    /// The media type of the file (RFC 2046), with its parameters. A `message/rfc822` whose lines are not 7-bit text is sent as
    /// `application/octet-stream`.
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

fn one_field(body: HeaderBody, location: ValuePointerRef<'_>) -> Result<HeaderBody, Problems> {
    match ExtraHeader::parse(&body.name, &body.value) {
        Ok(_) => Ok(body),
        Err(why) => Err(Problems::one(crate::problem::name_of(location), why.to_string())),
    }
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
        ("headers", body.headers.len(), MAX_HEADERS),
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
        let mut headers = Vec::new();
        for (n, header) in self.headers.iter().enumerate() {
            match ExtraHeader::parse(&header.name, &header.value) {
                Ok(header) => headers.push(header),
                Err(why) => problems.add(format!("headers[{n}]"), why.to_string()),
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
            headers,
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
