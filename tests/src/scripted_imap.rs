//! An IMAP server that behaves, except where a test says how it does not.
//!
//! It speaks implicit TLS with the good certificate, takes any login, and holds one mailbox with a few messages in it. A
//! test states the fault only: on which command, and what bytes are sent instead of the answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailroom_local::certificates::Certificates;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::secret_scan;
use crate::tls::acceptor;

/// A step of a fault.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes; `{tag}` stands for the command's tag.
    Send(Vec<u8>),
    /// Sends these bytes again and again until the client goes away.
    Flood(Vec<u8>),
    /// Answers as if there were no fault.
    Behave,
    /// Keeps the connection open and says nothing more.
    Hang,
    /// Closes the connection without BYE.
    Close,
}

impl Step {
    /// [`Step::Send`] with text.
    #[must_use]
    pub fn say(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// The pseudo-command that stands for the moment of connecting.
pub const GREETING: &str = "GREETING";

/// A fault: from the `skip`-th command on that begins with `prefix`, `times` commands are answered by `steps`.
#[derive(Debug)]
struct Fault {
    prefix: String,
    skip: AtomicUsize,
    times: AtomicUsize,
    steps: Vec<Step>,
}

/// What the server holds, and where it fails.
#[derive(Debug, Default)]
pub struct Script {
    messages: Mutex<Vec<Vec<u8>>>,
    faults: Vec<Fault>,
    commands: Mutex<Vec<String>>,
    lines: Mutex<Vec<String>>,
    uid_next_missing: bool,
    /// INTERNALDATE of all messages; `None`: one of the past.
    arrived: Option<String>,
}

impl Script {
    /// A server that behaves, with these messages as UID 1, 2, …
    #[must_use]
    pub fn with(messages: &[&[u8]]) -> Self {
        Self {
            messages: Mutex::new(messages.iter().map(|message| message.to_vec()).collect()),
            ..Self::default()
        }
    }

    /// Every command that begins with `prefix` (without its tag, any case) meets these steps.
    #[must_use]
    pub fn on(self, prefix: &str, steps: Vec<Step>) -> Self {
        self.on_some(prefix, 0, usize::MAX, steps)
    }

    /// `times` commands that begin with `prefix`, after `skip` of them, meet these steps.
    #[must_use]
    pub fn on_some(mut self, prefix: &str, skip: usize, times: usize, steps: Vec<Step>) -> Self {
        let prefix = prefix.to_ascii_uppercase();
        self.faults.push(Fault { prefix, skip: skip.into(), times: times.into(), steps });
        self
    }

    /// A server that leaves UIDNEXT out.
    #[must_use]
    pub const fn without_uid_next(mut self) -> Self {
        self.uid_next_missing = true;
        self
    }

    /// A server whose messages have all arrived at this INTERNALDATE.
    #[must_use]
    pub fn arrived(mut self, date: &str) -> Self {
        self.arrived = Some(date.to_owned());
        self
    }

    fn note(&self, line: &str) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }

    fn fault(&self, command: &str) -> Option<&[Step]> {
        let command = command.to_ascii_uppercase();
        let less = |count: &AtomicUsize| {
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
        };
        self.faults
            .iter()
            .filter(|fault| command.starts_with(&fault.prefix))
            .find(|fault| !less(&fault.skip) && less(&fault.times))
            .map(|fault| fault.steps.as_slice())
    }
}

/// The server. Stops when dropped.
pub struct ScriptedImap {
    address: SocketAddr,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

impl ScriptedImap {
    /// Starts a server with this script.
    #[must_use]
    pub fn start(handle: &Handle, certificates: &Certificates, script: Script) -> Self {
        let acceptor = acceptor(certificates);
        let listener = handle.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let script = Arc::new(script);
        let shared = Arc::clone(&script);
        let task = handle.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    // A client that goes away ends its connection only.
                    let _ = converse(&acceptor, stream, &script).await;
                });
            }
        });
        Self { address, script, task }
    }

    /// Where clients find it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The commands it was sent, without tags and credentials.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.script.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it was sent this secret, in any form.
    #[must_use]
    pub fn was_told(&self, secret: &str) -> bool {
        let lines = self.script.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().any(|line| secret_scan::holds(line, secret))
    }

    /// Puts one more message into the mailbox.
    pub fn arrive(&self, raw: &[u8]) {
        self.script.messages.lock().unwrap_or_else(PoisonError::into_inner).push(raw.to_vec());
    }
}

impl Drop for ScriptedImap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Stream = BufReader<TlsStream<TcpStream>>;

/// Whether the connection takes another command.
#[derive(PartialEq, Eq)]
enum Conversation {
    Continues,
    Ends,
}

async fn converse(acceptor: &TlsAcceptor, stream: TcpStream, script: &Script) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    let greeting = b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN ID] ready\r\n".to_vec();
    if perform(&mut stream, script.fault(GREETING), "*", greeting).await? == Conversation::Ends {
        return Ok(());
    }
    loop {
        let line = command(&mut stream).await?;
        script.note(&line);
        let Some((tag, command)) = line.split_once(' ') else { return Ok(()) };
        let secret = ["LOGIN", "AUTHENTICATE"].iter().any(|verb| starts_with(command, verb));
        let shown = if secret { command.split(' ').next().unwrap_or_default() } else { command };
        script.commands.lock().unwrap_or_else(PoisonError::into_inner).push(shown.to_owned());
        let answer = if starts_with(command, "AUTHENTICATE") && command.split(' ').count() < 3 {
            stream.write_all(b"+ \r\n").await?;
            stream.flush().await?;
            script.note(&self::line(&mut stream).await?);
            format!("{tag} OK logged in\r\n").into_bytes()
        } else {
            answer(script, tag, command)
        };
        let over = perform(&mut stream, script.fault(command), tag, answer).await? == Conversation::Ends;
        if over || starts_with(command, "LOGOUT") {
            return Ok(());
        }
    }
}

fn starts_with(command: &str, verb: &str) -> bool {
    command.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb))
}

/// Does what the script says, or answers.
async fn perform(
    stream: &mut Stream,
    fault: Option<&[Step]>,
    tag: &str,
    answer: Vec<u8>,
) -> std::io::Result<Conversation> {
    for step in fault.unwrap_or(&[Step::Behave]) {
        match step {
            Step::Behave => stream.write_all(&answer).await?,
            Step::Send(bytes) => stream.write_all(&tagged(bytes, tag)).await?,
            Step::Flood(bytes) => loop {
                stream.write_all(bytes).await?;
            },
            Step::Hang => {
                stream.flush().await?;
                tokio::time::sleep(Duration::from_secs(600)).await;
                return Ok(Conversation::Ends);
            }
            Step::Close => {
                stream.flush().await?;
                return Ok(Conversation::Ends);
            }
        }
    }
    stream.flush().await?;
    Ok(Conversation::Continues)
}

fn tagged(bytes: &[u8], tag: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace("{tag}", tag).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

/// A command with its literals (RFC 9051 §4.3) put in as they are.
async fn command(stream: &mut Stream) -> std::io::Result<String> {
    let mut command = line(stream).await?;
    while let Some(size) = literal(&command) {
        if !command.ends_with("+}") {
            stream.write_all(b"+ go ahead\r\n").await?;
            stream.flush().await?;
        }
        let mut bytes = vec![0; size];
        stream.read_exact(&mut bytes).await?;
        command += &String::from_utf8_lossy(&bytes);
        command += &line(stream).await?;
    }
    Ok(command)
}

fn literal(line: &str) -> Option<usize> {
    let (_, size) = line.strip_suffix('}')?.rsplit_once('{')?;
    size.trim_end_matches('+').parse().ok()
}

async fn line(stream: &mut Stream) -> std::io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// What a server that behaves says.
fn answer(script: &Script, tag: &str, command: &str) -> Vec<u8> {
    let messages = script.messages.lock().unwrap_or_else(PoisonError::into_inner);
    let upper = command.to_ascii_uppercase();
    let arrived = script.arrived.as_deref().unwrap_or("22-Nov-2026 10:00:00 +0000");
    let mut out = Vec::new();
    let mut say = |text: &str| out.extend_from_slice(text.as_bytes());
    match upper.split(' ').next().unwrap_or_default() {
        "CAPABILITY" => say("* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN ID\r\n"),
        "EXAMINE" | "SELECT" => {
            say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n");
            say(&format!("* {} EXISTS\r\n* 0 RECENT\r\n", messages.len()));
            say("* OK [UIDVALIDITY 1700000000] valid\r\n");
            if !script.uid_next_missing {
                say(&format!("* OK [UIDNEXT {}] next\r\n", messages.len() + 1));
            }
        }
        "LOGOUT" => say("* BYE logging out\r\n"),
        "UID" if upper.starts_with("UID FETCH") => out = fetch(&messages, &upper, arrived),
        // Its sequence numbers are its UIDs.
        "FETCH" => out = fetch(&messages, &format!("UID {upper}"), arrived),
        "UID" if upper.starts_with("UID SEARCH") => {
            let uids: Vec<String> = (1..=messages.len()).map(|uid| uid.to_string()).collect();
            say(&format!("* SEARCH {}\r\n", uids.join(" ")));
        }
        _ => {}
    }
    out.extend_from_slice(format!("{tag} OK done\r\n").as_bytes());
    out
}

fn fetch(messages: &[Vec<u8>], command: &str, arrived: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let set = command.split(' ').nth(2).unwrap_or_default();
    for (message, uid) in messages.iter().zip(1_usize..) {
        if !in_set(set, uid, messages.len()) {
            continue;
        }
        let head = format!(
            "* {uid} FETCH (UID {uid} FLAGS () RFC822.SIZE {size} INTERNALDATE \"{arrived}\"",
            size = message.len()
        );
        out.extend_from_slice(head.as_bytes());
        if let Some((_, section)) = command.split_once("BODY") {
            let (name, bytes) = section_of(message, section);
            out.extend_from_slice(format!(" {name} {{{}}}\r\n", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(b")\r\n");
    }
    out
}

/// The bytes that `[…]<offset.length>` asks for, and how the answer names them.
fn section_of<'a>(message: &'a [u8], section: &str) -> (String, &'a [u8]) {
    let section = section.trim_start_matches(".PEEK");
    let name = section.trim_start_matches('[').split(']').next().unwrap_or_default();
    if name == "HEADER" {
        let end =
            message.windows(4).position(|window| window == b"\r\n\r\n").map_or(message.len(), |at| at + 4);
        return ("BODY[HEADER]".to_owned(), message.get(..end).unwrap_or_default());
    }
    let range = section.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let Some((range, _)) = range else { return ("BODY[]".to_owned(), message) };
    let mut numbers = range.split('.').filter_map(|n| n.parse::<usize>().ok());
    let (offset, length) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(usize::MAX));
    let end = offset.saturating_add(length).min(message.len());
    (format!("BODY[]<{offset}>"), message.get(offset.min(end)..end).unwrap_or_default())
}

/// Whether a UID is in a sequence set; `n:*` always holds the last one (RFC 9051 §9, seq-range).
fn in_set(set: &str, uid: usize, last: usize) -> bool {
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
    set.split(',').any(|part| match part.split_once(':') {
        Some((a, b)) => {
            let (a, b) = (number(a), number(b));
            (a.min(b)..=a.max(b)).contains(&uid)
        }
        None => number(part) == uid,
    })
}
