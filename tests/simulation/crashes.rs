//! Runs that crash, and runs that outlive their lease: scenarios of their own, in which nothing else goes wrong.

use std::time::Duration;

use crate::faults::{Fault, Op, ServiceFault};
use crate::scenario::{After, Happening, Letter, Owner, Scenario, ServerHabits, Start};
use crate::simulate::{Report, simulate};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn arrives(content: u32) -> Happening {
    Happening::Arrives { owner: 0, letter: Letter { content, bytes: 100, poison: None } }
}

/// One mailbox with this interval.
fn play(interval: u32, happenings: Vec<(Duration, Happening)>, faults: Vec<Fault>) -> Report {
    let server =
        ServerHabits { says_uid_next: true, says_uid_validity: true, has_move: true, minutes_ahead: 0 };
    let owner =
        Owner { interval, start: Start::Now, include_seen: false, after_fetch: After::Keep, old: 0, server };
    simulate(&Scenario { seed: 7, owners: vec![owner], happenings, faults, end: seconds(1800) })
}

/// How many lines of the transcript say this.
fn count(report: &Report, what: &str) -> usize {
    report.transcript.iter().filter(|(_, line)| line.contains(what)).count()
}

#[test]
fn after_a_crash_the_check_repeats_the_page_while_the_queue_still_drops_repeats() {
    let asked = seconds(100);
    let mut crashes = 0;
    for points in 1..80 {
        let happenings = vec![
            (seconds(1), Happening::FetchAsked { owner: 0 }),
            (seconds(90), arrives(1)),
            (seconds(90), arrives(2)),
            (asked, Happening::FetchAsked { owner: 0 }),
        ];
        // The interval's own poll comes long after the queue has forgotten.
        let report = play(7200, happenings, vec![Fault::Death { from: asked, points }]);
        assert_eq!(report.violations, [], "{points} awaits");
        assert_eq!((report.jobs, report.redelivered), (2, 0), "{points} awaits");
        crashes += count(&report, "dies");
    }
    assert!(crashes > 40, "{crashes} crashes");
}

#[test]
fn a_run_that_outlives_its_lease_changes_nothing_that_another_run_has_done_since() {
    for op in [Op::MoveCursor, Op::Release, Op::NoteHandedOver, Op::SendJobs] {
        let asked = seconds(100);
        let happenings = vec![
            (seconds(1), Happening::FetchAsked { owner: 0 }),
            (seconds(90), arrives(1)),
            (asked, Happening::FetchAsked { owner: 0 }),
            (asked + seconds(10), arrives(2)),
            (asked + seconds(20), Happening::FetchAsked { owner: 0 }),
        ];
        // By the machines' clocks the lease has ended when the second run begins, and the first still waits.
        let faults = vec![
            Fault::Service { from: asked, op, fault: ServiceFault::Slow(seconds(45)) },
            Fault::Clock { from: asked + seconds(15), until: seconds(1700), ahead_millis: 120_000 },
        ];
        let report = play(300, happenings, faults);
        assert_eq!(report.violations, [], "{op:?}");
        assert_eq!(report.jobs, 2, "{op:?}");
        assert!(op == Op::Release || count(&report, "leased, fence 3") > 0, "{op:?}: nothing took over");
    }
}
