//! From a stored message to the bytes of an email.

use mailroom_contract::message::MessageBody;
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::send_request::Content;
use mailroom_core::outbound::delivery::{Delivery, SendError, SendErrorCode};
use mailroom_core::outbound::message::{EmailAddress, MAX_ATTACHMENT_BYTES, Message, Source};
use mailroom_core::outbound::ports::{Object, Objects};
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use mailroom_lambda::memory::{Held, MemoryBudget};
use mailroom_mime::compose::{Stamp, compose};
use serde_json::Value;

/// The largest stored message in bytes of JSON: more than the API accepts.
const MAX_CONTENT: u64 = 16 * 1024 * 1024;

/// The bytes of text and attachments that all messages of an invocation may hold at once. Encoded and joined, a message
/// takes up to four times its size.
const TOTAL_BYTES: u64 = 40 * 1024 * 1024;

/// Why a message was not rendered.
#[derive(Debug)]
pub(crate) enum RenderError {
    /// The message can never be rendered.
    Invalid(SendError),
    /// A service failed; another attempt may succeed.
    Port(PortError),
}

impl From<PortError> for RenderError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// The bytes of an email, with their share of the memory budget.
pub(crate) struct RenderedMessage<'a> {
    pub(crate) raw: Vec<u8>,
    _memory: Held<'a>,
}

/// Where messages and their attachments are stored, and the memory budget for them.
pub(crate) struct MessageStore<O> {
    objects: O,
    memory: MemoryBudget,
}

impl<O: Objects> MessageStore<O> {
    pub(crate) fn new(objects: O) -> Self {
        Self { objects, memory: MemoryBudget::new(TOTAL_BYTES) }
    }

    /// A delivery's message: stored, or `included` in the queue message.
    pub(crate) async fn message(
        &self,
        profile: ProfileId,
        delivery: &Delivery,
        included: &Content,
    ) -> Result<Message, RenderError> {
        let body = match (&delivery.content, included) {
            (Some(key), _) => match self.objects.get(key, MAX_CONTENT).await? {
                Object::Bytes(bytes) => serde_json::from_slice(&bytes)
                    .map_err(|error| PortError::Corrupt(format!("a stored message is not JSON: {error}")))?,
                Object::TooLarge | Object::Missing => {
                    return Err(RenderError::Invalid(invalid("The message is no longer stored.")));
                }
            },
            (None, Content::Included(message)) => Value::Object(message.clone()),
            (None, Content::Stored) => {
                return Err(RenderError::Invalid(invalid("The queue message carries no message to send.")));
            }
        };
        message(body, profile).map_err(RenderError::Invalid)
    }

    /// Writes the message as an email, with its attachments.
    pub(crate) async fn render(
        &self,
        message: &Message,
        delivery: &Delivery,
        from: &EmailAddress,
    ) -> Result<RenderedMessage<'_>, RenderError> {
        let gone = || RenderError::Invalid(invalid("An attachment is no longer stored."));
        let mut total = 0_u64;
        for attachment in &message.attachments {
            total = total.saturating_add(match &attachment.source {
                Source::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                Source::Object(key) => self.objects.size(key.as_str()).await?.ok_or_else(gone)?,
            });
        }
        if total > MAX_ATTACHMENT_BYTES {
            return Err(RenderError::Invalid(invalid("The attachments have more than 25 MiB in total.")));
        }
        let text =
            message.text.as_ref().map_or(0, String::len) + message.html.as_ref().map_or(0, String::len);
        let memory = self.memory.take(total.saturating_add(u64::try_from(text).unwrap_or(u64::MAX))).await;
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
            RenderError::Invalid(invalid(&format!("The message cannot be written as an email: {error}.")))
        })?;
        Ok(RenderedMessage { raw, _memory: memory })
    }
}

/// Reads a message's JSON; every problem with it is in the error.
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
