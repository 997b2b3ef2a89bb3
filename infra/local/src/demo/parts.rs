//! What a demo consists of while it runs.

use std::fs;

use example_flow::Flow;
use mailroom_core::profile::ProfileId;
use serde_json::Value;

use super::place::Place;
use super::running::Running;
use crate::dovecot::Dovecot;
use crate::http::Reply;
use crate::openid::OpenIdProvider;
use crate::problem::Problem;
use crate::stack::Stack;
use crate::toolbox::Toolbox;

/// What runs, and ends with this value.
pub(super) struct Demo {
    pub(super) stack: Stack,
    pub(super) dovecot: Dovecot,
    pub(super) open_id: Option<OpenIdProvider>,
    pub(super) place: Place,
    pub(super) profile: ProfileId,
    /// The queue with the jobs of the demo's profile.
    pub(super) queue: String,
    /// What the jobs are handed to.
    pub(super) flow: Flow,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = fs::remove_file(Running::file());
        match self.place {
            Place::Own(_) => {
                let _ = fs::remove_file(Toolbox::here().stack_file());
            }
            Place::Shared { .. } => {}
        }
    }
}

/// An answer of the API that is not the one hoped for.
pub(super) fn refused(what: &str, answer: &Reply) -> Problem {
    let detail = answer.body.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
    let errors = answer.body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let member = |error: &Value, name: &str| error.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let errors: String =
        errors.map(|error| format!("\n  {} {}", member(error, "field"), member(error, "message"))).collect();
    Problem::new(format!("the API refuses the demo's {what} with {}: {detail}{errors}", answer.status))
}

/// What the servers have written last, for a report of a failure.
pub(super) fn logs(demo: &Demo) -> String {
    format!("The mail server's log:\n{}\n{}", demo.dovecot.log_tail(5), demo.place.log_tail(),)
}
