//! A session with a mail server, over async-imap: log in, open the mailbox, list it, fetch messages. It changes nothing.
//!
//! Only async-imap's reader is used. Its calls take NO, BYE and the end of the stream for the end of what was asked for
//! (async-imap's issues 66 and 95), so each command is written here, and has succeeded when its own tagged OK is read.
//! What the reader gives is what imap-proto has parsed: another implementation than the one that polls.

mod authentication;
mod reading;

use std::time::Duration;

use async_imap::Client;
use async_imap::imap_proto::{MailboxDatum, Outcome, Response, ResponseCode, Status};
use mailroom_core::inbound::cursor::UidValidity;
use mailroom_core::server::Security;
use mailroom_core::server::Server;
use mailroom_net::clock::Clock;
use mailroom_net::connect::{AllowedHosts, connect};
use mailroom_net::redact::Redactor;
use mailroom_net::tls::Tls;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::reading::ListedMessage;
use crate::encode;
use crate::error::{ReadError, Step};
use crate::guard::{Excess, Guard};

/// What the answer to a command without data may have in all.
const SMALL_ANSWER: u64 = 256 * 1024;

/// The longest text of a server that is repeated.
const MAX_WORDS: usize = 200;

/// How long a step may take that moves little.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// What a session needs of its stream.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transport for S {}

/// A session. Dropping it closes the connection.
pub(crate) struct Session<S: Transport> {
    client: Client<Guard<S>>,
    commands: u32,
    redactor: Redactor,
    deadline: Instant,
    clock: Clock,
}

/// The mailbox, as the server describes it when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MailboxState {
    pub(crate) exists: u32,
    pub(crate) uid_validity: Option<UidValidity>,
}

/// Whether a client still has to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    NotAuthenticated,
    Authenticated,
}

/// Connects over TLS, and reads the greeting.
pub(crate) async fn connect_to(
    server: &Server,
    (tls, allowed): (&Tls, &AllowedHosts),
    deadline: Instant,
    clock: Clock,
) -> Result<(Session<impl Transport + use<>>, Greeting), ReadError> {
    let within = |step| move |_| ReadError::TimedOut(step);
    let opening = deadline.min(clock.instant() + STEP_TIMEOUT);
    let tcp = timeout_at(opening, connect(server, allowed)).await.map_err(within(Step::Connect))?;
    let mut tcp = tcp.map_err(ReadError::Net)?;
    if server.security == Security::StartTls {
        let mut bare = Session::new(tcp, deadline, clock);
        if bare.greeting().await? == Greeting::Authenticated {
            return Err(ReadError::Unexpected(Step::Greeting));
        }
        bare.run(Step::Tls, "STARTTLS", (SMALL_ANSWER, 0), |_| Ok(())).await?;
        // What came behind the answer in plain text goes with the reader's buffer.
        tcp = bare.client.into_inner().into_inner();
    }
    let tls = timeout_at(opening, tls.connect(&server.host, tcp)).await.map_err(within(Step::Tls))?;
    let mut session = Session::new(tls.map_err(ReadError::Tls)?, deadline, clock);
    let greeting = match server.security {
        Security::Tls => session.greeting().await?,
        Security::StartTls => Greeting::NotAuthenticated,
    };
    Ok((session, greeting))
}

impl<S: Transport> Session<S> {
    fn new(stream: S, deadline: Instant, clock: Clock) -> Self {
        let client = Client::new(Guard::new(stream));
        Self { client, commands: 0, redactor: Redactor::default(), deadline, clock }
    }

    async fn greeting(&mut self) -> Result<Greeting, ReadError> {
        self.client.get_mut().allow(SMALL_ANSWER, 0);
        let read = |response: &Response<'_>| {
            let Response::Data { status, .. } = response else { return None };
            match status {
                Status::Ok => Some(Greeting::NotAuthenticated),
                Status::PreAuth => Some(Greeting::Authenticated),
                Status::No | Status::Bad | Status::Bye => None,
            }
        };
        let greeting = self.response(Step::Greeting, read).await?;
        greeting.ok_or(ReadError::Unexpected(Step::Greeting))
    }

    /// Opens a mailbox so that nothing in it changes.
    pub(crate) async fn examine(&mut self, mailbox: &str) -> Result<MailboxState, ReadError> {
        let name = encode::mailbox(mailbox).ok_or(ReadError::Unexpected(Step::Examine))?;
        let (mut exists, mut uid_validity) = (None, None);
        self.run(Step::Examine, &format!("EXAMINE {name}"), (SMALL_ANSWER, 0), |response| {
            if let Response::MailboxData(MailboxDatum::Exists(count)) = response {
                exists = Some(*count);
            } else if let Response::Data { outcome, .. } = response
                && let Some(ResponseCode::UidValidity(value)) = outcome.code
            {
                uid_validity = UidValidity::new(value);
            }
            Ok(())
        })
        .await?;
        let exists = exists.ok_or(ReadError::Unexpected(Step::Examine))?;
        Ok(MailboxState { exists, uid_validity })
    }

    /// Says good-bye. What the server answers does not matter any more.
    pub(crate) async fn log_out(mut self) {
        self.deadline = self.deadline.min(self.clock.instant() + Duration::from_secs(2));
        let tag = self.next_tag();
        let _ = self.write(Step::Examine, &format!("{tag} LOGOUT\r\n")).await;
    }

    /// Sends a command, and reads its answer up to its own tagged OK. `see` is given each other response. `allowed`: how
    /// many bytes the answer may have in all, and in a literal.
    async fn run(
        &mut self,
        step: Step,
        command: &str,
        allowed: (u64, u64),
        mut see: impl FnMut(&Response<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.client.get_mut().allow(allowed.0, allowed.1);
        let tag = self.next_tag();
        self.write(step, &format!("{tag} {command}\r\n")).await?;
        loop {
            match self.progress(step, &tag, &mut see).await? {
                Progress::Completed => return Ok(()),
                Progress::Data => {}
                Progress::Challenge | Progress::Refused(_) | Progress::Ended(_) => {
                    return Err(ReadError::Unexpected(step));
                }
            }
        }
    }

    /// Reads the next response, and says what it means for the command with this tag. `see` is given what is no answer.
    async fn progress(
        &mut self,
        step: Step,
        tag: &str,
        see: &mut impl FnMut(&Response<'_>) -> Result<(), ReadError>,
    ) -> Result<Progress, ReadError> {
        let words = |outcome: &Outcome<'_>| outcome.information.as_deref().unwrap_or_default().to_owned();
        let read = |response: &Response<'_>| {
            if let Response::Done { tag: of, status, outcome } = response {
                return match status {
                    Status::Ok if of.0 == tag => Ok(Progress::Completed),
                    Status::Ok => Err(ReadError::Unexpected(step)),
                    Status::No | Status::Bad | Status::PreAuth | Status::Bye => {
                        Ok(Progress::Refused(words(outcome)))
                    }
                };
            }
            if let Response::Data { status: Status::Bye, outcome } = response {
                return Ok(Progress::Ended(words(outcome)));
            }
            if let Response::Continue(_) = response {
                return Ok(Progress::Challenge);
            }
            see(response).map(|()| Progress::Data)
        };
        match self.response(step, read).await?? {
            Progress::Refused(words) => Err(ReadError::Refused(step, self.clean(&words))),
            Progress::Ended(words) => Err(ReadError::Bye(step, self.clean(&words))),
            progress @ (Progress::Completed | Progress::Challenge | Progress::Data) => Ok(progress),
        }
    }

    async fn response<T>(
        &mut self,
        step: Step,
        read: impl FnOnce(&Response<'_>) -> T,
    ) -> Result<T, ReadError> {
        let end = self.step_end();
        match timeout_at(end, self.client.read_response()).await {
            Ok(Ok(Some(response))) => Ok(read(response.parsed())),
            Ok(Ok(None)) => Err(ReadError::Ended(step)),
            Ok(Err(error)) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<Excess>()) {
                Some(excess) => ReadError::Excess(step, *excess),
                // The parser's: its text is the message.
                None if error.kind() == std::io::ErrorKind::Other => ReadError::Unreadable(step),
                None => ReadError::Ended(step),
            }),
            Err(_) => Err(ReadError::TimedOut(step)),
        }
    }

    async fn write(&mut self, step: Step, bytes: &str) -> Result<(), ReadError> {
        let end = self.step_end();
        let stream = self.client.get_mut();
        let write = async {
            stream.write_all(bytes.as_bytes()).await?;
            stream.flush().await
        };
        match timeout_at(end, write).await {
            Ok(written) => written.map_err(|_| ReadError::Ended(step)),
            Err(_) => Err(ReadError::TimedOut(step)),
        }
    }

    fn step_end(&self) -> Instant {
        self.deadline.min(self.clock.instant() + STEP_TIMEOUT)
    }

    fn next_tag(&mut self) -> String {
        self.commands += 1;
        format!("m{}", self.commands)
    }

    /// A server's words, without credentials and control characters.
    fn clean(&self, text: &str) -> String {
        self.redactor.redact(text).chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
    }
}

/// What a response means for a command.
enum Progress {
    /// Its own tagged OK.
    Completed,
    /// The server waits for more of the command.
    Challenge,
    /// Anything else.
    Data,
    /// NO or BAD, in these words.
    Refused(String),
    /// BYE, in these words.
    Ended(String),
}
