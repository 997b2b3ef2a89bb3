//! What is known of an outbound message, and what is next for it.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::error::{SendError, SendErrorCode};
use crate::outbound::message::{EmailAddress, MessageId, OutboundId, SaveToSent};
use crate::owner_error::{ErrorClass, ErrorCode};
use crate::profile::ProfileId;

/// When an uncertain message is searched for in the sent mailbox, each counted from the time before.
pub(super) const SEARCH_PAUSES: [Duration; 4] =
    [Duration::seconds(20), Duration::minutes(2), Duration::minutes(10), Duration::hours(1)];

/// A message's state, as its sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The message waits for its first or next attempt.
    Queued,
    /// The message is being sent.
    Sending,
    /// A server has taken the message, for at least one recipient.
    Sent,
    /// No server has taken the message, and it is not retried.
    Failed,
    /// The connection broke after the message was complete: the server may have it. It is sent again only on request.
    Uncertain,
    /// The message was cancelled before a server took it for anybody.
    Cancelled,
}

/// How far the message is for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientStatus {
    /// The message waits to be sent to this recipient; with the server's last reply about it, if there was one.
    Waiting(Option<String>),
    /// The server closed the session over this recipient, with this reply: the recipient waits until the others have
    /// the message, and then gets it in a transaction of its own.
    WaitingAlone(String),
    /// The recipient is part of a transaction whose final dot may be out.
    InFlight,
    /// The server has taken the message for this recipient, with this reply; none is known of older messages.
    Accepted(Option<String>),
    /// The message does not go to this recipient, for this reason.
    Rejected(String),
    /// The server may have taken the message for this recipient, with the reason for the doubt; none is known of older
    /// messages.
    Uncertain(Option<SendError>),
    /// The message was cancelled before it went to this recipient.
    Cancelled,
}

impl RecipientStatus {
    /// Whether an attempt is still to include the recipient.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::WaitingAlone(_))
    }
}

/// That the message did not reach a recipient, though a server had taken it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// The enhanced status code (RFC 3463), where the report gives one.
    pub status: Option<String>,
    /// What the remote server said, where the report quotes it.
    pub diagnostic: Option<String>,
    /// The server that said it, where the report names it.
    pub remote_mta: Option<String>,
    /// When the report was read.
    pub reported_at: OffsetDateTime,
}

/// A recipient and how far the message is for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The address as it goes over the wire.
    pub address: String,
    /// How far the message is for this address.
    pub status: RecipientStatus,
    /// What a report said after a server had taken the message: that it did not get there.
    pub bounce: Option<Bounce>,
}

/// The exclusive right to send a message, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendLease {
    /// The run that holds the lease; unique among runs.
    pub holder: String,
    /// When the lease expires: the holder has crashed by then.
    pub until: OffsetDateTime,
}

/// Whether a run is sending the message, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No run is sending the message.
    Idle,
    /// A run is sending the message, and the final dot is not out.
    Claimed(SendLease),
    /// A run is sending the message, and the final dot may be out.
    DataSent(SendLease),
}

/// The copy for the sent mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentCopy {
    /// A copy is to be filed; this many attempts have failed.
    Due(u32),
    /// Mailroom filed the copy.
    Filed,
    /// Mailroom files no copy: it is not wanted, the provider files its own, or the message was not sent.
    Skipped,
    /// There is no sent mailbox to file a copy in.
    Nowhere,
    /// The copy could not be filed, and is not retried.
    Failed,
}

/// Whether the message's outcome was published to the outcome queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeEvent {
    /// The outcome is to be published once it is final.
    Due,
    /// The outcome was published.
    Published,
}

/// An outbound message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The profile that sends the message.
    pub profile: ProfileId,
    /// The message's id.
    pub id: OutboundId,
    /// The message's Message-ID, the same at every attempt.
    pub message_id: MessageId,
    /// The key of the object that holds the message; `None` where the queue message carries it.
    pub content: Option<String>,
    /// The digest of a message that the queue message carries: one with the same id and another digest is another
    /// message.
    pub digest: Option<String>,
    /// The recipients, each with its status.
    pub recipients: Vec<Recipient>,
    /// Whether a run is sending the message.
    pub phase: Phase,
    /// Attempts that came to an end.
    pub attempts: u32,
    /// Attempts in a row in which the function crashed.
    pub crashes: u32,
    /// Searches in the sent mailbox.
    pub searches: u32,
    /// Why the message is not sent, or not yet.
    pub error: Option<SendError>,
    /// The server's last reply.
    pub smtp_reply: Option<String>,
    /// Whether the message ran out of attempts: it then goes to the dead-letter queue too.
    pub exhausted: bool,
    /// When the message was accepted for sending.
    pub created_at: OffsetDateTime,
    /// When the message was last resent, if it was.
    pub resent_at: Option<OffsetDateTime>,
    /// When this record last changed.
    pub updated_at: OffsetDateTime,
    /// Nothing is done before this time.
    pub next_at: Option<OffsetDateTime>,
    /// When a server first took the message.
    pub sent_at: Option<OffsetDateTime>,
    /// The copy for the sent mailbox.
    pub sent_copy: SentCopy,
    /// Whether the outcome was published.
    pub outcome_event: OutcomeEvent,
    /// Counts the changes: a write that was decided on an older revision fails.
    pub revision: u64,
}

/// What to do about a delivery now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait for this long.
    Wait(Duration),
    /// A run crashed over the message: call [`Delivery::recover`], and ask again.
    Recover,
    /// Send the message to the recipients that wait for it.
    Send,
    /// Search for the message in the sent mailbox.
    SearchSent,
    /// The outcome is final: publish it.
    PublishOutcome,
    /// File a copy in the sent mailbox.
    FileCopy,
    /// Nothing is left to do.
    Done,
}

impl Delivery {
    /// A message that was just accepted for sending.
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
            bounce: None,
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
            searches: 0,
            error: None,
            smtp_reply: None,
            exhausted: false,
            created_at: now,
            resent_at: None,
            updated_at: now,
            next_at: None,
            sent_at: None,
            sent_copy: match save_to_sent {
                SaveToSent::Auto | SaveToSent::Always => SentCopy::Due(0),
                SaveToSent::Never => SentCopy::Skipped,
            },
            outcome_event: OutcomeEvent::Due,
            revision: 0,
        }
    }

    /// The message's state, read off its recipients.
    #[must_use]
    pub fn state(&self) -> DeliveryState {
        let any =
            |wanted: fn(&RecipientStatus) -> bool| self.recipients.iter().any(|one| wanted(&one.status));
        if self.phase != Phase::Idle {
            DeliveryState::Sending
        } else if any(|status| status.is_waiting() || *status == RecipientStatus::InFlight) {
            DeliveryState::Queued
        } else if any(|status| matches!(status, RecipientStatus::Uncertain(_))) {
            DeliveryState::Uncertain
        } else if any(|status| matches!(status, RecipientStatus::Accepted(_))) {
            DeliveryState::Sent
        } else if any(|status| *status == RecipientStatus::Cancelled) {
            DeliveryState::Cancelled
        } else {
            DeliveryState::Failed
        }
    }

    /// The addresses of the recipients that the next attempt includes: all that wait but those over whom a server closed
    /// the session (421, RFC 5321 §3.8), because they would keep the others waiting again. Those come last, one at an
    /// attempt, each in its turn.
    #[must_use]
    pub fn next_recipients(&self) -> Vec<String> {
        let with = |wanted: fn(&RecipientStatus) -> bool| -> Vec<String> {
            let these = self.recipients.iter().filter(|one| wanted(&one.status));
            these.map(|one| one.address.clone()).collect()
        };
        let together = with(|status| matches!(status, RecipientStatus::Waiting(_)));
        if !together.is_empty() {
            return together;
        }
        let alone = with(|status| matches!(status, RecipientStatus::WaitingAlone(_)));
        let turn = usize::try_from(self.attempts).unwrap_or_default().checked_rem(alone.len());
        turn.and_then(|turn| alone.get(turn).cloned()).into_iter().collect()
    }

    /// The addresses that the message does not go to, each with the reason.
    pub fn rejected(&self) -> impl Iterator<Item = (&str, &str)> {
        self.recipients.iter().filter_map(|one| match &one.status {
            RecipientStatus::Rejected(reason) => Some((one.address.as_str(), reason.as_str())),
            RecipientStatus::Waiting(_)
            | RecipientStatus::WaitingAlone(_)
            | RecipientStatus::InFlight
            | RecipientStatus::Accepted(_)
            | RecipientStatus::Uncertain(_)
            | RecipientStatus::Cancelled => None,
        })
    }

    /// What to do about the message now.
    #[must_use]
    pub fn next(&self, now: OffsetDateTime) -> Next {
        if let Phase::Claimed(lease) | Phase::DataSent(lease) = &self.phase {
            let left = lease.until - now;
            return if left.is_positive() { Next::Wait(left) } else { Next::Recover };
        }
        let left = self.next_at.map_or(Duration::ZERO, |next| next - now);
        let due = |next| if left.is_positive() { Next::Wait(left) } else { next };
        match self.state() {
            DeliveryState::Queued => due(Next::Send),
            DeliveryState::Uncertain if self.search_pause().is_some() => due(Next::SearchSent),
            DeliveryState::Sending
            | DeliveryState::Sent
            | DeliveryState::Failed
            | DeliveryState::Uncertain
            | DeliveryState::Cancelled => match (self.outcome_event, self.sent_copy) {
                (OutcomeEvent::Due, _) => Next::PublishOutcome,
                (OutcomeEvent::Published, SentCopy::Due(_)) if self.sent_at.is_some() => due(Next::FileCopy),
                (OutcomeEvent::Published, _) => Next::Done,
            },
        }
    }

    /// What happens next to a message with an error, in words for the person who sends it; `None` when nothing does.
    #[must_use]
    pub fn outlook(&self) -> Option<&'static str> {
        let error = self.error.as_ref()?;
        match self.state() {
            DeliveryState::Queued | DeliveryState::Sending => {
                let owner =
                    |code: ErrorCode| matches!(code.class(), ErrorClass::Owner | ErrorClass::Authorization);
                match error.code {
                    SendErrorCode::Profile(code) if owner(code) => {
                        Some("Mailroom sends the message once the profile works, within 24 hours.")
                    }
                    SendErrorCode::Profile(_) | SendErrorCode::LoopGuard | SendErrorCode::MessageInvalid => {
                        Some("Attempts go on for 24 hours.")
                    }
                }
            }
            DeliveryState::Uncertain if self.search_pause().is_some() => {
                Some("Mailroom looks for it in the sent mailbox.")
            }
            DeliveryState::Uncertain => Some("Ask a recipient, and resend it if it did not arrive."),
            DeliveryState::Sent | DeliveryState::Failed | DeliveryState::Cancelled => None,
        }
    }

    /// Whether nothing has happened to the message since it was accepted or resent.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.state() == DeliveryState::Queued
            && (self.attempts, self.crashes) == (0, 0)
            && self.error.is_none()
            && self.next_at.is_none()
    }

    /// The profile has no mailbox that a copy could be filed in.
    pub fn skip_sent_mailbox(&mut self) {
        if let SentCopy::Due(_) = self.sent_copy {
            self.sent_copy = SentCopy::Nowhere;
        }
    }

    /// The pause before the next search in the sent mailbox; `None` when there were enough.
    pub(super) fn search_pause(&self) -> Option<Duration> {
        SEARCH_PAUSES.get(usize::try_from(self.searches).ok()?).copied()
    }
}
