//! Which profiles a run polls, and what becomes of the run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mailroom_core::error_chain::Chain;
use mailroom_core::inbound::schedule::{self, PollRequest, Range};
use mailroom_core::ports::{Forgotten, Grants, Handover, Page, PortError, Profiles, Schedules};
use mailroom_core::profile::{Profile, ProfileId, RefreshInterval};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::event::{Event, Record, UnknownEvent};
use crate::poller::{Invocation, Poller};
use mailroom_lambda::batch::{self, BatchResponse};
use mailroom_lambda::clock;
use mailroom_lambda::start::Handler;
use serde_json::Value;

/// Kept at the end of an invocation for what must still be written.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// The fetch function over its ports.
pub struct Fetch<P, G, H, S> {
    poller: Arc<Poller<P, G, H>>,
    schedules: S,
}

/// Why an invocation failed as a whole. What fails for one profile is in its status instead.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The event is not one of ours.
    #[error(transparent)]
    Event(#[from] UnknownEvent),
    /// A service that everything depends on failed.
    #[error("the run could not be planned")]
    Port(#[from] PortError),
}

/// Who asks for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The interval's schedule: later rounds have to be asked for.
    Schedule,
    /// A later round.
    Round,
}

impl<P, G, H, S> Handler for Fetch<P, G, H, S>
where
    P: Profiles + 'static,
    G: Grants + 'static,
    H: Handover + 'static,
    S: Schedules + 'static,
{
    type Response = BatchResponse;
    type Error = FetchError;

    /// Handles one event and answers as its source expects. An error means that the event is not understood, or that
    /// nothing could be planned at all.
    async fn handle(&self, event: Value, deadline: Instant) -> Result<BatchResponse, FetchError> {
        let end = deadline.checked_sub(CLOSING_TIME).unwrap_or_else(clock::instant);
        self.serve_event(event, end).await
    }
}

impl<P, G, H, S> Fetch<P, G, H, S>
where
    P: Profiles + 'static,
    G: Grants + 'static,
    H: Handover + 'static,
    S: Schedules,
{
    pub(crate) fn new(poller: Arc<Poller<P, G, H>>, schedules: S) -> Self {
        Self { poller, schedules }
    }

    async fn serve_event(&self, event: Value, end: Instant) -> Result<BatchResponse, FetchError> {
        match Event::parse(event)? {
            Event::Schedule(interval) => {
                self.plan(interval, Caller::Schedule, end).await?;
                if interval == RefreshInterval::DEFAULT {
                    self.repair_schedules().await;
                }
                Ok(batch::failures(Vec::new()))
            }
            Event::Queue(records) => {
                let mut failed = Vec::new();
                for record in records {
                    if let Err(error) = self.serve(&record, end).await {
                        error!(queue.message = %record.id, error = %Chain(&error), "a poll request failed and will be delivered again");
                        failed.push(record.id);
                    }
                }
                Ok(batch::failures(failed))
            }
        }
    }

    /// Does what one message of the poll queue asks for.
    async fn serve(&self, record: &Record, end: Instant) -> Result<(), PortError> {
        let request = record.request.as_ref().map_err(|why| PortError::Corrupt(why.clone()))?;
        let interval_of = |seconds: u32| {
            RefreshInterval::from_seconds(seconds)
                .map_err(|why| PortError::Corrupt(format!("refresh_interval {why}")))
        };
        match request {
            PollRequest::Range { refresh_interval, shard, range, .. } => {
                let page = self.listening(interval_of(*refresh_interval)?, *shard, Some(range)).await?;
                let due = page.profiles.into_iter().filter(|p| schedule::is_due(p, clock::now())).collect();
                self.poll_all(due, end).await
            }
            PollRequest::Profile { profile_id, .. } => {
                let id = ProfileId::parse(profile_id)
                    .map_err(|why| PortError::Corrupt(format!("profile_id {why}")))?;
                match self.poller.profiles().get(id).await? {
                    Some(profile) if schedule::is_due(&profile, clock::now()) => {
                        self.poll_all(vec![profile], end).await
                    }
                    Some(_) | None => Ok(()),
                }
            }
            PollRequest::Round { refresh_interval, .. } => {
                self.plan(interval_of(*refresh_interval)?, Caller::Round, end).await
            }
            PollRequest::Forget { profile_id, .. } => {
                let id = ProfileId::parse(profile_id)
                    .map_err(|why| PortError::Corrupt(format!("profile_id {why}")))?;
                let time = end.saturating_duration_since(clock::instant());
                match self.poller.profiles().forget(id, time).await? {
                    Forgotten::All => Ok(()),
                    Forgotten::More => {
                        self.poller.handover().request(&[(request.clone(), Duration::ZERO)]).await
                    }
                }
            }
        }
    }

    /// Makes the schedules that are missing. The default interval's is always there, so this is always done by somebody.
    async fn repair_schedules(&self) {
        match self.schedules.repair().await {
            Ok(mended) => {
                for interval in mended {
                    warn!(
                        interval = interval.seconds(),
                        "an interval in use had no schedule, and has one again"
                    );
                }
            }
            Err(error) => {
                warn!(error = %Chain(&error), "schedules could not be compared with the intervals in use")
            }
        }
    }

    /// Polls an interval's due profiles, or has the poll queue do it.
    async fn plan(&self, interval: RefreshInterval, caller: Caller, end: Instant) -> Result<(), PortError> {
        if caller == Caller::Schedule {
            self.ask_for_later_rounds(interval).await?;
        }
        let shards = self.all_listening(interval).await?;
        let listening: usize = shards.iter().map(|(_, page)| page.profiles.len() + page.unreadable).sum();
        if listening == 0 {
            return self.schedules.left(interval).await;
        }
        let now = clock::now();
        let due: Vec<(u8, Vec<Profile>)> = shards
            .into_iter()
            .map(|(shard, page)| {
                (shard, page.profiles.into_iter().filter(|p| schedule::is_due(p, now)).collect())
            })
            .collect();
        let count: usize = due.iter().map(|(_, profiles)| profiles.len()).sum();
        info!(interval = interval.seconds(), listening, due = count, "planned");
        if count <= schedule::BATCH {
            return self.poll_all(due.into_iter().flat_map(|(_, profiles)| profiles).collect(), end).await;
        }
        let keys: Vec<(u8, Vec<String>)> = due
            .iter()
            .map(|(shard, profiles)| (*shard, profiles.iter().map(schedule::sort_key).collect()))
            .collect();
        self.poller.handover().request(&schedule::batches(interval, &keys)).await
    }

    async fn ask_for_later_rounds(&self, interval: RefreshInterval) -> Result<(), PortError> {
        let rounds: Vec<_> = schedule::later_rounds(interval)
            .into_iter()
            .map(|delay| {
                let request = PollRequest::Round {
                    version: PollRequest::VERSION,
                    refresh_interval: interval.seconds(),
                };
                (request, delay)
            })
            .collect();
        if rounds.is_empty() { Ok(()) } else { self.poller.handover().request(&rounds).await }
    }

    async fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&Range>,
    ) -> Result<Page, PortError> {
        self.poller.profiles().listening(interval, shard, range).await
    }

    async fn all_listening(&self, interval: RefreshInterval) -> Result<Vec<(u8, Page)>, PortError> {
        join_all((0..schedule::SHARDS).map(|shard| async move {
            self.listening(interval, shard, None).await.map(|page| (shard, page))
        }))
        .await
        .into_iter()
        .collect()
    }

    /// Polls these profiles at once, each in a task of its own.
    async fn poll_all(&self, profiles: Vec<Profile>, end: Instant) -> Result<(), PortError> {
        let invocation = if profiles.len() == 1 { Invocation::Dedicated } else { Invocation::Shared };
        let mut tasks = JoinSet::new();
        let mut owners = HashMap::new();
        for profile in profiles {
            let poller = Arc::clone(&self.poller);
            let owner = profile.clone();
            let task = tasks.spawn(async move { Box::pin(poller.poll(profile, invocation, end)).await });
            owners.insert(task.id(), owner);
        }
        let mut first_error = None;
        while let Some(ended) = tasks.join_next_with_id().await {
            let result = match ended {
                Ok((_, result)) => result,
                Err(panic) => match owners.get(&panic.id()) {
                    Some(profile) => self.poller.panicked(profile).await,
                    None => Ok(()),
                },
            };
            if let Err(error) = result {
                warn!(error = %Chain(&error), "a profile could not be handled");
                first_error = first_error.or(Some(error));
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
