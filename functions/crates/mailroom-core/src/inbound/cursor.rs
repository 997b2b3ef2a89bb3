//! How far a mailbox is handled.

use std::num::NonZeroU32;

use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

/// How long the ledger remembers what was handed over.
pub const LEDGER_TIME: Duration = Duration::days(30);

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

/// A fingerprint of a mailbox's MAILBOXID (RFC 8474 §4.2): no other mailbox of the server has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailboxId(u64);

impl MailboxId {
    /// The fingerprint of an object id, as the server spells it.
    #[must_use]
    pub fn of(object_id: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(object_id));
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The fingerprint that [`Self::get`] returned.
    #[must_use]
    pub const fn new(fingerprint: u64) -> Self {
        Self(fingerprint)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
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
    /// The mailbox's object id, where the server has told one.
    pub mailbox_id: Option<MailboxId>,
    /// The last handled UID; 0: none yet.
    pub last_uid: u32,
    /// The latest arrival handled, or the start point before that. Where UIDs have lost their meaning, the search
    /// goes back to here.
    pub newest: OffsetDateTime,
    /// The latest arrival, by the server's own clock, among the old messages that the first poll passed over. They are
    /// never announced, whatever happens to the mailbox.
    pub old_until: Option<OffsetDateTime>,
    /// Old messages to pass over, while there may be any above `last_uid`.
    pub floor: Option<Floor>,
    /// When the owner gave the server another name. `None` once the mailbox has shown to be the same.
    pub moved_at: Option<OffsetDateTime>,
}

impl Cursor {
    /// How far before `newest` a search goes when UIDs have lost their meaning: servers' clocks and zones differ by
    /// less than a day, and the ledger drops what is met twice.
    pub const LOOK_BACK: Duration = Duration::days(1);

    /// How far a server's clock may be ahead for its dates to be taken as they are.
    const AHEAD: Duration = Duration::hours(12);

    /// A cursor that stands behind `last_uid`.
    #[must_use]
    pub const fn new(uid_validity: Option<UidValidity>, last_uid: u32, newest: OffsetDateTime) -> Self {
        Self {
            uid_validity,
            mailbox_id: None,
            last_uid,
            newest,
            old_until: None,
            floor: None,
            moved_at: None,
        }
    }

    /// The cursor once everything up to `uid` is handled, the latest of it having arrived at `arrived`.
    ///
    /// `now` bounds `arrived`: a date from the future must not hide messages from a later search, which goes back by
    /// more than that.
    #[must_use]
    pub fn advanced(self, uid: Uid, arrived: Option<OffsetDateTime>, now: OffsetDateTime) -> Self {
        let last_uid = self.last_uid.max(uid.get());
        Self {
            last_uid,
            newest: arrived
                .map_or(self.newest, |at| self.newest.max(at.min(now.saturating_add(Self::AHEAD)))),
            floor: self.floor.filter(|floor| last_uid < floor.up_to.get()),
            ..self
        }
    }
}
