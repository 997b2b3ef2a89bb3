//! From what went wrong to what the mailbox's owner reads. The only place where this is decided.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::{Security, Server};

use super::error::{Malformed, SmtpError, Step};
use super::reply::Reply;
use mailroom_net::owner_error::Protocol;

/// What SMTP calls the troubles that all protocols have.
const SMTP: Protocol =
    Protocol { name: "SMTP", connect: ErrorCode::SmtpConnect, tls: ErrorCode::SmtpTls, tls_port: 465 };

impl SmtpError {
    /// Whether the server does not accept what we log in with.
    #[must_use]
    pub const fn is_login_refused(&self) -> bool {
        matches!(self, Self::Refused { step: Step::Login | Step::Token, reply } if !reply.is_transient())
    }

    /// The trouble as the mailbox's owner reads it: what happened, in the server's words where it gave any, and what
    /// could be changed.
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
                    format!("{at} did not answer in time while we waited for {step}{hint}."),
                )
            }
            Self::Broken { step, .. } => {
                connect(format!("The connection to {at} broke while we waited for {step}."))
            }
            Self::HungUp(step) => connect(format!("{at} hung up while we waited for {step}.")),
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
                    "{at} offers no login with a password: use the port for submission, usually 587, or sign in with OAuth2 if the provider has it."
                ),
            ),
            Self::NoTokenLogin => OwnerError::new(
                ErrorCode::SmtpAuth,
                format!(
                    "{at} offers no login with OAuth2 (XOAUTH2 or OAUTHBEARER): use a password, or the provider's own host."
                ),
            ),
            Self::Unsendable => OwnerError::new(
                ErrorCode::SmtpAuth,
                "The login or the password holds a character that cannot be sent: enter both again.",
            ),
        }
    }
}

fn of_malformed(step: Step, what: Malformed, at: &str) -> OwnerError {
    match (what, step) {
        (Malformed::Injection, _) => {
            OwnerError::new(ErrorCode::SmtpTls, format!("{at} cannot be trusted with a login: {what}."))
        }
        (Malformed::NoReply | Malformed::TooLong | Malformed::Contradiction, Step::Greeting) => {
            OwnerError::new(ErrorCode::SmtpConnect, format!("{at} does not speak SMTP: check host and port."))
        }
        (Malformed::NoReply | Malformed::TooLong | Malformed::Contradiction, step) => OwnerError::new(
            ErrorCode::SmtpConnect,
            format!("{at} does not keep to SMTP while we wait for {step}: {what}."),
        ),
    }
}

/// What a provider's refusal of a login asks for.
/// - Microsoft 365: `535 5.7.139 Authentication unsuccessful, basic authentication is disabled.`
/// - Microsoft 365: `550 5.7.30 Basic authentication is not supported for Client Submission.`
/// - Gmail: `534-5.7.9 Application-specific password required.`
fn login_hint(reply: &Reply) -> &'static str {
    match reply.enhanced {
        Some((5, 7, 30 | 57 | 139)) => "The provider wants OAuth2 in place of a password.",
        Some((5, 7, 9)) => "The provider wants a password made for this program (an app password).",
        Some((5, 7, 14)) => {
            "The provider wants you to sign in with a browser once, and to allow this program."
        }
        Some(_) | None => "Check login and password; many providers want an app password.",
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
            | Step::Verdict
            | Step::Reset,
            true,
        ) => (ErrorCode::SmtpThrottled, "asks us to come back later", "Try again in a while."),
        (Step::Token, false) => (
            ErrorCode::SmtpAuth,
            "refused the login",
            "Check that the login is the account that the provider's access is for, and that SMTP is allowed for it.",
        ),
        (Step::Login, false) => (ErrorCode::SmtpAuth, "refused the login", login_hint(reply)),
        (Step::StartTls, _) => {
            (ErrorCode::SmtpTls, "refused STARTTLS", "Use a port with TLS from the first byte, usually 465.")
        }
        (Step::Connect | Step::Tls | Step::Greeting | Step::Ehlo, _) => {
            (ErrorCode::SmtpRejected, "does not want to talk to us", "Ask its administrator why.")
        }
        (Step::Mail | Step::Recipient | Step::Data | Step::Content | Step::Verdict | Step::Reset, false) => {
            (ErrorCode::SmtpRejected, "refused the mail", "Ask its administrator why.")
        }
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
