//! Tests by transcript: the lines of the server, the lines of the client, and the result.
#![allow(clippy::disallowed_methods, reason = "a test's deadline has to begin somewhere")]

mod connection_test;
mod fetching;
mod filing;
mod fuzz;
mod hostile;
mod identifying;
mod logging_in;
mod lookup;
mod marks;
mod opening;
mod oracle;
mod patience;
mod replies;
mod sent_mailbox;
mod starttls;

use std::time::Duration;

use mailroom_core::inbound::cursor::Uid;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::{Host, Mailbox, Security, Server};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connection::Connection;
use super::error::ImapError;
use super::open::{Opened, log_in_and_open, read_greeting};
use mailroom_net::login::{Login, Secret};

/// What most transcripts begin with.
const LOGGED_IN: &str = "
    S: * OK ready
    C: M1 LOGIN \"ann\" \"secret\"
    S: M1 OK logged in";

/// A login, and a mailbox with UIDs up to 9 opened without a listing: the next command is M3.
const OPENED: &str = "
    S: * OK ready
    C: M1 LOGIN \"ann\" \"secret\"
    S: M1 OK logged in
    C: M2 EXAMINE \"INBOX\"
    S: * 9 EXISTS
    S: * OK [UIDVALIDITY 7] .
    S: * OK [UIDNEXT 10] .
    S: M2 OK [READ-ONLY] done";

/// A server that plays a transcript: `S:` lines are sent, consecutive ones at once; `C:` lines are expected. At the end
/// it closes the connection, or stays silent if the last line is `silence`.
fn server(transcript: &str) -> (DuplexStream, JoinHandle<()>) {
    let (ours, mut theirs) = duplex(1 << 20);
    let lines: Vec<String> = transcript.lines().map(|line| line.trim_start().to_owned()).collect();
    let playing = tokio::spawn(async move {
        let mut said = String::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            if let Some(more) = line.strip_prefix("S:") {
                said.push_str(more.strip_prefix(' ').unwrap_or(more));
                said.push_str("\r\n");
                continue;
            }
            // The client may be gone for good reason.
            let _ = theirs.write_all(said.as_bytes()).await;
            said.clear();
            let Some(expected) = line.strip_prefix("C: ") else {
                assert_eq!(line, "silence");
                return std::future::pending().await;
            };
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n") {
                let Ok(byte) = theirs.read_u8().await else { break };
                heard.push(byte);
            }
            assert_eq!(String::from_utf8_lossy(&heard).trim_end(), expected);
        }
        let _ = theirs.write_all(said.as_bytes()).await;
    });
    (ours, playing)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn password(password: &str) -> SecretString {
    SecretString::from(password)
}

/// Opens the inbox of the server that plays `transcript`.
async fn open(transcript: &str, above: Option<u32>) -> Result<Opened<DuplexStream>, ImapError> {
    open_as(transcript, "ann", "secret", "INBOX", above).await
}

async fn open_as(
    transcript: &str,
    login: &str,
    secret: &str,
    mailbox: &str,
    above: Option<u32>,
) -> Result<Opened<DuplexStream>, ImapError> {
    let password = password(secret);
    open_by(transcript, Login { login, secret: &Secret::Password(password.clone()) }, mailbox, above).await
}

/// Opens the inbox with an access token.
async fn open_with_token(transcript: &str) -> Result<Opened<DuplexStream>, ImapError> {
    let token = password("t0ken-t0ken");
    open_by(transcript, Login { login: "ann", secret: &Secret::AccessToken(token.clone()) }, "INBOX", None)
        .await
}

async fn open_by(
    transcript: &str,
    login: Login<'_>,
    mailbox: &str,
    above: Option<u32>,
) -> Result<Opened<DuplexStream>, ImapError> {
    let (stream, playing) = server(transcript);
    let mut connection = Connection::new(stream, soon());
    let mailbox = Mailbox::parse(mailbox).unwrap();
    let result = async {
        let greeting = read_greeting(&mut connection).await?;
        log_in_and_open(connection, greeting, login, &imap_example(), &mailbox, above).await
    }
    .await;
    if playing.is_finished() {
        playing.await.unwrap();
    }
    result
}

/// A session after [`OPENED`], whose server goes on with `transcript`.
async fn session(transcript: &str) -> super::Session<DuplexStream> {
    open(&format!("{OPENED}\n{transcript}"), None).await.unwrap().session
}

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn imap_example() -> Server {
    Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: 993.try_into().unwrap(),
        security: Security::Tls,
    }
}

fn code(error: &ImapError) -> ErrorCode {
    error.owner_error(&imap_example()).code
}
