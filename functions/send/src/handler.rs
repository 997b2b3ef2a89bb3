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

use crate::event::Order;
use crate::render::Store;
use crate::sender::Round;
use mailroom_lambda::batch::{self, BatchResponse, NotABatch, QueueMessage};
use mailroom_lambda::clock;
use mailroom_lambda::start::Handler;

/// What is left of an invocation's time to store what has become of it all, and to answer.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// How long a message rests after a failure of ours. A thousand such rests are more than a day: the queue gives up then.
const FAILED_PAUSE: Duration = Duration::from_secs(120);

/// What the function uses, shared by all tasks and kept while it is warm.
pub(crate) struct Office {
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
pub(crate) enum Verdict {
    /// It is done with.
    Done,
    /// It comes again after this time.
    Again(Duration),
    /// It comes again in a while: a service of ours failed.
    Failed,
}

/// The function.
pub struct Send {
    office: Arc<Office>,
}

impl Send {
    pub(crate) const fn new(office: Arc<Office>) -> Self {
        Self { office }
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
        let mut by_profile: BTreeMap<ProfileId, Vec<Order>> = BTreeMap::new();
        for record in batch::read(event)? {
            match Order::read(record) {
                Ok(order) => by_profile.entry(order.profile).or_default().push(order),
                Err((record, why)) => {
                    error!(why, "a message of the send queue cannot be read; it goes to the dead letters");
                    failed.extend(self.office.bury(record).await);
                }
            }
        }
        let mut rounds = JoinSet::new();
        let mut records = BTreeMap::new();
        for (profile, orders) in by_profile {
            let ids: Vec<String> = orders.iter().map(|order| order.record.id.clone()).collect();
            let office = Arc::clone(&self.office);
            let task = rounds.spawn(async move { office.round(profile, orders, end).await });
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

impl Office {
    /// One profile's messages; those that come again.
    async fn round(&self, id: ProfileId, orders: Vec<Order>, end: Instant) -> Vec<String> {
        let profile = match self.table.get(id).await {
            Ok(Some(profile)) => profile,
            Ok(None) => return self.strand(id, orders).await,
            Err(error) => {
                warn!(profile.id = %id, error = %Chain(&error), "the profile cannot be read");
                return orders.into_iter().map(|order| order.record.id).collect();
            }
        };
        let mut round = Round::new(self, profile, end);
        let mut again = Vec::new();
        for order in orders {
            let verdict = match round.drive(&order).await {
                Ok(verdict) => verdict,
                Err(PortError::Lost) => Verdict::Again(Duration::from_secs(10)),
                Err(error) => {
                    warn!(profile.id = %id, message.id = %order.id, error = %Chain(&error), "a message could not be handled");
                    Verdict::Failed
                }
            };
            if self.settle(&order.record, verdict).await {
                again.push(order.record.id);
            }
        }
        round.close().await;
        again
    }

    /// Whether the queue has to deliver a message again.
    async fn settle(&self, record: &QueueMessage, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Done => false,
            Verdict::Failed => self.settle_within(record, FAILED_PAUSE).await,
            Verdict::Again(pause) => {
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
    async fn strand(&self, id: ProfileId, orders: Vec<Order>) -> Vec<String> {
        let mut again = Vec::new();
        for order in orders {
            if order.message.is_some() {
                error!(profile.id = %id, message.id = %order.id, "there is no such profile; the message goes to the dead letters");
                again.extend(self.bury(order.record).await);
            } else {
                info!(profile.id = %id, message.id = %order.id, "the profile is gone, and its message with it");
            }
        }
        again
    }

    /// Puts a message where people look for what went wrong; its id if that failed, so that it comes again.
    async fn bury(&self, record: QueueMessage) -> Option<String> {
        match self.queues.send.pass_on(&self.queues.dead_letters, &record.body).await {
            Ok(()) => None,
            Err(error) => {
                warn!(error = %Chain(&error), "a message could not be passed on to the dead letters");
                Some(record.id)
            }
        }
    }
}
