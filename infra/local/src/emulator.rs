//! The AWS emulator: ministack, which fires schedules and runs our binaries without Docker.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::problem::Problem;
use crate::progress::step;
use crate::tied::Tied;
use crate::toolbox::Toolbox;

/// How long it may take to come up.
const START_TIME: Duration = Duration::from_secs(30);

/// The port that LocalStack has made usual.
pub const DEFAULT_PORT: u16 = 4566;

/// An emulator that ends with this process.
#[derive(Debug)]
pub struct Emulator {
    _process: Tied,
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
        let output = log_file(log)?;
        let errors = output.try_clone().map_err(Problem::while_("cannot share the log"))?;
        let process = Tied::spawn(toolbox.program("ministack"), [] as [&str; 0], |command| {
            environment(toolbox, command, port);
            command.stdout(output).stderr(errors);
        })
        .map_err(Problem::while_("cannot start the AWS emulator"))?;
        await_health(port, log)?;
        Ok(Self { _process: process, endpoint: endpoint(port), log: log.to_owned() })
    }

    /// Its address.
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

/// Starts an emulator that outlives this process; returns its process id.
///
/// # Errors
/// When the port is taken, or it does not come up.
pub fn start_detached(toolbox: &Toolbox, port: u16, log: &Path) -> Result<u32, Problem> {
    let port = usable(Some(port))?;
    let progress = step("starting the AWS emulator");
    let output = log_file(log)?;
    let errors = output.try_clone().map_err(Problem::while_("cannot share the log"))?;
    let mut command = Command::new(toolbox.program("ministack"));
    environment(toolbox, &mut command, port);
    // A group of its own: Ctrl-C here does not reach it.
    let child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(Problem::while_("cannot start the AWS emulator"))?;
    await_health(port, log)?;
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
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream
            .write_all(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// It hands its whole environment to the functions it starts, so it gets a clean one; with `AWS_ENDPOINT_URL` in it,
/// or they would call the real cloud.
fn environment(toolbox: &Toolbox, command: &mut Command, port: u16) {
    let bin = toolbox.state().join("venv/bin");
    command
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
        .env("HOME", toolbox.state())
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", endpoint(port));
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

fn await_health(port: u16, log: &Path) -> Result<(), Problem> {
    let begun = Instant::now();
    while !is_ministack(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        if begun.elapsed() > START_TIME {
            return Err(Problem::new(format!(
                "the AWS emulator does not answer on port {port}; see {}",
                log.display()
            )));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
