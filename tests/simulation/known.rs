//! Violations that are tolerated until the code keeps the promise. The list only becomes shorter: each entry names the
//! fault, and goes with the change that mends it.

use crate::invariants::Violation;

/// A deviation that is known.
pub(crate) struct Known {
    /// What is wrong, in one sentence.
    pub(crate) what: &'static str,
    covers: fn(&Violation) -> bool,
}

pub(crate) const KNOWN: &[Known] = &[];

/// The entry that covers a violation.
pub(crate) fn known(violation: &Violation) -> Option<&'static Known> {
    KNOWN.iter().find(|known| (known.covers)(violation))
}
