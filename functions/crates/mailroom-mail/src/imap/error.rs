//! The errors of an IMAP session, each with the step at which it happened.

use std::fmt;
use std::io;
use std::time::Duration;

use mailroom_net::connect::NetError;
use mailroom_net::tls::TlsError;

/// The step at which an error happened: what the client was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name and connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The server's greeting.
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
    /// UID FETCH of flags, sizes and dates.
    List,
    /// UID FETCH of content.
    Fetch,
    /// UID STORE.
    Store,
    /// UID MOVE, or UID COPY and UID EXPUNGE.
    Move,
    /// EXAMINE of the mailbox for sent messages.
    OpenSent,
    /// UID SEARCH in the mailbox for sent messages.
    Search,
    /// APPEND to the mailbox for sent messages.
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
            Self::OpenSent => "the answer to opening the mailbox for sent messages",
            Self::Search => "the answer to the search for a sent message",
            Self::Append => "the answer to filing a sent message",
            Self::Logout => "the answer to the logout",
        })
    }
}

/// How a server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// NO: the command failed (RFC 9051 §7.1.2).
    No,
    /// BAD: the server does not understand the command (§7.1.3). Exchange Online also throttles with it.
    Bad,
    /// BYE: the server closes the connection (§7.1.5).
    Bye,
}

/// The response codes that decide something here (RFC 9051 §7.1, RFC 5530, and some of providers' own). All others are
/// ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A person must read the text.
    Alert,
    /// A person must open an address in a browser, which is the code's argument; Gmail's own.
    WebAlert,
    /// The mailbox is on another server, which is the code's argument (RFC 2221, RFC 2193).
    Referral,
    /// The credential is wrong.
    AuthenticationFailed,
    /// The login may not be used for this.
    AuthorizationFailed,
    /// The password has expired.
    Expired,
    /// The command needs encryption.
    PrivacyRequired,
    /// The user should contact the administrator.
    ContactAdmin,
    /// The access control list forbids it.
    NoPerm,
    /// The mailbox does not exist.
    Nonexistent,
    /// The target of COPY, MOVE or APPEND does not exist.
    TryCreate,
    /// The server can never do this.
    Cannot,
    /// A part of the server is temporarily down.
    Unavailable,
    /// The mailbox is locked by another program.
    InUse,
    /// A limit of the server is reached.
    Limit,
    /// A quota is reached; on Gmail also the bandwidth limit.
    OverQuota,
    /// Too many requests in a short time; in no standard.
    Throttled,
    /// The server found a bug in itself.
    ServerBug,
    /// The server found corrupt data.
    Corruption,
    /// The server takes the client for broken.
    ClientBug,
    /// Some of the messages were expunged in the meantime.
    ExpungeIssued,
}

impl Code {
    /// Reads the name of a response code.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        let known = [
            ("ALERT", Self::Alert),
            ("WEBALERT", Self::WebAlert),
            ("REFERRAL", Self::Referral),
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

/// What the texts of known servers say, and no response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Too many requests or connections in a short time.
    Throttled,
    /// The login is right, but it is not connected to a mailbox: Exchange Online, to frequent connections for a while,
    /// and for ever to a login without permission.
    NotConnected,
    /// The server is busy, or a part of it is down.
    Busy,
    /// The login or the secret is wrong.
    Credential,
    /// The provider takes the client for unsafe until it has sent ID: NetEase.
    Unsafe,
}

/// A server's refusal: bounded, without control characters and without the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// NO, BAD or BYE.
    pub refusal: Refusal,
    /// The response code, if it is a known one.
    pub code: Option<Code>,
    /// The address that is the code's argument: a page to open, or the server that has the mailbox.
    pub address: Option<String>,
    /// The text after the code; may be empty.
    pub text: String,
    /// What the text says where no code says it.
    pub sign: Option<Sign>,
    /// The pause that the text asks for.
    pub pause: Option<Duration>,
}

/// How a response broke the protocol. Never contains what the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line is not an IMAP greeting.
    #[error("its greeting is not IMAP")]
    Greeting(Spoken),
    /// A line that is no response of IMAP at all.
    #[error("it sent a line that is not IMAP")]
    NotImap,
    /// A response longer than the bound.
    #[error("it sent a line that is too long")]
    LongLine,
    /// A literal larger than requested.
    #[error("it sent more than was requested")]
    LongLiteral,
    /// A tagged response to a command that was not sent.
    #[error("it answered a command that was not sent")]
    ForeignTag,
    /// A FETCH response that cannot be read. Skipping it would lose a message.
    #[error("it described a message in a form that cannot be read")]
    Fetch,
    /// A continuation request where none was due, or none where one was due.
    #[error("it requested a continuation at the wrong time")]
    Continuation,
    /// A mailbox was opened without an EXISTS response.
    #[error("it did not send the number of messages in the mailbox")]
    NoExists,
    /// An existing message came without content, or not at all.
    #[error("it sent no content for a message that exists")]
    Empty,
    /// Messages are much larger than their announced sizes.
    #[error("it sent far more than it announced")]
    Sizes,
    /// Messages are larger than their announced sizes, and there is no memory for the rest.
    #[error("it sent more than it announced while Mailroom read many other mailboxes")]
    NoRoom,
    /// A search result that cannot be read. Taking it for "not found" would file a second copy.
    #[error("it answered a search in a form that cannot be read")]
    Search,
    /// More bytes in one operation than the bound.
    #[error("it sends without end")]
    Endless,
    /// Plain text followed the response to STARTTLS: an injection (CVE-2011-0411 and similar).
    #[error("it sent data between STARTTLS and the TLS handshake")]
    Injection,
    /// PREAUTH before TLS, which would skip STARTTLS (CVE-2020-12398).
    #[error("it claims that the login is done before TLS")]
    PreauthBeforeTls,
}

/// What a server speaks instead of IMAP, by its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// `220 …`
    Smtp,
    /// `+OK …`
    Pop3,
    /// `HTTP/…`
    Http,
    /// `SSH-…`
    Ssh,
    /// Something else.
    Unknown,
}

impl Spoken {
    /// Recognizes the protocol of a first line.
    pub(super) fn by(line: &[u8]) -> Self {
        let known = [
            (b"220".as_slice(), Self::Smtp),
            (b"421", Self::Smtp),
            (b"554", Self::Smtp),
            (b"+OK", Self::Pop3),
            (b"-ERR", Self::Pop3),
            (b"HTTP/", Self::Http),
            (b"SSH-", Self::Ssh),
        ];
        known.iter().find(|(start, _)| line.starts_with(start)).map_or(Self::Unknown, |(_, spoken)| *spoken)
    }
}

/// Why an operation failed. No variant contains message content, a credential or a parser's input.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    /// The connection could not be made.
    #[error("the IMAP server cannot be reached")]
    Net(#[source] NetError),
    /// The TLS handshake failed.
    #[error("TLS with the IMAP server failed")]
    Tls(#[source] TlsError),
    /// The deadline passed, or the server sent nothing for too long.
    #[error("the IMAP server did not answer in time: waiting for {0}")]
    Timeout(Step),
    /// The connection broke.
    #[error("the connection to the IMAP server broke while waiting for {step}")]
    Broken {
        /// What the client was waiting for.
        step: Step,
        /// The error of the stream.
        #[source]
        source: io::Error,
    },
    /// The server closed the connection without BYE.
    #[error("the IMAP server closed the connection instead of sending {0}")]
    HungUp(Step),
    /// The server said NO, BAD or BYE.
    #[error("the IMAP server refused (waiting for {step}): {reply:?}")]
    Refused {
        /// What the client was waiting for.
        step: Step,
        /// The server's refusal.
        reply: Reply,
    },
    /// The server broke the protocol.
    #[error("the IMAP server broke the protocol (waiting for {step}): {what}")]
    Malformed {
        /// What the client was waiting for.
        step: Step,
        /// How the response broke the protocol.
        what: Malformed,
    },
    /// The server does not allow a login with a password.
    #[error("the IMAP server does not allow a login with a password")]
    NoPasswordLogin,
    /// The server offers neither mechanism for OAuth2 tokens.
    #[error("the IMAP server has neither XOAUTH2 nor OAUTHBEARER")]
    NoTokenLogin,
    /// The login, the password or the token contains a character that the mechanism cannot carry, such as NUL.
    #[error("the login or the secret contains a character that cannot be sent")]
    UnsendableCredential,
    /// The Message-ID cannot be sent in a search, or is empty and would match any message.
    #[error("the Message-ID cannot be searched for")]
    UnsearchableMessageId,
    /// The server has neither MOVE (RFC 6851) nor UIDPLUS (RFC 4315).
    #[error("the IMAP server cannot move messages")]
    CannotMove,
    /// The mailbox is read-only, or was recreated since it was opened.
    #[error("the mailbox cannot be changed: {0}")]
    NotWritable(NotWritable),
    /// The session was used after an operation had been cut off in the middle.
    #[error("the session was used after an operation was cut off")]
    Spent,
}

impl ImapError {
    /// The same error for an operation that comes after it.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Timeout(step) => Self::Timeout(*step),
            Self::Broken { step, source } => Self::Broken { step: *step, source: source.kind().into() },
            Self::HungUp(step) => Self::HungUp(*step),
            Self::Refused { step, reply } => Self::Refused { step: *step, reply: reply.clone() },
            Self::Malformed { step, what } => Self::Malformed { step: *step, what: *what },
            Self::Net(_)
            | Self::Tls(_)
            | Self::NoPasswordLogin
            | Self::NoTokenLogin
            | Self::UnsendableCredential
            | Self::UnsearchableMessageId
            | Self::CannotMove
            | Self::NotWritable(_)
            | Self::Spent => Self::Spent,
        }
    }
}

/// Why a mailbox cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWritable {
    /// SELECT answered READ-ONLY.
    #[error("it is read-only")]
    ReadOnly,
    /// UIDVALIDITY changed since the messages were listed: the UIDs may name other messages.
    #[error("it was recreated in the meantime")]
    Renumbered,
}
