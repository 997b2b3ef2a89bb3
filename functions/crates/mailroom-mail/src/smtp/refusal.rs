//! What a server's refusal means to the mailbox's owner: the only place that decides this.
//!
//! The enhanced status code decides where there is one (RFC 3463, RFC 4954 §6), then the reply code, then the step. The
//! meaning then has one error code and one sentence; `tests/replies.rs` is the table of all of them.

use mailroom_core::owner_error::{ErrorCode, OwnerError};

use super::error::Step;
use super::reply::Reply;
use mailroom_net::owner_error::quoting;

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It passes.
    Later,
    /// A sending limit is reached, which ends by itself.
    Limit,
    /// The login or the secret is wrong.
    Credential,
    /// The provider wants a password that is made for one program.
    AppPassword,
    /// The provider wants OAuth2 instead of a password.
    WantsToken,
    /// The owner has to log in with a browser once.
    WebLogin,
    /// SMTP is switched off for this mailbox.
    SwitchedOff,
    /// The account is disabled, or its organization forbids the login.
    Administrator,
    /// The server does not know the mechanism, or no login at all on this port.
    Mechanism,
    /// The server wants a login first.
    LoginFirst,
    /// The server does not see that the connection is encrypted.
    Unencrypted,
    /// The server does not begin TLS.
    NoTls,
    /// The server does not accept the name in EHLO.
    Name,
    /// The server does not accept the connection.
    Connection,
    /// The server refuses the message.
    Message,
}

impl Meaning {
    fn of(step: Step, reply: &Reply) -> Self {
        if reply.is_sending_limit() {
            return Self::Limit;
        }
        if reply.is_transient() {
            return if step == Step::Ehlo { Self::Name } else { Self::Later };
        }
        match step {
            Step::Login | Step::Token => Self::of_login(reply),
            Step::StartTls => Self::NoTls,
            Step::Ehlo => Self::Name,
            Step::Connect | Step::Tls | Step::Greeting => Self::Connection,
            Step::Mail | Step::Recipient | Step::Data if reply.code == 530 => Self::of_530(reply),
            Step::Mail | Step::Recipient | Step::Data | Step::Content | Step::EndOfData | Step::Reset => {
                Self::Message
            }
        }
    }

    /// What a refused login means. Replies as seen:
    /// - Microsoft 365: `535 5.7.139 Authentication unsuccessful, basic authentication is disabled.`
    /// - Microsoft 365: `535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.`
    /// - Microsoft 365: `535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults`
    /// - Microsoft 365: `550 5.7.30 Basic authentication is not supported for Client Submission.`
    /// - Gmail: `534-5.7.9 Application-specific password required.`
    /// - Gmail: `534-5.7.14 Please log in via your web browser and then try again.`
    /// - Postfix: `503 5.5.1 Error: authentication not enabled`, `530 5.7.0 Must issue a STARTTLS command first`
    /// - Exchange: `504 5.7.4 Unrecognized authentication type`
    fn of_login(reply: &Reply) -> Self {
        let lower = reply.text.to_ascii_lowercase();
        match (reply.enhanced, reply.code) {
            _ if lower.contains("smtpclientauthentication is disabled") => Self::SwitchedOff,
            (Some((5, 7, 30 | 57)), _) => Self::WantsToken,
            (Some((5, 7, 139)), _) if lower.contains("basic authentication") => Self::WantsToken,
            (Some((5, 7, 139)), _) if lower.contains("incorrect") => Self::Credential,
            (Some((5, 7, 13 | 139)), _) | (_, 525) => Self::Administrator,
            (Some((5, 7, 9)), _) => Self::AppPassword,
            (Some((5, 7, 14)), _) => Self::WebLogin,
            (Some((5, 7, 10 | 11)), _) | (_, 523 | 524 | 538) => Self::Unencrypted,
            (Some((5, 7, 4)), _) | (_, 500 | 502 | 503 | 504) => Self::Mechanism,
            (_, 530) => Self::of_530(reply),
            (Some(_) | None, _) => Self::Credential,
        }
    }

    /// 530: something is missing before the command, STARTTLS or a login (RFC 3207 §4, RFC 4954 §6).
    fn of_530(reply: &Reply) -> Self {
        if reply.text.to_ascii_uppercase().contains("STARTTLS") {
            Self::Unencrypted
        } else {
            Self::LoginFirst
        }
    }

    const fn code(self, reply: &Reply) -> ErrorCode {
        match self {
            Self::Later | Self::Limit => ErrorCode::SmtpThrottled,
            Self::Credential
            | Self::AppPassword
            | Self::WantsToken
            | Self::WebLogin
            | Self::SwitchedOff
            | Self::Administrator
            | Self::Mechanism
            | Self::LoginFirst => ErrorCode::SmtpAuth,
            Self::Unencrypted | Self::NoTls => ErrorCode::SmtpTls,
            Self::Name if reply.code < 500 => ErrorCode::SmtpThrottled,
            Self::Name | Self::Connection | Self::Message => ErrorCode::SmtpRejected,
        }
    }
}

/// Whether the server refused the credential: another one may help.
pub(super) fn is_of_credential(step: Step, reply: &Reply) -> bool {
    matches!(step, Step::Login | Step::Token) && Meaning::of(step, reply).code(reply) == ErrorCode::SmtpAuth
}

/// The error for the mailbox's owner. `at` names host and port.
pub(super) fn owner_error(step: Step, reply: &Reply, at: &str) -> OwnerError {
    let meaning = Meaning::of(step, reply);
    let number = reply.enhanced.map_or_else(
        || reply.code.to_string(),
        |(class, subject, detail)| format!("{} {class}.{subject}.{detail}", reply.code),
    );
    let words = format!("{number} {}", reply.text);
    quoting(meaning.code(reply), &format!("{at} {}", did(meaning, step)), words.trim(), hint(meaning, step))
}

/// What the server did.
const fn did(meaning: Meaning, step: Step) -> &'static str {
    match (meaning, step) {
        (Meaning::Later, Step::StartTls) => "cannot begin TLS at the moment",
        (Meaning::Later, Step::Login | Step::Token) => "cannot complete the login at the moment",
        (Meaning::Later, _) => "asks us to try again later",
        (Meaning::Limit, _) => "takes no more messages for now",
        (Meaning::NoTls, _) => "refused STARTTLS",
        (Meaning::Name, _) => "did not accept how Mailroom introduced itself (EHLO)",
        (Meaning::Connection, _) => "refused the connection",
        (Meaning::Message, _)
        | (
            Meaning::LoginFirst | Meaning::Unencrypted,
            Step::Mail | Step::Recipient | Step::Data | Step::Content | Step::EndOfData | Step::Reset,
        ) => "refused the message",
        (
            Meaning::Credential
            | Meaning::AppPassword
            | Meaning::WantsToken
            | Meaning::WebLogin
            | Meaning::SwitchedOff
            | Meaning::Administrator
            | Meaning::Mechanism
            | Meaning::LoginFirst
            | Meaning::Unencrypted,
            _,
        ) => "refused the login",
    }
}

/// What the owner can do.
const fn hint(meaning: Meaning, step: Step) -> &'static str {
    match (meaning, step) {
        (Meaning::Later, _) => "Mailroom tries again by itself.",
        (Meaning::Limit, _) => {
            "A sending limit of the provider is reached: Mailroom tries again by itself; fewer messages at a time help."
        }
        (Meaning::Credential, Step::Token) => {
            "Check that the login is the account that granted access, and that SMTP is enabled for it."
        }
        (Meaning::Credential, _) => "Check login and password; many providers require an app password.",
        (Meaning::AppPassword, _) => {
            "The provider requires a password made for this program (an app password)."
        }
        (Meaning::WantsToken, _) => "The provider requires OAuth2 instead of a password.",
        (Meaning::WebLogin, _) => "Log in to the provider with a browser once, and allow this program there.",
        (Meaning::SwitchedOff, _) => {
            "SMTP is switched off for this mailbox: its organization's administrator has to allow authenticated SMTP for it."
        }
        (Meaning::Administrator, _) => {
            "The account or its organization does not allow this login: ask the administrator."
        }
        (Meaning::Mechanism, Step::Token) => {
            "The server does not take OAuth2 tokens here: use a password, or the provider's own host."
        }
        (Meaning::Mechanism, _) => {
            "The server does not take passwords here: use its submission port, usually 587 or 465, or sign in with OAuth2 if the provider has it."
        }
        (Meaning::LoginFirst, _) => {
            "The server wants a login that it did not get: use its submission port, usually 587 or 465, and check which login may send."
        }
        (Meaning::Unencrypted, _) => {
            "The server does not see that the connection is encrypted: use its port with TLS from the first byte, usually 465, or ask its administrator."
        }
        (Meaning::NoTls, _) => "Use a port with TLS from the first byte, usually 465.",
        (Meaning::Name, _) => {
            "Mailroom tries again by itself; if it stays like this, set MAILROOM_EHLO_NAME to a host name that the server accepts."
        }
        (Meaning::Connection, _) => {
            "Mailroom tries again by itself; if it stays like this, ask the provider whether it blocks connections from Mailroom."
        }
        (Meaning::Message, _) => "The server's administrator knows why.",
    }
}
