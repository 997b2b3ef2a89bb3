//! The result of an audit as the API returns it.

use mailroom_core::audit::{AuditResult, AuditStatus};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::time_text::rfc3339;

/// The result of an audit: another program reads the mailbox, and compares it with what was handed over within 30 days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audit)]
pub struct AuditView {
    /// When the audit ended.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: OffsetDateTime,
    /// What the audit says.
    pub result: AuditResultView,
    /// How many messages should have started a flow and have not.
    pub missing: u64,
    /// Why the audit says nothing for certain: a sentence for the owner of the mailbox. Null unless it is inconclusive.
    pub reason: Option<String>,
}

/// What an audit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditResult)]
pub enum AuditResultView {
    /// Every message that should have started a flow has started one.
    Fine,
    /// Messages have started no flow.
    Missing,
    /// The mailbox could not be compared, or not all of it.
    Inconclusive,
}

impl From<&AuditStatus> for AuditView {
    fn from(audit: &AuditStatus) -> Self {
        Self {
            at: audit.at,
            result: match audit.result {
                AuditResult::Fine => AuditResultView::Fine,
                AuditResult::Missing => AuditResultView::Missing,
                AuditResult::Inconclusive => AuditResultView::Inconclusive,
            },
            missing: audit.missing,
            reason: audit.reason.clone(),
        }
    }
}
