//! What sending needs from a profile's servers. The stored side is [`mailroom_core::outbound::ports`].
//!
//! A session is three coarse steps, in the words of a delivery: no type of a protocol or a byte stream passes through, so
//! the sender's tests script them.

use std::future::Future;

use mailroom_core::outbound::delivery::{Attempt, SmtpReply};
use mailroom_core::owner_error::OwnerError;
use mailroom_core::ports::PortError;
use mailroom_core::profile::Profile;
use mailroom_core::server::Server;
use mailroom_net::login::Login;
use mailroom_net::login::Secret;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Why a server could not be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The profile's owner, or their provider, has to act.
    Owner(OwnerError),
    /// A service of Mailroom's own failed.
    Port(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// What profiles log in with.
pub(crate) trait LoginSecrets: Send + Sync {
    /// The password or access token of a profile.
    fn login_secret(
        &self,
        profile: &Profile,
        deadline: Instant,
    ) -> impl Future<Output = Result<Secret, Failure>> + Send;

    /// The password or access token of a profile for its SMTP server.
    fn smtp_login_secret(
        &self,
        profile: &Profile,
        deadline: Instant,
    ) -> impl Future<Output = Result<Secret, Failure>> + Send;

    /// Another one after a server refused `refused`; `None` when there is none.
    fn other_login_secret(
        &self,
        profile: &Profile,
        refused: &Secret,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<Secret>, Failure>> + Send;

    /// Waits for requests for access that go on, until shortly before `deadline`: see [`Tokens::settle`].
    ///
    /// [`Tokens::settle`]: mailroom_auth::tokens::Tokens::settle
    fn settle(&self, deadline: Instant) -> impl Future<Output = ()> + Send;
}

/// Why no SMTP session could be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The server refused the login: another access token may help.
    LoginRefused(OwnerError),
    /// The session could not be opened for another reason.
    Other(OwnerError),
}

impl OpenError {
    pub(crate) fn into_owner_error(self) -> OwnerError {
        match self {
            Self::LoginRefused(error) | Self::Other(error) => error,
        }
    }
}

/// Opens SMTP sessions.
pub(crate) trait SmtpServers: Send + Sync {
    /// A logged-in session with a server.
    type Transport: SmtpTransport;

    /// Opens a session: connects, starts TLS, and logs in. The domain of `sender`, the address that messages come from,
    /// introduces the client.
    fn open(
        &self,
        server: &Server,
        sender: &str,
        login: Login<'_>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Transport, OpenError>> + Send;
}

/// What a transaction needs to know before its content.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    /// The return path.
    pub(crate) from: &'a str,
    /// The recipients' addresses.
    pub(crate) to: &'a [String],
}

/// A transaction up to its final dot, which is not sent yet.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Recipients that the server refused, each with its reply. The replies count, however the transfer went on.
    pub(crate) rejected: Vec<(String, SmtpReply)>,
    /// How far the transfer came.
    pub(crate) end: TransferEnd,
}

/// How far a transfer came.
#[derive(Debug)]
pub(crate) enum TransferEnd {
    /// The server has all of the content and waits for the final dot.
    Complete,
    /// The server refused, and the session can be used for another message.
    Refused(Attempt),
    /// The session broke: the server does not have the message.
    Broken(OwnerError),
}

/// What followed on the final dot.
#[derive(Debug)]
pub(crate) enum FinalDot {
    /// The server took the message, with this reply.
    Accepted(String),
    /// The server refused the message.
    Refused(SmtpReply),
    /// The session broke before the dot was sent: the server does not have the message.
    NotSent(OwnerError),
    /// The session broke before the server's reply: the server may have the message.
    NoReply(OwnerError),
}

/// A logged-in SMTP session.
pub(crate) trait SmtpTransport: Send + Sync {
    /// Whether the session is over.
    fn is_spent(&self) -> bool;

    /// Transfers a message, all but the final dot.
    fn transfer(
        &mut self,
        envelope: Envelope<'_>,
        raw: &[u8],
        deadline: Instant,
    ) -> impl Future<Output = Transfer> + Send;

    /// Sends the final dot, unless the server has hung up by now, and waits for the reply.
    fn finish(&mut self, deadline: Instant) -> impl Future<Output = FinalDot> + Send;

    /// Ends the session.
    fn quit(self) -> impl Future<Output = ()> + Send;
}

/// Opens sent mailboxes.
pub(crate) trait SentMailboxes: Send + Sync {
    /// A profile's sent mailbox, in a logged-in IMAP session.
    type Mailbox: SentMailboxSession;

    /// Opens a session and finds the sent mailbox; `None` when the account has none.
    fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<Self::Mailbox>, OwnerError>> + Send;
}

/// A sent mailbox. After an error it is not used again.
pub(crate) trait SentMailboxSession: Send + Sync {
    /// Whether the mailbox holds a message with this Message-ID, which has its angle brackets.
    fn holds(
        &mut self,
        message_id: &str,
        deadline: Instant,
    ) -> impl Future<Output = Result<bool, OwnerError>> + Send;

    /// Files a message, with the time at which it was sent.
    fn file(
        &mut self,
        raw: &[u8],
        sent_at: OffsetDateTime,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), OwnerError>> + Send;

    /// Ends the session.
    fn logout(self) -> impl Future<Output = ()> + Send;
}
