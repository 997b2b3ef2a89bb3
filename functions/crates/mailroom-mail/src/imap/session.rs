//! A session with an open mailbox: listing, marking, moving.

use std::collections::BTreeMap;
use std::time::Duration;

use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::plan::{Listed, Listing, MailboxState};
use mailroom_core::server::Mailbox;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::encode;
use super::error::{ImapError, Malformed, NotWritable, Refusal, Step};
use super::response::{Capabilities, CodeData, Fetch, Response, StatusLine};

/// The most messages of a listing: 10,000 of them take half a megabyte, and hours to fetch.
pub const MAX_LISTED: usize = 10_000;

/// UIDs named in one command. A command line has 8 KiB on the servers that say so.
pub(super) const UIDS_PER_COMMAND: usize = 200;

/// How long a logout may take: the server learns nothing from it that the end of the connection does not tell.
const LOGOUT_TIME: Duration = Duration::from_secs(2);

/// Whether the mailbox was opened to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// By EXAMINE.
    Read,
    /// By SELECT.
    Write,
}

/// A logged-in session with a mailbox open.
///
/// After an error other than [`ImapError::Refused`] and [`ImapError::CannotMove`] it is spent. Operations that are
/// cancelled spend it too.
pub struct Session<S = TlsStream<TcpStream>> {
    pub(super) connection: Connection<S>,
    mailbox: Mailbox,
    uid_validity: Option<UidValidity>,
    capabilities: Option<Capabilities>,
    access: Access,
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("mailbox", &self.mailbox).field("access", &self.access).finish()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Opens `mailbox` without changing it and lists it above `above`, in one flight.
    pub(super) async fn examine(
        mut connection: Connection<S>,
        capabilities: Option<Capabilities>,
        mailbox: &Mailbox,
        above: Option<u32>,
    ) -> Result<(Self, MailboxState, Option<Listing>), ImapError> {
        connection.begin()?;
        let opening = connection.command(&format!("EXAMINE {}", encode::mailbox(mailbox)));
        let listing = above.and_then(list_command).map(|command| connection.command(&command));
        connection.flush(Step::Open).await?;
        let mut opened = Opening::default();
        let mut lister = Lister::new(above.unwrap_or(u32::MAX));
        connection
            .complete(opening, Step::Open, |response| {
                opened.note(&response);
                lister.note(response);
                Ok(())
            })
            .await?;
        let state = opened.state()?;
        let listed = match listing {
            None => Ok(()),
            Some(tag) => {
                let sink = |response| {
                    lister.note(response);
                    Ok(())
                };
                connection.complete(tag, Step::List, sink).await.map(drop)
            }
        };
        let mut session = Self {
            connection,
            mailbox: mailbox.clone(),
            uid_validity: state.uid_validity,
            capabilities,
            access: Access::Read,
        };
        let listing = match (listed, above) {
            (Ok(()), above) => above.map(|_| lister.into_listing()),
            // There is nothing to list, as the server has said itself; some call `1:*` wrong then.
            (Err(error), Some(above)) if state.exists == 0 && is_incomprehension(&error) => {
                Some(Lister::new(above).into_listing())
            }
            // Some servers drop what is sent before they have answered.
            (Err(error), Some(above)) if is_incomprehension(&error) => Some(session.list(above).await?),
            (Err(error), _) => return Err(error),
        };
        Ok((session, state, listing))
    }

    /// Replaces the deadline given to [`super::Connector::open`].
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.connection.deadline = deadline;
    }

    /// The messages above a UID, at most the [`MAX_LISTED`] lowest.
    ///
    /// # Errors
    /// Unless the server has listed them all and said OK.
    pub async fn list(&mut self, above: u32) -> Result<Listing, ImapError> {
        self.connection.begin()?;
        let mut lister = Lister::new(above);
        if let Some(command) = list_command(above) {
            let tag = self.connection.command(&command);
            self.connection.flush(Step::List).await?;
            let sink = |response| {
                lister.note(response);
                Ok(())
            };
            self.connection.complete(tag, Step::List, sink).await?;
        }
        Ok(lister.into_listing())
    }

    /// Sets `\Seen`. Messages that are gone are no error.
    ///
    /// # Errors
    /// When the mailbox cannot be opened for writing, or the server refuses.
    pub async fn mark_seen(&mut self, uids: &[Uid]) -> Result<(), ImapError> {
        self.open_for_writing().await?;
        for uids in uids.chunks(UIDS_PER_COMMAND) {
            let set = encode::uid_set(uids.iter().copied());
            self.run(Step::Store, &format!("UID STORE {set} +FLAGS.SILENT (\\Seen)")).await?;
        }
        Ok(())
    }

    /// Moves messages to another mailbox. Messages that are gone are no error.
    ///
    /// By MOVE (RFC 6851) or, without it, COPY, `\Deleted` and UID EXPUNGE (RFC 4315). Never by EXPUNGE, which would
    /// remove what others have marked.
    ///
    /// # Errors
    /// [`ImapError::CannotMove`] when the server has neither; else when it refuses.
    pub async fn move_to(&mut self, uids: &[Uid], target: &Mailbox) -> Result<(), ImapError> {
        let capabilities = self.capabilities().await?;
        let rev2 = capabilities.has("IMAP4REV2");
        let (can_move, can_expunge) = (rev2 || capabilities.has("MOVE"), rev2 || capabilities.has("UIDPLUS"));
        if !can_move && !can_expunge {
            return Err(ImapError::CannotMove);
        }
        self.open_for_writing().await?;
        let target = encode::mailbox(target);
        for uids in uids.chunks(UIDS_PER_COMMAND) {
            let set = encode::uid_set(uids.iter().copied());
            if can_move {
                self.run(Step::Move, &format!("UID MOVE {set} {target}")).await?;
            } else {
                self.run(Step::Move, &format!("UID COPY {set} {target}")).await?;
                self.run(Step::Move, &format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)")).await?;
                self.run(Step::Move, &format!("UID EXPUNGE {set}")).await?;
            }
        }
        Ok(())
    }

    /// Says goodbye, without waiting for the answer.
    pub async fn logout(self) {
        leave(self.connection).await;
    }

    /// Opens the mailbox to change it. The UIDs must still mean what they meant.
    async fn open_for_writing(&mut self) -> Result<(), ImapError> {
        if self.access == Access::Write {
            return Ok(());
        }
        let (line, state) = open(&mut self.connection, "SELECT", &self.mailbox).await?;
        if line.code == CodeData::ReadOnly {
            return Err(ImapError::NotWritable(NotWritable::ReadOnly));
        }
        if state.uid_validity != self.uid_validity {
            return Err(ImapError::NotWritable(NotWritable::Renumbered));
        }
        self.access = Access::Write;
        Ok(())
    }

    async fn capabilities(&mut self) -> Result<Capabilities, ImapError> {
        if let Some(known) = &self.capabilities {
            return Ok(known.clone());
        }
        let asked = capabilities(&mut self.connection).await?;
        self.capabilities = Some(asked.clone());
        Ok(asked)
    }

    /// Runs a command whose answer is its status.
    async fn run(&mut self, step: Step, command: &str) -> Result<(), ImapError> {
        self.connection.begin()?;
        let tag = self.connection.command(command);
        self.connection.flush(step).await?;
        self.connection.complete(tag, step, |_| Ok(())).await.map(drop)
    }
}

/// Says goodbye, unless the stream is where nobody knows. It is tried even when the deadline has passed.
pub(super) async fn leave<S>(mut connection: Connection<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if connection.begin().is_ok() {
        connection.command("LOGOUT");
        let deadline = connection.deadline;
        // Nobody needs to know how it went.
        let _ = timeout_at(deadline, timeout(LOGOUT_TIME, connection.close())).await;
    }
}

/// Opens a mailbox by `verb`, EXAMINE or SELECT, and nothing beside it.
pub(super) async fn open<S>(
    connection: &mut Connection<S>,
    verb: &str,
    mailbox: &Mailbox,
) -> Result<(StatusLine, MailboxState), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin()?;
    let tag = connection.command(&format!("{verb} {}", encode::mailbox(mailbox)));
    connection.flush(Step::Open).await?;
    let mut opened = Opening::default();
    let sink = |response: Response| {
        opened.note(&response);
        Ok(())
    };
    let line = connection.complete(tag, Step::Open, sink).await?;
    Ok((line, opened.state()?))
}

/// Asks for the capabilities.
pub(super) async fn capabilities<S>(connection: &mut Connection<S>) -> Result<Capabilities, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin()?;
    let tag = connection.command("CAPABILITY");
    connection.flush(Step::Capability).await?;
    let mut found = None;
    let sink = |response| {
        if let Response::Capability(capabilities) = response {
            found = Some(capabilities);
        }
        Ok(())
    };
    connection.complete(tag, Step::Capability, sink).await?;
    Ok(found.unwrap_or_default())
}

/// Whether a server says that it did not understand a command, and nothing more: other refusals stand.
pub(super) fn is_incomprehension(error: &ImapError) -> bool {
    matches!(error, ImapError::Refused { reply, .. }
        if reply.refusal == Refusal::Bad && reply.code.is_none() && !reply.throttled)
}

/// The command that lists what is above a UID; `None` where there can be nothing.
fn list_command(above: u32) -> Option<String> {
    let first = above.checked_add(1)?;
    Some(format!("UID FETCH {first}:* (UID FLAGS RFC822.SIZE INTERNALDATE)"))
}

/// What a server says while it opens a mailbox (RFC 9051 §6.3.2).
#[derive(Debug, Default)]
struct Opening {
    uid_validity: Option<UidValidity>,
    uid_next: Option<Uid>,
    exists: Option<u32>,
}

impl Opening {
    fn note(&mut self, response: &Response) {
        match response {
            Response::Exists(count) => self.exists = Some(*count),
            Response::Status(_, line) => match line.code {
                CodeData::UidValidity(value) => self.uid_validity = UidValidity::new(value),
                CodeData::UidNext(value) => self.uid_next = Uid::new(value),
                CodeData::None | CodeData::ReadOnly | CodeData::Capability(_) | CodeData::Known(_) => {}
            },
            Response::Tagged(..)
            | Response::Continuation(_)
            | Response::Capability(_)
            | Response::Fetch(_)
            | Response::List(_)
            | Response::Search(_)
            | Response::Unseen(_)
            | Response::Other => {}
        }
    }

    fn state(&self) -> Result<MailboxState, ImapError> {
        let exists =
            self.exists.ok_or(ImapError::Malformed { step: Step::Open, what: Malformed::NoExists })?;
        Ok(MailboxState { uid_validity: self.uid_validity, uid_next: self.uid_next, exists })
    }
}

/// Gathers a listing from FETCH responses in any order.
struct Lister {
    above: u32,
    messages: BTreeMap<Uid, Listed>,
    cut: bool,
}

impl Lister {
    fn new(above: u32) -> Self {
        Self { above, messages: BTreeMap::new(), cut: false }
    }

    /// `n:*` brings the last message even if it is below n (RFC 9051 §9, `seq-range`), and servers send flags of
    /// others unasked.
    fn note(&mut self, response: Response) {
        let Response::Fetch(fetch) = response else { return };
        let Fetch { uid: Some(uid), seen, size, arrived, .. } = *fetch else { return };
        if uid.get() <= self.above {
            return;
        }
        let message = self.messages.entry(uid).or_insert(Listed { uid, seen: false, size: 0, arrived: None });
        message.seen = seen.unwrap_or(message.seen);
        message.size = size.unwrap_or(message.size);
        message.arrived = arrived.unwrap_or(message.arrived);
        if self.messages.len() > MAX_LISTED {
            self.messages.pop_last();
            self.cut = true;
        }
    }

    fn into_listing(self) -> Listing {
        Listing { above: self.above, messages: self.messages.into_values().collect(), cut: self.cut }
    }
}
