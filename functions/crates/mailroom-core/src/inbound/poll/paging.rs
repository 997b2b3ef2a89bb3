//! How a poll hands its messages over: page by page, each with a move of the cursor.

use super::Poll;
use super::stage::{AfterMove, State};
use crate::inbound::cursor::Cursor;
use crate::inbound::failure::Failure;
use crate::inbound::isolation::{Isolation, Suspicion};
use crate::inbound::page::{Page, PageResult};
use crate::inbound::pending::PendingMessage;
use crate::inbound::step::{JobNotes, Moment};
use crate::ports::{Hold, PortError, Progress};
use crate::profile::{AfterFetch, Profile};

impl Poll {
    /// Begins the next page if there is one and time for it. What is left is for the next poll.
    pub(super) fn next_page(&mut self, moment: Moment) {
        let left = self.backlog.left();
        let Some(first) = left.first() else {
            if self.own_cursor.is_some() && !self.backlog.unlisted {
                self.end_held();
            } else if self.profile.cursor.as_ref() == Some(&self.backlog.end) {
                // There was nothing but deferred messages to try.
                self.next_try(moment);
            } else {
                // What lies above the cursor is not wanted.
                self.move_cursor(self.backlog.end, self.hold_at_end(moment), AfterMove::Page { passes: 0 });
            }
            return;
        };
        if moment.left < self.backlog.slowest_page * 2 || self.session_ended {
            self.read(moment);
        } else if self.suspicion != Suspicion::None && self.gave_another.is_none() {
            let uid = first.uid;
            self.ask_for_another(uid);
        } else if self.suspicion == Suspicion::Crashes {
            self.defer_first(moment);
        } else {
            let isolation = self.backlog.isolation;
            let page = left.iter().take(isolation.page_length(left)).copied().collect();
            let notes = JobNotes { repeats_up_to: self.profile.repeats_up_to, supersedes: None };
            self.begin_page(page, isolation, notes, moment);
        }
    }

    pub(super) fn begin_page(
        &mut self,
        messages: Vec<PendingMessage>,
        isolation: Isolation,
        notes: JobNotes,
        moment: Moment,
    ) {
        let check = (self.own_cursor.or(self.profile.cursor), self.check_delay(moment));
        self.backlog.page_began = moment.left;
        self.state = State::Page(Box::new(Page::new(&self.profile, messages, isolation, notes, check)));
    }

    pub(super) fn move_cursor(&mut self, cursor: Cursor, hold: Hold, then: AfterMove) {
        if let Some(lease) = self.lease.clone() {
            self.count_skipped(&cursor);
            self.note_held(cursor);
            self.state = State::MoveCursor { lease, cursor, hold, then };
        }
    }

    /// What is stored with a move of the cursor to here.
    pub(super) fn progress<'a>(&'a self, cursor: &'a Cursor) -> Progress<'a> {
        let Profile { deferred, overdue, skipped_seen, unsearched_at, repeats_up_to, .. } = &self.profile;
        let (cursor, held_back) = (self.own_cursor.as_ref().unwrap_or(cursor), self.held_change());
        Progress {
            cursor,
            deferred,
            held_back,
            overdue: overdue.as_ref(),
            skipped_seen: *skipped_seen,
            unsearched_at: *unsearched_at,
            repeats_up_to: *repeats_up_to,
        }
    }

    /// Counts the messages up to the cursor that were passed because someone had read them. A run that crashed may have
    /// marked them itself: then nobody knows.
    fn count_skipped(&mut self, cursor: &Cursor) {
        let skipped = self.backlog.take_skipped(cursor.last_uid);
        let may_be_ours = self.repeats && self.profile.settings.after_fetch == AfterFetch::MarkSeen;
        if skipped > 0 && !may_be_ours {
            self.profile.skipped_seen.add(skipped, self.now);
        }
    }

    pub(super) fn in_page(&mut self, step: impl FnOnce(&mut Page) -> Option<PageResult>, moment: Moment) {
        let State::Page(page) = &mut self.state else { return };
        let result = step(page);
        if let Some(PageResult::HandedOver(_)) = result {
            self.note_unchanged(moment);
        }
        let State::Page(page) = &mut self.state else { return };
        match result {
            None => {}
            Some(PageResult::HandedOver(jobs)) if self.trying.is_some() => {
                let quarantined = page.quarantines();
                self.backlog.handed_over += jobs;
                self.tried(quarantined, moment);
            }
            Some(PageResult::HandedOver(jobs)) => {
                let passes = page.messages().len();
                let after = self.backlog.after(page.messages(), moment.now);
                self.backlog.handed_over += jobs;
                let then = AfterMove::Page { passes };
                if passes == self.backlog.left().len() {
                    self.move_cursor(self.backlog.end, self.hold_at_end(moment), then);
                } else {
                    self.move_cursor(after, self.keep_lease(moment), then);
                }
            }
            Some(PageResult::Refused { accepted, jobs }) => {
                let source = format!("the queue took {accepted} of {jobs} jobs").into();
                let operation = "SendMessageBatch";
                self.fail(Failure::Service(PortError::Unavailable { operation, source }), moment);
            }
        }
    }

    pub(super) fn moved(&mut self, cursor: Cursor, hold: Hold, then: AfterMove, moment: Moment) {
        self.profile.cursor = Some(cursor);
        self.backlog.cursor = cursor;
        match (hold, &mut self.lease) {
            (Hold::Release, lease) => *lease = None,
            (Hold::Until(until), Some(lease)) => {
                // As the table has it: this lease is the first try at the new cursor.
                (lease.tries, lease.expires_at) = (1, until);
            }
            (Hold::Until(_), None) => {}
        }
        match then {
            AfterMove::Page { passes } => {
                let backlog = &mut self.backlog;
                backlog.passed += passes;
                backlog.slowest_page =
                    backlog.slowest_page.max(backlog.page_began.saturating_sub(moment.left));
                self.suspicion = Suspicion::None;
                match hold {
                    Hold::Release => self.read(moment),
                    Hold::Until(_) if self.session_ended => self.read(moment),
                    Hold::Until(_) if self.backlog.left().is_empty() && self.backlog.unlisted => {
                        self.plan(moment)
                    }
                    Hold::Until(_) => self.next_page(moment),
                }
            }
            AfterMove::Deferred => self.end_deferred(moment),
            AfterMove::Try(entry) => self.try_deferred(entry, moment),
            AfterMove::NextTry => self.next_try(moment),
        }
    }
}
