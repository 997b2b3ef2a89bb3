//! One schedule for each interval in use, and for no other, however changes race.
//!
//! A profile that begins to use an interval is stored, then noted in the registry, then the schedule is ensured. Whoever
//! has left an interval looks for others; finding none, it strikes the interval off the registry *as it was read*,
//! removes the schedule, and looks into the registry again. So, for one that joins while another leaves:
//!
//! - noted before it is struck off: striking fails, and the schedule stays;
//! - noted after that: the second look finds it, and makes the schedule again, unless the one who joins does so itself
//!   after the removal.
//!
//! The index in which others are looked for follows the table within moments, so nobody is struck off who was noted a
//! moment ago. What a process that died between two steps leaves undone is mended by [`Schedules::repair`] (an interval
//! that is registered and has no schedule) and by the next plan (a schedule that nobody needs).

use std::time::Duration;

use mailroom_core::ports::{PortError, Schedules};
use mailroom_core::profile::RefreshInterval;
use time::OffsetDateTime;

use crate::dynamodb::Table;
use crate::scheduler::ScheduleGroup;

/// How far the index may lag behind the table; in truth some tens of milliseconds.
const LAG: Duration = Duration::from_secs(2);

/// The schedules, kept in step with the profiles.
#[derive(Debug)]
pub struct Intervals {
    table: Table,
    schedules: ScheduleGroup,
    now: fn() -> OffsetDateTime,
}

impl Intervals {
    /// The schedules of a group, for the profiles of a table, by a clock.
    #[must_use]
    pub const fn new(table: Table, schedules: ScheduleGroup, now: fn() -> OffsetDateTime) -> Self {
        Self { table, schedules, now }
    }

    /// How long ago a moment (milliseconds since 1970) was; none at all if it is to come.
    fn age(&self, at: i64) -> Duration {
        let now = (self.now)().unix_timestamp_nanos() / 1_000_000;
        Duration::from_millis(u64::try_from(now - i128::from(at)).unwrap_or(0))
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
        if self.table.is_listened_to(interval).await? {
            return Ok(());
        }
        if let Some(registered) = &registered {
            let rest = LAG.saturating_sub(self.age(registered.joined_at));
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
                if self.table.is_listened_to(interval).await? {
                    return Ok(());
                }
            }
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
