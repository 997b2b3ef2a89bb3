//! From the SDK's errors to the ports'.

use std::error::Error;
use std::time::Duration;

use mailroom_core::ports::PortError;

/// A service failed or refused.
pub(crate) fn unavailable<E>(operation: &'static str) -> impl FnOnce(E) -> PortError
where
    E: Error + Send + Sync + 'static,
{
    move |error| PortError::Unavailable { operation, source: Box::new(error) }
}

/// Tries of what a service took only in part.
pub(crate) const PARTIAL_TRIES: u32 = 6;

/// Waits before a try of what was left over: 50 ms, 100 ms, … Services shed load this way, so it has to give way.
pub(crate) async fn back_off(tries: u32) {
    tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(tries.min(6))).await;
}

/// What a service still refuses after [`PARTIAL_TRIES`].
pub(crate) fn left_over(operation: &'static str, count: usize) -> PortError {
    PortError::Unavailable { operation, source: format!("{count} entries were not taken").into() }
}
