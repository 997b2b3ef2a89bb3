//! One queue message of the send queue, read on its own.

use mailroom_contract::send_request::{Content, Occasion, SendRequest, SendRequestError};
use mailroom_lambda::batch::QueueMessage;
use sha2::{Digest as _, Sha256};

/// A queue message and the request that it carries.
#[derive(Debug)]
pub(crate) struct QueuedSend {
    pub(crate) queue_message: QueueMessage,
    pub(crate) request: SendRequest,
}

impl QueuedSend {
    /// Reads the request. What is wrong with the message itself is found when it is read.
    ///
    /// # Errors
    /// With the queue message, and why it is not a request.
    pub(crate) fn read(queue_message: QueueMessage) -> Result<Self, (QueueMessage, SendRequestError)> {
        match SendRequest::parse(&queue_message.body) {
            Ok(request) => Ok(Self { queue_message, request }),
            Err(error) => Err((queue_message, error)),
        }
    }

    /// Whether the queue message is a later look at a message, which the queue delivers for the first time.
    pub(crate) fn is_first_recheck(&self) -> bool {
        self.request.occasion == Occasion::Recheck && self.queue_message.deliveries == Some(1)
    }

    /// The digest of a message that the queue message carries: it distinguishes two messages with one id. The order of
    /// the members does not matter.
    pub(crate) fn digest(&self) -> Option<String> {
        match &self.request.content {
            Content::Included(message) => {
                let message = serde_json::to_vec(message).ok()?;
                Some(hex::encode(Sha256::digest(message)))
            }
            Content::Stored => None,
        }
    }
}
