//! What can go wrong with a profile, in words for the person who owns the mailbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The code of a profile's error: part of the contract with our users' clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The IMAP server cannot be reached.
    ImapConnect,
    /// TLS with the IMAP server failed: an untrusted, expired or foreign certificate, or no STARTTLS.
    ImapTls,
    /// The IMAP server refused the login.
    ImapAuth,
    /// The mailbox does not exist or may not be read.
    ImapMailbox,
    /// The IMAP server asks us to come back later.
    ImapThrottled,
    /// The IMAP server said something that is not IMAP, refused a command, or hung up.
    ImapProtocol,
    /// The IMAP server did not answer in time.
    ImapTimeout,
    /// The OpenID provider cannot be used for now: its discovery document, or another answer of it, is unavailable.
    Oauth2Discovery,
    /// The OAuth2 grant is gone: someone has to sign in again.
    Oauth2Grant,
    /// The OAuth2 provider refused the client.
    Oauth2Client,
    /// The SMTP server cannot be reached.
    SmtpConnect,
    /// TLS with the SMTP server failed.
    SmtpTls,
    /// The SMTP server refused the login.
    SmtpAuth,
    /// The SMTP server asks us to come back later.
    SmtpThrottled,
    /// The SMTP server refused the message.
    SmtpRejected,
    /// The SMTP server did not answer in time.
    SmtpTimeout,
    /// The host is private, or does not resolve to an address we may connect to.
    HostNotAllowed,
    /// The profile has no credential stored.
    SecretMissing,
    /// The flow schema's queue takes no jobs.
    JobQueue,
    /// Our own trouble: nothing the owner could change.
    Internal,
}

/// Who can fix an error, and so what it does to the profile's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// It goes away by itself: retried with backoff, never paused.
    Transient,
    /// The server named a pause, or one is due: wait, then go on as before.
    Throttled,
    /// Only a change of the profile, or at the mail server, fixes it.
    Owner,
    /// Only a new sign-in fixes it.
    Authorization,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::ImapConnect,
        Self::ImapTls,
        Self::ImapAuth,
        Self::ImapMailbox,
        Self::ImapThrottled,
        Self::ImapProtocol,
        Self::ImapTimeout,
        Self::Oauth2Discovery,
        Self::Oauth2Grant,
        Self::Oauth2Client,
        Self::SmtpConnect,
        Self::SmtpTls,
        Self::SmtpAuth,
        Self::SmtpThrottled,
        Self::SmtpRejected,
        Self::SmtpTimeout,
        Self::HostNotAllowed,
        Self::SecretMissing,
        Self::JobQueue,
        Self::Internal,
    ];

    /// Who can fix it. Exhaustive on purpose: a new code has to be decided here.
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::ImapConnect
            | Self::ImapProtocol
            | Self::ImapTimeout
            | Self::Oauth2Discovery
            | Self::SmtpConnect
            | Self::SmtpRejected
            | Self::SmtpTimeout
            | Self::JobQueue
            | Self::Internal => ErrorClass::Transient,
            Self::ImapThrottled | Self::SmtpThrottled => ErrorClass::Throttled,
            Self::ImapTls
            | Self::ImapAuth
            | Self::ImapMailbox
            | Self::Oauth2Client
            | Self::SmtpTls
            | Self::SmtpAuth
            | Self::HostNotAllowed
            | Self::SecretMissing => ErrorClass::Owner,
            Self::Oauth2Grant => ErrorClass::Authorization,
        }
    }
}

/// One failure of a profile, as its owner reads it. Never holds a secret, a message's content or a Rust type's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// One sentence for the owner, with the server's own words where it gave any.
    pub message: String,
    /// The pause the server asked for, if it named one.
    pub retry_after: Option<Duration>,
    /// What it turns out to be if it repeats: a few servers say the same to what passes and to what only the owner can
    /// fix.
    pub if_it_repeats: Option<Box<Self>>,
}

impl OwnerError {
    /// The longest message kept: a server's words are quoted, not archived.
    pub const MAX_MESSAGE_CHARS: usize = 500;

    /// A trouble with `message` cut to [`Self::MAX_MESSAGE_CHARS`] and freed of control characters.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl AsRef<str>) -> Self {
        let message = message
            .as_ref()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(Self::MAX_MESSAGE_CHARS)
            .collect();
        Self { code, message, retry_after: None, if_it_repeats: None }
    }

    /// The same trouble, with the pause that the server asked for.
    #[must_use]
    pub fn retry_after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// The same trouble, which turns out to be `other` if it repeats.
    #[must_use]
    pub fn if_it_repeats(mut self, other: Self) -> Self {
        self.if_it_repeats = Some(Box::new(other));
        self
    }
}

impl std::fmt::Display for OwnerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OwnerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_are_all_codes() {
        // A new code has to be given the next place here, and so in the list.
        let place = |code: ErrorCode| -> usize {
            match code {
                ErrorCode::ImapConnect => 0,
                ErrorCode::ImapTls => 1,
                ErrorCode::ImapAuth => 2,
                ErrorCode::ImapMailbox => 3,
                ErrorCode::ImapThrottled => 4,
                ErrorCode::ImapProtocol => 5,
                ErrorCode::ImapTimeout => 6,
                ErrorCode::Oauth2Discovery => 7,
                ErrorCode::Oauth2Grant => 8,
                ErrorCode::Oauth2Client => 9,
                ErrorCode::SmtpConnect => 10,
                ErrorCode::SmtpTls => 11,
                ErrorCode::SmtpAuth => 12,
                ErrorCode::SmtpThrottled => 13,
                ErrorCode::SmtpRejected => 14,
                ErrorCode::SmtpTimeout => 15,
                ErrorCode::HostNotAllowed => 16,
                ErrorCode::SecretMissing => 17,
                ErrorCode::JobQueue => 18,
                ErrorCode::Internal => 19,
            }
        };
        for (at, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(place(code), at);
        }
    }
}
