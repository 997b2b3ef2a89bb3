//! The changes that a profile's mailbox still lacks, in the profile's item.

use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::overdue::OverdueChanges;
use serde::{Deserialize, Serialize};

use super::attribute::{Unreadable, millis, time_of};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OverdueItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid_validity: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    untouched: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    copied: Vec<u32>,
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: u64,
    error: String,
    since: i64,
    tries: u32,
    due_at: i64,
    version: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&OverdueChanges> for OverdueItem {
    fn from(overdue: &OverdueChanges) -> Self {
        let numbers = |uids: &[Uid]| uids.iter().map(|uid| uid.get()).collect();
        Self {
            uid_validity: overdue.uid_validity.map(UidValidity::get),
            untouched: numbers(&overdue.untouched),
            copied: numbers(&overdue.copied),
            left_out: overdue.left_out,
            error: overdue.error.clone(),
            since: millis(overdue.since),
            tries: overdue.tries,
            due_at: millis(overdue.due_at),
            version: overdue.version,
        }
    }
}

impl OverdueItem {
    pub(super) fn read(self) -> Result<OverdueChanges, Unreadable> {
        let time = |millis| time_of("overdue_changes", millis);
        let uids = |numbers: Vec<u32>| numbers.into_iter().filter_map(Uid::new).collect();
        Ok(OverdueChanges {
            uid_validity: self.uid_validity.and_then(UidValidity::new),
            untouched: uids(self.untouched),
            copied: uids(self.copied),
            left_out: self.left_out,
            error: self.error,
            since: time(self.since)?,
            tries: self.tries,
            due_at: time(self.due_at)?,
            version: self.version,
        })
    }
}
