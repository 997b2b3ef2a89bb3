//! Mail servers on streams in memory: they speak IMAP4rev1 as Dovecot does, over mailboxes of their own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fetch::Mailboxes;
use mailroom_core::server::{Mailbox, Server};
use mailroom_mail::imap::{ImapError, Opened, Step, open_over};
use mailroom_net::connect::NetError;
use mailroom_net::login::Login;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex,
};
use tokio::time::{Instant, sleep};

use crate::clock;
use crate::faults::{ServerFault, ServerStep};
use crate::imap_answers::{Answer, View, answer};
use crate::lambda::Run;
use crate::world::{Shared, owner_of_login};

/// How long a connection takes that nobody answers.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// The mail servers, as one invocation reaches them.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    pub(crate) world: Shared,
    pub(crate) run: Arc<Run>,
}

impl Mailboxes for Servers {
    type Stream = DuplexStream;

    async fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        mailbox: &Mailbox,
        list_above: Option<u32>,
        deadline: Instant,
    ) -> Result<Opened<DuplexStream>, ImapError> {
        self.run.passes(&self.world).await;
        let owner = owner_of_login(login.login);
        let fault = self.world.lock().faults.of_server(owner, ServerStep::Connect, clock::elapsed());
        match fault {
            None => {}
            Some(ServerFault::Hangs | ServerFault::Slow(_)) => {
                tokio::time::timeout_at(deadline, sleep(CONNECT_TIME))
                    .await
                    .map_err(|_| ImapError::Timeout(Step::Connect))?;
                return Err(ImapError::Net(NetError::TimedOut));
            }
            Some(_) => {
                return Err(ImapError::Net(NetError::Connect(io::ErrorKind::ConnectionRefused.into())));
            }
        }
        let ours = self.imap_connection(owner);
        let opened = open_over(ours, server, login, mailbox, list_above, deadline).await?;
        self.run.has_read(owner);
        Ok(opened)
    }
}

impl Servers {
    /// A connection with the IMAP server of an owner.
    pub(crate) fn imap_connection(&self, owner: usize) -> DuplexStream {
        let (ours, theirs) = duplex(64 * 1024);
        let connection = Connection {
            world: self.world.clone(),
            run: Arc::clone(&self.run),
            owner,
            stream: BufReader::new(theirs),
        };
        tokio::spawn(async move {
            // A client that goes away ends its connection only.
            let _ = connection.serve().await;
        });
        ours
    }
}

/// A client's connection with the server of an owner.
struct Connection {
    world: Shared,
    run: Arc<Run>,
    owner: usize,
    stream: BufReader<DuplexStream>,
}

/// Whether the conversation goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Command,
    Over,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        let greeting = Answer::plain("* OK [CAPABILITY IMAP4rev1 SASL-IR UIDPLUS ID] ready\r\n");
        if self.say(ServerStep::Greeting, "*", greeting).await? == Next::Over {
            return Ok(());
        }
        let mut view = View::default();
        loop {
            let line = self.command().await?;
            let Some((tag, command)) = line.split_once(' ') else { return Ok(()) };
            // An invocation may die before the server has seen the command, and after it was done.
            if self.run.dies(&self.world) {
                return Ok(());
            }
            let step = step_of(command);
            let may_leave_out = matches!(step, ServerStep::Fetch | ServerStep::List);
            let leaves_out = may_leave_out && self.fault(step) == Some(ServerFault::LeavesOut);
            let said = {
                let mut world = self.world.lock();
                answer(&mut world.accounts[self.owner], &mut view, tag, command, leaves_out)
            };
            if self.run.dies(&self.world) {
                return Ok(());
            }
            let over = command.eq_ignore_ascii_case("LOGOUT");
            if self.say(step, tag, said).await? == Next::Over || over {
                return Ok(());
            }
        }
    }

    fn fault(&self, step: ServerStep) -> Option<ServerFault> {
        self.world.lock().faults.of_server(self.owner, step, clock::elapsed())
    }

    /// Sends an answer, or what is sent instead of it.
    async fn say(&mut self, step: ServerStep, tag: &str, answer: Answer) -> io::Result<Next> {
        let latency = self.world.lock().random.time(Duration::from_millis(40));
        sleep(latency).await;
        let fault = self.fault(step);
        if let Some(fault) = fault {
            let what = format!("owner {}: the server {fault:?} at {step:?}", self.owner);
            self.world.lock().log(what);
        }
        let middle = answer.bytes.len() / 2;
        match fault {
            None | Some(ServerFault::LeavesOut) => {}
            Some(ServerFault::Slow(time)) => sleep(time).await,
            Some(ServerFault::Hangs) => return self.hang().await,
            Some(ServerFault::Closes) => return Ok(Next::Over),
            Some(ServerFault::Cuts) => {
                self.send(answer.bytes.get(..middle).unwrap_or_default()).await?;
                return Ok(Next::Over);
            }
            Some(ServerFault::Says(line)) => {
                self.send(format!("{}\r\n", line.replace("{tag}", tag)).as_bytes()).await?;
                return Ok(if line.starts_with("* BYE") { Next::Over } else { Next::Command });
            }
        }
        self.send(&answer.bytes).await?;
        match answer.then {
            After::Goes => Ok(Next::Command),
            After::Closes => Ok(Next::Over),
            After::Hangs => self.hang().await,
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says nothing more, until the client goes away.
    async fn hang(&mut self) -> io::Result<Next> {
        let mut heard = [0; 1024];
        while self.stream.read(&mut heard).await? > 0 {}
        Ok(Next::Over)
    }

    /// A command, with its literals put in as they are.
    async fn command(&mut self) -> io::Result<String> {
        let mut command = self.line().await?;
        while let Some(length) = literal(&command) {
            self.send(b"+ go ahead\r\n").await?;
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes).await?;
            command += "\r\n";
            command += &String::from_utf8_lossy(&bytes);
            command += &self.line().await?;
        }
        Ok(command)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}

pub(crate) use crate::imap_answers::Then as After;

/// The length of a literal that a line ends with.
fn literal(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

/// The step that a command belongs to.
fn step_of(command: &str) -> ServerStep {
    let starts = |verbs: &[&str]| verbs.iter().any(|verb| command.starts_with(verb));
    if starts(&["APPEND", "LIST", "UID SEARCH HEADER"]) {
        ServerStep::Filing
    } else if starts(&["EXAMINE", "SELECT"]) {
        ServerStep::Open
    } else if starts(&["UID FETCH", "FETCH"]) && command.contains("BODY") {
        ServerStep::Fetch
    } else if starts(&["UID FETCH", "FETCH", "UID SEARCH", "NOOP"]) {
        ServerStep::List
    } else if starts(&["UID "]) {
        ServerStep::Change
    } else {
        ServerStep::Login
    }
}
