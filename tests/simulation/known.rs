//! Violations that are tolerated until the code keeps the promise. The list only becomes shorter: each entry names the
//! fault, and goes with the change that mends it.

use std::time::Duration;

use crate::invariants::Violation;

/// A deviation that is known.
pub(crate) struct Known {
    /// What is wrong, in one sentence.
    pub(crate) what: &'static str,
    covers: fn(&Violation) -> bool,
}

/// How long a FIFO queue drops repeats.
const REMEMBERED: Duration = Duration::from_secs(300);

pub(crate) const KNOWN: &[Known] = &[
    Known {
        what: "jobs that were sent and not noted in the ledger are sent again when the queue has forgotten them",
        covers: |violation| matches!(violation, Violation::Twice { after, of_quarantined: false, .. } if *after >= REMEMBERED),
    },
    Known {
        what: "a server in trouble has good messages quarantined, and a message that was handed over is announced again as quarantined",
        covers: |violation| {
            matches!(
                violation,
                Violation::QuarantinedWithoutCause { .. }
                    | Violation::Twice { of_quarantined: true, .. }
                    | Violation::NotInLedger { quarantined_later: true, .. }
            )
        },
    },
    Known {
        what: "a message over which the server falls silent is tried for ever, and those behind it wait",
        covers: |violation| {
            matches!(
                violation,
                Violation::NeverAnnounced { stuck: true, .. } | Violation::NeverWell { stuck: true, .. }
            )
        },
    },
    Known {
        what: "the first poll that succeeds decides what \"now\" means, and not the creation of the profile",
        covers: |violation| matches!(violation, Violation::ArrivedBeforeFirstPoll { .. }),
    },
    Known {
        what: "after a renumbering, what a server with a slow clock dates before the profile's creation is passed over",
        covers: |violation| {
            matches!(
                violation,
                Violation::Passed { slow_clock: true, .. }
                    | Violation::NeverAnnounced { slow_clock: true, .. }
            )
        },
    },
];

/// The entry that covers a violation.
pub(crate) fn known(violation: &Violation) -> Option<&'static Known> {
    KNOWN.iter().find(|known| (known.covers)(violation))
}
