//! One schedule for each interval in use, and for no other, however changes race.
//!
//! A profile that begins to use an interval is stored, then noted in the registry, then the schedule is ensured. Whoever
//! has left an interval reads the registry and looks for others; finding none, it strikes the interval off the registry
//! *as it was read*, removes the schedule, and looks into the registry again. So, for one that joins while another
//! leaves:
//!
//! - noted before the registry is read: it was stored even earlier, so the look for others finds it;
//! - noted between that and the strike: the strike fails, and the schedule stays;
//! - noted after the strike: the second look finds it, and makes the schedule again, unless the one who joins ensures it
//!   after the removal anyway.
//!
//! The index in which others are looked for follows the table within moments. So an interval that was noted a moment ago
//! is not struck off before the index can show who noted it.
//!
//! What a process that died between two steps leaves undone is mended by [`Schedules::repair`] (an interval that is
//! registered and has no schedule) and by the next plan (a schedule that nobody needs). The interval is noted before the
//! profile is stored, too ([`Table::create`], [`Table::update`]), so that a repair finds it if nobody lives to note it
//! after.

use std::time::Duration;

use mailroom_core::ports::{PortError, Schedules};
use mailroom_core::profile::RefreshInterval;
use time::OffsetDateTime;

use crate::dynamodb::Table;
use crate::scheduler::ScheduleGroup;

/// How far the index may lag behind the table; usually it is some tens of milliseconds.
const LAG: Duration = Duration::from_secs(2);

/// The schedules, kept in step with the profiles.
#[derive(Debug)]
pub struct Intervals {
    table: Table,
    schedules: ScheduleGroup,
    now: fn() -> OffsetDateTime,
    lag: Duration,
}

impl Intervals {
    /// The schedules of a group, for the profiles of a table, by a clock.
    #[must_use]
    pub const fn new(table: Table, schedules: ScheduleGroup, now: fn() -> OffsetDateTime) -> Self {
        Self { table, schedules, now, lag: LAG }
    }

    /// How long it takes until the index surely shows what was stored at `at` (milliseconds since 1970).
    fn until_shown(&self, at: i64) -> Duration {
        let now = (self.now)().unix_timestamp_nanos() / 1_000_000;
        // A moment that is still to come, by another machine's clock, is now.
        let age = Duration::from_millis(u64::try_from(now - i128::from(at)).unwrap_or(0));
        self.lag.saturating_sub(age)
    }
}

impl Schedules for Intervals {
    async fn joined(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.table.register(interval, (self.now)()).await?;
        self.schedules.ensure(interval).await
    }

    async fn left(&self, interval: RefreshInterval) -> Result<(), PortError> {
        if interval == RefreshInterval::DEFAULT {
            return Ok(());
        }
        let registered = self.table.registered(interval).await?;
        // Before the look, which may take its time: it shows what the index held when it began.
        let rest = registered.as_ref().map_or(Duration::ZERO, |read| self.until_shown(read.joined_at));
        if self.table.is_listened_to(interval).await? {
            return Ok(());
        }
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
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
