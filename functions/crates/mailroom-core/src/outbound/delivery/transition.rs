//! How a delivery changes with what happens to it.

use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::attempt::{Attempt, Filing, ReplyClass, SentSearch, SmtpReply};
use super::error::{SendError, SendErrorCode};
use super::state::{Delivery, DeliveryState, OutcomeEvent, Phase, RecipientStatus, SendLease, SentCopy};
use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};

/// How long a message is retried after it was accepted for sending.
pub(super) const RETRY_WINDOW: Duration = Duration::hours(24);

/// The pause after the first attempt that failed; it doubles with each.
const FIRST_PAUSE: Duration = Duration::seconds(30);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::hours(1);

/// While the profile's owner has to act, the profile is read again this often, so that an edit takes effect soon. The
/// mail server is not contacted.
pub const PROFILE_RECHECK_PAUSE: Duration = Duration::minutes(2);

/// Crashes in a row after which a message is given up: it may be what crashes the function.
pub(super) const MAX_CRASHES: u32 = 5;

/// Attempts to file a copy in the sent mailbox.
const FILING_ATTEMPTS: u32 = 4;

/// The pause before the next attempt to file a copy, times the attempts so far.
pub(super) const FILING_PAUSE: Duration = Duration::seconds(60);

impl Delivery {
    /// A run begins to send the message.
    pub fn claim(&mut self, lease: SendLease, now: OffsetDateTime) {
        self.phase = Phase::Claimed(lease);
        self.updated_at = now;
    }

    /// The run gives the message back without an attempt.
    pub fn release(&mut self, now: OffsetDateTime) {
        self.phase = Phase::Idle;
        self.updated_at = now;
    }

    /// The server has the content and waits for the final dot, which is about to be sent for these recipients.
    pub fn mark_data_sent(&mut self, recipients: &[String], lease: SendLease, now: OffsetDateTime) {
        for one in &mut self.recipients {
            if one.status.is_waiting() && recipients.contains(&one.address) {
                one.status = RecipientStatus::InFlight;
            }
        }
        self.phase = Phase::DataSent(lease);
        self.updated_at = now;
    }

    /// The run that was sending the message has crashed: its lease expired.
    pub fn recover(&mut self, now: OffsetDateTime) {
        let data_sent = matches!(self.phase, Phase::DataSent(_));
        self.phase = Phase::Idle;
        self.updated_at = now;
        if data_sent {
            let error = OwnerError::new(
                ErrorCode::Internal,
                "Mailroom was interrupted while it was sending the message, so the message may or may not have been sent; it is not sent again automatically.",
            );
            self.mark_uncertain(&error, now);
        } else {
            self.crashes += 1;
            if self.crashes >= MAX_CRASHES {
                let error = SendError::new(
                    SendErrorCode::Profile(ErrorCode::Internal),
                    "Mailroom failed repeatedly while it was sending this message; it was not sent.",
                );
                self.exhausted = true;
                self.fail(error, now);
            }
        }
    }

    /// The message is not sent to the recipients that still wait for it.
    pub fn fail(&mut self, error: SendError, now: OffsetDateTime) {
        self.reject_waiting(&error.message);
        self.error = Some(error);
        self.phase = Phase::Idle;
        self.reschedule(now, Duration::ZERO);
    }

    /// The message is not sent to this recipient.
    pub fn reject_recipient(&mut self, address: &str, error: SendError) {
        for one in self.recipients.iter_mut().filter(|one| one.address == address) {
            one.status = RecipientStatus::Rejected(error.message.clone());
        }
        self.error = Some(error);
    }

    /// No attempt was made: the profile's sending is paused until then.
    pub fn postpone(&mut self, error: SendError, until: OffsetDateTime, now: OffsetDateTime) {
        self.error = Some(error);
        self.reschedule(now, (until - now).max(Duration::SECOND));
    }

    /// An attempt has ended. `rejected` holds the server's replies to single recipients.
    pub fn finish_attempt(
        &mut self,
        rejected: &[(String, SmtpReply)],
        attempt: Attempt,
        now: OffsetDateTime,
    ) {
        self.attempts += 1;
        self.crashes = 0;
        self.phase = Phase::Idle;
        for (address, reply) in rejected {
            self.smtp_reply = Some(reply.text.clone());
            for one in self.recipients.iter_mut().filter(|one| one.address == *address) {
                one.status = match reply.class {
                    ReplyClass::Permanent => RecipientStatus::Rejected(reply.text.clone()),
                    ReplyClass::Transient | ReplyClass::Limit if reply.closes_session() => {
                        RecipientStatus::WaitingAlone(reply.text.clone())
                    }
                    ReplyClass::Transient | ReplyClass::Limit => {
                        RecipientStatus::Waiting(Some(reply.text.clone()))
                    }
                };
            }
        }
        let mut pause = self.backoff();
        match attempt {
            Attempt::Accepted(reply) => {
                self.set_in_flight(&RecipientStatus::Accepted(Some(reply.clone())));
                self.sent_at.get_or_insert(now);
                self.smtp_reply = Some(reply);
                self.error = self.put_off();
                // The server takes messages: those whom it has put off need not wait for as long as a server in trouble.
                pause = FIRST_PAUSE;
            }
            Attempt::Refused(SmtpReply { class, text }) => {
                self.set_in_flight(&RecipientStatus::Waiting(None));
                match class {
                    ReplyClass::Permanent => self.reject_waiting(&text),
                    ReplyClass::Transient | ReplyClass::Limit => self.note_reply_to_waiting(&text),
                }
                self.error = Some(SendError::refused(class, &text));
                self.smtp_reply = Some(text);
            }
            Attempt::Uncertain(error) => self.mark_uncertain(&error, now),
            Attempt::Interrupted(error) => {
                self.set_in_flight(&RecipientStatus::Waiting(None));
                self.error = Some(SendError::from(&error));
                pause = pause_after(&error, pause);
            }
            Attempt::AllRecipientsRejected => {
                let reply = self.smtp_reply.clone().unwrap_or_default();
                self.error =
                    self.put_off().or_else(|| Some(SendError::refused(ReplyClass::Permanent, &reply)));
            }
        }
        self.reschedule(now, pause);
    }

    /// The sent mailbox was searched for the message.
    pub fn finish_search(&mut self, search: SentSearch, now: OffsetDateTime) {
        match search {
            // After an earlier attempt succeeded for others, or may have before the message was resent, its copy says
            // nothing about a later one: both have the same Message-ID, so no search will ever tell.
            SentSearch::Found if self.sent_at.is_some() || self.resent_at.is_some() => {
                self.searches = u32::MAX
            }
            SentSearch::Found => {
                for one in &mut self.recipients {
                    if let RecipientStatus::Uncertain(_) = one.status {
                        one.status = RecipientStatus::Accepted(None);
                    }
                }
                self.searches += 1;
                self.error = None;
                self.sent_at = Some(now);
                self.sent_copy = SentCopy::Skipped;
            }
            SentSearch::NotFound | SentSearch::Unavailable => self.searches = self.searches.saturating_add(1),
            SentSearch::NoSentMailbox => {
                self.searches = u32::MAX;
                self.sent_copy = SentCopy::Nowhere;
            }
        }
        self.reschedule(now, Duration::ZERO);
    }

    /// An attempt to file a copy has ended.
    pub fn finish_filing(&mut self, filing: Filing, now: OffsetDateTime) {
        let attempts = match self.sent_copy {
            SentCopy::Due(attempts) => attempts + 1,
            SentCopy::Filed | SentCopy::Skipped | SentCopy::Nowhere | SentCopy::Failed => return,
        };
        self.sent_copy = match filing {
            Filing::Filed => SentCopy::Filed,
            Filing::NotNeeded => SentCopy::Skipped,
            Filing::NoSentMailbox => SentCopy::Nowhere,
            Filing::Failed if attempts >= FILING_ATTEMPTS => SentCopy::Failed,
            Filing::Failed => SentCopy::Due(attempts),
        };
        self.next_at = match self.sent_copy {
            SentCopy::Due(attempts) => {
                Some(now.saturating_add(FILING_PAUSE * i32::try_from(attempts).unwrap_or(i32::MAX)))
            }
            SentCopy::Filed | SentCopy::Skipped | SentCopy::Nowhere | SentCopy::Failed => None,
        };
        self.updated_at = now;
    }

    /// The outcome was published.
    pub fn mark_published(&mut self, now: OffsetDateTime) {
        self.outcome_event = OutcomeEvent::Published;
        self.updated_at = now;
    }

    /// 30 s, 1 min, 2 min … up to an hour, each up to a fifth shorter or longer, so that messages that failed together
    /// are not retried together.
    fn backoff(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(10);
        let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
        let mut hash = Sha256::new();
        hash.update(self.id.as_str());
        hash.update(self.attempts.to_be_bytes());
        let byte = hash.finalize().first().copied().unwrap_or_default();
        pause * (0.8 + 0.4 * f64::from(byte) / 255.0)
    }

    fn set_in_flight(&mut self, status: &RecipientStatus) {
        for one in self.recipients.iter_mut().filter(|one| one.status == RecipientStatus::InFlight) {
            one.status = status.clone();
        }
    }

    fn reject_waiting(&mut self, reason: &str) {
        for one in &mut self.recipients {
            if one.status.is_waiting() || one.status == RecipientStatus::InFlight {
                one.status = RecipientStatus::Rejected(reason.to_owned());
            }
        }
    }

    /// A reply to the message as a whole counts for the recipients that have none of their own.
    fn note_reply_to_waiting(&mut self, reply: &str) {
        for one in &mut self.recipients {
            if let RecipientStatus::Waiting(last_reply) = &mut one.status {
                last_reply.get_or_insert_with(|| reply.to_owned());
            }
        }
    }

    fn mark_uncertain(&mut self, error: &OwnerError, now: OffsetDateTime) {
        let error = SendError::from(error);
        self.set_in_flight(&RecipientStatus::Uncertain(Some(error.clone())));
        self.error = Some(error);
        self.reschedule(now, Duration::ZERO);
    }

    /// Sets when the message is due again: after `pause`, if a recipient waits for it. Beyond the retry window, waiting
    /// recipients are given up.
    pub(super) fn reschedule(&mut self, now: OffsetDateTime, pause: Duration) {
        self.updated_at = now;
        self.next_at = None;
        if self.state() == DeliveryState::Queued {
            let next = now.saturating_add(pause);
            if next < self.resent_at.unwrap_or(self.created_at).saturating_add(RETRY_WINDOW) {
                self.next_at = Some(next);
                return;
            }
            self.give_up();
        }
        match self.state() {
            DeliveryState::Uncertain => {
                self.next_at = self.search_pause().map(|pause| now.saturating_add(pause));
                self.error = self.doubt().or_else(|| self.error.take());
                if self.next_at.is_none() && self.sent_at.is_none() {
                    self.skip_copy();
                }
            }
            DeliveryState::Failed | DeliveryState::Cancelled => self.skip_copy(),
            DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Sent => {}
        }
    }

    /// No copy is filed of what was not sent.
    fn skip_copy(&mut self) {
        if let SentCopy::Due(_) = self.sent_copy {
            self.sent_copy = SentCopy::Skipped;
        }
    }

    /// The error of the first recipient whom the server has put off.
    fn put_off(&self) -> Option<SendError> {
        self.recipients.iter().find_map(|one| match &one.status {
            RecipientStatus::Waiting(Some(reply)) | RecipientStatus::WaitingAlone(reply) => {
                Some(SendError::put_off(&one.address, reply))
            }
            RecipientStatus::Waiting(None)
            | RecipientStatus::InFlight
            | RecipientStatus::Accepted(_)
            | RecipientStatus::Rejected(_)
            | RecipientStatus::Uncertain(_)
            | RecipientStatus::Cancelled => None,
        })
    }

    /// Why it is uncertain for the first recipient for whom it is.
    fn doubt(&self) -> Option<SendError> {
        self.recipients.iter().find_map(|one| match &one.status {
            RecipientStatus::Uncertain(doubt) => doubt.clone(),
            RecipientStatus::Waiting(_)
            | RecipientStatus::WaitingAlone(_)
            | RecipientStatus::InFlight
            | RecipientStatus::Accepted(_)
            | RecipientStatus::Rejected(_)
            | RecipientStatus::Cancelled => None,
        })
    }

    fn give_up(&mut self) {
        self.exhausted = true;
        let last = self.error.as_ref().map_or("", |error| error.message.as_str()).to_owned();
        for one in &mut self.recipients {
            let reason = match &one.status {
                RecipientStatus::Waiting(reply) => reply.clone().unwrap_or_else(|| last.clone()),
                RecipientStatus::WaitingAlone(reply) => reply.clone(),
                RecipientStatus::InFlight
                | RecipientStatus::Accepted(_)
                | RecipientStatus::Rejected(_)
                | RecipientStatus::Uncertain(_)
                | RecipientStatus::Cancelled => continue,
            };
            one.status = RecipientStatus::Rejected(reason);
        }
        let code = self.error.as_ref().map_or(SendErrorCode::Profile(ErrorCode::SmtpTimeout), |e| e.code);
        self.error = Some(SendError::new(code, format!("Given up after 24 hours. {last}")));
    }
}

/// The pause after an attempt that ended before the final dot.
fn pause_after(error: &OwnerError, backoff: Duration) -> Duration {
    match error.code.class() {
        ErrorClass::Owner | ErrorClass::Authorization => PROFILE_RECHECK_PAUSE,
        ErrorClass::Transient | ErrorClass::Throttled => {
            let asked = error.retry_after.and_then(|pause| Duration::try_from(pause).ok());
            backoff.max(asked.unwrap_or_default().min(LONGEST_PAUSE))
        }
    }
}
