//! What reports say of messages that were sent.

use mailroom_core::outbound::delivery::{Delivery, Next, Phase, ReportedFailure};
use mailroom_core::ports::PortError;
use tracing::info;

use super::{Sender, Work};
use crate::event::QueuedSend;
use crate::services::{Ack, Ports};

impl<P: Ports> Sender<'_, P> {
    /// Notes that a message did not reach recipients, and publishes its outcome once more if that is news. Nothing is sent
    /// here: where the message is still on its way, its own queue message goes on with it, and its outcome has the bounce.
    pub(super) async fn note_bounces(
        &mut self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        failures: &[ReportedFailure],
    ) -> Result<Ack, PortError> {
        match delivery.next(self.now()) {
            // What a run that is sending it has to store must not be lost.
            Next::Wait(pause) if delivery.phase != Phase::Idle => {
                return Ok(Ack::Again(pause.try_into().unwrap_or_default()));
            }
            Next::Recover => {
                delivery.recover(self.now());
                self.save(delivery).await?;
            }
            Next::Wait(_)
            | Next::Send
            | Next::SearchSent
            | Next::PublishOutcome
            | Next::FileCopy
            | Next::Done => {}
        }
        if delivery.note_bounces(failures, self.now()) {
            info!(profile.id = %self.profile.id, message.id = %delivery.id, "a report says that the message bounced");
            self.save(delivery).await?;
        }
        if delivery.next(self.now()) == Next::PublishOutcome {
            self.publish_outcome(queued, delivery, &mut Work::default()).await?;
        }
        Ok(Ack::Done)
    }
}
