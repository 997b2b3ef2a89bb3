//! A session with an open mailbox: listing, marking, moving.

use std::collections::BTreeMap;
use std::time::Duration;

use mailroom_core::inbound::cursor::{MailboxId, Uid, UidValidity};
use mailroom_core::inbound::listing::{Listed, Listing};
use mailroom_core::inbound::plan::MailboxState;
use mailroom_core::inbound::poll::WINDOW;
use mailroom_core::server::Mailbox;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::encode;
use super::error::{ImapError, Malformed, NotWritable, Refusal, Step};
use super::marks::GMAIL_ITEMS;
use super::response::{Capabilities, Fetch, Response, ResponseCode, StatusLine};

/// The most messages of a listing: 10,000 of them take half a megabyte, and hours to fetch.
pub const MAX_LISTED: usize = 10_000;

/// UIDs named in one command: servers that document a limit accept command lines of 8 KiB.
pub(super) const UIDS_PER_COMMAND: usize = 200;

/// How long a logout may take: closing the connection tells the server the same.
const LOGOUT_TIME: Duration = Duration::from_secs(2);

/// How the mailbox was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Opened with EXAMINE.
    Read,
    /// Opened with SELECT.
    Write,
}

/// A logged-in session with a mailbox open.
///
/// After an error other than [`ImapError::Refused`] and [`ImapError::CannotMove`], or after a cancelled operation, it
/// cannot be used any more: every operation fails with that error again.
pub struct Session<S = TlsStream<TcpStream>> {
    pub(super) connection: Connection<S>,
    mailbox: Mailbox,
    uid_validity: Option<UidValidity>,
    capabilities: Option<Capabilities>,
    access: Access,
    /// The messages that the last move has copied and not removed.
    copied: Vec<Uid>,
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("mailbox", &self.mailbox).field("access", &self.access).finish()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Opens `mailbox` without changing it and lists it above `above`, in one flight.
    pub(super) async fn examine_and_list(
        mut connection: Connection<S>,
        capabilities: Option<Capabilities>,
        mailbox: &Mailbox,
        above: Option<u32>,
    ) -> Result<(Self, MailboxState, Option<Listing>), ImapError> {
        connection.begin_operation()?;
        let opening = connection.command(&format!("EXAMINE {}", encode::mailbox(mailbox)));
        let command = above.and_then(|above| list_command(above, WINDOW));
        let listing = command.map(|command| connection.command(&command));
        connection.flush(Step::Open).await?;
        let mut select_data = SelectData::default();
        let mut listing_builder = ListingBuilder::new(above.unwrap_or(u32::MAX), WINDOW);
        connection
            .complete(opening, Step::Open, |response| {
                select_data.record(&response);
                listing_builder.record(response);
                Ok(())
            })
            .await?;
        let state = select_data.state()?;
        let listed = match listing {
            None => Ok(()),
            Some(tag) => {
                let sink = |response| {
                    listing_builder.record(response);
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
            copied: Vec::new(),
        };
        let listing = match (listed, above) {
            (Ok(()), above) => above.map(|_| listing_builder.into_listing()),
            // The mailbox is empty, by EXISTS; some servers answer BAD to `1:*` then.
            (Err(error), Some(above)) if state.exists == 0 && is_unknown_command(&error) => {
                Some(ListingBuilder::new(above, WINDOW).into_listing())
            }
            // Some servers discard a command that arrives before they answered the one before it.
            (Err(error), Some(above)) if is_unknown_command(&error) => {
                match session.list(above, WINDOW).await {
                    Ok(listing) => Some(listing),
                    Err(error) if error.leaves_session_open() => None,
                    Err(error) => return Err(error),
                }
            }
            // A message in the window may be damaged: it is for the caller to list others.
            (Err(error), _) if error.leaves_session_open() => None,
            (Err(error), _) => return Err(error),
        };
        Ok((session, state, listing))
    }

    /// What a FETCH of bodies asks for besides them: no round trip is spent on it.
    pub(super) fn marks_asked_for(&self) -> &'static str {
        let has_labels = self.capabilities.as_ref().is_some_and(|known| known.has("X-GM-EXT-1"));
        if has_labels { GMAIL_ITEMS } else { "" }
    }

    /// Replaces the deadline given to [`super::Connector::open`].
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.connection.deadline = deadline;
    }

    /// The messages of the window of `width` UIDs above a UID, at most the [`MAX_LISTED`] lowest.
    ///
    /// # Errors
    /// When the server does not complete the listing with OK.
    pub async fn list(&mut self, above: u32, width: u32) -> Result<Listing, ImapError> {
        self.connection.begin_operation()?;
        let mut listing_builder = ListingBuilder::new(above, width);
        let Some(command) = list_command(above, width) else { return Ok(listing_builder.into_listing()) };
        let tag = self.connection.command(&command);
        self.connection.flush(Step::List).await?;
        let sink = |response| {
            listing_builder.record(response);
            Ok(())
        };
        self.connection.complete(tag, Step::List, sink).await?;
        Ok(listing_builder.into_listing())
    }

    /// Sets `\Seen`. Messages that no longer exist are not an error.
    ///
    /// # Errors
    /// When the mailbox cannot be selected for writing, or the server refuses.
    pub async fn mark_seen(&mut self, uids: &[Uid]) -> Result<(), ImapError> {
        self.open_for_writing().await?;
        for uids in uids.chunks(UIDS_PER_COMMAND) {
            let set = encode::uid_set(uids.iter().copied());
            self.run(Step::Store, &format!("UID STORE {set} +FLAGS.SILENT (\\Seen)")).await?;
        }
        Ok(())
    }

    /// Moves messages to another mailbox. Messages that no longer exist are not an error.
    ///
    /// Uses MOVE (RFC 6851) or, without it, COPY, `\Deleted` and UID EXPUNGE (RFC 4315). Never EXPUNGE, which would
    /// also remove messages that other clients marked as deleted.
    ///
    /// # Errors
    /// [`ImapError::CannotMove`] when the server has neither MOVE nor UIDPLUS; otherwise when it refuses:
    /// [`Self::take_copied`] then tells what is left of it.
    pub async fn move_to(&mut self, uids: &[Uid], target: &Mailbox) -> Result<(), ImapError> {
        let capabilities = self.capabilities().await?;
        let rev2 = capabilities.has("IMAP4REV2");
        let (can_move, can_expunge) = (rev2 || capabilities.has("MOVE"), rev2 || capabilities.has("UIDPLUS"));
        if !can_move && !can_expunge {
            return Err(ImapError::CannotMove);
        }
        self.copied.clear();
        self.open_for_writing().await?;
        let target = encode::mailbox(target);
        for uids in uids.chunks(UIDS_PER_COMMAND) {
            let set = encode::uid_set(uids.iter().copied());
            if can_move {
                self.run(Step::Move, &format!("UID MOVE {set} {target}")).await?;
            } else {
                self.run(Step::Move, &format!("UID COPY {set} {target}")).await?;
                self.copied = uids.to_vec();
                self.remove(uids).await?;
                self.copied.clear();
            }
        }
        Ok(())
    }

    /// The messages that a move has copied before it failed, so that only [`Self::remove_copied`] is left to do.
    pub fn take_copied(&mut self) -> Vec<Uid> {
        std::mem::take(&mut self.copied)
    }

    /// Ends a move that failed after the messages were copied. Messages that no longer exist are not an error.
    ///
    /// # Errors
    /// When the mailbox cannot be selected for writing, or the server refuses.
    pub async fn remove_copied(&mut self, uids: &[Uid]) -> Result<(), ImapError> {
        self.open_for_writing().await?;
        for uids in uids.chunks(UIDS_PER_COMMAND) {
            self.remove(uids).await?;
        }
        Ok(())
    }

    async fn remove(&mut self, uids: &[Uid]) -> Result<(), ImapError> {
        let set = encode::uid_set(uids.iter().copied());
        self.run(Step::Move, &format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)")).await?;
        self.run(Step::Move, &format!("UID EXPUNGE {set}")).await
    }

    /// Sends LOGOUT, without waiting for the response.
    pub async fn logout(self) {
        log_out(self.connection).await;
    }

    /// Selects the mailbox for writing, and checks that UIDVALIDITY is unchanged, so that the UIDs name the same messages.
    async fn open_for_writing(&mut self) -> Result<(), ImapError> {
        if self.access == Access::Write {
            return Ok(());
        }
        let (line, state) = open(&mut self.connection, "SELECT", &self.mailbox).await?;
        if line.code == ResponseCode::ReadOnly {
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

    /// Runs a command and ignores its untagged responses.
    async fn run(&mut self, step: Step, command: &str) -> Result<(), ImapError> {
        self.connection.begin_operation()?;
        let tag = self.connection.command(command);
        self.connection.flush(step).await?;
        self.connection.complete(tag, step, |_| Ok(())).await.map(drop)
    }
}

/// Sends LOGOUT, unless a failed command left the stream in an unknown state. Tries it even after the deadline.
pub(super) async fn log_out<S>(mut connection: Connection<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if connection.begin_operation().is_ok() {
        connection.command("LOGOUT");
        let deadline = connection.deadline;
        // The session is over, whether or not the server read this.
        let _ = timeout_at(deadline, timeout(LOGOUT_TIME, connection.close())).await;
    }
}

/// Opens a mailbox with `verb`, EXAMINE or SELECT.
pub(super) async fn open<S>(
    connection: &mut Connection<S>,
    verb: &str,
    mailbox: &Mailbox,
) -> Result<(StatusLine, MailboxState), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin_operation()?;
    let tag = connection.command(&format!("{verb} {}", encode::mailbox(mailbox)));
    connection.flush(Step::Open).await?;
    let mut select_data = SelectData::default();
    let sink = |response: Response| {
        select_data.record(&response);
        Ok(())
    };
    let line = connection.complete(tag, Step::Open, sink).await?;
    Ok((line, select_data.state()?))
}

/// Sends CAPABILITY.
pub(super) async fn capabilities<S>(connection: &mut Connection<S>) -> Result<Capabilities, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin_operation()?;
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

/// Whether the server answered BAD without a code: it does not know the command, and an alternative may work.
pub(super) fn is_unknown_command(error: &ImapError) -> bool {
    matches!(error, ImapError::Refused { reply, .. }
        if reply.refusal == Refusal::Bad && reply.code.is_none() && !reply.is_throttling())
}

/// The command that lists a window; `None` above the highest UID there can be. Never `n:*`: in a mailbox of a million
/// messages that lists them all, at each poll.
pub(super) fn list_command(above: u32, width: u32) -> Option<String> {
    let (first, last) = (above.checked_add(1)?, above.saturating_add(width));
    Some(format!("UID FETCH {first}:{last} (UID FLAGS RFC822.SIZE INTERNALDATE)"))
}

/// The untagged responses to SELECT or EXAMINE (RFC 9051 §6.3.2).
#[derive(Debug, Default)]
struct SelectData {
    uid_validity: Option<UidValidity>,
    uid_next: Option<Uid>,
    exists: Option<u32>,
    mailbox_id: Option<MailboxId>,
}

impl SelectData {
    fn record(&mut self, response: &Response) {
        match response {
            Response::Exists(count) => self.exists = Some(*count),
            Response::Status(_, line) => match line.code {
                ResponseCode::UidValidity(value) => self.uid_validity = UidValidity::new(value),
                ResponseCode::UidNext(value) => self.uid_next = Uid::new(value),
                ResponseCode::MailboxId(id) => self.mailbox_id = Some(id),
                ResponseCode::None
                | ResponseCode::ReadOnly
                | ResponseCode::Capability(_)
                | ResponseCode::Known(_) => {}
            },
            Response::Tagged(..)
            | Response::Continuation(_)
            | Response::Capability(_)
            | Response::Fetch(_)
            | Response::List(_)
            | Response::Search(_)
            | Response::Unseen(_)
            | Response::Expunge
            | Response::Other => {}
        }
    }

    fn state(&self) -> Result<MailboxState, ImapError> {
        let exists =
            self.exists.ok_or(ImapError::Malformed { step: Step::Open, what: Malformed::NoExists })?;
        let Self { uid_validity, uid_next, mailbox_id, .. } = *self;
        Ok(MailboxState { uid_validity, uid_next, exists, mailbox_id, ..MailboxState::default() })
    }
}

/// Collects a listing from FETCH responses in any order.
pub(super) struct ListingBuilder {
    above: u32,
    through: u32,
    messages: BTreeMap<Uid, Listed>,
    /// Whether a message was expunged during the listing, so that numbers changed.
    renumbered: bool,
}

impl ListingBuilder {
    pub(super) fn new(above: u32, width: u32) -> Self {
        let through = above.saturating_add(width);
        Self { above, through, messages: BTreeMap::new(), renumbered: false }
    }

    /// Ignores messages outside the window: servers send flags of other messages unsolicited.
    pub(super) fn record(&mut self, response: Response) {
        self.renumbered |= response == Response::Expunge;
        let Response::Fetch(fetch) = response else { return };
        let Fetch { uid: Some(uid), number, seen, size, arrived, .. } = *fetch else { return };
        if uid.get() <= self.above || uid.get() > self.through {
            return;
        }
        let new = Listed { uid, number: None, seen: false, size: 0, arrived: None };
        let message = self.messages.entry(uid).or_insert(new);
        message.number = number;
        message.seen = seen.unwrap_or(message.seen);
        message.size = size.unwrap_or(message.size);
        message.arrived = arrived.or(message.arrived);
        if self.messages.len() > MAX_LISTED {
            self.messages.pop_last();
            self.through = self.messages.last_key_value().map_or(self.above, |(last, _)| last.get());
        }
    }

    pub(super) fn into_listing(self) -> Listing {
        let Self { above, through, messages, renumbered } = self;
        let numbered = |listed: Listed| Listed { number: listed.number.filter(|_| !renumbered), ..listed };
        let messages = messages.into_values().map(numbered).collect();
        Listing { above, through, messages, ..Listing::default() }
    }
}
