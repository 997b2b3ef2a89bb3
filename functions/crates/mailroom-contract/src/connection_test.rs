//! What a connection test tells.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::profile_view::error_codes;

/// What became of a connection test. A server that the settings do not name is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestReport {
    /// The IMAP server.
    pub imap: Option<ImapReport>,
    /// The SMTP server.
    pub smtp: Option<SmtpReport>,
}

impl TestReport {
    /// Whether a server does not accept what was logged in with.
    #[must_use]
    pub fn refuses_login(&self) -> bool {
        let errors = [
            self.imap.as_ref().and_then(|imap| imap.error.as_ref()),
            self.smtp.as_ref().and_then(|smtp| smtp.error.as_ref()),
        ];
        errors
            .into_iter()
            .flatten()
            .any(|error| matches!(error.code, ErrorCode::ImapAuth | ErrorCode::SmtpAuth))
    }
}

/// What the IMAP server did.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImapReport {
    /// Whether a poll would succeed.
    pub ok: bool,
    /// Why it would not.
    pub error: Option<TestError>,
    /// How long it all took (milliseconds).
    pub latency_ms: u64,
    /// What the server says that it can do.
    pub capabilities: Vec<String>,
    /// The mailboxes that the login sees, at most a thousand.
    pub mailboxes: Vec<String>,
    /// How many messages in the mailbox nobody has read.
    pub unseen: Option<u32>,
}

/// What the SMTP server did.
#[derive(Debug, Serialize, ToSchema)]
pub struct SmtpReport {
    /// Whether it would take mail from the login.
    pub ok: bool,
    /// Why it would not.
    pub error: Option<TestError>,
    /// How long it all took (milliseconds).
    pub latency_ms: u64,
    /// What the server says that it can do.
    pub capabilities: Vec<String>,
}

/// Why a test failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestError {
    /// What kind.
    #[schema(schema_with = error_codes)]
    pub code: ErrorCode,
    /// One sentence that says what to change, with the server's words.
    pub message: String,
}

impl From<OwnerError> for TestError {
    fn from(trouble: OwnerError) -> Self {
        Self { code: trouble.code, message: trouble.message }
    }
}

/// A poll that has been asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The profile that will be polled within moments.
    pub profile_id: String,
}

/// That the function is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// `ok`.
    #[schema(value_type = String, example = "ok")]
    pub status: &'static str,
}
