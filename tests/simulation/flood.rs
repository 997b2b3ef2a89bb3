//! A renumbering that finds more messages than are handed over without a question: a scenario of its own.

use std::time::Duration;

use crate::faults::{Fault, Op, ServerFault, ServerStep, ServiceFault};
use crate::scenario::{After, Happening, Letter, Owner, Scenario, ServerHabits, Start};
use crate::simulate::simulate;

const FLOOD: u32 = 1_200;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn arrives(content: u32) -> Happening {
    Happening::Arrives { owner: 0, letter: Letter { content, bytes: 100, poison: None } }
}

/// The flood comes while the server lets nobody in, and its owner accepts it after an hour.
fn flood(faults: &[Fault]) -> Scenario {
    let server =
        ServerHabits { says_uid_next: true, says_uid_validity: true, has_move: true, minutes_ahead: 0 };
    let owner = Owner {
        interval: 300,
        start: Start::Now,
        include_seen: false,
        after_fetch: After::Keep,
        old: 0,
        server,
    };
    let mut happenings = vec![(seconds(1), arrives(1)), (seconds(2), Happening::FetchAsked { owner: 0 })];
    happenings.extend((0..FLOOD).map(|n| (seconds(100), arrives(100 + n))));
    happenings.extend([
        (seconds(200), Happening::Renumbered { owner: 0 }),
        (seconds(2900), arrives(2)),
        (seconds(3600), Happening::Accepted { owner: 0 }),
        (seconds(3700), arrives(3)),
    ]);
    let closed = Fault::Server {
        owner: 0,
        from: seconds(60),
        until: seconds(1000),
        step: ServerStep::Login,
        fault: ServerFault::Says("{tag} NO [UNAVAILABLE] Storage is temporarily unavailable"),
    };
    let faults = std::iter::once(closed).chain(faults.iter().copied()).collect();
    Scenario { seed: 7, owners: vec![owner], happenings, faults, end: seconds(7200) }
}

#[test]
fn a_flood_waits_for_its_owner_and_new_messages_do_not() {
    let report = simulate(&flood(&[]));
    assert_eq!(report.violations, []);
    let jobs: Vec<Duration> = (report.transcript.iter())
        .filter(|(_, line)| line.contains("the job queue takes"))
        .map(|(at, _)| *at)
        .collect();
    let before = |time: u64| jobs.iter().filter(|at| **at < seconds(time)).count();
    // The first, and the one that came while the rest waited; then everything.
    assert_eq!((before(2900), before(3600)), (1, 2));
    assert_eq!(u32::try_from(jobs.len()).unwrap(), FLOOD + 3);
}

#[test]
fn whatever_fails_while_a_flood_is_handed_over_no_message_is_lost_or_sent_twice() {
    let accepted = seconds(3600);
    let faults = [
        Fault::Death { from: accepted, points: 25 },
        Fault::Death { from: accepted, points: 90 },
        Fault::Service { from: accepted + seconds(1), op: Op::MoveCursor, fault: ServiceFault::AnswerLost },
        Fault::Service { from: accepted + seconds(1), op: Op::NoteHandedOver, fault: ServiceFault::Fails },
        Fault::Service { from: accepted + seconds(2), op: Op::SendJobs, fault: ServiceFault::Partial },
    ];
    for fault in faults {
        let report = simulate(&flood(&[fault]));
        assert_eq!(report.violations, [], "{fault:?}");
        assert_eq!(u32::try_from(report.jobs).unwrap(), FLOOD + 3, "{fault:?}");
    }
}
