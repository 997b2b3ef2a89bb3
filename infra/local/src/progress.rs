//! Long steps show that they go on: on standard error, with the time they took.

use std::io::Write as _;
use std::time::Instant;

/// A step under way.
#[derive(Debug)]
pub struct Step {
    begun: Instant,
}

/// Begins a step: `doing` is what the person at the keyboard reads.
#[must_use]
pub fn step(doing: &str) -> Step {
    // Nobody reads it: then nobody misses it.
    let _ = writeln!(std::io::stderr(), "· {doing} …");
    Step { begun: Instant::now() }
}

impl Step {
    /// Ends the step and shows how long it took.
    pub fn done(self, what: &str) {
        let _ = writeln!(std::io::stderr(), "✓ {what} ({:.1} s)", self.begun.elapsed().as_secs_f32());
    }
}

/// A line for the person at the keyboard.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
