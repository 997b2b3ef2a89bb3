//! Simulations: the real functions fetch and send with mail servers, a table and queues in memory, under simulated time.
//!
//! A seed decides everything: what arrives, what others do in the mailboxes, and what goes wrong. The promises of the
//! README are checked at each step, and once more after a time in which nothing goes wrong.
//!
//! Read in this order: `scenario` (what a seed decides) with `faults` and `mailboxes`; `world` (the state) with `queues`
//! and `clock`; `ports` and `imap_server` (how the functions meet it) with `imap_answers`; `lambda` (what runs them);
//! `simulate` (one scenario from beginning to end); `sends`, `outbound`, `outbound_ports` and `smtp_server` (the same for
//! messages that go out); `invariants` (what must hold); `shrink` (a failing scenario made small). Scenarios of their own
//! are in `retries` (when a server is asked again), `flood` (when a renumbering finds more than is handed over without a
//! question) and `crashes` (a crash, and a run that outlives its lease, with nothing else that goes wrong).
//!
//! `MAILROOM_SEED=n` plays one seed and prints its transcript; `MAILROOM_SEEDS=n` plays the first n.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a panic is a failed test, and what is printed is shown with it"
)]

mod clock;
mod crashes;
mod faults;
mod flood;
mod imap_answers;
mod imap_server;
mod invariants;
mod lambda;
mod mailboxes;
mod outbound;
mod outbound_ports;
mod ports;
mod queues;
mod random;
mod retries;
mod scenario;
mod sends;
mod shrink;
mod simulate;
mod smtp_server;
mod world;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::invariants::Violation;
use crate::scenario::Scenario;
use crate::simulate::{Report, simulate};

/// What runs where nothing else is asked for.
const SEEDS: u64 = 2_000;
const SENDING_SEEDS: u64 = 1_000;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn print(report: &Report) {
    for (at, what) in &report.transcript {
        println!("{:>10.3}  {what}", at.as_secs_f64());
    }
}

#[derive(Default)]
struct Totals {
    seeds: u64,
    days: f64,
    messages: usize,
    faults: usize,
    jobs: usize,
    redelivered: usize,
    runs: u64,
    failed: Vec<(u64, Violation)>,
}

impl Totals {
    fn add(&mut self, seed: u64, report: &Report) {
        self.seeds += 1;
        self.days += report.simulated.as_secs_f64() / 86_400.0;
        self.messages += report.messages;
        self.faults += report.faults;
        self.jobs += report.jobs;
        self.redelivered += report.redelivered;
        self.runs += u64::from(report.runs);
        if let Some(violation) = report.violations.first() {
            self.failed.push((seed, violation.clone()));
        }
    }
}

#[test]
fn every_seed_keeps_the_promises() {
    play_all(SEEDS, Scenario::of, simulate);
}

#[test]
fn every_seed_sends_each_message_once() {
    play_all(SENDING_SEEDS, sends::scenario, sends::simulate);
}

/// Plays the seeds that are asked for.
fn play_all(seeds: u64, scenario: fn(u64) -> Scenario, simulate: fn(&Scenario) -> Report) {
    if let Some(seed) = setting("MAILROOM_SEED") {
        let report = simulate(&scenario(seed));
        print(&report);
        assert_eq!(report.violations.first(), None, "seed {seed}");
        return;
    }
    let seeds = setting("MAILROOM_SEEDS").unwrap_or(seeds);
    let began = Instant::now();
    let (next, totals) = (AtomicU64::new(0), Mutex::new(Totals::default()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let report = simulate(&scenario(seed));
                    totals.lock().unwrap_or_else(PoisonError::into_inner).add(seed, &report);
                }
            });
        }
    });
    let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} seeds in {:.0} s: {:.0} simulated days, {} invocations, {} messages, {} jobs, {} of them redelivered, \
         {} faults",
        totals.seeds,
        began.elapsed().as_secs_f64(),
        totals.days,
        totals.runs,
        totals.messages,
        totals.jobs,
        totals.redelivered,
        totals.faults
    );
    totals.failed.sort_by_key(|(seed, _)| *seed);
    let mut kinds: Vec<&Violation> = Vec::new();
    for (seed, violation) in &totals.failed {
        println!("seed {seed}: {violation:?}");
        if !kinds.iter().any(|kind| kind.is_like(violation)) {
            kinds.push(violation);
            let report = shrink::smallest(&scenario(*seed), violation, simulate);
            print(&report);
        }
    }
    assert!(totals.failed.is_empty(), "{} seeds fail", totals.failed.len());
}

#[test]
fn a_seed_is_played_the_same_again() {
    for seed in 0..20 {
        let (one, other) = (simulate(&Scenario::of(seed)), simulate(&Scenario::of(seed)));
        assert_eq!(one.transcript, other.transcript, "seed {seed}");
        let again = || sends::simulate(&sends::scenario(seed));
        assert_eq!(again().transcript, again().transcript, "seed {seed} of sending");
    }
}
