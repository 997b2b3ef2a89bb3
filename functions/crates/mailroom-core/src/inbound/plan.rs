//! What a poll has to do: from the cursor and what the server lists, to the messages to hand over.
//!
//! A pure function with a test per branch. It lists nothing itself: where a listing does not reach far enough, the plan
//! is to list again.

use time::{Duration, OffsetDateTime};

use crate::inbound::cursor::{Cursor, Floor, LEDGER_TIME, MailboxId, Uid, UidValidity};
use crate::inbound::listing::{Listed, Listing};
use crate::inbound::pending::{Extent, PendingMessage};
use crate::profile::{Profile, StartFrom};

/// How far a server's clock may be behind ours, so that what arrives after the beginning carries a date before it.
///
/// In doubt a message counts: one that arrived minutes before the beginning may be announced, and none that arrived
/// after it is lost.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// The unit of INTERNALDATE.
const SECOND: Duration = Duration::SECOND;

/// What a server says of a mailbox when it is opened (RFC 9051 §6.3.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailboxState {
    /// UIDVALIDITY; `None` where the server sent none, or 0.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT: above every UID in use; `None` where the server sent none, or 0.
    pub uid_next: Option<Uid>,
    /// EXISTS: how many messages there are.
    pub exists: u32,
    /// MAILBOXID, where the server has it (RFC 8474).
    pub mailbox_id: Option<MailboxId>,
    /// The highest UID in use, where it had to be looked up because the server names no UIDNEXT.
    pub last_uid: Option<Uid>,
    /// The UID above which all messages lie that may count at the first poll, where it had to be looked up.
    pub start_above: Option<u32>,
}

impl MailboxState {
    /// The highest UID that a message may have; `None` where it has to be looked up.
    pub(crate) fn highest(&self) -> Option<u32> {
        match (self.uid_next, self.last_uid) {
            _ if self.exists == 0 && self.uid_next.is_none() => Some(0),
            (Some(next), _) => Some(next.get() - 1),
            (None, last_uid) => last_uid.map(Uid::get),
        }
    }
}

/// Which messages a profile wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// What counts at the first poll.
    pub start_from: StartFrom,
    /// Since when the profile listens to the mailbox: with [`StartFrom::Now`], older messages are never announced.
    pub listens_since: OffsetDateTime,
    /// Whether messages with `\Seen` count.
    pub include_seen: bool,
    /// Of a larger message (RFC822.SIZE in bytes), only the header block is fetched.
    pub max_message_bytes: u64,
    /// The earliest arrival among the messages that are deferred or held back. Where UIDs lose their meaning, they are
    /// found again by it.
    pub deferred_since: Option<OffsetDateTime>,
    /// Whether to ask for messages behind the last one listed though nothing shows that there are any.
    pub searches_end: bool,
}

/// What a poll has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// There is nothing new, and the cursor stands where it should.
    Idle,
    /// Nothing tells where the mailbox ends: look up the highest UID, then plan again.
    FindLast,
    /// Old messages are not wanted: look up where those begin that arrived at this time or later, then plan again.
    FindStart(OffsetDateTime),
    /// The listing does not show what comes next: list a window above this UID, then plan again.
    ListAbove(u32),
    /// The cursor would pass UIDs at which messages may be hidden: list those above the first up to the second again, and
    /// search for them, then plan again.
    ListAgain(u32, u32),
    /// There are messages to hand over, or the cursor has to move.
    Work(Box<Work>),
}

/// The messages to hand over, and the cursor before and after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The messages, in ascending order of their UIDs. Empty: only the cursor has to be written.
    pub pending: Vec<PendingMessage>,
    /// The messages that are not wanted because someone has read them, in the same order.
    pub skipped_seen: Vec<Uid>,
    /// The messages among them that are there and that the server does not list.
    pub hidden: Vec<Uid>,
    /// Whether the cursor passes UIDs at which there may be messages that the server neither lists nor searches for.
    pub passes_unsearched: bool,
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
            hidden: Vec::new(),
            passes_unsearched: false,
            start: cursor,
            end: cursor,
            more: false,
            renumbered: false,
        }
    }
}

impl Work {
    /// Leaves `uid`, and all that lies behind it, to a later poll.
    pub(crate) fn end_before(&mut self, uid: Uid, now: OffsetDateTime) {
        self.pending.retain(|message| message.uid < uid);
        self.skipped_seen.retain(|skipped| *skipped < uid);
        self.hidden.retain(|hidden| *hidden < uid);
        let end = self.pending.iter().fold(self.start, |end, one| end.advanced(one.uid, one.arrived, now));
        self.end = Cursor { last_uid: end.last_uid.max(uid.get() - 1), ..end };
        self.more = false;
    }
}

impl Selection {
    /// What `profile` wants of a poll at `now`.
    #[must_use]
    pub fn of(profile: &Profile, now: OffsetDateTime) -> Self {
        Self {
            searches_end: is_first_poll_of_an_hour(profile, now),
            start_from: profile.settings.start_from,
            listens_since: profile.listens_since.unwrap_or(profile.created_at),
            include_seen: profile.settings.include_seen,
            max_message_bytes: profile.settings.max_message_bytes,
            deferred_since: {
                let deferred = profile.deferred.iter();
                let held = profile.held_back.and_then(|held| held.cursor.floor);
                (deferred.map(|entry| entry.message.arrived.unwrap_or(entry.since)))
                    .chain(held.map(|floor| floor.since.saturating_add(Cursor::LOOK_BACK)))
                    .min()
            },
        }
    }

    /// The arrival before which messages never count, whatever happens to the mailbox.
    fn start_point(&self) -> OffsetDateTime {
        match self.start_from {
            StartFrom::Now => self.listens_since,
            StartFrom::All => OffsetDateTime::UNIX_EPOCH,
            StartFrom::Date(date) => date.midnight().assume_utc(),
        }
    }

    /// The INTERNALDATE from which messages count at the first poll with [`StartFrom::Now`].
    fn looked_up_since(&self) -> OffsetDateTime {
        self.start_point().saturating_sub(CLOCK_SKEW)
    }
}

/// Whether this is the first poll of an hour since the profile was made, so that not all mailboxes of a server have theirs
/// at once.
fn is_first_poll_of_an_hour(profile: &Profile, now: OffsetDateTime) -> bool {
    const HOUR: i64 = 3600;
    let age = (now - profile.created_at).whole_seconds();
    age.rem_euclid(HOUR) < i64::from(profile.settings.refresh_interval.seconds())
}

/// Whether to list a mailbox together with opening it, and above which UID.
///
/// `None` for the first poll with [`StartFrom::Now`], which looks up first where the new messages begin.
#[must_use]
pub fn list_above(cursor: Option<&Cursor>, start_from: StartFrom) -> Option<u32> {
    match (cursor, start_from) {
        (Some(cursor), _) => Some(cursor.last_uid),
        (None, StartFrom::Now) => None,
        (None, StartFrom::All | StartFrom::Date(_)) => Some(0),
    }
}

/// The cursor from which a mailbox is polled, by what the server now says of it; `None` where the first message that
/// counts has to be looked up.
///
/// - First poll: by `start_from`.
/// - The same UIDVALIDITY, or none now or before: the cursor as it was. A missing UIDVALIDITY is never a reason to look
///   at old messages again (a server that loses it would have us repeat the mailbox at each poll); a value that appears
///   is adopted.
/// - Another UIDVALIDITY, or UIDNEXT not above the cursor: UIDs have lost their meaning. Back to [`found_again_since`],
///   and the ledger drops what was handed over already.
///
/// `highest`: the highest UID that a message may have.
fn starting_point(
    cursor: Option<&Cursor>,
    state: &MailboxState,
    highest: u32,
    wanted: &Selection,
    now: OffsetDateTime,
) -> Option<Cursor> {
    let beginning = |newest: OffsetDateTime| Cursor {
        mailbox_id: state.mailbox_id,
        ..Cursor::new(state.uid_validity, 0, newest)
    };
    let floor = |since: OffsetDateTime, renumbered: bool| {
        Uid::new(highest).map(|up_to| Floor { up_to, since, renumbered })
    };
    let Some(cursor) = cursor else {
        let start = wanted.start_point();
        let old_until = Some(OffsetDateTime::UNIX_EPOCH);
        return Some(match wanted.start_from {
            StartFrom::All => beginning(start),
            StartFrom::Date(_) => Cursor { old_until, floor: floor(start, false), ..beginning(start) },
            StartFrom::Now if state.exists == 0 => {
                Cursor { last_uid: highest, old_until, ..beginning(start) }
            }
            StartFrom::Now => {
                let last_uid = state.start_above?.min(highest);
                let floor = floor(wanted.looked_up_since(), false).filter(|_| last_uid < highest);
                Cursor { last_uid, old_until, floor, ..beginning(start) }
            }
        });
    };
    if is_renumbered(cursor, state) {
        let floor = floor(found_again_since(cursor, wanted, now), true);
        return Some(Cursor { old_until: cursor.old_until, floor, ..beginning(cursor.newest) });
    }
    Some(Cursor {
        uid_validity: state.uid_validity.or(cursor.uid_validity),
        mailbox_id: state.mailbox_id.or(cursor.mailbox_id),
        moved_at: None,
        ..*cursor
    })
}

/// The arrival from which messages count once their UIDs have lost their meaning: the latest that was handled less
/// [`Cursor::LOOK_BACK`], or less what is deferred.
///
/// What was handed over so long ago that the ledger may have forgotten it does not count again: of that, only what
/// arrived later than anything handled.
fn found_again_since(cursor: &Cursor, wanted: &Selection, now: OffsetDateTime) -> OffsetDateTime {
    let oldest = wanted.deferred_since.map_or(cursor.newest, |deferred| cursor.newest.min(deferred));
    let remembered = now.saturating_sub(LEDGER_TIME).saturating_add(Cursor::LOOK_BACK);
    let unhandled = cursor.newest.saturating_add(SECOND);
    let never = cursor.old_until.map_or_else(|| wanted.start_point(), |old| old.saturating_add(SECOND));
    oldest.saturating_sub(Cursor::LOOK_BACK).max(unhandled.min(remembered)).max(never)
}

/// Whether UIDs have lost their meaning since the cursor was stored: another UIDVALIDITY, or UIDNEXT not above it.
fn is_renumbered(cursor: &Cursor, state: &MailboxState) -> bool {
    match (cursor.uid_validity, state.uid_validity) {
        (Some(before), Some(now)) if before != now => true,
        // A listing cannot show this; UIDNEXT can.
        _ => state.uid_next.is_some_and(|next| next.get() <= cursor.last_uid),
    }
}

/// Whether the mailbox behind another name of the server is another one. Only what both say counts for the same.
fn is_another(cursor: &Cursor, state: &MailboxState) -> bool {
    let other_id = |before: MailboxId| state.mailbox_id.is_some_and(|now| now != before);
    cursor.moved_at.is_some()
        && (cursor.uid_validity.is_none()
            || cursor.uid_validity != state.uid_validity
            || cursor.mailbox_id.is_some_and(other_id)
            || is_renumbered(cursor, state))
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
    if let Some(moved_at) =
        cursor.filter(|cursor| is_another(cursor, state)).and_then(|cursor| cursor.moved_at)
    {
        let wanted = Selection { listens_since: moved_at, ..*wanted };
        return match plan(None, state, listing, &wanted, now) {
            Plan::Work(work) => Plan::Work(Box::new(Work { renumbered: true, ..*work })),
            plan @ (Plan::Idle
            | Plan::FindLast
            | Plan::FindStart(_)
            | Plan::ListAbove(_)
            | Plan::ListAgain(..)) => plan,
        };
    }
    let Some(highest) = state.highest() else { return Plan::FindLast };
    let Some(start) = starting_point(cursor, state, highest, wanted, now) else {
        return Plan::FindStart(wanted.looked_up_since());
    };
    let nothing_above = state.exists == 0 || highest <= start.last_uid;
    let empty = Listing { above: start.last_uid, through: u32::MAX, ..Listing::default() };
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
    // Also where the last of the pages does not come about: these messages are never announced.
    let mut start = start;
    if start.floor.is_some_and(|floor| !floor.renumbered) {
        let old =
            listing.messages.iter().filter(|message| below_floor(message)).filter_map(|old| old.arrived);
        start.old_until = start.old_until.max(old.max());
        end.old_until = start.old_until;
    }
    let more = listing.through < highest;
    if more && end.last_uid == start.last_uid {
        // Nothing is in the window.
        end.last_uid = listing.through;
    }
    if let Some(last_hidden) = listing.hidden.iter().flatten().max() {
        end.last_uid = end.last_uid.max(last_hidden.get());
    }
    if listing.hidden.is_none() && !more && end.last_uid < highest && state.exists > 0 {
        let hides_the_end = listing.hides_the_end(state.exists).unwrap_or(wanted.searches_end);
        if hides_the_end {
            let above = listing.doubt(start.last_uid, end.last_uid).map_or(end.last_uid, |(above, _)| above);
            return Plan::ListAgain(above, highest);
        }
    }
    // An object id alone is not worth a write.
    let at_end = |cursor: &Cursor| *cursor == Cursor { mailbox_id: cursor.mailbox_id, ..end };
    if cursor.is_some_and(at_end) && pending.is_empty() {
        return Plan::Idle;
    }
    if let Some((above, through)) = listing.doubt(start.last_uid, end.last_uid) {
        return Plan::ListAgain(above, through);
    }
    let passed = |uid: &&Uid| (start.last_uid + 1..=end.last_uid).contains(&uid.get());
    let hidden = listing.hidden.iter().flatten().filter(passed).copied().collect();
    let renumbered = cursor.is_some_and(|cursor| is_renumbered(cursor, state));
    let passes_unsearched = listing.passes_unsearched(start.last_uid, end.last_uid);
    Plan::Work(Box::new(Work {
        pending,
        skipped_seen,
        hidden,
        passes_unsearched,
        start,
        end,
        more,
        renumbered,
    }))
}

#[cfg(test)]
mod tests;
