//! Why a mailbox could not be read. Whatever it is, the audit is inconclusive.

use mailroom_auth::error::OauthError;
use mailroom_core::error_chain::Chain;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Server;
use mailroom_net::connect::NetError;
use mailroom_net::owner_error::Protocol;
use mailroom_net::tls::TlsError;

use crate::guard::Excess;

/// What the session was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Connect,
    Greeting,
    Tls,
    LogIn,
    Examine,
    List,
    Fetch,
}

impl Step {
    /// The words for it, as in "while it …".
    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "connected",
            Self::Greeting => "waited for the greeting",
            Self::Tls => "began TLS",
            Self::LogIn => "logged in",
            Self::Examine => "opened the mailbox",
            Self::List => "listed the messages",
            Self::Fetch => "fetched a message",
        }
    }
}

/// Why a mailbox could not be read. No text of a parser is in it, because that quotes messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// There is no connection.
    #[error("the server cannot be reached")]
    Net(#[source] NetError),
    /// TLS failed.
    #[error("TLS failed")]
    Tls(#[source] TlsError),
    /// There is nothing to log in with.
    #[error("there is no credential")]
    Credential(#[source] OauthError),
    /// The server offers no way to log in that the credential can be used for.
    #[error("the server offers no way to log in with this credential")]
    NoMechanism,
    /// The server refused a command, in these words.
    #[error("the server refused a command ({0:?}): {1}")]
    Refused(Step, String),
    /// The server ended the session, in these words.
    #[error("the server ended the session ({0:?}): {1}")]
    Bye(Step, String),
    /// The connection ended.
    #[error("the connection ended ({0:?})")]
    Ended(Step),
    /// Time ran out.
    #[error("time ran out ({0:?})")]
    TimedOut(Step),
    /// The server sent more, or other, than can be taken.
    #[error("{1} ({0:?})")]
    Excess(Step, #[source] Excess),
    /// async-imap cannot read a response.
    #[error("a response cannot be read ({0:?})")]
    Unreadable(Step),
    /// A response is not what the command is answered with.
    #[error("a response does not belong to its command ({0:?})")]
    Unexpected(Step),
}

impl ReadError {
    /// The sentence for the mailbox's owner.
    pub(crate) fn reason(&self, server: &Server) -> String {
        let at = format!("{}:{}", server.host.as_str(), server.port);
        let imap = Protocol {
            name: "IMAP",
            connect: ErrorCode::ImapConnect,
            tls: ErrorCode::ImapTls,
            tls_port: 993,
        };
        match self {
            Self::Net(error) => imap.connection_failed(error, &at).message,
            Self::Tls(error) => imap.tls_failed(error, server.security, &at).message,
            Self::Credential(error) => error.owner_error().message,
            Self::NoMechanism => format!("{at} offers no way to log in with this credential."),
            Self::Refused(step, words) => {
                format!("{at} refused a command while the audit {}: \"{words}\".", step.words())
            }
            Self::Bye(step, words) => {
                format!("{at} ended the session while the audit {}: \"{words}\".", step.words())
            }
            Self::Ended(step) => format!("{at} closed the connection while the audit {}.", step.words()),
            Self::TimedOut(step) => format!("{at} did not answer in time while the audit {}.", step.words()),
            Self::Excess(step, _) | Self::Unreadable(step) | Self::Unexpected(step) => {
                format!("{at} sent what the audit cannot read while it {}.", step.words())
            }
        }
    }

    /// The error for the log, with its sources.
    pub(crate) fn chain(&self) -> String {
        Chain(self).to_string()
    }
}
