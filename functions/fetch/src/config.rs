//! What the function reads from its environment, and nothing else of it is read anywhere.

use mailroom_lambda::env::Environment;
use mailroom_lambda::start::{NetworkConfig, StartError};

/// The function's environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`
    pub table: String,
    /// `MAILROOM_BUCKET`
    pub bucket: String,
    /// `MAILROOM_JOB_QUEUE_URL`
    pub job_queue_url: String,
    /// `MAILROOM_POLL_QUEUE_URL`
    pub poll_queue_url: String,
    /// `MAILROOM_SECRET_PREFIX`
    pub secret_prefix: String,
    /// `MAILROOM_SCHEDULE_GROUP`
    pub schedule_group: String,
    /// `MAILROOM_SCHEDULE_ROLE_ARN`
    pub schedule_role_arn: String,
    /// `MAILROOM_FETCH_FUNCTION_ARN`
    pub fetch_function_arn: String,
    /// `MAILROOM_CA_BUNDLE` and `MAILROOM_ALLOWED_HOSTS`
    pub network: NetworkConfig,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Names everything that is missing, at once.
    pub fn from_env() -> Result<Self, StartError> {
        let mut environment = Environment::of_process();
        let config = Self {
            table: environment.required("MAILROOM_TABLE"),
            bucket: environment.required("MAILROOM_BUCKET"),
            job_queue_url: environment.required("MAILROOM_JOB_QUEUE_URL"),
            poll_queue_url: environment.required("MAILROOM_POLL_QUEUE_URL"),
            secret_prefix: environment.required("MAILROOM_SECRET_PREFIX"),
            schedule_group: environment.required("MAILROOM_SCHEDULE_GROUP"),
            schedule_role_arn: environment.required("MAILROOM_SCHEDULE_ROLE_ARN"),
            fetch_function_arn: environment.required("MAILROOM_FETCH_FUNCTION_ARN"),
            network: NetworkConfig::from_env(&environment),
        };
        Ok(environment.finish(config)?)
    }
}
