//! How long a poll's lease lasts, and when its run is checked.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Invocation, Poll};
use crate::inbound::step::Moment;
use crate::ports::Hold;

/// How long a lease lasts at most without being renewed, where others share the invocation. Each move of the cursor
/// renews it.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// How much longer than the poll's own time a lease lasts: the driver ends a step that is late within a second.
const LEASE_MARGIN: Duration = Duration::from_secs(3);

/// How long a lease lasts at most in an invocation of its own.
const LONGEST_LEASE: Duration = Duration::from_secs(240);

/// How long after the end of a lease its run is checked.
const CHECK_MARGIN: Duration = Duration::from_secs(15);

/// The latest check: a repeat must reach the queue before it forgets, five minutes after the first try.
const LATEST_CHECK: Duration = Duration::from_secs(255);

impl Poll {
    /// The delay after which a crash of this run shows: the cursor has not moved, and its lease has ended. FIFO queues
    /// drop repeated jobs for five minutes only.
    pub(super) fn check_delay(&self, moment: Moment) -> Duration {
        let ends = self.lease.as_ref().map_or(moment.now, |lease| lease.expires_at);
        let left = Duration::try_from(ends - moment.now).unwrap_or_default();
        left.saturating_add(CHECK_MARGIN).clamp(CHECK_MARGIN, LATEST_CHECK)
    }

    /// The end of a lease that is kept.
    pub(super) fn keep_lease(&self, moment: Moment) -> Hold {
        Hold::Until(self.lease_end(moment))
    }

    /// The end of a lease that is taken or renewed now.
    pub(super) fn lease_end(&self, moment: Moment) -> OffsetDateTime {
        lease_until(self.invocation, moment)
    }
}

/// When a lease ends: with the poll's time, or earlier, because a run that crashes must not block the mailbox for long.
/// A message that is fetched alone may take all of the invocation.
pub(super) fn lease_until(invocation: Invocation, moment: Moment) -> OffsetDateTime {
    let longest = match invocation {
        Invocation::Shared => LEASE_TIME,
        Invocation::Dedicated => LONGEST_LEASE,
    };
    let time = moment.left.saturating_add(LEASE_MARGIN).min(longest);
    moment.now.saturating_add(time::Duration::try_from(time).unwrap_or(time::Duration::MINUTE))
}
