//! How carefully messages are handed over after earlier tries failed.
//!
//! Each lease of a profile counts as a try until the cursor moves, or the poll ends in a way that says it was not the
//! message's fault. A crash says nothing, so it counts. The second and third try take one message at a time. From the
//! fourth on, the server first has to give another message of the mailbox: if it does not, it is the server that fails,
//! and nothing happens to the message. If it does, the message is tried once more, and then *deferred*
//! ([`crate::inbound::deferred`]), so that those behind it go on.

use time::OffsetDateTime;

use crate::inbound::deferred::{
    Deferred, FETCHED_TRIES, QUARANTINE_AFTER, QUARANTINE_TRIES, QuarantineNotice,
};
use crate::inbound::failure::Failure;
use crate::inbound::pending::PendingMessage;

/// The most messages of a page: one read of the ledger, ten batches of the job queue.
pub const PAGE_MESSAGES: usize = 100;

/// The bytes (RFC822.SIZE) after which a page is full; a larger message is a page of its own.
pub const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// The tries after which the first message is suspected to be unreadable.
pub const TRIES_BEFORE_SUSPICION: u32 = 3;

/// How carefully the next page is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Many messages at a time, beside other profiles.
    Pages,
    /// One message at a time, in an invocation that no other profile shares: the next crash shows which message it was.
    OneByOne,
    /// As [`Self::OneByOne`]. A job says that the message is quarantined if it cannot be fetched.
    WholeOrQuarantine,
    /// A job says that the message is quarantined. What can be fetched of it is stored, and not parsed.
    Quarantine,
    /// A job says that the message is quarantined. The message is not even fetched.
    QuarantineUnfetched,
}

/// What the tries at a cursor say of the first message behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing.
    None,
    /// If the server gives another message and not this one, this one is deferred.
    Unreadable,
    /// A try to read it after the server gave another message ended in a crash, or with the time: it is deferred without
    /// another.
    Crashes,
}

impl Suspicion {
    /// The suspicion under a lease. `tries` includes the present one: see [`crate::ports::Lease`].
    #[must_use]
    pub const fn after(tries: u32) -> Self {
        if tries <= TRIES_BEFORE_SUSPICION {
            Self::None
        } else if tries == TRIES_BEFORE_SUSPICION + 1 {
            Self::Unreadable
        } else {
            Self::Crashes
        }
    }
}

impl Isolation {
    /// The isolation of a lease's pages. `tries` includes the present one: see [`crate::ports::Lease`].
    #[must_use]
    pub const fn after(tries: u32) -> Self {
        if tries <= 1 { Self::Pages } else { Self::OneByOne }
    }

    /// The isolation of a try of a deferred message, as [`Deferred::begin_try`] returned it.
    #[must_use]
    pub fn of_deferred(entry: &Deferred, now: OffsetDateTime) -> Self {
        let recent = now - entry.since < QUARANTINE_AFTER || entry.tries < QUARANTINE_TRIES;
        match entry.notice {
            QuarantineNotice::Sent | QuarantineNotice::Never => Self::OneByOne,
            QuarantineNotice::Pending if recent => Self::OneByOne,
            // The present try counts as a crash until its end is known.
            QuarantineNotice::Pending if entry.crashes <= 1 => Self::WholeOrQuarantine,
            QuarantineNotice::Pending if entry.tries < FETCHED_TRIES => Self::Quarantine,
            QuarantineNotice::Pending => Self::QuarantineUnfetched,
        }
    }

    /// Whether a job may say only that the message is quarantined.
    #[must_use]
    pub const fn may_quarantine(self) -> bool {
        match self {
            Self::Pages | Self::OneByOne => false,
            Self::WholeOrQuarantine | Self::Quarantine | Self::QuarantineUnfetched => true,
        }
    }

    /// How many of the messages that are left, in their order, make the next page: at least one, unless none is left.
    #[must_use]
    pub fn page_length(self, left: &[PendingMessage]) -> usize {
        let most = match self {
            Self::Pages => PAGE_MESSAGES,
            Self::OneByOne | Self::WholeOrQuarantine | Self::Quarantine | Self::QuarantineUnfetched => 1,
        };
        let mut bytes = 0_u64;
        let fitting = left.iter().take(most).take_while(|message| {
            bytes = bytes.saturating_add(message.cost());
            bytes <= PAGE_BYTES
        });
        fitting.count().max(1).min(left.len())
    }
}

/// The tries that are left in the table after a failure under a lease that was itself counted among `tries`.
///
/// Only a failure that the next message may have caused counts. `None`: the lease is not released, because it is lost or
/// its state is unknown; where it is still held it runs out, and the try counts.
#[must_use]
pub const fn tries_after(failure: &Failure, tries: u32) -> Option<u32> {
    match failure {
        Failure::SuspectMessage(_) => Some(counted_tries(tries)),
        Failure::Owner(_) | Failure::Service(_) => Some(not_counted(tries)),
        Failure::Lost | Failure::OutOfTime => None,
    }
}

/// `tries` with the present one. More than those before a suspicion would say that it crashed.
#[must_use]
pub const fn counted_tries(tries: u32) -> u32 {
    if tries < TRIES_BEFORE_SUSPICION { tries } else { TRIES_BEFORE_SUSPICION }
}

/// `tries` without the present one: the lease ended, and no message is under suspicion.
#[must_use]
pub const fn not_counted(tries: u32) -> u32 {
    tries.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::inbound::cursor::Uid;
    use crate::inbound::pending::Extent;
    use crate::owner_error::{ErrorCode, OwnerError};
    use crate::ports::PortError;

    fn messages(count: usize, size: u64) -> Vec<PendingMessage> {
        let message =
            PendingMessage { uid: Uid::new(1).unwrap(), extent: Extent::Whole, size, arrived: None };
        vec![message; count]
    }

    #[test]
    fn pages_are_full_at_their_count_or_their_bytes() {
        assert_eq!(Isolation::Pages.page_length(&messages(250, 10)), 100);
        assert_eq!(Isolation::Pages.page_length(&messages(50, 10)), 50);
        assert_eq!(Isolation::Pages.page_length(&messages(5, PAGE_BYTES / 2)), 2);
        assert_eq!(Isolation::Pages.page_length(&messages(2, 10 * PAGE_BYTES)), 1);
        assert_eq!(Isolation::Pages.page_length(&[]), 0);
        use Isolation::{OneByOne, Quarantine, QuarantineUnfetched, WholeOrQuarantine};
        for alone in [OneByOne, WholeOrQuarantine, Quarantine, QuarantineUnfetched] {
            assert_eq!(alone.page_length(&messages(3, 10)), 1);
        }
    }

    #[test]
    fn a_header_block_costs_no_more_than_a_header_block() {
        let header = PendingMessage { extent: Extent::Header, ..messages(1, u64::MAX)[0] };
        assert_eq!(Isolation::Pages.page_length(&[header; 64]), 64);
        assert_eq!(Isolation::Pages.page_length(&[header; 65]), 64);
    }

    #[test]
    fn a_message_is_suspected_after_three_tries() {
        let tried: Vec<_> = (1..=6).map(|tries| (Isolation::after(tries), Suspicion::after(tries))).collect();
        let expected = [
            (Isolation::Pages, Suspicion::None),
            (Isolation::OneByOne, Suspicion::None),
            (Isolation::OneByOne, Suspicion::None),
            (Isolation::OneByOne, Suspicion::Unreadable),
            (Isolation::OneByOne, Suspicion::Crashes),
            (Isolation::OneByOne, Suspicion::Crashes),
        ];
        assert_eq!(tried, expected);
    }

    /// The minutes and isolations of the tries of a message that is tried whenever that is due.
    fn tries(crashes: bool) -> Vec<(i64, Isolation)> {
        let start = datetime!(2026-11-01 12:00 UTC);
        let mut entry = Deferred::new(messages(1, 10)[0], None, QuarantineNotice::Pending, start);
        let mut tries = Vec::new();
        for _ in 0..7 {
            let now = entry.due_at;
            let begun = entry.begin_try(now).unwrap();
            tries.push(((now - start).whole_minutes(), Isolation::of_deferred(&begun, now)));
            entry = if crashes { begun } else { begun.end_try() };
        }
        tries
    }

    #[test]
    fn a_deferred_message_is_not_quarantined_within_a_quarter_of_an_hour() {
        use Isolation::{OneByOne, Quarantine, QuarantineUnfetched, WholeOrQuarantine};
        let minutes = [1, 3, 7, 15, 31, 63, 123];
        let fails = [
            OneByOne,
            OneByOne,
            OneByOne,
            WholeOrQuarantine,
            WholeOrQuarantine,
            WholeOrQuarantine,
            WholeOrQuarantine,
        ];
        assert_eq!(tries(false), minutes.into_iter().zip(fails).collect::<Vec<_>>());
        let crashes = [OneByOne, OneByOne, OneByOne, Quarantine, Quarantine, Quarantine, QuarantineUnfetched];
        assert_eq!(tries(true), minutes.into_iter().zip(crashes).collect::<Vec<_>>());
    }

    #[test]
    fn a_message_that_is_first_tried_again_after_a_day_is_tried_as_a_whole() {
        let start = datetime!(2026-11-01 12:00 UTC);
        let now = start + Duration::DAY;
        let entry =
            Deferred::new(messages(1, 10)[0], None, QuarantineNotice::Pending, start).begin_try(now).unwrap();
        assert_eq!(Isolation::of_deferred(&entry, now), Isolation::OneByOne);
    }

    #[test]
    fn a_deferred_message_is_tried_for_seven_days() {
        let start = datetime!(2026-11-01 12:00 UTC);
        let mut entry = Deferred::new(messages(1, 10)[0], None, QuarantineNotice::Sent, start);
        while let Some(begun) = entry.begin_try(entry.due_at) {
            assert!(begun.due_at - entry.due_at <= Duration::HOUR);
            entry = begun.end_try();
        }
        assert!(entry.due_at - start >= Duration::days(7));
    }

    #[test]
    fn only_what_a_message_may_have_caused_counts_as_a_try() {
        let error = OwnerError::new(ErrorCode::ImapProtocol, "no");
        for (tries, counted) in [(1, 1), (2, 2), (3, 3), (4, 3), (9, 3)] {
            assert_eq!(tries_after(&Failure::SuspectMessage(error.clone()), tries), Some(counted));
        }
        assert_eq!(tries_after(&Failure::Owner(error), 2), Some(1));
        assert_eq!(tries_after(&Failure::Service(PortError::Corrupt(String::new())), 1), Some(0));
        // The lease is left to run out, and counts.
        assert_eq!(tries_after(&Failure::OutOfTime, 2), None);
        assert_eq!(tries_after(&Failure::Lost, 2), None);
    }
}
