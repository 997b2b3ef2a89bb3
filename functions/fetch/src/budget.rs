//! What an invocation may hold in memory at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of raw mail that all the profiles of an invocation may hold at once. Parsed and encoded, a mail takes up to
/// three times its size; with 256 MB of memory that leaves room for 100 TLS sessions.
const TOTAL_BYTES: u64 = 48 * 1024 * 1024;

const UNIT: u64 = 1024;

/// The bytes of mail that may still be taken into memory, shared by all profiles of an invocation.
pub(crate) struct Budget(Semaphore);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(usize::try_from(TOTAL_BYTES / UNIT).unwrap_or(Semaphore::MAX_PERMITS)))
    }

    /// Waits until `bytes` fit, in the order of asking. A mail above the whole budget waits for all of it.
    pub(crate) async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let units = bytes.min(TOTAL_BYTES).div_ceil(UNIT).max(1);
        // Closed is the only error, and it is never closed.
        self.0.acquire_many(u32::try_from(units).unwrap_or(u32::MAX)).await.ok()
    }
}
