//! `cargo local` and `cargo demo`: see [`USAGE`].

use std::io::Write as _;
use std::process::ExitCode;

use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use mailroom_local::demo::LoginBy;
use mailroom_local::problem::Problem;
use mailroom_local::progress::say;
use mailroom_local::{demo, up};

const USAGE: &str = "\
Mailroom on this machine.

  cargo local up      start an AWS emulator and deploy infra/template.yaml to it, or bring both up to date
  cargo local status  what is up, and where
  cargo local down    stop it, and forget all that was in it
  cargo demo          all of it with a mailbox: a mail goes in, a job comes out, a reply goes back; Ctrl-C ends it
  cargo local mail    deliver a mail to the mailbox of the running demo

Options
  --port N         the emulator's port (up, demo; default 4566)
  --ca FILE        also trust this certificate authority for mail servers (up; PEM; as often as you like)
  --endpoint URL   deploy to an emulator that already runs (up)
  --oauth2         with a sign-in at an OpenID provider in place of a password (demo)
  --once           end after the reply to the first job (demo)
  --subject TEXT   the mail's subject (mail)
  --text TEXT      the mail's text (mail)
";

#[derive(Default)]
struct Options {
    command: Option<String>,
    up: up::Options,
    once: bool,
    login: LoginBy,
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
        print(USAGE);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::while_("cannot start"))?;
    match options.command.as_deref() {
        Some("up") => runtime.block_on(up::up(&options.up, demo::stopped())),
        Some("down") => up::down(),
        Some("status") => up::status().map(|status| print(&status)),
        Some("mail") => demo::mail(options.subject.as_deref(), options.text.as_deref())
            .map(|()| say("✓ delivered; its job comes within a minute")),
        Some("demo") => runtime.block_on(demo::run(options.up.port, options.once, options.login, print)),
        Some(other) => Err(Problem::new(format!("there is no command {other}\n\n{USAGE}"))),
        None => Err(Problem::new(USAGE)),
    }
}

/// What this program is asked for goes to standard output; who closes it does not want the rest.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}
