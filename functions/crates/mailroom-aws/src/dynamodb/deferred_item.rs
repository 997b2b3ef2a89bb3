//! The messages that a profile's cursor passed although they could not be read, in its item.

use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::deferred::{Deferred, QuarantineNotice};
use mailroom_core::inbound::pending::{Extent, PendingMessage};
use serde::{Deserialize, Serialize};

use super::attribute::{Unreadable, is_false, millis, time_of};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeferredItem {
    uid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid_validity: Option<u32>,
    size: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    header_only: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    unlisted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arrived: Option<i64>,
    since: i64,
    tries: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    crashes: u32,
    due_at: i64,
    quarantine_notice: NoticeItem,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NoticeItem {
    Pending,
    Sent,
    Never,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl From<&Deferred> for DeferredItem {
    fn from(entry: &Deferred) -> Self {
        Self {
            uid: entry.message.uid.get(),
            uid_validity: entry.uid_validity.map(UidValidity::get),
            size: entry.message.size,
            header_only: entry.message.extent == Extent::Header,
            unlisted: entry.message.extent == Extent::Unlisted,
            arrived: entry.message.arrived.map(millis),
            since: millis(entry.since),
            tries: entry.tries,
            crashes: entry.crashes,
            due_at: millis(entry.due_at),
            quarantine_notice: match entry.notice {
                QuarantineNotice::Pending => NoticeItem::Pending,
                QuarantineNotice::Sent => NoticeItem::Sent,
                QuarantineNotice::Never => NoticeItem::Never,
            },
        }
    }
}

impl DeferredItem {
    pub(super) fn read(self) -> Result<Deferred, Unreadable> {
        let time = |millis| time_of("deferred", millis);
        let uid = Uid::new(self.uid)
            .ok_or_else(|| Unreadable { attribute: "deferred", why: "has UID 0".to_owned() })?;
        Ok(Deferred {
            message: PendingMessage {
                uid,
                extent: match (self.unlisted, self.header_only) {
                    (true, _) => Extent::Unlisted,
                    (false, true) => Extent::Header,
                    (false, false) => Extent::Whole,
                },
                size: self.size,
                arrived: self.arrived.map(time).transpose()?,
            },
            uid_validity: self.uid_validity.and_then(UidValidity::new),
            since: time(self.since)?,
            tries: self.tries,
            crashes: self.crashes,
            due_at: time(self.due_at)?,
            notice: match self.quarantine_notice {
                NoticeItem::Pending => QuarantineNotice::Pending,
                NoticeItem::Sent => QuarantineNotice::Sent,
                NoticeItem::Never => QuarantineNotice::Never,
            },
        })
    }
}
