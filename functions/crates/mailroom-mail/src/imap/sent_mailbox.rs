//! The mailbox for sent messages: finding it, looking for a message in it, and filing a copy there.

use mailroom_core::server::Server;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::connection::{Connection, Progress};
use super::connection_test::unless_refused;
use super::date;
use super::encode::{is_quotable, mailbox_name, quoted, quoted_bytes};
use super::error::{ImapError, Malformed, Step};
use super::frame::Tag;
use super::open::{Connector, Greeting, log_in, read_greeting};
use super::response::{Capabilities, ListedMailbox, Response, SearchResult};
use super::session::{capabilities, is_unknown_command, log_out};
use mailroom_net::login::Login;

/// Names of the mailbox on servers that do not mark it, in lower case, the likeliest first.
const NAMES: [&str; 16] = [
    "sent",
    "sent items",
    "sent messages",
    "sent mail",
    "gesendet",
    "gesendete elemente",
    "gesendete objekte",
    "éléments envoyés",
    "envoyés",
    "enviados",
    "elementos enviados",
    "inviata",
    "posta inviata",
    "verzonden",
    "verzonden items",
    "已发送",
];

/// The longest literal that LITERAL- allows without waiting for the server's `+`, in bytes (RFC 7888 §5).
const SHORT_LITERAL: usize = 4096;

/// Which literals may be sent without waiting for the server's `+` (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LiteralMode {
    /// The server has neither extension: every literal waits.
    Never,
    /// LITERAL-: those of at most [`SHORT_LITERAL`].
    Short,
    /// LITERAL+: literals of any length.
    Always,
}

impl LiteralMode {
    fn of(capabilities: &Capabilities) -> Self {
        if capabilities.has("LITERAL+") {
            Self::Always
        } else if capabilities.has("LITERAL-") {
            Self::Short
        } else {
            Self::Never
        }
    }

    const fn allows(self, length: usize) -> bool {
        match self {
            Self::Never => false,
            Self::Short => length <= SHORT_LITERAL,
            Self::Always => true,
        }
    }
}

/// The session's state (RFC 9051 §3): the mailbox is selected only to search it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionState {
    Authenticated,
    Selected,
}

/// The mailbox for sent messages, in a session of its own.
///
/// After an error other than [`ImapError::Refused`] and [`ImapError::UnsearchableMessageId`], or after a cancelled
/// operation, the session cannot be used any more: every operation fails with that error again.
pub struct SentMailbox<S = TlsStream<TcpStream>> {
    connection: Connection<S>,
    /// The name as the server's LIST response has it: servers differ in the encodings that they accept, but each
    /// accepts its own.
    wire_name: Vec<u8>,
    name: String,
    literal_mode: LiteralMode,
    state: SessionState,
}

impl<S> std::fmt::Debug for SentMailbox<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentMailbox")
            .field("name", &self.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Connects, logs in, and finds the mailbox for sent messages. `None`: the account has none.
    ///
    /// It is the mailbox that the server marks with `\Sent` (RFC 6154), or else one with a well-known name.
    /// `deadline` holds for the whole session, until [`SentMailbox::set_deadline`].
    ///
    /// # Errors
    /// See [`ImapError`]. A LIST that fails is an error, and never means that there is no such mailbox.
    pub async fn open_sent(
        &self,
        server: &Server,
        login: Login<'_>,
        deadline: Instant,
    ) -> Result<Option<SentMailbox>, ImapError> {
        let (connection, greeting) = self.connect(server, deadline).await?;
        log_in_and_find(connection, greeting, login, server).await
    }
}

/// As [`Connector::open_sent`], over a stream that is connected and needs no TLS any more.
///
/// # Errors
/// See [`ImapError`].
pub async fn open_sent_over<S>(
    stream: S,
    server: &Server,
    login: Login<'_>,
    deadline: Instant,
) -> Result<Option<SentMailbox<S>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::new(stream, deadline);
    let greeting = read_greeting(&mut connection).await?;
    log_in_and_find(connection, greeting, login, server).await
}

/// Logs in and finds the mailbox.
pub(super) async fn log_in_and_find<S>(
    mut connection: Connection<S>,
    greeting: Greeting,
    login: Login<'_>,
    server: &Server,
) -> Result<Option<SentMailbox<S>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match greeting {
        Greeting::Authenticated => None,
        Greeting::NotAuthenticated(known) => log_in(&mut connection, known, login, server).await?,
    };
    let known = match known {
        Some(known) => known,
        None => unless_refused(capabilities(&mut connection).await)?.unwrap_or_default(),
    };
    let Some(wire_name) = find_sent_name(&mut connection, &known).await? else {
        log_out(connection).await;
        return Ok(None);
    };
    let name = mailbox_name(&wire_name);
    Ok(Some(SentMailbox {
        connection,
        wire_name,
        name,
        literal_mode: LiteralMode::of(&known),
        state: SessionState::Authenticated,
    }))
}

/// Finds the mailbox's name, encoded as the server sends it.
async fn find_sent_name<S>(
    connection: &mut Connection<S>,
    known: &Capabilities,
) -> Result<Option<Vec<u8>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if known.has("SPECIAL-USE") {
        match list_and_rank(connection, "LIST \"\" \"*\" RETURN (SPECIAL-USE)").await {
            // A server may mark mailboxes in every LIST response and not have LIST-EXTENDED (RFC 6154 §2).
            Err(error) if is_unknown_command(&error) => {}
            result => return result,
        }
    }
    list_and_rank(connection, "LIST \"\" \"*\"").await
}

/// Runs this LIST command and returns the best-ranked mailbox.
async fn list_and_rank<S>(connection: &mut Connection<S>, command: &str) -> Result<Option<Vec<u8>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin_operation()?;
    let tag = connection.command(command);
    connection.flush(Step::Mailboxes).await?;
    let mut best: Option<(Rank, Vec<u8>)> = None;
    let sink = |response| {
        if let Response::List(listed) = response
            && let Some(rank) = Rank::of(&listed)
            && best.as_ref().is_none_or(|(so_far, _)| rank < *so_far)
        {
            best = Some((rank, listed.name));
        }
        Ok(())
    };
    connection.complete(tag, Step::Mailboxes, sink).await?;
    Ok(best.map(|(_, name)| name))
}

/// How likely a mailbox is the one for sent messages: the smallest rank wins, and the first of equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// A mailbox with `\Sent` wins over every other.
    unmarked: bool,
    /// Levels of the hierarchy: deeper mailboxes are archives, or shared by others.
    levels: usize,
    /// The index of its name in [`NAMES`].
    name: usize,
}

impl Rank {
    /// `None` for a mailbox that is not for sent messages, or whose name no command can carry.
    fn of(listed: &ListedMailbox) -> Option<Self> {
        if listed.name.contains(&0) {
            return None;
        }
        let name = mailbox_name(&listed.name).to_lowercase();
        // A delimiter is ASCII (RFC 9051 §9, `mailbox-list`); any other byte is ignored.
        let delimiter = listed.delimiter.filter(u8::is_ascii).map(char::from);
        let separates = |c: char| Some(c) == delimiter;
        let last = name.rsplit(separates).next().unwrap_or_default();
        let known = NAMES.iter().position(|known| *known == last);
        (listed.for_sent || known.is_some()).then(|| Self {
            unmarked: !listed.for_sent,
            levels: name.split(separates).count(),
            name: known.unwrap_or(NAMES.len()),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SentMailbox<S> {
    /// The mailbox's name, decoded.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replaces the deadline given to [`Connector::open_sent`].
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.connection.deadline = deadline;
    }

    /// Whether the mailbox holds a message with this Message-ID, given with its angle brackets. Changes nothing.
    ///
    /// A repeated call also finds messages that arrived since. SEARCH matches substrings (RFC 9051 §6.4.4), so a longer
    /// Message-ID that contains this one is a match too.
    ///
    /// # Errors
    /// When the server does not complete the search with OK: a refused search never means that the message is absent.
    /// [`ImapError::UnsearchableMessageId`] when `message_id` is not one, or cannot be sent in a quoted string.
    pub async fn holds(&mut self, message_id: &str) -> Result<bool, ImapError> {
        let inner = message_id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        if inner.is_none_or(str::is_empty) || !is_quotable(message_id) {
            return Err(ImapError::UnsearchableMessageId);
        }
        self.connection.begin_operation()?;
        match self.state {
            SessionState::Authenticated => self.examine().await?,
            // Without NOOP a server may search only the messages that it knew when the mailbox was selected.
            SessionState::Selected => {
                let tag = self.connection.command("NOOP");
                self.connection.flush(Step::Search).await?;
                self.connection.complete(tag, Step::Search, |_| Ok(())).await?;
            }
        }
        // Without CHARSET, which Exchange refuses: the Message-ID is ASCII.
        let tag = self.connection.command(&format!("UID SEARCH HEADER Message-ID {}", quoted(message_id)));
        self.connection.flush(Step::Search).await?;
        let mut found = false;
        let sink = |response| match response {
            Response::Search(SearchResult::Unreadable) => Err(Malformed::Search),
            Response::Search(SearchResult::Found(messages)) => {
                found |= !messages.is_empty();
                Ok(())
            }
            Response::Tagged(..)
            | Response::Status(..)
            | Response::Continuation(_)
            | Response::Exists(_)
            | Response::Capability(_)
            | Response::Fetch(_)
            | Response::List(_)
            | Response::Unseen(_)
            | Response::Expunge
            | Response::Other => Ok(()),
        };
        self.connection.complete(tag, Step::Search, sink).await?;
        Ok(found)
    }

    /// Appends a message (RFC 9051 §6.3.12), marked `\Seen`, with `at` as its INTERNALDATE, to the second.
    ///
    /// The message must not contain NUL, which servers refuse. On a slow link it waits until the deadline as long as the
    /// server takes bytes.
    ///
    /// # Errors
    /// After NO or BAD the message was not filed. After any other error, including BYE, it may have been: ask
    /// [`SentMailbox::holds`] in a new session.
    pub async fn file(&mut self, raw: &[u8], at: OffsetDateTime) -> Result<(), ImapError> {
        let step = Step::Append;
        self.connection.begin_operation()?;
        let tag = self.connection.start_command("APPEND ");
        self.push_name(tag, step).await?;
        self.connection.push(format!(" (\\Seen) \"{}\" ", date::format(at)).as_bytes());
        self.start_literal(tag, raw.len(), step).await?;
        if let Err(error) = self.send_message(raw).await {
            return Err(self.connection.refusal_or(tag, step, error).await);
        }
        self.connection.complete(tag, step, |_| Ok(())).await.map(drop)
    }

    /// Sends LOGOUT, without waiting for the response.
    pub async fn logout(self) {
        log_out(self.connection).await;
    }

    async fn send_message(&mut self, raw: &[u8]) -> Result<(), ImapError> {
        self.connection.push_in_chunks(raw, Step::Append).await?;
        self.connection.push(b"\r\n");
        self.connection.flush(Step::Append).await
    }

    async fn examine(&mut self) -> Result<(), ImapError> {
        let tag = self.connection.start_command("EXAMINE ");
        self.push_name(tag, Step::OpenSent).await?;
        self.connection.push(b"\r\n");
        self.connection.flush(Step::OpenSent).await?;
        self.connection.complete(tag, Step::OpenSent, |_| Ok(())).await?;
        self.state = SessionState::Selected;
        Ok(())
    }

    /// Adds the mailbox's name to a command: quoted, or as a literal.
    async fn push_name(&mut self, tag: Tag, step: Step) -> Result<(), ImapError> {
        if let Some(quoted) = quoted_bytes(&self.wire_name) {
            self.connection.push(quoted.as_bytes());
            return Ok(());
        }
        self.start_literal(tag, self.wire_name.len(), step).await?;
        self.connection.push(&self.wire_name);
        Ok(())
    }

    /// Sends the length of a literal (RFC 9051 §4.3), and waits for the server's `+` unless LITERAL+ or LITERAL- make
    /// that unnecessary.
    async fn start_literal(&mut self, tag: Tag, length: usize, step: Step) -> Result<(), ImapError> {
        if self.literal_mode.allows(length) {
            self.connection.push(format!("{{{length}+}}\r\n").as_bytes());
            return Ok(());
        }
        self.connection.push(format!("{{{length}}}\r\n").as_bytes());
        self.connection.flush(step).await?;
        match self.connection.progress(&[tag], step, |_| Ok(())).await? {
            Progress::ContinuationRequest(_) => Ok(()),
            // The server completed a command that is not yet whole.
            Progress::Completed(..) => Err(ImapError::Malformed { step, what: Malformed::Continuation }),
        }
    }
}
