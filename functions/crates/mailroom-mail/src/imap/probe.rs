//! A try of the settings: what a poll would need, and what helps the owner to set it right. It changes nothing.

use mailroom_core::profile::{Mailbox, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::argument;
use super::error::{ImapError, Refusal, Step};
use super::open::{Connector, Greeted, Login, log_in};
use super::response::{Capabilities, Response};
use super::session::{Session, capabilities};
use super::wire::Wire;

/// The most mailboxes that are told: nobody reads more, and an answer has a bound.
const MAX_MAILBOXES: usize = 1_000;

/// The most bytes that the names of mailboxes may have together.
const MAX_NAMES: usize = 64 * 1024;

/// What a try has found, up to where it failed.
#[derive(Debug, Default)]
pub struct Probe {
    /// What the server says that it can do, in capitals: after the login, where it came to that.
    pub capabilities: Vec<String>,
    /// The mailboxes that can be opened, as people write them, in the server's order. At most a thousand.
    pub mailboxes: Vec<String>,
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
        let (wire, greeted) = self.reach(server, deadline).await?;
        look_around(probe, wire, greeted, login, mailbox).await
    }
}

pub(super) async fn look_around<S>(
    probe: &mut Probe,
    mut wire: Wire<S>,
    greeted: Greeted,
    login: Option<Login<'_>>,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stranger = match greeted {
        Greeted::Known => None,
        Greeted::Stranger(Some(announced)) => Some(announced),
        Greeted::Stranger(None) => Some(capabilities(&mut wire).await?),
    };
    if let Some(announced) = &stranger {
        probe.capabilities = announced.clone().into_names();
    }
    let Some(login) = login else { return Ok(()) };
    if stranger.is_some() {
        log_in(&mut wire, stranger, login.login, login.password).await?;
    }
    let known: Capabilities = capabilities(&mut wire).await?;
    probe.capabilities = known.clone().into_names();
    forgive(list(probe, &mut wire).await)?;
    forgive(status(probe, &mut wire, mailbox).await)?;
    let (session, _, _) = Session::examine(wire, Some(known), mailbox, None).await?;
    session.logout().await;
    Ok(())
}

/// What a poll does not need may be refused.
fn forgive(result: Result<(), ImapError>) -> Result<(), ImapError> {
    match result {
        Err(ImapError::Refused { reply, .. }) if reply.refusal != Refusal::Bye => Ok(()),
        result => result,
    }
}

async fn list<S>(probe: &mut Probe, wire: &mut Wire<S>) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.begin()?;
    let tag = wire.command("LIST \"\" \"*\"");
    wire.flush(Step::Mailboxes).await?;
    let mut bytes = 0;
    let sink = |response| {
        if let Response::List(name) = response {
            bytes += name.len();
            if probe.mailboxes.len() < MAX_MAILBOXES && bytes <= MAX_NAMES {
                probe.mailboxes.push(argument::mailbox_name(&name));
            }
        }
        Ok(())
    };
    wire.complete(tag, Step::Mailboxes, sink).await.map(drop)
}

async fn status<S>(probe: &mut Probe, wire: &mut Wire<S>, mailbox: &Mailbox) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.begin()?;
    let tag = wire.command(&format!("STATUS {} (UNSEEN)", argument::mailbox(mailbox)));
    wire.flush(Step::Status).await?;
    let sink = |response| {
        if let Response::Unseen(count) = response {
            probe.unseen = Some(count);
        }
        Ok(())
    };
    wire.complete(tag, Step::Status, sink).await.map(drop)
}
