//! What can go wrong with an IMAP session, typed where it happens.

use std::fmt;
use std::io;
use std::time::Duration;

use mailroom_net::connect::NetError;
use mailroom_net::tls::TlsError;

/// What a session was about when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name and connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the server's first line.
    Greeting,
    /// STARTTLS.
    StartTls,
    /// CAPABILITY.
    Capability,
    /// AUTHENTICATE or LOGIN with a password.
    Login,
    /// AUTHENTICATE with an OAuth2 token.
    Token,
    /// LIST.
    Mailboxes,
    /// STATUS.
    Status,
    /// EXAMINE or SELECT.
    Open,
    /// Listing messages.
    List,
    /// Fetching messages.
    Fetch,
    /// Changing flags.
    Store,
    /// Moving messages.
    Move,
    /// Opening the folder for sent mail.
    OpenSent,
    /// Looking for a message in it.
    Search,
    /// Filing a message in it.
    Append,
    /// LOGOUT.
    Logout,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::StartTls => "the answer to STARTTLS",
            Self::Capability => "the list of capabilities",
            Self::Login | Self::Token => "the answer to the login",
            Self::Mailboxes => "the list of mailboxes",
            Self::Status => "the status of the mailbox",
            Self::Open => "the answer to opening the mailbox",
            Self::List => "the list of messages",
            Self::Fetch => "messages",
            Self::Store => "the answer to marking messages",
            Self::Move => "the answer to moving messages",
            Self::OpenSent => "the answer to opening the folder for sent mail",
            Self::Search => "the answer to looking for a sent mail",
            Self::Append => "the answer to filing a sent mail",
            Self::Logout => "the answer to the logout",
        })
    }
}

/// How a server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// NO: it will not do it (RFC 9051 §7.1.2).
    No,
    /// BAD: it says that it does not understand (§7.1.3). Some servers throttle with it.
    Bad,
    /// BYE: it closes the connection (§7.1.5).
    Bye,
}

/// The response codes that mean something to us (RFC 9051 §7.1, RFC 5530, and providers' own). All others are words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A human must read the words.
    Alert,
    /// The credential is wrong.
    AuthenticationFailed,
    /// The login may not be used for this.
    AuthorizationFailed,
    /// The password has expired.
    Expired,
    /// Not without encryption.
    PrivacyRequired,
    /// The administrator has to be asked.
    ContactAdmin,
    /// Not permitted.
    NoPerm,
    /// There is no such mailbox.
    Nonexistent,
    /// There is no such mailbox to copy or move to.
    TryCreate,
    /// It can never be done.
    Cannot,
    /// Some part of the server is down for now.
    Unavailable,
    /// Something is locked.
    InUse,
    /// A limit is reached.
    Limit,
    /// A quota is reached; Gmail's limit of bandwidth.
    OverQuota,
    /// Too much in too short a time; not in a standard.
    Throttled,
    /// The server says it is broken.
    ServerBug,
    /// The server says its data is broken.
    Corruption,
    /// The server says that we are broken.
    ClientBug,
    /// Some messages asked for were deleted meanwhile.
    ExpungeIssued,
}

impl Code {
    /// Reads the name of a response code.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        let known = [
            ("ALERT", Self::Alert),
            ("WEBALERT", Self::Alert),
            ("AUTHENTICATIONFAILED", Self::AuthenticationFailed),
            ("AUTHORIZATIONFAILED", Self::AuthorizationFailed),
            ("EXPIRED", Self::Expired),
            ("PRIVACYREQUIRED", Self::PrivacyRequired),
            ("CONTACTADMIN", Self::ContactAdmin),
            ("NOPERM", Self::NoPerm),
            ("NONEXISTENT", Self::Nonexistent),
            ("TRYCREATE", Self::TryCreate),
            ("CANNOT", Self::Cannot),
            ("UNAVAILABLE", Self::Unavailable),
            ("INUSE", Self::InUse),
            ("LIMIT", Self::Limit),
            ("OVERQUOTA", Self::OverQuota),
            ("THROTTLED", Self::Throttled),
            ("SERVERBUG", Self::ServerBug),
            ("CORRUPTION", Self::Corruption),
            ("CLIENTBUG", Self::ClientBug),
            ("EXPUNGEISSUED", Self::ExpungeIssued),
        ];
        known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, code)| *code)
    }
}

/// What a server said with a refusal: bounded, free of control characters and of our credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// NO, BAD or BYE.
    pub refusal: Refusal,
    /// The response code, if it is one we know.
    pub code: Option<Code>,
    /// The text after it; may be empty.
    pub words: String,
    /// Whether the words are those that a provider throttles with, for want of a code.
    pub throttled: bool,
    /// The pause that they ask for.
    pub pause: Option<Duration>,
}

/// What was wrong with what a server sent. Never what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line is no IMAP greeting.
    #[error("its greeting is not IMAP")]
    Greeting,
    /// A response without an end.
    #[error("it sent a line without an end")]
    LongLine,
    /// A literal larger than what was asked for.
    #[error("it sent more than was asked for")]
    LongLiteral,
    /// An answer to a command that was not sent, or in the wrong order.
    #[error("it answered a command that was not sent")]
    ForeignTag,
    /// A FETCH response that cannot be read. Skipping it would lose a message.
    #[error("it described a message in a way that cannot be understood")]
    Fetch,
    /// It asked for a literal or a SASL response at the wrong time, or did not where it had to.
    #[error("it asked to go on at the wrong time")]
    Continuation,
    /// It opened a mailbox without saying how many messages there are.
    #[error("it did not say how many messages the mailbox holds")]
    NoExists,
    /// A message with a size has no content.
    #[error("it sent no content for a message that is there")]
    Empty,
    /// Messages are much larger than it said.
    #[error("it sent far more than it had announced")]
    Sizes,
    /// A search's result that cannot be read. Taking it for "not there" would repeat what was done.
    #[error("it answered a search in a way that cannot be understood")]
    Search,
    /// Responses without an end.
    #[error("it does not stop sending")]
    Endless,
    /// Plain text was waiting behind the answer to STARTTLS: somebody injected it (CVE-2011-0411 and its like).
    #[error("it sent data between STARTTLS and the TLS handshake")]
    Injection,
    /// It says that we are logged in, without TLS (CVE-2020-12398).
    #[error("it claims a login before TLS")]
    PreauthBeforeTls,
}

/// Why a session cannot go on. No variant's text holds a mail, a credential or a parser's input.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    /// There is no connection.
    #[error("the IMAP server cannot be reached")]
    Net(#[source] NetError),
    /// There is no TLS.
    #[error("TLS with the IMAP server failed")]
    Tls(#[source] TlsError),
    /// The server did not answer within the deadline, or was silent for too long.
    #[error("the IMAP server did not answer in time: waiting for {0}")]
    Timeout(Step),
    /// The connection broke.
    #[error("the connection to the IMAP server broke while waiting for {step}")]
    Broken {
        /// What for.
        step: Step,
        /// How.
        #[source]
        source: io::Error,
    },
    /// The server hung up without a word.
    #[error("the IMAP server hung up instead of sending {0}")]
    HungUp(Step),
    /// The server said NO, BAD or BYE.
    #[error("the IMAP server refused, asked for {step}: {reply:?}")]
    Refused {
        /// What was asked for.
        step: Step,
        /// What it said.
        reply: Reply,
    },
    /// The server sent what is no answer.
    #[error("the IMAP server sent something else than {step}: {what}")]
    Malformed {
        /// What was asked for.
        step: Step,
        /// What was wrong.
        what: Malformed,
    },
    /// The server allows no login with a password.
    #[error("the IMAP server allows no login with a password")]
    NoPasswordLogin,
    /// The server takes no OAuth2 tokens.
    #[error("the IMAP server has neither XOAUTH2 nor OAUTHBEARER")]
    NoTokenLogin,
    /// The login or the password holds a NUL, which no login command can carry.
    #[error("the login or the password holds a NUL")]
    Unsendable,
    /// A Message-ID that no search can carry, or that would find any message.
    #[error("the Message-ID cannot be searched for")]
    UnsendableId,
    /// The server has neither MOVE (RFC 6851) nor UIDPLUS (RFC 4315).
    #[error("the IMAP server cannot move messages")]
    CannotMove,
    /// The mailbox was made anew since it was opened, or may only be read.
    #[error("the mailbox cannot be changed: {0}")]
    NotWritable(NotWritable),
    /// The session was used after it failed.
    #[error("the session has failed before")]
    Spent,
}

/// Why a mailbox is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWritable {
    /// The server opens it read-only.
    #[error("it is read-only")]
    ReadOnly,
    /// UIDVALIDITY is another than when the messages were listed: the UIDs would hit others.
    #[error("it was made anew meanwhile")]
    Renumbered,
}
