//! When a server that refuses is asked again: scenarios of their own, with times that can be told beforehand.

use std::time::Duration;

use crate::faults::{Fault, ServerFault, ServerStep};
use crate::scenario::{After, Happening, Letter, Owner, Scenario, ServerHabits, Start};
use crate::simulate::{Report, simulate};

const MINUTE: Duration = Duration::from_secs(60);

/// A message that arrives in a mailbox with this interval, whose server says this for a while.
fn refused(interval: u32, step: ServerStep, says: &'static str, until: Duration) -> Report {
    let server =
        ServerHabits { says_uid_next: true, says_uid_validity: true, has_move: true, minutes_ahead: 0 };
    let owner =
        Owner { interval, start: Start::Now, include_seen: false, after_fetch: After::Keep, old: 0, server };
    let letter = Letter { content: 1, bytes: 100, poison: None };
    let second = Duration::from_secs(1);
    let scenario = Scenario {
        seed: 7,
        owners: vec![owner],
        happenings: vec![
            (second, Happening::Arrives { owner: 0, letter }),
            (second * 2, Happening::FetchAsked { owner: 0 }),
        ],
        faults: vec![Fault::Server {
            owner: 0,
            from: Duration::ZERO,
            until,
            step,
            fault: ServerFault::Says(says),
        }],
        end: until + MINUTE * 90,
    };
    let report = simulate(&scenario);
    assert_eq!(report.violations, []);
    assert_eq!(report.jobs, 1);
    report
}

/// The times at which the transcript says this.
fn times(report: &Report, what: &str) -> Vec<Duration> {
    report.transcript.iter().filter(|(_, line)| line.contains(what)).map(|(at, _)| *at).collect()
}

#[test]
fn a_throttled_mailbox_that_is_polled_once_a_day_is_polled_at_the_end_of_its_pause() {
    let says = "{tag} BAD Request is throttled. Suggested Backoff Time: 20000 milliseconds";
    let report = refused(86_400, ServerStep::Open, says, MINUTE * 20);
    let refusals = times(&report, "is Throttled");
    let pauses: Vec<u64> = refusals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert!(pauses.len() > 40 && pauses.iter().all(|pause| (20..28).contains(pause)), "{pauses:?}");
    let taken = times(&report, "the job queue takes");
    assert!(taken[0] < MINUTE * 20 + Duration::from_secs(28), "{taken:?}");
}

#[test]
fn a_login_that_is_refused_is_tried_ever_more_seldom_from_the_first_refusal_on() {
    let says = "{tag} NO [AUTHENTICATIONFAILED] Authentication failed";
    for (interval, late) in [(60, 3), (300, 6), (86_400, 1)] {
        let report = refused(interval, ServerStep::Login, says, MINUTE * 250);
        let refusals = times(&report, "is Misconfigured");
        let minutes: Vec<u64> = refusals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs() / 60).collect();
        let least = [5, 10, 20, 40, 60, 60];
        assert!(minutes.len() >= 5, "{minutes:?}");
        for (pause, least) in minutes.iter().zip(least) {
            assert!((least..=least * 6 / 5 + late).contains(pause), "{interval}: {minutes:?}");
        }
        assert_eq!(times(&report, "the job queue takes").len(), 1);
    }
}
