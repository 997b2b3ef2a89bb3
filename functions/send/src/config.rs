//! The function's settings: the only place that reads its environment.

use mailroom_core::outbound::loop_guard;
use mailroom_lambda::env::Environment;
use mailroom_lambda::start::{NetworkConfig, StartError};
use mailroom_mail::smtp::EhloName;

/// The function's settings, one for each variable of its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`: the name of the DynamoDB table.
    pub table: String,
    /// `MAILROOM_BUCKET`: the name of the bucket for messages and attachments.
    pub bucket: String,
    /// `MAILROOM_SEND_QUEUE_URL`: the queue of messages to send.
    pub send_queue_url: String,
    /// `MAILROOM_SEND_DEAD_LETTER_QUEUE_URL`: messages that ran out of attempts, or that cannot be read.
    pub dead_letter_queue_url: String,
    /// `MAILROOM_OUTCOME_QUEUE_URL`: where final outcomes are published. Optional.
    pub outcome_queue_url: Option<String>,
    /// `MAILROOM_SECRET_PREFIX`: what the names of secrets begin with.
    pub secret_prefix: String,
    /// `MAILROOM_AUTOMATIC_LIMIT`: automatic messages to one recipient within an hour, 1 to 1000. Optional: 10.
    pub automatic_limit: u32,
    /// `MAILROOM_EHLO_NAME`: the host name that SMTP servers are told. Optional: the sender's domain.
    pub ehlo_name: Option<EhloName>,
    /// `MAILROOM_CA_BUNDLE` and `MAILROOM_ALLOWED_HOSTS`: what is trusted, and what may be connected to.
    pub network: NetworkConfig,
}

impl Config {
    /// Reads the variables.
    ///
    /// # Errors
    /// Names everything that is missing or wrong, at once.
    pub fn from_env() -> Result<Self, StartError> {
        let mut environment = Environment::of_process();
        let config = Self {
            table: environment.required("MAILROOM_TABLE"),
            bucket: environment.required("MAILROOM_BUCKET"),
            send_queue_url: environment.required("MAILROOM_SEND_QUEUE_URL"),
            dead_letter_queue_url: environment.required("MAILROOM_SEND_DEAD_LETTER_QUEUE_URL"),
            secret_prefix: environment.required("MAILROOM_SECRET_PREFIX"),
            outcome_queue_url: environment.optional("MAILROOM_OUTCOME_QUEUE_URL"),
            automatic_limit: environment
                .parsed("MAILROOM_AUTOMATIC_LIMIT", automatic_limit)
                .unwrap_or(loop_guard::DEFAULT_LIMIT),
            ehlo_name: environment.parsed("MAILROOM_EHLO_NAME", EhloName::parse),
            network: NetworkConfig::from_env(&environment),
        };
        Ok(environment.finish(config)?)
    }
}

fn automatic_limit(text: &str) -> Result<u32, &'static str> {
    let limit = text.parse().ok().filter(|limit| (1..=loop_guard::MAX_LIMIT).contains(limit));
    limit.ok_or("must be a whole number from 1 to 1000")
}
