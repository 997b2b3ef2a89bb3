//! How many bytes the tasks of an invocation may hold at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The grain of the count: a semaphore counts at most 2^32 permits in one request.
const UNIT: u64 = 1024;

/// Bytes that all tasks of an invocation share, so that memory is bounded by this number and not by the size of messages.
pub struct MemoryBudget {
    total: u64,
    units: Semaphore,
}

/// Bytes that one task holds; dropping it returns them.
pub struct Held<'a> {
    units: &'a Semaphore,
    permit: Option<SemaphorePermit<'a>>,
    /// What is held, and how much of it is in use, in bytes.
    held: u64,
    used: u64,
}

impl MemoryBudget {
    /// A budget of `total` bytes.
    #[must_use]
    pub fn new(total: u64) -> Self {
        let units = usize::try_from(total / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Self { total, units: Semaphore::new(units) }
    }

    /// Waits until `bytes` fit; requests are served in order. A request above the whole budget waits for all of it.
    pub async fn take(&self, bytes: u64) -> Held<'_> {
        let units = bytes.min(self.total).div_ceil(UNIT).max(1);
        // Acquiring fails only when the semaphore is closed, and nothing closes it.
        let permit = self.units.acquire_many(u32::try_from(units).unwrap_or(u32::MAX)).await.ok();
        Held { units: &self.units, permit, held: units * UNIT, used: 0 }
    }

    /// The bytes that nobody holds.
    #[must_use]
    pub fn free(&self) -> u64 {
        u64::try_from(self.units.available_permits()).unwrap_or(u64::MAX).saturating_mul(UNIT)
    }
}

impl Held<'_> {
    /// Uses some more bytes: of those that are held, and beyond them of those that nobody holds. `false`: there is no
    /// room for them. Never waits, because tasks that wait for more while they hold some wait for each other.
    #[must_use]
    pub fn charge(&mut self, bytes: u64) -> bool {
        let used = self.used.saturating_add(bytes);
        let more = used.saturating_sub(self.held).div_ceil(UNIT);
        if more > 0 {
            let Ok(units) = u32::try_from(more) else { return false };
            let Ok(permit) = self.units.try_acquire_many(units) else { return false };
            match &mut self.permit {
                Some(held) => held.merge(permit),
                held @ None => *held = Some(permit),
            }
            self.held += more * UNIT;
        }
        self.used = used;
        true
    }

    /// Returns what is held and not in use.
    pub fn settle(&mut self) {
        let spare = self.held.saturating_sub(self.used) / UNIT;
        let Some(permit) = &mut self.permit else { return };
        let split = usize::try_from(spare).ok().and_then(|units| permit.split(units));
        if split.is_some() {
            self.held -= spare * UNIT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_arrives_is_charged_and_what_does_not_is_returned() {
        let budget = MemoryBudget::new(100 * UNIT);
        let mut held = budget.take(10 * UNIT).await;
        assert!(held.charge(4 * UNIT));
        held.settle();
        assert_eq!(budget.free(), 96 * UNIT);
        assert!(held.charge(40 * UNIT));
        assert_eq!(budget.free(), 56 * UNIT);
        drop(held);
        assert_eq!(budget.free(), 100 * UNIT);
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_is_refused_and_takes_nothing() {
        let budget = MemoryBudget::new(100 * UNIT);
        let mut held = budget.take(50 * UNIT).await;
        let other = budget.take(40 * UNIT).await;
        assert!(held.charge(60 * UNIT));
        assert!(!held.charge(1));
        assert_eq!(budget.free(), 0);
        drop(other);
        assert!(held.charge(1));
        assert!(!held.charge(u64::MAX));
        drop(held);
        assert_eq!(budget.free(), 100 * UNIT);
    }
}
