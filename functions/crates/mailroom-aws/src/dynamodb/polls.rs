//! The table as polls need it: listening profiles, leases, cursors, status and the ledger.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::Status;
use mailroom_core::inbound::cursor::LEDGER_TIME;
use mailroom_core::inbound::held_back::HeldChange;
use mailroom_core::inbound::job::Digest;
use mailroom_core::inbound::ledger::LedgerPlace;
use mailroom_core::inbound::schedule::Range;
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::MessageId;
use mailroom_core::ports::{FlowQueue, Forgotten, Hold, Lease, Listening, PortError, Profiles, Progress};
use mailroom_core::profile::{Profile, ProfileId, RefreshInterval};
use time::OffsetDateTime;

use super::attribute::millis;
use super::deferred_item::DeferredItem;
use super::delivery_item::{machine_key, machine_name};
use super::held_item::HeldItem;
use super::ledger_item::{ledger_attributes, ledger_sort};
use super::overdue_item::OverdueItem;
use super::profile_item::{FLOW, PROFILE, flow_key, poll_key, profile_key};
use super::state_item::{CursorItem, SkippedSeenItem, StatusItem};
use super::table::{
    Item, LISTENING, MAX_PAGES, READ_BATCH, Table, number, read, text, to_map, update_failed,
};
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

fn ledger_key(id: ProfileId, message: &Digest) -> Item {
    HashMap::from([("PK".to_owned(), text(profile_key(id))), ("SK".to_owned(), text(ledger_sort(message)))])
}

impl Profiles for Table {
    async fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&Range>,
    ) -> Result<Listening, PortError> {
        let mut listening = Listening::default();
        let mut start = None;
        for _ in 0..MAX_PAGES {
            let mut query = self
                .client()
                .query()
                .table_name(&self.name)
                .index_name(LISTENING)
                .expression_attribute_values(":key", text(poll_key(interval, shard)))
                .set_exclusive_start_key(start);
            query = match range {
                Some(range) => query
                    .key_condition_expression("poll_key = :key AND poll_sort BETWEEN :from AND :to")
                    .expression_attribute_values(":from", text(&range.from))
                    .expression_attribute_values(":to", text(&range.to)),
                None => query.key_condition_expression("poll_key = :key"),
            };
            let answer = query.send().await.map_err(unavailable("Query"))?;
            for item in answer.items.unwrap_or_default() {
                let id = item.get("id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
                match read(item) {
                    Ok((_, profile)) => listening.profiles.push(profile),
                    Err(error) => {
                        tracing::error!(profile.id = id, %error, "a stored profile cannot be read");
                        listening.unreadable += 1;
                    }
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(listening);
            }
        }
        Err(PortError::Corrupt(format!("shard {shard} of {} seconds has no end", interval.seconds())))
    }

    async fn get(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        let answer = self
            .client()
            .get_item()
            .table_name(&self.name)
            .key("PK", text(profile_key(id)))
            .key("SK", text(PROFILE))
            .consistent_read(true)
            .send()
            .await
            .map_err(unavailable("GetItem"))?;
        answer.item.map(|item| read(item).map(|(_, profile)| profile)).transpose()
    }

    async fn lease(
        &self,
        id: ProfileId,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<Option<(Lease, Profile)>, PortError> {
        let answer = self
            .update_item(id)
            .update_expression("SET lease_until = :until ADD fence :one, tries :one")
            .condition_expression(
                "listen = :yes AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            )
            .expression_attribute_values(":until", number(millis(expires_at)))
            .expression_attribute_values(":now", number(millis(now)))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let item = match answer.map_err(update_failed) {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(PortError::Lost) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (item, profile) = read(item)?;
        let lease = Lease { profile: id, fence: item.fence, tries: item.tries, expires_at };
        Ok(Some((lease, profile)))
    }

    async fn move_cursor(&self, lease: &Lease, progress: Progress<'_>, hold: Hold) -> Result<(), PortError> {
        let Progress { cursor, deferred, held_back, overdue, skipped_seen, unsearched_at, repeats_up_to } =
            progress;
        let update = self
            .update_item(lease.profile)
            .condition_expression("fence = :fence")
            .expression_attribute_names("#cursor", "cursor")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":cursor", to_map(CursorItem::from(cursor))?);
        let (mut set, mut remove) = ("SET #cursor = :cursor, tries = :tries".to_owned(), Vec::new());
        let mut update = match hold {
            Hold::Until(until) => {
                set.push_str(", lease_until = :until");
                update
                    .expression_attribute_values(":until", number(millis(until)))
                    .expression_attribute_values(":tries", number(1))
            }
            Hold::Release => {
                remove.push("lease_until");
                update.expression_attribute_values(":tries", number(0))
            }
        };
        if deferred.is_empty() {
            remove.push("deferred_messages");
        } else {
            set.push_str(", deferred_messages = :deferred");
            let entries = deferred.iter().map(|entry| to_map(DeferredItem::from(entry)));
            update = update.expression_attribute_values(
                ":deferred",
                AttributeValue::L(entries.collect::<Result<_, _>>()?),
            );
        }
        if let Some(at) = unsearched_at {
            set.push_str(", unsearched_at = :unsearched");
            update = update.expression_attribute_values(":unsearched", number(millis(at)));
        }
        if let Some(uid) = repeats_up_to {
            set.push_str(", repeats_up_to = :repeats");
            update = update.expression_attribute_values(":repeats", number(uid.get()));
        }
        match held_back {
            HeldChange::Unchanged => {}
            HeldChange::Set(held) => {
                set.push_str(", held_back = :held");
                update = update.expression_attribute_values(":held", to_map(HeldItem::from(held))?);
            }
            HeldChange::Removed => remove.push("held_back"),
        }
        match overdue {
            Some(overdue) => {
                set.push_str(", overdue_changes = :overdue");
                update = update.expression_attribute_values(":overdue", to_map(OverdueItem::from(overdue))?);
            }
            None => remove.push("overdue_changes"),
        }
        if skipped_seen.count > 0 {
            set.push_str(", skipped_seen = :skipped");
            update =
                update.expression_attribute_values(":skipped", to_map(SkippedSeenItem::from(&skipped_seen))?);
        }
        let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        update.update_expression(set + &remove).send().await.map_err(update_failed)?;
        Ok(())
    }

    async fn release(&self, lease: &Lease, tries: u32) -> Result<(), PortError> {
        self.update_item(lease.profile)
            .update_expression("SET tries = :tries REMOVE lease_until")
            .condition_expression("fence = :fence")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":tries", number(tries))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    async fn record(&self, id: ProfileId, version: u64, status: &Status) -> Result<(), PortError> {
        self.update_item(id)
            .update_expression("SET #status = :status")
            .condition_expression("#version = :version")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":status", to_map(StatusItem::from(status))?)
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    async fn handed_over(&self, id: ProfileId, messages: &[Digest]) -> Result<Vec<Digest>, PortError> {
        let by_key: HashMap<String, Digest> =
            messages.iter().map(|message| (ledger_sort(message), *message)).collect();
        // Equal messages have equal keys, and a key may be named only once.
        let unique: Vec<Digest> = by_key.values().copied().collect();
        let mut found = Vec::new();
        for batch in unique.chunks(READ_BATCH) {
            let keys = batch.iter().map(|message| ledger_key(id, message)).collect();
            let mut left = Some(
                KeysAndAttributes::builder()
                    .set_keys(Some(keys))
                    .consistent_read(true)
                    .projection_expression("SK")
                    .build()
                    .map_err(unavailable("BatchGetItem"))?,
            );
            for tries in 0..PARTIAL_TRIES {
                let Some(keys) = left.take() else { break };
                back_off(tries).await;
                let answer = self
                    .client()
                    .batch_get_item()
                    .request_items(&self.name, keys)
                    .send()
                    .await
                    .map_err(unavailable("BatchGetItem"))?;
                let items = answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default();
                found.extend(
                    items.iter().filter_map(|item| by_key.get(item.get("SK")?.as_s().ok()?)).copied(),
                );
                left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
            }
            if let Some(left) = left {
                return Err(left_over("BatchGetItem", left.keys.len()));
            }
        }
        Ok(found)
    }

    async fn note_handed_over(
        &self,
        id: ProfileId,
        messages: &[(Digest, Option<LedgerPlace>)],
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let expires_at = now.saturating_add(LEDGER_TIME);
        // A batch that names a key twice is refused as a whole.
        let unique: BTreeMap<Digest, Option<LedgerPlace>> = messages.iter().copied().collect();
        let items = unique.iter().map(|(message, place)| {
            let mut item = ledger_key(id, message);
            item.extend(ledger_attributes(place.as_ref(), expires_at));
            item
        });
        self.put_all(items.collect()).await
    }

    async fn note_automated(
        &self,
        id: ProfileId,
        messages: &[(MessageId, AutomatedSender)],
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let expires_at = number(now.saturating_add(LEDGER_TIME).unix_timestamp());
        // The last of several with one id: a key may be named only once.
        let unique: HashMap<&str, AutomatedSender> =
            messages.iter().map(|(message, sender)| (message.as_str(), *sender)).collect();
        let items = unique.into_iter().map(|(message, sender)| {
            let mut item = machine_key(id, message);
            item.insert("machine".to_owned(), text(machine_name(sender)));
            item.insert("expires_at".to_owned(), expires_at.clone());
            item
        });
        self.put_all(items.collect()).await
    }

    async fn forget(&self, id: ProfileId, time: std::time::Duration) -> Result<Forgotten, PortError> {
        // What time cuts off is found again by the next call.
        match tokio::time::timeout(time, self.forget_all(id)).await {
            Ok(result) => result.map(|()| Forgotten::All),
            Err(_) => Ok(Forgotten::More),
        }
    }

    async fn flow_queue(&self, flow_schema: &FlowSchemaId) -> Result<FlowQueue, PortError> {
        let answer = self
            .client()
            .get_item()
            .table_name(&self.name)
            .key("PK", text(flow_key(flow_schema.as_str())))
            .key("SK", text(FLOW))
            .send()
            .await
            .map_err(unavailable("GetItem"))?;
        Ok(match answer.item {
            None => FlowQueue::UnknownSchema,
            Some(item) => match item.get("queue_url").and_then(|url| url.as_s().ok()) {
                None => FlowQueue::Default,
                Some(url) => FlowQueue::Url(url.clone()),
            },
        })
    }
}

#[cfg(test)]
mod tests;
