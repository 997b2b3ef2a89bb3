//! Connect links: who may connect which mailbox, once, and how far that is.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use super::attribute::millis;
use super::table::{Item, Table, number, text, update_failed};
use crate::error::unavailable;

/// The partition of the links.
const CONNECT_LINKS: &str = "CONNECT_LINKS";

/// How long a link is kept after its end, so that its page can say how it ended.
const KEPT: Duration = Duration::days(30);

/// How often a link can be tried: more than a person needs, and too few to guess passwords with.
pub const MAX_CONNECT_TRIES: u32 = 50;

/// A connect link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectLink {
    /// The link's id.
    pub id: Ulid,
    /// The digest of the secret that its address holds.
    pub digest: String,
    /// The profile that it is for.
    pub target: ConnectTarget,
    /// Whom its page tells to ask.
    pub contact: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Until when it counts.
    pub expires_at: OffsetDateTime,
    /// When a mailbox was connected with it.
    pub used_at: Option<OffsetDateTime>,
    /// How often a mailbox was tried with it.
    pub tries: u32,
    /// Whether a person has signed in with it, so that only the test of the mailbox is left.
    pub signed_in: bool,
}

/// The profile that a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectTarget {
    /// One that there was before.
    Existing(ProfileId),
    /// One that is made with the link.
    New {
        /// What it has, as JSON, whatever mailbox it is.
        settings: String,
        /// Its secrets, sealed under the link's own secret.
        sealed: Option<String>,
        /// The profile, once it is made.
        made: Option<ProfileId>,
    },
}

/// Whether a link can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectLinkState {
    /// It can be used.
    Open,
    /// A mailbox was connected with it.
    Used,
    /// Nobody used it in time.
    Expired,
    /// It was tried too often.
    Exhausted,
}

impl ConnectLink {
    /// Whether it can be used at `now`.
    #[must_use]
    pub fn state(&self, now: OffsetDateTime) -> ConnectLinkState {
        if self.used_at.is_some() {
            ConnectLinkState::Used
        } else if self.expires_at <= now {
            ConnectLinkState::Expired
        } else if self.tries >= MAX_CONNECT_TRIES {
            ConnectLinkState::Exhausted
        } else {
            ConnectLinkState::Open
        }
    }

    /// The profile, if there is one by now.
    #[must_use]
    pub const fn profile(&self) -> Option<ProfileId> {
        match self.target {
            ConnectTarget::Existing(id) => Some(id),
            ConnectTarget::New { made, .. } => made,
        }
    }

    fn read(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let time = |name: &str| {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(number(name)?) * 1_000_000).ok()
        };
        let profile = match text("profile_id") {
            Some(id) => Some(ProfileId::parse(&id).ok()?),
            None => None,
        };
        let target = match (text("settings"), profile) {
            (Some(settings), made) => ConnectTarget::New { settings, sealed: text("sealed"), made },
            (None, Some(profile)) => ConnectTarget::Existing(profile),
            (None, None) => return None,
        };
        Some(Self {
            id: Ulid::from_string(&text("SK")?).ok()?,
            digest: text("digest")?,
            target,
            contact: text("contact"),
            created_at: time("created_at")?,
            expires_at: time("ends_at")?,
            used_at: time("used_at"),
            tries: number("tries").and_then(|tries| tries.try_into().ok()).unwrap_or_default(),
            signed_in: item.contains_key("signed_in_at"),
        })
    }
}

fn key(id: Ulid) -> Item {
    HashMap::from([("PK".to_owned(), text(CONNECT_LINKS)), ("SK".to_owned(), text(id.to_string()))])
}

impl Table {
    /// Stores a new link.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn create_connect_link(&self, link: &ConnectLink) -> Result<(), PortError> {
        let put = self
            .client()
            .put_item()
            .table_name(&self.name)
            .set_item(Some(key(link.id)))
            .item("digest", text(&link.digest))
            .item("created_at", number(millis(link.created_at)))
            .item("ends_at", number(millis(link.expires_at)))
            .item("tries", number(link.tries))
            .item("expires_at", number((link.expires_at + KEPT).unix_timestamp()));
        let mut put = match &link.contact {
            Some(contact) => put.item("contact", text(contact)),
            None => put,
        };
        match &link.target {
            ConnectTarget::Existing(profile) => put = put.item("profile_id", text(profile.to_string())),
            ConnectTarget::New { settings, sealed, made: _ } => {
                put = put.item("settings", text(settings));
                if let Some(sealed) = sealed {
                    put = put.item("sealed", text(sealed));
                }
            }
        }
        put.send().await.map_err(unavailable("PutItem"))?;
        Ok(())
    }

    /// A link, by a consistent read.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn connect_link(&self, id: Ulid) -> Result<Option<ConnectLink>, PortError> {
        let get = self.client().get_item().table_name(&self.name).set_key(Some(key(id)));
        let answer = get.consistent_read(true).send().await.map_err(unavailable("GetItem"))?;
        Ok(answer.item.as_ref().and_then(ConnectLink::read))
    }

    /// At most `limit` links that are older than `before`, newest first; and where the next page begins.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn list_connect_links(
        &self,
        limit: usize,
        before: Option<Ulid>,
    ) -> Result<(Vec<ConnectLink>, Option<Ulid>), PortError> {
        let query = self
            .client()
            .query()
            .table_name(&self.name)
            .expression_attribute_values(":links", text(CONNECT_LINKS))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).saturating_add(1));
        let query = match before {
            Some(before) => query
                .key_condition_expression("PK = :links AND SK < :before")
                .expression_attribute_values(":before", text(before.to_string())),
            None => query.key_condition_expression("PK = :links"),
        };
        let answer = query.send().await.map_err(unavailable("Query"))?;
        let mut links: Vec<ConnectLink> = answer.items().iter().filter_map(ConnectLink::read).collect();
        let more = links.len() > limit || answer.last_evaluated_key.is_some();
        links.truncate(limit);
        let next = links.last().filter(|_| more).map(|link| link.id);
        Ok((links, next))
    }

    /// Withdraws a link. Succeeds also if it does not exist.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn delete_connect_link(&self, id: Ulid) -> Result<(), PortError> {
        let delete = self.client().delete_item().table_name(&self.name).set_key(Some(key(id)));
        delete.send().await.map_err(unavailable("DeleteItem"))?;
        Ok(())
    }

    /// Takes an open link for one try, which counts; nobody else can try it before `until`.
    ///
    /// # Errors
    /// [`PortError::Lost`] when it cannot be used, or another person is trying it.
    pub async fn try_connect_link(
        &self,
        id: Ulid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<(), PortError> {
        self.update_link(id)
            .update_expression("SET busy_until = :until ADD tries :one")
            .condition_expression(
                "attribute_exists(PK) AND attribute_not_exists(used_at) AND ends_at > :now AND tries < :most \
                 AND (attribute_not_exists(busy_until) OR busy_until <= :now)",
            )
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(millis(now)))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(MAX_CONNECT_TRIES))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// Ends a try that connected nothing: the link can be tried again.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the link does not exist any more.
    pub async fn release_connect_link(&self, id: Ulid) -> Result<(), PortError> {
        self.change_link(self.update_link(id).update_expression("REMOVE busy_until, signed_in_at")).await
    }

    /// Notes the profile that was made with a link, whose owner has yet to sign in.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the link does not exist any more.
    pub async fn bind_connect_link(&self, id: Ulid, profile: ProfileId) -> Result<(), PortError> {
        let update = self
            .update_link(id)
            .update_expression("SET profile_id = :profile")
            .expression_attribute_values(":profile", text(profile.to_string()));
        self.change_link(update).await
    }

    /// Notes that a person has signed in with a link, whose mailbox has yet to be tested.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the link does not exist any more.
    pub async fn note_connect_sign_in(&self, id: Ulid, now: OffsetDateTime) -> Result<(), PortError> {
        let update = self
            .update_link(id)
            .update_expression("SET signed_in_at = :now")
            .expression_attribute_values(":now", number(millis(now)));
        self.change_link(update).await
    }

    /// Uses a link up: its mailbox is connected. Secrets that came with it go.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the link does not exist any more.
    pub async fn use_connect_link(
        &self,
        id: Ulid,
        profile: ProfileId,
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        let update = self
            .update_link(id)
            .update_expression(
                "SET used_at = :now, profile_id = :profile REMOVE busy_until, signed_in_at, sealed",
            )
            .expression_attribute_values(":now", number(millis(now)))
            .expression_attribute_values(":profile", text(profile.to_string()));
        self.change_link(update).await
    }

    fn update_link(&self, id: Ulid) -> UpdateItemFluentBuilder {
        self.client().update_item().table_name(&self.name).set_key(Some(key(id)))
    }

    async fn change_link(&self, update: UpdateItemFluentBuilder) -> Result<(), PortError> {
        update.condition_expression("attribute_exists(PK)").send().await.map_err(update_failed)?;
        Ok(())
    }
}
