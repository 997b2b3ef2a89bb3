//! What goes wrong on a machine, in a sentence that says what to do.

use std::error::Error;
use std::fmt::Display;

/// A sentence for the person at the keyboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    /// A problem in these words.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// What was being done when something failed.
    pub fn while_<E: Display>(doing: impl Display) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

/// An error and what caused it, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let reason = error.to_string();
        // Some errors repeat their source in their own words.
        if !text.ends_with(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        source = error.source();
    }
    text
}

/// A call that failed, with all its reasons: the outermost of an SDK's errors says next to nothing.
pub(crate) fn call_failed<E: Error>(operation: &str) -> impl FnOnce(E) -> Problem {
    move |error| Problem::new(format!("{operation} failed: {}", chain(&error)))
}
