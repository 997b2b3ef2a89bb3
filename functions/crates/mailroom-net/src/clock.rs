//! The clocks, given by the function: no other crate reads the system's.

use time::OffsetDateTime;
use tokio::time::Instant;

/// A wall clock and a monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: fn() -> OffsetDateTime,
    instant: fn() -> Instant,
}

impl Clock {
    /// Clocks that call these functions.
    #[must_use]
    pub const fn new(now: fn() -> OffsetDateTime, instant: fn() -> Instant) -> Self {
        Self { now, instant }
    }

    /// Wall-clock time, for what is stored and shown, and for the lifetimes of tokens: the monotonic clock may stand
    /// still while a function is frozen between two invocations.
    #[must_use]
    pub fn now(self) -> OffsetDateTime {
        (self.now)()
    }

    /// Monotonic time, for deadlines.
    #[must_use]
    pub fn instant(self) -> Instant {
        (self.instant)()
    }
}
