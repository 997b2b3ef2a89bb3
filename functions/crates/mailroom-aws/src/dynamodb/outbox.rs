//! The list of a profile's outbound messages, by the time at which they were accepted.
//!
//! The directory tells messages that are done from each other and from those on their way; which of those is being sent
//! at this moment, only the table knows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use mailroom_core::outbound::delivery::{Delivery, DeliveryState};
use mailroom_core::outbound::message::OutboundId;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use time::OffsetDateTime;

use super::attribute::millis;
use super::deliveries::{key, read};
use super::delivery_item::{list_key, list_sort, listed_state, out_key};
use super::profile_item::profile_key;
use super::table::{Item, READ_BATCH, Table, text};
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// Pages (of 1 MB, some thousand messages) that one request looks through. Then it says where to go on.
const PAGES_SEARCHED: usize = 5;

/// A page ends with the message that brings it to this many recipients, so that it fits into a response.
const RECIPIENTS_OF_A_PAGE: usize = 1000;

/// The digits of a place's time.
const TIME_DIGITS: usize = 13;

/// Which of a profile's messages are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutboxFilter {
    /// Only messages in this state.
    pub state: Option<DeliveryState>,
    /// Only messages that were accepted at this time or later.
    pub since: Option<OffsetDateTime>,
}

/// A message's place in its profile's list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutboxPlace(String);

impl OutboxPlace {
    /// Reads a place that [`Self::as_str`] gave out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, id) = text.split_once('.')?;
        let digits = time.len() == TIME_DIGITS && time.bytes().all(|b| b.is_ascii_digit());
        (digits && OutboundId::parse(id).is_ok()).then(|| Self(text.to_owned()))
    }

    /// The place as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn id(&self) -> Option<OutboundId> {
        self.0.split_once('.').and_then(|(_, id)| OutboundId::parse(id).ok())
    }
}

/// A page of a profile's messages.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    /// The messages, newest first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins: after this place. `None` at the end.
    pub next: Option<OutboxPlace>,
}

/// Places of the directory, and where to go on after them.
struct Places {
    places: Vec<OutboxPlace>,
    next: Option<OutboxPlace>,
}

impl Table {
    /// At most `limit` (1 to 100) of a profile's messages that were accepted before `before`, newest first. A page may
    /// hold fewer, or none, and still have a next one.
    ///
    /// # Errors
    /// When the service fails, or what is stored cannot be read.
    pub async fn list_deliveries(
        &self,
        profile: ProfileId,
        filter: OutboxFilter,
        limit: usize,
        before: Option<OutboxPlace>,
    ) -> Result<Outbox, PortError> {
        let Places { places, next } =
            self.places(profile, filter, limit.clamp(1, READ_BATCH), before).await?;
        let mut found = self.deliveries(profile, &places).await?;
        let mut outbox = Outbox { deliveries: Vec::new(), next };
        let mut recipients = 0;
        for (n, place) in places.iter().enumerate() {
            // The directory follows the table within moments: a message may be gone, or have gone on.
            let delivery = place.id().and_then(|id| found.remove(&id));
            let wanted = |delivery: &Delivery| filter.state.is_none_or(|state| delivery.state() == state);
            let Some(delivery) = delivery.filter(wanted) else { continue };
            recipients += delivery.recipients.len();
            outbox.deliveries.push(delivery);
            if recipients >= RECIPIENTS_OF_A_PAGE && n + 1 < places.len() {
                outbox.next = Some(place.clone());
                break;
            }
        }
        Ok(outbox)
    }

    async fn places(
        &self,
        profile: ProfileId,
        filter: OutboxFilter,
        limit: usize,
        mut before: Option<OutboxPlace>,
    ) -> Result<Places, PortError> {
        let since = list_time(filter.since.map_or(0, millis));
        let mut places: Vec<OutboxPlace> = Vec::new();
        let mut more = true;
        for _ in 0..PAGES_SEARCHED {
            if places.len() > limit || !more || before.as_ref().is_some_and(|before| before.0 < since) {
                break;
            }
            let mut query = self.directory(&list_key(profile)).scan_index_forward(false);
            query = match &before {
                Some(before) => query
                    .key_condition_expression("list_key = :list AND list_sort BETWEEN :since AND :before")
                    .expression_attribute_values(":before", text(before.as_str())),
                None => query.key_condition_expression("list_key = :list AND list_sort >= :since"),
            };
            query = query.expression_attribute_values(":since", text(since.as_str()));
            query = match filter.state {
                Some(state) => query
                    .filter_expression("#search = :state")
                    .expression_attribute_names("#search", "search")
                    .expression_attribute_values(":state", text(listed_state(state))),
                // The border comes again, and one more than is asked for tells whether there is a next page.
                None => query.limit(i32::try_from(limit + 2).unwrap_or(i32::MAX)),
            };
            let answer = query.send().await.map_err(unavailable("Query"))?;
            let place = |item: &Item| OutboxPlace::parse(item.get("list_sort")?.as_s().ok()?);
            let border = before.take();
            places.extend(
                answer.items().iter().filter_map(place).filter(|place| Some(place) != border.as_ref()),
            );
            more = answer.last_evaluated_key.is_some();
            before = answer.last_evaluated_key.as_ref().and_then(place).or_else(|| places.last().cloned());
        }
        let next = if places.len() > limit {
            places.truncate(limit);
            places.last().cloned()
        } else {
            before.filter(|before| more && before.0 >= since)
        };
        Ok(Places { places, next })
    }

    /// These messages (at most 100) as they stand now, without those that are gone.
    async fn deliveries(
        &self,
        profile: ProfileId,
        places: &[OutboxPlace],
    ) -> Result<HashMap<OutboundId, Delivery>, PortError> {
        let mut found = HashMap::new();
        if places.is_empty() {
            return Ok(found);
        }
        let ids = places.iter().filter_map(OutboxPlace::id);
        let keys = ids.map(|id| key(profile_key(profile), out_key(&id))).collect();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let mut left = Some(keys.map_err(unavailable("BatchGetItem"))?);
        for tries in 0..PARTIAL_TRIES {
            let Some(keys) = left.take() else { break };
            back_off(tries).await;
            let get = self.client().batch_get_item().request_items(&self.name, keys);
            let answer = get.send().await.map_err(unavailable("BatchGetItem"))?;
            for item in answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default() {
                let delivery = read(profile, item)?;
                found.insert(delivery.id.clone(), delivery);
            }
            left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
        }
        match left {
            Some(left) => Err(left_over("BatchGetItem", left.keys.len())),
            None => Ok(found),
        }
    }
}

/// The first place of a time, in milliseconds.
fn list_time(millis: i64) -> String {
    let mut first = list_sort(millis.max(0), "");
    first.truncate(TIME_DIGITS);
    first
}

#[cfg(test)]
mod tests;
