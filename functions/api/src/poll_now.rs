//! A poll at once, for an owner who waits to see what comes of a change.

use std::sync::Arc;
use std::time::Duration;

use mailroom_aws::handover::PollQueue;
use mailroom_core::error_chain::Chain;
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::profile::ProfileId;
use tracing::warn;

/// How long the queue may take: the change is stored, and its answer must not be lost for this.
const TIME: Duration = Duration::from_secs(5);

/// Asks for polls at once.
#[derive(Clone)]
pub(crate) struct PollNow(pub(crate) Arc<PollQueue>);

impl PollNow {
    /// Has a profile polled at once. Where the queue does not take it, the next schedule polls it.
    pub(crate) async fn ask(&self, id: ProfileId) {
        let request = PollRequest::Profile(id);
        match tokio::time::timeout(TIME, self.0.request(&request)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(profile.id = %id, error = %Chain(&error), "profile {id} is not polled at once; its schedule polls it");
            }
            Err(_) => {
                warn!(profile.id = %id, "profile {id} is not polled at once, because the poll queue takes too long; its schedule polls it");
            }
        }
    }
}
