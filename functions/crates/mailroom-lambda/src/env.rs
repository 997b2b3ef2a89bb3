//! What a function reads from its environment. Each `config.rs` names its variables; only this module reads them.

use std::fmt;

/// The environment, as far as it has been read: what is missing or wrong is collected and reported in one error.
pub struct Environment {
    lookup: fn(&str) -> Option<String>,
    missing: Vec<&'static str>,
    wrong: Vec<String>,
}

/// The environment lacks variables, or they hold what cannot be used. Names all of them at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct EnvironmentError {
    missing: Vec<&'static str>,
    wrong: Vec<String>,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = (!self.missing.is_empty())
            .then(|| format!("missing in the environment: {}", self.missing.join(", ")));
        let parts: Vec<&str> = missing.iter().chain(&self.wrong).map(String::as_str).collect();
        f.write_str(&parts.join("; "))
    }
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub const fn of_process() -> Self {
        Self::from_lookup(process_variable)
    }

    /// An environment that answers with what `lookup` finds.
    #[must_use]
    pub const fn from_lookup(lookup: fn(&str) -> Option<String>) -> Self {
        Self { lookup, missing: Vec::new(), wrong: Vec::new() }
    }

    /// A variable that has to be there; empty counts as missing.
    pub fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.missing.push(name);
            String::new()
        })
    }

    /// A variable that may be absent or empty.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// A variable that may be absent or empty, and otherwise has to be readable: `read` says what is wrong with it.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match read(&self.optional(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong.push(format!("{name}: {error}"));
                None
            }
        }
    }

    /// `value`, if everything that was asked for is there and can be used.
    ///
    /// # Errors
    /// Names everything that is missing or wrong.
    pub fn finish<T>(self, value: T) -> Result<T, EnvironmentError> {
        if self.missing.is_empty() && self.wrong.is_empty() {
            Ok(value)
        } else {
            Err(EnvironmentError { missing: self.missing, wrong: self.wrong })
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_or_wrong_is_named_at_once() {
        let mut environment = Environment::from_lookup(|name| match name {
            "MAILROOM_TABLE" => Some("mailroom".to_owned()),
            "MAILROOM_BUCKET" => Some(String::new()),
            "MAILROOM_AUTOMATIC_LIMIT" => Some("many".to_owned()),
            _ => None,
        });
        assert_eq!(environment.required("MAILROOM_TABLE"), "mailroom");
        environment.required("MAILROOM_BUCKET");
        environment.required("MAILROOM_JOB_QUEUE_URL");
        assert_eq!(environment.parsed("MAILROOM_AUTOMATIC_LIMIT", str::parse::<u32>), None);
        assert_eq!(
            environment.finish(()).unwrap_err().to_string(),
            "missing in the environment: MAILROOM_BUCKET, MAILROOM_JOB_QUEUE_URL; \
             MAILROOM_AUTOMATIC_LIMIT: invalid digit found in string"
        );
    }
}
