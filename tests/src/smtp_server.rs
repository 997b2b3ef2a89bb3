//! A real submission server that fails on command: aiosmtpd, driven by `smtp_server/server.py`.
//!
//! It offers STARTTLS on one port and implicit TLS on another, wants a login on both (not so on a third, which is for
//! mail servers), and writes every message that it accepts into a folder before it says so. It comes from PyPI, into a
//! virtual environment of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_local::certificates::{Certificates, Leaf};
use mailroom_local::dovecot::Dovecot;
use mailroom_local::toolbox::Toolbox;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Pinned: the script overrides what this version calls.
const REQUIREMENT: &str = "aiosmtpd==1.4.6";

/// Where it is installed, below `.local`.
const ENVIRONMENT: &str = "smtp";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/smtp_server/server.py");

/// How long it may take to start, or to answer an order: a busy machine's measure.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN, name and password in one response (RFC 4616).
    Plain,
    /// LOGIN, name and password one after the other. No RFC has it.
    Login,
    /// XOAUTH2, Google's way to present an access token.
    Xoauth2,
    /// OAUTHBEARER, the standard way to present one (RFC 7628).
    OauthBearer,
}

impl Mechanism {
    /// Every mechanism, in the order of EHLO.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Login, Self::Xoauth2, Self::OauthBearer];

    /// Its name in EHLO.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Xoauth2 => "XOAUTH2",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// Whether the server takes addresses with letters beyond ASCII (SMTPUTF8, RFC 6531).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpUtf8 {
    /// EHLO names SMTPUTF8.
    Offered,
    /// EHLO leaves SMTPUTF8 out, and such an address is refused.
    Missing,
}

/// What a server is like from its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The ways to log in that it offers.
    pub mechanisms: Vec<Mechanism>,
    /// Whether it takes addresses beyond ASCII.
    pub smtp_utf8: SmtpUtf8,
    /// The largest message, in bytes (SIZE, RFC 1870).
    pub size: u64,
    /// What EHLO names beside SIZE, 8BITMIME, SMTPUTF8, STARTTLS, AUTH and HELP, such as `PIPELINING`: commands in one
    /// flight are taken in any case, but aiosmtpd does not say so by itself.
    pub extensions: Vec<&'static str>,
    /// The certificate, and with it the address.
    pub leaf: Leaf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mechanisms: Mechanism::ALL.to_vec(),
            smtp_utf8: SmtpUtf8::Offered,
            size: 32 << 20,
            extensions: Vec::new(),
            leaf: Leaf::Good,
        }
    }
}

/// Where in a session something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The client has connected (with implicit TLS: the handshake is done). A reply is a refusal: nothing but QUIT is
    /// taken after it.
    Greeting,
    /// EHLO, before and after STARTTLS. A reply of 250 is no refusal but another list of extensions.
    Ehlo,
    /// STARTTLS. With a reply of 220, TLS does not begin all the same.
    StartTls,
    /// AUTH: the command itself, or, where the fault is for one login, the moment at which the login is known.
    Auth,
    /// MAIL, which begins a transaction.
    Mail,
    /// RCPT, once for each recipient.
    Rcpt,
    /// The DATA command, before any content.
    Data,
    /// The first bytes of the content are there. After a reply nothing more is read.
    Body,
    /// The content is complete. Nothing is stored.
    Dot,
    /// The content is complete, and the message is stored and counts as accepted.
    Stored,
    /// RSET, which gives a transaction up.
    Rset,
    /// QUIT, after which the client hangs up.
    Quit,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "GREETING",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Body => "BODY",
            Self::Dot => "DOT",
            Self::Stored => "STORED",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
        }
    }
}

/// What the server does in place of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault<'a> {
    /// This reply in place of the server's own, as it goes over the wire: `451 4.7.1 Try again later`; between the lines
    /// of a longer one, `\n`. After a 421 the connection is closed.
    Reply(&'a str),
    /// No answer, ever. The connection stays open.
    Hang,
    /// The connection is closed at once, without TLS's goodbye.
    Drop,
    /// The connection is reset (RST).
    Reset,
    /// A line that is no reply. The session goes on after it.
    Garbage,
}

impl Fault<'_> {
    const fn action(&self) -> &str {
        match self {
            Self::Reply(text) => text,
            Self::Hang => "hang",
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Garbage => "garbage",
        }
    }
}

/// A message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who had logged in. Empty where nobody has to: see [`SmtpServer::relay`].
    pub login: String,
    /// The address of MAIL, the reverse-path of the envelope.
    pub from: String,
    /// The recipients that were accepted.
    pub to: Vec<String>,
    /// The parameters of MAIL, in capitals: `SIZE=20480`, `BODY=8BITMIME`, `SMTPUTF8`.
    pub mail_options: Vec<String>,
    /// The number of the connection, the first one being 1.
    pub session: u64,
    /// Every byte as it came, without the dots that SMTP adds (RFC 5321 section 4.5.2).
    pub content: Vec<u8>,
}

/// How often each step of [`Step`] was reached, failed ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections. With implicit TLS, those whose handshake was completed.
    pub connections: u64,
    /// EHLO commands, two in a session with STARTTLS.
    pub ehlos: u64,
    /// STARTTLS commands.
    pub start_tls: u64,
    /// AUTH commands, refused ones included.
    pub auths: u64,
    /// MAIL commands, which is as many as transactions.
    pub mail_commands: u64,
    /// RCPT commands, refused ones included.
    pub rcpts: u64,
    /// DATA commands, refused ones included.
    pub datas: u64,
    /// Contents that came in whole, up to the final dot.
    pub contents: u64,
    /// RSET commands.
    pub rsets: u64,
    /// QUIT commands.
    pub quits: u64,
}

/// A running server. Dropping it kills it. It also ends when this process dies without dropping anything, because its
/// standard input, a pipe whose other end only this process holds, ends then.
#[derive(Debug)]
pub struct SmtpServer {
    process: Child,
    orders: Mutex<(ChildStdin, Receiver<String>)>,
    submission: u16,
    submissions: u16,
    relay: u16,
    address: Ipv4Addr,
    files: TempDir,
}

impl SmtpServer {
    /// The password of every login name: the same as [`Dovecot`]'s, so that there is one to look for.
    pub const PASSWORD: &str = Dovecot::PASSWORD;

    /// The access token of every login name, until [`Self::set_token`].
    pub const TOKEN: &str = "token-2718-bramble";

    /// Starts a server, installing it where it is missing.
    ///
    /// # Panics
    /// When it cannot be installed, or does not come up.
    #[must_use]
    pub fn start(certificates: &Certificates, options: &Options) -> Self {
        let installed = Toolbox::here().install(ENVIRONMENT, &[REQUIREMENT], "an SMTP server");
        let bin = installed.unwrap_or_else(|problem| panic!("{problem}"));
        let files = tempfile::Builder::new().prefix("mailroom-smtp-").tempdir().expect("a temporary folder");
        fs::create_dir(files.path().join("received")).expect("a writable folder");
        let log = File::create(files.path().join("log")).expect("a writable folder");
        let mut process = command(&bin, certificates, options, files.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("Python starts");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        // Reading from a pipe has no deadline; waiting for a thread has.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut server = Self {
            process,
            orders: Mutex::new((input, lines)),
            submission: 0,
            submissions: 0,
            relay: 0,
            address: options.leaf.address(),
            files,
        };
        let ports = server.answer(&server.orders.lock().unwrap_or_else(PoisonError::into_inner).1);
        let port = |name| ports.get(name).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        server.submission = port("submission").expect("a port");
        server.submissions = port("submissions").expect("a port");
        server.relay = port("relay").expect("a port");
        server
    }

    /// The address on which it listens: that of its certificate.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The port with STARTTLS, which it insists on.
    #[must_use]
    pub const fn submission(&self) -> u16 {
        self.submission
    }

    /// The port with implicit TLS.
    #[must_use]
    pub const fn submissions(&self) -> u16 {
        self.submissions
    }

    /// The port for mail servers that pass messages on: without TLS and without a login.
    #[must_use]
    pub const fn relay(&self) -> u16 {
        self.relay
    }

    /// What was accepted until now, in this order.
    ///
    /// # Panics
    /// When a message cannot be read.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        let folder = fs::read_dir(self.files.path().join("received")).expect("a folder");
        let mut paths: Vec<_> = folder
            .map(|entry| entry.expect("a readable folder").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        paths.sort();
        paths.iter().map(|path| read(path).expect("a message in the script's form")).collect()
    }

    /// From now on, this happens at this step.
    pub fn fault(&self, at: Step, what: Fault<'_>) {
        self.add(at, what, None, None);
    }

    /// This happens at this step, this many times. A fault that was added earlier goes first.
    pub fn fault_times(&self, at: Step, what: Fault<'_>, times: u32) {
        self.add(at, what, Some(times), None);
    }

    /// From now on, this happens to some at this step: where `whom` is in the address of MAIL or RCPT, or at other steps
    /// in the name that has logged in.
    pub fn fault_for(&self, whom: &str, at: Step, what: Fault<'_>) {
        self.add(at, what, None, Some(whom));
    }

    /// This happens to some at this step, this many times; see [`Self::fault_for`].
    pub fn fault_for_times(&self, whom: &str, at: Step, what: Fault<'_>, times: u32) {
        self.add(at, what, Some(times), Some(whom));
    }

    /// Forgets all faults. What hangs goes on hanging.
    pub fn clear(&self) {
        self.order(&json!({"clear": true}));
    }

    /// Takes another access token from now on, and no longer the one before.
    pub fn set_token(&self, token: &str) {
        self.order(&json!({"token": token}));
    }

    /// How often the steps were reached since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let counts = self.order(&json!({"count": true}));
        let at = |step: Step| counts.get(step.name()).and_then(Value::as_u64).unwrap_or(0);
        Counts {
            connections: at(Step::Greeting),
            ehlos: at(Step::Ehlo),
            start_tls: at(Step::StartTls),
            auths: at(Step::Auth),
            mail_commands: at(Step::Mail),
            rcpts: at(Step::Rcpt),
            datas: at(Step::Data),
            contents: at(Step::Dot),
            rsets: at(Step::Rset),
            quits: at(Step::Quit),
        }
    }

    /// Its log: every command it has got, except what is secret.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.files.path().join("log")).unwrap_or_default()).into_owned()
    }

    fn add(&self, at: Step, what: Fault<'_>, times: Option<u32>, whom: Option<&str>) {
        assert_ne!(times, Some(0), "a fault happens at least once");
        // For the script, 0 means without end.
        let times = times.unwrap_or(0);
        self.order(&json!({"at": at.name(), "do": what.action(), "times": times, "if": whom}));
    }

    fn order(&self, order: &Value) -> Value {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writeln!(orders.0, "{order}");
        assert!(written.is_ok(), "the SMTP server has ended: {}", self.log());
        self.answer(&orders.1)
    }

    fn answer(&self, lines: &Receiver<String>) -> Value {
        let line = lines.recv_timeout(ANSWER_TIMEOUT);
        let line =
            line.unwrap_or_else(|error| panic!("no answer from the SMTP server, {error}: {}", self.log()));
        serde_json::from_str(&line).expect("a line of JSON")
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        // If the process has ended already, there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(bin: &Path, certificates: &Certificates, options: &Options, files: &Path) -> Command {
    let mechanisms: Vec<&str> = options.mechanisms.iter().map(|mechanism| mechanism.name()).collect();
    let mut command = Command::new(bin.join("python"));
    // Isolated from whatever Python's environment says, and without compiled files beside the script.
    command.args(["-I", "-B", SCRIPT, "--folder"]).arg(files.join("received"));
    command.arg("--certificate").arg(certificates.certificate(options.leaf));
    command.arg("--key").arg(certificates.key(options.leaf));
    command.args(["--address", &options.leaf.address().to_string()]);
    command.args(["--password", SmtpServer::PASSWORD, "--token", SmtpServer::TOKEN]);
    command.args(["--mechanisms", &mechanisms.join(","), "--size", &options.size.to_string()]);
    command.args(options.extensions.iter().flat_map(|extension| ["--extension", extension]));
    match options.smtp_utf8 {
        SmtpUtf8::Offered => {}
        SmtpUtf8::Missing => {
            command.arg("--no-smtputf8");
        }
    }
    command
}

fn read(path: &Path) -> Option<Received> {
    let message: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let text = |name| message.get(name).and_then(Value::as_str).map(str::to_owned);
    let texts = |name| {
        let list = message.get(name).and_then(Value::as_array)?;
        list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    Some(Received {
        login: text("login")?,
        from: text("from")?,
        to: texts("to")?,
        mail_options: texts("mail_options")?,
        session: message.get("session").and_then(Value::as_u64)?,
        content: STANDARD.decode(text("content")?).ok()?,
    })
}
