//! How carefully messages are handed over after earlier tries failed: the rules of quarantine.
//!
//! Each lease of a profile counts as a try until the cursor moves or the poll ends in a way that says it was not the
//! message's fault. A crash says nothing, so it counts. After three tries a message is quarantined, and those behind it
//! go on.

use crate::inbound::failure::Failure;
use crate::inbound::plan::{Extent, PendingMessage};

/// The most messages of a page: one read of the ledger, ten batches of the job queue.
pub const PAGE_MESSAGES: usize = 100;

/// The bytes (RFC822.SIZE) after which a page is full; a larger message is a page of its own.
pub const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// What a header block counts at most in the bytes of a page.
const HEADER_BYTES: u64 = 64 * 1024;

impl PendingMessage {
    /// The bytes that fetching it takes, if the server announced its size correctly.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self.extent {
            Extent::Whole => self.size,
            Extent::Header => self.size.min(HEADER_BYTES),
        }
    }
}

/// How carefully the next page is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Many messages at a time, beside other profiles.
    Pages,
    /// One message at a time, in an invocation that no other profile shares: the next crash shows which message it was.
    OneByOne,
    /// The first message is announced as quarantined: stored if it can be fetched, and not parsed.
    Quarantine,
    /// The first message is announced as quarantined, and not even fetched.
    QuarantineUnfetched,
}

impl Isolation {
    /// The isolation of a lease's first page. `tries` includes the present one: see [`crate::ports::Lease`].
    #[must_use]
    pub const fn after(tries: u32) -> Self {
        match tries {
            0 | 1 => Self::Pages,
            2 | 3 => Self::OneByOne,
            4 => Self::Quarantine,
            _ => Self::QuarantineUnfetched,
        }
    }

    /// The isolation of the pages that follow: the message that failed is past, and others may be like it.
    #[must_use]
    pub const fn of_next_page(self) -> Self {
        match self {
            Self::Pages => Self::Pages,
            Self::OneByOne | Self::Quarantine | Self::QuarantineUnfetched => Self::OneByOne,
        }
    }

    /// How many of the messages that are left, in their order, make the next page: at least one, unless none is left.
    #[must_use]
    pub fn page_length(self, left: &[PendingMessage]) -> usize {
        let most = match self {
            Self::Pages => PAGE_MESSAGES,
            Self::OneByOne | Self::Quarantine | Self::QuarantineUnfetched => 1,
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
        Failure::SuspectMessage(_) => Some(tries),
        Failure::Owner(_) | Failure::Service(_) => Some(not_counted(tries)),
        Failure::Lost | Failure::OutOfTime => None,
    }
}

/// `tries` without the present one: the lease ended, and no message is under suspicion.
#[must_use]
pub const fn not_counted(tries: u32) -> u32 {
    tries.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::cursor::Uid;
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
        for alone in [Isolation::OneByOne, Isolation::Quarantine, Isolation::QuarantineUnfetched] {
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
    fn a_message_is_quarantined_after_three_tries() {
        use Isolation::{OneByOne, Pages, Quarantine, QuarantineUnfetched};
        let isolations: Vec<Isolation> = (1..=6).map(Isolation::after).collect();
        let expected = [Pages, OneByOne, OneByOne, Quarantine, QuarantineUnfetched, QuarantineUnfetched];
        assert_eq!(isolations, expected);
    }

    #[test]
    fn only_the_first_message_is_quarantined() {
        for isolation in [Isolation::Quarantine, Isolation::QuarantineUnfetched, Isolation::OneByOne] {
            assert_eq!(isolation.of_next_page(), Isolation::OneByOne);
        }
        assert_eq!(Isolation::Pages.of_next_page(), Isolation::Pages);
    }

    #[test]
    fn only_what_a_message_may_have_caused_counts_as_a_try() {
        let error = OwnerError::new(ErrorCode::ImapProtocol, "no");
        assert_eq!(tries_after(&Failure::SuspectMessage(error.clone()), 2), Some(2));
        assert_eq!(tries_after(&Failure::Owner(error), 2), Some(1));
        assert_eq!(tries_after(&Failure::Service(PortError::Corrupt(String::new())), 1), Some(0));
        // The lease is left to run out, and counts.
        assert_eq!(tries_after(&Failure::OutOfTime, 2), None);
        assert_eq!(tries_after(&Failure::Lost, 2), None);
    }
}
