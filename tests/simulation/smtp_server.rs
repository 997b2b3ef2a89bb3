//! SMTP servers on streams in memory. What they have taken is counted: for a recipient, a message is taken once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mailroom_core::server::Server;
use mailroom_net::connect::NetError;
use send::Streams;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex,
};
use tokio::time::{Instant, sleep};

use crate::clock;
use crate::faults::{ServerFault, ServerStep};
use crate::imap_answers::message_id;
use crate::imap_server::Servers;
use crate::lambda::Run;
use crate::world::{Shared, owner_of_login};

impl Streams for Servers {
    type Stream = DuplexStream;

    async fn smtp(&self, _: &Server, login: &str, _: Instant) -> Result<DuplexStream, NetError> {
        let owner = self.reached(login, ServerStep::SmtpConnect).await?;
        let (ours, theirs) = duplex(64 * 1024);
        let session = Session {
            world: self.world.clone(),
            run: Arc::clone(&self.run),
            owner,
            stream: BufReader::new(theirs),
            recipients: Vec::new(),
        };
        tokio::spawn(async move {
            let _ = session.serve().await;
        });
        Ok(ours)
    }

    async fn imap(&self, _: &Server, login: &str, _: Instant) -> Result<DuplexStream, NetError> {
        let owner = self.reached(login, ServerStep::Connect).await?;
        Ok(self.imap_connection(owner))
    }
}

impl Servers {
    /// The owner whose server is reached, if it is.
    async fn reached(&self, login: &str, step: ServerStep) -> Result<usize, NetError> {
        self.run.passes(&self.world).await;
        let owner = owner_of_login(login);
        let fault = self.world.lock().faults.of_server(owner, step, clock::elapsed());
        match fault {
            None => Ok(owner),
            Some(_) => Err(NetError::Connect(io::ErrorKind::ConnectionRefused.into())),
        }
    }
}

struct Session {
    world: Shared,
    run: Arc<Run>,
    owner: usize,
    stream: BufReader<DuplexStream>,
    recipients: Vec<String>,
}

impl Session {
    async fn serve(mut self) -> io::Result<()> {
        self.reply(ServerStep::SmtpGreeting, "220 ready").await?;
        loop {
            let line = self.line().await?;
            if self.run.dies(&self.world) {
                return Ok(());
            }
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.reply(ServerStep::SmtpLogin, "250-hello\r\n250 AUTH PLAIN").await?,
                "AUTH" => self.reply(ServerStep::SmtpLogin, "235 2.7.0 welcome").await?,
                "MAIL" => {
                    self.recipients.clear();
                    self.reply(ServerStep::Mail, "250 2.1.0 fine").await?;
                }
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "RSET" => self.reply(ServerStep::Mail, "250 2.0.0 fine").await?,
                "QUIT" => return Ok(()),
                _ => self.reply(ServerStep::Mail, "500 5.5.1 what?").await?,
            }
        }
    }

    async fn recipient(&mut self, line: &str) -> io::Result<()> {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        if address.starts_with("nobody") {
            return self.reply(ServerStep::Recipient, "550 5.1.1 nobody here").await;
        }
        let fault = self.fault(ServerStep::Recipient);
        if !matches!(fault, Some(ServerFault::Says(_))) {
            self.recipients.push(address);
        }
        self.answer(ServerStep::Recipient, fault, "250 2.1.5 fine").await
    }

    async fn data(&mut self) -> io::Result<()> {
        let fault = self.fault(ServerStep::Data);
        self.answer(ServerStep::Data, fault, "354 go ahead").await?;
        if matches!(fault, Some(ServerFault::Says(_))) {
            return Ok(());
        }
        let mut message = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            message += &line;
            message += "\n";
        }
        // The client may die before the server has seen the dot, and after it.
        if self.run.dies(&self.world) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let fault = self.fault(ServerStep::Dot);
        if !matches!(fault, Some(ServerFault::Closes | ServerFault::Says(_))) {
            let id = message_id(&message).unwrap_or_default();
            let mut world = self.world.lock();
            world.log(format!("the SMTP server takes {id}"));
            for recipient in &self.recipients {
                world.taken(&id, recipient);
                world.outbound.bounces(crate::world::id(self.owner), &id, recipient);
            }
            world.accounts[self.owner].sent.insert(id);
        }
        if self.run.dies(&self.world) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // As Amazon SES does: the message has this id from now on.
        let id = self.world.lock().outbound.next_reported_id();
        self.answer(ServerStep::Dot, fault, &format!("250 Ok {id}")).await
    }

    fn fault(&self, step: ServerStep) -> Option<ServerFault> {
        self.world.lock().faults.of_server(self.owner, step, clock::elapsed())
    }

    /// Replies, unless the server fails now.
    async fn reply(&mut self, step: ServerStep, reply: &str) -> io::Result<()> {
        let fault = self.fault(step);
        self.answer(step, fault, reply).await
    }

    /// Replies, or does what is done instead of it.
    async fn answer(&mut self, step: ServerStep, fault: Option<ServerFault>, reply: &str) -> io::Result<()> {
        let latency = self.world.lock().random.time(Duration::from_millis(40));
        if let Some(fault) = fault {
            self.world.lock().log(format!("owner {}: the SMTP server {fault:?} at {step:?}", self.owner));
        }
        sleep(latency).await;
        let over = || Err(io::ErrorKind::ConnectionAborted.into());
        let said = match fault {
            None | Some(ServerFault::LeavesOut) => reply,
            Some(ServerFault::Slow(time)) => {
                sleep(time).await;
                reply
            }
            Some(ServerFault::Hangs) => {
                let mut heard = [0; 1024];
                while self.stream.read(&mut heard).await? > 0 {}
                return over();
            }
            Some(ServerFault::Closes | ServerFault::Cuts) => return over(),
            Some(ServerFault::Says(line)) => line,
        };
        self.stream.write_all(format!("{said}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        if said.starts_with("421") { over() } else { Ok(()) }
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
