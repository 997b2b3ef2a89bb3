//! Violations that are tolerated until the code keeps the promise. The list only becomes shorter: each entry names the
//! fault, and goes with the change that mends it.

use crate::invariants::{REMEMBERED, Violation};

/// A deviation that is known.
pub(crate) struct Known {
    /// What is wrong, in one sentence.
    pub(crate) what: &'static str,
    covers: fn(&Violation) -> bool,
}

pub(crate) const KNOWN: &[Known] = &[
    Known {
        what: "jobs whose answer was lost are sent again without a word, when a backoff outlasts the queue's memory",
        covers: |violation| matches!(violation, Violation::Twice { after, .. } if *after >= REMEMBERED),
    },
    Known {
        what: "a message is tested against one over which the server falls silent, and waits for ever",
        covers: |violation| {
            matches!(
                violation,
                Violation::NeverAnnounced { stuck: true, .. } | Violation::NeverWell { stuck: true, .. }
            )
        },
    },
];

/// The entry that covers a violation.
pub(crate) fn known(violation: &Violation) -> Option<&'static Known> {
    KNOWN.iter().find(|known| (known.covers)(violation))
}
