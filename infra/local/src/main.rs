//! `cargo local` and `cargo demo`: see [`USAGE`].

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use mailroom_local::demo::{LoginBy, MessageOptions};
use mailroom_local::jobs::Until;
use mailroom_local::problem::Problem;
use mailroom_local::progress::say;
use mailroom_local::stack::Stack;
use mailroom_local::toolbox::Toolbox;
use mailroom_local::{demo, jobs, logs, up};

const USAGE: &str = "\
Mailroom on this machine.

  cargo demo                   a message goes into a mailbox, a job comes out, a reply goes back; Ctrl-C ends it
  cargo local up               start an AWS emulator and deploy infra/template.yaml to it, or update both
  cargo local status           what is up, and where
  cargo local down             stop it, and forget all that was in it
  cargo local mail [FILE…]     deliver a message, or .eml files, to the mailbox of the running demo
  cargo local jobs             show the jobs on the queue, and remove them from it
  cargo local logs [FUNCTION]  what the functions (fetch, api, send) have logged in the last half hour
  cargo local env              the functions' environment, for a shell: eval \"$(cargo local env)\"

Options
  --port N         the emulator's port (up, demo; default 4566)
  --endpoint URL   use an emulator that already runs, such as LocalStack (up, demo)
  --ca FILE        also trust this certificate authority for mail servers (up; PEM; repeatable)
  --oauth2         sign in at an OpenID provider instead of using a password (demo)
  --once           end after the reply to the first job (demo)
  --follow         go on until Ctrl-C (jobs, logs)
  --subject TEXT   the message's subject (mail)
  --text TEXT      the message's text (mail)
";

#[derive(Default)]
struct Options {
    command: Option<String>,
    up: up::Options,
    once: bool,
    login: LoginBy,
    until: Until,
    message: MessageOptions,
    operands: Vec<std::ffi::OsString>,
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

fn port(value: &std::ffi::OsStr) -> Result<u16, lexopt::Error> {
    let port = value.to_str().and_then(|text| text.parse().ok()).filter(|port| *port > 0);
    port.ok_or_else(|| "--port takes a number from 1 to 65535".into())
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.up.port = Some(port(&arguments.value()?)?),
            Long("ca") => options.up.ca.push(arguments.value()?.into()),
            Long("endpoint") => options.up.endpoint = Some(arguments.value()?.string()?),
            Long("once") => options.once = true,
            Long("oauth2") => options.login = LoginBy::Oauth2,
            Long("follow") => options.until = Until::Stopped,
            Long("subject") => options.message.subject = Some(arguments.value()?.string()?),
            Long("text") => options.message.text = Some(arguments.value()?.string()?),
            Long("help") | Short('h') => options.help = true,
            Value(command) if options.command.is_none() => options.command = Some(command.string()?),
            Value(operand) => options.operands.push(operand),
            Long(_) | Short(_) => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

fn run(options: Options) -> Result<(), Problem> {
    if options.help {
        print(USAGE);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::while_("cannot start"))?;
    let operands = options.operands;
    let function = operands.first().map(|name| name.to_string_lossy().into_owned());
    let takes = match options.command.as_deref() {
        Some("mail") => usize::MAX,
        Some("logs") => 1,
        Some(_) | None => 0,
    };
    if let Some(extra) = operands.get(takes) {
        return Err(Problem::new(format!("unexpected: {}\n\n{USAGE}", extra.display())));
    }
    let stack = || Stack::load(&Toolbox::here().stack_file());
    match options.command.as_deref() {
        Some("up") => runtime.block_on(up::up(&options.up, demo::stopped())),
        Some("down") => up::down(),
        Some("status") => up::status().map(|status| print(&status)),
        Some("env") => stack().map(|stack| print(&stack.exports(&Toolbox::here().programs()))),
        Some("jobs") => runtime.block_on(jobs::run(&stack()?, options.until, &print)),
        Some("logs") => runtime.block_on(logs::run(&stack()?, function.as_deref(), options.until, &print)),
        Some("mail") => {
            let files = operands.into_iter().map(PathBuf::from).collect();
            let count = demo::deliver(&MessageOptions { files, ..options.message })?;
            say(&match count {
                1 => "✓ delivered; its job comes within a minute".to_owned(),
                count => format!("✓ {count} messages delivered; their jobs come within a minute"),
            });
            Ok(())
        }
        Some("demo") => runtime.block_on(demo::run(&options.up, options.once, options.login, print)),
        Some(other) => Err(Problem::new(format!("there is no command {other}\n\n{USAGE}"))),
        None => Err(Problem::new(USAGE)),
    }
}

/// What this program is asked for goes to standard output; a reader may close it early.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}
