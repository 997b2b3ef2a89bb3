//! Messages that are held back: a renumbering would have had too many of them handed over at once.
//!
//! When a mailbox's UIDs lose their meaning, what arrived later than anything that was handled is found again. After a
//! migration that gives all messages new dates, that is the whole mailbox. Such a range is not handed over: it is noted here
//! with bounds of its own, the cursor passes it, so that new messages go on, and the owner is asked.

use time::OffsetDateTime;

use crate::inbound::cursor::Cursor;
use crate::inbound::pending::PendingMessage;

/// The most messages that a renumbering has handed over without a question.
pub const MAX_UNASKED: usize = 1_000;

/// A range of messages that waits for its owner's answer, or is handed over after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// How far the range is handed over: a cursor of its own, with the floor that was laid for it.
    pub cursor: Cursor,
    /// The last UID of the range.
    pub up_to: u32,
    /// How many messages were counted in it.
    pub count: u64,
    /// Whether there may be more than that.
    pub more: bool,
    /// When it was held back.
    pub since: OffsetDateTime,
    /// What its owner has answered.
    pub answer: Answer,
}

/// What an owner has answered. A range that is not wanted is no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Awaited,
    /// The messages are to be handed over.
    Accepted,
}

/// What a run stores of the messages that are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldChange<'a> {
    /// Nothing: an answer may have come since.
    Unchanged,
    /// These are held back.
    Set(&'a HeldBack),
    /// None are any more.
    Removed,
}

impl HeldBack {
    /// What is held back of the messages that a poll would hand over from `start` on: all that was there before the
    /// renumbering, if too many messages of it arrived later than anything that was handled. What arrived earlier is in the
    /// ledger, and does not count.
    #[must_use]
    pub fn of(start: &Cursor, pending: &[PendingMessage], more: bool, now: OffsetDateTime) -> Option<Self> {
        let floor = start.floor.filter(|floor| floor.renumbered)?;
        let newest = floor.since.saturating_add(Cursor::LOOK_BACK);
        let recovered = pending.iter().filter(|message| {
            message.uid <= floor.up_to && message.arrived.is_none_or(|arrived| arrived > newest)
        });
        let count = recovered.count();
        (count > MAX_UNASKED).then(|| Self {
            cursor: *start,
            up_to: floor.up_to.get(),
            count: u64::try_from(count).unwrap_or(u64::MAX),
            more,
            since: now,
            answer: Answer::Awaited,
        })
    }

    /// The cursor of the mailbox behind the range.
    #[must_use]
    pub fn cursor_behind(&self) -> Cursor {
        Cursor { last_uid: self.cursor.last_uid.max(self.up_to), floor: None, ..self.cursor }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::inbound::cursor::{Floor, Uid};
    use crate::inbound::pending::Extent;

    const HANDLED: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
    const NOW: OffsetDateTime = datetime!(2026-11-02 12:00 UTC);

    /// What is held back of so many messages that arrived at this time, where this UID was the last.
    fn held(count: u32, arrived: Option<OffsetDateTime>, up_to: u32, renumbered: bool) -> Option<HeldBack> {
        let since = HANDLED - Cursor::LOOK_BACK;
        let floor = Uid::new(up_to).map(|up_to| Floor { up_to, since, renumbered });
        let pending = (1..=count).filter_map(Uid::new);
        let pending = pending.map(|uid| PendingMessage { uid, extent: Extent::Whole, size: 1, arrived });
        let start = Cursor { floor, ..Cursor::new(None, 0, HANDLED) };
        HeldBack::of(&start, &pending.collect::<Vec<_>>(), false, NOW)
    }

    #[test]
    fn only_a_flood_of_what_was_never_handled_is_held_back() {
        let later = Some(NOW);
        for (held, count) in [
            (held(1000, later, 5000, true), None),
            (held(1001, later, 5000, true), Some(1001)),
            (held(1001, None, 5000, true), Some(1001)),
            // Known to the ledger, or arrived after the renumbering, or at the first poll.
            (held(5000, Some(HANDLED), 5000, true), None),
            (held(5000, later, 900, true), None),
            (held(5000, later, 5000, false), None),
        ] {
            assert_eq!(held.map(|held| held.count), count);
        }
    }

    #[test]
    fn new_messages_go_on_behind_the_range() {
        let behind = held(1001, Some(NOW), 5000, true).unwrap().cursor_behind();
        assert_eq!((behind.last_uid, behind.floor, behind.newest), (5000, None, HANDLED));
    }
}
