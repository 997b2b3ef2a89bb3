//! The send queue, and the queues that its messages go on to. What their bodies say is the contract crate's.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sqs::Client;
use mailroom_core::outbound::ports::SendQueues;
use mailroom_core::ports::PortError;

use crate::client::Clients;
use crate::error::unavailable;

/// The longest visibility timeout of a queue message: 12 hours (SQS).
const LONGEST_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(12 * 60 * 60);

/// The longest delay of a queue message: 15 minutes (SQS).
pub const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);

/// A queue, for writing to.
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

    /// Sends a queue message. `group` is whose it is: a fair queue delivers the messages of one group without delaying
    /// those of the others (SQS fair queues).
    ///
    /// # Errors
    /// When the queue does not take the message.
    pub async fn send(&self, group: &str, body: &str) -> Result<(), PortError> {
        let send = self.sqs().send_message().queue_url(&self.url).message_group_id(group).message_body(body);
        send.send().await.map_err(unavailable("SendMessage"))?;
        Ok(())
    }

    /// Sends a queue message that the queue delivers after `delay`, at most [`LONGEST_DELAY`].
    ///
    /// # Errors
    /// When the queue does not take the message.
    pub async fn send_later(&self, group: &str, body: &str, delay: Duration) -> Result<(), PortError> {
        let seconds = i32::try_from(delay.min(LONGEST_DELAY).as_secs()).unwrap_or_default();
        let send = self.sqs().send_message().queue_url(&self.url).message_group_id(group).message_body(body);
        send.delay_seconds(seconds).send().await.map_err(unavailable("SendMessage"))?;
        Ok(())
    }

    async fn send_to(&self, url: &str, body: &str) -> Result<(), PortError> {
        let send = self.sqs().send_message().queue_url(url).message_body(body);
        send.send().await.map_err(unavailable("SendMessage"))?;
        Ok(())
    }
}

/// The send queue with the dead-letter queue and, where the deployment has one, the outcome queue.
#[derive(Debug)]
pub struct Queues {
    send: SendQueue,
    dead_letter_url: String,
    outcome_url: Option<String>,
}

impl Queues {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, send_url: &str, dead_letter_url: &str, outcome_url: Option<&str>) -> Self {
        Self {
            send: SendQueue::new(clients, send_url),
            dead_letter_url: dead_letter_url.to_owned(),
            outcome_url: outcome_url.map(str::to_owned),
        }
    }
}

impl SendQueues for Queues {
    async fn postpone(&self, receipt_handle: &str, pause: Duration) -> Result<(), PortError> {
        let seconds = i32::try_from(pause.min(LONGEST_VISIBILITY_TIMEOUT).as_secs()).unwrap_or(i32::MAX);
        self.send
            .sqs()
            .change_message_visibility()
            .queue_url(&self.send.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await
            .map_err(unavailable("ChangeMessageVisibility"))?;
        Ok(())
    }

    async fn dead_letter(&self, body: &str) -> Result<(), PortError> {
        self.send.send_to(&self.dead_letter_url, body).await
    }

    async fn publish_outcome(&self, body: &str) -> Result<(), PortError> {
        match &self.outcome_url {
            Some(url) => self.send.send_to(url, body).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
