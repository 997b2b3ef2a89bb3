//! What the owner is shown of a profile's health, and when the next poll may be.

use time::{Duration, OffsetDateTime};

use crate::trouble::{Class, ErrorCode, Trouble};

/// A profile's state, as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet polled since it was made or edited.
    Pending,
    /// The last poll succeeded.
    Ok,
    /// Transient trouble: retried with backoff, never paused.
    Failing,
    /// Waiting until `not_before`.
    Throttled,
    /// Host, TLS, mailbox or login refused: the owner has to act. Retried hourly after 5 refusals in a row.
    Misconfigured,
    /// The OAuth2 grant is gone: waits for sign-in.
    ReauthorizationRequired,
    /// `listen` is false.
    Off,
}

/// The error that stands, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingError {
    /// What kind.
    pub code: ErrorCode,
    /// One sentence for the owner.
    pub message: String,
    /// When it first happened, without a success since.
    pub since: OffsetDateTime,
    /// How often, in a row.
    pub count: u32,
}

/// A profile's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// See [`State`].
    pub state: State,
    /// The last poll that succeeded; may lag by [`SUCCESS_LAG`].
    pub last_success_at: Option<OffsetDateTime>,
    /// The last mail handed over.
    pub last_message_at: Option<OffsetDateTime>,
    /// No poll before this.
    pub not_before: Option<OffsetDateTime>,
    /// The error that stands.
    pub error: Option<StandingError>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: State::Pending,
            last_success_at: None,
            last_message_at: None,
            not_before: None,
            error: None,
        }
    }
}

/// How far `last_success_at` may lag, so that an idle check writes nothing.
pub const SUCCESS_LAG: Duration = Duration::minutes(5);

/// Refusals in a row after which a misconfigured profile is tried hourly: one slip of a server is no misconfiguration.
pub const PATIENCE: u32 = 5;

/// The pause of a throttled profile whose server named none.
pub const DEFAULT_THROTTLE: Duration = Duration::minutes(5);

/// The longest backoff of a transient trouble, and the longest pause that a server may ask for.
pub const MAX_BACKOFF: Duration = Duration::minutes(15);

/// The pause between tries of what only its owner can mend.
pub const OWNER_PAUSE: Duration = Duration::hours(1);

/// What a poll came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The mailbox was read to where it is handled; `handed_over` mails became jobs.
    Success {
        /// How many.
        handed_over: usize,
    },
    /// It was not.
    Failure(Trouble),
}

/// The status after a poll; `None` where there is nothing worth a write.
#[must_use]
pub fn after(status: &Status, outcome: &Outcome, now: OffsetDateTime) -> Option<Status> {
    match outcome {
        Outcome::Success { handed_over } => after_success(status, *handed_over, now),
        Outcome::Failure(trouble) => Some(after_failure(status, trouble, now)),
    }
}

fn after_success(status: &Status, handed_over: usize, now: OffsetDateTime) -> Option<Status> {
    let next = Status {
        state: State::Ok,
        last_success_at: Some(now),
        last_message_at: if handed_over > 0 { Some(now) } else { status.last_message_at },
        not_before: None,
        error: None,
    };
    let fresh = status.last_success_at.is_some_and(|at| now - at < SUCCESS_LAG);
    let unchanged = status.state == State::Ok && status.error.is_none() && handed_over == 0;
    (!(fresh && unchanged)).then_some(next)
}

fn after_failure(status: &Status, trouble: &Trouble, now: OffsetDateTime) -> Status {
    let same = status.error.as_ref().filter(|error| error.code.class() == trouble.code.class());
    let count = same.map_or(1, |error| error.count.saturating_add(1));
    let asked = trouble
        .retry_after
        .and_then(|pause| Duration::try_from(pause).ok())
        .map(|pause| pause.min(MAX_BACKOFF));
    let (state, pause) = match trouble.code.class() {
        Class::Transient => (State::Failing, Some(asked.unwrap_or_else(|| backoff(count)))),
        Class::Throttled => (State::Throttled, Some(asked.unwrap_or(DEFAULT_THROTTLE))),
        Class::Owner => (State::Misconfigured, (count >= PATIENCE).then_some(OWNER_PAUSE)),
        Class::Authorization => (State::ReauthorizationRequired, Some(OWNER_PAUSE)),
    };
    Status {
        state,
        not_before: pause.map(|pause| now.saturating_add(pause)),
        error: Some(StandingError {
            code: trouble.code,
            message: trouble.message.clone(),
            since: same.map_or(now, |error| error.since),
            count,
        }),
        ..status.clone()
    }
}

/// 15 s, 30 s, 1 min … up to [`MAX_BACKOFF`]. The first failures cost at most a round or two.
fn backoff(count: u32) -> Duration {
    let doublings = count.saturating_sub(1).min(10);
    (Duration::seconds(15) * 2_i32.pow(doublings)).min(MAX_BACKOFF)
}
