//! Sessions of the console that their persons have ended: until a session would have ended by itself, its cookie is refused.

use std::collections::HashMap;

use mailroom_core::ports::PortError;
use time::{Duration, OffsetDateTime};

use super::table::{Item, Table, number, text};
use crate::error::unavailable;

/// How long an item outlasts its session: clocks differ.
const RETENTION: Duration = Duration::HOUR;

fn key(id: &str) -> Item {
    HashMap::from([("PK".to_owned(), text(format!("CONSOLE#{id}"))), ("SK".to_owned(), text("ENDED"))])
}

impl Table {
    /// Ends the session with this id, which would have ended at `until`.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn end_session(&self, id: &str, until: OffsetDateTime) -> Result<(), PortError> {
        let put = self.client().put_item().table_name(&self.name).set_item(Some(key(id)));
        let put = put.item("expires_at", number((until + RETENTION).unix_timestamp()));
        put.send().await.map(|_| ()).map_err(unavailable("PutItem"))
    }

    /// Whether the session with this id was ended.
    ///
    /// # Errors
    /// When the service fails.
    pub async fn has_ended(&self, id: &str) -> Result<bool, PortError> {
        let get = self.client().get_item().table_name(&self.name).set_key(Some(key(id)));
        let answer = get.consistent_read(true).send().await.map_err(unavailable("GetItem"))?;
        Ok(answer.item.is_some())
    }
}
