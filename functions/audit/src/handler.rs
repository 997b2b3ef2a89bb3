//! One event: which profiles are audited now, and the answer.

use std::sync::Arc;
use std::time::Duration;

use mailroom_aws::send_queue::{LONGEST_DELAY, SendQueue};
use mailroom_core::audit::AuditResult;
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use mailroom_lambda::batch;
use mailroom_lambda::metrics::{Metric, Metrics};
use mailroom_lambda::start::Handler;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{error, info};

use crate::auditor::{Audited, Auditor};
use crate::event::{self, Event, UnknownEvent};

/// Kept at the end of an invocation for what must still be written.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The hours over which a day's audits are spread: each profile has its own.
const HOURS: u64 = 24;

/// The function.
pub struct Audit {
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) queue: SendQueue,
    pub(crate) metrics: Metrics,
}

/// Why an invocation failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The event is not one that this function handles.
    #[error(transparent)]
    Event(#[from] UnknownEvent),
    /// A service that all audits depend on failed.
    #[error("a service failed")]
    Port(#[from] PortError),
}

impl Handler for Audit {
    type Response = Value;
    type Error = AuditError;

    /// Handles one event and answers as its source expects.
    async fn handle(&self, event: Value, deadline: Instant) -> Result<Value, AuditError> {
        let end = deadline.checked_sub(CLOSING_TIME).unwrap_or_else(|| self.auditor.clock.instant());
        let answer = match Event::parse(event)? {
            Event::Schedule(at) => self.plan(at.unwrap_or_else(|| self.auditor.clock.now())).await,
            Event::Profile(id) => self.audit(id, end).await,
            Event::Queue(messages) => {
                let mut failed = Vec::new();
                for message in messages {
                    let result = match event::read_request(&message.body) {
                        Ok(id) => {
                            self.audit(id, end).await.map(drop).map_err(|error| Chain(&error).to_string())
                        }
                        Err(error) => Err(Chain(&error).to_string()),
                    };
                    if let Err(error) = result {
                        error!(queue.message = %message.id, error, "an audit failed and will be delivered again");
                        failed.push(message.id);
                    }
                }
                Ok(json!(batch::failures(failed)))
            }
        };
        self.auditor.tokens.settle(deadline).await;
        Ok(answer?)
    }
}

impl Audit {
    /// Puts the profiles of this hour on the queue, spread over a part of it.
    async fn plan(&self, at: OffsetDateTime) -> Result<Value, PortError> {
        let hour = at.unix_timestamp().unsigned_abs() / 3_600 % HOURS;
        let ids = self.auditor.table.profile_ids().await?;
        let mut planned = 0;
        for id in ids {
            let place = place_of(id);
            if place % HOURS == hour {
                let delay = Duration::from_secs(place / HOURS % (LONGEST_DELAY.as_secs() + 1));
                self.queue.send_later(&id.to_string(), &event::request(id), delay).await?;
                planned += 1;
            }
        }
        info!(hour, planned, "audits are planned");
        let metrics = [Metric::count("AuditPlans", 1), Metric::count("AuditsPlanned", planned)];
        self.metrics.write(("AuditHour", "any".to_owned()), &metrics, self.auditor.clock.now());
        Ok(json!({"planned": planned}))
    }

    /// Audits a profile, and counts the result.
    async fn audit(&self, id: ProfileId, end: Instant) -> Result<Value, PortError> {
        let Some(Audited { status, counts }) = self.auditor.audit(id, end).await? else {
            return Ok(json!({"result": null}));
        };
        let result = match status.result {
            AuditResult::Fine => "fine",
            AuditResult::Missing => "missing",
            AuditResult::Inconclusive => "inconclusive",
        };
        let missing = usize::try_from(status.missing).unwrap_or(usize::MAX);
        let metrics = [Metric::count("Audits", 1), Metric::count("MessagesMissing", missing)];
        self.metrics.write(("AuditResult", result.to_owned()), &metrics, self.auditor.clock.now());
        Ok(json!({
            "result": result, "reason": status.reason, "missing": status.missing,
            "counts": {
                "listed": counts.listed, "not_due": counts.not_due, "handed_over": counts.handed_over,
                "quarantined": counts.quarantined, "read_before": counts.read_before, "waiting": counts.waiting,
                "deferred": counts.deferred, "held_back": counts.held_back, "removed": counts.removed,
                "changed": counts.changed, "missing": counts.missing,
            },
        }))
    }
}

/// A number that spreads profiles evenly, the same for ever.
fn place_of(id: ProfileId) -> u64 {
    let digest = Sha256::digest(id.to_string());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
