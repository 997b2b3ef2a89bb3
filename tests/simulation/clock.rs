//! Time: that of the world, which tokio's paused clock makes, and that of the functions' machines, which may be wrong.

use std::cell::Cell;
use std::time::Duration;

use mailroom_net::clock::Clock;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::Instant;

/// When each simulation begins.
const EPOCH: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    /// How far the machines' clocks are ahead, in milliseconds.
    static AHEAD: Cell<i64> = const { Cell::new(0) };
}

/// The clock that the functions are given.
pub(crate) const MACHINE: Clock = Clock::new(machine_now, Instant::now);

/// Begins a simulation on this thread.
pub(crate) fn begin() {
    BEGAN.set(Some(Instant::now()));
    AHEAD.set(0);
}

/// The time since the simulation began.
pub(crate) fn elapsed() -> Duration {
    BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed())
}

/// The instant at which so much time of the simulation has passed.
pub(crate) fn instant(at: Duration) -> Instant {
    BEGAN.get().expect("the simulation has begun") + at
}

/// The time of the world.
pub(crate) fn now() -> OffsetDateTime {
    at(elapsed())
}

/// The time of the world when so much time of the simulation has passed.
pub(crate) fn at(elapsed: Duration) -> OffsetDateTime {
    EPOCH + elapsed
}

/// Sets how far the machines' clocks are ahead of the world, in milliseconds.
pub(crate) fn set_ahead(millis: i64) {
    AHEAD.set(millis);
}

/// A time as the table stores it: in whole milliseconds.
pub(crate) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).expect("a time of this age")
}

/// The time of [`millis`].
pub(crate) fn of_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).expect("a time of this age")
}

fn machine_now() -> OffsetDateTime {
    now() + time::Duration::milliseconds(AHEAD.get())
}
