//! One poll of a mailbox. The poll decides and its driver acts: [`Poll::next`] says what to do, the driver does it and
//! tells what it led to with [`Poll::tell`], until the step is [`Step::Finish`].
//!
//! ```text
//! open ─ list ─┬─ idle ──────────────────────────────────────────────────────────┐
//!              └─ lease ─┬─ find queue ─┬─ page: fetch, ledger, store, hand over ─┤
//!                        │              └──◄── move the cursor ◄── note, act ──┘  │
//!                        │                  deferred messages, each the same way ─┤
//!                        └─ not leased, edited, to be polled alone                │
//!                                                release, log out, poll again, record, finish
//! ```
//!
//! What holds, whatever the driver tells:
//! - The cursor passes a message only when the queue has its job, the ledger knows it, it no longer exists, the profile
//!   does not want it, or the same write defers it.
//! - Nothing is written before the lease, and an idle poll takes none.
//! - A lease ends released, by a move of the cursor or alone, unless it was lost or time ran out during a step.

mod changing;
mod deferring;
mod ending;
mod holding;
mod leasing;
mod paging;
mod stage;
mod trouble;
mod windows;

use std::collections::VecDeque;
use std::time::Duration;

use time::OffsetDateTime;

use self::stage::{Ending, State};
use self::trouble::{SessionIs, Trouble};
use crate::inbound::backlog::Backlog;
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::deferred::Deferred;
use crate::inbound::failure::Failure;
use crate::inbound::isolation::{Isolation, Suspicion};
use crate::inbound::listing::Listing;
use crate::inbound::page::Page;
use crate::inbound::plan::{self, MailboxState, Plan, Selection, Work};
use crate::inbound::step::{Event, Moment, PollOutcome, Step};
use crate::owner_error::{ErrorCode, OwnerError};
use crate::ports::{FlowQueue, Lease, PortError};
use crate::profile::Profile;

/// How many UIDs the first window of a listing has: at most half a megabyte of messages.
pub const WINDOW: u32 = 10_000;

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
    /// How many UIDs the next window has.
    width: u32,
    trouble: Trouble,
    /// The lease while it is held.
    lease: Option<Lease>,
    queue: FlowQueue,
    queue_found: bool,
    backlog: Backlog,
    suspicion: Suspicion,
    /// Whether an earlier run may have sent jobs that the ledger does not know.
    repeats: bool,
    /// Whether the server gave another message in this poll; `None` before it was asked.
    gave_another: Option<bool>,
    /// The deferred messages that are due, and the one that is tried.
    retries: VecDeque<Deferred>,
    trying: Option<Deferred>,
    /// Whether this poll deferred a message, or tried one, or a change in the mailbox.
    deferred_changed: bool,
    /// The mailbox's own cursor, while messages are handed over that were held back.
    own_cursor: Option<Cursor>,
    /// Whether this poll held messages back, or handed such over.
    held_changed: bool,
    /// Whether a change in the mailbox ended the session: nothing more can be asked of it.
    session_ended: bool,
    state: State,
    /// When it was last told something.
    now: OffsetDateTime,
    /// The steps with which the poll ends.
    ending: VecDeque<Ending>,
    outcome: PollOutcome,
    /// The first failure of a service, for the log and the caller.
    error: Option<PortError>,
}

impl Poll {
    /// A poll of `profile`, as it was listed.
    #[must_use]
    pub fn new(profile: Profile, invocation: Invocation, moment: Moment) -> Self {
        let nowhere = Cursor::new(None, 0, moment.now);
        let nothing = Work::nothing(nowhere);
        let mut poll = Self {
            invocation,
            mailbox: None,
            width: trouble::first_width(&profile.status, WINDOW),
            trouble: Trouble::default(),
            lease: None,
            queue: FlowQueue::Default,
            queue_found: false,
            backlog: Backlog::new(nothing, Isolation::Pages),
            suspicion: Suspicion::None,
            repeats: false,
            gave_another: None,
            retries: VecDeque::new(),
            trying: None,
            deferred_changed: false,
            own_cursor: None,
            held_changed: false,
            session_ended: false,
            state: State::Finish,
            now: moment.now,
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
                list_above: plan::list_above(self.profile.cursor.as_ref(), self.profile.settings.start_from)
                    .filter(|_| !self.lists_alone()),
            },
            State::List { above, width } => Step::List { above: *above, width: *width },
            State::ListAgain { above, through } => Step::ListAgain { above: *above, through: *through },
            State::FindLast => Step::FindLast,
            State::FindStart(since) => Step::FindStart(*since),
            State::Lease { until } => Step::Lease { until: *until },
            State::FindQueue(flow_schema) => Step::FindQueue(flow_schema),
            State::Page(page) => page.step(&self.queue),
            State::Change => self.change(),
            State::FetchAnother { than, turn } => Step::FetchAnother { than: than.clone(), turn: *turn },
            State::MoveCursor { lease, cursor, hold, .. } => {
                Step::MoveCursor { lease, progress: self.progress(cursor), hold: *hold }
            }
            State::Release { lease, tries } => Step::Release { lease, tries: *tries },
            State::LogOut => Step::LogOut,
            State::PollAgain(delay) => Step::PollAgain(*delay),
            State::Retry(request, delay, _) => Step::Retry(request, *delay),
            State::Record(status) => Step::Record { version: self.profile.version, status },
            State::Finish => Step::Finish,
        }
    }

    /// Takes note of what the step that [`Self::next`] named led to, at `moment`.
    pub fn tell(&mut self, told: Result<Event, Failure>, moment: Moment) {
        self.now = moment.now;
        match told {
            Err(failure) => self.fail(failure, moment),
            Ok(Event::Opened(state, listing)) => {
                self.mailbox = Some((state, listing));
                self.opened(moment);
            }
            Ok(Event::Listed(listing)) => self.listed(listing, moment),
            Ok(Event::ListRefused(error)) => self.list_failed(error, SessionIs::Open, moment),
            Ok(Event::ListedAgain(relisted)) => {
                if let Some((_, Some(listing))) = &mut self.mailbox {
                    listing.complete(relisted);
                }
                self.plan(moment);
            }
            Ok(Event::LastFound(last_uid)) => self.last_found(last_uid, moment),
            Ok(Event::StartFound(first)) => {
                if let Some((state, _)) = &mut self.mailbox {
                    state.start_above = Some(first.map_or(u32::MAX, |first| first.get() - 1));
                }
                self.plan(moment);
            }
            Ok(Event::Leased(lease, profile)) => self.leased(lease, *profile, moment),
            Ok(Event::NotLeased) => self.end(PollOutcome::NotLeased, [], moment),
            Ok(Event::QueueFound(queue)) => {
                (self.queue, self.queue_found) = (queue, true);
                self.next_page(moment);
            }
            Ok(Event::Fetched { messages, quarantine }) => {
                if self.trying.is_none() && !messages.is_empty() {
                    self.gave_another = Some(true);
                }
                self.in_page(|page| page.fetched(messages, quarantine), moment);
            }
            Ok(Event::FetchedAnother(given)) => self.fetched_another(given, moment),
            Ok(Event::LedgerRead(digests)) => self.in_page(|page| page.ledger_read(digests), moment),
            Ok(Event::Stored { automated, bounces }) => {
                self.in_page(|page| page.stored(automated, bounces), moment);
            }
            Ok(Event::HandedOver(jobs)) => self.in_page(|page| page.jobs_taken(&jobs), moment),
            Ok(Event::ChangeFailed(failure)) => self.change_failed(failure, moment),
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
            State::Change => self.changed(moment),
            State::MoveCursor { cursor, hold, then, .. } => {
                let (cursor, hold, then) = (*cursor, *hold, *then);
                self.moved(cursor, hold, then, moment);
            }
            State::Release { .. } => {
                self.lease = None;
                self.next_ending(moment);
            }
            State::Retry(_, _, status) => self.state = State::Record(status.clone()),
            State::LogOut | State::PollAgain(_) | State::Record(_) => self.next_ending(moment),
            // These have events of their own.
            State::Open(_)
            | State::List { .. }
            | State::ListAgain { .. }
            | State::FindLast
            | State::FindStart(_)
            | State::Lease { .. }
            | State::FindQueue(_)
            | State::FetchAnother { .. }
            | State::Finish => {}
        }
    }

    /// Nothing is known of a mailbox whose end nobody names: an unknown floor is never none.
    fn last_found(&mut self, last_uid: Option<Uid>, moment: Moment) {
        match (&mut self.mailbox, last_uid) {
            (Some((state, _)), Some(_)) => {
                state.last_uid = last_uid;
                self.plan(moment);
            }
            (_, None) | (None, _) => {
                let why = "The server says neither which UID comes next nor which is the last.";
                self.fail(Failure::Owner(OwnerError::new(ErrorCode::ImapProtocol, why)), moment);
            }
        }
    }

    /// Plans by the cursor as it is known: before the lease to see whether there is anything to do, under it to do it.
    fn plan(&mut self, moment: Moment) {
        let Some((state, listing)) = &self.mailbox else { return };
        let selection = Selection::of(&self.profile, moment.now);
        let plan = plan::plan(self.profile.cursor.as_ref(), state, listing.as_ref(), &selection, moment.now);
        match plan {
            Plan::FindLast => self.state = State::FindLast,
            Plan::FindStart(since) => self.state = State::FindStart(since),
            Plan::ListAbove(above) => self.list_above(above),
            Plan::ListAgain(above, through) => self.state = State::ListAgain { above, through },
            Plan::Idle => self.idle(moment),
            Plan::Work(work) => self.begin(*work, moment),
        }
    }

    /// Takes the lease, and under it begins to work.
    fn begin(&mut self, work: Work, moment: Moment) {
        let Some(lease) = &self.lease else {
            self.state = State::Lease { until: self.lease_end(moment) };
            return;
        };
        let (tries, fence) = (lease.tries, lease.fence);
        if work.renumbered {
            // The floor is laid so low that they are found again.
            self.profile.deferred.clear();
            self.profile.overdue = None;
            self.drop_held();
        }
        if self.hold_back(&work, moment) {
            return;
        }
        if work.passes_unsearched {
            self.profile.unsearched_at = Some(moment.now);
        }
        let Some(work) = self.defer_hidden(work, moment) else { return };
        self.suspicion = match Suspicion::after(tries) {
            _ if work.pending.is_empty() => Suspicion::None,
            // Two of four leases try it without asking for another: the other may be the one that cannot be read.
            Suspicion::Unreadable if fence / 2 % 2 == 1 => Suspicion::None,
            suspicion @ (Suspicion::None | Suspicion::Unreadable | Suspicion::Crashes) => suspicion,
        };
        self.note_repeats(&work, tries);
        self.backlog = self.backlog.next(work, Isolation::after(tries));
        if self.queue_found {
            self.next_page(moment);
            return;
        }
        match self.profile.settings.flow_schema_id.clone() {
            Some(flow_schema) => self.state = State::FindQueue(flow_schema),
            None => {
                let why = "a listening profile names no flow schema".to_owned();
                self.fail(Failure::Service(PortError::Corrupt(why)), moment);
            }
        }
    }

    /// Jobs that an earlier run may have sent are those of messages that are there now. Where the mailbox was renumbered
    /// since, or a listing leaves one out, it comes later than the first of what is left.
    fn note_repeats(&mut self, work: &Work, tries: u32) {
        self.repeats = tries > 1;
        let carried_over = work.renumbered && self.profile.repeats_up_to.is_some();
        if self.repeats || carried_over {
            let unknown = if work.more { u32::MAX } else { work.end.last_uid };
            let highest = self.mailbox().and_then(MailboxState::highest).unwrap_or(unknown);
            self.profile.repeats_up_to = Uid::new(highest);
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
            let steps = self.release().into_iter().chain([Ending::PollAgain(Duration::ZERO)]);
            self.end(PollOutcome::Postponed, steps, moment);
        } else {
            self.plan(moment);
        }
    }
}

#[cfg(test)]
mod tests;
