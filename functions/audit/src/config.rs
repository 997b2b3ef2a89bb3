//! The function's settings: the only place that reads its environment.

use mailroom_lambda::env::Environment;
use mailroom_lambda::start::{NetworkConfig, StartError};

/// The function's settings, one for each variable of its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`: the name of the DynamoDB table.
    pub table: String,
    /// `MAILROOM_AUDIT_QUEUE_URL`: the queue of audits to make.
    pub audit_queue_url: String,
    /// `MAILROOM_POLL_QUEUE_URL`: the queue of requests to poll, which brings missing messages back.
    pub poll_queue_url: String,
    /// `MAILROOM_AUDIT_REPAIR`: whether missing messages are brought back: yes or no. Optional: no.
    pub repair: OnMissing,
    /// `MAILROOM_SECRET_PREFIX`: what the names of secrets begin with.
    pub secret_prefix: String,
    /// `MAILROOM_METRIC_NAMESPACE`: the namespace of its metrics in CloudWatch. Optional: it writes none.
    pub metric_namespace: Option<String>,
    /// `MAILROOM_CA_BUNDLE` and `MAILROOM_ALLOWED_HOSTS`: what is trusted, and what may be connected to.
    pub network: NetworkConfig,
}

/// What is done about missing messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// They are counted and told.
    Report,
    /// They are handed over by the next poll, too.
    Repair,
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
            audit_queue_url: environment.required("MAILROOM_AUDIT_QUEUE_URL"),
            poll_queue_url: environment.required("MAILROOM_POLL_QUEUE_URL"),
            repair: environment.parsed("MAILROOM_AUDIT_REPAIR", on_missing).unwrap_or(OnMissing::Report),
            secret_prefix: environment.required("MAILROOM_SECRET_PREFIX"),
            metric_namespace: environment.optional("MAILROOM_METRIC_NAMESPACE"),
            network: NetworkConfig::from_env(&environment),
        };
        Ok(environment.finish(config)?)
    }
}

fn on_missing(text: &str) -> Result<OnMissing, &'static str> {
    match text {
        "yes" => Ok(OnMissing::Repair),
        "no" => Ok(OnMissing::Report),
        _ => Err("must be yes or no"),
    }
}
