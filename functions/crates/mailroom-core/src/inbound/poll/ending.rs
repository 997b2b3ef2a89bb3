//! How a poll ends: the lease is released, the session closed, and the owner told.

use time::OffsetDateTime;

use super::stage::{Ending, State};
use super::trouble::SessionIs;
use super::{Poll, PollOutcome};
use crate::health::{self, Outcome, Status};
use crate::inbound::failure::Failure;
use crate::inbound::isolation::{counted_tries, not_counted, tries_after};
use crate::inbound::schedule;
use crate::inbound::step::Moment;
use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};
use crate::ports::PortError;

/// What many errors of servers say themselves.
const RETRIES: &str = "tries again by itself";

impl Poll {
    /// Ends a poll that went well. A lease that is still held is released, and no message is under suspicion.
    pub(super) fn read(&mut self, moment: Moment) {
        let handed_over = self.backlog.handed_over;
        let more = self.backlog.wants_another_poll();
        let again = self.delay_of_next_poll(more, moment).map(Ending::PollAgain);
        let steps = self.release().into_iter().chain([Ending::LogOut]).chain(again).chain([Ending::Record]);
        self.end(PollOutcome::Read { handed_over, more }, steps, moment);
    }

    /// The release of the lease, if it is held, without counting this try.
    pub(super) fn release(&self) -> Option<Ending> {
        self.lease.clone().map(|lease| Ending::Release { tries: not_counted(lease.tries), lease })
    }

    pub(super) fn fail(&mut self, failure: Failure, moment: Moment) {
        match &self.state {
            State::List { .. } if is_of_server(&failure) => self.window_failed(failure, moment),
            State::FetchAnother { .. } if is_of_server(&failure) => self.another_failed(failure, moment),
            State::Page(page) if page.is_fetching() && is_of_server(&failure) => {
                self.fetch_failed(failure, moment);
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
            State::Retry(_, _, status) => {
                // The interval's own polls come later.
                let status = status.clone();
                let (_, error) = outcome_of(failure);
                self.error = self.error.take().or(error);
                self.state = State::Record(status);
            }
            State::Record(_) | State::PollAgain(_) => {
                let (outcome, error) = outcome_of(failure);
                self.error = self.error.take().or(error);
                self.end(outcome, [], moment);
            }
            State::Open(_)
            | State::List { .. }
            | State::ListAgain { .. }
            | State::FindLast
            | State::FindStart(_)
            | State::Lease { .. }
            | State::FindQueue(_)
            | State::Page(_)
            | State::Change
            | State::FetchAnother { .. }
            | State::MoveCursor { .. }
            | State::LogOut
            | State::Finish => self.end_in(failure, moment),
        }
    }

    /// The server failed at a window of the listing, and the session with it.
    fn window_failed(&mut self, failure: Failure, moment: Moment) {
        match failure {
            Failure::Owner(error) | Failure::SuspectMessage(error) => {
                self.list_failed(error, SessionIs::Over, moment);
            }
            Failure::Service(_) | Failure::Lost | Failure::OutOfTime => self.end_in(failure, moment),
        }
    }

    /// Ends a poll that failed: the lease is released if it is held and known to be, and the owner is told.
    pub(super) fn end_in(&mut self, failure: Failure, moment: Moment) {
        let release = self.lease.clone().and_then(|lease| {
            let tries = match (&self.state, &failure) {
                // It took none of them.
                (State::Page(_), Failure::Service(PortError::QueueRefused { .. })) => {
                    not_counted(lease.tries)
                }
                // The next run has to say that it may repeat jobs.
                (State::Page(page), Failure::Service(_)) if page.may_have_sent() => {
                    counted_tries(lease.tries)
                }
                _ => tries_after(&failure, lease.tries)?,
            };
            Some(Ending::Release { lease, tries })
        });
        let (outcome, error) = outcome_of(failure);
        self.error = error;
        let record = (outcome != PollOutcome::Lost).then_some(Ending::Record);
        self.end(outcome, release.into_iter().chain(record), moment);
    }

    pub(super) fn end(
        &mut self,
        outcome: PollOutcome,
        steps: impl IntoIterator<Item = Ending>,
        moment: Moment,
    ) {
        self.outcome = outcome;
        self.ending = steps.into_iter().collect();
        self.next_ending(moment);
    }

    pub(super) fn next_ending(&mut self, moment: Moment) {
        self.state = match self.ending.pop_front() {
            Some(Ending::Release { lease, tries }) => State::Release { lease, tries },
            Some(Ending::LogOut) => State::LogOut,
            Some(Ending::PollAgain(delay)) => State::PollAgain(delay),
            Some(Ending::Record) => {
                self.status(moment.now).map_or(State::Finish, |status| self.record(status, moment))
            }
            None => State::Finish,
        };
    }

    /// Records a status. A poll at the end of its pause is asked for first, so that no status names a time that nobody
    /// keeps; where nothing is recorded after that, the request is void.
    fn record(&self, status: Status, moment: Moment) -> State {
        match schedule::retry(&self.profile, &status, moment.now) {
            Some((request, delay)) => State::Retry(request, delay, status),
            None => State::Record(status),
        }
    }

    /// The status that the outcome makes; `None` where nothing is worth a write.
    pub(super) fn status(&self, now: OffsetDateTime) -> Option<Status> {
        let outcome = match &self.outcome {
            PollOutcome::Read { handed_over, .. } => Outcome::Success { handed_over: *handed_over },
            PollOutcome::Failed(error) => Outcome::Failure(error.clone()),
            PollOutcome::NotLeased | PollOutcome::Postponed | PollOutcome::Lost => return None,
        };
        let mut before = self.profile.status.clone();
        // A poll that handed messages over made progress: what failed after that begins a new row, or each message ahead of
        // one that breaks the session would wait for a longer pause than the last.
        if let (true, Some(error)) = (self.backlog.handed_over > 0, &mut before.error) {
            error.count = 0;
        }
        health::after_poll(&before, &outcome, now)
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
            let told = match &error {
                PortError::QueueRefused { queue, code } => OwnerError::new(
                    ErrorCode::JobQueue,
                    format!(
                        "The queue {queue} of the flow schema takes no jobs ({code}). Check that it exists, and that \
                         Mailroom may write to it. No message is lost, and Mailroom {RETRIES}."
                    ),
                ),
                PortError::Lost | PortError::Corrupt(_) | PortError::Unavailable { .. } => {
                    OwnerError::new(ErrorCode::Internal, internal)
                }
            };
            (PollOutcome::Failed(told), Some(error))
        }
    }
}

/// Says of an error that goes away by itself that Mailroom tries again. The others wait for the owner.
fn noting_retry(mut error: OwnerError) -> OwnerError {
    match error.code.class() {
        ErrorClass::Transient | ErrorClass::Throttled if !error.message.contains(RETRIES) => {
            error.message.push_str(" Mailroom ");
            error.message.push_str(RETRIES);
            error.message.push('.');
        }
        ErrorClass::Transient | ErrorClass::Throttled | ErrorClass::Owner | ErrorClass::Authorization => {}
    }
    error
}

/// Whether the mail server is at fault, or a message of it.
fn is_of_server(failure: &Failure) -> bool {
    match failure {
        Failure::Owner(_) | Failure::SuspectMessage(_) => true,
        Failure::Service(_) | Failure::Lost | Failure::OutOfTime => false,
    }
}
