//! How far an outbound message is: from accepted to its final outcome, with nothing sent twice.
//!
//! A server has a message from the moment at which it has seen the final dot (RFC 5321 §4.1.1.4), and not before. So
//! that moment is written down ahead: whoever finds a delivery that died before it sends again; whoever finds one that
//! died after it does not know, says so, and looks for the message among the sent mail.
//!
//! ```text
//! queued ──claim──► sending ──before the dot──► in flight ──► sent
//!    ▲                 │ trouble, 4yz               │ 4yz        failed
//!    └─────────────────┴────────────────────────────┘            uncertain ──found──► sent
//! ```
//!
//! Each recipient has a fate of its own; the message's state is read off them. Everything here is a pure function of a
//! delivery, what happened, and the time.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::outbound::message::{EmailAddress, MessageId, OutboundId, SaveToSent};
use crate::owner_error::{ErrorClass, ErrorCode, OwnerError};
use crate::profile::ProfileId;

/// How long a message is tried.
pub const TRY_TIME: Duration = Duration::hours(24);

/// The pause after the first try that failed; it doubles.
const FIRST_PAUSE: Duration = Duration::seconds(30);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::hours(1);

/// The pause while the profile's owner has to act: what was mended is noticed within it. The mail server is not asked.
pub const OWNER_PAUSE: Duration = Duration::minutes(2);

/// Deaths in a row after which a message is given up: it may be what kills the function.
const MAX_CRASHES: u32 = 5;

/// When a message in doubt is looked for among the sent mail, each after the time before.
const CHECKS: [Duration; 4] =
    [Duration::seconds(20), Duration::minutes(2), Duration::minutes(10), Duration::hours(1)];

/// How often a copy for the sent mail is tried.
const COPY_TRIES: u32 = 4;

/// The pause before the next try of a copy, times the tries so far.
const COPY_PAUSE: Duration = Duration::seconds(60);

/// A message's state, as whoever sends it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its first or next try.
    Queued,
    /// It is being sent.
    Sending,
    /// A server has taken it, for at least one recipient.
    Sent,
    /// No server has taken it, and it is not tried again.
    Failed,
    /// The connection broke after the message was complete: a server may have taken it. It is never sent again.
    Uncertain,
}

/// Why a message was not sent, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorCode {
    /// The profile's servers or credentials.
    Profile(ErrorCode),
    /// It could begin a loop, or be part of one.
    LoopGuard,
    /// It cannot be made into a mail that the server takes.
    MessageInvalid,
}

impl SendErrorCode {
    /// Those that are of messages only.
    pub const OWN: [Self; 2] = [Self::LoopGuard, Self::MessageInvalid];

    /// Reads what [`Self::name`] has written.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let troubles = ErrorCode::ALL.into_iter().map(Self::Profile);
        Self::OWN.into_iter().chain(troubles).find(|code| code.name() == name)
    }

    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::LoopGuard => "loop_guard".to_owned(),
            Self::MessageInvalid => "message_invalid".to_owned(),
            Self::Profile(code) => match serde_json::to_value(code) {
                Ok(serde_json::Value::String(name)) => name,
                Ok(_) | Err(_) => "internal".to_owned(),
            },
        }
    }
}

/// An error of a message, in words for whoever sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    /// What kind.
    pub code: SendErrorCode,
    /// One sentence.
    pub message: String,
}

impl SendError {
    /// An error that concerns the message itself. `message` is cut and cleaned like a [`OwnerError`]'s.
    #[must_use]
    pub fn new(code: SendErrorCode, message: impl AsRef<str>) -> Self {
        Self { code, message: OwnerError::new(ErrorCode::Internal, message).message }
    }
}

impl From<&OwnerError> for SendError {
    fn from(trouble: &OwnerError) -> Self {
        Self { code: SendErrorCode::Profile(trouble.code), message: trouble.message.clone() }
    }
}

/// What a server has said to a recipient or to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may be different later.
    pub class: ReplyClass,
    /// Its words, such as `550 5.1.1 No such user`.
    pub words: String,
}

/// Whether a refusal is final (RFC 5321 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyClass {
    /// 4yz.
    Transient,
    /// 5yz.
    Permanent,
}

/// What has become of the message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientStatus {
    /// To be tried; with what the server said the last time, if it said something.
    Waiting(Option<String>),
    /// Part of a transaction whose final dot is about to be sent, or has been.
    InFlight,
    /// The server has taken it.
    Accepted,
    /// Refused, for this reason.
    Rejected(String),
    /// The server may have taken it.
    Uncertain,
}

/// A recipient and its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address as it goes over the wire.
    pub address: String,
    /// What has become of it.
    pub status: RecipientStatus,
}

/// The right to send a message, until it runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who has it; no two holders are called alike.
    pub holder: String,
    /// Until when.
    pub until: OffsetDateTime,
}

/// Whether someone is at it, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nobody.
    Idle,
    /// Someone, before the final dot.
    Claimed(Lease),
    /// Someone, and the final dot may be out.
    DataSent(Lease),
}

/// What has become of the copy for the sent mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// To be filed, after so many tries.
    Due(u32),
    /// Filed by us.
    Filed,
    /// Not filed: it was there, nobody wants it, or there is no place for it.
    Skipped,
    /// Not filed, though it should have been.
    Failed,
}

/// Whether the outcome has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeEvent {
    /// Not yet.
    Due,
    /// It has.
    Published,
}

/// An outbound message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The profile that sends it.
    pub profile: ProfileId,
    /// Its id.
    pub id: OutboundId,
    /// Its Message-ID.
    pub message_id: MessageId,
    /// The object that holds it; `None` where the queue's message does.
    pub content: Option<String>,
    /// The digest of the queue's message, where that holds it: another with the same id is another message.
    pub digest: Option<String>,
    /// Who receives it.
    pub recipients: Vec<Recipient>,
    /// Whether someone is at it.
    pub phase: Phase,
    /// Tries that came to an end.
    pub attempts: u32,
    /// Tries in a row that did not.
    pub crashes: u32,
    /// How often it was looked for among the sent mail.
    pub checks: u32,
    /// Why it is not sent, or not yet.
    pub error: Option<SendError>,
    /// What the server said last.
    pub smtp_reply: Option<String>,
    /// Whether it ran out of tries.
    pub exhausted: bool,
    /// When it was accepted.
    pub created_at: OffsetDateTime,
    /// When this last changed.
    pub updated_at: OffsetDateTime,
    /// Nothing is done before this.
    pub next_at: Option<OffsetDateTime>,
    /// When a server first took it.
    pub sent_at: Option<OffsetDateTime>,
    /// The copy for the sent mail.
    pub copy: Copy,
    /// Whether its outcome has been told.
    pub outcome_event: OutcomeEvent,
    /// Counts the changes: a write that was made from an older one fails.
    pub revision: u64,
}

/// What to do about a delivery now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this time has passed.
    Wait(Duration),
    /// Somebody died over it: [`Delivery::recover`], and look again.
    Recover,
    /// Send it to those who wait.
    Send,
    /// Look for it among the sent mail.
    Check,
    /// Its outcome stands: tell it, and file the copy.
    Conclude,
    /// All is done.
    Nothing,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The server has taken the message for those in flight.
    Accepted(String),
    /// It refuses the message, whoever it is for.
    Refused(Answer),
    /// The connection was lost after the final dot.
    Lost(OwnerError),
    /// There was trouble before the final dot.
    Interrupted(OwnerError),
    /// Every recipient was refused.
    AllRecipientsRejected,
}

impl Delivery {
    /// A message that was just accepted.
    #[must_use]
    pub fn new(
        profile: ProfileId,
        id: OutboundId,
        message_id: MessageId,
        recipients: &[EmailAddress],
        save_to_sent: SaveToSent,
        now: OffsetDateTime,
    ) -> Self {
        let recipient = |address: &EmailAddress| Recipient {
            address: address.wire().to_owned(),
            status: RecipientStatus::Waiting(None),
        };
        Self {
            profile,
            id,
            message_id,
            content: None,
            digest: None,
            recipients: recipients.iter().map(recipient).collect(),
            phase: Phase::Idle,
            attempts: 0,
            crashes: 0,
            checks: 0,
            error: None,
            smtp_reply: None,
            exhausted: false,
            created_at: now,
            updated_at: now,
            next_at: None,
            sent_at: None,
            copy: match save_to_sent {
                SaveToSent::Auto | SaveToSent::Always => Copy::Due(0),
                SaveToSent::Never => Copy::Skipped,
            },
            outcome_event: OutcomeEvent::Due,
            revision: 0,
        }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        let any =
            |wanted: fn(&RecipientStatus) -> bool| self.recipients.iter().any(|one| wanted(&one.status));
        if self.phase != Phase::Idle {
            State::Sending
        } else if any(|fate| matches!(fate, RecipientStatus::Waiting(_) | RecipientStatus::InFlight)) {
            State::Queued
        } else if any(|fate| *fate == RecipientStatus::Uncertain) {
            State::Uncertain
        } else if any(|fate| *fate == RecipientStatus::Accepted) {
            State::Sent
        } else {
            State::Failed
        }
    }

    /// Those who wait for it.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let waiting = self.recipients.iter().filter(|one| matches!(one.status, RecipientStatus::Waiting(_)));
        waiting.map(|one| one.address.clone()).collect()
    }

    /// Those to whom it did not go, each with the reason.
    pub fn rejected(&self) -> impl Iterator<Item = (&str, &str)> {
        self.recipients.iter().filter_map(|one| match &one.status {
            RecipientStatus::Rejected(why) => Some((one.address.as_str(), why.as_str())),
            RecipientStatus::Waiting(_)
            | RecipientStatus::InFlight
            | RecipientStatus::Accepted
            | RecipientStatus::Uncertain => None,
        })
    }

    /// What to do about it now.
    #[must_use]
    pub fn next(&self, now: OffsetDateTime) -> Next {
        if let Phase::Claimed(lease) | Phase::DataSent(lease) = &self.phase {
            let left = lease.until - now;
            return if left.is_positive() { Next::Wait(left) } else { Next::Recover };
        }
        let left = self.next_at.map_or(Duration::ZERO, |next| next - now);
        let due = |next| if left.is_positive() { Next::Wait(left) } else { next };
        match self.state() {
            State::Queued => due(Next::Send),
            State::Uncertain if self.check_pause().is_some() => due(Next::Check),
            State::Sending | State::Sent | State::Failed | State::Uncertain => {
                match (self.outcome_event, self.copy) {
                    (OutcomeEvent::Due, _) => Next::Conclude,
                    (OutcomeEvent::Published, Copy::Due(_)) if self.state() == State::Sent => {
                        due(Next::Conclude)
                    }
                    (OutcomeEvent::Published, _) => Next::Nothing,
                }
            }
        }
    }

    /// The pause before the next look among the sent mail; `None` when it was looked for often enough.
    fn check_pause(&self) -> Option<Duration> {
        CHECKS.get(usize::try_from(self.checks).ok()?).copied()
    }

    /// Someone begins to send it.
    pub fn claim(&mut self, lease: Lease, now: OffsetDateTime) {
        self.phase = Phase::Claimed(lease);
        self.updated_at = now;
    }

    /// Whoever was at it gives it back, without a try.
    pub fn release(&mut self, now: OffsetDateTime) {
        self.phase = Phase::Idle;
        self.updated_at = now;
    }

    /// The server waits for the final dot, which is about to be sent for these recipients.
    pub fn commit(&mut self, recipients: &[String], lease: Lease, now: OffsetDateTime) {
        for one in &mut self.recipients {
            if matches!(one.status, RecipientStatus::Waiting(_)) && recipients.contains(&one.address) {
                one.status = RecipientStatus::InFlight;
            }
        }
        self.phase = Phase::DataSent(lease);
        self.updated_at = now;
    }

    /// Whoever was at it has died.
    pub fn recover(&mut self, now: OffsetDateTime) {
        let committed = matches!(self.phase, Phase::DataSent(_));
        self.phase = Phase::Idle;
        self.updated_at = now;
        if committed {
            let trouble = OwnerError::new(
                ErrorCode::Internal,
                "Mailroom was interrupted at the moment of sending, so the mail may have been sent or not; it is not sent again by itself.",
            );
            self.doubt(&trouble, now);
        } else {
            self.crashes += 1;
            if self.crashes >= MAX_CRASHES {
                let error = SendError::new(
                    SendErrorCode::Profile(ErrorCode::Internal),
                    "Mailroom failed over this message again and again; it was not sent.",
                );
                self.exhausted = true;
                self.fail(error, now);
            }
        }
    }

    /// It will not be sent to those who wait for it.
    pub fn fail(&mut self, error: SendError, now: OffsetDateTime) {
        self.reject_waiting(&error.message);
        self.error = Some(error);
        self.phase = Phase::Idle;
        self.settle(now, Duration::ZERO);
    }

    /// It will not be sent to this one.
    pub fn refuse(&mut self, address: &str, error: SendError) {
        for one in self.recipients.iter_mut().filter(|one| one.address == address) {
            one.status = RecipientStatus::Rejected(error.message.clone());
        }
        self.error = Some(error);
    }

    /// It was not tried: the profile rests until then.
    pub fn postpone(&mut self, error: SendError, until: OffsetDateTime, now: OffsetDateTime) {
        self.error = Some(error);
        self.settle(now, (until - now).max(Duration::SECOND));
    }

    /// A try has come to its end. `refused` says what the server said to single recipients.
    pub fn conclude(&mut self, refused: &[(String, Answer)], attempt: Attempt, now: OffsetDateTime) {
        self.attempts += 1;
        self.crashes = 0;
        self.phase = Phase::Idle;
        for (address, answer) in refused {
            self.smtp_reply = Some(answer.words.clone());
            for one in self.recipients.iter_mut().filter(|one| one.address == *address) {
                one.status = match answer.class {
                    ReplyClass::Permanent => RecipientStatus::Rejected(answer.words.clone()),
                    ReplyClass::Transient => RecipientStatus::Waiting(Some(answer.words.clone())),
                };
            }
        }
        let mut pause = self.backoff();
        match attempt {
            Attempt::Accepted(reply) => {
                self.each_in_flight(|fate| *fate = RecipientStatus::Accepted);
                self.sent_at.get_or_insert(now);
                self.smtp_reply = Some(reply);
                self.error = None;
            }
            Attempt::Refused(Answer { class, words }) => {
                self.each_in_flight(|fate| *fate = RecipientStatus::Waiting(None));
                match class {
                    ReplyClass::Permanent => self.reject_waiting(&words),
                    ReplyClass::Transient => self.await_with(&words),
                }
                self.error = Some(rejected_error(&words));
                self.smtp_reply = Some(words);
            }
            Attempt::Lost(trouble) => self.doubt(&trouble, now),
            Attempt::Interrupted(trouble) => {
                self.each_in_flight(|fate| *fate = RecipientStatus::Waiting(None));
                self.error = Some(SendError::from(&trouble));
                pause = match trouble.code.class() {
                    ErrorClass::Owner | ErrorClass::Authorization => OWNER_PAUSE,
                    ErrorClass::Transient | ErrorClass::Throttled => {
                        let asked = trouble.retry_after.and_then(|pause| Duration::try_from(pause).ok());
                        pause.max(asked.unwrap_or_default().min(LONGEST_PAUSE))
                    }
                };
            }
            Attempt::AllRecipientsRejected => {
                let words = self.smtp_reply.clone().unwrap_or_default();
                self.error = Some(rejected_error(&words));
            }
        }
        self.settle(now, pause);
    }

    /// It was found among the sent mail. That says nothing of a later try for others, whose copy would look the same.
    pub fn found(&mut self, now: OffsetDateTime) {
        if self.sent_at.is_some() {
            self.not_found(Place::Nowhere, now);
            return;
        }
        for one in self.recipients.iter_mut().filter(|one| one.status == RecipientStatus::Uncertain) {
            one.status = RecipientStatus::Accepted;
        }
        self.checks += 1;
        self.error = None;
        self.sent_at = Some(now);
        self.copy = Copy::Skipped;
        self.settle(now, Duration::ZERO);
    }

    /// It was not found, or there is no place to look.
    pub fn not_found(&mut self, place: Place, now: OffsetDateTime) {
        self.checks = match place {
            Place::Folder => self.checks + 1,
            Place::Nowhere => u32::MAX,
        };
        self.settle(now, Duration::ZERO);
    }

    /// The copy was tried.
    pub fn copied(&mut self, copied: Copied, now: OffsetDateTime) {
        let tries = match self.copy {
            Copy::Due(tries) => tries + 1,
            Copy::Filed | Copy::Skipped | Copy::Failed => return,
        };
        self.copy = match copied {
            Copied::Filed => Copy::Filed,
            Copied::NotNeeded => Copy::Skipped,
            Copied::Failed if tries >= COPY_TRIES => Copy::Failed,
            Copied::Failed => Copy::Due(tries),
        };
        self.next_at = match self.copy {
            Copy::Due(tries) => {
                Some(now.saturating_add(COPY_PAUSE * i32::try_from(tries).unwrap_or(i32::MAX)))
            }
            Copy::Filed | Copy::Skipped | Copy::Failed => None,
        };
        self.updated_at = now;
    }

    /// Its outcome was told.
    pub fn mark_published(&mut self, now: OffsetDateTime) {
        self.outcome_event = OutcomeEvent::Published;
        self.updated_at = now;
    }

    /// 30 s, 1 min, 2 min … up to an hour, a fifth more or less so that what failed together is not tried together.
    fn backoff(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(10);
        let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
        let mut hash = Sha256::new();
        hash.update(self.id.as_str());
        hash.update(self.attempts.to_be_bytes());
        let byte = hash.finalize().first().copied().unwrap_or_default();
        pause * (0.8 + 0.4 * f64::from(byte) / 255.0)
    }

    fn each_in_flight(&mut self, change: impl Fn(&mut RecipientStatus)) {
        for one in self.recipients.iter_mut().filter(|one| one.status == RecipientStatus::InFlight) {
            change(&mut one.status);
        }
    }

    fn reject_waiting(&mut self, why: &str) {
        for one in &mut self.recipients {
            if let RecipientStatus::Waiting(_) | RecipientStatus::InFlight = one.status {
                one.status = RecipientStatus::Rejected(why.to_owned());
            }
        }
    }

    fn await_with(&mut self, words: &str) {
        for one in &mut self.recipients {
            if let RecipientStatus::Waiting(said) = &mut one.status {
                said.get_or_insert_with(|| words.to_owned());
            }
        }
    }

    fn doubt(&mut self, trouble: &OwnerError, now: OffsetDateTime) {
        self.each_in_flight(|fate| *fate = RecipientStatus::Uncertain);
        self.error = Some(SendError::from(trouble));
        self.settle(now, Duration::ZERO);
    }

    /// When it is due again, after `pause` if someone waits; gives those up for whom there is no time left.
    fn settle(&mut self, now: OffsetDateTime, pause: Duration) {
        self.updated_at = now;
        self.next_at = None;
        if self.state() == State::Queued {
            let next = now.saturating_add(pause);
            if next < self.created_at.saturating_add(TRY_TIME) {
                self.next_at = Some(next);
                return;
            }
            self.exhausted = true;
            let last = self.error.as_ref().map_or("", |error| error.message.as_str()).to_owned();
            for one in &mut self.recipients {
                if let RecipientStatus::Waiting(said) = &one.status {
                    one.status = RecipientStatus::Rejected(said.clone().unwrap_or_else(|| last.clone()));
                }
            }
            let code = self.error.as_ref().map_or(SendErrorCode::Profile(ErrorCode::SmtpTimeout), |e| e.code);
            self.error = Some(SendError::new(code, format!("Given up after 24 hours. {last}")));
        }
        match self.state() {
            State::Uncertain => {
                self.next_at = self.check_pause().map(|pause| now.saturating_add(pause));
            }
            State::Failed => self.copy = Copy::Skipped,
            State::Queued | State::Sending | State::Sent => {}
        }
    }
}

/// Where a message in doubt was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the folder for sent mail.
    Folder,
    /// There is none, or none that we can read.
    Nowhere,
}

/// How the copy went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It is there now.
    Filed,
    /// It was there already, or there is no place for it.
    NotNeeded,
    /// It is not.
    Failed,
}

fn rejected_error(words: &str) -> SendError {
    let message = format!("The mail server refused the message: \"{words}\".");
    SendError::new(SendErrorCode::Profile(ErrorCode::SmtpRejected), message)
}

#[cfg(test)]
mod tests;
