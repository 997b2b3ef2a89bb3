//! What a person may ask of a message that was accepted: to cancel it, or to resend it.

use time::{Duration, OffsetDateTime};

use super::state::{Delivery, DeliveryState, OutcomeEvent, RecipientStatus, SentCopy};

/// Why a message is not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelRefusal {
    /// The message is being sent at this moment.
    Sending,
    /// The message is done: it has the outcome that its state says.
    Done(DeliveryState),
}

/// Why a message is not resent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResendRefusal {
    /// The message is queued or being sent.
    InProgress,
    /// Servers have accepted the message for every recipient.
    TakenForAll,
    /// The message came by the send queue: its content is not stored.
    NotStored,
}

impl Delivery {
    /// The message does not go to the recipients that wait for it. A message that is cancelled already stays so.
    ///
    /// # Errors
    /// Unless the message is queued.
    pub fn cancel(&mut self, now: OffsetDateTime) -> Result<(), CancelRefusal> {
        match self.state() {
            DeliveryState::Queued => {}
            DeliveryState::Cancelled => return Ok(()),
            DeliveryState::Sending => return Err(CancelRefusal::Sending),
            state @ (DeliveryState::Sent | DeliveryState::Failed | DeliveryState::Uncertain) => {
                return Err(CancelRefusal::Done(state));
            }
        }
        for one in &mut self.recipients {
            if one.status.is_waiting() {
                one.status = RecipientStatus::Cancelled;
            }
        }
        self.error = None;
        self.reschedule(now, Duration::ZERO);
        Ok(())
    }

    /// The message waits again for the recipients for whom no server is known to have taken it, and is tried for another
    /// day. Those for whom it is uncertain may get it twice: that is for the person to decide.
    ///
    /// # Errors
    /// See [`ResendRefusal`].
    pub fn resend(&mut self, now: OffsetDateTime) -> Result<(), ResendRefusal> {
        if matches!(self.state(), DeliveryState::Queued | DeliveryState::Sending) {
            return Err(ResendRefusal::InProgress);
        }
        if self.content.is_none() {
            return Err(ResendRefusal::NotStored);
        }
        let mut waits = false;
        for one in &mut self.recipients {
            if !matches!(one.status, RecipientStatus::Accepted(_)) {
                one.status = RecipientStatus::Waiting(None);
                waits = true;
            }
        }
        if !waits {
            return Err(ResendRefusal::TakenForAll);
        }
        (self.attempts, self.crashes, self.searches) = (0, 0, 0);
        self.exhausted = false;
        self.error = None;
        self.resent_at = Some(now);
        self.outcome_event = OutcomeEvent::Due;
        if self.sent_at.is_none() && self.sent_copy == SentCopy::Skipped {
            // Whether a copy is wanted is known when it is due.
            self.sent_copy = SentCopy::Due(0);
        }
        self.reschedule(now, Duration::ZERO);
        self.next_at = None;
        Ok(())
    }
}
