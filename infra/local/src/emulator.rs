//! The AWS emulator: ministack, which fires schedules and runs our binaries without Docker.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::child_process::ChildProcess;
use crate::problem::Problem;
use crate::progress::step;
use crate::toolbox::Toolbox;

/// How long it may take to come up.
const START_TIME: Duration = Duration::from_secs(30);

/// The port that LocalStack has made usual.
pub const DEFAULT_PORT: u16 = 4566;

/// An emulator that ends with this process.
#[derive(Debug)]
pub struct Emulator {
    process: ChildProcess,
    endpoint: String,
    log: PathBuf,
}

impl Emulator {
    /// Starts it on this port, or on a free one.
    ///
    /// # Errors
    /// When the port is taken, or it does not come up.
    pub fn start(toolbox: &Toolbox, port: Option<u16>, log: &Path) -> Result<Self, Problem> {
        let port = usable(port)?;
        let scratch = scratch(log)?;
        let output = log_file(log)?;
        let errors = output.try_clone().map_err(Problem::while_("cannot share the log"))?;
        let mut process = ChildProcess::spawn(toolbox.program("ministack"), [] as [&str; 0], |command| {
            environment(toolbox, command, port, &scratch);
            command.stdout(output).stderr(errors).process_group(0);
        })
        .map_err(Problem::while_("cannot start the AWS emulator"))?;
        await_health(port, log, || process.has_ended().unwrap_or(true))?;
        Ok(Self { process, endpoint: endpoint(port), log: log.to_owned() })
    }

    /// The address at which it answers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where it writes, the functions' output included.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // What it has started itself ends too; that it ends at all is seen to by `ChildProcess`.
        let _ = stop(self.process.id());
    }
}

/// Asks an emulator to end, and the functions that it runs: they are of its process group.
///
/// # Errors
/// When there is no such group, or it is not ours.
pub fn stop(id: u32) -> Result<(), Problem> {
    let group = format!("-{id}");
    let asked =
        Command::new("/bin/sh").args(["-c", "kill -s TERM -- \"$1\" 2>/dev/null", "sh", &group]).status();
    if asked.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err(Problem::new(format!("process {id} cannot be stopped; type: kill {id}")))
    }
}

/// Starts an emulator that outlives this process; returns its process id.
///
/// # Errors
/// When the port is taken, or it does not come up.
pub fn start_detached(toolbox: &Toolbox, port: u16, log: &Path) -> Result<u32, Problem> {
    let port = usable(Some(port))?;
    let progress = step("starting the AWS emulator");
    let scratch = scratch(log)?;
    let output = log_file(log)?;
    let errors = output.try_clone().map_err(Problem::while_("cannot share the log"))?;
    let mut command = Command::new(toolbox.program("ministack"));
    environment(toolbox, &mut command, port, &scratch);
    // A group of its own: Ctrl-C here does not reach it.
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(Problem::while_("cannot start the AWS emulator"))?;
    if let Err(problem) = await_health(port, log, || !matches!(child.try_wait(), Ok(None))) {
        let _ = child.kill();
        return Err(problem);
    }
    progress.done(&format!("AWS emulator at {}", endpoint(port)));
    Ok(child.id())
}

/// The address of an emulator on this machine.
#[must_use]
pub fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Whether ministack answers at this address.
#[must_use]
pub fn is_ministack(address: SocketAddr) -> bool {
    is_healthy(address, "/_ministack/health")
}

fn is_healthy(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// What answers at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ministack, which fires schedules.
    Ministack,
    /// LocalStack, which keeps schedules without firing them, and has HTTP APIs in its paid editions only.
    LocalStack,
    /// Another emulator, or AWS itself.
    Other,
}

/// What answers at `url`.
///
/// # Errors
/// When nothing does, or `url` is not of the form `http://host:port`.
pub fn at(url: &str) -> Result<Kind, Problem> {
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let addresses = authority.and_then(|authority| authority.to_socket_addrs().ok());
    let addresses: Vec<SocketAddr> = addresses
        .ok_or_else(|| {
            Problem::new(format!("{url} is not an endpoint; write it like http://127.0.0.1:4566"))
        })?
        .collect();
    // `localhost` has two addresses, and an emulator often listens on one.
    let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(2)).is_ok();
    match addresses.iter().find(answers) {
        // Ministack answers for LocalStack too.
        Some(address) if is_ministack(*address) => Ok(Kind::Ministack),
        Some(address) if is_healthy(*address, "/_localstack/health") => Ok(Kind::LocalStack),
        Some(_) => Ok(Kind::Other),
        None => Err(Problem::new(format!("nothing answers at {url}; start the emulator there first"))),
    }
}

/// The port of an endpoint on this machine; `None`: the endpoint is on another one.
#[must_use]
pub fn loopback_port(endpoint: &str) -> Option<u16> {
    let authority = endpoint.strip_prefix("http://")?.trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    matches!(host, "127.0.0.1" | "localhost" | "[::1]").then(|| port.parse().ok())?
}

/// It hands its whole environment to the functions it starts, so it gets a clean one; with `AWS_ENDPOINT_URL` in it,
/// or they would call the real cloud.
fn environment(toolbox: &Toolbox, command: &mut Command, port: u16, scratch: &Path) {
    let bin = toolbox.state().join("venv/bin");
    command
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
        .env("HOME", toolbox.state())
        .env("TMPDIR", scratch)
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", endpoint(port));
}

/// A fresh folder beside the log for what the emulator unpacks, which it leaves behind: every function, at every start.
fn scratch(log: &Path) -> Result<PathBuf, Problem> {
    let folder = log.with_extension("tmp");
    // Most often it is not there.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(Problem::while_(format!("cannot make {}", folder.display())))?;
    Ok(folder)
}

fn usable(port: Option<u16>) -> Result<u16, Problem> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    match (listener.and_then(|listener| listener.local_addr()), port) {
        (Ok(address), _) => Ok(address.port()),
        (Err(_), Some(port)) => Err(Problem::new(format!(
            "port {port} is in use: stop what listens there (cargo local down, if it is ours), or choose another with --port"
        ))),
        (Err(error), None) => Err(Problem::new(format!("there is no free port: {error}"))),
    }
}

fn log_file(path: &Path) -> Result<File, Problem> {
    File::create(path).map_err(Problem::while_(format!("cannot write {}", path.display())))
}

fn await_health(port: u16, log: &Path, mut has_ended: impl FnMut() -> bool) -> Result<(), Problem> {
    let begun = Instant::now();
    while !is_ministack(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        if has_ended() {
            return Err(Problem::new(format!("the AWS emulator did not start:\n{}", tail(log, 10))));
        }
        if begun.elapsed() > START_TIME {
            return Err(Problem::new(format!(
                "the AWS emulator does not answer on port {port}; see {}",
                log.display()
            )));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The last lines of a log.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
}
