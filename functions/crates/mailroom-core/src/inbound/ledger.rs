//! The ledger: what was handed over, and where it lay then.
//!
//! A poll asks it by digests alone. The place serves the audit: what lies where a message was handed over need not be
//! fetched to know it again.

use time::OffsetDateTime;

use crate::inbound::cursor::{Uid, UidValidity};
use crate::inbound::job::Digest;

/// Where a message lay in its mailbox, and how large the server said that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LedgerPlace {
    /// Its UID.
    pub uid: Uid,
    /// The UIDVALIDITY that its UID belongs to.
    pub uid_validity: Option<UidValidity>,
    /// RFC822.SIZE in bytes.
    pub size: u64,
}

/// A message that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOver {
    /// Its digest: the key.
    pub digest: Digest,
    /// Where it lay; `None` in entries that were written before places were noted.
    pub place: Option<LedgerPlace>,
    /// When it was noted.
    pub noted_at: OffsetDateTime,
}
