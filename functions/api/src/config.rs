//! What the function reads from its environment, and nothing else of it is read anywhere.
#![expect(clippy::disallowed_methods, reason = "this is the module that the ban points to")]

use std::env;

/// The function's environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`
    pub table: String,
    /// `MAILROOM_BUCKET`
    pub bucket: String,
    /// `MAILROOM_POLL_QUEUE_URL`
    pub poll_queue_url: String,
    /// `MAILROOM_SEND_QUEUE_URL`
    pub send_queue_url: String,
    /// `MAILROOM_SECRET_PREFIX`
    pub secret_prefix: String,
    /// `MAILROOM_SCHEDULE_GROUP`
    pub schedule_group: String,
    /// `MAILROOM_SCHEDULE_ROLE_ARN`
    pub schedule_role_arn: String,
    /// `MAILROOM_FETCH_FUNCTION_ARN`
    pub fetch_function_arn: String,
    /// `MAILROOM_PUBLIC_URL`: where people's browsers reach the API, without a slash at its end.
    pub public_url: String,
    /// `MAILROOM_CA_BUNDLE`: PEM text, or the path of a PEM file beside the function. Optional.
    pub ca_bundle: Option<String>,
    /// `MAILROOM_ALLOWED_HOSTS`: hosts and networks that may be connected to although they are private. Optional.
    pub allowed_hosts: String,
    /// `MAILROOM_SECRET_RECOVERY_DAYS`: how long a removed profile's secret can be brought back: 7 to 30, or 0. Optional:
    /// 7.
    pub secret_recovery_days: Recovery,
}

/// What becomes of a removed profile's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It is gone at once.
    None,
    /// It can be restored for so many days.
    Days(i64),
}

/// The environment is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It lacks something.
    #[error("missing in the environment: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// The days are none that Secrets Manager takes.
    #[error("MAILROOM_SECRET_RECOVERY_DAYS must be 0, or 7 to 30")]
    Recovery,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Names everything that is missing, at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut missing = Vec::new();
        let mut required = |name: &'static str| match env::var(name) {
            Ok(value) if !value.is_empty() => value,
            Ok(_) | Err(_) => {
                missing.push(name);
                String::new()
            }
        };
        let config = Self {
            table: required("MAILROOM_TABLE"),
            bucket: required("MAILROOM_BUCKET"),
            poll_queue_url: required("MAILROOM_POLL_QUEUE_URL"),
            send_queue_url: required("MAILROOM_SEND_QUEUE_URL"),
            secret_prefix: required("MAILROOM_SECRET_PREFIX"),
            schedule_group: required("MAILROOM_SCHEDULE_GROUP"),
            schedule_role_arn: required("MAILROOM_SCHEDULE_ROLE_ARN"),
            fetch_function_arn: required("MAILROOM_FETCH_FUNCTION_ARN"),
            public_url: required("MAILROOM_PUBLIC_URL").trim_end_matches('/').to_owned(),
            ca_bundle: env::var("MAILROOM_CA_BUNDLE").ok().filter(|value| !value.is_empty()),
            allowed_hosts: env::var("MAILROOM_ALLOWED_HOSTS").unwrap_or_default(),
            secret_recovery_days: recovery(&env::var("MAILROOM_SECRET_RECOVERY_DAYS").unwrap_or_default())?,
        };
        if missing.is_empty() { Ok(config) } else { Err(ConfigError::Missing(missing)) }
    }
}

fn recovery(text: &str) -> Result<Recovery, ConfigError> {
    match text {
        "" => Ok(Recovery::Days(7)),
        "0" => Ok(Recovery::None),
        days => days
            .parse()
            .ok()
            .filter(|days| (7..=30).contains(days))
            .map(Recovery::Days)
            .ok_or(ConfigError::Recovery),
    }
}
