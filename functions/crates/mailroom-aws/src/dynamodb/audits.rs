//! The table as audits need it: whose mailboxes there are, all of a ledger, and what was found.

use mailroom_core::audit::AuditStatus;
use mailroom_core::inbound::ledger::HandedOver;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use time::OffsetDateTime;

use super::audit_item::AuditItem;
use super::ledger_item::{LEDGER, read_ledger_item};
use super::profile_item::{PROFILES, profile_key};
use super::table::{Item, MAX_PAGES, Table, number, text, to_map, update_failed};
use crate::error::unavailable;

/// The most messages of a ledger that an audit reads: what fits its memory.
const MAX_LEDGER: usize = 300_000;

impl Table {
    /// The ids of all profiles, by an index that follows the table within moments.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn profile_ids(&self) -> Result<Vec<ProfileId>, PortError> {
        let (mut ids, mut start) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let query = self
                .directory(PROFILES)
                .key_condition_expression("list_key = :list")
                .projection_expression("list_sort")
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(unavailable("Query"))?;
            let id = |item: &Item| ProfileId::parse(item.get("list_sort")?.as_s().ok()?).ok();
            ids.extend(answer.items().iter().filter_map(id));
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(ids);
            }
        }
        Err(PortError::Corrupt("the list of profiles has no end".to_owned()))
    }

    /// What was handed over of a profile's messages and is still remembered at `now`: read after the profile, it holds
    /// everything that the profile's cursor has passed.
    ///
    /// # Errors
    /// When the service fails; [`PortError::Corrupt`] for a ledger of more than 300,000 messages.
    pub async fn ledger(&self, id: ProfileId, now: OffsetDateTime) -> Result<Vec<HandedOver>, PortError> {
        let (mut messages, mut start) = (Vec::new(), None);
        while messages.len() <= MAX_LEDGER {
            let query = self
                .client()
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("PK = :profile AND begins_with(SK, :ledger)")
                .expression_attribute_values(":profile", text(profile_key(id)))
                .expression_attribute_values(":ledger", text(LEDGER))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(unavailable("Query"))?;
            messages.extend(answer.items().iter().filter_map(|item| read_ledger_item(item, now)));
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(messages);
            }
        }
        Err(PortError::Corrupt(format!("the ledger holds more than {MAX_LEDGER} messages")))
    }

    /// Stores the result of an audit.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the profile was edited since `version`.
    pub async fn record_audit(
        &self,
        id: ProfileId,
        version: u64,
        audit: &AuditStatus,
    ) -> Result<(), PortError> {
        self.update_item(id)
            .update_expression("SET audit = :audit")
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":audit", to_map(AuditItem::from(audit))?)
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
