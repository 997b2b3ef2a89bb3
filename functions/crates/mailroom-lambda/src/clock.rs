//! The one place where the functions ask what time it is.
#![expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

use std::time::Duration;

use mailroom_net::clock::Clock;
use time::OffsetDateTime;
use tokio::time::Instant;
use ulid::Ulid;

/// The longest time that Lambda gives an invocation.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// The clocks of the system, for handing down.
pub const SYSTEM: Clock = Clock::new(OffsetDateTime::now_utc, Instant::now);

/// Wall-clock time, for what is stored and shown.
#[must_use]
pub fn now() -> OffsetDateTime {
    SYSTEM.now()
}

/// Monotonic time, for deadlines.
#[must_use]
pub fn instant() -> Instant {
    SYSTEM.instant()
}

/// A new id that sorts by the time at which it was made.
#[must_use]
pub fn new_ulid() -> Ulid {
    Ulid::generate()
}

/// The instant of an invocation's deadline, which the runtime gives in milliseconds since 1970.
///
/// `cargo lambda watch` (1.9.2) sends the constant 600000, meant as ten minutes from now: a deadline within the first
/// day of 1970 is a duration.
#[must_use]
pub fn deadline(clock: Clock, deadline_ms: u64) -> Instant {
    const FIRST_DAY_MS: u64 = 86_400_000;
    let left = if deadline_ms < FIRST_DAY_MS {
        deadline_ms
    } else {
        let now_ms = clock.now().unix_timestamp_nanos() / 1_000_000;
        deadline_ms.saturating_sub(u64::try_from(now_ms).unwrap_or(0))
    };
    clock.instant() + Duration::from_millis(left).min(LONGEST_INVOCATION)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_a_time_or_for_local_runtimes_a_duration() {
        const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);
        let clock = Clock::new(|| NOW, Instant::now);
        let left = |deadline_ms| deadline(clock, deadline_ms) - Instant::now();
        let now_ms = u64::try_from(NOW.unix_timestamp()).unwrap() * 1000;
        assert_eq!(left(now_ms + 90_000), Duration::from_secs(90));
        assert_eq!(left(now_ms - 1), Duration::ZERO);
        assert_eq!(left(now_ms * 2), LONGEST_INVOCATION);
        assert_eq!(left(600_000), Duration::from_secs(600));
    }
}
