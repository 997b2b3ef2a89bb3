//! From what went wrong to what the mailbox's owner reads. The only place where this is decided.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::{Security, Server};

use super::error::{Code, ImapError, Malformed, NotWritable, Refusal, Reply, Step};
use mailroom_net::owner_error::Protocol;

/// What IMAP calls the troubles that all protocols have.
const IMAP: Protocol =
    Protocol { name: "IMAP", connect: ErrorCode::ImapConnect, tls: ErrorCode::ImapTls, tls_port: 993 };

impl ImapError {
    /// Whether the server does not accept what we log in with.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        if let Self::Refused { step: step @ (Step::Login | Step::Token), reply } = self {
            code_of_refusal(*step, reply) == ErrorCode::ImapAuth
        } else {
            false
        }
    }

    /// The trouble as the mailbox's owner reads it: what happened, in the server's words where it gave any, and what
    /// could be changed.
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
                    format!("{at} did not answer in time while we waited for {step}{hint}."),
                )
            }
            Self::Broken { step, .. } => {
                protocol(format!("The connection to {at} broke while we waited for {step}."))
            }
            Self::HungUp(step) => protocol(format!("{at} hung up while we waited for {step}.")),
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
                    "{at} offers no login with OAuth2 (XOAUTH2 or OAUTHBEARER): use a password, or the provider's own host."
                ),
            ),
            Self::Unsendable => OwnerError::new(
                ErrorCode::ImapAuth,
                "The login or the password holds a character that cannot be sent: enter both again.",
            ),
            Self::UnsendableId => OwnerError::new(
                ErrorCode::Internal,
                "The Message-ID of a sent mail is not one that can be looked for.",
            ),
            Self::CannotMove => OwnerError::new(
                ErrorCode::ImapMailbox,
                format!("{at} cannot move messages: choose to keep them or to mark them as seen."),
            ),
            Self::NotWritable(NotWritable::ReadOnly) => OwnerError::new(
                ErrorCode::ImapMailbox,
                format!(
                    "{at} lets this login read the mailbox but not change it: allow it, or choose to keep messages as they are."
                ),
            ),
            Self::NotWritable(NotWritable::Renumbered) => {
                protocol(format!("{at} has made the mailbox anew while it was read."))
            }
            Self::Spent => OwnerError::new(
                ErrorCode::Internal,
                "The connection to the mail server was used after it had failed.",
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
            OwnerError::new(ErrorCode::ImapTls, format!("{at} cannot be trusted with a login: {what}."))
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
            format!("{at} does not keep to IMAP while we wait for {step}: {what}."),
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
            "Check that the login is the account that the provider's access is for, and that IMAP is allowed for it.",
        ),
        (ErrorCode::ImapAuth, _) => {
            ("refused the login", "Check login and password; many providers want an app password.")
        }
        (ErrorCode::ImapTls, _) => {
            ("refused STARTTLS", "Use a port with TLS from the first byte, usually 993.")
        }
        (ErrorCode::ImapThrottled, _) => {
            ("asks us to come back later", "Fewer programs on this mailbox, or a longer interval, may help.")
        }
        (ErrorCode::ImapMailbox, Step::Move) => (
            "cannot move messages to the mailbox named for it",
            "Check that it exists and may be written to.",
        ),
        (ErrorCode::ImapMailbox, Step::OpenSent) => {
            ("refused to open the folder for sent mail", "Check that the login may read it.")
        }
        (ErrorCode::ImapMailbox, Step::Append) if reply.code == Some(Code::OverQuota) => (
            "cannot file the copy of a sent mail, because the mailbox is full",
            "Delete some mail, or ask the provider for more room.",
        ),
        (ErrorCode::ImapMailbox, Step::Append) => (
            "refused to file the copy of a sent mail",
            "Check that the folder for sent mail exists and may be written to.",
        ),
        (ErrorCode::ImapMailbox, _) => {
            ("refused to open the mailbox", "Check its name and that the login may read it.")
        }
        (_, Step::Login | Step::Token) => ("cannot log us in at the moment", ""),
        (_, Step::Search) => ("did not look for a sent mail", ""),
        (_, Step::Append) => ("did not file the copy of a sent mail", ""),
        _ => ("did not do what was asked", ""),
    };
    OwnerError::new(code, format!("{at} {what}{said}. {hint}").trim_end()).retry_after(reply.pause)
}

/// What a refusal means, by its code, and without one by what was asked for. Exhaustive on purpose.
fn code_of_refusal(step: Step, reply: &Reply) -> ErrorCode {
    if reply.throttled {
        return ErrorCode::ImapThrottled;
    }
    match reply.code {
        // Gmail's limit of bandwidth has this code too, and its words have been looked at.
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
