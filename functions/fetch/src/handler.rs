//! Which profiles an invocation polls, and its answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mailroom_auth::tokens::Tokens;
use mailroom_core::error_chain::Chain;
use mailroom_core::inbound::interval_health::IntervalHealth;
use mailroom_core::inbound::poll::Invocation;
use mailroom_core::inbound::schedule::{self, PollRequest, Position, Range, RetryIs};
use mailroom_core::inbound::step::PollOutcome;
use mailroom_core::ports::{Forgotten, Grants, Handover, Listening, PortError, Profiles, Schedules};
use mailroom_core::profile::{Profile, ProfileId, RefreshInterval};
use mailroom_lambda::batch::{self, BatchResponse};
use mailroom_lambda::metrics::{Metric, Metrics};
use mailroom_lambda::start::Handler;
use mailroom_net::clock::Clock;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::event::{Event, Record, UnknownEvent};
use crate::poller::{Mailboxes, Poller};

/// Kept at the end of an invocation for what must still be written.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// How long a check waits for a lease that another run holds.
const CHECK_AGAIN: Duration = Duration::from_secs(30);

/// The fetch function over its ports.
pub struct Fetch<P, G, H, S, M> {
    poller: Arc<Poller<P, G, H, M>>,
    schedules: S,
    metrics: Metrics,
}

/// Why an invocation failed as a whole. What fails for one profile is in its status instead.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The event is not one that this function handles.
    #[error(transparent)]
    Event(#[from] UnknownEvent),
    /// A service that all profiles depend on failed.
    #[error("the interval could not be planned")]
    Port(#[from] PortError),
}

/// What asks for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The interval's schedule: later rounds have to be asked for.
    Schedule,
    /// A later round.
    Round,
}

impl<P, G, H, S, M> Handler for Fetch<P, G, H, S, M>
where
    P: Profiles + 'static,
    G: Grants + 'static,
    H: Handover + 'static,
    S: Schedules + 'static,
    M: Mailboxes + 'static,
{
    type Response = BatchResponse;
    type Error = FetchError;

    /// Handles one event and answers as its source expects. An error means that the event is not understood, or that
    /// nothing could be planned at all.
    async fn handle(&self, event: Value, deadline: Instant) -> Result<BatchResponse, FetchError> {
        let end = deadline.checked_sub(CLOSING_TIME).unwrap_or_else(|| self.clock().instant());
        let served = self.serve_event(event, end).await;
        self.poller.tokens.settle(deadline).await;
        served
    }
}

impl<P, G, H, S, M> Fetch<P, G, H, S, M>
where
    P: Profiles + 'static,
    G: Grants + 'static,
    H: Handover + 'static,
    S: Schedules,
    M: Mailboxes + 'static,
{
    /// The function over these ports, by this clock.
    pub fn new(
        profiles: P,
        tokens: Tokens<G>,
        handover: H,
        schedules: S,
        mailboxes: M,
        clock: Clock,
    ) -> Self {
        let poller = Arc::new(Poller::new(profiles, tokens, handover, mailboxes, clock));
        Self { poller, schedules, metrics: Metrics::default() }
    }

    /// Writes what it counts.
    #[must_use]
    pub fn reporting(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    fn clock(&self) -> Clock {
        self.poller.clock
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
                for Record { id, request } in records {
                    let why = match request {
                        Ok(request) => match self.serve(&request, end).await {
                            Ok(()) => continue,
                            Err(error) => Chain(&error).to_string(),
                        },
                        Err(error) => Chain(&error).to_string(),
                    };
                    error!(queue.message = %id, error = %why, "a poll request failed and will be delivered again");
                    failed.push(id);
                }
                Ok(batch::failures(failed))
            }
        }
    }

    /// Does what one message of the poll queue asks for.
    async fn serve(&self, request: &PollRequest, end: Instant) -> Result<(), PortError> {
        let due = |profile: &Profile| schedule::is_due(profile, self.clock().now());
        match request {
            PollRequest::Range { interval, shard, range } => {
                let listening = self.listening(*interval, *shard, Some(range)).await?;
                self.poll_all(listening.profiles.into_iter().filter(due).collect(), end).await.map(drop)
            }
            PollRequest::Profile(id) => {
                let profile = self.poller.profiles.get(*id).await?;
                self.poll_all(profile.into_iter().filter(due).collect(), end).await.map(drop)
            }
            PollRequest::Check { profile: id, position } => {
                let profile = self.poller.profiles.get(*id).await?;
                let unmoved = |profile: &Profile| {
                    profile.cursor.as_ref().map(Position::from) == *position && due(profile)
                };
                let outcomes = self.poll_all(profile.into_iter().filter(unmoved).collect(), end).await?;
                if outcomes.contains(&PollOutcome::NotLeased) {
                    // By the clock of the run that crashed, its lease has not ended.
                    let check = PollRequest::Check { profile: *id, position: *position };
                    self.poller.handover.request(&[(check, CHECK_AGAIN)]).await?;
                }
                Ok(())
            }
            PollRequest::Retry { profile: id, not_before } => {
                let Some(profile) = self.poller.profiles.get(*id).await? else { return Ok(()) };
                match schedule::retry_is(&profile, *not_before, self.clock().now()) {
                    RetryIs::Void => Ok(()),
                    RetryIs::Early(delay) => self.poller.handover.request(&[(request.clone(), delay)]).await,
                    RetryIs::Due => self.poll_all(vec![profile], end).await.map(drop),
                }
            }
            PollRequest::Round(interval) => self.plan(*interval, Caller::Round, end).await,
            PollRequest::Forget(id) => self.forget(*id, end).await,
        }
    }

    /// Forgets as much of a profile as time allows, and asks for the rest.
    async fn forget(&self, id: ProfileId, end: Instant) -> Result<(), PortError> {
        let time = end.saturating_duration_since(self.clock().instant());
        match self.poller.profiles.forget(id, time).await? {
            Forgotten::All => Ok(()),
            Forgotten::More => {
                self.poller.handover.request(&[(PollRequest::Forget(id), Duration::ZERO)]).await
            }
        }
    }

    /// Creates the schedules that are missing. The default interval's always exists, so each of its runs does this.
    async fn repair_schedules(&self) {
        match self.schedules.repair().await {
            Ok(repaired) => {
                for interval in repaired {
                    warn!(
                        interval = interval.seconds(),
                        "the schedule of an interval in use was missing, and is created again"
                    );
                }
            }
            Err(error) => {
                warn!(error = %Chain(&error), "schedules could not be compared with the intervals in use")
            }
        }
    }

    /// Polls an interval's due profiles here if they are few, and else through the poll queue.
    async fn plan(&self, interval: RefreshInterval, caller: Caller, end: Instant) -> Result<(), PortError> {
        if caller == Caller::Schedule {
            self.ask_for_later_rounds(interval).await?;
        }
        let shards = self.all_listening(interval).await?;
        let now = self.clock().now();
        let profiles = shards.iter().flat_map(|(_, listening)| &listening.profiles);
        self.report_health(interval, &IntervalHealth::of(profiles, now));
        let listening: usize =
            shards.iter().map(|(_, listening)| listening.profiles.len() + listening.unreadable).sum();
        if listening == 0 {
            return self.schedules.left(interval).await;
        }
        let due: Vec<(u8, Vec<Profile>)> = shards
            .into_iter()
            .map(|(shard, listening)| {
                (shard, listening.profiles.into_iter().filter(|p| schedule::is_due(p, now)).collect())
            })
            .collect();
        let count: usize = due.iter().map(|(_, profiles)| profiles.len()).sum();
        info!(interval = interval.seconds(), listening, due = count, "planned");
        if count <= schedule::BATCH {
            let profiles = due.into_iter().flat_map(|(_, profiles)| profiles).collect();
            return self.poll_all(profiles, end).await.map(drop);
        }
        let keys: Vec<(u8, Vec<String>)> = due
            .iter()
            .map(|(shard, profiles)| (*shard, profiles.iter().map(schedule::sort_key).collect()))
            .collect();
        self.poller.handover.request(&schedule::batches(interval, &keys)).await
    }

    fn report_health(&self, interval: RefreshInterval, health: &IntervalHealth) {
        let metrics = [
            Metric::count("Plans", 1),
            Metric::count("ProfilesListening", health.listening),
            Metric::count("ProfilesFailing", health.failing),
            Metric::count("ProfilesNeedingOwner", health.need_owner),
            Metric::count("ProfilesNotReached", health.not_reached),
            Metric::count("MessagesDeferred", health.deferred_messages),
        ];
        self.report(interval, &metrics);
    }

    fn report_polls(&self, interval: RefreshInterval, polls: usize, outcomes: &[PollOutcome]) {
        let count = |is: fn(&PollOutcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
        let handed_over = outcomes.iter().map(|outcome| match outcome {
            PollOutcome::Read { handed_over, .. } => *handed_over,
            PollOutcome::Failed(_) | PollOutcome::Postponed | PollOutcome::NotLeased | PollOutcome::Lost => 0,
        });
        let metrics = [
            Metric::count("Polls", polls),
            // What no outcome tells of failed before there was one.
            Metric::count(
                "PollsFailed",
                polls - outcomes.len() + count(|outcome| matches!(outcome, PollOutcome::Failed(_))),
            ),
            Metric::count("PollsPostponed", count(|outcome| matches!(outcome, PollOutcome::Postponed))),
            Metric::count("MessagesHandedOver", handed_over.sum()),
        ];
        self.report(interval, &metrics);
    }

    fn report(&self, interval: RefreshInterval, metrics: &[Metric]) {
        let dimension = ("RefreshInterval", interval.seconds().to_string());
        self.metrics.write(dimension, metrics, self.clock().now());
    }

    async fn ask_for_later_rounds(&self, interval: RefreshInterval) -> Result<(), PortError> {
        let rounds: Vec<_> = schedule::later_rounds(interval)
            .into_iter()
            .map(|delay| (PollRequest::Round(interval), delay))
            .collect();
        if rounds.is_empty() { Ok(()) } else { self.poller.handover.request(&rounds).await }
    }

    async fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&Range>,
    ) -> Result<Listening, PortError> {
        self.poller.profiles.listening(interval, shard, range).await
    }

    async fn all_listening(&self, interval: RefreshInterval) -> Result<Vec<(u8, Listening)>, PortError> {
        join_all((0..schedule::SHARDS).map(|shard| async move {
            self.listening(interval, shard, None).await.map(|listening| (shard, listening))
        }))
        .await
        .into_iter()
        .collect()
    }

    /// Polls these profiles at the same time, each in a task of its own.
    async fn poll_all(&self, profiles: Vec<Profile>, end: Instant) -> Result<Vec<PollOutcome>, PortError> {
        let invocation = if profiles.len() == 1 { Invocation::Dedicated } else { Invocation::Shared };
        let (polls, interval) =
            (profiles.len(), profiles.first().map(|first| first.settings.refresh_interval));
        let mut tasks = JoinSet::new();
        let mut owners = HashMap::new();
        for profile in profiles {
            let poller = Arc::clone(&self.poller);
            let owner = profile.clone();
            let task = tasks.spawn(async move { Box::pin(poller.poll(profile, invocation, end)).await });
            owners.insert(task.id(), owner);
        }
        let (mut outcomes, mut first_error) = (Vec::new(), None);
        while let Some(ended) = tasks.join_next_with_id().await {
            let result = match ended {
                Ok((_, result)) => result.map(|outcome| outcomes.push(outcome)),
                Err(panic) => match owners.get(&panic.id()) {
                    Some(profile) => self.poller.panicked(profile).await,
                    None => Ok(()),
                },
            };
            if let Err(error) = result {
                warn!(error = %Chain(&error), "a profile could not be polled");
                first_error = first_error.or(Some(error));
            }
        }
        if let Some(interval) = interval {
            self.report_polls(interval, polls, &outcomes);
        }
        first_error.map_or(Ok(outcomes), Err)
    }
}

#[cfg(test)]
mod tests;
