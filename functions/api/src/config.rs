//! The function's settings: the only place that reads its environment.

use mailroom_auth::sign_in::person::Registration;
use mailroom_lambda::env::Environment;
use mailroom_lambda::start::{NetworkConfig, StartError};
use mailroom_mail::smtp::EhloName;

use crate::access::{Access, RequiredClaim, Scopes};
use crate::console::Availability;
use crate::job_queues::JobQueues;

/// What the console asks a provider for, unless it is told otherwise: who a person is.
const CONSOLE_SCOPES: &str = "openid email profile";

/// The function's settings, one for each variable of its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `MAILROOM_TABLE`: the name of the DynamoDB table.
    pub table: String,
    /// `MAILROOM_BUCKET`: the name of the bucket for messages and attachments.
    pub bucket: String,
    /// `MAILROOM_POLL_QUEUE_URL`: the queue of requests to poll.
    pub poll_queue_url: String,
    /// `MAILROOM_SEND_QUEUE_URL`: the queue of messages to send.
    pub send_queue_url: String,
    /// `MAILROOM_SECRET_PREFIX`: what the names of secrets begin with.
    pub secret_prefix: String,
    /// `MAILROOM_SCHEDULE_GROUP`: the group that holds the schedules.
    pub schedule_group: String,
    /// `MAILROOM_SCHEDULE_ROLE_ARN`: the role that schedules assume to start fetch.
    pub schedule_role_arn: String,
    /// `MAILROOM_FETCH_FUNCTION_ARN`: the function that schedules start.
    pub fetch_function_arn: String,
    /// `MAILROOM_PUBLIC_URL`: where people's browsers reach the API, without a slash at its end.
    pub public_url: String,
    /// `MAILROOM_SECRET_RECOVERY_DAYS`: 7 to 30, or 0. Optional: 7.
    pub secret_recovery: SecretRecovery,
    /// `MAILROOM_JOB_QUEUE_ARNS`: the queues that jobs can be put on, with commas. Optional: any queue.
    pub job_queues: JobQueues,
    /// `MAILROOM_API_SCOPES` (to read, to write, to send, with commas) and `MAILROOM_API_CLAIM` (`name=value`). Optional:
    /// every caller whom API Gateway lets in may do everything.
    pub access: Access,
    /// `MAILROOM_CONSOLE`: `open` serves the console to everybody, as the API is. `MAILROOM_CONSOLE_ISSUER`,
    /// `MAILROOM_CONSOLE_CLIENT_ID` and `MAILROOM_CONSOLE_SCOPES` (with blanks): it asks people to sign in. Optional: the
    /// console answers 404.
    pub console: Availability,
    /// `MAILROOM_EHLO_NAME`: the host name that SMTP servers are told. Optional: the sender's domain.
    pub ehlo_name: Option<EhloName>,
    /// `MAILROOM_CA_BUNDLE` and `MAILROOM_ALLOWED_HOSTS`: what is trusted, and what may be connected to.
    pub network: NetworkConfig,
}

/// Whether the secret of a deleted profile can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRecovery {
    /// The secret is deleted at once.
    None,
    /// The secret can be restored for this many days.
    Days(i64),
}

impl Config {
    /// Reads the variables.
    ///
    /// # Errors
    /// Names everything that is missing or wrong, at once.
    pub fn from_env() -> Result<Self, StartError> {
        let mut environment = Environment::of_process();
        let public_url = environment.required("MAILROOM_PUBLIC_URL").trim_end_matches('/').to_owned();
        let config = Self {
            console: console(&mut environment, &public_url),
            public_url,
            table: environment.required("MAILROOM_TABLE"),
            bucket: environment.required("MAILROOM_BUCKET"),
            poll_queue_url: environment.required("MAILROOM_POLL_QUEUE_URL"),
            send_queue_url: environment.required("MAILROOM_SEND_QUEUE_URL"),
            secret_prefix: environment.required("MAILROOM_SECRET_PREFIX"),
            schedule_group: environment.required("MAILROOM_SCHEDULE_GROUP"),
            schedule_role_arn: environment.required("MAILROOM_SCHEDULE_ROLE_ARN"),
            fetch_function_arn: environment.required("MAILROOM_FETCH_FUNCTION_ARN"),
            secret_recovery: environment
                .parsed("MAILROOM_SECRET_RECOVERY_DAYS", secret_recovery)
                .unwrap_or(SecretRecovery::Days(7)),
            job_queues: environment
                .parsed("MAILROOM_JOB_QUEUE_ARNS", JobQueues::parse)
                .unwrap_or_else(JobQueues::any),
            access: Access {
                scopes: environment.parsed("MAILROOM_API_SCOPES", Scopes::parse),
                claim: environment.parsed("MAILROOM_API_CLAIM", RequiredClaim::parse),
            },
            ehlo_name: environment.parsed("MAILROOM_EHLO_NAME", EhloName::parse),
            network: NetworkConfig::from_env(&environment),
        };
        Ok(environment.finish(config)?)
    }
}

/// Who may use the console. Sign-ins go before an open console.
fn console(environment: &mut Environment, public_url: &str) -> Availability {
    let open = environment.parsed("MAILROOM_CONSOLE", Availability::parse).unwrap_or(Availability::Off);
    let issuer = environment.parsed("MAILROOM_CONSOLE_ISSUER", |issuer| {
        // The cookies of sessions are for https alone.
        if !public_url.starts_with("https://") {
            return Err("needs a MAILROOM_PUBLIC_URL that begins with https://");
        }
        if issuer.starts_with("https://") { Ok(issuer.to_owned()) } else { Err("must begin with https://") }
    });
    let Some(issuer) = issuer else { return open };
    let client_id = environment.required("MAILROOM_CONSOLE_CLIENT_ID");
    let scopes = environment.optional("MAILROOM_CONSOLE_SCOPES");
    let scopes = scopes.as_deref().unwrap_or(CONSOLE_SCOPES).split_ascii_whitespace().collect::<Vec<_>>();
    Availability::SignIn(Registration::new(&issuer, &client_id, &scopes))
}

fn secret_recovery(text: &str) -> Result<SecretRecovery, &'static str> {
    match text.parse() {
        Ok(0) => Ok(SecretRecovery::None),
        Ok(days) if (7..=30).contains(&days) => Ok(SecretRecovery::Days(days)),
        Ok(_) | Err(_) => Err("must be 0, or 7 to 30"),
    }
}
