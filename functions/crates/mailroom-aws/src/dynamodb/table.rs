//! The table's operations.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, PutRequest, ReturnValue, WriteRequest};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::Status;
use mailroom_core::inbound::cursor::Cursor;
use mailroom_core::inbound::job::Digest;
use mailroom_core::inbound::schedule::Range;
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::MessageId;
use mailroom_core::ports::{Forgotten, Hold, Lease, Page, PortError, Profiles};
use mailroom_core::profile::{Profile, ProfileId, RefreshInterval};
use time::{Duration, OffsetDateTime};

use super::delivery_item::{machine_key, machine_name};
use super::profile_item::{FLOW, PROFILE, ProfileItem, flow_key, millis, poll_key, profile_key};
use super::state_item::{CursorItem, StatusItem};
use crate::client::Clients;
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// The index of the listening profiles.
pub(super) const LISTENING: &str = "listening";

/// How long the ledger remembers a mail.
const LEDGER: Duration = Duration::days(30);

/// Items of one BatchWriteItem.
pub(super) const WRITE_BATCH: usize = 25;

/// Keys of one BatchGetItem.
pub(super) const READ_BATCH: usize = 100;

/// Pages (of 1 MB) of one shard of one interval that are read: a thousand profiles each. More is a fault.
pub(super) const MAX_PAGES: usize = 200;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The one table.
#[derive(Debug)]
pub struct Table {
    clients: Clients,
    client: OnceLock<Client>,
    pub(super) name: String,
}

impl Table {
    /// The table `name`. Connects to nothing yet.
    #[must_use]
    pub fn new(clients: &Clients, name: &str) -> Self {
        Self { clients: clients.clone(), client: OnceLock::new(), name: name.to_owned() }
    }

    pub(super) fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.clients.config))
    }

    /// Writes a batch of at most [`WRITE_BATCH`], what was left over again.
    pub(super) async fn write_all(&self, left: &mut Vec<WriteRequest>) -> Result<(), PortError> {
        for tries in 0..PARTIAL_TRIES {
            back_off(tries).await;
            let answer = self
                .client()
                .batch_write_item()
                .request_items(&self.name, std::mem::take(left))
                .send()
                .await
                .map_err(unavailable("BatchWriteItem"))?;
            *left = answer.unprocessed_items.unwrap_or_default().remove(&self.name).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(left_over("BatchWriteItem", left.len()))
    }

    /// An update of a profile's item.
    pub(super) fn update_item(&self, id: ProfileId) -> UpdateItemFluentBuilder {
        self.client()
            .update_item()
            .table_name(&self.name)
            .key("PK", text(profile_key(id)))
            .key("SK", text(PROFILE))
    }
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn to_item<T: serde::Serialize>(value: T) -> Result<Item, PortError> {
    serde_dynamo::to_item(value).map_err(|error| PortError::Corrupt(error.to_string()))
}

pub(super) fn to_map<T: serde::Serialize>(value: T) -> Result<AttributeValue, PortError> {
    to_item(value).map(AttributeValue::M)
}

pub(super) fn read(item: Item) -> Result<(ProfileItem, Profile), PortError> {
    let item: ProfileItem =
        serde_dynamo::from_item(item).map_err(|error| PortError::Corrupt(error.to_string()))?;
    let profile = item.clone().read().map_err(|error| PortError::Corrupt(error.to_string()))?;
    Ok((item, profile))
}

pub(super) fn update_failed(error: SdkError<UpdateItemError>) -> PortError {
    if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) {
        PortError::Lost
    } else {
        unavailable("UpdateItem")(error)
    }
}

fn ledger_key(id: ProfileId, mail: &Digest) -> Item {
    HashMap::from([
        ("PK".to_owned(), text(profile_key(id))),
        ("SK".to_owned(), text(format!("SEEN#{}", mail.to_hex()))),
    ])
}

impl Profiles for Table {
    async fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&Range>,
    ) -> Result<Page, PortError> {
        let mut page = Page::default();
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
                    Ok((_, profile)) => page.profiles.push(profile),
                    Err(error) => {
                        tracing::error!(profile.id = id, %error, "a stored profile cannot be read");
                        page.unreadable += 1;
                    }
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(page);
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

    async fn move_cursor(&self, lease: &Lease, cursor: &Cursor, hold: Hold) -> Result<(), PortError> {
        let update = self
            .update_item(lease.profile)
            .condition_expression("fence = :fence")
            .expression_attribute_names("#cursor", "cursor")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":cursor", to_map(CursorItem::from(cursor))?);
        let update = match hold {
            Hold::Until(until) => update
                .update_expression("SET #cursor = :cursor, lease_until = :until, tries = :tries")
                .expression_attribute_values(":until", number(millis(until)))
                .expression_attribute_values(":tries", number(1)),
            Hold::Release => update
                .update_expression("SET #cursor = :cursor, tries = :tries REMOVE lease_until")
                .expression_attribute_values(":tries", number(0)),
        };
        update.send().await.map_err(update_failed)?;
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

    async fn handed_over(&self, id: ProfileId, mails: &[Digest]) -> Result<Vec<Digest>, PortError> {
        let by_key: HashMap<String, Digest> =
            mails.iter().map(|mail| (format!("SEEN#{}", mail.to_hex()), *mail)).collect();
        // Equal mail has an equal key, and a key may be asked for once only.
        let unique: Vec<Digest> = by_key.values().copied().collect();
        let mut found = Vec::new();
        for batch in unique.chunks(READ_BATCH) {
            let keys = batch.iter().map(|mail| ledger_key(id, mail)).collect();
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
        mails: &[Digest],
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let expires_at = number(now.saturating_add(LEDGER).unix_timestamp());
        // A batch that names a key twice is refused as a whole.
        let unique: Vec<Digest> = mails.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        for batch in unique.chunks(WRITE_BATCH) {
            let mut left = batch
                .iter()
                .map(|mail| {
                    let mut item = ledger_key(id, mail);
                    item.insert("expires_at".to_owned(), expires_at.clone());
                    let put = PutRequest::builder().set_item(Some(item)).build();
                    put.map(|put| WriteRequest::builder().put_request(put).build())
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(unavailable("BatchWriteItem"))?;
            self.write_all(&mut left).await?;
        }
        Ok(())
    }

    async fn note_automated(
        &self,
        id: ProfileId,
        mails: &[(MessageId, AutomatedSender)],
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let expires_at = number(now.saturating_add(LEDGER).unix_timestamp());
        // The last of several with one id: a key may be named once only.
        let unique: HashMap<&str, AutomatedSender> =
            mails.iter().map(|(mail, kind)| (mail.as_str(), *kind)).collect();
        let unique: Vec<_> = unique.into_iter().collect();
        for batch in unique.chunks(WRITE_BATCH) {
            let mut left = batch
                .iter()
                .map(|(mail, machine)| {
                    let mut item = machine_key(id, mail);
                    item.insert("machine".to_owned(), text(machine_name(*machine)));
                    item.insert("expires_at".to_owned(), expires_at.clone());
                    let put = PutRequest::builder().set_item(Some(item)).build();
                    put.map(|put| WriteRequest::builder().put_request(put).build())
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(unavailable("BatchWriteItem"))?;
            self.write_all(&mut left).await?;
        }
        Ok(())
    }

    async fn forget(&self, id: ProfileId, time: std::time::Duration) -> Result<Forgotten, PortError> {
        // Whatever the time cuts off is found again by the next try.
        match tokio::time::timeout(time, self.forget_all(id)).await {
            Ok(result) => result.map(|()| Forgotten::All),
            Err(_) => Ok(Forgotten::More),
        }
    }

    async fn flow_queue(&self, flow_schema: &FlowSchemaId) -> Result<Option<Option<String>>, PortError> {
        let answer = self
            .client()
            .get_item()
            .table_name(&self.name)
            .key("PK", text(flow_key(flow_schema.as_str())))
            .key("SK", text(FLOW))
            .send()
            .await
            .map_err(unavailable("GetItem"))?;
        Ok(answer.item.map(|item| item.get("queue_url").and_then(|url| url.as_s().ok()).cloned()))
    }
}

#[cfg(test)]
mod tests;
