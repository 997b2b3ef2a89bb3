//! The one place where this function asks what time it is.
#![expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

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

/// A new id, which sorts by the time of its making.
pub(crate) fn ulid() -> Ulid {
    Ulid::generate()
}

/// Both, for whoever is not to ask.
pub(crate) const CLOCK: Clock = Clock { now: OffsetDateTime::now_utc, instant: Instant::now };
