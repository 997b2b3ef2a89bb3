//! What polls and sends note in a profile's item: how far they are, and how it is doing.

use mailroom_core::health::{CurrentError, ProfileState, SendingStatus, SkippedSeen, Status};
use mailroom_core::inbound::cursor::{Cursor, Floor, MailboxId, Uid, UidValidity};
use mailroom_core::oauth2::Authorization;
use mailroom_core::owner_error::ErrorCode;
use serde::{Deserialize, Serialize};

use super::attribute::{Unreadable, is_false, millis, time_of};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CursorItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid_validity: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox_id: Option<u64>,
    last_uid: u32,
    newest: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<FloorItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FloorItem {
    up_to: u32,
    since: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    renumbered: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusItem {
    state: StateItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_success_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_message_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorItem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateItem {
    Pending,
    Ok,
    Failing,
    Throttled,
    Misconfigured,
    ReauthorizationRequired,
    Off,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ErrorItem {
    code: ErrorCode,
    message: String,
    since: i64,
    count: u32,
}

impl From<&Cursor> for CursorItem {
    fn from(cursor: &Cursor) -> Self {
        Self {
            uid_validity: cursor.uid_validity.map(UidValidity::get),
            mailbox_id: cursor.mailbox_id.map(MailboxId::get),
            last_uid: cursor.last_uid,
            newest: millis(cursor.newest),
            old_until: cursor.old_until.map(millis),
            moved_at: cursor.moved_at.map(millis),
            floor: cursor.floor.map(|floor| FloorItem {
                up_to: floor.up_to.get(),
                since: millis(floor.since),
                renumbered: floor.renumbered,
            }),
        }
    }
}

impl CursorItem {
    pub(super) fn read(self) -> Result<Cursor, Unreadable> {
        let floor = match self.floor {
            Some(floor) => {
                let since = time_of("cursor", floor.since)?;
                Uid::new(floor.up_to).map(|up_to| Floor { up_to, since, renumbered: floor.renumbered })
            }
            None => None,
        };
        let time = |millis: Option<i64>| millis.map(|millis| time_of("cursor", millis)).transpose();
        Ok(Cursor {
            uid_validity: self.uid_validity.and_then(UidValidity::new),
            mailbox_id: self.mailbox_id.map(MailboxId::new),
            last_uid: self.last_uid,
            newest: time_of("cursor", self.newest)?,
            old_until: time(self.old_until)?,
            floor,
            moved_at: time(self.moved_at)?,
        })
    }
}

impl From<&Status> for StatusItem {
    fn from(status: &Status) -> Self {
        let state = match status.state {
            ProfileState::Pending => StateItem::Pending,
            ProfileState::Ok => StateItem::Ok,
            ProfileState::Failing => StateItem::Failing,
            ProfileState::Throttled => StateItem::Throttled,
            ProfileState::Misconfigured => StateItem::Misconfigured,
            ProfileState::ReauthorizationRequired => StateItem::ReauthorizationRequired,
            ProfileState::Off => StateItem::Off,
        };
        Self {
            state,
            last_success_at: status.last_success_at.map(millis),
            last_message_at: status.last_message_at.map(millis),
            not_before: status.not_before.map(millis),
            error: status.error.as_ref().map(ErrorItem::from),
        }
    }
}

impl StatusItem {
    pub(super) fn read(self) -> Result<Status, Unreadable> {
        let state = match self.state {
            StateItem::Pending => ProfileState::Pending,
            StateItem::Ok => ProfileState::Ok,
            StateItem::Failing => ProfileState::Failing,
            StateItem::Throttled => ProfileState::Throttled,
            StateItem::Misconfigured => ProfileState::Misconfigured,
            StateItem::ReauthorizationRequired => ProfileState::ReauthorizationRequired,
            StateItem::Off => ProfileState::Off,
        };
        let at = |millis: Option<i64>| millis.map(|millis| time_of("status", millis)).transpose();
        let error = self.error.map(ErrorItem::read).transpose()?;
        Ok(Status {
            state,
            last_success_at: at(self.last_success_at)?,
            last_message_at: at(self.last_message_at)?,
            not_before: at(self.not_before)?,
            error,
        })
    }
}

impl From<&CurrentError> for ErrorItem {
    fn from(error: &CurrentError) -> Self {
        Self {
            code: error.code,
            message: error.message.clone(),
            since: millis(error.since),
            count: error.count,
        }
    }
}

impl ErrorItem {
    fn read(self) -> Result<CurrentError, Unreadable> {
        Ok(CurrentError {
            code: self.code,
            message: self.message,
            since: time_of("status", self.since)?,
            count: self.count,
        })
    }
}

/// The messages that were passed because someone had read them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SkippedSeenItem {
    count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_at: Option<i64>,
}

impl From<&SkippedSeen> for SkippedSeenItem {
    fn from(skipped: &SkippedSeen) -> Self {
        Self { count: skipped.count, last_at: skipped.last_at.map(millis) }
    }
}

impl SkippedSeenItem {
    pub(super) fn is_nothing(&self) -> bool {
        self.count == 0
    }

    pub(super) fn read(self) -> Result<SkippedSeen, Unreadable> {
        let last_at = self.last_at.map(|at| time_of("skipped_seen", at)).transpose()?;
        Ok(SkippedSeen { count: self.count, last_at })
    }
}

/// An error of sending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SendingItem {
    error: ErrorItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    version: u64,
}

impl From<&SendingStatus> for SendingItem {
    fn from(sending: &SendingStatus) -> Self {
        Self {
            error: ErrorItem::from(&sending.error),
            not_before: sending.not_before.map(millis),
            version: sending.version,
        }
    }
}

impl SendingItem {
    pub(super) fn read(self) -> Result<SendingStatus, Unreadable> {
        Ok(SendingStatus {
            error: self.error.read()?,
            not_before: self.not_before.map(|at| time_of("sending", at)).transpose()?,
            version: self.version,
        })
    }
}

/// The state of a sign-in, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AuthorizationItem {
    since: i64,
    refreshed_at: i64,
    /// Absent in older items, whose refresh token was stored at each use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl From<&Authorization> for AuthorizationItem {
    fn from(authorization: &Authorization) -> Self {
        Self {
            since: millis(authorization.since),
            refreshed_at: millis(authorization.refreshed_at),
            stored_at: Some(millis(authorization.stored_at)),
            expires_at: authorization.expires_at.map(millis),
        }
    }
}

impl AuthorizationItem {
    pub(super) fn read(self) -> Result<Authorization, Unreadable> {
        let at = |millis| time_of("authorization", millis);
        Ok(Authorization {
            since: at(self.since)?,
            refreshed_at: at(self.refreshed_at)?,
            stored_at: at(self.stored_at.unwrap_or(self.refreshed_at))?,
            expires_at: self.expires_at.map(at).transpose()?,
        })
    }
}
