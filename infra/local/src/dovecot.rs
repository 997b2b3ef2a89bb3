//! The IMAP server on this machine: a private instance of Dovecot, with nothing under `/etc` and nothing left behind.
//!
//! Any login name works with one password, and a mailbox exists as soon as it is named. Messages come in by LMTP
//! ([`crate::lmtp`]). Mailboxes live in a folder of the system's temporary directory, because as root the messages belong to
//! another user, who may not be able to enter the folder of the project.

mod config;
mod error;
mod install;

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::child_process::ChildProcess;
use crate::toolbox::Toolbox;

pub use config::{Ports, TokenLogins};
pub use error::DovecotError;
pub use install::ensure_installed;

/// How long the server may take until it greets.
const START_TIME: Duration = Duration::from_secs(15);

/// The program that reads its mailboxes, seen from the folder of the server.
const ADMIN: &str = "../bin/doveadm";

/// What the relay is made of. Pinned, as the tests ran with it.
const RELAY_REQUIREMENT: &str = "aiosmtpd==1.4.6";

/// Ports are chosen free, but another process may take one before the server does.
const TRIES: usize = 3;

/// A running server. Dropping it stops it and forgets its mailboxes.
#[derive(Debug)]
pub struct Dovecot {
    // Dropped in this order: the processes first, then the files under them.
    process: ChildProcess,
    _relay: ChildProcess,
    _state: TempDir,
    ports: Ports,
    log: PathBuf,
    config: PathBuf,
    admin: PathBuf,
}

impl Dovecot {
    /// The password of every login name.
    pub const PASSWORD: &str = config::PASSWORD;

    /// Starts a server, installing it where that is possible. `dir` receives its configuration and its log.
    ///
    /// # Errors
    /// When it is not installed and cannot be, or does not come up.
    pub fn start(dir: &Path, certificates: &Certificates) -> Result<Self, DovecotError> {
        Self::start_with(dir, certificates, None)
    }

    /// Starts a server that takes access tokens too.
    ///
    /// # Errors
    /// When it is not installed and cannot be, or does not come up.
    pub fn start_with(
        dir: &Path,
        certificates: &Certificates,
        tokens: Option<&TokenLogins>,
    ) -> Result<Self, DovecotError> {
        let program = ensure_installed()?;
        fs::create_dir_all(dir).map_err(DovecotError::system(format!("cannot make {}", dir.display())))?;
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_start(&program, dir, certificates, tokens) {
                Err(DovecotError::Start { log }) if log.contains("Address already in use") => {
                    last = Some(DovecotError::Start { log });
                }
                result => return result,
            }
        }
        Err(last.unwrap_or(DovecotError::Start { log: String::new() }))
    }

    fn try_start(
        program: &Path,
        dir: &Path,
        certificates: &Certificates,
        tokens: Option<&TokenLogins>,
    ) -> Result<Self, DovecotError> {
        let state = state_folder()?;
        let ports = Ports {
            imaps: free_port()?,
            imap: free_port()?,
            lmtp: free_port()?,
            submission: free_port()?,
            submissions: free_port()?,
            relay: free_port()?,
        };
        let relay = relay(ports)?;
        let log = dir.join("dovecot.log");
        let config = dir.join("dovecot.conf");
        // What an earlier run wrote must not be taken for this one's.
        let _ = fs::remove_file(&log);
        let mut text = config::text(state.path(), &log, ports, certificates)?;
        if let Some(tokens) = tokens {
            let asked = dir.join("dovecot-oauth2.conf");
            text.push_str(&config::tokens(tokens, &asked));
            fs::write(&asked, config::introspection(tokens))
                .map_err(DovecotError::system(format!("cannot write {}", asked.display())))?;
        }
        fs::write(&config, text)
            .map_err(DovecotError::system(format!("cannot write {}", config.display())))?;

        let args = [Path::new("-F"), Path::new("-c"), &config];
        let mut process = ChildProcess::spawn(program, args, |command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        })
        .map_err(DovecotError::system(format!("cannot start {}", program.display())))?;
        let begun = Instant::now();
        while ![ports.imap, ports.lmtp, ports.submission, ports.relay].into_iter().all(greets) {
            let ended = process.has_ended().unwrap_or(true);
            if ended || begun.elapsed() > START_TIME {
                return Err(DovecotError::Start { log: tail(&log, 20) });
            }
            thread::sleep(Duration::from_millis(20));
        }
        let admin = program.parent().unwrap_or(Path::new("/usr/sbin")).join(ADMIN);
        Ok(Self { process, _relay: relay, _state: state, ports, log, config, admin })
    }

    /// The ports on which it listens.
    #[must_use]
    pub const fn ports(&self) -> Ports {
        self.ports
    }

    /// The address for deliveries by LMTP.
    #[must_use]
    pub fn lmtp(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.lmtp))
    }

    /// Its configuration, for `doveadm -c`.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// A message in a user's INBOX by its Message-ID, as text with all encodings undone; empty when it is not there.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn read(&self, user: &str, message_id: &str) -> Result<String, DovecotError> {
        let failed = || DovecotError::system(format!("cannot read the mailbox of {user}"));
        let fetched = Command::new(&self.admin)
            .arg("-c")
            .arg(&self.config)
            .args(["fetch", "-u", user, "text.utf8", "mailbox", "INBOX", "header", "message-id", message_id])
            .output()
            .map_err(failed())?;
        if !fetched.status.success() {
            let said = String::from_utf8_lossy(&fetched.stderr).trim().to_owned();
            return Err(failed()(io::Error::other(said)));
        }
        let text = String::from_utf8_lossy(&fetched.stdout);
        Ok(text.strip_prefix("text.utf8:\n").unwrap_or(&text).to_owned())
    }

    /// The process id of its master process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The last lines of its log, for a report of a failure.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

/// Starts the relay, which delivers submitted messages to the recipients that have a mailbox here.
fn relay(ports: Ports) -> Result<ChildProcess, DovecotError> {
    let failed = || DovecotError::system("cannot start the relay of submitted messages");
    let programs = Toolbox::here()
        .install("smtp", &[RELAY_REQUIREMENT], "an SMTP server")
        .map_err(|problem| failed()(io::Error::other(problem.to_string())))?;
    let script = Toolbox::root().join("infra/local/src/dovecot/relay.py");
    let args = [script.into_os_string(), ports.relay.to_string().into(), ports.lmtp.to_string().into()];
    ChildProcess::spawn(programs.join("python"), args, |command| {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    })
    .map_err(failed())
}

/// A folder for sockets and messages that its users can enter. Its path is short: a socket's may have 107 bytes.
fn state_folder() -> Result<TempDir, DovecotError> {
    let folder = tempfile::Builder::new()
        .prefix("mailroom-dovecot-")
        .tempdir()
        .map_err(DovecotError::system("cannot make a temporary folder"))?;
    let open_up = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(DovecotError::system(format!("cannot open up {}", path.display())))
    };
    open_up(folder.path(), 0o755)?;
    let mail = folder.path().join("mail");
    fs::create_dir(&mail).map_err(DovecotError::system(format!("cannot make {}", mail.display())))?;
    // Like /tmp: each user makes a home here.
    open_up(&mail, 0o1777)?;
    Ok(folder)
}

fn free_port() -> Result<u16, DovecotError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(DovecotError::system("no free port"))
}

/// Whether a server says something on this port: the listener alone proves little, since the master process opens it
/// before any service works.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    if stream.set_read_timeout(Some(Duration::from_secs(2))).is_err() {
        return false;
    }
    let mut line = String::new();
    matches!(BufReader::new(stream).read_line(&mut line), Ok(n) if n > 0)
}

fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
