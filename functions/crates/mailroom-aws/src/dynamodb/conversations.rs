//! What is known of profiles' messages, in and out: an item for each, under its Message-ID.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use mailroom_core::conversation::{KNOWN_TIME, KnownMessage, KnownMessages, MessageKey};
use mailroom_core::inbound::job::ConversationId;
use mailroom_core::outbound::message::OutboundId;
use mailroom_core::ports::{Conversations, PortError};
use mailroom_core::profile::ProfileId;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::delivery_item::expiry;
use super::profile_item::profile_key;
use super::table::{Item, READ_BATCH, Table, number, text};
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// Messages that are noted at the same time.
const CONCURRENT_NOTES: usize = 8;

/// The sort key of a message. Its id is hashed: it may be longer than a key.
fn sort_key(message: &MessageKey) -> String {
    format!("CONV#{}", hex::encode(Sha256::digest(message.as_str())))
}

fn item_key(profile: ProfileId, sort_key: &str) -> Item {
    HashMap::from([("PK".to_owned(), text(profile_key(profile))), ("SK".to_owned(), text(sort_key))])
}

/// What an item says; `None` if nobody here wrote it.
fn read(item: &Item) -> Option<KnownMessage> {
    let member = |name: &str| item.get(name)?.as_s().ok();
    Some(KnownMessage {
        conversation: ConversationId::parse(member("conversation")?).ok()?,
        outbound: member("message").and_then(|id| OutboundId::parse(id).ok()),
    })
}

impl Conversations for Table {
    async fn known_messages(
        &self,
        profile: ProfileId,
        messages: &[MessageKey],
    ) -> Result<KnownMessages, PortError> {
        // A key may be named only once.
        let by_key: HashMap<String, &MessageKey> =
            messages.iter().map(|message| (sort_key(message), message)).collect();
        let sort_keys: Vec<&String> = by_key.keys().collect();
        let mut known = KnownMessages::new();
        for batch in sort_keys.chunks(READ_BATCH) {
            let keys = batch.iter().map(|sort_key| item_key(profile, sort_key)).collect();
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let mut left = Some(keys.map_err(unavailable("BatchGetItem"))?);
            for tries in 0..PARTIAL_TRIES {
                let Some(keys) = left.take() else { break };
                back_off(tries).await;
                let get = self.client().batch_get_item().request_items(&self.name, keys);
                let answer = get.send().await.map_err(unavailable("BatchGetItem"))?;
                let items = answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default();
                known.extend(items.iter().filter_map(|item| {
                    let message = by_key.get(item.get("SK")?.as_s().ok()?)?;
                    Some(((*message).clone(), read(item)?))
                }));
                left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
            }
            if let Some(left) = left {
                return Err(left_over("BatchGetItem", left.keys.len()));
            }
        }
        Ok(known)
    }

    async fn note_messages(
        &self,
        profile: ProfileId,
        messages: &[(MessageKey, KnownMessage)],
        now: OffsetDateTime,
    ) -> Result<KnownMessages, PortError> {
        let notes = messages.iter().cloned();
        let notes = notes.map(|(key, message)| self.note(profile, key, message, now));
        stream::iter(notes).buffered(CONCURRENT_NOTES).try_collect().await
    }
}

impl Table {
    /// Notes a message, unless it is noted: a message stays in its conversation.
    async fn note(
        &self,
        profile: ProfileId,
        key: MessageKey,
        message: KnownMessage,
        now: OffsetDateTime,
    ) -> Result<(MessageKey, KnownMessage), PortError> {
        let mut set = "SET conversation = if_not_exists(conversation, :conversation), \
                       expires_at = if_not_exists(expires_at, :expires)"
            .to_owned();
        let mut update = self
            .client()
            .update_item()
            .table_name(&self.name)
            .set_key(Some(item_key(profile, &sort_key(&key))))
            .expression_attribute_values(":conversation", text(message.conversation.as_str()))
            .expression_attribute_values(":expires", number(expiry(now, KNOWN_TIME)))
            .return_values(ReturnValue::AllNew);
        if let Some(outbound) = &message.outbound {
            set.push_str(", message = if_not_exists(message, :message)");
            update = update.expression_attribute_values(":message", text(outbound.as_str()));
        }
        let answer = update.update_expression(set).send().await.map_err(unavailable("UpdateItem"))?;
        let noted = answer.attributes.as_ref().and_then(read);
        Ok((key, noted.unwrap_or(message)))
    }
}

#[cfg(test)]
mod tests;
