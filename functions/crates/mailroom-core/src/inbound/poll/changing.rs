//! What a poll does about changes in the mailbox that failed: see [`crate::inbound::overdue`] for the rules.

use super::Poll;
use super::stage::{AfterMove, State};
use crate::inbound::overdue::{ChangeFailure, OverdueChanges};
use crate::inbound::step::{Moment, Step};
use crate::ports::Hold;
use crate::profile::AfterFetch;

impl Poll {
    /// Takes note of the messages of the page that are handed over and still to be changed in the mailbox.
    pub(super) fn note_unchanged(&mut self, moment: Moment) {
        let State::Page(page) = &self.state else { return };
        let (uids, failure) = page.unchanged();
        if let Some(failure) = failure {
            self.session_ended |= failure.session_ended;
            let overdue = self.profile.overdue.take();
            let uid_validity = self.mailbox.as_ref().and_then(|(state, _)| state.uid_validity);
            let version = self.profile.version;
            self.profile.overdue = Some(match overdue {
                Some(overdue) => overdue.failed(version, failure, moment.now),
                None => OverdueChanges::new(uid_validity, version, failure, moment.now),
            });
            self.deferred_changed = true;
        }
        if let Some(overdue) = &mut self.profile.overdue {
            overdue.add(&uids);
        }
    }

    /// Whether changes are due: an edit of the profile may have mended what made them fail.
    pub(super) fn has_changes_due(&self, moment: Moment) -> bool {
        self.profile
            .overdue
            .as_ref()
            .is_some_and(|overdue| overdue.due_at <= moment.now || overdue.version != self.profile.version)
    }

    /// Makes the changes that are due, once nothing else is left to do: the last act of a poll.
    pub(super) fn next_change(&mut self, moment: Moment) {
        let time = moment.left >= self.backlog.slowest_page * 2;
        if self.session_ended || !time {
            return self.read(moment);
        }
        if !self.has_changes_due(moment) {
            return self.next_held(moment);
        }
        let cursor = self.backlog.cursor;
        if let Some(overdue) = &mut self.profile.overdue {
            let renumbered = match (overdue.uid_validity, cursor.uid_validity) {
                (Some(before), Some(now)) => before != now,
                (None, _) | (_, None) => false,
            };
            let copied = std::mem::take(&mut overdue.copied);
            match self.profile.settings.after_fetch {
                _ if renumbered => overdue.untouched.clear(),
                AfterFetch::Keep => overdue.untouched.clear(),
                // They are still here.
                AfterFetch::MarkSeen => overdue.add(&copied),
                AfterFetch::Move(_) => overdue.copied = copied,
            }
        }
        if self.profile.overdue.as_ref().is_some_and(|overdue| overdue.count() > 0) {
            self.state = State::Change;
        } else {
            self.end_changes();
        }
    }

    /// The change to make next: of several kinds one after the other.
    pub(super) fn change(&self) -> Step<'_> {
        let Some(overdue) = &self.profile.overdue else { return Step::RemoveCopied(&[]) };
        match &self.profile.settings.after_fetch {
            AfterFetch::Move(_) if !overdue.copied.is_empty() => Step::RemoveCopied(&overdue.copied),
            AfterFetch::Move(mailbox) => Step::MoveTo(overdue.untouched.clone(), mailbox),
            AfterFetch::MarkSeen | AfterFetch::Keep => Step::MarkSeen(overdue.untouched.clone()),
        }
    }

    /// The change is made.
    pub(super) fn changed(&mut self, moment: Moment) {
        match &mut self.profile.overdue {
            Some(overdue) if !overdue.copied.is_empty() => {
                overdue.copied.clear();
                self.next_change(moment);
            }
            Some(_) | None => self.end_changes(),
        }
    }

    /// The change failed.
    pub(super) fn change_failed(&mut self, failure: ChangeFailure, moment: Moment) {
        if let State::Page(_) = self.state {
            return self.in_page(|page| page.change_failed(failure), moment);
        }
        self.session_ended |= failure.session_ended;
        let version = self.profile.version;
        self.profile.overdue =
            self.profile.overdue.take().map(|overdue| overdue.failed(version, &failure, moment.now));
        self.store_changes();
    }

    /// Nothing is left to change.
    fn end_changes(&mut self) {
        self.profile.overdue = None;
        self.store_changes();
    }

    fn store_changes(&mut self) {
        self.deferred_changed = true;
        self.move_cursor(self.backlog.cursor, Hold::Release, AfterMove::Page { passes: 0 });
    }
}
