//! The folder for sent mail: which one it is, whether a mail is in it, and filing a copy there.

use mailroom_core::server::Server;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::connection::{Answer, Connection};
use super::connection_test::unless_refused;
use super::date;
use super::encode::{is_quotable, mailbox_name, quoted, quoted_bytes};
use super::error::{ImapError, Malformed, Step};
use super::frame::Tag;
use super::open::{Connector, Greeting, log_in};
use super::response::{Capabilities, ListedMailbox, Response, SearchResult};
use super::session::{capabilities, is_incomprehension, leave};
use mailroom_net::login::Login;

/// What the folder is called where the server does not mark it, in small letters, the likelier ones first.
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

/// The longest literal that LITERAL- lets us send without being asked to, in bytes (RFC 7888 §5).
const SHORT_LITERAL: usize = 4096;

/// Which literals may be sent without waiting for the server's `+` (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LiteralMode {
    /// None.
    Never,
    /// LITERAL-: those of at most [`SHORT_LITERAL`].
    Short,
    /// LITERAL+: all.
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

/// Whether the folder has been opened, to look into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Closed,
    Open,
}

/// The folder that sent mail is filed in, found, in a session that is logged in. It is opened when it is looked into.
///
/// After an error other than [`ImapError::Refused`] and [`ImapError::UnsendableId`] it is spent. Operations that are
/// cancelled spend it too.
pub struct SentFolder<S = TlsStream<TcpStream>> {
    connection: Connection<S>,
    /// As the server has named it: servers differ in the names that they take, but each takes its own.
    wire_name: Vec<u8>,
    name: String,
    unasked: LiteralMode,
    view: View,
}

impl<S> std::fmt::Debug for SentFolder<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentFolder")
            .field("name", &self.name)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Connects, logs in, and finds the folder for sent mail. `None`: there is none.
    ///
    /// It is the one that the server marks with `\Sent` (RFC 6154), or else one with a well-known name.
    /// `deadline` holds for all that follows in the session, until [`SentFolder::set_deadline`].
    ///
    /// # Errors
    /// See [`ImapError`]. A list of mailboxes that fails is an error, and never means that there is no such folder.
    pub async fn open_sent(
        &self,
        server: &Server,
        login: Login<'_>,
        deadline: Instant,
    ) -> Result<Option<SentFolder>, ImapError> {
        let (connection, greeted) = self.reach(server, deadline).await?;
        log_in_and_find(connection, greeted, login, server).await
    }
}

/// Logs in and finds the folder.
pub(super) async fn log_in_and_find<S>(
    mut connection: Connection<S>,
    greeted: Greeting,
    login: Login<'_>,
    server: &Server,
) -> Result<Option<SentFolder<S>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match greeted {
        Greeting::Authenticated => None,
        Greeting::NotAuthenticated(known) => log_in(&mut connection, known, login, server).await?,
    };
    let known = match known {
        Some(known) => known,
        None => unless_refused(capabilities(&mut connection).await)?.unwrap_or_default(),
    };
    let Some(wire_name) = find(&mut connection, &known).await? else {
        leave(connection).await;
        return Ok(None);
    };
    let name = mailbox_name(&wire_name);
    Ok(Some(SentFolder { connection, wire_name, name, unasked: LiteralMode::of(&known), view: View::Closed }))
}

/// Finds the folder's name on the wire.
async fn find<S>(connection: &mut Connection<S>, known: &Capabilities) -> Result<Option<Vec<u8>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if known.has("SPECIAL-USE") {
        match choose(connection, "LIST \"\" \"*\" RETURN (SPECIAL-USE)").await {
            // It marks mailboxes without being asked, and has no LIST-EXTENDED (RFC 6154 §2).
            Err(error) if is_incomprehension(&error) => {}
            result => return result,
        }
    }
    choose(connection, "LIST \"\" \"*\"").await
}

/// Lists by `command`, and keeps the best.
async fn choose<S>(connection: &mut Connection<S>, command: &str) -> Result<Option<Vec<u8>>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin()?;
    let tag = connection.command(command);
    connection.flush(Step::Mailboxes).await?;
    let mut best: Option<(Rank, Vec<u8>)> = None;
    let sink = |response| {
        if let Response::List(named) = response
            && let Some(rank) = Rank::of(&named)
            && best.as_ref().is_none_or(|(so_far, _)| rank < *so_far)
        {
            best = Some((rank, named.name));
        }
        Ok(())
    };
    connection.complete(tag, Step::Mailboxes, sink).await?;
    Ok(best.map(|(_, name)| name))
}

/// How well a mailbox fits: the less, the better. Of equals, the first is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Where the server marks one, no other counts.
    unmarked: bool,
    /// Deep ones are archives, or other people's.
    levels: usize,
    /// The place of its name among [`NAMES`].
    name: usize,
}

impl Rank {
    /// `None` for a mailbox that is not for sent mail, or that no command can name.
    fn of(named: &ListedMailbox) -> Option<Self> {
        if named.name.contains(&0) {
            return None;
        }
        let name = mailbox_name(&named.name).to_lowercase();
        // Something that is not ASCII separates nothing.
        let delimiter = named.delimiter.filter(u8::is_ascii).map(char::from);
        let separates = |c: char| Some(c) == delimiter;
        let last = name.rsplit(separates).next().unwrap_or_default();
        let known = NAMES.iter().position(|known| *known == last);
        (named.for_sent || known.is_some()).then(|| Self {
            unmarked: !named.for_sent,
            levels: name.split(separates).count(),
            name: known.unwrap_or(NAMES.len()),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SentFolder<S> {
    /// The folder's name as people write it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replaces the deadline given to [`Connector::open_sent`].
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.connection.deadline = deadline;
    }

    /// Whether it holds a message with this Message-ID, which has its angle brackets. Changes nothing.
    ///
    /// Asked again, it sees what has come meanwhile. Servers that compare substrings, as RFC 9051 §6.4.4 has it, find a
    /// longer one too.
    ///
    /// # Errors
    /// Unless the server has searched and said OK: a search that is refused never means that the message is not there.
    /// [`ImapError::UnsendableId`] for what is no Message-ID or cannot be sent.
    pub async fn holds(&mut self, message_id: &str) -> Result<bool, ImapError> {
        let inner = message_id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        if inner.is_none_or(str::is_empty) || !is_quotable(message_id) {
            return Err(ImapError::UnsendableId);
        }
        self.connection.begin()?;
        match self.view {
            View::Closed => self.examine().await?,
            // Before it, a server may answer from what it knew when it opened the mailbox.
            View::Open => {
                let tag = self.connection.command("NOOP");
                self.connection.flush(Step::Search).await?;
                self.connection.complete(tag, Step::Search, |_| Ok(())).await?;
            }
        }
        // Without CHARSET, which some refuse: it is ASCII.
        let tag = self.connection.command(&format!("UID SEARCH HEADER Message-ID {}", quoted(message_id)));
        self.connection.flush(Step::Search).await?;
        let mut found = false;
        let sink = |response| match response {
            Response::Search(SearchResult::Unclear) => Err(Malformed::Search),
            Response::Search(hits) => {
                found |= hits == SearchResult::Match;
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
            | Response::Other => Ok(()),
        };
        self.connection.complete(tag, Step::Search, sink).await?;
        Ok(found)
    }

    /// Files a message there (RFC 9051 §6.3.12), as read (`\Seen`), with `at` as the date when it came, to the second.
    ///
    /// The message must not hold a NUL: servers refuse it. However slow the link is, a server that goes on taking bytes
    /// is waited for until the deadline.
    ///
    /// # Errors
    /// After a refusal by NO or BAD it is not filed. After any other error, BYE among them, it may be:
    /// [`SentFolder::holds`] in a new session tells.
    pub async fn file(&mut self, raw: &[u8], at: OffsetDateTime) -> Result<(), ImapError> {
        let step = Step::Append;
        self.connection.begin()?;
        let tag = self.connection.command_part("APPEND ");
        self.name_part(tag, step).await?;
        self.connection.part(format!(" (\\Seen) \"{}\" ", date::format(at)).as_bytes());
        self.literal_part(tag, raw.len(), step).await?;
        if let Err(error) = self.send_message(raw).await {
            return Err(self.connection.refusal_or(tag, step, error).await);
        }
        self.connection.complete(tag, step, |_| Ok(())).await.map(drop)
    }

    /// Says goodbye, without waiting for the answer.
    pub async fn logout(self) {
        leave(self.connection).await;
    }

    async fn send_message(&mut self, raw: &[u8]) -> Result<(), ImapError> {
        self.connection.long_part(raw, Step::Append).await?;
        self.connection.part(b"\r\n");
        self.connection.flush(Step::Append).await
    }

    async fn examine(&mut self) -> Result<(), ImapError> {
        let tag = self.connection.command_part("EXAMINE ");
        self.name_part(tag, Step::OpenSent).await?;
        self.connection.part(b"\r\n");
        self.connection.flush(Step::OpenSent).await?;
        self.connection.complete(tag, Step::OpenSent, |_| Ok(())).await?;
        self.view = View::Open;
        Ok(())
    }

    /// Adds the folder's name to a command.
    async fn name_part(&mut self, tag: Tag, step: Step) -> Result<(), ImapError> {
        if let Some(quoted) = quoted_bytes(&self.wire_name) {
            self.connection.part(quoted.as_bytes());
            return Ok(());
        }
        self.literal_part(tag, self.wire_name.len(), step).await?;
        self.connection.part(&self.wire_name);
        Ok(())
    }

    /// Announces a literal (RFC 9051 §4.3), and waits until the server asks for it, if it has to be waited for.
    async fn literal_part(&mut self, tag: Tag, length: usize, step: Step) -> Result<(), ImapError> {
        if self.unasked.allows(length) {
            self.connection.part(format!("{{{length}+}}\r\n").as_bytes());
            return Ok(());
        }
        self.connection.part(format!("{{{length}}}\r\n").as_bytes());
        self.connection.flush(step).await?;
        match self.connection.answer(&[tag], step, |_| Ok(())).await? {
            Answer::Continuation(_) => Ok(()),
            // OK to half a command.
            Answer::Done(..) => Err(ImapError::Malformed { step, what: Malformed::Continuation }),
        }
    }
}
