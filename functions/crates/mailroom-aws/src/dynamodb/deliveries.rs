//! The outbound messages: a change is written only over the revision that it was decided on.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use mailroom_core::health::SendingChange;
use mailroom_core::outbound::delivery::Delivery;
use mailroom_core::outbound::loop_guard::{AutomatedSender, LIMIT_WINDOW};
use mailroom_core::outbound::message::{EmailAddress, MessageId, OutboundId};
use mailroom_core::outbound::ports::{Admission, BeginDelivery, Deliveries, IdempotencyKey, SessionSlot};
use mailroom_core::ports::{PortError, Profiles};
use mailroom_core::profile::{Profile, ProfileId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::attribute::millis;
use super::delivery_item::{DeliveryItem, expiry, machine_key, machine_of, out_key};
use super::profile_item::profile_key;
use super::profiles::transaction_failed;
use super::state_item::SendingItem;
use super::table::{Item, Table, number, text, to_item, to_map, update_failed};
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// The index of the addresses that profiles send from.
const ADDRESSES: &str = "addresses";

/// How long an idempotency key is remembered.
const KEY_TIME: Duration = Duration::hours(24);

/// Attempts of a write that concurrent writers make fail.
const CONTENTION_TRIES: u32 = 5;

/// Concurrent queries of the index.
const CONCURRENT_QUERIES: usize = 10;

/// The automatic messages that an address received within the limit's window.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Automatic {
    #[serde(rename = "mails", default)]
    messages: Vec<Counted>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    #[serde(rename = "mail")]
    message: String,
    at: i64,
}

pub(super) fn key(partition: String, sort: impl Into<String>) -> Item {
    HashMap::from([("PK".to_owned(), text(partition)), ("SK".to_owned(), text(sort))])
}

/// A text of any length, as part of a key.
fn hashed(value: &str) -> String {
    hex::encode(Sha256::digest(value))
}

fn idempotency_key(profile: ProfileId, name: &str) -> Item {
    key(profile_key(profile), format!("IDEM#{name}"))
}

fn corrupt(error: impl std::fmt::Display) -> PortError {
    PortError::Corrupt(error.to_string())
}

pub(super) fn read(profile: ProfileId, item: Item) -> Result<Delivery, PortError> {
    let item: DeliveryItem = serde_dynamo::from_item(item).map_err(corrupt)?;
    item.read(profile).map_err(corrupt)
}

impl Table {
    async fn item(&self, key: Item) -> Result<Option<Item>, PortError> {
        let get = self.client().get_item().table_name(&self.name).set_key(Some(key)).consistent_read(true);
        Ok(get.send().await.map_err(unavailable("GetItem"))?.item)
    }

    /// What an earlier request with this key began, if the key is still remembered at `now`.
    ///
    /// # Errors
    /// When the service fails, or what is stored cannot be read.
    pub async fn begun_before(
        &self,
        profile: ProfileId,
        key: &IdempotencyKey,
        now: OffsetDateTime,
    ) -> Result<Option<BeginDelivery>, PortError> {
        let Some(item) = self.item(idempotency_key(profile, &key.key)).await? else {
            return Ok(None);
        };
        let expires_at = item.get("expires_at").and_then(|at| at.as_n().ok()?.parse::<i64>().ok());
        if expires_at.is_none_or(|at| at < now.unix_timestamp()) {
            return Ok(None);
        }
        let member = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        if member("digest") != Some(&key.digest) {
            return Ok(Some(BeginDelivery::Conflict));
        }
        let id = member("message").and_then(|id| OutboundId::parse(id).ok());
        let id = id.ok_or_else(|| corrupt("an idempotency key names no message"))?;
        Ok(self.delivery(profile, &id).await?.map(|there| BeginDelivery::Repeated(Box::new(there))))
    }

    async fn begin_with_key(&self, delivery: &Delivery, key: &IdempotencyKey) -> Result<(), PortError> {
        let mut noted = idempotency_key(delivery.profile, &key.key);
        noted.insert("digest".to_owned(), text(&key.digest));
        noted.insert("message".to_owned(), text(delivery.id.as_str()));
        noted.insert("expires_at".to_owned(), number(expiry(delivery.created_at, KEY_TIME)));
        let failed = || unavailable("TransactWriteItems");
        let note = Put::builder()
            .table_name(&self.name)
            .set_item(Some(noted))
            // DynamoDB removes expired items up to days late.
            .condition_expression("attribute_not_exists(PK) OR expires_at < :now")
            .expression_attribute_values(":now", number(delivery.created_at.unix_timestamp()))
            .build()
            .map_err(failed())?;
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(to_item(DeliveryItem::from(delivery))?))
            .condition_expression("attribute_not_exists(PK)")
            .build()
            .map_err(failed())?;
        self.client()
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(note).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .send()
            .await
            .map_err(transaction_failed)?;
        Ok(())
    }
}

impl Deliveries for Table {
    async fn sender_profile(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        Profiles::get(self, id).await
    }

    async fn delivery(&self, profile: ProfileId, id: &OutboundId) -> Result<Option<Delivery>, PortError> {
        let item = self.item(key(profile_key(profile), out_key(id))).await?;
        item.map(|item| read(profile, item)).transpose()
    }

    async fn begin_delivery(
        &self,
        delivery: &Delivery,
        key: Option<&IdempotencyKey>,
    ) -> Result<BeginDelivery, PortError> {
        let Some(key) = key else {
            let put = self
                .client()
                .put_item()
                .table_name(&self.name)
                .set_item(Some(to_item(DeliveryItem::from(delivery))?))
                .condition_expression("attribute_not_exists(PK)");
            return match put.send().await {
                Ok(_) => Ok(BeginDelivery::Stored),
                Err(error) if is_condition(&error) => {
                    let there = self.delivery(delivery.profile, &delivery.id).await?;
                    Ok(there
                        .map_or(BeginDelivery::Conflict, |there| BeginDelivery::Repeated(Box::new(there))))
                }
                Err(error) => Err(unavailable("PutItem")(error)),
            };
        };
        let mut tries = 0;
        loop {
            if let Some(begun) = self.begun_before(delivery.profile, key, delivery.created_at).await? {
                return Ok(begun);
            }
            match self.begin_with_key(delivery, key).await {
                Ok(()) => return Ok(BeginDelivery::Stored),
                // A concurrent request with this key was first: read what it stored.
                Err(_) if tries < CONTENTION_TRIES => {
                    tries += 1;
                    back_off(tries).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn save_delivery(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        let read_at = delivery.revision;
        delivery.revision += 1;
        let item = to_item(DeliveryItem::from(&*delivery))?;
        let put = self
            .client()
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item.clone()))
            .condition_expression("revision = :read")
            .expression_attribute_values(":read", number(read_at))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    // The SDK repeats a request whose response was lost, and may then find its own write.
                    let ours = failed.item().is_some_and(|there| same(there, &item));
                    if ours { Ok(()) } else { Err(PortError::Lost) }
                }
                Some(_) | None => Err(unavailable("PutItem")(error)),
            },
        }
    }

    async fn take_session(
        &self,
        profile: ProfileId,
        holder: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Option<SessionSlot>, PortError> {
        self.take_slot(profile, holder, until, now).await
    }

    async fn release_session(&self, profile: ProfileId, slot: &SessionSlot) -> Result<(), PortError> {
        self.release_slot(profile, slot).await
    }

    async fn automated_sender(
        &self,
        profile: ProfileId,
        messages: &[&MessageId],
    ) -> Result<Option<AutomatedSender>, PortError> {
        if messages.is_empty() {
            return Ok(None);
        }
        let keys: Vec<Item> = messages.iter().map(|message| machine_key(profile, message.as_str())).collect();
        let mut left = Some(
            KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(unavailable("BatchGetItem"))?,
        );
        for tries in 0..PARTIAL_TRIES {
            let Some(keys) = left.take() else { return Ok(None) };
            back_off(tries).await;
            let answer = self
                .client()
                .batch_get_item()
                .request_items(&self.name, keys)
                .send()
                .await
                .map_err(unavailable("BatchGetItem"))?;
            let items = answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default();
            let found = items.iter().find_map(|item| machine_of(item.get("machine")?.as_s().ok()?));
            if found.is_some() {
                return Ok(found);
            }
            left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
        }
        left.map_or(Ok(None), |left| Err(left_over("BatchGetItem", left.keys.len())))
    }

    async fn own_addresses(&self, addresses: &[EmailAddress]) -> Result<Vec<EmailAddress>, PortError> {
        let queries = addresses.iter().cloned().map(|address| async move {
            let answer = self
                .client()
                .query()
                .table_name(&self.name)
                .index_name(ADDRESSES)
                .key_condition_expression("address = :address")
                .expression_attribute_values(":address", text(address.key()))
                .limit(1)
                .send()
                .await
                .map_err(unavailable("Query"))?;
            Ok((!answer.items().is_empty()).then_some(address))
        });
        stream::iter(queries)
            .buffered(CONCURRENT_QUERIES)
            .try_filter_map(|found| async { Ok(found) })
            .try_collect()
            .await
    }

    async fn admit_automatic(
        &self,
        address: &str,
        delivery: &Delivery,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Admission, PortError> {
        let place = key(format!("RECIPIENT#{}", hashed(&address.to_lowercase())), "AUTOMATIC");
        let message = format!("{}#{}", delivery.profile, delivery.id);
        let since = millis(now - LIMIT_WINDOW);
        let mut tries = 0;
        loop {
            let item = self.item(place.clone()).await?;
            let revision = item.as_ref().and_then(|item| item.get("revision")).cloned();
            let stored: Automatic = match item {
                Some(item) => serde_dynamo::from_item(item).map_err(corrupt)?,
                None => Automatic::default(),
            };
            let mut messages: Vec<Counted> =
                stored.messages.into_iter().filter(|one| one.at > since).collect();
            if messages.iter().any(|one| one.message == message) {
                return Ok(Admission::WithinLimit);
            }
            if messages.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(Admission::LimitReached);
            }
            messages.push(Counted { message: message.clone(), at: millis(now) });
            let mut item = place.clone();
            item.extend(to_item(Automatic { messages })?);
            item.insert("expires_at".to_owned(), number(expiry(now, LIMIT_WINDOW)));
            item.insert("revision".to_owned(), number(next_revision(revision.as_ref())));
            let put = self.client().put_item().table_name(&self.name).set_item(Some(item));
            let put = match revision {
                Some(revision) => put
                    .condition_expression("revision = :read")
                    .expression_attribute_values(":read", revision),
                None => put.condition_expression("attribute_not_exists(PK)"),
            };
            match put.send().await {
                Ok(_) => return Ok(Admission::WithinLimit),
                Err(error) if is_condition(&error) && tries < CONTENTION_TRIES => {
                    tries += 1;
                    back_off(tries).await;
                }
                Err(error) => return Err(unavailable("PutItem")(error)),
            }
        }
    }

    async fn record_sending(
        &self,
        id: ProfileId,
        version: u64,
        change: &SendingChange,
    ) -> Result<(), PortError> {
        let update = self
            .update_item(id)
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", number(version));
        let update = match change {
            SendingChange::Unchanged => return Ok(()),
            SendingChange::Refused(sending) => update
                .update_expression("SET sending = :sending")
                .expression_attribute_values(":sending", to_map(SendingItem::from(sending))?),
            SendingChange::Recovered => update.update_expression("REMOVE sending"),
        };
        update.send().await.map_err(update_failed)?;
        Ok(())
    }
}

pub(super) fn is_condition(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}

fn next_revision(revision: Option<&AttributeValue>) -> u64 {
    let read = revision.and_then(|revision| revision.as_n().ok()?.parse::<u64>().ok());
    read.unwrap_or(0).wrapping_add(1)
}

/// Whether two items are equal, however the service writes numbers and orders members.
fn same(there: &Item, ours: &Item) -> bool {
    let read = |item: &Item| serde_dynamo::from_item::<_, DeliveryItem>(item.clone()).ok();
    read(there).is_some_and(|there| Some(there) == read(ours))
}

#[cfg(test)]
pub(super) mod tests;
