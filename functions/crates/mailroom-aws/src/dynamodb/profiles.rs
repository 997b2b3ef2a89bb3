//! What owners do with their profiles: create, change and remove them.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, DeleteRequest, Put, TransactWriteItem, WriteRequest};
use futures_util::stream::{self, TryStreamExt as _};
use mailroom_core::edit::{Edit, Place};
use mailroom_core::health::ProfileState;
use mailroom_core::inbound::deferred::Deferred;
use mailroom_core::outbound::ports::IdempotencyKey;
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId, RefreshInterval};
use time::OffsetDateTime;

use super::attribute::millis;
use super::claim::{CLAIM, Editor};
use super::profile_item::{PROFILE, ProfileItem, profile_key};
use super::state_item::StatusItem;
use super::table::{Item, Table, WRITE_BATCH, number, text, to_item, to_map, update_failed};
use crate::error::unavailable;

/// An owner's answer about messages that are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// They are to be handed over.
    HandOver,
    /// They are not.
    Drop,
}

/// The partition of the drafts: profiles that are being created.
const DRAFTS: &str = "DRAFTS";

/// The most drafts that one request cleans up.
const SWEPT: i32 = 25;

/// Batches of a removal that are in flight at the same time: some thousand items a second, with capacity left for others.
const BATCHES_AT_ONCE: usize = 8;

/// The attributes that an edit leaves alone: the item's own, and those of polls and sends. Every other attribute of a
/// profile's item is one of its settings.
const STATE: [&str; 18] = [
    "PK",
    "SK",
    "id",
    "created_at",
    "cursor",
    "deferred_messages",
    "held_back",
    "declined",
    "overdue_changes",
    "skipped_seen",
    "unsearched_at",
    "repeats_up_to",
    "audit",
    "status",
    "sending",
    "lease_until",
    "fence",
    "tries",
];

/// The attributes that an edit from one item to another sets, or removes where the new item has none.
fn settings<'a>(before: &'a Item, after: &'a Item) -> BTreeSet<&'a str> {
    let names = before.keys().chain(after.keys()).map(String::as_str);
    names.filter(|name| !STATE.contains(name)).collect()
}

/// The settings that make no difference to a poll.
const WORDS: [&str; 5] = ["name", "description", "search", "version", "updated_at"];

fn draft_key(id: ProfileId) -> Item {
    HashMap::from([("PK".to_owned(), text(DRAFTS)), ("SK".to_owned(), text(id.to_string()))])
}

impl Table {
    /// Stores the draft of a profile, before anything else of the profile is stored.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn begin(&self, id: ProfileId, at: OffsetDateTime) -> Result<(), PortError> {
        let put = self.client().put_item().table_name(&self.name).set_item(Some(draft_key(id)));
        put.item("begun_at", number(millis(at))).send().await.map_err(unavailable("PutItem"))?;
        Ok(())
    }

    /// Stores a new profile and removes its draft in one transaction. [`Schedules::joined`](mailroom_core::ports::Schedules::joined)
    /// creates its schedule afterwards.
    ///
    /// # Errors
    /// [`PortError::Lost`] when a profile with this id exists.
    pub async fn create(&self, profile: &Profile) -> Result<(), PortError> {
        self.create_once(profile, None).await
    }

    /// The same, once for a key: its request, repeated, finds what this one has created.
    ///
    /// # Errors
    /// [`PortError::Lost`] also when the key has been used.
    pub async fn create_once(
        &self,
        profile: &Profile,
        key: Option<&IdempotencyKey>,
    ) -> Result<(), PortError> {
        self.register_interval(profile).await?;
        let note = key.map(|key| self.note_creation(key, profile)).transpose()?;
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(to_item(ProfileItem::from(profile))?))
            .condition_expression("attribute_not_exists(PK)")
            .build()
            .map_err(unavailable("TransactWriteItems"))?;
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(draft_key(profile.id)))
            .build()
            .map_err(unavailable("TransactWriteItems"))?;
        let mut items = vec![
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().delete(delete).build(),
        ];
        items.extend(note);
        let write = self.client().transact_write_items().set_transact_items(Some(items));
        write.send().await.map_err(transaction_failed)?;
        Ok(())
    }

    /// Registers the interval of a profile that is about to be stored. If the request crashes before it creates the schedule,
    /// a repair finds the registration and creates it.
    async fn register_interval(&self, profile: &Profile) -> Result<(), PortError> {
        let interval = profile.settings.refresh_interval;
        if !profile.settings.listen || interval == RefreshInterval::DEFAULT {
            return Ok(());
        }
        self.register(interval, profile.updated_at).await
    }

    /// Removes the draft of a profile whose creation failed. Succeeds also if the draft does not exist.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn abandon(&self, id: ProfileId) -> Result<(), PortError> {
        let delete = self.client().delete_item().table_name(&self.name).set_key(Some(draft_key(id)));
        delete.send().await.map_err(unavailable("DeleteItem"))?;
        Ok(())
    }

    /// Profiles whose creation was begun before `before` and never ended: 25 at most.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn stale_drafts(&self, before: OffsetDateTime) -> Result<Vec<ProfileId>, PortError> {
        let answer = self
            .client()
            .query()
            .table_name(&self.name)
            .key_condition_expression("PK = :drafts")
            .filter_expression("begun_at < :before")
            .expression_attribute_values(":drafts", text(DRAFTS))
            .expression_attribute_values(":before", number(millis(before)))
            .consistent_read(true)
            .limit(SWEPT)
            .send()
            .await
            .map_err(unavailable("Query"))?;
        let ids = answer.items().iter().filter_map(|item| item.get("SK")?.as_s().ok());
        Ok(ids.filter_map(|id| ProfileId::parse(id).ok()).collect())
    }

    /// Stores an edit of `current`, unless another request has changed the profile or its secret since. The cursor, the
    /// lease and what polls have stored stay, unless the edit names another mailbox or another server: then the fence is
    /// raised, so that a poll that still reads the old one cannot move the cursor.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the profile is no longer at `current`'s version, or claimed by someone else.
    pub async fn update(&self, current: &Profile, edit: &Edit, by: Editor<'_>) -> Result<(), PortError> {
        if !(current.settings.listen
            && current.settings.refresh_interval == edit.profile.settings.refresh_interval)
        {
            self.register_interval(&edit.profile).await?;
        }
        let item = to_item(ProfileItem::from(&edit.profile))?;
        let mut update = by.condition(self.update_item(current.id), current);
        let (mut set, mut remove) = (Vec::new(), vec![CLAIM.to_owned()]);
        let before = to_item(ProfileItem::from(current))?;
        let settings = settings(&before, &item);
        for &name in &settings {
            update = update.expression_attribute_names(format!("#{name}"), name);
            match item.get(name) {
                Some(value) => {
                    set.push(format!("#{name} = :{name}"));
                    update = update.expression_attribute_values(format!(":{name}"), value.clone());
                }
                None => remove.push(format!("#{name}")),
            }
        }
        let concerns_polls = |name: &&str| !WORDS.contains(name) && item.get(*name) != before.get(*name);
        // If only the name or the description changed, a status that a poll has written since still holds. After any
        // other change it describes settings that were replaced.
        if settings.iter().any(concerns_polls) || edit.profile.status != current.status {
            set.push("#status = :status".to_owned());
            update = update
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", to_map(StatusItem::from(&edit.profile.status))?);
        }
        let mut add = "";
        if edit.place != Place::Same {
            // A run that reads the mailbox by its old name must not move the cursor any more.
            set.push("tries = :none".to_owned());
            remove.push("lease_until".to_owned());
            add = " ADD fence :one";
            update = update
                .expression_attribute_names("#cursor", "cursor")
                .expression_attribute_values(":none", number(0))
                .expression_attribute_values(":one", number(1));
        }
        let moved_at = edit.profile.cursor.and_then(|cursor| cursor.moved_at);
        if edit.place == Place::Another {
            remove.extend(
                [
                    "#cursor",
                    "deferred_messages",
                    "held_back",
                    "declined",
                    "overdue_changes",
                    "skipped_seen",
                    "unsearched_at",
                    "repeats_up_to",
                    "audit",
                ]
                .map(str::to_owned),
            );
        } else if let (Place::Unconfirmed, Some(moved_at)) = (edit.place, moved_at) {
            set.push("#cursor.moved_at = :moved_at".to_owned());
            update = update.expression_attribute_values(":moved_at", number(millis(moved_at)));
        }
        let expression = format!("SET {} REMOVE {}{add}", set.join(", "), remove.join(", "));
        update.update_expression(expression).send().await.map_err(update_failed)?;
        Ok(())
    }

    /// Ends the pause of a profile, so that it is polled now.
    ///
    /// # Errors
    /// [`PortError::Lost`] when it is no longer at this version.
    pub async fn clear_pause(&self, id: ProfileId, version: u64) -> Result<(), PortError> {
        self.update_item(id)
            .update_expression("REMOVE #status.not_before")
            .condition_expression("#version = :version")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", number(version))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// Stores an owner's answer about messages that are held back: they are to be handed over, or are dropped. A run that
    /// hands them over when they are dropped loses its lease.
    ///
    /// # Errors
    /// [`PortError::Lost`] when none are held back.
    pub async fn answer_held_back(&self, id: ProfileId, answer: Accept) -> Result<(), PortError> {
        let update = self.update_item(id).condition_expression("attribute_exists(held_back)");
        let update = match answer {
            Accept::HandOver => update
                .update_expression("SET held_back.accepted = :yes")
                .expression_attribute_values(":yes", AttributeValue::Bool(true)),
            Accept::Drop => update
                .update_expression("SET declined = held_back REMOVE held_back, lease_until ADD fence :one")
                .expression_attribute_values(":one", number(1)),
        };
        update.send().await.map_err(update_failed)?;
        Ok(())
    }

    /// Has a message that cannot be read tried in the next poll. `place` is where the profile's list has it.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the list has changed, or a run that has the profile is about to write it.
    pub async fn retry_deferred(
        &self,
        id: ProfileId,
        place: usize,
        entry: &Deferred,
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let member = |name: &str| format!("deferred_messages[{place}].{name}");
        let (uid, tries, due_at) = (member("uid"), member("tries"), member("due_at"));
        self.update_item(id)
            .update_expression(format!("SET {due_at} = :now"))
            .condition_expression(format!(
                "{uid} = :uid AND {tries} = :tries AND (attribute_not_exists(lease_until) OR lease_until < :now)"
            ))
            .expression_attribute_values(":uid", number(entry.message.uid.get()))
            .expression_attribute_values(":tries", number(entry.tries))
            .expression_attribute_values(":now", number(millis(now)))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// Takes a profile out of all polls: the first step of its removal. A poll that is reading it loses its lease.
    ///
    /// # Errors
    /// [`PortError::Lost`] when it is no longer at this version, or claimed by someone.
    pub async fn retire(&self, id: ProfileId, version: u64, now: OffsetDateTime) -> Result<(), PortError> {
        let off = mailroom_core::health::Status { state: ProfileState::Off, ..Default::default() };
        self.update_item(id)
            .condition_expression(
                "#version = :expected AND (attribute_not_exists(claimed_until) OR claimed_until < :claim)",
            )
            .expression_attribute_values(":claim", number(millis(now)))
            .update_expression(
                "SET listen = :no, #status = :off REMOVE poll_key, poll_sort, lease_until ADD #version :one, fence :one",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .expression_attribute_values(":off", to_map(StatusItem::from(&off))?)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expected", number(version))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// Removes a profile's item: the last step of its removal.
    ///
    /// # Errors
    /// When the service fails. Succeeds also if the profile does not exist.
    pub async fn delete(&self, id: ProfileId) -> Result<(), PortError> {
        self.client()
            .delete_item()
            .table_name(&self.name)
            .key("PK", text(profile_key(id)))
            .key("SK", text(PROFILE))
            .send()
            .await
            .map_err(unavailable("DeleteItem"))?;
        Ok(())
    }

    /// Removes all items of a profile but its own.
    pub(super) async fn forget_all(&self, id: ProfileId) -> Result<(), PortError> {
        let mut start = None;
        loop {
            let answer = self
                .client()
                .query()
                .table_name(&self.name)
                .key_condition_expression("PK = :key")
                .expression_attribute_values(":key", text(profile_key(id)))
                .projection_expression("PK, SK")
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable("Query"))?;
            let own = text(PROFILE);
            let noted: Vec<Item> = answer
                .items
                .unwrap_or_default()
                .into_iter()
                .filter(|key| key.get("SK") != Some(&own))
                .collect();
            stream::iter(noted.chunks(WRITE_BATCH).map(Ok))
                .try_for_each_concurrent(BATCHES_AT_ONCE, |keys| self.delete_all(keys))
                .await?;
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Removes the items with these keys, at most [`WRITE_BATCH`].
    async fn delete_all(&self, keys: &[Item]) -> Result<(), PortError> {
        let delete = |key: &Item| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        };
        let batch = keys.iter().map(delete).collect::<Result<Vec<_>, _>>();
        self.write_all(&mut batch.map_err(unavailable("BatchWriteItem"))?).await
    }
}

pub(super) fn transaction_failed(error: SdkError<TransactWriteItemsError>) -> PortError {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons()
        }
        Some(_) | None => &[],
    };
    if reasons.iter().any(|reason| reason.code() == Some("ConditionalCheckFailed")) {
        PortError::Lost
    } else {
        unavailable("TransactWriteItems")(error)
    }
}

#[cfg(test)]
mod tests;
