//! Profiles that were created under a key of the client's: a repeat of the request finds the one that is there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use mailroom_core::outbound::ports::IdempotencyKey;
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::table::{Item, Table, number, text};
use crate::error::unavailable;

/// The sort key of a creation.
const CREATION: &str = "CREATION";

/// How long a key counts.
const KEY_TIME: Duration = Duration::hours(24);

/// What a key has been used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// This request: it created this profile, which may be deleted since.
    Profile(ProfileId),
    /// A request with another body.
    Another,
}

fn creation_key(key: &IdempotencyKey) -> Item {
    let digest = hex::encode(Sha256::digest(&key.key));
    HashMap::from([("PK".to_owned(), text(format!("CREATION#{digest}"))), ("SK".to_owned(), text(CREATION))])
}

impl Table {
    /// What a key has been used for within 24 hours; `None`: nothing.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn created_before(
        &self,
        key: &IdempotencyKey,
        now: OffsetDateTime,
    ) -> Result<Option<Created>, PortError> {
        let get = self.client().get_item().table_name(&self.name).set_key(Some(creation_key(key)));
        let answer = get.consistent_read(true).send().await.map_err(unavailable("GetItem"))?;
        let Some(item) = answer.item else { return Ok(None) };
        let text = |name: &str| item.get(name)?.as_s().ok();
        let expires_at: Option<i64> =
            item.get("expires_at").and_then(|at| at.as_n().ok()).and_then(|at| at.parse().ok());
        if expires_at.is_none_or(|at| at <= now.unix_timestamp()) {
            return Ok(None);
        }
        if text("digest") != Some(&key.digest) {
            return Ok(Some(Created::Another));
        }
        let id = text("profile_id").and_then(|id| ProfileId::parse(id).ok());
        id.map(|id| Some(Created::Profile(id)))
            .ok_or_else(|| PortError::Corrupt("a creation names no profile".to_owned()))
    }

    /// The part of a profile's creation that notes its key; it fails when the key has been used.
    pub(super) fn note_creation(
        &self,
        key: &IdempotencyKey,
        profile: &Profile,
    ) -> Result<TransactWriteItem, PortError> {
        let now = profile.created_at;
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(creation_key(key)))
            .item("digest", text(&key.digest))
            .item("profile_id", text(profile.id.to_string()))
            .item("expires_at", number((now + KEY_TIME).unix_timestamp()))
            .condition_expression("attribute_not_exists(PK) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.unix_timestamp()))
            .build()
            .map_err(unavailable("TransactWriteItems"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Forgets the key of a creation that is taken back.
    ///
    /// # Errors
    /// When the service fails. Succeeds also if the key names another profile, or none.
    pub async fn forget_creation(&self, key: &IdempotencyKey, profile: ProfileId) -> Result<(), PortError> {
        let delete = self.client().delete_item().table_name(&self.name).set_key(Some(creation_key(key)));
        let deleted = delete
            .condition_expression("profile_id = :profile")
            .expression_attribute_values(":profile", text(profile.to_string()))
            .send()
            .await;
        match deleted {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Err(unavailable("DeleteItem")(error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
