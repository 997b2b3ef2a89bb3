//! Turns an [`SmtpError`] into the error code and the sentence that the mailbox's owner reads. The only place that
//! decides this.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::{Security, Server};

use super::error::{Malformed, SmtpError, Step};
use super::reply::Reply;
use mailroom_net::owner_error::Protocol;

/// SMTP's codes and port for the errors that all protocols share.
const SMTP: Protocol =
    Protocol { name: "SMTP", connect: ErrorCode::SmtpConnect, tls: ErrorCode::SmtpTls, tls_port: 465 };

impl SmtpError {
    /// Whether the server refused the credential.
    #[must_use]
    pub const fn is_login_refused(&self) -> bool {
        matches!(self, Self::Refused { step: Step::Login | Step::Token, reply } if !reply.is_transient())
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
                        "; if this port begins in plain text (587, 25), set the security to \"starttls\""
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
            Self::Refused { step, reply } => of_refusal(*step, reply, &at),
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
            OwnerError::new(ErrorCode::SmtpConnect, format!("{at} does not speak SMTP: check host and port."))
        }
        (Malformed::NoReply | Malformed::TooLong | Malformed::Contradiction, step) => OwnerError::new(
            ErrorCode::SmtpConnect,
            format!("{at} broke the SMTP protocol (waiting for {step}): {what}."),
        ),
    }
}

/// What the owner can do about a refused login, by the enhanced status code. Replies as seen:
/// - Microsoft 365: `535 5.7.139 Authentication unsuccessful, basic authentication is disabled.`
/// - Microsoft 365: `550 5.7.30 Basic authentication is not supported for Client Submission.`
/// - Gmail: `534-5.7.9 Application-specific password required.`
fn login_hint(reply: &Reply) -> &'static str {
    match reply.enhanced {
        Some((5, 7, 30 | 57 | 139)) => "The provider requires OAuth2 instead of a password.",
        Some((5, 7, 9)) => "The provider requires a password made for this program (an app password).",
        Some((5, 7, 14)) => "Sign in to the provider with a browser once, and allow this program there.",
        Some(_) | None => "Check login and password; many providers require an app password.",
    }
}

fn of_refusal(step: Step, reply: &Reply, at: &str) -> OwnerError {
    let (code, what, hint) = match (step, reply.is_transient()) {
        (
            Step::Login
            | Step::Token
            | Step::Greeting
            | Step::Ehlo
            | Step::Mail
            | Step::Recipient
            | Step::Data
            | Step::Content
            | Step::EndOfData
            | Step::Reset,
            true,
        ) => (ErrorCode::SmtpThrottled, "asks us to try again later", "Try again in a while."),
        (Step::Token, false) => (
            ErrorCode::SmtpAuth,
            "refused the login",
            "Check that the login is the account that granted access, and that SMTP is enabled for it.",
        ),
        (Step::Login, false) => (ErrorCode::SmtpAuth, "refused the login", login_hint(reply)),
        (Step::StartTls, _) => {
            (ErrorCode::SmtpTls, "refused STARTTLS", "Use a port with TLS from the first byte, usually 465.")
        }
        (Step::Connect | Step::Tls | Step::Greeting | Step::Ehlo, _) => {
            (ErrorCode::SmtpRejected, "refused the connection", "Ask its administrator why.")
        }
        (
            Step::Mail | Step::Recipient | Step::Data | Step::Content | Step::EndOfData | Step::Reset,
            false,
        ) => (ErrorCode::SmtpRejected, "refused the message", "Ask its administrator why."),
    };
    let number = reply.enhanced.map_or_else(
        || reply.code.to_string(),
        |(class, subject, detail)| format!("{} {class}.{subject}.{detail}", reply.code),
    );
    let said = if reply.words.is_empty() {
        format!(" ({number})")
    } else {
        format!(": \"{number} {}\"", reply.words)
    };
    let stop = if said.ends_with('"') { "." } else { "" };
    OwnerError::new(code, format!("{at} {what}{said}{stop} {hint}"))
}
