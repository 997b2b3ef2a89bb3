//! Turns an [`ImapError`] into the error code and the sentence that the mailbox's owner reads. The only place that
//! decides this.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::{Security, Server};

use super::error::{Code, ImapError, Malformed, NotWritable, Refusal, Reply, Step};
use mailroom_net::owner_error::Protocol;

/// IMAP's codes and port for the errors that all protocols share.
const IMAP: Protocol =
    Protocol { name: "IMAP", connect: ErrorCode::ImapConnect, tls: ErrorCode::ImapTls, tls_port: 993 };

impl ImapError {
    /// Whether the server refused the credential.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        if let Self::Refused { step: step @ (Step::Login | Step::Token), reply } = self {
            code_of_refusal(*step, reply) == ErrorCode::ImapAuth
        } else {
            false
        }
    }

    /// The error as the mailbox's owner reads it: what happened, quoting the server where it gave a reason, and what the
    /// owner can change.
    #[must_use]
    pub fn owner_error(&self, server: &Server) -> OwnerError {
        let at = format!("{} (port {})", server.host, server.port);
        let protocol = |message: String| OwnerError::new(ErrorCode::ImapProtocol, message);
        match self {
            Self::Net(error) => IMAP.connection_failed(error, &at),
            Self::Tls(error) => IMAP.tls_failed(error, server.security, &at),
            Self::Timeout(step) => {
                let hint = match (step, server.security) {
                    (Step::Greeting, Security::StartTls) => {
                        "; if this port expects TLS from the first byte, set the security to \"tls\""
                    }
                    _ => "",
                };
                OwnerError::new(
                    ErrorCode::ImapTimeout,
                    format!("{at} did not answer in time (waiting for {step}){hint}."),
                )
            }
            Self::Broken { step, .. } => {
                protocol(format!("The connection to {at} broke (waiting for {step})."))
            }
            Self::HungUp(step) => protocol(format!("{at} closed the connection (waiting for {step}).")),
            Self::Refused { step, reply } => of_refusal(*step, reply, &at),
            Self::Malformed { step, what } => of_malformed(*step, *what, &at),
            Self::NoPasswordLogin => OwnerError::new(
                ErrorCode::ImapAuth,
                format!(
                    "{at} does not accept a login with a password; sign in with OAuth2 if the provider has it."
                ),
            ),
            Self::NoTokenLogin => OwnerError::new(
                ErrorCode::ImapAuth,
                format!(
                    "{at} does not offer a login with OAuth2 (XOAUTH2 or OAUTHBEARER): use a password, or the provider's own host."
                ),
            ),
            Self::UnsendableCredential => OwnerError::new(
                ErrorCode::ImapAuth,
                "The login or the password contains a character that cannot be sent: enter both again.",
            ),
            Self::UnsearchableMessageId => OwnerError::new(
                ErrorCode::Internal,
                "The Message-ID of a sent message cannot be searched for.",
            ),
            Self::CannotMove => OwnerError::new(
                ErrorCode::ImapMailbox,
                format!("{at} cannot move messages: choose to keep them or to mark them as seen."),
            ),
            Self::NotWritable(NotWritable::ReadOnly) => OwnerError::new(
                ErrorCode::ImapMailbox,
                format!(
                    "{at} lets this login read the mailbox but not change it: allow changes, or choose to keep messages as they are."
                ),
            ),
            Self::NotWritable(NotWritable::Renumbered) => {
                protocol(format!("{at} recreated the mailbox while it was being read."))
            }
            Self::Spent => OwnerError::new(
                ErrorCode::Internal,
                "The connection to the mail server was used after it failed.",
            ),
        }
    }
}

fn of_malformed(step: Step, what: Malformed, at: &str) -> OwnerError {
    match what {
        Malformed::Greeting => OwnerError::new(
            ErrorCode::ImapProtocol,
            format!("{at} does not speak IMAP: check host and port."),
        ),
        Malformed::Injection | Malformed::PreauthBeforeTls => {
            OwnerError::new(ErrorCode::ImapTls, format!("{at} is not safe to log in to: {what}."))
        }
        Malformed::LongLine
        | Malformed::LongLiteral
        | Malformed::ForeignTag
        | Malformed::Fetch
        | Malformed::Continuation
        | Malformed::NoExists
        | Malformed::Empty
        | Malformed::Sizes
        | Malformed::Search
        | Malformed::Endless => OwnerError::new(
            ErrorCode::ImapProtocol,
            format!("{at} broke the IMAP protocol (waiting for {step}): {what}."),
        ),
    }
}

fn of_refusal(step: Step, reply: &Reply, at: &str) -> OwnerError {
    let code = code_of_refusal(step, reply);
    let said = match (reply.refusal, reply.words.is_empty()) {
        (_, false) => format!(": \"{}\"", reply.words),
        (Refusal::No, true) => " (NO)".to_owned(),
        (Refusal::Bad, true) => " (BAD)".to_owned(),
        (Refusal::Bye, true) => " (BYE)".to_owned(),
    };
    let (what, hint) = match (code, step) {
        (ErrorCode::ImapAuth, Step::Token) => (
            "refused the login",
            "Check that the login is the account that granted access, and that IMAP is enabled for it.",
        ),
        (ErrorCode::ImapAuth, _) => {
            ("refused the login", "Check login and password; many providers require an app password.")
        }
        (ErrorCode::ImapTls, _) => {
            ("refused STARTTLS", "Use a port with TLS from the first byte, usually 993.")
        }
        (ErrorCode::ImapThrottled, _) => {
            ("asks us to try again later", "Fewer programs on this mailbox, or a longer interval, may help.")
        }
        (ErrorCode::ImapMailbox, Step::Move) => (
            "cannot move messages to the mailbox that is set for them",
            "Check that it exists and that the login may write to it.",
        ),
        (ErrorCode::ImapMailbox, Step::OpenSent) => {
            ("refused to open the mailbox for sent messages", "Check that the login may read it.")
        }
        (ErrorCode::ImapMailbox, Step::Append) if reply.code == Some(Code::OverQuota) => (
            "cannot file the copy of a sent message, because the mailbox is full",
            "Delete some messages, or ask the provider for more space.",
        ),
        (ErrorCode::ImapMailbox, Step::Append) => (
            "refused to file the copy of a sent message",
            "Check that the mailbox for sent messages exists and that the login may write to it.",
        ),
        (ErrorCode::ImapMailbox, _) => {
            ("refused to open the mailbox", "Check its name and that the login may read it.")
        }
        (_, Step::Login | Step::Token) => ("cannot complete the login at the moment", ""),
        (_, Step::Search) => ("did not search for a sent message", ""),
        (_, Step::Append) => ("did not file the copy of a sent message", ""),
        _ => ("refused the request", ""),
    };
    OwnerError::new(code, format!("{at} {what}{said}. {hint}").trim_end()).retry_after(reply.pause)
}

/// What a refusal means: by its response code, or without one by the step. Exhaustive on purpose.
fn code_of_refusal(step: Step, reply: &Reply) -> ErrorCode {
    if reply.throttled {
        return ErrorCode::ImapThrottled;
    }
    match reply.code {
        // Gmail also sends OVERQUOTA for its bandwidth limit; its text was recognized above (`throttled`).
        Some(Code::OverQuota) if step == Step::Append => ErrorCode::ImapMailbox,
        Some(Code::Throttled | Code::Limit | Code::OverQuota) => ErrorCode::ImapThrottled,
        Some(Code::Unavailable | Code::InUse | Code::ServerBug | Code::Corruption | Code::ClientBug) => {
            ErrorCode::ImapProtocol
        }
        Some(
            Code::AuthenticationFailed | Code::AuthorizationFailed | Code::Expired | Code::PrivacyRequired,
        ) if matches!(step, Step::Login | Step::Token) => ErrorCode::ImapAuth,
        Some(
            Code::Nonexistent | Code::TryCreate | Code::NoPerm | Code::Cannot | Code::AuthorizationFailed,
        ) if matches!(step, Step::Open | Step::Move | Step::OpenSent | Step::Append) => {
            ErrorCode::ImapMailbox
        }
        Some(
            Code::Alert
            | Code::ContactAdmin
            | Code::AuthenticationFailed
            | Code::AuthorizationFailed
            | Code::Expired
            | Code::PrivacyRequired
            | Code::Nonexistent
            | Code::TryCreate
            | Code::NoPerm
            | Code::Cannot
            | Code::ExpungeIssued,
        )
        | None => by_step(step, reply.refusal),
    }
}

fn by_step(step: Step, refusal: Refusal) -> ErrorCode {
    match (step, refusal) {
        (Step::Login | Step::Token, Refusal::No) => ErrorCode::ImapAuth,
        (Step::StartTls, Refusal::No | Refusal::Bad) => ErrorCode::ImapTls,
        (Step::Open | Step::OpenSent, Refusal::No) => ErrorCode::ImapMailbox,
        (
            Step::Connect
            | Step::Tls
            | Step::Greeting
            | Step::StartTls
            | Step::Capability
            | Step::Login
            | Step::Token
            | Step::Mailboxes
            | Step::Status
            | Step::Open
            | Step::List
            | Step::Fetch
            | Step::Store
            | Step::Move
            | Step::OpenSent
            | Step::Search
            | Step::Append
            | Step::Logout,
            Refusal::No | Refusal::Bad | Refusal::Bye,
        ) => ErrorCode::ImapProtocol,
    }
}
