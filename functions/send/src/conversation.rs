//! Which conversation a message goes out in, noted so that the answers to it are found.

use std::collections::HashSet;

use mailroom_core::conversation::{KnownMessage, MessageKey, Thread};
use mailroom_core::inbound::job::ConversationId;
use mailroom_core::outbound::delivery::{Delivery, RecipientStatus};
use mailroom_core::outbound::message::Message;
use mailroom_core::ports::{Conversations, PortError};
use time::OffsetDateTime;

/// What this invocation has noted of a message.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    conversation: Option<ConversationId>,
    reported: HashSet<MessageKey>,
}

impl Noted {
    /// Notes a message under the Message-ID that Mailroom gives it. Ahead of the final dot: an answer may come at once.
    pub(crate) async fn own<C: Conversations>(
        &mut self,
        table: &C,
        delivery: &Delivery,
        message: &Message,
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        if self.conversation.is_some() {
            return Ok(());
        }
        let thread = Thread::of_outbound(delivery.profile, &delivery.message_id, message);
        let keys: Vec<MessageKey> = thread.keys().cloned().collect();
        let mut known = table.known_messages(delivery.profile, &keys).await?;
        if !known.contains_key(thread.own()) {
            let conversation = thread.conversation(&known);
            let message = KnownMessage { conversation, outbound: Some(delivery.id.clone()) };
            let own = (thread.own().clone(), message);
            known.extend(table.note_messages(delivery.profile, &[own], now).await?);
        }
        self.conversation = Some(thread.conversation(&known));
        Ok(())
    }

    /// Notes a message under the Message-IDs that servers say they gave it in place of ours.
    pub(crate) async fn reported<C: Conversations>(
        &mut self,
        table: &C,
        delivery: &Delivery,
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let own = MessageKey::of(delivery.message_id.as_str());
        let new: HashSet<MessageKey> = delivery
            .recipients
            .iter()
            .filter_map(|one| match &one.status {
                RecipientStatus::Accepted(reply) => MessageKey::reported(reply.as_deref()?),
                RecipientStatus::Waiting(_)
                | RecipientStatus::WaitingAlone(_)
                | RecipientStatus::InFlight
                | RecipientStatus::Rejected(_)
                | RecipientStatus::Uncertain(_)
                | RecipientStatus::Cancelled => None,
            })
            .filter(|key| *key != own && !self.reported.contains(key))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let conversation = match self.conversation.clone() {
            Some(conversation) => Some(conversation),
            None => {
                let known = table.known_messages(delivery.profile, std::slice::from_ref(&own)).await?;
                known.get(&own).map(|message| message.conversation.clone())
            }
        };
        // It was sent before messages were noted.
        let Some(conversation) = conversation else { return Ok(()) };
        let message = KnownMessage { conversation, outbound: Some(delivery.id.clone()) };
        let notes: Vec<_> = new.iter().map(|key| (key.clone(), message.clone())).collect();
        table.note_messages(delivery.profile, &notes, now).await?;
        self.reported.extend(new);
        Ok(())
    }
}
