//! `cargo local` and `cargo demo`: see [`USAGE`].
#![expect(clippy::print_stdout, reason = "what this program is asked for goes to standard output")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use mailroom_local::deploy::Deployment;
use mailroom_local::problem::Problem;
use mailroom_local::progress::{say, step};
use mailroom_local::stack::Stack;
use mailroom_local::toolbox::Toolbox;
use mailroom_local::{demo, emulator, functions};

const USAGE: &str = "\
Mailroom on this machine.

  cargo local up      start an AWS emulator and deploy infra/template.yaml to it
  cargo local down    stop it
  cargo local status  what runs where
  cargo local mail    deliver a mail to the running demo
  cargo demo          all of it with a mailbox: a mail goes in, a job comes out

Options
  --port N         the emulator's port (up, demo; default 4566)
  --ca FILE        also trust this certificate authority for mail servers (up; PEM)
  --endpoint URL   deploy to an emulator that already runs (up)
  --once           end after the first job (demo)
  --subject TEXT   the mail's subject (mail)
  --text TEXT      the mail's text (mail)
";

#[derive(Default)]
struct Options {
    command: Option<String>,
    port: Option<u16>,
    ca: Vec<PathBuf>,
    endpoint: Option<String>,
    once: bool,
    subject: Option<String>,
    text: Option<String>,
    help: bool,
}

fn main() -> ExitCode {
    let result = options().map_err(|error| Problem::new(format!("{error}\n\n{USAGE}"))).and_then(run);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("✗ {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = Some(arguments.value()?.parse()?),
            Long("ca") => options.ca.push(arguments.value()?.into()),
            Long("endpoint") => options.endpoint = Some(arguments.value()?.string()?),
            Long("once") => options.once = true,
            Long("subject") => options.subject = Some(arguments.value()?.string()?),
            Long("text") => options.text = Some(arguments.value()?.string()?),
            Long("help") | Short('h') => options.help = true,
            Value(command) if options.command.is_none() => options.command = Some(command.string()?),
            Long(_) | Short(_) | Value(_) => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

fn run(options: Options) -> Result<(), Problem> {
    if options.help {
        print!("{USAGE}");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::while_("cannot start"))?;
    match options.command.as_deref() {
        Some("up") => runtime.block_on(up(&options)),
        Some("down") => down(),
        Some("status") => status(),
        Some("mail") => demo::mail(options.subject.as_deref(), options.text.as_deref()),
        Some("demo") => runtime.block_on(demo::run(options.port, options.once, |line| println!("{line}"))),
        Some(other) => Err(Problem::new(format!("there is no command {other}\n\n{USAGE}"))),
        None => Err(Problem::new(USAGE)),
    }
}

fn stack_file() -> PathBuf {
    Toolbox::root().join(".local/stack.json")
}

fn pid_file() -> PathBuf {
    Toolbox::root().join(".local/emulator.pid")
}

async fn up(options: &Options) -> Result<(), Problem> {
    let toolbox = Toolbox::prepare()?;
    let ca = bundle(&toolbox, &options.ca)?;
    let function = functions::build_fetch(&toolbox)?;
    let endpoint = match &options.endpoint {
        Some(endpoint) => {
            say(
                "An emulator of yours is used. If it keeps schedules without firing them, invoke the function by hand.",
            );
            endpoint.clone()
        }
        None => started(&toolbox, options.port.unwrap_or(emulator::DEFAULT_PORT))?,
    };
    let progress = step("deploying infra/template.yaml");
    let deployment = Deployment { endpoint, account: Deployment::ACCOUNT.to_owned(), ca };
    let stack = deployment.run(&function).await?;
    stack.save(&stack_file())?;
    progress.done(&format!("deployed; names in {}", stack_file().display()));
    status()
}

/// The address of our emulator, started if it does not run yet.
fn started(toolbox: &Toolbox, port: u16) -> Result<String, Problem> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if running().is_some() && emulator::is_ministack(address) {
        return Ok(emulator::endpoint(port));
    }
    let id = emulator::start_detached(toolbox, port, &toolbox.state().join("emulator.log"))?;
    fs::write(pid_file(), id.to_string()).map_err(Problem::while_("cannot note the emulator's process"))?;
    Ok(emulator::endpoint(port))
}

/// All the authorities in one file.
fn bundle(toolbox: &Toolbox, files: &[PathBuf]) -> Result<Option<PathBuf>, Problem> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut bundle = Vec::new();
    for file in files {
        let pem =
            fs::read(file).map_err(Problem::while_(format!("--ca {} cannot be read", file.display())))?;
        if !pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
            return Err(Problem::new(format!("--ca {} holds no PEM certificate", file.display())));
        }
        bundle.extend(pem);
        bundle.push(b'\n');
    }
    let path = toolbox.state().join("ca.pem");
    fs::write(&path, bundle).map_err(Problem::while_(format!("cannot write {}", path.display())))?;
    Ok(Some(path))
}

/// The process id of our emulator, if it still runs.
fn running() -> Option<u32> {
    let id: u32 = fs::read_to_string(pid_file()).ok()?.trim().parse().ok()?;
    // A number that was given to another process since is not ours.
    let command = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    String::from_utf8_lossy(&command).contains("ministack").then_some(id)
}

fn down() -> Result<(), Problem> {
    let Some(id) = running() else {
        let _ = fs::remove_file(stack_file());
        say("Nothing is running here.");
        return Ok(());
    };
    // The group, so that the functions that it runs end too.
    let stopped = Command::new("kill").args(["-TERM", "--", &format!("-{id}")]).status();
    if !stopped.is_ok_and(|status| status.success()) {
        return Err(Problem::new(format!("process {id} cannot be stopped; type: kill {id}")));
    }
    for file in [pid_file(), stack_file()] {
        let _ = fs::remove_file(file);
    }
    say("Stopped.");
    Ok(())
}

fn status() -> Result<(), Problem> {
    let stack = Stack::load(&stack_file())?;
    let state = match running() {
        Some(id) => format!("runs as process {id}"),
        None => "is not ours, or has ended".to_owned(),
    };
    println!("endpoint    {} ({state})", stack.endpoint);
    println!("account     {} in {}", stack.account, stack.region);
    println!("table       {}", stack.table);
    println!("bucket      {}", stack.bucket);
    println!("job queue   {}", stack.queues.job);
    println!("poll queue  {}", stack.queues.poll);
    println!("function    {}", stack.functions.fetch.arn);
    println!("schedules   group {}", stack.schedule_group);
    println!("log         {}", Toolbox::root().join(".local/emulator.log").display());
    Ok(())
}
