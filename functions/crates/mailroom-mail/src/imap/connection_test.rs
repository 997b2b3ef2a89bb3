//! A connection test: the steps of a poll, and the details that help the owner to correct the settings. It changes
//! nothing.

use mailroom_core::server::{Mailbox, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::Connection;
use super::encode;
use super::error::{ImapError, Refusal, Step};
use super::open::{Connector, Greeting, log_in};
use super::response::Response;
use super::session::{capabilities, log_out, open};
use mailroom_net::login::Login;

/// The most mailboxes in a report: nobody reads more, and a response of the API is bounded.
const MAX_MAILBOXES: usize = 1_000;

/// The most bytes that the mailbox names of a report may have together, decoded.
const MAX_NAMES: usize = 64 * 1024;

/// What a connection test found out before it ended or failed.
#[derive(Debug, Default)]
pub struct ConnectionReport {
    /// The server's capabilities (RFC 9051 §7.2.2), in upper case; those after the login, if the test logged in.
    pub capabilities: Vec<String>,
    /// The names of the mailboxes that can be selected, decoded, in the server's order: at most 1,000, and 64 KiB
    /// together.
    pub mailboxes: Vec<String>,
    /// Whether there are, or may be, more mailboxes: the list was cut, or the server did not complete it.
    pub mailboxes_cut: bool,
    /// How many messages of the mailbox are unseen, if the server answered STATUS.
    pub unseen: Option<u32>,
}

impl Connector {
    /// Connects, logs in, and opens `mailbox` as a poll does. Without a login, the test ends before the login.
    ///
    /// `report` is filled step by step, so that it is useful after a failure too, and after a caller's time-out.
    ///
    /// # Errors
    /// The error that a poll would meet.
    pub async fn test(
        &self,
        report: &mut ConnectionReport,
        server: &Server,
        login: Option<Login<'_>>,
        mailbox: &Mailbox,
        deadline: Instant,
    ) -> Result<(), ImapError> {
        let (connection, greeting) = self.connect(server, deadline).await?;
        run_test(report, connection, greeting, login, server, mailbox).await
    }
}

/// Tests from the greeting on, and logs out.
pub(super) async fn run_test<S>(
    report: &mut ConnectionReport,
    mut connection: Connection<S>,
    greeting: Greeting,
    login: Option<Login<'_>>,
    server: &Server,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let result = test_steps(report, &mut connection, greeting, login, server, mailbox).await;
    log_out(connection).await;
    result
}

async fn test_steps<S>(
    report: &mut ConnectionReport,
    connection: &mut Connection<S>,
    greeting: Greeting,
    login: Option<Login<'_>>,
    server: &Server,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (login_needed, announced) = match greeting {
        Greeting::Authenticated => (None, None),
        Greeting::NotAuthenticated(announced) => (login, announced),
    };
    let known = match announced {
        Some(announced) => Some(announced),
        None => unless_refused(capabilities(connection).await)?,
    };
    if let Some(known) = &known {
        report.capabilities = known.clone().into_names();
    }
    if login.is_none() {
        return Ok(());
    }
    if let Some(login) = login_needed {
        log_in(connection, known, login, server).await?;
        if let Some(known) = unless_refused(capabilities(connection).await)? {
            report.capabilities = known.into_names();
        }
    }
    // Before EXAMINE: STATUS should not be sent for the selected mailbox (RFC 9051 §6.3.11).
    unless_refused(count_unseen(report, connection, mailbox).await)?;
    let opened = open(connection, "EXAMINE", mailbox).await.map(drop);
    // LIST comes last, and after a failed EXAMINE too: a poll does not need it, so it must not delay what a poll does
    // need; and an owner who misspelt the mailbox needs it most.
    if list_mailboxes(report, connection).await.is_err() {
        report.mailboxes_cut = true;
    }
    opened
}

/// Turns a refusal (NO or BAD) into `None`, for commands that a poll does not need.
pub(super) fn unless_refused<T>(result: Result<T, ImapError>) -> Result<Option<T>, ImapError> {
    match result {
        Err(ImapError::Refused { reply, .. }) if reply.refusal != Refusal::Bye => Ok(None),
        result => result.map(Some),
    }
}

async fn list_mailboxes<S>(
    report: &mut ConnectionReport,
    connection: &mut Connection<S>,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin_operation()?;
    let tag = connection.command("LIST \"\" \"*\"");
    connection.flush(Step::Mailboxes).await?;
    let mut bytes = 0;
    let sink = |response| {
        if let Response::List(listed) = response
            && !report.mailboxes_cut
        {
            let name = encode::mailbox_name(&listed.name);
            bytes += name.len();
            if report.mailboxes.len() < MAX_MAILBOXES && bytes <= MAX_NAMES {
                report.mailboxes.push(name);
            } else {
                report.mailboxes_cut = true;
            }
        }
        Ok(())
    };
    connection.complete(tag, Step::Mailboxes, sink).await.map(drop)
}

async fn count_unseen<S>(
    report: &mut ConnectionReport,
    connection: &mut Connection<S>,
    mailbox: &Mailbox,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin_operation()?;
    let tag = connection.command(&format!("STATUS {} (UNSEEN)", encode::mailbox(mailbox)));
    connection.flush(Step::Status).await?;
    let sink = |response| {
        if let Response::Unseen(count) = response {
            report.unseen = Some(count);
        }
        Ok(())
    };
    connection.complete(tag, Step::Status, sink).await.map(drop)
}
