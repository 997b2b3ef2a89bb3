//! Simulations of sending: what a seed decides, and one scenario from its beginning to the quiet time after it.

use std::time::Duration;

use tokio::time::{sleep, sleep_until};

use crate::clock;
use crate::faults::{Fault, Op, ServerFault, ServerStep};
use crate::lambda;
use crate::random::Random;
use crate::scenario::{After, Happening, Owner, Scenario, ServerHabits, Start, service_fault};
use crate::simulate::{Report, clocks, report, runtime};
use crate::world::Shared;

/// How long messages are asked for, and things go wrong.
const ACTIVE: Duration = Duration::from_secs(3600);

/// After so long everything has its outcome: the longest pauses between tries, and all searches for what is uncertain.
const QUIET: Duration = Duration::from_secs(6 * 3600);

/// The scenario of a seed.
pub(crate) fn scenario(seed: u64) -> Scenario {
    let mut random = Random::new(seed ^ 0x05e4_d5e4_d5e4);
    let server =
        ServerHabits { says_uid_next: true, says_uid_validity: true, has_move: true, minutes_ahead: 0 };
    let owner = Owner {
        interval: 86_400,
        start: Start::Now,
        include_seen: false,
        after_fetch: After::Keep,
        old: 0,
        server,
    };
    let owners = vec![owner; random.index(2) + 1];
    let mut happenings: Vec<(Duration, Happening)> = (1..=random.range(2, 12))
        .map(|message| {
            let (owner, recipients) = (random.index(owners.len()), random.range(1, 3));
            (random.time(ACTIVE), Happening::SendAsked { owner, message, recipients })
        })
        .collect();
    happenings.sort_by_key(|(at, _)| *at);
    let mut faults: Vec<Fault> = (0..random.range(1, 8))
        .map(|_| {
            let (at, _) = happenings[random.index(happenings.len())];
            fault(&mut random, at, owners.len())
        })
        .collect();
    faults.sort_by_key(Fault::end);
    Scenario { seed, owners, happenings, faults, end: ACTIVE }
}

/// Something that goes wrong around a time.
fn fault(random: &mut Random, at: Duration, owners: usize) -> Fault {
    let from =
        (at + random.time(Duration::from_secs(40))).saturating_sub(Duration::from_secs(20)).min(ACTIVE);
    let long = if random.chance(70) { 30 } else { 900 };
    let until = (from + random.time(Duration::from_secs(long)) + Duration::from_secs(1)).min(ACTIVE);
    match random.below(16) {
        0..=3 => Fault::Service { from, op: random.pick(&Op::OF_SENDING), fault: service_fault(random) },
        4 => Fault::Service { from, op: Op::SaveDelivery, fault: service_fault(random) },
        5 => Fault::Outage { from, until, op: random.pick(&Op::OF_SENDING) },
        6..=9 => Fault::Death { from, points: random.range(1, 40) },
        10 => Fault::DeliveredTwice { from },
        11 => Fault::Clock { from, until, ahead_millis: i64::from(random.range(0, 400_000)) - 200_000 },
        _ => {
            use ServerStep::{
                Connect, Data, Dot, Filing, Mail, Recipient, SmtpConnect, SmtpGreeting, SmtpLogin,
            };
            let steps =
                [Connect, Data, Dot, Dot, Dot, Filing, Mail, Recipient, SmtpConnect, SmtpGreeting, SmtpLogin];
            let step = random.pick(&steps);
            let owner = random.index(owners);
            Fault::Server { owner, from, until, step, fault: server_fault(random, step) }
        }
    }
}

fn server_fault(random: &mut Random, step: ServerStep) -> ServerFault {
    match random.below(6) {
        0 => ServerFault::Hangs,
        1 => ServerFault::Closes,
        2 => ServerFault::Cuts,
        3 => ServerFault::Slow(Duration::from_secs(u64::from(random.range(1, 90)))),
        _ if step == ServerStep::Filing => ServerFault::Says("{tag} NO [UNAVAILABLE] Later"),
        _ => ServerFault::Says(random.pick(&[
            "421 4.3.2 shutting down",
            "451 4.3.0 try again later",
            "452 4.2.2 mailbox full",
            "554 5.7.1 refused by policy",
        ])),
    }
}

/// Plays a scenario of sending.
pub(crate) fn simulate(scenario: &Scenario) -> Report {
    runtime().block_on(play(scenario))
}

async fn play(scenario: &Scenario) -> Report {
    clock::begin();
    let world = Shared::new(scenario);
    tokio::spawn(lambda::send_queue(world.clone()));
    tokio::spawn(clocks(scenario.faults.clone()));
    for (at, happening) in &scenario.happenings {
        sleep_until(clock::instant(*at)).await;
        world.lock().happens(*happening);
        world.queued().notify_one();
    }
    sleep_until(clock::instant(scenario.end)).await;
    clock::set_ahead(0);
    world.lock().log("nothing goes wrong any more");
    let latest = clock::elapsed() + QUIET;
    while !world.lock().outbound.is_done() && clock::elapsed() < latest {
        sleep(Duration::from_secs(60)).await;
    }
    let mut state = world.lock();
    state.judge_sends();
    report(&state)
}
