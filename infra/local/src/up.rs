//! A stack that stays: brought up, asked about, and taken down by separate commands.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::demo;
use crate::deploy::{ApiAuth, Deployment};
use crate::driver;
use crate::emulator::{self, DEFAULT_PORT, Kind};
use crate::functions;
use crate::problem::Problem;
use crate::progress::{say, step};
use crate::stack::Stack;
use crate::toolbox::Toolbox;

/// How long an emulator may take to end.
const STOP_TIME: Duration = Duration::from_secs(10);

/// What `up` is told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port of an emulator of ours; [`DEFAULT_PORT`] unless given.
    pub port: Option<u16>,
    /// PEM files with authorities to trust besides the public ones.
    pub ca: Vec<PathBuf>,
    /// An emulator that already runs, in place of ours.
    pub endpoint: Option<String>,
}

/// Brings the stack up, or up to date.
///
/// Returns when it is deployed; over an emulator that does not fire schedules, fires them until `stopped`.
///
/// # Errors
/// When something cannot be built, started or deployed.
pub async fn up(options: &Options, stopped: impl Future<Output = ()>) -> Result<(), Problem> {
    if options.endpoint.is_some() && options.port.is_some() {
        return Err(Problem::new(
            "--port is for an emulator of ours and --endpoint for one of yours; leave one out",
        ));
    }
    let kind = options.endpoint.as_deref().map_or(Ok(Kind::Ministack), emulator::at)?;
    let toolbox = Toolbox::prepare()?;
    if options.endpoint.is_none() && Running::find(&toolbox).is_none() {
        demo::refuse_a_second(&toolbox)?;
    }
    let ca = bundle(&toolbox, &options.ca)?;
    let functions = functions::build(&toolbox)?;
    let endpoint = match &options.endpoint {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => started(&toolbox, options.port)?,
    };
    let progress = step("deploying infra/template.yaml");
    let deployment = Deployment {
        endpoint,
        account: Deployment::ACCOUNT.to_owned(),
        prefix: Deployment::PREFIX.to_owned(),
        auth: ApiAuth::Open,
        public_url: None,
        ca,
    };
    let stack = deployment.run(&functions).await?;
    stack.save(&toolbox.stack_file())?;
    progress.done("deployed");
    say(&description(&toolbox, &stack));
    match kind {
        Kind::Ministack => Ok(()),
        Kind::Other => {
            say(
                "This emulator may keep schedules without firing them: they are fired from here, until Ctrl-C.",
            );
            tokio::select! {
                result = driver::run(&stack) => result,
                () = stopped => Ok(()),
            }
        }
    }
}

/// Takes the stack down: an emulator of ours ends, and with it all that was in it.
///
/// # Errors
/// When it cannot be stopped.
pub fn down() -> Result<(), Problem> {
    let toolbox = Toolbox::here();
    let stack = Stack::load(&toolbox.stack_file()).ok();
    let running = Running::find(&toolbox);
    if let Some(running) = &running {
        emulator::stop(running.id)?;
        let begun = Instant::now();
        while Running::find(&toolbox).is_some() {
            if begun.elapsed() > STOP_TIME {
                let id = running.id;
                return Err(Problem::new(format!("process {id} does not end; type: kill -9 {id}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    for file in [Running::file(&toolbox), toolbox.stack_file()] {
        // Most often it is not there.
        let _ = fs::remove_file(file);
    }
    match (running, stack) {
        (Some(_), _) => say("stopped, and all that was in it is gone"),
        (None, Some(stack)) => {
            say(&format!(
                "forgotten; what is deployed at {} is left there: that emulator is not ours",
                stack.endpoint
            ));
        }
        (None, None) => say("nothing is up here"),
    }
    Ok(())
}

/// What is up, for the person at the keyboard.
///
/// # Errors
/// When nothing is up, or it does not answer.
pub fn status() -> Result<String, Problem> {
    let toolbox = Toolbox::here();
    let stack = Stack::load(&toolbox.stack_file())?;
    emulator::at(&stack.endpoint).map_err(|_| {
        Problem::new(format!("nothing answers at {} any more; type: cargo local up", stack.endpoint))
    })?;
    Ok(description(&toolbox, &stack))
}

fn description(toolbox: &Toolbox, stack: &Stack) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<14}{value}");
    };
    line("HTTP API", &stack.api.url);
    line("", "open to every program on this machine");
    line("AWS endpoint", &stack.endpoint);
    line(
        "access key",
        &format!("{} (secret key {}, region {})", stack.account, Stack::SECRET_KEY, stack.region),
    );
    line("job queue", &stack.queues.job);
    line("poll queue", &stack.queues.poll);
    line("send queue", &stack.queues.send);
    line("outcomes", &stack.queues.outcome);
    line("bucket", &stack.bucket);
    line("table", &stack.table);
    line(
        "functions",
        &[&stack.functions.fetch, &stack.functions.api, &stack.functions.send]
            .map(|one| one.name.as_str())
            .join(", "),
    );
    line("schedules", &format!("group {}", stack.schedule_group));
    if Running::find(toolbox).is_some() {
        line("log", &log(toolbox).display().to_string());
    }
    line("names", &toolbox.stack_file().display().to_string());
    text
}

/// The log of an emulator of ours, functions included.
fn log(toolbox: &Toolbox) -> PathBuf {
    toolbox.state().join("emulator.log")
}

/// An emulator of ours that runs by itself.
struct Running {
    id: u32,
    port: u16,
}

impl Running {
    fn file(toolbox: &Toolbox) -> PathBuf {
        toolbox.state().join("emulator.pid")
    }

    fn find(toolbox: &Toolbox) -> Option<Self> {
        let text = fs::read_to_string(Self::file(toolbox)).ok()?;
        let (id, port) = text.trim().split_once(' ')?;
        let running = Self { id: id.parse().ok()?, port: port.parse().ok()? };
        // A number that was given to another process since is not ours.
        let command = fs::read(format!("/proc/{}/cmdline", running.id)).ok()?;
        let program = toolbox.program("ministack");
        String::from_utf8_lossy(&command)
            .split('\0')
            .any(|part| program.as_os_str() == part)
            .then_some(running)
    }

    fn note(&self, toolbox: &Toolbox) -> Result<(), Problem> {
        fs::write(Self::file(toolbox), format!("{} {}\n", self.id, self.port))
            .map_err(Problem::while_("cannot note the emulator's process"))
    }
}

/// The address of our emulator, started unless it runs.
fn started(toolbox: &Toolbox, port: Option<u16>) -> Result<String, Problem> {
    if let Some(running) = Running::find(toolbox) {
        if port.is_some_and(|port| port != running.port) {
            return Err(Problem::new(format!(
                "an emulator of ours runs on port {}; leave out --port, or first type: cargo local down",
                running.port
            )));
        }
        return Ok(emulator::endpoint(running.port));
    }
    let port = port.unwrap_or(DEFAULT_PORT);
    let id = emulator::start_detached(toolbox, port, &log(toolbox))?;
    Running { id, port }.note(toolbox)?;
    Ok(emulator::endpoint(port))
}

/// All the authorities in one file.
fn bundle(toolbox: &Toolbox, files: &[PathBuf]) -> Result<Option<PathBuf>, Problem> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut bundle = String::new();
    for file in files {
        let name = file.display();
        let pem = fs::read_to_string(file).map_err(Problem::while_(format!("--ca {name} cannot be read")))?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(Problem::new(format!("--ca {name} holds no certificate in PEM")));
        }
        bundle.push_str(pem.trim_end());
        bundle.push('\n');
    }
    let path = toolbox.state().join("ca.pem");
    fs::write(&path, bundle).map_err(Problem::while_(format!("cannot write {}", path.display())))?;
    Ok(Some(path))
}
