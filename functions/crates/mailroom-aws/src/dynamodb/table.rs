//! The table's client, and what all of its operations share.

use std::collections::HashMap;
use std::sync::OnceLock;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};

use super::profile_item::{PROFILE, ProfileItem, profile_key};
use crate::client::Clients;
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// The index of the listening profiles.
pub(super) const LISTENING: &str = "listening";

/// Items of one BatchWriteItem.
pub(super) const WRITE_BATCH: usize = 25;

/// Keys of one BatchGetItem.
pub(super) const READ_BATCH: usize = 100;

/// Pages (of 1 MB) of one shard of one interval that are read: a thousand profiles each. More is a fault.
pub(super) const MAX_PAGES: usize = 200;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The one table, with the items of all profiles.
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

    /// Stores these items, however many. No two may have the same key: such a batch is refused as a whole.
    pub(super) async fn put_all(&self, items: Vec<Item>) -> Result<(), PortError> {
        for batch in items.chunks(WRITE_BATCH) {
            let put = |item: &Item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build();
                put.map(|put| WriteRequest::builder().put_request(put).build())
            };
            let batch = batch.iter().map(put).collect::<Result<Vec<_>, _>>();
            self.write_all(&mut batch.map_err(unavailable("BatchWriteItem"))?).await?;
        }
        Ok(())
    }

    /// Writes a batch of at most [`WRITE_BATCH`], and again what the service left over.
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
