//! The queue that outbound mail waits in, and where it goes from there when it cannot be sent.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sqs::Client;
use mailroom_core::outbound::message::OutboundId;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use serde::{Deserialize, Serialize};

use crate::client::Clients;
use crate::error::unavailable;
use crate::handover::json;

/// The longest time that a queue hides a message: 12 hours (SQS).
const LONGEST_HIDING: Duration = Duration::from_secs(12 * 60 * 60);

/// A message that is stored: what is on the queue of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The profile that sends it.
    pub profile_id: String,
    /// Its id.
    pub id: String,
}

/// The send queue, for whoever puts something on it.
#[derive(Debug)]
pub struct SendQueue {
    clients: Clients,
    sqs: OnceLock<Client>,
    url: String,
}

impl SendQueue {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, url: &str) -> Self {
        Self { clients: clients.clone(), sqs: OnceLock::new(), url: url.to_owned() }
    }

    fn sqs(&self) -> &Client {
        self.sqs.get_or_init(|| Client::new(&self.clients.config))
    }

    /// Asks for a stored message to be sent. A repeat is harmless.
    ///
    /// # Errors
    /// When the queue does not take it.
    pub async fn request(&self, profile: ProfileId, id: &OutboundId) -> Result<(), PortError> {
        let request = SendRequest { profile_id: profile.to_string(), id: id.to_string() };
        self.put(&self.url, json(&request)?).await
    }

    /// Has a message that was received come again after `pause` (whole seconds, at most 12 hours).
    ///
    /// # Errors
    /// When the queue does not do it: it comes again when the queue's own time has passed.
    pub async fn postpone(&self, receipt: &str, pause: Duration) -> Result<(), PortError> {
        let seconds = i32::try_from(pause.min(LONGEST_HIDING).as_secs()).unwrap_or(i32::MAX);
        self.sqs()
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .send()
            .await
            .map_err(unavailable("ChangeMessageVisibility"))?;
        Ok(())
    }

    /// Puts a message on another queue.
    ///
    /// # Errors
    /// When that does not take it.
    pub async fn pass_on(&self, queue: &str, body: &str) -> Result<(), PortError> {
        self.put(queue, body.to_owned()).await
    }

    /// Tells something to another queue.
    ///
    /// # Errors
    /// When that does not take it.
    pub async fn tell(&self, queue: &str, event: &impl Serialize) -> Result<(), PortError> {
        self.put(queue, json(event)?).await
    }

    async fn put(&self, queue: &str, body: String) -> Result<(), PortError> {
        let send = self.sqs().send_message().queue_url(queue).message_body(body);
        send.send().await.map_err(unavailable("SendMessage"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
