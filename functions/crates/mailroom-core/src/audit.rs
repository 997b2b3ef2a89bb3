//! The result of an audit, as it stays with its profile.
//!
//! An audit reads a mailbox by another implementation than polls do, and compares it with the ledger. What it finds is
//! decided where it is made, in the audit function; what is kept of it is here.

use time::OffsetDateTime;

use crate::inbound::cursor::UidValidity;

/// What an audit says of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditResult {
    /// Every message that should have become a job has one.
    Fine,
    /// Messages have no job.
    Missing,
    /// The mailbox could not be compared, or not all of it: nothing is known to be missing.
    Inconclusive,
}

/// The last audit of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStatus {
    /// When it ended.
    pub at: OffsetDateTime,
    /// What it says.
    pub result: AuditResult,
    /// How many messages have no job.
    pub missing: u64,
    /// Why it says nothing for certain: a sentence for the owner. Only with [`AuditResult::Inconclusive`].
    pub reason: Option<String>,
    /// The newest message that no poll had passed then, with the UIDVALIDITY of its UID. One that still waits at the next
    /// audit is missing.
    pub waiting: Option<WaitingMark>,
}

/// How far messages waited for a poll at an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingMark {
    /// The UIDVALIDITY that the UID belongs to.
    pub uid_validity: Option<UidValidity>,
    /// The highest UID in use.
    pub up_to: u32,
}
