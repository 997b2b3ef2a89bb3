//! A failing scenario made small: faults and happenings that it fails without are left out.

use crate::invariants::Violation;
use crate::scenario::Scenario;
use crate::simulate::Report;

/// The most simulations for one scenario.
const TRIES: u32 = 400;

/// The report of the smallest scenario found that still breaks the same promise.
pub(crate) fn smallest(
    scenario: &Scenario,
    violation: &Violation,
    simulate: fn(&Scenario) -> Report,
) -> Report {
    let breaks = |report: &Report| report.violations.iter().any(|one| one.is_like(violation));
    let mut smallest = scenario.clone();
    let mut report = simulate(&smallest);
    let mut tries = 0;
    let mut without = |smaller: Scenario, smallest: &mut Scenario| {
        tries += 1;
        if tries > TRIES {
            return false;
        }
        let tried = simulate(&smaller);
        let broken = breaks(&tried);
        if broken {
            (report, *smallest) = (tried, smaller);
        }
        broken
    };
    loop {
        let before = (smallest.faults.len(), smallest.happenings.len());
        for n in (0..smallest.faults.len()).rev() {
            let mut smaller = smallest.clone();
            smaller.faults.remove(n);
            without(smaller, &mut smallest);
        }
        let mut length = smallest.happenings.len();
        while length > 0 {
            let mut at = 0;
            while at < smallest.happenings.len() {
                let mut smaller = smallest.clone();
                smaller.happenings.drain(at..(at + length).min(smallest.happenings.len()));
                if !without(smaller, &mut smallest) {
                    at += length;
                }
            }
            length /= 2;
        }
        if (smallest.faults.len(), smallest.happenings.len()) == before {
            break;
        }
    }
    report
}
