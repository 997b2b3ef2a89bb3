//! The result of a connection test.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::profile_view::error_codes;

/// The result of a connection test. A server that the settings do not name is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestReport {
    /// The result for the IMAP server.
    pub imap: Option<ImapReport>,
    /// The result for the SMTP server.
    pub smtp: Option<SmtpReport>,
}

impl TestReport {
    /// Whether a server refuses the login or its credential.
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

/// The result of a test of the IMAP server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImapReport {
    /// Whether a poll would succeed.
    pub ok: bool,
    /// Why it would not.
    pub error: Option<TestError>,
    /// How long the test of this server took (milliseconds).
    pub latency_ms: u64,
    /// The server's capabilities (RFC 9051 §7.2.2).
    pub capabilities: Vec<String>,
    /// The mailboxes that the login sees, at most a thousand.
    pub mailboxes: Vec<String>,
    /// The number of unread messages in the mailbox.
    pub unseen: Option<u32>,
}

/// The result of a test of the SMTP server.
#[derive(Debug, Serialize, ToSchema)]
pub struct SmtpReport {
    /// Whether the server would accept a message from the login.
    pub ok: bool,
    /// Why it would not.
    pub error: Option<TestError>,
    /// How long the test of this server took (milliseconds).
    pub latency_ms: u64,
    /// The server's extensions, as its reply to EHLO lists them (RFC 5321 §4.1.1.1).
    pub capabilities: Vec<String>,
}

/// Why a test failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestError {
    /// The kind of error.
    #[schema(schema_with = error_codes)]
    pub code: ErrorCode,
    /// One sentence that says what to change, with the server's words.
    pub message: String,
}

impl From<OwnerError> for TestError {
    fn from(error: OwnerError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// A poll that was requested.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The profile that will be polled within moments.
    pub profile_id: String,
}

/// The answer of a function that works.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// The status, which is `ok`.
    #[schema(value_type = String, example = "ok")]
    pub status: &'static str,
}
