//! The batch: its queue messages by profiles, and what the queue is told about each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mailroom_contract::send_request::Content;
use mailroom_core::error_chain::Chain;
use mailroom_core::outbound::ports::{Deliveries as _, SendQueues as _};
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::event::QueuedSend;
use crate::ports::LoginSecrets as _;
use crate::sender::Sender;
use crate::services::{Ack, Ports, Services};
use mailroom_lambda::batch::{self, BatchResponse, NotABatch, QueueMessage};
use mailroom_lambda::start::Handler;

/// The part of an invocation's time that is kept for storing results and responding.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The pause after a failure of a service. The queue gives up after a thousand receives, which is more than a day.
const SERVICE_FAILURE_PAUSE: Duration = Duration::from_secs(120);

/// The pause after another run changed the delivery: by then it is stored how far that one came.
const LOST_PAUSE: Duration = Duration::from_secs(10);

/// The function.
pub(crate) struct SendHandler<P: Ports> {
    services: Arc<Services<P>>,
}

impl<P: Ports> SendHandler<P> {
    pub(crate) const fn new(services: Arc<Services<P>>) -> Self {
        Self { services }
    }
}

impl<P: Ports> Handler for SendHandler<P> {
    type Response = BatchResponse;
    type Error = NotABatch;

    /// Handles a batch of the send queue. The response names the queue messages to deliver again; only an event that is
    /// not a batch is an error.
    async fn handle(&self, event: Value, deadline: Instant) -> Result<BatchResponse, NotABatch> {
        let end = deadline.checked_sub(CLOSING_TIME).unwrap_or_else(|| self.services.clock.instant());
        let mut failed = Vec::new();
        let mut by_profile: BTreeMap<ProfileId, Vec<QueuedSend>> = BTreeMap::new();
        for queue_message in batch::read(event)? {
            match QueuedSend::read(queue_message) {
                Ok(queued) => by_profile.entry(queued.request.profile).or_default().push(queued),
                Err((queue_message, error)) => {
                    error!(%error, "a message of the send queue cannot be read; it goes to the dead-letter queue");
                    failed.extend(self.services.dead_letter(queue_message).await);
                }
            }
        }
        let mut tasks = JoinSet::new();
        let mut ids_by_task = BTreeMap::new();
        for (profile, requests) in by_profile {
            let ids: Vec<String> = requests.iter().map(|queued| queued.queue_message.id.clone()).collect();
            let services = Arc::clone(&self.services);
            let task = tasks.spawn(async move { services.send_all(profile, requests, end).await });
            ids_by_task.insert(task.id(), ids);
        }
        while let Some(ended) = tasks.join_next_with_id().await {
            match ended {
                Ok((_, again)) => failed.extend(again),
                Err(panicked) => {
                    error!("a profile's task panicked; its queue messages are delivered again");
                    failed.extend(ids_by_task.remove(&panicked.id()).unwrap_or_default());
                }
            }
        }
        self.services.tokens.settle(deadline).await;
        Ok(batch::failures(failed))
    }
}

impl<P: Ports> Services<P> {
    /// Sends one profile's messages. Returns the ids of the queue messages to deliver again.
    async fn send_all(&self, id: ProfileId, requests: Vec<QueuedSend>, end: Instant) -> Vec<String> {
        let profile = match self.table.sender_profile(id).await {
            Ok(Some(profile)) => profile,
            Ok(None) => return self.handle_missing_profile(id, requests).await,
            Err(error) => {
                warn!(profile.id = %id, error = %Chain(&error), "the profile cannot be read");
                return requests.into_iter().map(|queued| queued.queue_message.id).collect();
            }
        };
        let mut sender = Sender::new(self, profile, end);
        let mut again = Vec::new();
        for queued in requests {
            let ack = match sender.drive(&queued).await {
                Ok(ack) => ack,
                Err(PortError::Lost) => Ack::Again(LOST_PAUSE),
                Err(error) => {
                    warn!(profile.id = %id, message.id = %queued.request.id, error = %Chain(&error), "a message could not be handled");
                    Ack::Failed
                }
            };
            if self.settle(&queued.queue_message, ack).await {
                again.push(queued.queue_message.id);
            }
        }
        sender.close().await;
        again
    }

    /// Sets when the queue delivers a message again; whether it does at all.
    async fn settle(&self, queue_message: &QueueMessage, ack: Ack) -> bool {
        match ack {
            Ack::Done => false,
            Ack::Failed => self.postpone(queue_message, SERVICE_FAILURE_PAUSE).await,
            Ack::Again(pause) => {
                // Rounded up to whole seconds, so that it is never early. What needs no pause is delivered at once.
                let pause = Duration::from_secs(pause.as_secs_f64().ceil() as u64);
                self.postpone(queue_message, pause).await
            }
        }
    }

    async fn postpone(&self, queue_message: &QueueMessage, pause: Duration) -> bool {
        if let Err(error) = self.queues.postpone(&queue_message.receipt_handle, pause).await {
            warn!(error = %Chain(&error), "a queue message could not be postponed; it is delivered again after the queue's visibility timeout");
        }
        true
    }

    /// Handles the messages of a profile that does not exist. Deleting a profile deletes its stored messages too.
    async fn handle_missing_profile(&self, id: ProfileId, requests: Vec<QueuedSend>) -> Vec<String> {
        let mut again = Vec::new();
        for queued in requests {
            if let Content::Included(_) = queued.request.content {
                error!(profile.id = %id, message.id = %queued.request.id, "the profile does not exist; the message goes to the dead-letter queue");
                again.extend(self.dead_letter(queued.queue_message).await);
            } else {
                info!(profile.id = %id, message.id = %queued.request.id, "the profile was deleted, and its message with it");
            }
        }
        again
    }

    /// Puts a queue message on the dead-letter queue. Returns its id if that failed, so that it is delivered again.
    async fn dead_letter(&self, queue_message: QueueMessage) -> Option<String> {
        match self.queues.dead_letter(&queue_message.body).await {
            Ok(()) => None,
            Err(error) => {
                warn!(error = %Chain(&error), "a queue message could not be put on the dead-letter queue");
                Some(queue_message.id)
            }
        }
    }
}

#[cfg(test)]
mod tests;
