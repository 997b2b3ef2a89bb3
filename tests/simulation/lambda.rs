//! What runs the function: invocations that may die at any await, the schedules, and the poll queue's event source.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fetch::Fetch;
use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_lambda::start::Handler as _;
use mailroom_net::connect::AllowedHosts;
use mailroom_net::tls::Tls;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::imap_server::Servers;
use crate::outbound::Queued;
use crate::ports::Ports;
use crate::world::Shared;

/// The functions' timeouts (infra/template.yaml).
const TIMEOUT: Duration = Duration::from_secs(120);
const SEND_TIMEOUT: Duration = Duration::from_secs(180);

/// Later than anything.
const NEVER: Duration = Duration::from_secs(1 << 40);

/// After this time Lambda tries an asynchronous invocation again, once.
const RETRY: Duration = Duration::from_secs(60);

/// An invocation: one process at work.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: u32,
    dead: AtomicBool,
    died: Notify,
    /// Awaits that are left, if it is to die.
    left: Mutex<Option<u32>>,
    /// The owners whose mailboxes it has read to the end of the listing.
    read: Mutex<BTreeSet<usize>>,
}

impl Run {
    fn new(id: u32) -> Self {
        Self {
            id,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            left: Mutex::new(None),
            read: Mutex::default(),
        }
    }

    /// An await of the invocation: it may be its last.
    pub(crate) async fn passes(&self, world: &Shared) {
        if self.dies(world) {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the invocation dies here, or is dead.
    pub(crate) fn dies(&self, world: &Shared) -> bool {
        if self.dead.load(Ordering::Relaxed) {
            return true;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_none() {
            *left = world.lock().faults.death(clock::elapsed());
        }
        let Some(points) = left.as_mut() else { return false };
        *points = points.saturating_sub(1);
        if *points > 0 {
            return false;
        }
        world.lock().log(format!("run {} dies", self.id));
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_one();
        true
    }

    /// A server has told this invocation all that it asked of an owner's mailbox.
    pub(crate) fn has_read(&self, owner: usize) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(owner);
    }

    /// Whether a server did so.
    pub(crate) fn read(&self, owner: usize) -> bool {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).contains(&owner)
    }
}

/// How an invocation ended.
enum End {
    Answered(Value),
    /// It failed, died, or took too long.
    Failed,
}

/// What an invocation has: a process of its own, its ports, the servers that it reaches, and its tokens.
fn process(world: &Shared) -> (Arc<Run>, Ports, Servers, Tokens<Ports>) {
    let run = {
        let mut world = world.lock();
        world.runs += 1;
        Arc::new(Run::new(world.runs))
    };
    let ports = Ports { world: world.clone(), run: Arc::clone(&run) };
    let servers = Servers { world: world.clone(), run: Arc::clone(&run) };
    let http = Http::new(tls(), AllowedHosts::default());
    let tokens = Tokens::new(Discovery::new(http, clock::MACHINE), ports.clone());
    (run, ports, servers, tokens)
}

/// Runs fetch once.
async fn fetch(world: &Shared, event: Value) -> End {
    let (run, ports, servers, tokens) = process(world);
    let function = Fetch::new(ports.clone(), tokens, ports.clone(), ports, servers, clock::MACHINE);
    invoke(world, &run, TIMEOUT, |deadline| function.handle(event, deadline)).await
}

/// Runs send once.
async fn send(world: &Shared, event: Value) -> End {
    let (run, ports, servers, tokens) = process(world);
    let function = send::over_streams(ports.clone(), ports.clone(), ports, tokens, servers, clock::MACHINE);
    invoke(world, &run, SEND_TIMEOUT, |deadline| function.handle(event, deadline)).await
}

/// Runs a function until it answers, dies, or takes too long.
async fn invoke<F, T, E>(
    world: &Shared,
    run: &Run,
    timeout: Duration,
    handle: impl FnOnce(Instant) -> F,
) -> End
where
    F: Future<Output = Result<T, E>>,
    T: Serialize,
    E: Display,
{
    let deadline = Instant::now() + timeout;
    tokio::select! {
        biased;
        () = run.died.notified() => End::Failed,
        () = sleep_until(deadline) => {
            world.lock().log(format!("run {} is ended by its timeout", run.id));
            End::Failed
        }
        answer = handle(deadline) => match answer {
            Ok(answer) => End::Answered(serde_json::to_value(answer).expect("JSON")),
            Err(error) => {
                world.lock().log(format!("run {} fails: {error}", run.id));
                End::Failed
            }
        },
    }
}

fn tls() -> Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| Tls::new(None).expect("the public roots")).clone()
}

/// A schedule fires: an asynchronous invocation, which Lambda tries twice.
pub(crate) async fn fire(world: Shared, interval: u32) {
    if !world.lock().schedules.contains(&interval) {
        return;
    }
    let event = json!({"refresh_interval": interval});
    if let End::Failed = fetch(&world, event.clone()).await {
        sleep(RETRY).await;
        fetch(&world, event).await;
    }
}

/// The schedule of an interval: `rate(1 minute)` at the least.
pub(crate) async fn schedule(world: Shared, interval: u32, phase: Duration) {
    let rate = Duration::from_secs(u64::from(interval.max(60)));
    for n in 0.. {
        sleep_until(clock::instant(phase + rate * n)).await;
        tokio::spawn(fire(world.clone(), interval));
    }
}

/// The event source of the poll queue: one queue message for each invocation, deleted once it is handled.
pub(crate) async fn poll_queue(world: Shared) {
    loop {
        let next = world.lock().polls.next_at();
        let until = clock::instant(next.unwrap_or(NEVER));
        tokio::select! {
            biased;
            () = sleep_until(until) => {}
            () = world.queued().notified() => continue,
        }
        let mut state = world.lock();
        let Some(message) = state.polls.receive() else { continue };
        let twice = state.faults.delivered_twice(clock::elapsed());
        drop(state);
        for _ in 0..1 + usize::from(twice) {
            let (world, message) = (world.clone(), message.clone());
            tokio::spawn(async move {
                let event = json!({"Records": [{"messageId": message.id.to_string(), "body": message.body}]});
                if let End::Answered(answer) = fetch(&world, event).await
                    && answer["batchItemFailures"] == json!([])
                {
                    world.lock().polls.delete(message.id);
                }
                // What is left becomes visible again.
                world.queued().notify_one();
            });
        }
    }
}

/// The event source of the send queue: batches, of which the function says what comes again.
pub(crate) async fn send_queue(world: Shared) {
    loop {
        let next = world.lock().outbound.next_at();
        tokio::select! {
            biased;
            () = sleep_until(clock::instant(next.unwrap_or(NEVER))) => {}
            () = world.queued().notified() => continue,
        }
        let mut state = world.lock();
        let batch = state.outbound.receive();
        if batch.is_empty() {
            continue;
        }
        let twice = state.faults.delivered_twice(clock::elapsed());
        drop(state);
        for _ in 0..1 + usize::from(twice) {
            let (world, batch) = (world.clone(), batch.clone());
            tokio::spawn(async move {
                let record = |message: &Queued| json!({"messageId": message.id.to_string(), "receiptHandle": message.receipt(), "body": message.body});
                let records: Vec<Value> = batch.iter().map(record).collect();
                if let End::Answered(answer) = send(&world, json!({"Records": records})).await {
                    let failed = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
                    let again =
                        |id: u32| failed.iter().any(|item| item["itemIdentifier"] == id.to_string().as_str());
                    let mut world = world.lock();
                    for message in batch.iter().filter(|message| !again(message.id)) {
                        world.outbound.delete(message.id);
                    }
                }
                world.queued().notify_one();
            });
        }
    }
}
