//! Lists, by an index that health and cursors do not touch: a poll that changes nothing of what is listed costs it
//! nothing. It follows the table within moments.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::ProfileState;
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};

use super::profile_item::{PROFILE, PROFILES, lower_case, profile_key};
use super::table::{Item, MAX_PAGES, READ_BATCH, Table, read, text};
use crate::error::{PARTIAL_TRIES, back_off, left_over, unavailable};

/// The index of profiles and flow schemas, in the order of their ids.
pub(super) const DIRECTORY: &str = "directory";

/// Pages (of 1 MB, some thousand profiles) that one request searches through. Then it says where to go on.
const PAGES_SEARCHED: usize = 5;

/// Batches of profiles that one request reads to find those of a state. Then it says where to go on.
const BATCHES_READ: usize = 10;

/// Which profiles are listed; by default all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Those whose name, login or hosts hold this text, in any case.
    pub search: Option<&'a str>,
    /// Those that name this flow schema.
    pub flow_schema: Option<&'a FlowSchemaId>,
    /// Those that are shown in this state.
    pub state: Option<ProfileState>,
    /// Those that listen, or do not.
    pub listen: Option<bool>,
}

impl Filter<'_> {
    /// Whether the index knows some of it.
    const fn is_of_index(&self) -> bool {
        self.search.is_some() || self.flow_schema.is_some()
    }

    /// What the index knows of it, as the condition of a query.
    fn apply(&self, query: QueryFluentBuilder) -> QueryFluentBuilder {
        let (mut query, mut conditions) = (query, Vec::new());
        if let Some(search) = self.search {
            conditions.push("contains(#search, :search)");
            query = query
                .expression_attribute_names("#search", "search")
                .expression_attribute_values(":search", text(lower_case(search)));
        }
        if let Some(flow_schema) = self.flow_schema {
            conditions.push("flow_schema_id = :flow");
            query = query.expression_attribute_values(":flow", text(flow_schema.as_str()));
        }
        query.filter_expression(conditions.join(" AND "))
    }

    /// What the index does not know of it.
    fn lets_through(&self, profile: &Profile) -> bool {
        self.state.is_none_or(|state| profile.health().state == state)
            && self.listen.is_none_or(|listen| profile.settings.listen == listen)
    }
}

/// A page of a list of profiles.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// The profiles, newest first.
    pub profiles: Vec<Profile>,
    /// Where the next page begins: after this one. `None` at the end.
    pub next: Option<ProfileId>,
    /// How many profiles belong here and could not be read. They are logged and left out.
    pub unreadable: usize,
}

impl Table {
    pub(super) fn directory(&self, partition: &str) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(&self.name)
            .index_name(DIRECTORY)
            .expression_attribute_values(":list", text(partition))
    }

    /// At most `limit` (1 to 100) profiles older than `before`, newest first, of those that `filter` lets through.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn list_profiles(
        &self,
        limit: usize,
        before: Option<ProfileId>,
        filter: &Filter<'_>,
    ) -> Result<Listed, PortError> {
        let limit = limit.clamp(1, READ_BATCH);
        if filter.state.is_none() && filter.listen.is_none() {
            return self.page_of_profiles(limit, before, filter).await;
        }
        // What the index does not hold is known when a profile is read.
        let mut found = Listed { next: before, ..Listed::default() };
        for _ in 0..BATCHES_READ {
            let page = self.page_of_profiles(READ_BATCH, found.next, filter).await?;
            found.unreadable += page.unreadable;
            found.profiles.extend(page.profiles.into_iter().filter(|profile| filter.lets_through(profile)));
            found.next = page.next;
            if found.profiles.len() > limit {
                found.profiles.truncate(limit);
                found.next = found.profiles.last().map(|profile| profile.id);
            }
            if found.profiles.len() == limit || found.next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// The same, by what the index holds.
    async fn page_of_profiles(
        &self,
        limit: usize,
        before: Option<ProfileId>,
        filter: &Filter<'_>,
    ) -> Result<Listed, PortError> {
        let mut before = before.map(|id| id.to_string());
        let mut ids = Vec::new();
        let mut more = true;
        for _ in 0..PAGES_SEARCHED {
            if ids.len() >= limit || !more {
                break;
            }
            let mut query = self.directory(PROFILES).scan_index_forward(false);
            query = match &before {
                // The border's id, not its item: it may be gone by now.
                Some(id) => query
                    .key_condition_expression("list_key = :list AND list_sort < :before")
                    .expression_attribute_values(":before", text(id)),
                None => query.key_condition_expression("list_key = :list"),
            };
            query = if filter.is_of_index() {
                filter.apply(query)
            } else {
                // One more than is asked for tells whether there is a next page.
                query.limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            };
            let answer = query.send().await.map_err(unavailable("Query"))?;
            let sort = |item: &Item| item.get("list_sort").and_then(|id| id.as_s().ok()).cloned();
            ids.extend(answer.items().iter().filter_map(sort));
            more = answer.last_evaluated_key.is_some();
            before = answer.last_evaluated_key.as_ref().and_then(sort).or_else(|| ids.last().cloned());
        }
        let next = if ids.len() > limit {
            ids.truncate(limit);
            ids.last().cloned()
        } else if more {
            before
        } else {
            None
        };
        let ids: Vec<ProfileId> = ids.iter().filter_map(|id| ProfileId::parse(id).ok()).collect();
        let next = next.and_then(|id| ProfileId::parse(&id).ok());
        let (profiles, unreadable) = self.profiles(&ids).await?;
        Ok(Listed { profiles, next, unreadable })
    }

    /// These profiles (at most 100) as they stand now, in this order, without those that are gone; and how many cannot
    /// be read.
    async fn profiles(&self, ids: &[ProfileId]) -> Result<(Vec<Profile>, usize), PortError> {
        if ids.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let key = |id: &ProfileId| {
            HashMap::from([("PK".to_owned(), text(profile_key(*id))), ("SK".to_owned(), text(PROFILE))])
        };
        let keys = KeysAndAttributes::builder().set_keys(Some(ids.iter().map(key).collect()));
        let mut left = Some(keys.consistent_read(true).build().map_err(unavailable("BatchGetItem"))?);
        let mut found = HashMap::new();
        let mut unreadable = 0;
        for tries in 0..PARTIAL_TRIES {
            let Some(keys) = left.take() else { break };
            back_off(tries).await;
            let get = self.client().batch_get_item().request_items(&self.name, keys);
            let answer = get.send().await.map_err(unavailable("BatchGetItem"))?;
            for item in answer.responses.unwrap_or_default().remove(&self.name).unwrap_or_default() {
                let id = item.get("id").and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
                match read(item) {
                    Ok((_, profile)) => {
                        found.insert(profile.id, profile);
                    }
                    Err(error) => {
                        tracing::error!(profile.id = id, %error, "a stored profile cannot be read");
                        unreadable += 1;
                    }
                }
            }
            left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
        }
        match left {
            Some(left) => Err(left_over("BatchGetItem", left.keys.len())),
            None => Ok((ids.iter().filter_map(|id| found.remove(id)).collect(), unreadable)),
        }
    }

    /// Whether any profile names this flow schema.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn is_flow_schema_used(&self, id: &FlowSchemaId) -> Result<bool, PortError> {
        let mut start = None;
        for _ in 0..MAX_PAGES {
            let answer = self
                .directory(PROFILES)
                .key_condition_expression("list_key = :list")
                .filter_expression("flow_schema_id = :flow")
                .expression_attribute_values(":flow", text(id.as_str()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable("Query"))?;
            if !answer.items().is_empty() {
                return Ok(true);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(false);
            }
        }
        Err(PortError::Corrupt("the list of profiles has no end".to_owned()))
    }
}

#[cfg(test)]
mod tests;
