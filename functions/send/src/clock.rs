//! The one place where this function asks what time it is.
#![expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

use std::time::Duration;

use mailroom_oauth2::Clock;
use time::OffsetDateTime;
use tokio::time::Instant;
use ulid::Ulid;

/// Wall-clock time, for what is stored and shown.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Monotonic time, for deadlines.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// The instant at which a runtime's deadline (milliseconds since 1970) is reached.
pub(crate) fn instant_of(deadline_ms: u64) -> Instant {
    let now_ms = u128::try_from(now().unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let left = u128::from(deadline_ms).saturating_sub(now_ms);
    instant() + Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX).min(900_000))
}

/// A name that nobody else has.
pub(crate) fn unique() -> String {
    Ulid::generate().to_string()
}

/// Both, for whoever is not to ask.
pub(crate) const CLOCK: Clock = Clock { now: OffsetDateTime::now_utc, instant: Instant::now };
