//! From the SDK's errors to the ports'.

use std::error::Error;
use std::time::Duration;

use mailroom_core::error_chain::Chain;
use mailroom_core::ports::PortError;

/// A service failed or refused.
pub(crate) fn unavailable<E>(operation: &'static str) -> impl FnOnce(E) -> PortError
where
    E: Error + Send + Sync + 'static,
{
    move |error| PortError::Unavailable { operation, source: Box::new(error) }
}

/// A service that holds secrets failed or refused. Only the words are kept: the SDK's error holds the reply, and the
/// reply may hold the secret.
pub(crate) fn unavailable_in_words<E: Error>(operation: &'static str) -> impl FnOnce(E) -> PortError {
    move |error| PortError::Unavailable { operation, source: Chain(&error).to_string().into() }
}

/// Tries of what a service took only in part.
pub(crate) const PARTIAL_TRIES: u32 = 6;

/// Waits before what was left over after `tries` tries: 50 ms, 100 ms, … Services shed load this way, so it has to
/// give way. Before the first try there is no wait.
pub(crate) async fn back_off(tries: u32) {
    if let Some(doublings) = tries.checked_sub(1) {
        tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(doublings.min(PARTIAL_TRIES))).await;
    }
}

/// What a service still refuses after [`PARTIAL_TRIES`].
pub(crate) fn left_over(operation: &'static str, count: usize) -> PortError {
    PortError::Unavailable { operation, source: format!("{count} entries were not taken").into() }
}
