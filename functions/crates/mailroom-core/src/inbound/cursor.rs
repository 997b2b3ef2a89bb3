//! How far a mailbox is handled.

use std::num::NonZeroU32;

use time::{Duration, OffsetDateTime};

/// A message's UID (RFC 9051 §2.3.1.1): never 0, ascending in a mailbox for as long as its UIDVALIDITY stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU32);

impl Uid {
    /// The UID `n`; `None` for 0, which no message has.
    #[must_use]
    pub const fn new(n: u32) -> Option<Self> {
        match NonZeroU32::new(n) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// A mailbox's UIDVALIDITY (RFC 9051 §2.3.1.1). A server that sends none, or 0, has no value of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UidValidity(NonZeroU32);

impl UidValidity {
    /// The UIDVALIDITY `n`; `None` for 0.
    #[must_use]
    pub const fn new(n: u32) -> Option<Self> {
        match NonZeroU32::new(n) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// Old messages that are not announced: those that have a UID of at most `up_to` and arrived before `since`.
///
/// Messages above `up_to` came after the first poll, and count whatever date they carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// The highest UID that existed when the floor was laid.
    pub up_to: Uid,
    /// INTERNALDATE (RFC 9051 §2.3.3) from which messages count.
    pub since: OffsetDateTime,
    /// Whether these messages had other UIDs before, so that they may have been handed over.
    pub renumbered: bool,
}

/// How far a mailbox is handled: every message up to `last_uid` has its job, or is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The UIDVALIDITY that `last_uid` belongs to; `None` from a server that has none.
    pub uid_validity: Option<UidValidity>,
    /// The last handled UID; 0: none yet.
    pub last_uid: u32,
    /// The latest arrival handled, or the start point before that. Where UIDs have lost their meaning, the search
    /// goes back to here.
    pub newest: OffsetDateTime,
    /// Old messages to pass over, while there may be any above `last_uid`.
    pub floor: Option<Floor>,
}

impl Cursor {
    /// How far before `newest` a search goes when UIDs have lost their meaning: servers' clocks and zones differ by
    /// less than a day, and the ledger drops what is met twice.
    pub const LOOK_BACK: Duration = Duration::days(1);

    /// The cursor once everything up to `uid` is handled, the latest of it having arrived at `arrived`.
    ///
    /// `now` bounds `arrived`: a date from the future must not hide messages from a later search.
    #[must_use]
    pub fn advanced(self, uid: Uid, arrived: Option<OffsetDateTime>, now: OffsetDateTime) -> Self {
        let last_uid = self.last_uid.max(uid.get());
        Self {
            last_uid,
            newest: arrived.map_or(self.newest, |at| self.newest.max(at.min(now))),
            floor: self.floor.filter(|floor| last_uid < floor.up_to.get()),
            ..self
        }
    }
}
