//! A message that a server lists and that has no job yet.

use time::OffsetDateTime;

use crate::inbound::cursor::{Cursor, Floor, Uid};

/// What a header block counts at most in the bytes of a page.
const HEADER_BYTES: u64 = 64 * 1024;

/// How much of a message is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its header block: the message is larger than the profile allows.
    Header,
    /// It is not known: the server does not list the message.
    Unlisted,
}

/// One message to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingMessage {
    /// Its UID.
    pub uid: Uid,
    /// How much of it is fetched.
    pub extent: Extent,
    /// RFC822.SIZE in bytes.
    pub size: u64,
    /// INTERNALDATE.
    pub arrived: Option<OffsetDateTime>,
}

impl Floor {
    /// Whether a message that was there before its mailbox was renumbered may have been handed over under another UID:
    /// whatever arrived later than anything that was handled was not.
    #[must_use]
    pub fn may_be_handed_over(&self, message: &PendingMessage) -> bool {
        let newest = self.since.saturating_add(Cursor::LOOK_BACK);
        self.renumbered
            && message.uid <= self.up_to
            && message.arrived.is_none_or(|arrived| arrived <= newest)
    }
}

impl PendingMessage {
    /// The bytes that fetching it takes, if the server announced its size correctly.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self.extent {
            Extent::Whole | Extent::Unlisted => self.size,
            Extent::Header => self.size.min(HEADER_BYTES),
        }
    }
}
