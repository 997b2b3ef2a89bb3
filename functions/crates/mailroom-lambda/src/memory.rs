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
pub struct Held<'a>(#[expect(dead_code, reason = "held for its drop")] Option<SemaphorePermit<'a>>);

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
        Held(self.units.acquire_many(u32::try_from(units).unwrap_or(u32::MAX)).await.ok())
    }
}
