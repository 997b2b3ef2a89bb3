//! Messages that the cursor passed although they could not be read: the rules of quarantine.
//!
//! A server may list a message and not give it: for minutes while it is scanned, or for ever because it is damaged. Such
//! a message is *deferred*: the cursor passes it, so that those behind it go on, and it stays on a list of its profile,
//! which is written together with the cursor. It is tried again for [`KEPT`]. What is still unreadable after
//! [`QUARANTINE_AFTER`] gets a job of kind `quarantined`, once, and its whole job if it can be read later.
//!
//! An outage defers nothing: before a message is deferred, and again before it is quarantined, the server has to give
//! another message of the same mailbox, or else the header of this one.

use time::{Duration, OffsetDateTime};

use crate::inbound::cursor::UidValidity;
use crate::inbound::pending::PendingMessage;

/// The most messages of a profile that are deferred at once. While the list is full, the cursor passes no other.
pub const MAX_DEFERRED: usize = 50;

/// How long a message is tried before its job says `quarantined`. Servers scan attachments for minutes.
pub const QUARANTINE_AFTER: Duration = Duration::minutes(15);

/// How many tries that takes at least, the one that quarantines it included.
pub const QUARANTINE_TRIES: u32 = 4;

/// How long a message is tried at all.
pub const KEPT: Duration = Duration::days(7);

/// The pause after the first try; it doubles with each.
const FIRST_PAUSE: Duration = Duration::minutes(1);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::hours(1);

/// Crashes in a row after which a message is tried once a day.
const CRASHES: u32 = 3;

/// The tries that a message that crashes has before it is quarantined without being fetched.
pub const FETCHED_TRIES: u32 = 7;

/// Whether a deferred message's flow has a job of kind `quarantined`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineNotice {
    /// Not yet.
    Pending,
    /// The job is handed over.
    Sent,
    /// It never will: the message was there before its mailbox was renumbered, so that it may have been handed over under
    /// another UID.
    Never,
}

/// A message that the cursor passed although it could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferred {
    /// The message, as it was listed.
    pub message: PendingMessage,
    /// The UIDVALIDITY that its UID belongs to.
    pub uid_validity: Option<UidValidity>,
    /// When it was deferred.
    pub since: OffsetDateTime,
    /// How many tries have begun since then.
    pub tries: u32,
    /// How many of the last tries crashed. A try that has begun counts until its end is known.
    pub crashes: u32,
    /// When the next try is due.
    pub due_at: OffsetDateTime,
    /// What its flow has been told.
    pub notice: QuarantineNotice,
}

impl Deferred {
    /// A message that is deferred at `now`.
    #[must_use]
    pub fn new(
        message: PendingMessage,
        uid_validity: Option<UidValidity>,
        notice: QuarantineNotice,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            message,
            uid_validity,
            since: now,
            tries: 0,
            crashes: 0,
            due_at: now.saturating_add(FIRST_PAUSE),
            notice,
        }
    }

    /// Whether it has been tried for so long that its flow hears of it even if the server gives no other message.
    #[must_use]
    pub fn is_overdue(&self, now: OffsetDateTime) -> bool {
        now - self.since >= KEPT
    }

    /// The entry to store before a try at `now`, so that a crash counts; `None` for the last try. A message of which its
    /// flow has not heard has no last try.
    #[must_use]
    pub fn begin_try(self, now: OffsetDateTime) -> Option<Self> {
        let (tries, crashes) = (self.tries.saturating_add(1), self.crashes.saturating_add(1));
        let pause = if self.notice != QuarantineNotice::Pending && self.crashes >= CRASHES {
            Duration::DAY
        } else {
            (FIRST_PAUSE * 2_i32.pow(tries.min(10))).min(LONGEST_PAUSE)
        };
        let is_last = self.is_overdue(now) && self.notice != QuarantineNotice::Pending;
        (!is_last).then_some(Self { tries, crashes, due_at: now.saturating_add(pause), ..self })
    }

    /// The entry after a try that ended without a crash.
    #[must_use]
    pub fn end_try(self) -> Self {
        Self { crashes: 0, ..self }
    }
}

/// Whether one more message can be deferred.
#[must_use]
pub fn has_room(deferred: &[Deferred]) -> bool {
    deferred.len() < MAX_DEFERRED
}

/// When the next of them is due.
#[must_use]
pub fn next_due(deferred: &[Deferred]) -> Option<OffsetDateTime> {
    deferred.iter().map(|entry| entry.due_at).min()
}
