//! The intervals in use, each registered whenever a profile begins to use it: what the index does not show at once.
//!
//! An interval that is unregistered keeps its item and its count, so that no count comes twice: a removal that comes late
//! finds another count than it read.

use futures_util::future::join_all;
use mailroom_core::inbound::schedule::SHARDS;
use mailroom_core::ports::PortError;
use mailroom_core::profile::RefreshInterval;
use time::OffsetDateTime;

use super::attribute::millis;
use super::profile_item::poll_key;
use super::table::{LISTENING, Table, number, text, update_failed};
use crate::error::unavailable;

/// The partition of the registry.
const INTERVALS: &str = "INTERVALS";

/// An interval as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    /// When a profile last began to use it (milliseconds since 1970).
    pub(crate) joined_at: i64,
    /// How often profiles began to use it. Never shrinks.
    joined: String,
}

fn sort(interval: RefreshInterval) -> String {
    format!("{:06}", interval.seconds())
}

impl Table {
    /// Registers that a profile uses the interval.
    pub(crate) async fn register(
        &self,
        interval: RefreshInterval,
        at: OffsetDateTime,
    ) -> Result<(), PortError> {
        self.client()
            .update_item()
            .table_name(&self.name)
            .key("PK", text(INTERVALS))
            .key("SK", text(sort(interval)))
            .update_expression("SET joined_at = :at ADD joined :one")
            .expression_attribute_values(":at", number(millis(at)))
            .expression_attribute_values(":one", number(1))
            .send()
            .await
            .map_err(unavailable("UpdateItem"))?;
        Ok(())
    }

    /// The interval's registration, if it has one.
    pub(crate) async fn registered(
        &self,
        interval: RefreshInterval,
    ) -> Result<Option<Registered>, PortError> {
        let answer = self
            .client()
            .get_item()
            .table_name(&self.name)
            .key("PK", text(INTERVALS))
            .key("SK", text(sort(interval)))
            .consistent_read(true)
            .send()
            .await
            .map_err(unavailable("GetItem"))?;
        Ok(answer.item.and_then(|item| {
            let number = |name: &str| item.get(name)?.as_n().ok().cloned();
            Some(Registered { joined_at: number("joined_at")?.parse().ok()?, joined: number("joined")? })
        }))
    }

    /// Unregisters an interval, as it was read.
    ///
    /// # Errors
    /// [`PortError::Lost`] when a profile began to use it since, or another process unregistered it.
    pub(crate) async fn unregister(
        &self,
        interval: RefreshInterval,
        registered: &Registered,
    ) -> Result<(), PortError> {
        self.client()
            .update_item()
            .table_name(&self.name)
            .key("PK", text(INTERVALS))
            .key("SK", text(sort(interval)))
            .update_expression("REMOVE joined_at")
            .condition_expression("joined = :joined AND attribute_exists(joined_at)")
            .expression_attribute_values(":joined", number(&registered.joined))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// All intervals that are registered.
    pub(crate) async fn intervals(&self) -> Result<Vec<RefreshInterval>, PortError> {
        // 1,444 intervals exist, of 60 bytes each: one page holds them all.
        let answer = self
            .client()
            .query()
            .table_name(&self.name)
            .key_condition_expression("PK = :intervals")
            .filter_expression("attribute_exists(joined_at)")
            .expression_attribute_values(":intervals", text(INTERVALS))
            .consistent_read(true)
            .send()
            .await
            .map_err(unavailable("Query"))?;
        let seconds = answer.items().iter().filter_map(|item| item.get("SK")?.as_s().ok()?.parse().ok());
        Ok(seconds.filter_map(|seconds| RefreshInterval::from_seconds(seconds).ok()).collect())
    }

    /// Whether the index holds a listening profile of the interval.
    pub(crate) async fn is_listened_to(&self, interval: RefreshInterval) -> Result<bool, PortError> {
        let shards = join_all((0..SHARDS).map(|shard| async move {
            self.client()
                .query()
                .table_name(&self.name)
                .index_name(LISTENING)
                .key_condition_expression("poll_key = :key")
                .expression_attribute_values(":key", text(poll_key(interval, shard)))
                .limit(1)
                .send()
                .await
                .map(|answer| !answer.items().is_empty())
                .map_err(unavailable("Query"))
        }));
        let mut used = false;
        for shard in shards.await {
            used |= shard?;
        }
        Ok(used)
    }
}
