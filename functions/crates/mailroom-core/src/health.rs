//! What the owner is shown of a profile's health, and when the next poll may be.

use time::{Duration, OffsetDateTime};

use crate::jitter::jittered;
use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};

/// A profile's state, as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileState {
    /// Not yet polled since it was made or edited.
    Pending,
    /// The last poll succeeded.
    Ok,
    /// Transient trouble: retried with backoff, never paused.
    Failing,
    /// Waiting until `not_before`.
    Throttled,
    /// Host, TLS, mailbox or login refused: the owner has to act. Retried after 5 minutes, and ever more seldom.
    Misconfigured,
    /// The OAuth2 grant is gone: waits for sign-in.
    ReauthorizationRequired,
    /// `listen` is false.
    Off,
}

impl ProfileState {
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
    pub state: ProfileState,
    /// The current error, if there is one. An error of polls comes before one of sends.
    pub error: Option<&'a CurrentError>,
}

/// An error that no success has cleared yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentError {
    /// What is wrong; decides the state and what happens next.
    pub code: ErrorCode,
    /// One sentence for the owner.
    pub message: String,
    /// When it first happened in this row.
    pub since: OffsetDateTime,
    /// How many times in a row.
    pub count: u32,
}

/// A profile's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What the owner is shown in one word.
    pub state: ProfileState,
    /// The last poll that succeeded; may lag by [`SUCCESS_LAG`].
    pub last_success_at: Option<OffsetDateTime>,
    /// When a message was last handed over.
    pub last_message_at: Option<OffsetDateTime>,
    /// No poll before this.
    pub not_before: Option<OffsetDateTime>,
    /// The error of the last poll.
    pub error: Option<CurrentError>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            state: ProfileState::Pending,
            last_success_at: None,
            last_message_at: None,
            not_before: None,
            error: None,
        }
    }
}

/// The messages that polls passed because someone had read them before, where a profile wants only unread ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SkippedSeen {
    /// How many there were in this mailbox.
    pub count: u64,
    /// When a poll last passed one.
    pub last_at: Option<OffsetDateTime>,
}

impl SkippedSeen {
    /// Counts some more, passed at `now`.
    pub fn add(&mut self, more: usize, now: OffsetDateTime) {
        self.count = self.count.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        self.last_at = Some(now);
    }
}

/// An error of sending, kept beside the status of polls: neither pauses the other, and neither clears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendingStatus {
    /// Why the server could not be used.
    pub error: CurrentError,
    /// No try before this.
    pub not_before: Option<OffsetDateTime>,
    /// The version of the profile that it is about: an edit makes it void.
    pub version: u64,
}

/// How far `last_success_at` may lag, so that an idle check writes nothing.
pub const SUCCESS_LAG: Duration = Duration::minutes(5);

/// Refusals in a row after which sending rests: one slip of a server is no misconfiguration.
pub const REFUSALS_BEFORE_PAUSE: u32 = 5;

/// The pause after the first poll that was refused. It doubles up to [`OWNER_ERROR_PAUSE`]: servers lock an account after
/// a few wrong passwords.
pub const FIRST_OWNER_ERROR_PAUSE: Duration = Duration::minutes(5);

/// How many times in a row a trouble counts as passing that may be the owner's: see [`OwnerError::if_it_repeats`].
pub const REPEATS_BEFORE_OWNER: u32 = 3;

/// The pause of a throttled profile whose server named none.
pub const DEFAULT_THROTTLE: Duration = Duration::minutes(5);

/// The longest backoff of a transient trouble, and the longest pause that a server may ask for.
pub const MAX_BACKOFF: Duration = Duration::minutes(15);

/// The longest pause between tries of what only its owner can fix.
pub const OWNER_ERROR_PAUSE: Duration = Duration::hours(1);

/// The result of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The mailbox was read as far as the cursor says.
    Success {
        /// How many messages became jobs.
        handed_over: usize,
    },
    /// The mailbox could not be read to its end.
    Failure(OwnerError),
}

/// The status after a poll; `None` where there is nothing worth a write.
#[must_use]
pub fn after_poll(status: &Status, outcome: &Outcome, now: OffsetDateTime) -> Option<Status> {
    match outcome {
        Outcome::Success { handed_over } => after_success(status, *handed_over, now),
        Outcome::Failure(trouble) => Some(after_failure(status, trouble, now)),
    }
}

/// What changes in the stored state of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendingChange {
    /// Nothing: nothing is written.
    Unchanged,
    /// The server took the login: an earlier error is void.
    Recovered,
    /// The server could not be used.
    Refused(SendingStatus),
}

/// The change after a session with the SMTP server was opened, or was not; `current` as it is stored. A server that throttles
/// opens sessions all the same, so only a message that it takes ends that: see [`after_message_taken`].
///
/// What its owner has to fix, and a server that throttles, pause all of a profile's messages, so that not each of them is
/// tried in vain: everything else is a matter of each message.
#[must_use]
pub fn after_smtp_open(
    current: Option<&SendingStatus>,
    version: u64,
    opened: Result<(), &OwnerError>,
    now: OffsetDateTime,
) -> SendingChange {
    let Err(trouble) = opened else {
        let ended = current.is_some_and(|sending| sending.error.code.class() != ErrorClass::Throttled);
        return if ended { SendingChange::Recovered } else { SendingChange::Unchanged };
    };
    let class = trouble.code.class();
    let same = current.filter(|sending| sending.version == version && sending.error.code.class() == class);
    let count = same.map_or(1, |sending| sending.error.count.saturating_add(1));
    let pause = match class {
        ErrorClass::Owner => (count >= REFUSALS_BEFORE_PAUSE).then_some(OWNER_ERROR_PAUSE),
        ErrorClass::Authorization => Some(OWNER_ERROR_PAUSE),
        ErrorClass::Throttled => {
            let asked = trouble.retry_after.and_then(|pause| Duration::try_from(pause).ok());
            Some(asked.unwrap_or_else(|| backoff(count.saturating_add(1))).min(MAX_BACKOFF))
        }
        ErrorClass::Transient => None,
    };
    SendingChange::Refused(SendingStatus {
        error: CurrentError {
            code: trouble.code,
            message: trouble.message.clone(),
            since: same.map_or(now, |sending| sending.error.since),
            count,
        },
        not_before: pause.map(|pause| end_of(pause, now)),
        version,
    })
}

/// The change after a server has taken a message: whatever it held against the profile before is over.
#[must_use]
pub const fn after_message_taken(current: Option<&SendingStatus>) -> SendingChange {
    if current.is_some() { SendingChange::Recovered } else { SendingChange::Unchanged }
}

fn after_success(status: &Status, handed_over: usize, now: OffsetDateTime) -> Option<Status> {
    let next = Status {
        state: ProfileState::Ok,
        last_success_at: Some(now),
        last_message_at: if handed_over > 0 { Some(now) } else { status.last_message_at },
        not_before: None,
        error: None,
    };
    let fresh = status.last_success_at.is_some_and(|at| now - at < SUCCESS_LAG);
    let unchanged = status.state == ProfileState::Ok && status.error.is_none() && handed_over == 0;
    (!(fresh && unchanged)).then_some(next)
}

fn after_failure(status: &Status, trouble: &OwnerError, now: OffsetDateTime) -> Status {
    let other = trouble.if_it_repeats.as_deref();
    let is_same = |error: &&CurrentError| {
        [Some(trouble), other].into_iter().flatten().any(|one| one.code.class() == error.code.class())
    };
    let same = status.error.as_ref().filter(is_same);
    let count = same.map_or(1, |error| error.count.saturating_add(1));
    let trouble = other.filter(|_| count > REPEATS_BEFORE_OWNER).unwrap_or(trouble);
    let asked = trouble
        .retry_after
        .and_then(|pause| Duration::try_from(pause).ok())
        .map(|pause| pause.min(MAX_BACKOFF));
    let pause = match trouble.code.class() {
        ErrorClass::Transient => Some(asked.unwrap_or_else(|| backoff(count))),
        ErrorClass::Throttled => Some(asked.unwrap_or(DEFAULT_THROTTLE)),
        ErrorClass::Owner => Some(doubled(FIRST_OWNER_ERROR_PAUSE, count).min(OWNER_ERROR_PAUSE)),
        ErrorClass::Authorization => Some(OWNER_ERROR_PAUSE),
    };
    Status {
        state: ProfileState::of(trouble.code.class()),
        not_before: pause.map(|pause| end_of(pause, now)),
        error: Some(CurrentError {
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
    doubled(Duration::seconds(15), count).min(MAX_BACKOFF)
}

/// A pause that doubles with each count.
fn doubled(first: Duration, count: u32) -> Duration {
    first * 2_i32.pow(count.saturating_sub(1).min(10))
}

/// When a pause that begins at `now` ends: a little later, so that what failed together is not tried again together. In
/// whole seconds, as queues count.
fn end_of(pause: Duration, now: OffsetDateTime) -> OffsetDateTime {
    let until = now.saturating_add(jittered(pause, now));
    let rest = i64::from(until.nanosecond());
    if rest == 0 { until } else { until.saturating_add(Duration::SECOND - Duration::nanoseconds(rest)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration as StdDuration;

    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn failed(status: &Status, code: ErrorCode, now: OffsetDateTime) -> Status {
        after_poll(status, &Outcome::Failure(OwnerError::new(code, "no")), now).unwrap()
    }

    #[test]
    fn an_idle_check_writes_at_most_every_five_minutes() {
        let idle = Outcome::Success { handed_over: 0 };
        let ok = after_poll(&Status::default(), &idle, NOW).unwrap();
        assert_eq!(ok.state, ProfileState::Ok);
        assert_eq!(after_poll(&ok, &idle, NOW + Duration::seconds(299)), None);
        assert!(after_poll(&ok, &idle, NOW + SUCCESS_LAG).is_some());
        let busy = after_poll(&ok, &Outcome::Success { handed_over: 1 }, NOW + Duration::SECOND).unwrap();
        assert_eq!(busy.last_message_at, Some(NOW + Duration::SECOND));
    }

    #[test]
    fn success_clears_the_error_and_the_pause() {
        let bad = failed(&Status::default(), ErrorCode::ImapConnect, NOW);
        let good = after_poll(&bad, &Outcome::Success { handed_over: 0 }, NOW).unwrap();
        assert_eq!((good.state, good.error, good.not_before), (ProfileState::Ok, None, None));
    }

    #[test]
    fn transient_trouble_backs_off_and_never_pauses() {
        let mut status = Status::default();
        let mut pauses = Vec::new();
        for _ in 0..20 {
            status = failed(&status, ErrorCode::ImapTimeout, NOW);
            assert_eq!(status.state, ProfileState::Failing);
            pauses.push((status.not_before.unwrap() - NOW).whole_seconds());
        }
        let least = [15, 30, 60, 120, 240, 480, 900, 900];
        assert!(pauses.iter().zip(least).all(|(pause, least)| is_about(*pause, least)), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= MAX_BACKOFF.whole_seconds() * 6 / 5 + 1));
        assert_eq!(status.error.unwrap().count, 20);
    }

    /// Whether a pause in seconds is this one, or up to a fifth longer.
    fn is_about(pause: i64, least: i64) -> bool {
        (least..=least * 6 / 5 + 1).contains(&pause)
    }

    #[test]
    fn each_refusal_of_a_login_makes_the_next_try_rarer() {
        let mut status = Status::default();
        for (n, minutes) in (1..).zip([5, 10, 20, 40, 60, 60, 60]) {
            let now = NOW + Duration::minutes(n);
            status = failed(&status, ErrorCode::ImapAuth, now);
            assert_eq!(status.state, ProfileState::Misconfigured);
            let pause = status.not_before.unwrap() - now;
            assert!(is_about(pause.whole_seconds(), minutes * 60), "refusal {n}: {pause}");
        }
        let error = status.error.clone().unwrap();
        assert_eq!((error.count, error.since), (7, NOW + Duration::MINUTE));
        // A timeout in between is no refusal, and ends the row.
        let timeout = failed(&status, ErrorCode::ImapTimeout, NOW);
        assert_eq!(failed(&timeout, ErrorCode::ImapAuth, NOW).error.unwrap().count, 1);
    }

    #[test]
    fn trouble_that_may_be_the_owners_is_theirs_after_three_times() {
        let trouble = OwnerError::new(ErrorCode::ImapThrottled, "not connected")
            .if_it_repeats(OwnerError::new(ErrorCode::ImapAuth, "no permission"));
        let fail = |status: &Status| after_poll(status, &Outcome::Failure(trouble.clone()), NOW).unwrap();
        let mut status = Status::default();
        for n in 1..=7 {
            status = fail(&status);
            let error = status.error.clone().unwrap();
            assert_eq!(error.count, n);
            if n <= REPEATS_BEFORE_OWNER {
                assert_eq!((status.state, error.code), (ProfileState::Throttled, ErrorCode::ImapThrottled));
                let pause = status.not_before.unwrap() - NOW;
                assert!(is_about(pause.whole_seconds(), DEFAULT_THROTTLE.whole_seconds()), "{pause}");
            } else {
                assert_eq!((status.state, error.code), (ProfileState::Misconfigured, ErrorCode::ImapAuth));
                assert_eq!(error.message, "no permission");
                assert!(status.not_before.unwrap() >= NOW + Duration::minutes(40), "failure {n}");
            }
        }
        // One success, and it passes again.
        let well = after_poll(&status, &Outcome::Success { handed_over: 0 }, NOW).unwrap();
        assert_eq!(fail(&well).state, ProfileState::Throttled);
    }

    #[test]
    fn sending_rests_after_five_refusals_until_the_profile_is_edited() {
        let refused = OwnerError::new(ErrorCode::SmtpAuth, "no");
        let refuse = |current: Option<&SendingStatus>, version| match after_smtp_open(
            current,
            version,
            Err(&refused),
            NOW,
        ) {
            SendingChange::Refused(sending) => sending,
            change @ (SendingChange::Unchanged | SendingChange::Recovered) => panic!("{change:?}"),
        };
        let mut sending = refuse(None, 7);
        for n in 2..=5 {
            sending = refuse(Some(&sending), 7);
            assert_eq!(sending.not_before.is_some(), n == 5, "refusal {n}");
        }
        let edited = refuse(Some(&sending), 8);
        assert_eq!((edited.error.count, edited.not_before), (1, None));
        assert_eq!(after_smtp_open(Some(&sending), 7, Ok(()), NOW), SendingChange::Recovered);
        assert_eq!(after_smtp_open(None, 7, Ok(()), NOW), SendingChange::Unchanged);
    }

    #[test]
    fn a_server_that_throttles_pauses_the_profile_until_it_takes_a_message() {
        let limit = OwnerError::new(ErrorCode::SmtpThrottled, "daily limit");
        let mut current = None;
        for pause in [30, 60, 120, 240, 480, 900, 900] {
            let change = after_smtp_open(current.as_ref(), 7, Err(&limit), NOW);
            let SendingChange::Refused(sending) = change else { panic!("{change:?}") };
            let paused = sending.not_before.unwrap() - NOW;
            assert!(is_about(paused.whole_seconds(), pause), "{paused}");
            assert_eq!(after_smtp_open(Some(&sending), 7, Ok(()), NOW), SendingChange::Unchanged);
            current = Some(sending);
        }
        assert_eq!(after_message_taken(current.as_ref()), SendingChange::Recovered);
        assert_eq!(after_message_taken(None), SendingChange::Unchanged);
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it_within_reason() {
        let asked = |pause| {
            let trouble = OwnerError::new(ErrorCode::ImapThrottled, "slow down").retry_after(pause);
            let status = after_poll(&Status::default(), &Outcome::Failure(trouble), NOW).unwrap();
            assert_eq!(status.state, ProfileState::Throttled);
            (status.not_before.unwrap() - NOW).whole_seconds()
        };
        assert!(is_about(asked(Some(StdDuration::from_secs(90))), 90));
        assert!(is_about(asked(Some(StdDuration::from_secs(86_400))), MAX_BACKOFF.whole_seconds()));
        assert!(is_about(asked(Some(StdDuration::MAX)), DEFAULT_THROTTLE.whole_seconds()));
        assert!(is_about(asked(None), DEFAULT_THROTTLE.whole_seconds()));
    }
}
