//! What a poll does with messages that it cannot read: see [`crate::inbound::deferred`] and
//! [`crate::inbound::isolation`] for the rules.

use std::time::Duration;

use super::stage::{AfterMove, Ending, State};
use super::{Invocation, Poll, PollOutcome};
use crate::inbound::cursor::{Uid, UidValidity};
use crate::inbound::deferred::{self, Deferred, MAX_DEFERRED, QuarantineNotice};
use crate::inbound::failure::Failure;
use crate::inbound::isolation::{Isolation, Suspicion, TRIES_BEFORE_SUSPICION};
use crate::inbound::job::{Digest, JobId};
use crate::inbound::pending::{Extent, PendingMessage};
use crate::inbound::plan::Work;
use crate::inbound::schedule::MAX_DELAY;
use crate::inbound::step::{JobNotes, Moment};
use crate::jitter::scattered;
use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};
use crate::ports::Hold;

/// What the owner of a mailbox reads whose server keeps more messages back than can be deferred.
const NOT_GIVEN: &str = "The server does not give many of the messages that it has.";

impl Poll {
    /// Whether there is anything to do beside new messages.
    fn has_more_to_do(&self, moment: Moment) -> bool {
        self.has_due(moment) || self.has_changes_due(moment) || self.has_accepted()
    }

    /// Nothing is new: ends, unless a deferred message is due.
    pub(super) fn idle(&mut self, moment: Moment) {
        self.backlog.unlisted = false;
        if self.own_cursor.is_some() {
            return self.end_held();
        }
        let Some(cursor) = self.profile.cursor.filter(|_| self.has_more_to_do(moment)) else {
            self.read(moment);
            return;
        };
        match self.invocation {
            // A message that cannot be read may crash the invocation.
            Invocation::Shared => self.read(moment),
            Invocation::Dedicated => {
                self.begin(Work::nothing(cursor), moment);
            }
        }
    }

    /// A step that asked the server for messages failed.
    pub(super) fn fetch_failed(&mut self, failure: Failure, moment: Moment) {
        let failure = counted(failure);
        if let Some(entry) = self.trying.take() {
            // It still cannot be read, but it crashes nothing. The session may be useless.
            self.retries.clear();
            self.trying_ended(&entry);
            self.move_cursor(self.backlog.cursor, Hold::Release, AfterMove::Page { passes: 0 });
        } else if self.backlog.may_stop(moment) {
            // Only the time ran out in the middle of a page.
            self.read(moment);
        } else if self.suspicion == Suspicion::Unreadable
            && matches!(failure, Failure::SuspectMessage(_))
            && deferred::has_room(&self.profile.deferred)
        {
            self.defer_first(moment);
        } else {
            self.end_in(failure, moment);
        }
    }

    /// The server gave another message, or none.
    pub(super) fn fetched_another(&mut self, given: bool, moment: Moment) {
        self.gave_another = Some(given);
        if self.judge_unlistable(given, moment) {
            return;
        }
        match (given, self.backlog.left().is_empty()) {
            (true, false) => self.next_page(moment),
            (_, true) => self.next_try(moment),
            // Nothing shows that it is the message: it is tried, and not deferred.
            (false, false) => {
                self.suspicion = Suspicion::None;
                self.next_page(moment);
            }
        }
    }

    /// The server failed while it was asked for another message.
    pub(super) fn another_failed(&mut self, failure: Failure, moment: Moment) {
        if self.judge_unlistable(false, moment) {
            // Its own failure is told.
        } else if self.backlog.left().is_empty() {
            self.fetched_another(false, moment);
        } else {
            self.end_in(counted(failure), moment);
        }
    }

    /// Asks the server for a message that has not failed: neither this one nor a deferred one, and not the same at each
    /// poll: none of the others is asked for again and again while the rest never is.
    pub(super) fn ask_for_another(&mut self, uid: Uid) {
        let deferred = self.profile.deferred.iter().map(|entry| entry.message.uid);
        let than = std::iter::once(uid).chain(deferred.filter(|other| *other != uid)).collect();
        let before_lease = self.now.unix_timestamp().unsigned_abs();
        let turn = scattered(self.lease.as_ref().map_or(before_lease, |lease| lease.fence));
        self.state = State::FetchAnother { than, turn };
    }

    /// Defers the first message, so that those behind it go on.
    pub(super) fn defer_first(&mut self, moment: Moment) {
        let left = self.backlog.left();
        let Some(first) = left.first().copied() else { return };
        if !deferred::has_room(&self.profile.deferred) {
            let error = OwnerError::new(ErrorCode::ImapProtocol, NOT_GIVEN);
            self.end_in(Failure::SuspectMessage(error), moment);
            return;
        }
        let cursor = if left.len() == 1 { self.backlog.end } else { self.backlog.past(first.uid) };
        let handed_over = self.backlog.cursor.floor.is_some_and(|floor| floor.may_be_handed_over(&first));
        let notice = if handed_over { QuarantineNotice::Never } else { QuarantineNotice::Pending };
        let entry = Deferred::new(first, cursor.uid_validity, notice, moment.now);
        self.profile.deferred.push(entry);
        self.deferred_changed = true;
        self.backlog.passed += 1;
        self.move_cursor(cursor, self.keep_lease(moment), AfterMove::Deferred);
    }

    /// The first message is deferred, and the session may be useless: the rest is for another poll. It suspects its own
    /// first message sooner, because such messages come in numbers.
    pub(super) fn end_deferred(&mut self, moment: Moment) {
        let handed_over = self.backlog.handed_over;
        let more = !self.backlog.left().is_empty() || self.backlog.unlisted;
        let tries = if more { TRIES_BEFORE_SUSPICION } else { 0 };
        let release = self.lease.clone().map(|lease| Ending::Release { lease, tries });
        let polls = [more.then_some(Duration::ZERO), self.delay_of_next_try(moment)];
        let again = polls.into_iter().flatten().map(Ending::PollAgain);
        let steps = release.into_iter().chain([Ending::LogOut]).chain(again).chain([Ending::Record]);
        self.end(PollOutcome::Read { handed_over, more }, steps, moment);
    }

    /// Defers the messages that are there and that the server does not list: with the cursor that passes them. `None`:
    /// the list is full, and the cursor cannot pass the first of them.
    pub(super) fn defer_hidden(&mut self, mut work: Work, moment: Moment) -> Option<Work> {
        // What lies ahead of the cursor was never passed: it is in the listing, or found again.
        if self.own_cursor.is_none() {
            self.profile.deferred.retain(|entry| entry.message.uid.get() <= work.start.last_uid);
        }
        let room = MAX_DEFERRED.saturating_sub(self.profile.deferred.len());
        if let Some(first) = work.hidden.get(room).copied() {
            work.end_before(first, moment.now);
            if work.pending.is_empty() && work.end == work.start {
                let error = OwnerError::new(ErrorCode::ImapProtocol, NOT_GIVEN);
                self.end_in(Failure::Owner(error), moment);
                return None;
            }
        }
        for uid in work.hidden.iter().copied() {
            let message = PendingMessage { uid, extent: Extent::Unlisted, size: 0, arrived: None };
            let notice = match work.start.floor.is_some_and(|floor| floor.may_be_handed_over(&message)) {
                true => QuarantineNotice::Never,
                false => QuarantineNotice::Pending,
            };
            self.profile.deferred.push(Deferred::new(message, work.end.uid_validity, notice, moment.now));
            self.deferred_changed = true;
        }
        Some(work)
    }

    /// Whether the lease is kept once the backlog is handed over.
    pub(super) fn hold_at_end(&self, moment: Moment) -> Hold {
        let due = self.has_more_to_do(moment) || self.own_cursor.is_some();
        let tries = self.invocation == Invocation::Dedicated && due && !self.session_ended;
        let lists = self.backlog.unlisted && moment.left >= self.backlog.slowest_page * 2;
        if tries || lists { self.keep_lease(moment) } else { Hold::Release }
    }

    /// Begins the try of the next deferred message that is due: stores that it begins, so that a crash counts.
    pub(super) fn next_try(&mut self, moment: Moment) {
        if self.trying.take().is_none() && self.retries.is_empty() {
            let due = self.profile.deferred.iter().filter(|entry| entry.due_at <= moment.now);
            self.retries = due.copied().collect();
        }
        let Some(entry) = self.retries.front().copied() else { return self.next_change(moment) };
        if moment.left < self.backlog.slowest_page * 2 || self.session_ended {
            return self.read(moment);
        }
        let begun = entry.begin_try(moment.now);
        let quarantines = Isolation::of_deferred(&begun.unwrap_or(entry), moment.now).may_quarantine();
        if quarantines && self.gave_another.is_none() {
            self.ask_for_another(entry.message.uid);
            return;
        }
        self.retries.pop_front();
        self.replace(&entry, begun);
        self.deferred_changed = true;
        let cursor = self.backlog.cursor;
        self.move_cursor(cursor, self.keep_lease(moment), AfterMove::Try(begun.unwrap_or(entry)));
    }

    /// Tries a deferred message; the table knows that the try begins.
    pub(super) fn try_deferred(&mut self, entry: Deferred, moment: Moment) {
        self.trying = Some(entry);
        let supersedes = match entry.notice {
            QuarantineNotice::Pending | QuarantineNotice::Never => None,
            QuarantineNotice::Sent => {
                let (mailbox, uid) = (&self.profile.settings.mailbox, entry.message.uid.get());
                let uid_validity = entry.uid_validity.map(UidValidity::get);
                let digest = Digest::of_place(mailbox.as_str(), uid_validity, uid);
                Some(JobId::new(self.profile.id, digest))
            }
        };
        let isolation = match Isolation::of_deferred(&entry, moment.now) {
            // The server fails, and not the message.
            isolation
                if isolation.may_quarantine()
                    && self.gave_another != Some(true)
                    && !entry.is_overdue(moment.now) =>
            {
                Isolation::OneByOne
            }
            isolation => isolation,
        };
        // The present try counts as a crash until its end is known.
        let crashed = (entry.crashes > 1).then_some(entry.message.uid);
        let notes = JobNotes { supersedes, repeats_up_to: self.profile.repeats_up_to.max(crashed) };
        self.begin_page(vec![entry.message], isolation, notes, moment);
    }

    /// A deferred message is handed over, quarantined, or no longer exists.
    pub(super) fn tried(&mut self, quarantined: bool, moment: Moment) {
        let Some(entry) = self.trying else { return };
        let after = quarantined.then_some(Deferred { notice: QuarantineNotice::Sent, ..entry.end_try() });
        self.replace(&entry, after);
        let cursor = self.backlog.cursor;
        self.move_cursor(cursor, self.keep_lease(moment), AfterMove::NextTry);
    }

    /// Notes that a try ended without a crash, unless it was the last.
    fn trying_ended(&mut self, entry: &Deferred) {
        for kept in self.profile.deferred.iter_mut().filter(|kept| kept.message.uid == entry.message.uid) {
            *kept = kept.end_try();
        }
    }

    /// Puts an entry in the place of another of the same message, or of none.
    fn replace(&mut self, entry: &Deferred, by: Option<Deferred>) {
        self.profile.deferred.retain(|other| other.message.uid != entry.message.uid);
        self.profile.deferred.extend(by);
        self.profile.deferred.sort_by_key(|entry| entry.message.uid);
    }

    fn has_due(&self, moment: Moment) -> bool {
        deferred::next_due(&self.profile.deferred).is_some_and(|due_at| due_at <= moment.now)
    }

    /// When this profile is to be polled again ahead of its interval: at once if there is more, or when a deferred
    /// message is due.
    pub(super) fn delay_of_next_poll(&self, more: bool, moment: Moment) -> Option<Duration> {
        if more { Some(Duration::ZERO) } else { self.delay_of_next_try(moment) }
    }

    /// When the next deferred message or change is due, if that is before the next poll of the interval, and a queue can wait so
    /// long. Only a run that changed the list asks, so that requests do not become more and more.
    fn delay_of_next_try(&self, moment: Moment) -> Option<Duration> {
        let changes = self
            .profile
            .overdue
            .as_ref()
            .map(|overdue| if self.has_changes_due(moment) { moment.now } else { overdue.due_at });
        let accepted = self.has_accepted().then_some(moment.now);
        let due_at = deferred::next_due(&self.profile.deferred);
        let due_at = due_at.into_iter().chain(changes).chain(accepted).min()?;
        let delay = Duration::try_from(due_at - moment.now).unwrap_or_default();
        let interval = Duration::from_secs(u64::from(self.profile.settings.refresh_interval.seconds()));
        let ahead = self.deferred_changed && delay < interval && delay <= MAX_DELAY;
        let asks = match self.invocation {
            Invocation::Shared => ahead || delay.is_zero(),
            Invocation::Dedicated => ahead,
        };
        asks.then_some(delay)
    }
}

/// A failure of the server at a message, which counts as a try of that message unless the server asks for a pause.
fn counted(failure: Failure) -> Failure {
    match failure {
        Failure::Owner(error) if error.code.class() != ErrorClass::Throttled => {
            Failure::SuspectMessage(error)
        }
        Failure::SuspectMessage(error) if error.code.class() == ErrorClass::Throttled => {
            Failure::Owner(error)
        }
        failure @ (Failure::Owner(_)
        | Failure::SuspectMessage(_)
        | Failure::Service(_)
        | Failure::Lost
        | Failure::OutOfTime) => failure,
    }
}
