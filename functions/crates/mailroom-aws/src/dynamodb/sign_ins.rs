//! Sign-ins that were begun, and that a provider has not answered yet.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::ReturnValue;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use super::attribute::millis;
use super::table::{Item, Table, number, text};
use crate::error::unavailable;

/// The sort key of a sign-in.
const OAUTH: &str = "OAUTH";

/// A sign-in under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The profile that it is for.
    pub profile: ProfileId,
    /// The settings of the profile that it is for, as a digest.
    pub settings: String,
    /// Where the provider asks for consent.
    pub consent_url: String,
    /// When it is too late.
    pub expires_at: OffsetDateTime,
    /// The connect link whose page it was begun on, and leads back to.
    pub connect_link: Option<Ulid>,
}

fn key(key: &str) -> Item {
    HashMap::from([("PK".to_owned(), text(format!("OAUTH#{key}"))), ("SK".to_owned(), text(OAUTH))])
}

impl SignIn {
    fn read(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok();
        let expires_at: i64 = item.get("ends_at")?.as_n().ok()?.parse().ok()?;
        Some(Self {
            profile: ProfileId::parse(text("profile_id")?).ok()?,
            settings: text("settings")?.clone(),
            consent_url: text("consent_url")?.clone(),
            expires_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(expires_at) * 1_000_000).ok()?,
            connect_link: match text("connect_link") {
                Some(id) => Some(Ulid::from_string(id).ok()?),
                None => None,
            },
        })
    }
}

impl Table {
    /// Stores a sign-in under a key that nobody can guess.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn begin_sign_in(&self, id: &str, sign_in: &SignIn) -> Result<(), PortError> {
        // The table forgets it by itself, some time after its end.
        let forgotten_at = (sign_in.expires_at + Duration::HOUR).unix_timestamp();
        let put = self.client().put_item().table_name(&self.name).set_item(Some(key(id)));
        let put = match sign_in.connect_link {
            Some(link) => put.item("connect_link", text(link.to_string())),
            None => put,
        };
        put.item("profile_id", text(sign_in.profile.to_string()))
            .item("settings", text(&sign_in.settings))
            .item("consent_url", text(&sign_in.consent_url))
            .item("ends_at", number(millis(sign_in.expires_at)))
            .item("expires_at", number(forgotten_at))
            .send()
            .await
            .map_err(unavailable("PutItem"))?;
        Ok(())
    }

    /// A sign-in, if there is one.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, PortError> {
        let get = self.client().get_item().table_name(&self.name).set_key(Some(key(id)));
        let answer = get.consistent_read(true).send().await.map_err(unavailable("GetItem"))?;
        Ok(answer.item.as_ref().and_then(SignIn::read))
    }

    /// Takes a sign-in out: it is completed once. Where the answer to that is lost on the way it is gone too; then
    /// the person has to begin again.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn take_sign_in(&self, id: &str) -> Result<Option<SignIn>, PortError> {
        let delete = self.client().delete_item().table_name(&self.name).set_key(Some(key(id)));
        let answer =
            delete.return_values(ReturnValue::AllOld).send().await.map_err(unavailable("DeleteItem"))?;
        Ok(answer.attributes.as_ref().and_then(SignIn::read))
    }
}
