//! What the owner is shown of a profile's health, and when the next poll may be.

use time::{Duration, OffsetDateTime};

use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};

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

impl State {
    /// The state of a profile whose current error is of this class.
    #[must_use]
    pub const fn of(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Transient => Self::Failing,
            ErrorClass::Throttled => Self::Throttled,
            ErrorClass::Owner => Self::Misconfigured,
            ErrorClass::Authorization => Self::ReauthorizationRequired,
        }
    }
}

/// What the owner is shown of a profile: one state and one error, of its polls and its sends together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health<'a> {
    /// The state.
    pub state: State,
    /// The current error, if there is one. An error of polls comes before one of sends.
    pub error: Option<&'a StandingError>,
}

/// The current error, and since when it stands.
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

/// An error of sending. It stands beside the status of polls: neither pauses the other, and neither clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The error that stands.
    pub error: StandingError,
    /// No try before this.
    pub not_before: Option<OffsetDateTime>,
    /// The version of the profile that it is about: an edit makes it void.
    pub version: u64,
}

/// How far `last_success_at` may lag, so that an idle check writes nothing.
pub const SUCCESS_LAG: Duration = Duration::minutes(5);

/// Refusals in a row after which a misconfigured profile is tried hourly: one slip of a server is no misconfiguration.
pub const PATIENCE: u32 = 5;

/// The pause of a throttled profile whose server named none.
pub const DEFAULT_THROTTLE: Duration = Duration::minutes(5);

/// The longest backoff of a transient trouble, and the longest pause that a server may ask for.
pub const MAX_BACKOFF: Duration = Duration::minutes(15);

/// The pause between tries of what only its owner can fix.
pub const OWNER_PAUSE: Duration = Duration::hours(1);

/// What a poll came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The mailbox was read to where it is handled; `handed_over` messages became jobs.
    Success {
        /// How many.
        handed_over: usize,
    },
    /// It was not.
    Failure(OwnerError),
}

/// The status after a poll; `None` where there is nothing worth a write.
#[must_use]
pub fn after(status: &Status, outcome: &Outcome, now: OffsetDateTime) -> Option<Status> {
    match outcome {
        Outcome::Success { handed_over } => after_success(status, *handed_over, now),
        Outcome::Failure(trouble) => Some(after_failure(status, trouble, now)),
    }
}

/// The state of sending after a session with the SMTP server was opened, or was not; `current` as it is stored.
/// `None` where there is nothing to write.
///
/// Only what its owner has to fix pauses all of a profile's messages: everything else is a matter of each message.
#[must_use]
pub fn after_opening(
    current: Option<&Sending>,
    version: u64,
    opened: Result<(), &OwnerError>,
    now: OffsetDateTime,
) -> Option<Option<Sending>> {
    let Err(trouble) = opened else { return current.is_some().then_some(None) };
    let class = trouble.code.class();
    let same = current.filter(|sending| sending.version == version && sending.error.code.class() == class);
    let count = same.map_or(1, |sending| sending.error.count.saturating_add(1));
    let pause = match class {
        ErrorClass::Owner => (count >= PATIENCE).then_some(OWNER_PAUSE),
        ErrorClass::Authorization => Some(OWNER_PAUSE),
        ErrorClass::Transient | ErrorClass::Throttled => None,
    };
    Some(Some(Sending {
        error: StandingError {
            code: trouble.code,
            message: trouble.message.clone(),
            since: same.map_or(now, |sending| sending.error.since),
            count,
        },
        not_before: pause.map(|pause| now.saturating_add(pause)),
        version,
    }))
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

fn after_failure(status: &Status, trouble: &OwnerError, now: OffsetDateTime) -> Status {
    let same = status.error.as_ref().filter(|error| error.code.class() == trouble.code.class());
    let count = same.map_or(1, |error| error.count.saturating_add(1));
    let asked = trouble
        .retry_after
        .and_then(|pause| Duration::try_from(pause).ok())
        .map(|pause| pause.min(MAX_BACKOFF));
    let pause = match trouble.code.class() {
        ErrorClass::Transient => Some(asked.unwrap_or_else(|| backoff(count))),
        ErrorClass::Throttled => Some(asked.unwrap_or(DEFAULT_THROTTLE)),
        ErrorClass::Owner => (count >= PATIENCE).then_some(OWNER_PAUSE),
        ErrorClass::Authorization => Some(OWNER_PAUSE),
    };
    Status {
        state: State::of(trouble.code.class()),
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

#[cfg(test)]
mod tests {
    use std::time::Duration as StdDuration;

    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn failed(status: &Status, code: ErrorCode, now: OffsetDateTime) -> Status {
        after(status, &Outcome::Failure(OwnerError::new(code, "no")), now).unwrap()
    }

    #[test]
    fn an_idle_check_writes_at_most_every_five_minutes() {
        let idle = Outcome::Success { handed_over: 0 };
        let ok = after(&Status::default(), &idle, NOW).unwrap();
        assert_eq!(ok.state, State::Ok);
        assert_eq!(after(&ok, &idle, NOW + Duration::seconds(299)), None);
        assert!(after(&ok, &idle, NOW + SUCCESS_LAG).is_some());
        let busy = after(&ok, &Outcome::Success { handed_over: 1 }, NOW + Duration::SECOND).unwrap();
        assert_eq!(busy.last_message_at, Some(NOW + Duration::SECOND));
    }

    #[test]
    fn success_clears_the_error_and_the_pause() {
        let bad = failed(&Status::default(), ErrorCode::ImapConnect, NOW);
        let good = after(&bad, &Outcome::Success { handed_over: 0 }, NOW).unwrap();
        assert_eq!((good.state, good.error, good.not_before), (State::Ok, None, None));
    }

    #[test]
    fn transient_trouble_backs_off_and_never_pauses() {
        let mut status = Status::default();
        let mut pauses = Vec::new();
        for _ in 0..20 {
            status = failed(&status, ErrorCode::ImapTimeout, NOW);
            assert_eq!(status.state, State::Failing);
            pauses.push((status.not_before.unwrap() - NOW).whole_seconds());
        }
        assert_eq!(pauses[..4], [15, 30, 60, 120]);
        assert!(pauses.iter().all(|pause| *pause <= MAX_BACKOFF.whole_seconds()));
        assert_eq!(status.error.unwrap().count, 20);
    }

    #[test]
    fn only_five_refusals_in_a_row_make_it_hourly() {
        let mut status = Status::default();
        for n in 1..=5 {
            status = failed(&status, ErrorCode::ImapAuth, NOW + Duration::minutes(n));
            assert_eq!(status.state, State::Misconfigured);
            assert_eq!(status.not_before.is_some(), n == 5, "refusal {n}");
        }
        let error = status.error.clone().unwrap();
        assert_eq!((error.count, error.since), (5, NOW + Duration::MINUTE));
        // A timeout in between is no refusal, and ends the row.
        let timeout = failed(&status, ErrorCode::ImapTimeout, NOW);
        assert_eq!(failed(&timeout, ErrorCode::ImapAuth, NOW).error.unwrap().count, 1);
    }

    #[test]
    fn sending_rests_after_five_refusals_until_the_profile_is_edited() {
        let refused = OwnerError::new(ErrorCode::SmtpAuth, "no");
        let mut sending = None;
        for n in 1..=5 {
            sending = after_opening(sending.as_ref(), 7, Err(&refused), NOW).unwrap();
            assert_eq!(sending.as_ref().unwrap().not_before.is_some(), n == 5, "refusal {n}");
        }
        let edited = after_opening(sending.as_ref(), 8, Err(&refused), NOW).unwrap().unwrap();
        assert_eq!((edited.error.count, edited.not_before), (1, None));
        assert_eq!(after_opening(sending.as_ref(), 7, Ok(()), NOW), Some(None));
        assert_eq!(after_opening(None, 7, Ok(()), NOW), None);
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it_within_reason() {
        let asked = |pause| {
            let trouble = OwnerError::new(ErrorCode::ImapThrottled, "slow down").retry_after(pause);
            let status = after(&Status::default(), &Outcome::Failure(trouble), NOW).unwrap();
            assert_eq!(status.state, State::Throttled);
            status.not_before.unwrap() - NOW
        };
        assert_eq!(asked(Some(StdDuration::from_secs(90))), Duration::seconds(90));
        assert_eq!(asked(Some(StdDuration::from_secs(86_400))), MAX_BACKOFF);
        assert_eq!(asked(Some(StdDuration::MAX)), DEFAULT_THROTTLE);
        assert_eq!(asked(None), DEFAULT_THROTTLE);
    }
}
