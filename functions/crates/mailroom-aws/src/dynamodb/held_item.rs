//! The messages that are held back until their owner has answered, in the profile's item.

use mailroom_core::inbound::held_back::{Answer, HeldBack};
use serde::{Deserialize, Serialize};

use super::attribute::{Unreadable, is_false, millis, time_of};
use super::state_item::CursorItem;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeldItem {
    cursor: CursorItem,
    up_to: u32,
    count: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    more: bool,
    since: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    accepted: bool,
}

impl From<&HeldBack> for HeldItem {
    fn from(held: &HeldBack) -> Self {
        Self {
            cursor: CursorItem::from(&held.cursor),
            up_to: held.up_to,
            count: held.count,
            more: held.more,
            since: millis(held.since),
            accepted: held.answer == Answer::Accepted,
        }
    }
}

impl HeldItem {
    pub(super) fn read(self) -> Result<HeldBack, Unreadable> {
        Ok(HeldBack {
            cursor: self.cursor.read()?,
            up_to: self.up_to,
            count: self.count,
            more: self.more,
            since: time_of("held_back", self.since)?,
            answer: if self.accepted { Answer::Accepted } else { Answer::Awaited },
        })
    }
}
