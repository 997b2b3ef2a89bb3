//! One simulation: a scenario from its beginning to the quiet time after it, on a runtime with paused time.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{sleep, sleep_until};

use crate::clock;
use crate::faults::Fault;
use crate::invariants::Violation;
use crate::lambda;
use crate::mailboxes::Truth;
use crate::scenario::Scenario;
use crate::world::{Shared, World};

/// Within so many intervals after the end of all faults nothing waits any more.
const QUIET_INTERVALS: u32 = 8;

/// What is added for each message that makes the server fail: the tries before it is quarantined, with their pauses.
const QUIET_TRIES: u32 = 8;

/// The longest invocation, a lease that it left, and the longest backoff.
const SETTLING: Duration = Duration::from_secs(180);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// The result of a scenario.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) violations: Vec<Violation>,
    pub(crate) transcript: Vec<(Duration, String)>,
    pub(crate) simulated: Duration,
    pub(crate) messages: usize,
    pub(crate) faults: usize,
    pub(crate) jobs: usize,
    /// Jobs that came a second time, and said so.
    pub(crate) redelivered: usize,
    pub(crate) runs: u32,
}

/// Plays a scenario.
pub(crate) fn simulate(scenario: &Scenario) -> Report {
    // Servers and invocations that are left are dropped with it.
    runtime().block_on(play(scenario))
}

/// A runtime of one thread whose time passes when nothing is left to do.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}

/// The result of the scenario that led to this world.
pub(crate) fn report(world: &World) -> Report {
    Report {
        violations: world.violations.clone(),
        transcript: world.transcript().to_vec(),
        simulated: clock::elapsed(),
        messages: world.accounts.iter().map(|account| account.truths.len()).sum::<usize>()
            + world.outbound.deliveries.len(),
        faults: world.faults.happened(),
        jobs: world.jobs.count,
        redelivered: world
            .accounts
            .iter()
            .flat_map(|account| account.truths.values())
            .map(Truth::redelivered)
            .sum(),
        runs: world.runs,
    }
}

async fn play(scenario: &Scenario) -> Report {
    clock::begin();
    let world = Shared::new(scenario);
    tokio::spawn(lambda::poll_queue(world.clone()));
    let intervals: BTreeSet<u32> = scenario.owners.iter().map(|owner| owner.interval).collect();
    for interval in intervals {
        let phase = world.lock().random.time(Duration::from_secs(u64::from(interval.max(60))));
        tokio::spawn(lambda::schedule(world.clone(), interval, phase));
    }
    tokio::spawn(clocks(scenario.faults.clone()));
    for (at, happening) in &scenario.happenings {
        sleep_until(clock::instant(*at)).await;
        let fires = world.lock().happens(*happening);
        world.queued().notify_one();
        if let Some(interval) = fires {
            tokio::spawn(lambda::fire(world.clone(), interval));
        }
    }
    sleep_until(clock::instant(scenario.end)).await;
    clock::set_ahead(0);
    world.lock().log("nothing goes wrong any more");
    world.lock().all_listen();
    sleep(SETTLING).await;
    let interval = scenario.longest_interval();
    let latest = clock::elapsed() + quiet_time(scenario, &world);
    // What is well stays well: two polls more show it, and the rest of the time would show nothing else.
    while !world.lock().is_well() && clock::elapsed() < latest {
        sleep(interval).await;
    }
    sleep(interval * 2).await;
    let mut state = world.lock();
    state.judge();
    report(&state)
}

/// Sets the machines' clocks wrong, and right again.
pub(crate) async fn clocks(faults: Vec<Fault>) {
    let mut changes: Vec<(Duration, i64)> = Vec::new();
    for fault in faults {
        if let Fault::Clock { from, until, ahead_millis } = fault {
            changes.extend([(from, ahead_millis), (until, 0)]);
        }
    }
    changes.sort();
    for (at, ahead) in changes {
        sleep_until(clock::instant(at)).await;
        clock::set_ahead(ahead);
    }
}

/// How long it is quiet until everything must be done: pauses that began before end first.
fn quiet_time(scenario: &Scenario, world: &Shared) -> Duration {
    let state = world.lock();
    let now = clock::now();
    let mut quiet = Duration::ZERO;
    for (owner, row) in scenario.owners.iter().zip(&state.rows) {
        let pause = row
            .profile
            .status
            .not_before
            .map_or(Duration::ZERO, |until| Duration::try_from(until - now).unwrap_or(Duration::ZERO));
        let due = (row.profile.deferred.iter())
            .filter_map(|entry| Duration::try_from(entry.due_at - now).ok())
            .max()
            .unwrap_or_default();
        let overdue =
            row.profile.overdue.as_ref().and_then(|overdue| Duration::try_from(overdue.due_at - now).ok());
        let pause = pause.max(due).max(overdue.unwrap_or_default());
        let interval = Duration::from_secs(u64::from(owner.interval));
        quiet = quiet.max(pause + interval * QUIET_INTERVALS);
    }
    let poisons = state.accounts.iter().flat_map(|account| account.truths.values());
    let poisons = u32::try_from(poisons.filter(|truth| truth.poison.is_some()).count()).expect("a few");
    quiet + scenario.longest_interval().max(LONGEST_PAUSE) * QUIET_TRIES * poisons
}
