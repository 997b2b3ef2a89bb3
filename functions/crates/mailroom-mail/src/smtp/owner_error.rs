//! Turns an [`SmtpError`] into the error code and the sentence that the mailbox's owner reads; `refusal` does this for
//! the refusals.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::{Security, Server};

use super::error::{Malformed, SmtpError, Step};
use super::refusal;
use mailroom_net::owner_error::{Protocol, quoting};

/// SMTP's codes and port for the errors that all protocols share.
const SMTP: Protocol =
    Protocol { name: "SMTP", connect: ErrorCode::SmtpConnect, tls: ErrorCode::SmtpTls, tls_port: 465 };

impl SmtpError {
    /// Whether the server refused the credential.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        matches!(self, Self::Refused { step, reply } if refusal::is_of_credential(*step, reply))
    }

    /// The error as the mailbox's owner reads it: what happened, quoting the server where it gave a reason, and what the
    /// owner can change.
    #[must_use]
    pub fn owner_error(&self, server: &Server) -> OwnerError {
        let at = format!("{} (port {})", server.host, server.port);
        let connect = |message: String| OwnerError::new(ErrorCode::SmtpConnect, message);
        match self {
            Self::Net(error) => SMTP.connection_failed(error, &at),
            Self::Tls(error) => SMTP.tls_failed(error, server.security, &at),
            Self::Timeout(step) => {
                let hint = match (step, server.security) {
                    (Step::Greeting, Security::StartTls) => {
                        "; if this port expects TLS from the first byte (465), set the security to \"tls\""
                    }
                    (Step::Tls, Security::Tls) => {
                        "; if this port begins in plain text (usually 587), set the security to \"starttls\""
                    }
                    _ => "",
                };
                OwnerError::new(
                    ErrorCode::SmtpTimeout,
                    format!("{at} did not answer in time (waiting for {step}){hint}."),
                )
            }
            Self::Broken { step, .. } => {
                connect(format!("The connection to {at} broke (waiting for {step})."))
            }
            Self::HungUp(step) => connect(format!("{at} closed the connection (waiting for {step}).")),
            Self::Refused { step, reply } => refusal::owner_error(*step, reply, &at),
            Self::OutOfStep { step, reply } => quoting(
                ErrorCode::SmtpConnect,
                &format!("{at} sent a reply that does not belong here (waiting for {step})"),
                &format!("{} {}", reply.code, reply.text),
                "Mailroom ends the session.",
            ),
            Self::Malformed { step, what } => of_malformed(*step, *what, &at),
            Self::NoStartTls => OwnerError::new(
                ErrorCode::SmtpTls,
                format!(
                    "{at} does not offer STARTTLS: use a port with TLS from the first byte, usually 465."
                ),
            ),
            Self::NoPasswordLogin => OwnerError::new(
                ErrorCode::SmtpAuth,
                format!(
                    "{at} does not offer a login with a password: use the submission port, usually 587, or sign in with OAuth2 if the provider supports it."
                ),
            ),
            Self::NoTokenLogin => OwnerError::new(
                ErrorCode::SmtpAuth,
                format!(
                    "{at} does not offer a login with OAuth2 (XOAUTH2 or OAUTHBEARER): use a password, or the provider's own host."
                ),
            ),
            Self::UnsendableCredential => OwnerError::new(
                ErrorCode::SmtpAuth,
                "The login or the password contains a character that cannot be sent: enter both again.",
            ),
        }
    }
}

fn of_malformed(step: Step, what: Malformed, at: &str) -> OwnerError {
    match (what, step) {
        (Malformed::Injection, _) => {
            OwnerError::new(ErrorCode::SmtpTls, format!("{at} is not safe to log in to: {what}."))
        }
        (Malformed::NoReply | Malformed::TooLong | Malformed::Contradiction, Step::Greeting) => {
            OwnerError::new(
                ErrorCode::SmtpConnect,
                format!(
                    "{at} does not speak SMTP: check host and port, usually 587 with the security \"starttls\" or 465 with \"tls\"."
                ),
            )
        }
        (Malformed::NoReply | Malformed::TooLong | Malformed::Contradiction, step) => OwnerError::new(
            ErrorCode::SmtpConnect,
            format!("{at} broke the SMTP protocol (waiting for {step}): {what}."),
        ),
    }
}
