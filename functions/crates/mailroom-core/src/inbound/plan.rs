//! What a poll has to do: from the cursor and what the server lists, to the messages to hand over.
//!
//! A pure function with a test per branch. It lists nothing itself: where a listing does not reach far enough, the plan
//! is to list again.

use time::OffsetDateTime;

use crate::inbound::cursor::{Cursor, Floor, Uid, UidValidity};
use crate::inbound::pending::{Extent, PendingMessage};
use crate::profile::{Profile, StartFrom};

/// What a server says of a mailbox when it is opened (RFC 9051 §6.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxState {
    /// UIDVALIDITY; `None` where the server sent none, or 0.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT: above every UID in use; `None` where the server sent none, or 0.
    pub uid_next: Option<Uid>,
    /// EXISTS: how many messages there are.
    pub exists: u32,
    /// The highest UID in use, where it had to be looked up because the server names no UIDNEXT.
    pub last_uid: Option<Uid>,
}

impl MailboxState {
    /// The highest UID that a message may have; `None` where it has to be looked up.
    fn highest(&self) -> Option<u32> {
        match (self.uid_next, self.last_uid) {
            _ if self.exists == 0 && self.uid_next.is_none() => Some(0),
            (Some(next), _) => Some(next.get() - 1),
            (None, last_uid) => last_uid.map(Uid::get),
        }
    }
}

/// One message of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its UID.
    pub uid: Uid,
    /// Whether `\Seen` is set.
    pub seen: bool,
    /// RFC822.SIZE in bytes. Some servers estimate.
    pub size: u64,
    /// INTERNALDATE; `None` where it cannot be read.
    pub arrived: Option<OffsetDateTime>,
}

/// The messages of a window of UIDs, ascending and without repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The messages have UIDs above this one; 0: from the beginning.
    pub above: u32,
    /// The highest UID of the window. The listing shows nothing of those above.
    pub through: u32,
    /// The messages, the lowest UIDs first.
    pub messages: Vec<Listed>,
}

/// Which messages a profile wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// What counts at the first poll.
    pub start_from: StartFrom,
    /// When the profile was created: with [`StartFrom::Now`], older messages are never announced.
    pub created_at: OffsetDateTime,
    /// Whether messages with `\Seen` count.
    pub include_seen: bool,
    /// Of a larger message (RFC822.SIZE in bytes), only the header block is fetched.
    pub max_message_bytes: u64,
    /// The earliest arrival among the deferred messages. Where UIDs lose their meaning, they are found again by it.
    pub deferred_since: Option<OffsetDateTime>,
}

/// What a poll has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// There is nothing new, and the cursor stands where it should.
    Idle,
    /// Nothing tells where the mailbox ends: look up the highest UID, then plan again.
    FindLast,
    /// The listing does not show what comes next: list a window above this UID, then plan again.
    ListAbove(u32),
    /// There are messages to hand over, or the cursor has to move.
    Work(Work),
}

/// The messages to hand over, and the cursor before and after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The messages, in ascending order of their UIDs. Empty: only the cursor has to be written.
    pub pending: Vec<PendingMessage>,
    /// The messages that are not wanted because someone has read them, in the same order.
    pub skipped_seen: Vec<Uid>,
    /// Where the cursor stands before the first of them.
    pub start: Cursor,
    /// Where the cursor stands after the last of them, and after those above it that are not wanted.
    pub end: Cursor,
    /// Whether the mailbox may hold more, above `end`.
    pub more: bool,
    /// Whether UIDs have lost their meaning since the cursor was stored.
    pub renumbered: bool,
}

impl Work {
    /// Nothing to hand over behind a cursor that stays.
    #[must_use]
    pub const fn nothing(cursor: Cursor) -> Self {
        Self {
            pending: Vec::new(),
            skipped_seen: Vec::new(),
            start: cursor,
            end: cursor,
            more: false,
            renumbered: false,
        }
    }
}

impl Selection {
    /// What `profile` wants.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self {
            start_from: profile.settings.start_from,
            created_at: profile.created_at,
            include_seen: profile.settings.include_seen,
            max_message_bytes: profile.settings.max_message_bytes,
            deferred_since: profile
                .deferred
                .iter()
                .map(|entry| entry.message.arrived.unwrap_or(entry.since))
                .min(),
        }
    }

    /// The arrival before which messages never count, whatever happens to the mailbox.
    fn start_point(&self) -> OffsetDateTime {
        match self.start_from {
            StartFrom::Now => self.created_at,
            StartFrom::All => OffsetDateTime::UNIX_EPOCH,
            StartFrom::Date(date) => date.midnight().assume_utc(),
        }
    }
}

/// Whether to list a mailbox together with opening it, and above which UID.
///
/// `None` for the first poll with [`StartFrom::Now`], which needs UIDNEXT alone.
#[must_use]
pub fn list_above(cursor: Option<&Cursor>, start_from: StartFrom) -> Option<u32> {
    match (cursor, start_from) {
        (Some(cursor), _) => Some(cursor.last_uid),
        (None, StartFrom::Now) => None,
        (None, StartFrom::All | StartFrom::Date(_)) => Some(0),
    }
}

/// The cursor from which a mailbox is polled, by what the server now says of it.
///
/// - First poll: by `start_from`.
/// - The same UIDVALIDITY, or none now or before: the cursor as it was. A missing UIDVALIDITY is never a reason to look
///   at old messages again (a server that loses it would have us repeat the mailbox at each poll); a value that appears
///   is adopted.
/// - Another UIDVALIDITY, or UIDNEXT not above the cursor: UIDs have lost their meaning. Back to the latest arrival less
///   [`Cursor::LOOK_BACK`], and the ledger drops what was handed over already.
///
/// `highest`: the highest UID that a message may have.
fn starting_point(
    cursor: Option<&Cursor>,
    state: &MailboxState,
    highest: u32,
    wanted: &Selection,
    now: OffsetDateTime,
) -> Cursor {
    let from_the_start = |since: OffsetDateTime, renumbered: bool| Cursor {
        uid_validity: state.uid_validity,
        last_uid: 0,
        newest: since,
        floor: Uid::new(highest).map(|up_to| Floor { up_to, since, renumbered }),
    };
    let Some(cursor) = cursor else {
        let start = wanted.start_point();
        return match wanted.start_from {
            StartFrom::All => Cursor { floor: None, ..from_the_start(start, false) },
            StartFrom::Date(_) => from_the_start(start, false),
            StartFrom::Now => {
                Cursor { uid_validity: state.uid_validity, last_uid: highest, newest: now, floor: None }
            }
        };
    };
    if is_renumbered(cursor, state) {
        let since = match wanted.deferred_since {
            Some(deferred) => cursor.newest.min(deferred),
            None => cursor.newest,
        };
        let since = since.saturating_sub(Cursor::LOOK_BACK).max(wanted.start_point());
        return Cursor { newest: cursor.newest, ..from_the_start(since, true) };
    }
    Cursor { uid_validity: state.uid_validity.or(cursor.uid_validity), ..*cursor }
}

/// Whether UIDs have lost their meaning since the cursor was stored: another UIDVALIDITY, or UIDNEXT not above it.
fn is_renumbered(cursor: &Cursor, state: &MailboxState) -> bool {
    match (cursor.uid_validity, state.uid_validity) {
        (Some(before), Some(now)) if before != now => true,
        // A listing cannot show this; UIDNEXT can.
        _ => state.uid_next.is_some_and(|next| next.get() <= cursor.last_uid),
    }
}

/// Plans a poll. `listing` is what the server listed, if it was asked to (see [`list_above`]).
#[must_use]
pub fn plan(
    cursor: Option<&Cursor>,
    state: &MailboxState,
    listing: Option<&Listing>,
    wanted: &Selection,
    now: OffsetDateTime,
) -> Plan {
    let Some(highest) = state.highest() else { return Plan::FindLast };
    let start = starting_point(cursor, state, highest, wanted, now);
    let nothing_above = state.exists == 0 || highest <= start.last_uid;
    let empty = Listing { above: start.last_uid, through: u32::MAX, messages: Vec::new() };
    let listing = match listing {
        _ if nothing_above => &empty,
        Some(listing) if (listing.above..listing.through).contains(&start.last_uid) => listing,
        Some(_) | None => return Plan::ListAbove(start.last_uid),
    };

    let below_floor = |message: &Listed| {
        start.floor.is_some_and(|floor| {
            message.uid <= floor.up_to && message.arrived.is_some_and(|arrived| arrived < floor.since)
        })
    };
    // Read or not, what was there before a renumbering may have been handed over.
    let is_new = |uid: Uid| start.floor.is_none_or(|floor| !floor.renumbered || uid > floor.up_to);
    let mut end = start;
    let (mut pending, mut skipped_seen) = (Vec::new(), Vec::new());
    for message in listing.messages.iter().filter(|m| m.uid.get() > start.last_uid) {
        let is_wanted = (wanted.include_seen || !message.seen) && !below_floor(message);
        if is_wanted {
            let extent = if message.size > wanted.max_message_bytes { Extent::Header } else { Extent::Whole };
            pending.push(PendingMessage {
                uid: message.uid,
                extent,
                size: message.size,
                arrived: message.arrived,
            });
            end = end.advanced(message.uid, message.arrived, now);
        } else {
            if !below_floor(message) && is_new(message.uid) {
                skipped_seen.push(message.uid);
            }
            end = end.advanced(message.uid, None, now);
        }
    }
    let more = listing.through < highest;
    if more {
        // Nothing else is in the window.
        end.last_uid = end.last_uid.max(listing.through);
    }
    if cursor == Some(&end) && pending.is_empty() {
        return Plan::Idle;
    }
    let renumbered = cursor.is_some_and(|cursor| is_renumbered(cursor, state));
    Plan::Work(Work { pending, skipped_seen, start, end, more, renumbered })
}

#[cfg(test)]
mod tests;
