//! From a stored message to the bytes of a mail.

use mailroom_aws::objects::{Object, Objects};
use mailroom_contract::message::MessageBody;
use mailroom_contract::problem::{Problems, read};
use mailroom_core::outbound::delivery::{Delivery, SendError, SendErrorCode};
use mailroom_core::outbound::message::{EmailAddress, MAX_ATTACHMENT_BYTES, Message, Source};
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use mailroom_lambda::memory::{Held, MemoryBudget};
use mailroom_mime::compose::{Stamp, compose};
use serde_json::Value;

/// The largest stored message: what the API takes, as JSON of ours.
const MAX_CONTENT: u64 = 16 * 1024 * 1024;

/// Bytes of attachments and contents that all messages of an invocation may hold at once. Encoded and joined, a mail
/// takes up to four times its size.
const TOTAL_BYTES: u64 = 40 * 1024 * 1024;

/// Why there is no mail.
#[derive(Debug)]
pub(crate) enum RenderError {
    /// It never will be one.
    Never(SendError),
    /// A service of ours failed.
    Port(PortError),
}

impl From<PortError> for RenderError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// A mail, and the room that it takes.
pub(crate) struct RenderedMessage<'a> {
    pub(crate) raw: Vec<u8>,
    _room: Held<'a>,
}

/// Where messages and their attachments are, and the room for them in memory.
pub(crate) struct Store {
    objects: Objects,
    room: MemoryBudget,
}

impl Store {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, room: MemoryBudget::new(TOTAL_BYTES) }
    }

    /// The message of a delivery: `given` with the queue's message, or stored.
    pub(crate) async fn message(
        &self,
        profile: ProfileId,
        delivery: &Delivery,
        given: Option<&Value>,
    ) -> Result<Message, RenderError> {
        let body = match (&delivery.content, given) {
            (Some(key), _) => match self.objects.get(key, MAX_CONTENT).await? {
                Object::Bytes(bytes) => serde_json::from_slice(&bytes)
                    .map_err(|error| PortError::Corrupt(format!("a stored message is no JSON: {error}")))?,
                Object::TooLarge | Object::Missing => {
                    return Err(RenderError::Never(invalid("What was to be sent is not stored any more.")));
                }
            },
            (None, Some(given)) => given.clone(),
            (None, None) => {
                return Err(RenderError::Never(invalid(
                    "There is nothing to send: the queue's message holds none.",
                )));
            }
        };
        message(body, profile).map_err(RenderError::Never)
    }

    /// Makes the mail.
    pub(crate) async fn pack(
        &self,
        message: &Message,
        delivery: &Delivery,
        from: &EmailAddress,
    ) -> Result<RenderedMessage<'_>, RenderError> {
        let gone = || RenderError::Never(invalid("An attachment is not stored any more."));
        let mut total = 0_u64;
        for attachment in &message.attachments {
            total = total.saturating_add(match &attachment.source {
                Source::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                Source::Object(key) => self.objects.size(key.as_str()).await?.ok_or_else(gone)?,
            });
        }
        if total > MAX_ATTACHMENT_BYTES {
            return Err(RenderError::Never(invalid("The attachments have more than 25 MiB together.")));
        }
        let text =
            message.text.as_ref().map_or(0, String::len) + message.html.as_ref().map_or(0, String::len);
        let room = self.room.take(total.saturating_add(u64::try_from(text).unwrap_or(u64::MAX))).await;
        let mut contents = Vec::with_capacity(message.attachments.len());
        for attachment in &message.attachments {
            contents.push(match &attachment.source {
                Source::Bytes(bytes) => bytes.clone(),
                Source::Object(key) => match self.objects.get(key.as_str(), MAX_ATTACHMENT_BYTES).await? {
                    Object::Bytes(bytes) => bytes,
                    Object::TooLarge | Object::Missing => return Err(gone()),
                },
            });
        }
        let stamp = Stamp { from, message_id: &delivery.message_id, date: delivery.created_at };
        let raw = compose(message, &stamp, contents).map_err(|error| {
            RenderError::Never(invalid(&format!("It cannot be made into a mail: {error}.")))
        })?;
        Ok(RenderedMessage { raw, _room: room })
    }
}

/// Reads a message's JSON.
pub(crate) fn message(body: Value, profile: ProfileId) -> Result<Message, SendError> {
    read::<MessageBody>(body)
        .and_then(|body| body.describe(profile))
        .map_err(|problems| unreadable(&problems))
}

fn unreadable(problems: &Problems) -> SendError {
    let all: Vec<String> =
        problems.0.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect();
    invalid(&format!("The message cannot be sent: {}.", all.join("; ")))
}

pub(crate) fn invalid(message: &str) -> SendError {
    SendError::new(SendErrorCode::MessageInvalid, message)
}
