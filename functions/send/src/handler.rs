//! The batch: its messages by profiles, and what becomes of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mailroom_auth::tokens::Tokens;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::send_queue::SendQueue;
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::{PortError, Profiles as _};
use mailroom_core::profile::ProfileId;
use mailroom_mail::{imap, smtp};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::event::QueuedSend;
use crate::render::Store;
use crate::sender::Sender;
use mailroom_lambda::batch::{self, BatchResponse, NotABatch, QueueMessage};
use mailroom_lambda::clock;
use mailroom_lambda::start::Handler;

/// What is left of an invocation's time to store what has become of it all, and to answer.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// How long a message rests after a failure of ours. A thousand such rests are more than a day: the queue gives up then.
const FAILED_PAUSE: Duration = Duration::from_secs(120);

/// What the function uses, shared by all tasks and kept while it is warm.
pub(crate) struct Services {
    pub(crate) table: Table,
    pub(crate) tokens: Tokens<GrantStore>,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) smtp: smtp::Connector,
    pub(crate) imap: imap::Connector,
    pub(crate) automatic_limit: u32,
}

/// The queues that messages come from and go to.
pub(crate) struct Queues {
    pub(crate) send: SendQueue,
    pub(crate) dead_letters: String,
    pub(crate) outcomes: Option<String>,
}

/// What becomes of a message of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// It is done with.
    Done,
    /// It comes again after this time.
    Again(Duration),
    /// It comes again in a while: a service of ours failed.
    Failed,
}

/// The function.
pub struct Send {
    services: Arc<Services>,
}

impl Send {
    pub(crate) const fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

impl Handler for Send {
    type Response = BatchResponse;
    type Error = NotABatch;

    /// Handles a batch of the send queue. What has to come again is named in the response; only an event that is not
    /// a batch is an error.
    async fn handle(&self, event: Value, deadline: Instant) -> Result<BatchResponse, NotABatch> {
        let end = deadline.checked_sub(CLOSING_TIME).unwrap_or_else(clock::instant);
        let mut failed = Vec::new();
        let mut by_profile: BTreeMap<ProfileId, Vec<QueuedSend>> = BTreeMap::new();
        for record in batch::read(event)? {
            match QueuedSend::read(record) {
                Ok(queued) => by_profile.entry(queued.profile).or_default().push(queued),
                Err((record, why)) => {
                    error!(why, "a message of the send queue cannot be read; it goes to the dead letters");
                    failed.extend(self.services.dead_letter(record).await);
                }
            }
        }
        let mut rounds = JoinSet::new();
        let mut records = BTreeMap::new();
        for (profile, orders) in by_profile {
            let ids: Vec<String> = orders.iter().map(|queued| queued.record.id.clone()).collect();
            let services = Arc::clone(&self.services);
            let task = rounds.spawn(async move { services.sender(profile, orders, end).await });
            records.insert(task.id(), ids);
        }
        while let Some(ended) = rounds.join_next_with_id().await {
            match ended {
                Ok((_, again)) => failed.extend(again),
                Err(panicked) => {
                    error!("a profile's task panicked; its messages come again");
                    failed.extend(records.remove(&panicked.id()).unwrap_or_default());
                }
            }
        }
        Ok(batch::failures(failed))
    }
}

impl Services {
    /// One profile's messages; those that come again.
    async fn sender(&self, id: ProfileId, orders: Vec<QueuedSend>, end: Instant) -> Vec<String> {
        let profile = match self.table.get(id).await {
            Ok(Some(profile)) => profile,
            Ok(None) => return self.handle_missing_profile(id, orders).await,
            Err(error) => {
                warn!(profile.id = %id, error = %Chain(&error), "the profile cannot be read");
                return orders.into_iter().map(|queued| queued.record.id).collect();
            }
        };
        let mut sender = Sender::new(self, profile, end);
        let mut again = Vec::new();
        for queued in orders {
            let verdict = match sender.drive(&queued).await {
                Ok(verdict) => verdict,
                Err(PortError::Lost) => Ack::Again(Duration::from_secs(10)),
                Err(error) => {
                    warn!(profile.id = %id, message.id = %queued.id, error = %Chain(&error), "a message could not be handled");
                    Ack::Failed
                }
            };
            if self.settle(&queued.record, verdict).await {
                again.push(queued.record.id);
            }
        }
        sender.close().await;
        again
    }

    /// Whether the queue has to deliver a message again.
    async fn settle(&self, record: &QueueMessage, verdict: Ack) -> bool {
        match verdict {
            Ack::Done => false,
            Ack::Failed => self.settle_within(record, FAILED_PAUSE).await,
            Ack::Again(pause) => {
                // Not before the time, which is told in whole seconds.
                let pause = Duration::from_secs(pause.as_secs_f64().ceil().max(1.0) as u64);
                self.settle_within(record, pause).await
            }
        }
    }

    async fn settle_within(&self, record: &QueueMessage, pause: Duration) -> bool {
        if let Err(error) = self.queues.send.postpone(&record.receipt_handle, pause).await {
            warn!(error = %Chain(&error), "a message was not put off; it comes again in the queue's own time");
        }
        true
    }

    /// Messages of a profile that is not there. What was stored of them went with it.
    async fn handle_missing_profile(&self, id: ProfileId, orders: Vec<QueuedSend>) -> Vec<String> {
        let mut again = Vec::new();
        for queued in orders {
            if queued.message.is_some() {
                error!(profile.id = %id, message.id = %queued.id, "there is no such profile; the message goes to the dead letters");
                again.extend(self.dead_letter(queued.record).await);
            } else {
                info!(profile.id = %id, message.id = %queued.id, "the profile is gone, and its message with it");
            }
        }
        again
    }

    /// Puts a message where people look for what went wrong; its id if that failed, so that it comes again.
    async fn dead_letter(&self, record: QueueMessage) -> Option<String> {
        match self.queues.send.pass_on(&self.queues.dead_letters, &record.body).await {
            Ok(()) => None,
            Err(error) => {
                warn!(error = %Chain(&error), "a message could not be passed on to the dead letters");
                Some(record.id)
            }
        }
    }
}
