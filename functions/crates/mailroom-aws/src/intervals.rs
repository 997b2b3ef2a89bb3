//! One schedule for each interval in use, and for no other, however changes race.
//!
//! A profile that begins to use an interval is stored, then the interval is registered, then its schedule is created if
//! it is missing. When a profile leaves an interval, its registration is read and the index is searched for other
//! profiles. If there are none, the interval is unregistered *as it was read*, its schedule is removed, and the
//! registration is read again. So, for a profile that joins while another leaves:
//!
//! - registered before the first read: the profile was stored even earlier, so the search finds it;
//! - registered between that and the removal of the registration: the removal fails, and the schedule stays;
//! - registered after the removal: the second read finds it and creates the schedule again, unless the profile that joins
//!   creates it afterwards anyway.
//!
//! The index that is searched follows the table within moments. So an interval that was registered a moment ago is not
//! unregistered before the index can show which profile uses it.
//!
//! What a process that crashed between two steps leaves undone is repaired by [`Schedules::repair`] (an interval that is
//! registered and has no schedule) and by the next plan (a schedule that no profile needs). The interval is registered
//! before the profile is stored, too ([`Table::create`], [`Table::update`]), so that a repair finds it if the process
//! crashes before it registers it afterwards.

use std::time::Duration;

use mailroom_core::ports::{PortError, Schedules};
use mailroom_core::profile::RefreshInterval;
use time::OffsetDateTime;

use crate::dynamodb::Table;
use crate::scheduler::ScheduleGroup;

/// How far the index may lag behind the table; usually it is some tens of milliseconds.
const LAG: Duration = Duration::from_secs(2);

/// The schedules, kept in step with the profiles' intervals.
#[derive(Debug)]
pub struct Intervals {
    table: Table,
    schedules: ScheduleGroup,
    wall_clock: fn() -> OffsetDateTime,
    lag: Duration,
}

impl Intervals {
    /// The schedules of a group, for the profiles of a table. `wall_clock` is the function's: this crate reads no clock.
    #[must_use]
    pub const fn new(table: Table, schedules: ScheduleGroup, wall_clock: fn() -> OffsetDateTime) -> Self {
        Self { table, schedules, wall_clock, lag: LAG }
    }

    /// How long it takes from now until the index shows what was stored at `at` (milliseconds since 1970).
    fn until_shown(&self, at: i64) -> Duration {
        let now = (self.wall_clock)().unix_timestamp_nanos() / 1_000_000;
        // A moment that lies ahead, by another machine's clock, is now.
        let age = Duration::from_millis(u64::try_from(now - i128::from(at)).unwrap_or(0));
        self.lag.saturating_sub(age)
    }
}

impl Schedules for Intervals {
    async fn joined(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.table.register(interval, (self.wall_clock)()).await?;
        self.schedules.ensure(interval).await
    }

    async fn left(&self, interval: RefreshInterval) -> Result<(), PortError> {
        if interval == RefreshInterval::DEFAULT {
            return Ok(());
        }
        let registered = self.table.registered(interval).await?;
        // Taken before the search, which shows what the index held when it began.
        let lag = registered.as_ref().map_or(Duration::ZERO, |read| self.until_shown(read.joined_at));
        if self.table.is_listened_to(interval).await? {
            return Ok(());
        }
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
            if self.table.is_listened_to(interval).await? {
                return Ok(());
            }
        }
        if let Some(registered) = &registered {
            match self.table.unregister(interval, registered).await {
                Ok(()) => {}
                Err(PortError::Lost) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.schedules.remove(interval).await?;
        match self.table.registered(interval).await? {
            Some(_) => self.schedules.ensure(interval).await,
            None => Ok(()),
        }
    }

    async fn repair(&self) -> Result<Vec<RefreshInterval>, PortError> {
        let mut missing = self.table.intervals().await?;
        let there = self.schedules.intervals().await?;
        missing.retain(|interval| !there.contains(interval));
        for interval in &missing {
            self.schedules.ensure(*interval).await?;
        }
        Ok(missing)
    }
}

#[cfg(test)]
mod tests;
