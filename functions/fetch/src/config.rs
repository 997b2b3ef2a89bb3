//! The function's settings: the only place that reads its environment.

use mailroom_lambda::env::Environment;
use mailroom_lambda::start::{NetworkConfig, StartError};

/// The function's settings, one for each variable of its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`: the name of the DynamoDB table.
    pub table: String,
    /// `MAILROOM_BUCKET`: the name of the bucket for messages and attachments.
    pub bucket: String,
    /// `MAILROOM_JOB_QUEUE_URL`: the queue that jobs go to, unless their flow schema names another.
    pub job_queue_url: String,
    /// `MAILROOM_POLL_QUEUE_URL`: the queue of requests to poll.
    pub poll_queue_url: String,
    /// `MAILROOM_SEND_QUEUE_URL`: the queue of the send function, which is told of messages that bounced.
    pub send_queue_url: String,
    /// `MAILROOM_SECRET_PREFIX`: what the names of secrets begin with.
    pub secret_prefix: String,
    /// `MAILROOM_SCHEDULE_GROUP`: the group that holds the schedules.
    pub schedule_group: String,
    /// `MAILROOM_SCHEDULE_ROLE_ARN`: the role that schedules assume to start fetch.
    pub schedule_role_arn: String,
    /// `MAILROOM_FETCH_FUNCTION_ARN`: the function that schedules start.
    pub fetch_function_arn: String,
    /// `MAILROOM_METRIC_NAMESPACE`: the namespace of its metrics in CloudWatch. Optional: it writes none.
    pub metric_namespace: Option<String>,
    /// `MAILROOM_CA_BUNDLE` and `MAILROOM_ALLOWED_HOSTS`: what is trusted, and what may be connected to.
    pub network: NetworkConfig,
}

impl Config {
    /// Reads the variables.
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
            send_queue_url: environment.required("MAILROOM_SEND_QUEUE_URL"),
            secret_prefix: environment.required("MAILROOM_SECRET_PREFIX"),
            schedule_group: environment.required("MAILROOM_SCHEDULE_GROUP"),
            schedule_role_arn: environment.required("MAILROOM_SCHEDULE_ROLE_ARN"),
            fetch_function_arn: environment.required("MAILROOM_FETCH_FUNCTION_ARN"),
            metric_namespace: environment.optional("MAILROOM_METRIC_NAMESPACE"),
            network: NetworkConfig::from_env(&environment),
        };
        Ok(environment.finish(config)?)
    }
}
