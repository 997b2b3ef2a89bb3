//! What the function reads from its environment, and nothing else of it is read anywhere.
#![expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

use std::env;

use mailroom_core::guard;

/// The function's environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`
    pub table: String,
    /// `MAILROOM_BUCKET`
    pub bucket: String,
    /// `MAILROOM_SEND_QUEUE_URL`
    pub send_queue_url: String,
    /// `MAILROOM_SEND_DEAD_LETTER_QUEUE_URL`: where messages go that ran out of tries.
    pub dead_letter_queue_url: String,
    /// `MAILROOM_OUTCOME_QUEUE_URL`: where final outcomes are told. Optional.
    pub outcome_queue_url: Option<String>,
    /// `MAILROOM_SECRET_PREFIX`
    pub secret_prefix: String,
    /// `MAILROOM_AUTOMATIC_LIMIT`: automatic mails to one recipient within an hour, 1 to 1000. Optional: 10.
    pub automatic_limit: u32,
    /// `MAILROOM_CA_BUNDLE`: PEM text, or the path of a PEM file beside the function. Optional.
    pub ca_bundle: Option<String>,
    /// `MAILROOM_ALLOWED_HOSTS`: hosts and networks that may be connected to although they are private. Optional.
    pub allowed_hosts: String,
}

/// The environment is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It lacks something.
    #[error("missing in the environment: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// The limit is none.
    #[error("MAILROOM_AUTOMATIC_LIMIT must be a whole number from 1 to 1000")]
    AutomaticLimit,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Names everything that is missing, at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut missing = Vec::new();
        let optional = |name: &str| env::var(name).ok().filter(|value: &String| !value.is_empty());
        let mut required = |name: &'static str| {
            optional(name).unwrap_or_else(|| {
                missing.push(name);
                String::new()
            })
        };
        let config = Self {
            table: required("MAILROOM_TABLE"),
            bucket: required("MAILROOM_BUCKET"),
            send_queue_url: required("MAILROOM_SEND_QUEUE_URL"),
            dead_letter_queue_url: required("MAILROOM_SEND_DEAD_LETTER_QUEUE_URL"),
            secret_prefix: required("MAILROOM_SECRET_PREFIX"),
            outcome_queue_url: optional("MAILROOM_OUTCOME_QUEUE_URL"),
            automatic_limit: limit(optional("MAILROOM_AUTOMATIC_LIMIT"))?,
            ca_bundle: optional("MAILROOM_CA_BUNDLE"),
            allowed_hosts: optional("MAILROOM_ALLOWED_HOSTS").unwrap_or_default(),
        };
        if missing.is_empty() { Ok(config) } else { Err(ConfigError::Missing(missing)) }
    }
}

fn limit(text: Option<String>) -> Result<u32, ConfigError> {
    let Some(text) = text else { return Ok(guard::DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=guard::MAX_LIMIT).contains(limit));
    limit.ok_or(ConfigError::AutomaticLimit)
}
