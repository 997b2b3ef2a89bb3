//! This run's right to one of the profile's sessions: a few runs at once send for one profile, so that the others are free
//! for the rest, and so that the server is not asked for more sessions than it allows.

use std::time::Duration;

use mailroom_core::error_chain::Chain;
use mailroom_core::outbound::ports::{Deliveries, SessionSlot};
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use time::OffsetDateTime;
use tracing::warn;

/// The first pause of a message whose profile has all of its sessions in use; it grows with each delivery by the queue.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// The longest of these pauses: a thousand deliveries, after which the queue gives up, then last three days.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What this run knows of the profile's sessions.
pub(crate) enum Slot {
    /// Not asked for yet.
    Unknown,
    /// This run holds one.
    Held(SessionSlot),
    /// Other runs held all of them: the rest of the batch is left to them.
    Busy,
}

impl Slot {
    /// Takes a session, unless this run has one; whether it has one now.
    pub(crate) async fn take(
        &mut self,
        table: &impl Deliveries,
        profile: ProfileId,
        holder: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, PortError> {
        if let Self::Unknown = self {
            *self = table.take_session(profile, holder, until, now).await?.map_or(Self::Busy, Self::Held);
        }
        Ok(matches!(self, Self::Held(_)))
    }

    /// Gives the session back.
    pub(crate) async fn release(self, table: &impl Deliveries, profile: ProfileId) {
        if let Self::Held(slot) = self
            && let Err(error) = table.release_session(profile, &slot).await
        {
            warn!(profile.id = %profile, error = %Chain(&error), "a session could not be given back; it runs out by itself");
        }
    }
}

/// How long a message waits that the queue has delivered this often, while all sessions are in use.
pub(crate) fn busy_pause(deliveries: Option<u32>) -> Duration {
    (FIRST_PAUSE * deliveries.unwrap_or(1).clamp(1, 30)).min(LONGEST_PAUSE)
}
