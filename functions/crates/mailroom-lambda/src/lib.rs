//! The shell of every function: what surrounds its decisions on AWS Lambda.
//!
//! Read in this order: [`start`] (from `main` to the first event), [`env`] (what the environment must hold),
//! [`clock`] (the one place that asks what time it is), [`batch`] (queue messages in, partial failures out),
//! [`memory`] (how many bytes an invocation may hold), [`metrics`] (what is counted, by the log).
//!
//! Deliberately absent: what a function does. It implements [`start::Handler`], and knows nothing of the runtime.

pub mod batch;
pub mod clock;
pub mod env;
pub mod memory;
pub mod metrics;
pub mod start;
