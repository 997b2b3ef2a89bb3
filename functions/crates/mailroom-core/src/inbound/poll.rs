//! One poll of a mailbox. The poll decides and its driver acts: [`Poll::next`] says what to do, the driver does it and
//! tells what it led to with [`Poll::tell`], until the step is [`Step::Finish`].
//!
//! ```text
//! open ─ list ─┬─ idle ──────────────────────────────────────────────────────────┐
//!              └─ lease ─┬─ find queue ─┬─ page: fetch, ledger, store, hand over ─┤
//!                        │              └──◄── move the cursor ◄── note, act ──┘  │
//!                        └─ not leased, edited, to be polled alone                │
//!                                                release, log out, poll again, record, finish
//! ```
//!
//! What holds, whatever the driver tells:
//! - The cursor passes a message only when the queue has its job, the ledger knows it, it no longer exists, or the
//!   profile does not want it.
//! - Nothing is written before the lease, and an idle poll takes none.
//! - A lease ends released, by a move of the cursor or alone, unless it was lost or time ran out during a step.

use std::collections::VecDeque;
use std::time::Duration;

use time::OffsetDateTime;

use crate::flow::FlowSchemaId;
use crate::health::{self, Outcome, Status};
use crate::inbound::backlog::Backlog;
use crate::inbound::cursor::Cursor;
use crate::inbound::failure::Failure;
use crate::inbound::isolation::{Isolation, not_counted, tries_after};
use crate::inbound::page::{Page, PageResult};
use crate::inbound::plan::{self, Listing, MailboxState, Plan, Selection, Work};
use crate::inbound::step::{Event, Moment, PollOutcome, Step};
use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};
use crate::ports::{FlowQueue, Hold, Lease, PortError};
use crate::profile::Profile;
use crate::server::Server;

/// How long a lease lasts at most without being renewed. Each move of the cursor renews it.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// How much longer than the poll's own time a lease lasts: the driver ends a step that is late within a second.
const LEASE_MARGIN: Duration = Duration::from_secs(3);

/// Whether other profiles share the invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invocation {
    /// A crash would end the polls of other profiles too.
    Shared,
    /// A crash ends this profile's poll alone.
    Dedicated,
}

/// One poll of a profile's mailbox.
#[derive(Debug)]
pub struct Poll {
    profile: Profile,
    invocation: Invocation,
    mailbox: Option<(MailboxState, Option<Listing>)>,
    /// Whether the mailbox was listed again for the present plan. Once is enough: it lists all that a plan can need.
    listed_again: bool,
    /// The lease while it is held.
    lease: Option<Lease>,
    queue: FlowQueue,
    backlog: Backlog,
    state: State,
    /// The steps with which the poll ends.
    ending: VecDeque<Ending>,
    outcome: PollOutcome,
    /// The first failure of a service, for the log and the caller.
    error: Option<PortError>,
}

#[derive(Debug)]
enum State {
    Open(Server),
    List { above: u32 },
    Lease { until: OffsetDateTime },
    FindQueue(FlowSchemaId),
    Page(Box<Page>),
    MoveCursor { lease: Lease, cursor: Cursor, hold: Hold, passes: usize },
    Release { lease: Lease, tries: u32 },
    LogOut,
    PollAgain,
    Record(Status),
    Finish,
}

#[derive(Debug)]
enum Ending {
    Release { lease: Lease, tries: u32 },
    LogOut,
    PollAgain,
    Record,
}

impl Poll {
    /// A poll of `profile`, as it was listed.
    #[must_use]
    pub fn new(profile: Profile, invocation: Invocation, moment: Moment) -> Self {
        let nowhere = Cursor { uid_validity: None, last_uid: 0, newest: moment.now, floor: None };
        let nothing = Work { pending: Vec::new(), start: nowhere, end: nowhere, more: false };
        let mut poll = Self {
            invocation,
            mailbox: None,
            listed_again: false,
            lease: None,
            queue: FlowQueue::Default,
            backlog: Backlog::new(nothing, Isolation::Pages),
            state: State::Finish,
            ending: VecDeque::new(),
            outcome: PollOutcome::Read { handed_over: 0, more: false },
            error: None,
            profile,
        };
        match poll.profile.settings.imap.clone() {
            Some(server) => poll.state = State::Open(server),
            None => {
                let why = "The profile listens but names no IMAP host.";
                poll.fail(Failure::Owner(OwnerError::new(ErrorCode::HostNotAllowed, why)), moment);
            }
        }
        poll
    }

    /// The profile: as it was listed, or once it is leased, as it stands.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The UIDVALIDITY of the open mailbox, and everything else that the server said of it.
    #[must_use]
    pub fn mailbox(&self) -> Option<&MailboxState> {
        self.mailbox.as_ref().map(|(state, _)| state)
    }

    /// The next step. The same until [`Self::tell`] is called.
    #[must_use]
    pub fn next(&self) -> Step<'_> {
        match &self.state {
            State::Open(server) => Step::Open {
                server,
                list_above: plan::list_above(self.profile.cursor.as_ref(), self.profile.settings.start_from),
            },
            State::List { above } => Step::List { above: *above },
            State::Lease { until } => Step::Lease { until: *until },
            State::FindQueue(flow_schema) => Step::FindQueue(flow_schema),
            State::Page(page) => page.step(&self.queue),
            State::MoveCursor { lease, cursor, hold, .. } => Step::MoveCursor { lease, cursor, hold: *hold },
            State::Release { lease, tries } => Step::Release { lease, tries: *tries },
            State::LogOut => Step::LogOut,
            State::PollAgain => Step::PollAgain,
            State::Record(status) => Step::Record { version: self.profile.version, status },
            State::Finish => Step::Finish,
        }
    }

    /// Takes note of what the step that [`Self::next`] named led to, at `moment`.
    pub fn tell(&mut self, told: Result<Event, Failure>, moment: Moment) {
        match told {
            Err(failure) => self.fail(failure, moment),
            Ok(Event::Opened(state, listing)) => {
                self.mailbox = Some((state, listing));
                self.plan(moment);
            }
            Ok(Event::Listed(listing)) => {
                self.listed_again = true;
                if let Some((_, listed)) = &mut self.mailbox {
                    *listed = Some(listing);
                }
                self.plan(moment);
            }
            Ok(Event::Leased(lease, profile)) => self.leased(lease, *profile, moment),
            Ok(Event::NotLeased) => self.end(PollOutcome::NotLeased, [], moment),
            Ok(Event::QueueFound(queue)) => {
                self.queue = queue;
                self.next_page(moment);
            }
            Ok(Event::Fetched(fetched)) => self.in_page(|page| page.fetched(fetched), moment),
            Ok(Event::LedgerRead(digests)) => self.in_page(|page| page.ledger_read(digests), moment),
            Ok(Event::Stored(automated)) => self.in_page(|page| page.stored(automated), moment),
            Ok(Event::HandedOver(jobs)) => self.in_page(|page| page.jobs_taken(&jobs), moment),
            Ok(Event::Done) => self.done(moment),
        }
    }

    /// The result, once the step is [`Step::Finish`].
    ///
    /// # Errors
    /// The first failure of a service that Mailroom depends on. The profile's status may not tell it.
    pub fn finish(self) -> Result<PollOutcome, PortError> {
        self.error.map_or(Ok(self.outcome), Err)
    }

    fn done(&mut self, moment: Moment) {
        match &self.state {
            State::Page(_) => self.in_page(Page::done, moment),
            State::MoveCursor { cursor, hold, passes, .. } => {
                let (cursor, hold, passes) = (*cursor, *hold, *passes);
                self.moved(cursor, hold, passes, moment);
            }
            State::Release { .. } => {
                self.lease = None;
                self.next_ending(moment);
            }
            State::LogOut | State::PollAgain | State::Record(_) => self.next_ending(moment),
            // These have events of their own.
            State::Open(_)
            | State::List { .. }
            | State::Lease { .. }
            | State::FindQueue(_)
            | State::Finish => {}
        }
    }

    /// Plans by the cursor as it is known: before the lease to see whether there is anything to do, under it to do it.
    fn plan(&mut self, moment: Moment) {
        let Some((state, listing)) = &self.mailbox else { return };
        let selection = Selection::of(&self.profile);
        let plan = plan::plan(self.profile.cursor.as_ref(), state, listing.as_ref(), &selection, moment.now);
        match plan {
            Plan::ListAbove(above) if !self.listed_again => self.state = State::List { above },
            // The whole mailbox was listed: only a listing that is cut at its bound can still be too short.
            Plan::ListAbove(_) => {
                let why = "The server names no next UID, and the mailbox is too large to find it by listing.";
                self.fail(Failure::Owner(OwnerError::new(ErrorCode::ImapProtocol, why)), moment);
            }
            // Under a lease: another run was quicker.
            Plan::Idle => self.read(moment),
            Plan::Work(work) => self.begin(work, moment),
        }
    }

    /// Takes the lease, and under it begins to work.
    fn begin(&mut self, work: Work, moment: Moment) {
        let Some(lease) = &self.lease else {
            self.state = State::Lease { until: lease_until(moment) };
            return;
        };
        self.backlog = Backlog::new(work, Isolation::after(lease.tries));
        match self.profile.settings.flow_schema_id.clone() {
            Some(flow_schema) => self.state = State::FindQueue(flow_schema),
            None => {
                let why = "a listening profile names no flow schema".to_owned();
                self.fail(Failure::Service(PortError::Corrupt(why)), moment);
            }
        }
    }

    /// The lease is held: the cursor and the settings count as they stand now.
    fn leased(&mut self, lease: Lease, profile: Profile, moment: Moment) {
        // Another version of the secret alone is a refresh token that was replaced.
        let edited = profile.version != self.profile.version;
        let alone =
            Isolation::after(lease.tries) != Isolation::Pages && self.invocation == Invocation::Shared;
        self.profile = profile;
        self.lease = Some(lease);
        if edited || alone {
            let steps = self.release().into_iter().chain([Ending::PollAgain]);
            self.end(PollOutcome::Postponed, steps, moment);
        } else {
            self.listed_again = false;
            self.plan(moment);
        }
    }

    /// Begins the next page if there is one and time for it. What is left is for the next poll.
    fn next_page(&mut self, moment: Moment) {
        let left = self.backlog.left();
        if left.is_empty() {
            // What lies above the cursor is not wanted.
            self.move_cursor(self.backlog.end, Hold::Release, 0);
        } else if moment.left < self.backlog.slowest_page * 2 {
            self.read(moment);
        } else {
            let isolation = self.backlog.isolation;
            let page = left.iter().take(isolation.page_length(left)).copied().collect();
            self.backlog.page_began = moment.left;
            self.state = State::Page(Box::new(Page::new(&self.profile, page, isolation)));
        }
    }

    fn move_cursor(&mut self, cursor: Cursor, hold: Hold, passes: usize) {
        if let Some(lease) = self.lease.clone() {
            self.state = State::MoveCursor { lease, cursor, hold, passes };
        }
    }

    fn in_page(&mut self, step: impl FnOnce(&mut Page) -> Option<PageResult>, moment: Moment) {
        let State::Page(page) = &mut self.state else { return };
        match step(page) {
            None => {}
            Some(PageResult::HandedOver(jobs)) => {
                let passes = page.messages().len();
                let after = self.backlog.after(page.messages(), moment.now);
                self.backlog.handed_over += jobs;
                if passes == self.backlog.left().len() {
                    self.move_cursor(self.backlog.end, Hold::Release, passes);
                } else {
                    self.move_cursor(after, Hold::Until(lease_until(moment)), passes);
                }
            }
            Some(PageResult::Refused { accepted, jobs }) => {
                let source = format!("the queue took {accepted} of {jobs} jobs").into();
                let operation = "SendMessageBatch";
                self.fail(Failure::Service(PortError::Unavailable { operation, source }), moment);
            }
        }
    }

    fn moved(&mut self, cursor: Cursor, hold: Hold, passes: usize, moment: Moment) {
        let backlog = &mut self.backlog;
        backlog.cursor = cursor;
        backlog.passed += passes;
        backlog.isolation = backlog.isolation.of_next_page();
        backlog.slowest_page = backlog.slowest_page.max(backlog.page_began.saturating_sub(moment.left));
        match hold {
            Hold::Release => {
                self.lease = None;
                self.read(moment);
            }
            Hold::Until(_) => {
                if let Some(lease) = &mut self.lease {
                    // As the table has it: this lease is the first try at the new cursor.
                    lease.tries = 1;
                }
                self.next_page(moment);
            }
        }
    }

    /// Ends a poll that went well. A lease that is still held is released, and no message is under suspicion.
    fn read(&mut self, moment: Moment) {
        let handed_over = self.backlog.handed_over;
        let more = self.backlog.wants_another_poll();
        let again = more.then_some(Ending::PollAgain);
        let steps = self.release().into_iter().chain([Ending::LogOut]).chain(again).chain([Ending::Record]);
        self.end(PollOutcome::Read { handed_over, more }, steps, moment);
    }

    /// The release of the lease, if it is held, without counting this try.
    fn release(&self) -> Option<Ending> {
        self.lease.clone().map(|lease| Ending::Release { tries: not_counted(lease.tries), lease })
    }

    fn fail(&mut self, failure: Failure, moment: Moment) {
        match &self.state {
            // Only the time ran out in the middle of a page: the rest is for the next poll.
            State::Page(_) if matches!(failure, Failure::Owner(_)) && self.backlog.may_stop(moment) => {
                self.read(moment);
            }
            State::Release { .. } => {
                // Not tried again: the lease runs out.
                self.lease = None;
                match self.outcome {
                    PollOutcome::Failed(_) => self.next_ending(moment),
                    PollOutcome::Read { .. }
                    | PollOutcome::Postponed
                    | PollOutcome::NotLeased
                    | PollOutcome::Lost => self.end_in(failure, moment),
                }
            }
            // Edited or deleted since: what was seen is no longer about this profile.
            State::Record(_) if matches!(failure, Failure::Lost) => self.next_ending(moment),
            State::Record(_) | State::PollAgain => {
                let (outcome, error) = outcome_of(failure);
                self.error = self.error.take().or(error);
                self.end(outcome, [], moment);
            }
            State::Open(_)
            | State::List { .. }
            | State::Lease { .. }
            | State::FindQueue(_)
            | State::Page(_)
            | State::MoveCursor { .. }
            | State::LogOut
            | State::Finish => self.end_in(failure, moment),
        }
    }

    /// Ends a poll that failed: the lease is released if it is held and known to be, and the owner is told.
    fn end_in(&mut self, failure: Failure, moment: Moment) {
        let release = self.lease.clone().and_then(|lease| {
            let tries = tries_after(&failure, lease.tries)?;
            Some(Ending::Release { lease, tries })
        });
        let (outcome, error) = outcome_of(failure);
        self.error = error;
        let record = (outcome != PollOutcome::Lost).then_some(Ending::Record);
        self.end(outcome, release.into_iter().chain(record), moment);
    }

    fn end(&mut self, outcome: PollOutcome, steps: impl IntoIterator<Item = Ending>, moment: Moment) {
        self.outcome = outcome;
        self.ending = steps.into_iter().collect();
        self.next_ending(moment);
    }

    fn next_ending(&mut self, moment: Moment) {
        self.state = match self.ending.pop_front() {
            Some(Ending::Release { lease, tries }) => State::Release { lease, tries },
            Some(Ending::LogOut) => State::LogOut,
            Some(Ending::PollAgain) => State::PollAgain,
            Some(Ending::Record) => self.status(moment.now).map_or(State::Finish, State::Record),
            None => State::Finish,
        };
    }

    /// The status that the outcome makes; `None` where nothing is worth a write.
    fn status(&self, now: OffsetDateTime) -> Option<Status> {
        let outcome = match &self.outcome {
            PollOutcome::Read { handed_over, .. } => Outcome::Success { handed_over: *handed_over },
            PollOutcome::Failed(error) => Outcome::Failure(error.clone()),
            PollOutcome::NotLeased | PollOutcome::Postponed | PollOutcome::Lost => return None,
        };
        health::after_poll(&self.profile.status, &outcome, now)
    }
}

/// The outcome of a failed poll, and the error for the log and the caller.
fn outcome_of(failure: Failure) -> (PollOutcome, Option<PortError>) {
    let internal = "Mailroom could not store or hand over the messages of this mailbox. It tries again by itself, and \
                    no message is lost.";
    match failure {
        Failure::Owner(error) | Failure::SuspectMessage(error) => {
            (PollOutcome::Failed(noting_retry(error)), None)
        }
        Failure::Lost => (PollOutcome::Lost, None),
        Failure::OutOfTime => {
            let error = OwnerError::new(
                ErrorCode::ImapTimeout,
                "The mailbox could not be read in the available time.",
            );
            (PollOutcome::Failed(noting_retry(error)), None)
        }
        Failure::Service(error) => {
            (PollOutcome::Failed(OwnerError::new(ErrorCode::Internal, internal)), Some(error))
        }
    }
}

/// Says of an error that goes away by itself that Mailroom tries again. The others wait for the owner.
fn noting_retry(mut error: OwnerError) -> OwnerError {
    match error.code.class() {
        ErrorClass::Transient | ErrorClass::Throttled => {
            error.message.push_str(" Mailroom tries again by itself.");
        }
        ErrorClass::Owner | ErrorClass::Authorization => {}
    }
    error
}

/// When a lease ends: with the poll's time, or earlier, because a run that crashes must not block the mailbox for long.
fn lease_until(moment: Moment) -> OffsetDateTime {
    let time = moment.left.saturating_add(LEASE_MARGIN).min(LEASE_TIME);
    moment.now.saturating_add(time::Duration::try_from(time).unwrap_or(time::Duration::MINUTE))
}

#[cfg(test)]
mod tests;
