//! Where the demo is deployed: an emulator of its own, or a stack that is up and stays.

use std::fs;

use aws_sdk_sqs::types::QueueAttributeName;
use mailroom_core::profile::ProfileId;
use serde_json::{Value, json};

use super::running::{LOGIN, Running};
use crate::emulator::{self, DEFAULT_PORT, Emulator, Kind};
use crate::functions::Functions;
use crate::http;
use crate::problem::{Problem, call_failed};
use crate::progress::{say, step};
use crate::schedule_driver;
use crate::stack::Stack;
use crate::toolbox::Toolbox;
use crate::up;

/// The flow schema of a demo with a stack of its own: its jobs go to the stack's queue.
const FLOW: &str = "add-to-queue";

/// The flow schema, and the queue, of a demo on a stack that other profiles may use: their jobs are not the demo's.
const SHARED_FLOW: &str = "demo";
const SHARED_QUEUE: &str = "mailroom-demo.fifo";

/// Where the demo is to run, before anything is started.
pub(super) enum Target {
    /// An emulator on this port.
    Own(u16),
    /// The stack at an endpoint that answers.
    Shared { endpoint: String, kind: Kind },
}

impl Target {
    /// The place that fits what is up, and these options.
    ///
    /// # Errors
    /// When a demo runs, or what is asked for does not fit what is up.
    pub(super) fn find(options: &up::Options) -> Result<Self, Problem> {
        if Running::find().is_some() {
            return Err(Problem::new(
                "a demo is running here; deliver messages to it with: cargo local mail",
            ));
        }
        let up = Stack::load(&Toolbox::here().stack_file()).ok();
        let up = up.and_then(|stack| emulator::at(&stack.endpoint).ok().map(|kind| (stack.endpoint, kind)));
        match (&options.endpoint, up) {
            (Some(_), _) if options.port.is_some() => {
                Err(Problem::new("--port and --endpoint exclude each other; leave one out"))
            }
            (Some(endpoint), up) => {
                let endpoint = endpoint.trim_end_matches('/').to_owned();
                match up {
                    Some((other, _)) if other != endpoint => Err(Problem::new(format!(
                        "a stack is up at {other}; leave out --endpoint to use it, or first type: cargo local down"
                    ))),
                    _ => Ok(Self::Shared { kind: emulator::at(&endpoint)?, endpoint }),
                }
            }
            (None, Some((endpoint, kind))) => {
                if options.port.is_some_and(|port| emulator::loopback_port(&endpoint) != Some(port)) {
                    return Err(Problem::new(format!(
                        "a stack is up at {endpoint}; leave out --port to use it, or first type: cargo local down"
                    )));
                }
                say(&format!("Using the stack that is up at {endpoint}."));
                Ok(Self::Shared { endpoint, kind })
            }
            (None, None) => Ok(Self::Own(options.port.unwrap_or(DEFAULT_PORT))),
        }
    }
}

/// Where the demo is deployed.
pub(super) enum Place {
    /// An emulator that ends with the demo.
    Own(Emulator),
    /// An emulator, and a stack, that stay.
    Shared { endpoint: String, kind: Kind },
}

impl Place {
    pub(super) fn open(toolbox: &Toolbox, target: Target) -> Result<Self, Problem> {
        match target {
            Target::Own(port) => {
                let progress = step("starting the AWS emulator");
                let emulator = Emulator::start(toolbox, Some(port), &up::log(toolbox))?;
                progress.done(&format!("AWS emulator at {}", emulator.endpoint()));
                Ok(Self::Own(emulator))
            }
            Target::Shared { endpoint, kind } => Ok(Self::Shared { endpoint, kind }),
        }
    }

    /// Deploys the stack, or brings the one that is up to date.
    pub(super) async fn deploy(&self, toolbox: &Toolbox, functions: &Functions) -> Result<Stack, Problem> {
        let (endpoint, kind) = match self {
            Self::Own(emulator) => (emulator.endpoint().to_owned(), Kind::Ministack),
            Self::Shared { endpoint, kind } => (endpoint.clone(), *kind),
        };
        let bundle = up::bundle_file(toolbox);
        let authority =
            fs::read_to_string(toolbox.state().join("certificates/authority.pem")).unwrap_or_default();
        let known = fs::read_to_string(&bundle).is_ok_and(|text| text.contains(authority.trim_end()));
        let ca = match self {
            // With the authorities that `cargo local up --ca` was given.
            Self::Shared { .. } if known => bundle,
            Self::Shared { .. } | Self::Own(_) => up::trusted(toolbox, &[])?,
        };
        let stack = up::deploy(toolbox, endpoint, kind, ca, functions).await?;
        if matches!(self, Self::Shared { .. }) {
            remove_left_over(&stack).await?;
        }
        Ok(stack)
    }

    /// The flow schema of the demo's profile as the API takes it, and the queue of its jobs.
    pub(super) async fn flow(&self, stack: &Stack) -> Result<(Value, String), Problem> {
        match self {
            Self::Own(_) => Ok((json!({"id": FLOW, "name": "Add to queue"}), stack.queues.job.clone())),
            Self::Shared { .. } => {
                let sqs = aws_sdk_sqs::Client::new(stack.clients().sdk_config());
                let create = sqs.create_queue().queue_name(SHARED_QUEUE);
                let created = create.attributes(QueueAttributeName::FifoQueue, "true").send().await;
                let queue = created.map_err(call_failed("CreateQueue"))?.queue_url.unwrap_or_default();
                Ok((json!({"id": SHARED_FLOW, "name": "Demo", "queue_url": queue}), queue))
            }
        }
    }

    /// Fires the schedules of an emulator that does not: fails, or never ends.
    pub(super) async fn fire_schedules(&self, toolbox: &Toolbox, stack: &Stack) -> Result<(), Problem> {
        match self {
            Self::Own(_) | Self::Shared { kind: Kind::Ministack, .. } => std::future::pending().await,
            Self::Shared { kind: Kind::LocalStack | Kind::Other, .. } => {
                schedule_driver::run(toolbox, stack).await
            }
        }
    }

    /// Removes what the demo has created on a stack that stays. What cannot be removed is named.
    pub(super) async fn tidy(&self, stack: &Stack, profile: ProfileId, queue: &str) {
        match self {
            Self::Own(_) => {}
            Self::Shared { .. } => {
                let profile = format!("{}/profiles/{profile}", stack.api.url);
                let flow = format!("{}/flow-schemas/{SHARED_FLOW}", stack.api.url);
                for url in [profile, flow] {
                    if !http::delete(&url).await.is_ok_and(|answer| answer.status < 300) {
                        say(&format!("! left over; remove it with: curl -X DELETE {url}"));
                    }
                }
                let sqs = aws_sdk_sqs::Client::new(stack.clients().sdk_config());
                if sqs.delete_queue().queue_url(queue).send().await.is_err() {
                    say(&format!("! left over: the queue {queue}"));
                }
                say(&format!("The stack at {} stays up.", stack.endpoint));
            }
        }
    }

    /// The end of the emulator's log, for a report of a failure.
    pub(super) fn log_tail(&self) -> String {
        match self {
            Self::Own(emulator) => {
                let log = emulator.log();
                format!("The end of {}:\n{}", log.display(), emulator::tail(log, 20))
            }
            Self::Shared { .. } => "The functions' logs: cargo local logs".to_owned(),
        }
    }
}

/// Removes the profiles of demos that were killed: their mail server is gone.
async fn remove_left_over(stack: &Stack) -> Result<(), Problem> {
    let profiles = format!("{}/profiles", stack.api.url);
    let list = http::get(&format!("{profiles}?flow_schema_id={SHARED_FLOW}")).await?;
    let items = list.body.get("items").and_then(Value::as_array).into_iter().flatten();
    let of_a_demo = |item: &&Value| item.pointer("/auth/login").and_then(Value::as_str) == Some(LOGIN);
    for id in items.filter(of_a_demo).filter_map(|item| item.get("id").and_then(Value::as_str)) {
        let _ = http::delete(&format!("{profiles}/{id}")).await?;
    }
    Ok(())
}
