//! Turns an [`ImapError`] into the error code and the sentence that the mailbox's owner reads; `refusal` does this for
//! the refusals.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::{Security, Server};

use super::error::{ImapError, Malformed, NotWritable, Refusal, Spoken, Step};
use super::refusal::{self, Meaning};
use mailroom_net::owner_error::Protocol;

/// IMAP's codes and port for the errors that all protocols share.
const IMAP: Protocol =
    Protocol { name: "IMAP", connect: ErrorCode::ImapConnect, tls: ErrorCode::ImapTls, tls_port: 993 };

impl ImapError {
    /// Whether the server refused the credential.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        if let Self::Refused { step: step @ (Step::Login | Step::Token), reply } = self {
            Meaning::of(*step, reply).code() == ErrorCode::ImapAuth
        } else {
            false
        }
    }

    /// Whether the server refused a command, and not the session or the pace: it may do another.
    #[must_use]
    pub fn leaves_session_open(&self) -> bool {
        matches!(self, Self::Refused { step, reply }
            if reply.refusal != Refusal::Bye && Meaning::of(*step, reply).code() == ErrorCode::ImapProtocol)
    }

    /// Whether the session can do nothing else any more.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        let goes_on = matches!(self, Self::Refused { reply, .. } if reply.refusal != Refusal::Bye);
        !goes_on && !matches!(self, Self::CannotMove | Self::NotWritable(NotWritable::ReadOnly))
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
            Self::Broken { step, .. } => protocol(format!(
                "The connection to {at} broke (waiting for {step}). Mailroom tries again by itself."
            )),
            Self::HungUp(step) => protocol(format!(
                "{at} closed the connection without a word (waiting for {step}). Mailroom tries again by itself."
            )),
            Self::Refused { step, reply } => refusal::owner_error(*step, reply, &at),
            Self::Malformed { step, what } => of_malformed(*step, *what, server, &at),
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
                ErrorCode::ImapTimeout,
                format!(
                    "The connection to {at} was cut off in the middle, because it took too long. Mailroom tries again by itself."
                ),
            ),
        }
    }
}

fn of_malformed(step: Step, what: Malformed, server: &Server, at: &str) -> OwnerError {
    let protocol = |message: String| OwnerError::new(ErrorCode::ImapProtocol, message);
    let settings = match server.security {
        Security::Tls => "usually 993 with the security \"tls\"",
        Security::StartTls => "usually 143 with the security \"starttls\", or 993 with \"tls\"",
    };
    match what {
        Malformed::Greeting(spoken) => {
            let spoken = match spoken {
                Spoken::Smtp => "speaks SMTP and not IMAP",
                Spoken::Pop3 => "speaks POP3 and not IMAP",
                Spoken::Http => "speaks HTTP and not IMAP",
                Spoken::Ssh => "speaks SSH and not IMAP",
                Spoken::Unknown => "does not speak IMAP",
            };
            protocol(format!("{at} {spoken}: check host and port, {settings}."))
        }
        Malformed::NotImap => protocol(format!(
            "{at} sent something that is not IMAP (waiting for {step}). Mailroom tries again by itself; if it stays like this, check host and port, {settings}."
        )),
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
        | Malformed::NoRoom
        | Malformed::Search
        | Malformed::Endless => protocol(format!(
            "{at} broke the IMAP protocol (waiting for {step}): {what}. Mailroom tries again by itself; if it stays like this, ask the server's administrator."
        )),
    }
}
