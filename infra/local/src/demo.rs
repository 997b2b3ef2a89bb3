//! A mail goes in, a job comes out, and a reply goes back: all of it on this machine, and every part real.

mod reply;
mod sign_in;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailroom_core::inbound::job::FlowJob;
use mailroom_core::ports::Profiles as _;
use mailroom_core::profile::{ProfileId, RefreshInterval};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use ulid::Ulid;

use crate::certificates::Certificates;
use crate::deploy::{ApiAuth, Deployment};
use crate::dovecot::{Dovecot, TokenLogins};
use crate::emulator::{self, DEFAULT_PORT, Emulator};
use crate::functions::{self, Functions};
use crate::http::{self, Answer};
use crate::lmtp;
use crate::openid::OpenIdProvider;
use crate::problem::{Problem, chain};
use crate::progress::{say, step};
use crate::show;
use crate::stack::Stack;
use crate::toolbox::Toolbox;

/// The demo's mailbox.
const LOGIN: &str = "support@example.com";

/// Who writes to it, and is answered: another mailbox of the same server.
const ANN: &str = "ann@example.org";

/// The demo's flow schema.
const FLOW: &str = "add-to-queue";

/// Once a minute, the shortest that a schedule itself can do.
const INTERVAL_SECONDS: u32 = 60;

/// How far ahead the first run is put, so that nobody waits a minute for it: by a schedule of its own.
const FIRST_RUN: time::Duration = time::Duration::seconds(3);

/// A schedule fires within a minute, and a function starts within seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long one look into the queue waits.
const WAIT_SECONDS: i32 = 5;

/// Where a running demo takes mail: `.local/demo.json`.
#[derive(Serialize, Deserialize)]
struct Running {
    lmtp: SocketAddr,
    login: String,
}

/// What runs, and ends with this value.
struct Demo {
    stack: Stack,
    dovecot: Dovecot,
    open_id: Option<OpenIdProvider>,
    emulator: Emulator,
    profile: ProfileId,
    file: PathBuf,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_file(Toolbox::here().stack_file());
    }
}

/// What the demo's profile logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginBy {
    /// A password.
    #[default]
    Password,
    /// What an OpenID provider grants, once somebody has signed in.
    Oauth2,
}

/// Runs the demo until Ctrl-C, or with `once` until the reply to the first job. `print` takes what it is run for.
///
/// # Errors
/// When something cannot be started, no job comes, or with `once` the first is not replied to.
pub async fn run(port: Option<u16>, once: bool, login: LoginBy, print: impl Fn(&str)) -> Result<(), Problem> {
    let toolbox = Toolbox::prepare()?;
    refuse_a_second(&toolbox)?;
    // Ctrl-C ends these as it ends any program: nothing runs yet that would be left behind.
    let functions = functions::build(&toolbox)?;
    let demo = tokio::select! {
        demo = start(&toolbox, &functions, port, login) => demo?,
        () = stopped() => return Err(Problem::new("stopped before the demo had begun")),
    };
    if login == LoginBy::Oauth2 {
        tokio::select! {
            signed_in = sign_in::sign_in(&demo) => signed_in?,
            () = stopped() => return Err(Problem::new("stopped before anybody had signed in")),
        }
    }
    first_run(&demo.stack).await?;
    mail(Some("Where is my order?"), None)?;
    say("✓ a mail was delivered; the schedule that fires in a moment starts the function that fetches it");
    say(&where_things_are(&demo));
    tokio::select! {
        result = jobs(&demo, once, &print) => result,
        () = stopped() => {
            say("\nTaking everything down.");
            Ok(())
        }
    }
}

/// Resolves when this program is asked to end, by Ctrl-C or by SIGTERM.
pub async fn stopped() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => signals.recv().await,
            // Then it ends without tidying up; the servers end all the same.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// A demo and a stack that is up would take each other's files.
///
/// # Errors
/// When one of them is up.
pub fn refuse_a_second(toolbox: &Toolbox) -> Result<(), Problem> {
    match Stack::load(&toolbox.stack_file()) {
        Ok(stack) if emulator::at(&stack.endpoint).is_ok() => Err(Problem::new(format!(
            "a stack is up at {}; end the demo that runs there, or type: cargo local down",
            stack.endpoint
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn start(
    toolbox: &Toolbox,
    functions: &Functions,
    port: Option<u16>,
    login: LoginBy,
) -> Result<Demo, Problem> {
    let state = toolbox.state();

    let progress = step("starting the AWS emulator and the mail server");
    let emulator = Emulator::start(toolbox, Some(port.unwrap_or(DEFAULT_PORT)), &state.join("emulator.log"))?;
    let certificates =
        Certificates::ensure(&state.join("certificates")).map_err(|error| Problem::new(chain(&error)))?;
    let open_id = match login {
        LoginBy::Password => None,
        LoginBy::Oauth2 => Some(OpenIdProvider::start(toolbox, &state, None)?),
    };
    let tokens = open_id.as_ref().map(|provider| TokenLogins {
        mechanisms: "xoauth2 oauthbearer".to_owned(),
        introspection_url: provider.introspection_url(),
    });
    let dovecot = Dovecot::start_with(&state.join("dovecot"), &certificates, tokens.as_ref())
        .map_err(|error| Problem::new(chain(&error)))?;
    progress.done(&format!(
        "AWS emulator at {}, IMAP at 127.0.0.1:{}",
        emulator.endpoint(),
        dovecot.ports().imaps
    ));

    let progress = step("deploying infra/template.yaml");
    let deployment = Deployment {
        endpoint: emulator.endpoint().to_owned(),
        account: Deployment::ACCOUNT.to_owned(),
        prefix: Deployment::PREFIX.to_owned(),
        auth: ApiAuth::Open,
        public_url: None,
        ca: Some(certificates.authority()),
    };
    let stack = deployment.run(functions).await?;
    stack.save(&toolbox.stack_file())?;
    let auth = match &open_id {
        None => json!({"type": "plain", "login": LOGIN, "password": Dovecot::PASSWORD}),
        Some(provider) => sign_in::auth(&stack, provider).await?,
    };
    let profile = describe_mailbox(&stack, &dovecot, &auth).await?;
    progress.done("deployed; the API has taken a flow schema and a profile");

    let file = running_file();
    let running = Running { lmtp: dovecot.lmtp(), login: LOGIN.to_owned() };
    let text = serde_json::to_string(&running).map_err(Problem::while_("cannot describe the demo"))?;
    fs::write(&file, text).map_err(Problem::while_(format!("cannot write {}", file.display())))?;
    Ok(Demo { stack, dovecot, open_id, emulator, profile, file })
}

fn running_file() -> PathBuf {
    Toolbox::here().state().join("demo.json")
}

/// Makes the flow schema and the profile by the HTTP API, as their owner would.
async fn describe_mailbox(stack: &Stack, dovecot: &Dovecot, auth: &Value) -> Result<ProfileId, Problem> {
    let schema = json!({"id": FLOW, "name": "Add to queue"});
    let made = http::post(&format!("{}/flow-schemas", stack.api.url), &schema).await?;
    if made.status != 201 {
        return Err(refused("flow schema", &made));
    }
    let settings = json!({
        "name": "Support",
        "imap_host": "127.0.0.1",
        "imap_port": dovecot.ports().imaps,
        "smtp_host": "127.0.0.1",
        "smtp_port": dovecot.ports().submission,
        "smtp_security": "starttls",
        "flow_schema_id": FLOW,
        "refresh_interval": INTERVAL_SECONDS,
        "start_from": "all",
        "auth": auth,
    });
    let made = http::post(&format!("{}/profiles", stack.api.url), &settings).await?;
    let id = made.body.get("id").and_then(Value::as_str).and_then(|id| ProfileId::parse(id).ok());
    id.ok_or_else(|| refused("profile", &made))
}

/// Has the first plan begin at once.
async fn first_run(stack: &Stack) -> Result<(), Problem> {
    let interval = RefreshInterval::from_seconds(INTERVAL_SECONDS)
        .map_err(Problem::while_("the demo's interval is none"))?;
    let first = OffsetDateTime::now_utc() + FIRST_RUN;
    stack
        .schedules()
        .fire_once("first-run", first, interval)
        .await
        .map_err(|error| Problem::new(format!("the first run cannot be scheduled: {}", chain(&error))))
}

/// An answer of the API that is not the one hoped for.
fn refused(what: &str, answer: &Answer) -> Problem {
    let detail = answer.body.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
    let errors = answer.body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let member = |error: &Value, name: &str| error.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let errors: String =
        errors.map(|error| format!("\n  {} {}", member(error, "field"), member(error, "message"))).collect();
    Problem::new(format!("the API refuses the demo's {what} with {}: {detail}{errors}", answer.status))
}

/// Prints jobs as they come, and replies to them.
async fn jobs(demo: &Demo, once: bool, print: &impl Fn(&str)) -> Result<(), Problem> {
    let clients = demo.stack.clients();
    let sqs = aws_sdk_sqs::Client::new(clients.sdk_config());
    let begun = Instant::now();
    let mut count = 0_u32;
    loop {
        let answer = sqs
            .receive_message()
            .queue_url(&demo.stack.queues.job)
            .wait_time_seconds(WAIT_SECONDS)
            .max_number_of_messages(10)
            .send()
            .await
            .map_err(|error| Problem::new(format!("the job queue does not answer: {}", chain(&error))))?;
        for message in answer.messages() {
            let body = message.body().unwrap_or_default();
            let job: FlowJob =
                serde_json::from_str(body).map_err(Problem::while_("a job is not as its schema says"))?;
            count += 1;
            print(&format!("\nJob {count}\n{}", show::summary(&job)));
            let json =
                serde_json::to_string_pretty(&job).map_err(Problem::while_("a job cannot be shown"))?;
            print(&json);
            match reply::reply(demo, &job).await {
                Ok(reply) => print(&reply),
                Err(problem) if once => return Err(problem),
                Err(problem) => say(&format!("✗ {problem}")),
            }
            // Last, as a flow does it: whoever dies before this handles the job again, and nothing is lost.
            if let Some(handle) = message.receipt_handle() {
                // Not deleted, it comes again: that is seen, and its reply is the one that it has had.
                let _ = sqs
                    .delete_message()
                    .queue_url(&demo.stack.queues.job)
                    .receipt_handle(handle)
                    .send()
                    .await;
            }
            if once {
                return Ok(());
            }
        }
        if count == 0 {
            if begun.elapsed() > PATIENCE {
                return Err(no_job(demo).await);
            }
            say(&format!("· waiting for the schedule ({:.0} s) …", begun.elapsed().as_secs_f32()));
        } else if !answer.messages().is_empty() {
            say("\nWaiting for more mail; Ctrl-C ends the demo.");
        }
    }
}

async fn no_job(demo: &Demo) -> Problem {
    let status = match demo.stack.table().get(demo.profile).await {
        Ok(Some(profile)) => match profile.status.error {
            Some(error) => format!("{:?}, {}", profile.status.state, error.message),
            None => format!("{:?}", profile.status.state),
        },
        Ok(None) => "the profile is gone".to_owned(),
        Err(error) => chain(&error),
    };
    let seconds = PATIENCE.as_secs();
    Problem::new(format!("no job came within {seconds} s.\nThe profile's status: {status}\n{}", logs(demo)))
}

/// What the servers have written last, for a report of a failure.
fn logs(demo: &Demo) -> String {
    format!(
        "The mail server's log:\n{}\nThe end of {}:\n{}",
        demo.dovecot.log_tail(5),
        demo.emulator.log().display(),
        emulator::tail(demo.emulator.log(), 20),
    )
}

fn where_things_are(demo: &Demo) -> String {
    format!(
        "\n  HTTP API      {}\n\
         \x20 the profile   curl {}/profiles/{}\n\
         \x20 AWS endpoint  {}   (access key {}, secret key {}, region {})\n\
         \x20 job queue     {}\n\
         \x20 bucket        {}\n\
         \x20 table         {}\n\
         \x20 IMAP          127.0.0.1:{} (TLS), login {LOGIN} (Ann: {ANN}), password {}\n\
         \x20 SMTP          127.0.0.1:{} (STARTTLS), the same\n\
         \x20 logs          {}\n\
         \x20 names         {}\n\n\
         \x20 Send more mail from another terminal:\n\n\
         \x20     cargo local mail --subject \"Hello\" --text \"Is anybody there?\"\n",
        demo.stack.api.url,
        demo.stack.api.url,
        demo.profile,
        demo.stack.endpoint,
        demo.stack.account,
        Stack::SECRET_KEY,
        demo.stack.region,
        demo.stack.queues.job,
        demo.stack.bucket,
        demo.stack.table,
        demo.dovecot.ports().imaps,
        Dovecot::PASSWORD,
        demo.dovecot.ports().submission,
        demo.emulator.log().display(),
        Toolbox::here().stack_file().display(),
    )
}

/// Delivers a mail with an attachment to the running demo.
///
/// # Errors
/// When no demo runs, or its mail server refuses.
pub fn mail(subject: Option<&str>, text: Option<&str>) -> Result<(), Problem> {
    let not_running = || Problem::new("no demo is running here; start one with: cargo demo");
    let running = fs::read_to_string(running_file()).map_err(|_| not_running())?;
    let running: Running = serde_json::from_str(&running).map_err(|_| not_running())?;
    let raw = message(subject.unwrap_or("Hello"), text.unwrap_or(TEXT), OffsetDateTime::now_utc())?;
    lmtp::deliver(running.lmtp, ANN, &running.login, &raw)
        .map_err(|error| Problem::new(format!("the mail was not taken: {}", chain(&error))))
}

const TEXT: &str = "Hello,\r\n\r\nI ordered a lamp two weeks ago (order 4711) and have not heard since.\r\n\
                    The order is attached.\r\n\r\nRegards\r\nAnn Müller";

/// A mail such as people write.
fn message(subject: &str, text: &str, now: OffsetDateTime) -> Result<Vec<u8>, Problem> {
    if subject.chars().any(char::is_control) {
        return Err(Problem::new("--subject must be one line"));
    }
    let date = now
        .format(&time::format_description::well_known::Rfc2822)
        .map_err(Problem::while_("cannot write the date"))?;
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    Ok(format!(
        "From: =?utf-8?q?Ann_M=C3=BCller?= <{ANN}>\r\n\
         To: Support <{LOGIN}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <{id}@example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"parts\"\r\n\r\n\
         --parts\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n\
         {text}\r\n\
         --parts\r\n\
         Content-Type: text/csv; name=\"order-4711.csv\"\r\n\
         Content-Disposition: attachment; filename=\"order-4711.csv\"\r\n\r\n\
         item,count\r\nlamp,1\r\n\
         --parts--\r\n",
        subject = encoded(subject),
        id = Ulid::generate()
    )
    .into_bytes())
}

/// A text as a header field can carry it: as it is, or in encoded words of at most 75 characters (RFC 2047 §2).
fn encoded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut words: Vec<String> = vec![String::new()];
    for character in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= 45 => word.push(character),
            Some(_) | None => words.push(character.into()),
        }
    }
    let words = words.iter().map(|word| format!("=?utf-8?b?{}?=", BASE64.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_of_any_length_and_script_fits_a_header() {
        assert_eq!(encoded("Hello"), "Hello");
        assert_eq!(encoded("Gr\u{fc}\u{df}e"), "=?utf-8?b?R3LDvMOfZQ==?=");
        let long = encoded(&"\u{fc}".repeat(100));
        assert!(
            long.split("\r\n ").count() == 5 && long.split("\r\n ").all(|word| word.len() <= 75),
            "{long}"
        );
    }

    #[test]
    fn a_subject_cannot_carry_another_header() {
        assert!(message("a\r\nBcc: b", "", OffsetDateTime::UNIX_EPOCH).is_err());
    }
}
