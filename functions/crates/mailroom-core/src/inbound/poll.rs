//! From how far we are and what the server lists, to what has to be done. Pure: a test per branch.

use time::OffsetDateTime;

use crate::inbound::cursor::{Cursor, Floor, Uid, UidValidity};
use crate::profile::StartFrom;

/// What a server says of an opened mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxState {
    /// UIDVALIDITY; `None` where the server sent none, or 0.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT: above every UID in use; `None` where the server sent none, or 0.
    pub uid_next: Option<Uid>,
    /// EXISTS: how many messages there are.
    pub exists: u32,
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

/// The messages above a UID, ascending and without repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The messages have UIDs above this one; 0: from the beginning.
    pub above: u32,
    /// The messages, the lowest UIDs first.
    pub messages: Vec<Listed>,
    /// Whether the list ends before the mailbox does, because it reached the driver's bound.
    pub cut: bool,
}

/// Which mail a profile wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// What counts at the first poll.
    pub start_from: StartFrom,
    /// When the profile was made: with [`StartFrom::Now`], older mail is never announced.
    pub created_at: OffsetDateTime,
    /// Whether read mail counts.
    pub include_seen: bool,
    /// A larger mail is fetched without its body.
    pub max_message_bytes: u64,
}

/// How much of a message is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its header block: it is larger than the profile allows.
    Header,
}

/// One message to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingMessage {
    /// Its UID.
    pub uid: Uid,
    /// How much of it.
    pub extent: Extent,
    /// RFC822.SIZE in bytes.
    pub size: u64,
    /// INTERNALDATE.
    pub arrived: Option<OffsetDateTime>,
}

/// What a poll has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, and nothing to write either.
    Idle,
    /// The listing does not reach back far enough: list above this UID, then decide again.
    ListAbove(u32),
    /// Hand these over in order, and then be at `end`.
    Work {
        /// The messages, ascending. Empty: only the cursor has to be written.
        todo: Vec<PendingMessage>,
        /// Where the cursor stands before the first of them.
        start: Cursor,
        /// Where it stands after the last: also past what was not wanted.
        end: Cursor,
        /// Whether there is more than the listing showed.
        more: bool,
    },
}

impl Selection {
    /// The arrival before which mail never counts, whatever becomes of the mailbox.
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
/// `None`: a first poll from now on needs UIDNEXT only.
#[must_use]
pub fn list_above(cursor: Option<&Cursor>, start_from: StartFrom) -> Option<u32> {
    match (cursor, start_from) {
        (Some(cursor), _) => Some(cursor.last_uid),
        (None, StartFrom::Now) => None,
        (None, StartFrom::All | StartFrom::Date(_)) => Some(0),
    }
}

/// The cursor from which a mailbox is polled, given what it has become.
///
/// - First poll: by `start_from`.
/// - UIDVALIDITY as before, or absent now or before: as it was. An absent one is never a reason to look at old mail
///   again (a server that loses it would have us repeat the mailbox at each poll); a value that appears is adopted.
/// - UIDVALIDITY changed, or UIDNEXT below what it was: UIDs have lost their meaning. Back to the latest arrival less
///   [`Cursor::LOOK_BACK`], and the ledger drops what was handed over already.
///
/// `Err` holds the plan to follow instead: where UIDNEXT is needed and missing, a listing has to tell.
fn basis(
    cursor: Option<&Cursor>,
    state: &MailboxState,
    listing: Option<&Listing>,
    wanted: &Selection,
    now: OffsetDateTime,
) -> Result<Cursor, Plan> {
    // The highest UID there is: UIDNEXT says so, or else a whole listing.
    let highest = match (state.uid_next, listing) {
        (Some(next), _) => Some(next.get() - 1),
        (None, Some(listing)) if !listing.cut => {
            Some(listing.messages.last().map_or(listing.above, |last| last.uid.get()))
        }
        (None, _) => None,
    };
    let afresh = |since: OffsetDateTime| Cursor {
        uid_validity: state.uid_validity,
        last_uid: 0,
        newest: since,
        floor: highest.and_then(Uid::new).map(|up_to| Floor { up_to, since }),
    };
    let Some(cursor) = cursor else {
        let start = wanted.start_point();
        return match wanted.start_from {
            StartFrom::All => Ok(Cursor { floor: None, ..afresh(start) }),
            StartFrom::Date(_) => Ok(afresh(start)),
            StartFrom::Now => match highest {
                Some(last_uid) => {
                    Ok(Cursor { uid_validity: state.uid_validity, last_uid, newest: now, floor: None })
                }
                None => Err(Plan::ListAbove(0)),
            },
        };
    };
    let renumbered = match (cursor.uid_validity, state.uid_validity) {
        (Some(before), Some(now)) if before != now => true,
        // `n:*` lists the last message even below n, so a listing cannot show this; UIDNEXT can.
        _ => state.uid_next.is_some_and(|next| next.get() <= cursor.last_uid),
    };
    if renumbered {
        let since = cursor.newest.saturating_sub(Cursor::LOOK_BACK).max(wanted.start_point());
        return Ok(Cursor { newest: cursor.newest, ..afresh(since) });
    }
    Ok(Cursor { uid_validity: state.uid_validity.or(cursor.uid_validity), ..*cursor })
}

/// Decides what a poll has to do.
///
/// `listing` is what the server listed, if it was asked to (see [`list_above`]).
#[must_use]
pub fn plan(
    cursor: Option<&Cursor>,
    state: &MailboxState,
    listing: Option<&Listing>,
    wanted: &Selection,
    now: OffsetDateTime,
) -> Plan {
    let start = match basis(cursor, state, listing, wanted, now) {
        Ok(start) => start,
        Err(plan) => return plan,
    };
    let nothing_above =
        state.exists == 0 || state.uid_next.is_some_and(|next| next.get() - 1 <= start.last_uid);
    let empty = Listing { above: start.last_uid, messages: Vec::new(), cut: false };
    let listing = match listing {
        _ if nothing_above => &empty,
        Some(listing) if listing.above <= start.last_uid => listing,
        Some(_) | None => return Plan::ListAbove(start.last_uid),
    };

    let below_floor = |message: &Listed| {
        start.floor.is_some_and(|floor| {
            message.uid <= floor.up_to && message.arrived.is_some_and(|arrived| arrived < floor.since)
        })
    };
    let mut end = start;
    let mut todo = Vec::new();
    for message in listing.messages.iter().filter(|m| m.uid.get() > start.last_uid) {
        let wanted_at_all = (wanted.include_seen || !message.seen) && !below_floor(message);
        if wanted_at_all {
            let extent = if message.size > wanted.max_message_bytes { Extent::Header } else { Extent::Whole };
            todo.push(PendingMessage {
                uid: message.uid,
                extent,
                size: message.size,
                arrived: message.arrived,
            });
            end = end.advanced(message.uid, message.arrived, now);
        } else {
            end = end.advanced(message.uid, None, now);
        }
    }
    if cursor == Some(&end) && todo.is_empty() {
        return Plan::Idle;
    }
    Plan::Work { todo, start, end, more: listing.cut }
}

/// The most messages of a page: one batch of the ledger, ten of the job queue.
pub const PAGE_MESSAGES: usize = 100;

/// The bytes (RFC822.SIZE) after which a page is full; a larger message is a page of its own.
pub const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// What a header block costs at the most in bytes, for the sum of a page.
const HEADER_BYTES: u64 = 64 * 1024;

impl PendingMessage {
    /// The bytes that fetching it takes, as far as the server told the truth.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self.extent {
            Extent::Whole => self.size,
            Extent::Header => self.size.min(HEADER_BYTES),
        }
    }
}

/// How carefully the next mail is handled, because earlier runs ended without a word at the same cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Page by page.
    Pages,
    /// Alone in its invocation and one by one, so that the next death names its mail.
    OneByOne,
    /// The first mail is announced as quarantined, unread but stored; then one by one.
    Quarantine,
    /// The first mail is announced as quarantined without being fetched; then one by one.
    QuarantineUnfetched,
}

impl Isolation {
    /// Three tries, then the mail steps aside. `tries` counts the present one: see [`crate::ports::Lease`].
    #[must_use]
    pub const fn after(tries: u32) -> Self {
        match tries {
            0 | 1 => Self::Pages,
            2 | 3 => Self::OneByOne,
            4 => Self::Quarantine,
            _ => Self::QuarantineUnfetched,
        }
    }
}

/// Cuts what has to be done into pages that are handed over one after the other.
#[must_use]
pub fn pages(todo: &[PendingMessage], isolation: Isolation) -> Vec<&[PendingMessage]> {
    let most = if isolation == Isolation::Pages { PAGE_MESSAGES } else { 1 };
    let mut pages = Vec::new();
    let mut rest = todo;
    while !rest.is_empty() {
        let mut bytes = 0_u64;
        let fitting = rest
            .iter()
            .take(most)
            .take_while(|message| {
                bytes = bytes.saturating_add(message.cost());
                bytes <= PAGE_BYTES
            })
            .count();
        let (page, others) = rest.split_at(fitting.max(1));
        pages.push(page);
        rest = others;
    }
    pages
}

#[cfg(test)]
mod tests;
