//! The result of an audit, in the profile's item.

use mailroom_core::audit::{AuditResult, AuditStatus, WaitingMark};
use mailroom_core::inbound::cursor::UidValidity;
use serde::{Deserialize, Serialize};

use super::attribute::{Unreadable, millis, time_of};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AuditItem {
    at: i64,
    result: ResultItem,
    #[serde(default, skip_serializing_if = "is_zero")]
    missing: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitingItem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResultItem {
    Fine,
    Missing,
    Inconclusive,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct WaitingItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid_validity: Option<u32>,
    up_to: u32,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&AuditStatus> for AuditItem {
    fn from(audit: &AuditStatus) -> Self {
        Self {
            at: millis(audit.at),
            result: match audit.result {
                AuditResult::Fine => ResultItem::Fine,
                AuditResult::Missing => ResultItem::Missing,
                AuditResult::Inconclusive => ResultItem::Inconclusive,
            },
            missing: audit.missing,
            reason: audit.reason.clone(),
            waiting: audit.waiting.map(|mark| WaitingItem {
                uid_validity: mark.uid_validity.map(UidValidity::get),
                up_to: mark.up_to,
            }),
        }
    }
}

impl AuditItem {
    pub(super) fn read(self) -> Result<AuditStatus, Unreadable> {
        Ok(AuditStatus {
            at: time_of("audit", self.at)?,
            result: match self.result {
                ResultItem::Fine => AuditResult::Fine,
                ResultItem::Missing => AuditResult::Missing,
                ResultItem::Inconclusive => AuditResult::Inconclusive,
            },
            missing: self.missing,
            reason: self.reason,
            waiting: self.waiting.map(|mark| WaitingMark {
                uid_validity: mark.uid_validity.and_then(UidValidity::new),
                up_to: mark.up_to,
            }),
        })
    }
}
