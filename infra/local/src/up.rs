//! A stack that stays: brought up, asked about, and taken down by separate commands.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::demo::running;
use crate::deploy::{ApiAuth, Deployment, NOT_CREATED};
use crate::emulator::{self, DEFAULT_PORT, Kind};
use crate::functions::{self, Functions};
use crate::problem::{Problem, chain};
use crate::progress::{say, step};
use crate::schedule_driver;
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
            "--port is for an emulator that this command starts and --endpoint for one that runs already; leave one out",
        ));
    }
    let kind = options.endpoint.as_deref().map_or(Ok(Kind::Ministack), emulator::at)?;
    let toolbox = Toolbox::prepare()?;
    if options.endpoint.is_none() && Running::find(&toolbox).is_none() {
        running::refuse_a_second(&toolbox)?;
    }
    let ca = trusted(&toolbox, &options.ca)?;
    let functions = functions::build(&toolbox)?;
    let endpoint = match &options.endpoint {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => started(&toolbox, options.port)?,
    };
    let stack = deploy(&toolbox, endpoint, kind, ca, &functions).await?;
    say(&description(&toolbox, &stack));
    match kind {
        Kind::Ministack => Ok(()),
        Kind::LocalStack | Kind::Other => {
            say("Ctrl-C ends this; what is deployed stays.");
            tokio::select! {
                result = schedule_driver::run(&toolbox, &stack) => result,
                () = stopped => Ok(()),
            }
        }
    }
}

/// Deploys the functions to an endpoint, says what that endpoint lacks, and writes the names down.
///
/// # Errors
/// When the endpoint refuses; says how to go on.
pub(crate) async fn deploy(
    toolbox: &Toolbox,
    endpoint: String,
    kind: Kind,
    ca: PathBuf,
    functions: &Functions,
) -> Result<Stack, Problem> {
    let progress = step("deploying infra/template.yaml");
    let deployment = Deployment {
        endpoint,
        account: Deployment::ACCOUNT.to_owned(),
        prefix: Deployment::PREFIX.to_owned(),
        auth: ApiAuth::Open,
        public_url: None,
        console: None,
        ca: Some(ca),
    };
    let stack = deployment.run(functions).await.map_err(|problem| with_advice(problem, kind))?;
    stack.save(&toolbox.stack_file())?;
    progress.done("deployed");
    for lack in lacks(&stack, kind) {
        say(&format!("! {lack}"));
    }
    Ok(stack)
}

/// What the endpoint of a stack does not have, each with what stands in for it.
fn lacks(stack: &Stack, kind: Kind) -> Vec<&'static str> {
    let mut lacks = Vec::new();
    if stack.api.id == NOT_CREATED {
        lacks.push(
            "no API Gateway HTTP APIs here (LocalStack has them in its paid editions): the API is served by the api \
             function's own URL, without authorizer, throttling and access log",
        );
    }
    match kind {
        Kind::Ministack => {}
        Kind::LocalStack => lacks.push(
            "LocalStack keeps schedules without firing them: this command fires them for as long as it runs",
        ),
        Kind::Other => lacks.push(
            "this emulator may keep schedules without firing them: this command fires them for as long as it runs",
        ),
    }
    lacks
}

/// A deployment's problem with the way out, for an emulator that we do not start ourselves.
fn with_advice(problem: Problem, kind: Kind) -> Problem {
    match kind {
        Kind::Ministack => problem,
        Kind::LocalStack if problem.to_string().contains("lambda-runtime") => Problem::new(format!(
            "{problem}\nLocalStack runs functions in Docker containers, and does not reach Docker. Start it with Docker's \
             socket, then type this command again:\n  docker run --rm -p 4566:4566 \
             -v /var/run/docker.sock:/var/run/docker.sock localstack/localstack:4.14.0"
        )),
        Kind::LocalStack => Problem::new(format!(
            "{problem}\nLocalStack keeps parts of a deployment that failed. Restart LocalStack, which empties it, then \
             type this command again."
        )),
        Kind::Other => Problem::new(format!(
            "{problem}\nIf it fails again, restart the emulator, which empties it, then type this command again."
        )),
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
        (Some(_), _) => say("stopped; all that was in it is gone"),
        (None, Some(stack)) => {
            say(&format!("forgotten; what is deployed at {} stays there", stack.endpoint));
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
    line("console", &format!("{}/console", stack.api.url));
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
    line("audit queue", &stack.queues.audit);
    line("bucket", &stack.bucket);
    line("table", &stack.table);
    line(
        "functions",
        &[&stack.functions.fetch, &stack.functions.api, &stack.functions.send, &stack.functions.audit]
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

/// The log of the emulator on this machine, functions included.
pub(crate) fn log(toolbox: &Toolbox) -> PathBuf {
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
        let program = toolbox.program("ministack");
        command_line(running.id)?.contains(&program.display().to_string()).then_some(running)
    }

    fn note(&self, toolbox: &Toolbox) -> Result<(), Problem> {
        fs::write(Self::file(toolbox), format!("{} {}\n", self.id, self.port))
            .map_err(Problem::while_("cannot note the emulator's process"))
    }
}

/// The command line of a process; `None`: there is no such process.
fn command_line(id: u32) -> Option<String> {
    // macOS has no /proc, and containers often have no ps.
    if let Ok(bytes) = fs::read(format!("/proc/{id}/cmdline")) {
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let ps = Command::new("ps").args(["-o", "command=", "-p", &id.to_string()]).output().ok()?;
    ps.status.success().then(|| String::from_utf8_lossy(&ps.stdout).into_owned())
}

/// The address of our emulator, started unless it runs.
fn started(toolbox: &Toolbox, port: Option<u16>) -> Result<String, Problem> {
    if let Some(running) = Running::find(toolbox) {
        if port.is_some_and(|port| port != running.port) {
            return Err(Problem::new(format!(
                "the emulator runs on port {} already; leave out --port, or first type: cargo local down",
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

/// The authorities that a stack trusts besides the public ones, in one file: those of `files`, and the one that issues
/// the certificates of the demo's mail server, so that a demo can use a stack that is up as it is.
///
/// # Errors
/// When a file cannot be read, or is not PEM.
pub(crate) fn trusted(toolbox: &Toolbox, files: &[PathBuf]) -> Result<PathBuf, Problem> {
    let certificates = Certificates::ensure(&toolbox.state().join("certificates"))
        .map_err(|error| Problem::new(chain(&error)))?;
    let mut bundle = String::new();
    for file in files.iter().chain([&certificates.authority()]) {
        let name = file.display();
        let pem = fs::read_to_string(file).map_err(Problem::while_(format!("cannot read {name}")))?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(Problem::new(format!("{name} holds no certificate in PEM")));
        }
        bundle.push_str(pem.trim_end());
        bundle.push('\n');
    }
    let path = bundle_file(toolbox);
    fs::write(&path, bundle).map_err(Problem::while_(format!("cannot write {}", path.display())))?;
    Ok(path)
}

/// Where the authorities of a stack that is up are.
pub(crate) fn bundle_file(toolbox: &Toolbox) -> PathBuf {
    toolbox.state().join("ca.pem")
}
