//! A message goes in, a job comes out, and a reply goes back: all of it on this machine, and every part real.

mod mail;
mod parts;
mod place;
mod reply;
pub(crate) mod running;
mod sign_in;

pub use mail::{MessageOptions, deliver};

use std::time::{Duration, Instant};

use example_flow::Flow;
use example_flow::api::Api;
use mailroom_core::ports::Profiles as _;
use mailroom_core::profile::{ProfileId, RefreshInterval};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};

use self::parts::{Demo, logs, refused};
use self::place::{Place, Target};
use self::running::{ANN, LOGIN, Running};
use crate::certificates::Certificates;
use crate::dovecot::{Dovecot, TokenLogins};
use crate::functions::{self, Functions};
use crate::http;
use crate::job_summary;
use crate::openid::OpenIdProvider;
use crate::problem::{Problem, chain};
use crate::progress::{say, step};
use crate::stack::Stack;
use crate::toolbox::Toolbox;
use crate::up;

/// Once a minute, the shortest that a schedule itself can do.
const INTERVAL_SECONDS: u32 = 60;

/// How far ahead the first run is put, so that nobody waits a minute for it: by a schedule of its own.
const FIRST_RUN: time::Duration = time::Duration::seconds(3);

/// How long the first job may take: a schedule fires within a minute, and a function starts within seconds.
const FIRST_JOB_TIMEOUT: Duration = Duration::from_secs(180);

/// How long one request to the queue waits for a job.
const WAIT_SECONDS: i32 = 5;

/// What the demo's profile logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginBy {
    /// The password of the mail server.
    #[default]
    Password,
    /// Access tokens of an OpenID provider, once a person has signed in.
    Oauth2,
}

/// Runs the demo until Ctrl-C, or with `once` until the reply to the first job. `print` takes what it is run for.
///
/// # Errors
/// When something cannot be started, no job comes, or with `once` the first is not replied to.
pub async fn run(
    options: &up::Options,
    once: bool,
    login: LoginBy,
    print: impl Fn(&str),
) -> Result<(), Problem> {
    say("Mailroom's demo: a message goes into a mailbox, a job comes out, and a reply goes back.");
    let begun = Instant::now();
    let target = Target::find(options)?;
    let toolbox = Toolbox::prepare()?;
    // Ctrl-C ends these as it ends any program: nothing runs yet that would be left behind.
    let functions = functions::build(&toolbox)?;
    let demo = tokio::select! {
        demo = start(&toolbox, &functions, target, login) => demo?,
        () = stopped() => return Err(Problem::new("stopped before the demo had begun")),
    };
    let result = tokio::select! {
        result = proceed(&demo, once, login, begun, &print) => result,
        // Fails, or never ends.
        result = demo.place.fire_schedules(&toolbox, &demo.stack) => result,
        () = stopped() => {
            say("\nTaking down what the demo started.");
            Ok(())
        }
    };
    demo.place.tidy(&demo.stack, demo.profile, &demo.queue).await;
    result
}

async fn proceed(
    demo: &Demo,
    once: bool,
    login: LoginBy,
    begun: Instant,
    print: &impl Fn(&str),
) -> Result<(), Problem> {
    if login == LoginBy::Oauth2 {
        sign_in::sign_in(demo).await?;
    }
    first_run(&demo.stack).await?;
    deliver(&MessageOptions { subject: Some("Where is my order?".to_owned()), ..MessageOptions::default() })?;
    let ready = begun.elapsed().as_secs_f32();
    say(&format!(
        "✓ ready and a message delivered, {ready:.1} s after the start; a schedule fires in a moment"
    ));
    say(&where_things_are(demo));
    jobs(demo, once, print).await
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

async fn start(
    toolbox: &Toolbox,
    functions: &Functions,
    target: Target,
    login: LoginBy,
) -> Result<Demo, Problem> {
    let state = toolbox.state();
    let place = Place::open(toolbox, target)?;
    let progress = step("starting the mail server");
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
    progress.done(&format!("mail server: IMAP at 127.0.0.1:{}", dovecot.ports().imaps));

    let stack = place.deploy(toolbox, functions).await?;
    let progress = step("creating a flow schema and a profile by the HTTP API");
    let auth = match &open_id {
        None => json!({"type": "plain", "login": LOGIN, "password": Dovecot::PASSWORD}),
        Some(provider) => sign_in::auth(&stack, provider).await?,
    };
    let (flow, queue) = place.flow(&stack).await?;
    let profile = describe_mailbox(&stack, &dovecot, &auth, &flow).await?;
    progress.done("flow schema and profile created");
    Running { lmtp: dovecot.lmtp(), login: LOGIN.to_owned() }.save()?;
    let api = Api::new(&stack.api.url, None).map_err(Problem::while_("the flow cannot start"))?;
    Ok(Demo { stack, dovecot, open_id, place, profile, queue, flow: Flow::new(api) })
}

/// Creates the flow schema and the profile by the HTTP API, as their owner would.
async fn describe_mailbox(
    stack: &Stack,
    dovecot: &Dovecot,
    auth: &Value,
    flow: &Value,
) -> Result<ProfileId, Problem> {
    let made = http::post(&format!("{}/flow-schemas", stack.api.url), flow).await?;
    // A demo that was killed has left it.
    if !matches!(made.status, 201 | 409) {
        return Err(refused("flow schema", &made));
    }
    let settings = json!({
        "name": "Support",
        "imap_host": "127.0.0.1",
        "imap_port": dovecot.ports().imaps,
        "smtp_host": "127.0.0.1",
        "smtp_port": dovecot.ports().submission,
        "smtp_security": "starttls",
        "flow_schema_id": flow.get("id"),
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
        .map_err(Problem::while_("the demo's interval is not valid"))?;
    let first = OffsetDateTime::now_utc() + FIRST_RUN;
    stack
        .schedules()
        .fire_once("first-run", first, interval)
        .await
        .map_err(|error| Problem::new(format!("the first run cannot be scheduled: {}", chain(&error))))
}

/// Prints jobs as they come, and hands them to the flow, which replies.
async fn jobs(demo: &Demo, once: bool, print: &impl Fn(&str)) -> Result<(), Problem> {
    let clients = demo.stack.clients();
    let sqs = aws_sdk_sqs::Client::new(clients.sdk_config());
    let begun = Instant::now();
    let mut count = 0_u32;
    loop {
        let answer = sqs
            .receive_message()
            .queue_url(&demo.queue)
            .wait_time_seconds(WAIT_SECONDS)
            .max_number_of_messages(10)
            .send()
            .await
            .map_err(|error| Problem::new(format!("the job queue does not answer: {}", chain(&error))))?;
        for message in answer.messages() {
            let body = message.body().unwrap_or_default();
            count += 1;
            if count == 1 {
                say(&format!("✓ the first job, after {:.1} s", begun.elapsed().as_secs_f32()));
            }
            let job = job_summary::show(body, count, print)?;
            match reply::reply(demo, body, &job.profile_id).await {
                Ok(reply) => print(&reply),
                Err(problem) if once => return Err(problem),
                Err(problem) => say(&format!("✗ {problem}")),
            }
            // Last, as a flow does it: a flow that crashes before this handles the job again, and nothing is lost.
            if let Some(handle) = message.receipt_handle() {
                // Not deleted, it comes again: that is seen, and its reply is the one that it has had.
                let _ = sqs.delete_message().queue_url(&demo.queue).receipt_handle(handle).send().await;
            }
            if once {
                return Ok(());
            }
        }
        if count == 0 {
            if begun.elapsed() > FIRST_JOB_TIMEOUT {
                return Err(no_job(demo).await);
            }
            say(&format!("· waiting for the schedule ({:.0} s) …", begun.elapsed().as_secs_f32()));
        } else if !answer.messages().is_empty() {
            say("\nWaiting for more messages; Ctrl-C ends the demo.");
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
    let seconds = FIRST_JOB_TIMEOUT.as_secs();
    Problem::new(format!("no job came within {seconds} s.\nThe profile's status: {status}\n{}", logs(demo)))
}

fn where_things_are(demo: &Demo) -> String {
    format!(
        "\n  console       {}/console\n\
         \x20 HTTP API      {}\n\
         \x20 the profile   curl {}/profiles/{}\n\
         \x20 AWS endpoint  {}   (access key {}, secret key {}, region {})\n\
         \x20 job queue     {}\n\
         \x20 bucket        {}\n\
         \x20 table         {}\n\
         \x20 IMAP          127.0.0.1:{} (TLS), login {LOGIN} (Ann: {ANN}), password {}\n\
         \x20 SMTP          127.0.0.1:{} (STARTTLS), the same\n\
         \x20 logs          cargo local logs --follow\n\
         \x20 names         {}\n\n\
         \x20 Send more messages from another terminal:\n\n\
         \x20     cargo local mail --subject \"Hello\" --text \"Is anybody there?\"\n",
        demo.stack.api.url,
        demo.stack.api.url,
        demo.stack.api.url,
        demo.profile,
        demo.stack.endpoint,
        demo.stack.account,
        Stack::SECRET_KEY,
        demo.stack.region,
        demo.queue,
        demo.stack.bucket,
        demo.stack.table,
        demo.dovecot.ports().imaps,
        Dovecot::PASSWORD,
        demo.dovecot.ports().submission,
        Toolbox::here().stack_file().display(),
    )
}
