//! What is done about messages that are missing: they go on the profile's list of deferred messages, and a poll is asked
//! for. The poll hands them over as it does every message, by ledger and job id, so that none becomes two jobs.

use std::time::Duration;

use mailroom_aws::dynamodb::Table;
use mailroom_aws::send_queue::SendQueue;
use mailroom_core::inbound::deferred::{Deferred, MAX_DEFERRED, QuarantineNotice};
use mailroom_core::inbound::held_back::HeldChange;
use mailroom_core::inbound::pending::{Extent, PendingMessage};
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::ports::{Hold, PortError, Profiles as _, Progress};
use mailroom_core::profile::Profile;
use mailroom_net::clock::Clock;
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::session::ListedMessage;

/// How long the lease is held: for one write.
const LEASE_TIME: time::Duration = time::Duration::seconds(30);

/// How often a poll that holds the lease is waited for, and how long.
const LEASE_TRIES: u32 = 4;
const LEASE_PAUSE: Duration = Duration::from_secs(5);

/// Brings missing messages back.
pub(crate) struct Repair {
    polls: SendQueue,
}

impl Repair {
    pub(crate) const fn new(polls: SendQueue) -> Self {
        Self { polls }
    }

    /// Has the profile's next poll hand these over. What there is no room for is found again by the next audit.
    pub(crate) async fn repair(
        &self,
        table: &Table,
        audited: &Profile,
        missing: &[ListedMessage],
        clock: Clock,
    ) -> Result<(), PortError> {
        let id = audited.id;
        let mut leased = None;
        for _ in 0..LEASE_TRIES {
            let now = clock.now();
            leased = table.lease(id, now, now + LEASE_TIME).await?;
            if leased.is_some() {
                break;
            }
            tokio::time::sleep(LEASE_PAUSE).await;
        }
        let Some((lease, profile)) = leased else {
            warn!(profile.id = %id, "missing messages are not repaired now: the profile is being polled");
            return Ok(());
        };
        let uid_validity = |profile: &Profile| profile.cursor.and_then(|cursor| cursor.uid_validity);
        let cursor = profile.cursor.filter(|_| {
            profile.version == audited.version && uid_validity(&profile) == uid_validity(audited)
        });
        let Some(cursor) = cursor else {
            return table.release(&lease, 0).await;
        };
        let now = clock.now();
        let mut deferred = profile.deferred.clone();
        let before = deferred.len();
        for message in missing.iter().filter(|message| message.uid.get() <= cursor.last_uid) {
            let is_there = deferred.iter().any(|entry| entry.message.uid == message.uid);
            if !is_there && deferred.len() < MAX_DEFERRED {
                deferred.push(entry(message, &profile, now));
            }
        }
        deferred.sort_by_key(|entry| entry.message.uid);
        let progress = Progress {
            cursor: &cursor,
            deferred: &deferred,
            held_back: HeldChange::Unchanged,
            overdue: profile.overdue.as_ref(),
            skipped_seen: profile.skipped_seen,
            unsearched_at: profile.unsearched_at,
            repeats_up_to: profile.repeats_up_to,
        };
        table.move_cursor(&lease, progress, Hold::Release).await?;
        self.polls.send(&id.to_string(), &PollRequest::Profile(id).to_json()).await?;
        info!(profile.id = %id, repaired = deferred.len() - before, "missing messages are handed over by the next poll");
        Ok(())
    }
}

/// A message that is due at once.
fn entry(message: &ListedMessage, profile: &Profile, now: OffsetDateTime) -> Deferred {
    let ListedMessage { uid, size, arrived, .. } = *message;
    let extent = if size > profile.settings.max_message_bytes { Extent::Header } else { Extent::Whole };
    let pending = PendingMessage { uid, extent, size, arrived };
    let uid_validity = profile.cursor.and_then(|cursor| cursor.uid_validity);
    Deferred { due_at: now, ..Deferred::new(pending, uid_validity, QuarantineNotice::Pending, now) }
}
