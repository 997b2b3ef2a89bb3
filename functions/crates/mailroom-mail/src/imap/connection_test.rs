//! A try of the settings: what a poll would need, and what helps the owner to set it right. It changes nothing.

use mailroom_core::server::{Mailbox, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::Connection;
use super::encode;
use super::error::{ImapError, Refusal, Step};
use super::open::{Connector, Greeting, log_in};
use super::response::Response;
use super::session::{capabilities, leave, open};
use mailroom_net::login::Login;

/// The most mailboxes that are told: nobody reads more, and an answer has a bound.
const MAX_MAILBOXES: usize = 1_000;

/// The most bytes that the names of mailboxes may have together, as they are told.
const MAX_NAMES: usize = 64 * 1024;

/// What a try has found, up to where it failed.
#[derive(Debug, Default)]
pub struct Probe {
    /// What the server says that it can do, in capitals: after the login, where it came to that.
    pub capabilities: Vec<String>,
    /// The mailboxes that can be opened, as people write them, in the server's order. At most a thousand,
    /// of 64 KiB together.
    pub mailboxes: Vec<String>,
    /// Whether there are more of them, or may be: the server broke off, or would not tell.
    pub mailboxes_cut: bool,
    /// How many messages of the mailbox nobody has read, where the server tells.
    pub unseen: Option<u32>,
}

impl Connector {
    /// Connects, logs in, looks around, and opens `mailbox` as a poll does. Without a login it ends before that.
    ///
    /// What is learnt goes into `probe` as it comes, so that it is there whatever happens, and whoever waits no longer
    /// has it too.
    ///
    /// # Errors
    /// What a poll would fail with.
    pub async fn probe(
        &self,
        probe: &mut Probe,
        server: &Server,
        login: Option<Login<'_>>,
        mailbox: &Mailbox,
        deadline: Instant,
    ) -> Result<(), ImapError> {
        let (connection, greeted) = self.reach(server, deadline).await?;
        look_around(probe, connection, greeted, login, server, mailbox).await
    }
}

/// Looks around from the greeting on, and says goodbye.
pub(super) async fn look_around<S>(
    probe: &mut Probe,
    mut connection: Connection<S>,
    greeted: Greeting,
    login: Option<Login<'_>>,
    server: &Server,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let result = look(probe, &mut connection, greeted, login, server, mailbox).await;
    leave(connection).await;
    result
}

async fn look<S>(
    probe: &mut Probe,
    connection: &mut Connection<S>,
    greeted: Greeting,
    login: Option<Login<'_>>,
    server: &Server,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (login_needed, announced) = match greeted {
        Greeting::Authenticated => (None, None),
        Greeting::NotAuthenticated(announced) => (login, announced),
    };
    let known = match announced {
        Some(announced) => Some(announced),
        None => unless_refused(capabilities(connection).await)?,
    };
    if let Some(known) = &known {
        probe.capabilities = known.clone().into_names();
    }
    if login.is_none() {
        return Ok(());
    }
    if let Some(login) = login_needed {
        log_in(connection, known, login, server).await?;
        if let Some(known) = unless_refused(capabilities(connection).await)? {
            probe.capabilities = known.into_names();
        }
    }
    // Before the mailbox is open: STATUS is not for the one that is (RFC 9051 §6.3.11).
    unless_refused(status(probe, connection, mailbox).await)?;
    let opened = open(connection, "EXAMINE", mailbox).await.map(drop);
    // The last, whatever came before: a poll never asks it, so it must not keep the others from being answered, and
    // who has the name of the mailbox wrong needs it most.
    if list(probe, connection).await.is_err() {
        probe.mailboxes_cut = true;
    }
    opened
}

/// What a poll does not need may be refused; `None` then.
pub(super) fn unless_refused<T>(result: Result<T, ImapError>) -> Result<Option<T>, ImapError> {
    match result {
        Err(ImapError::Refused { reply, .. }) if reply.refusal != Refusal::Bye => Ok(None),
        result => result.map(Some),
    }
}

async fn list<S>(probe: &mut Probe, connection: &mut Connection<S>) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin()?;
    let tag = connection.command("LIST \"\" \"*\"");
    connection.flush(Step::Mailboxes).await?;
    let mut bytes = 0;
    let sink = |response| {
        if let Response::List(listed) = response
            && !probe.mailboxes_cut
        {
            let name = encode::mailbox_name(&listed.name);
            bytes += name.len();
            if probe.mailboxes.len() < MAX_MAILBOXES && bytes <= MAX_NAMES {
                probe.mailboxes.push(name);
            } else {
                probe.mailboxes_cut = true;
            }
        }
        Ok(())
    };
    connection.complete(tag, Step::Mailboxes, sink).await.map(drop)
}

async fn status<S>(
    probe: &mut Probe,
    connection: &mut Connection<S>,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin()?;
    let tag = connection.command(&format!("STATUS {} (UNSEEN)", encode::mailbox(mailbox)));
    connection.flush(Step::Status).await?;
    let sink = |response| {
        if let Response::Unseen(count) = response {
            probe.unseen = Some(count);
        }
        Ok(())
    };
    connection.complete(tag, Step::Status, sink).await.map(drop)
}
