//! What a poll does with messages that are held back: see [`crate::inbound::held_back`] for the rules.
//!
//! Once their owner wants them, they are handed over as everything else is, after the new messages, by a cursor of their
//! own: while that is so, the mailbox's cursor stays where it is.

use super::stage::AfterMove;
use super::{Poll, WINDOW};
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::held_back::{Answer, HeldBack, HeldChange};
use crate::inbound::isolation::Isolation;
use crate::inbound::plan::Work;
use crate::inbound::step::Moment;
use crate::ports::Hold;

impl Poll {
    /// Holds the messages back that a renumbering would have had handed over, if they are too many. Whether it does.
    pub(super) fn hold_back(&mut self, work: &Work, moment: Moment) -> bool {
        let held = HeldBack::of(&work.start, &work.pending, work.more, moment.now);
        let Some(held) = held.filter(|_| self.own_cursor.is_none()) else { return false };
        let behind = held.cursor_behind();
        self.profile.held_back = Some(held);
        self.held_changed = true;
        // What arrived after them is new.
        let rest = Work { more: true, ..Work::nothing(behind) };
        self.backlog = self.backlog.next(rest, Isolation::Pages);
        self.move_cursor(behind, self.keep_lease(moment), AfterMove::Page { passes: 0 });
        true
    }

    /// The mailbox was renumbered: what is held back is found again with the rest.
    pub(super) fn drop_held(&mut self) {
        self.held_changed |= self.profile.held_back.take().is_some();
    }

    /// Whether there are messages to hand over that were held back.
    pub(super) fn has_accepted(&self) -> bool {
        self.own_cursor.is_none()
            && self.profile.held_back.is_some_and(|held| held.answer == Answer::Accepted)
    }

    /// Begins to hand over what was held back, once nothing else is left to do.
    pub(super) fn next_held(&mut self, moment: Moment) {
        let (Some(held), Some((state, listing))) = (self.profile.held_back, &mut self.mailbox) else {
            return self.read(moment);
        };
        if held.answer == Answer::Awaited || self.own_cursor.is_some() {
            return self.read(moment);
        }
        self.own_cursor = self.profile.cursor.replace(held.cursor);
        // The mailbox as far as they lie in it.
        (state.uid_next, state.last_uid) =
            (held.up_to.checked_add(1).and_then(Uid::new), Uid::new(held.up_to));
        *listing = None;
        self.width = WINDOW;
        self.plan(moment);
    }

    /// Everything that was held back is handed over.
    pub(super) fn end_held(&mut self) {
        if let Some(own) = self.own_cursor.take() {
            self.profile.cursor = Some(own);
            self.backlog = self.backlog.next(Work::nothing(own), Isolation::Pages);
            self.profile.held_back = None;
            self.held_changed = true;
            self.move_cursor(own, Hold::Release, AfterMove::Page { passes: 0 });
        }
    }

    /// Takes note of how far what was held back is handed over.
    pub(super) fn note_held(&mut self, cursor: Cursor) {
        if let (Some(_), Some(held)) = (self.own_cursor, &mut self.profile.held_back) {
            held.cursor = cursor;
            self.held_changed = true;
        }
    }

    /// What is stored of it.
    pub(super) const fn held_change(&self) -> HeldChange<'_> {
        match &self.profile.held_back {
            _ if !self.held_changed => HeldChange::Unchanged,
            Some(held) => HeldChange::Set(held),
            None => HeldChange::Removed,
        }
    }
}
