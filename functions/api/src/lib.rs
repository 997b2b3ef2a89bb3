//! The api function: the people who own mailboxes describe them, try them, and see how they are doing.
//!
//! 1. `request`: what API Gateway passes on, read without trusting any of it.
//! 2. `router`: from a method and a path to an operation, by the table that the OpenAPI document is made from.
//! 3. `profiles`, `making`, `changing`, `removing`: profiles, their secrets and schedules in step with each other.
//! 4. `flows`: flow schemas.
//! 5. `connection`: a try of settings against the real servers, changing nothing.
//! 6. `sign_in`, `page`: a person's consent to the use of a mailbox, and its end.
//! 7. `messages`: mail to be sent, and how it is doing.
//! 8. `problem`: the one place where an error becomes HTTP.
//!
//! Whatever a client sends, the answer is one of the document's. Whatever dies in between, nothing is left behind that
//! costs money or is polled without its owner seeing it. Deliberately absent: caches, sessions, and any knowledge of who
//! is asking, which API Gateway has settled before.

mod answer;
mod changing;
mod clock;
pub mod config;
mod connection;
mod flows;
mod hosts;
mod making;
mod messages;
mod page;
mod problem;
mod profiles;
mod removing;
mod request;
mod router;
mod sign_in;

use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::intervals::Intervals;
use mailroom_aws::objects::Objects;
use mailroom_aws::outbox::PollQueue;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::SendQueue;
use mailroom_mail::net::AllowedHosts;
use mailroom_mail::tls::Tls;
use mailroom_mail::{imap, smtp};
use mailroom_oauth2::discovery::Discovery;
use mailroom_oauth2::http::Http;
use mailroom_oauth2::tokens::Tokens;

pub use crate::answer::Answer;
use crate::config::{Config, Recovery};
pub use crate::request::UnknownEvent;

/// The function, with all that it uses.
pub struct Api {
    table: Table,
    secrets: Secrets,
    schedules: Intervals,
    polls: PollQueue,
    objects: Objects,
    send_queue: SendQueue,
    tokens: Tokens<GrantStore>,
    public_url: String,
    imap: imap::Connector,
    smtp: smtp::Connector,
    allowed: AllowedHosts,
    recovery: Recovery,
}

/// Why the function cannot start: its environment is wrong.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// See the source.
    #[error("MAILROOM_ALLOWED_HOSTS cannot be read")]
    AllowedHosts(#[source] mailroom_mail::net::AllowedHostsError),
    /// See the source.
    #[error("MAILROOM_CA_BUNDLE cannot be read")]
    CaBundle(#[source] mailroom_mail::tls::BundleError),
    /// See the source.
    #[error("the AWS client cannot be set up")]
    Aws(#[source] mailroom_aws::client::ConfigError),
}

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When the environment holds something unusable.
pub fn assemble(config: &Config) -> Result<Api, StartError> {
    let allowed = config.allowed_hosts.parse::<AllowedHosts>().map_err(StartError::AllowedHosts)?;
    let tls = Tls::from_bundle(config.ca_bundle.as_deref()).map_err(StartError::CaBundle)?;
    let clients = Clients::from_env().map_err(StartError::Aws)?;
    let schedules = ScheduleGroup::new(
        &clients,
        &config.schedule_group,
        &config.schedule_role_arn,
        &config.fetch_function_arn,
    );
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::CLOCK);
    Ok(Api {
        tokens: Tokens::new(discovery, grants),
        public_url: config.public_url.clone(),
        table: Table::new(&clients, &config.table),
        secrets: Secrets::new(&clients, &config.secret_prefix),
        schedules: Intervals::new(Table::new(&clients, &config.table), schedules, clock::now),
        polls: PollQueue::new(&clients, &config.poll_queue_url),
        objects: Objects::new(&clients, &config.bucket),
        send_queue: SendQueue::new(&clients, &config.send_queue_url),
        imap: imap::Connector::new(tls.clone(), allowed.clone()),
        smtp: smtp::Connector::new(tls, allowed.clone()),
        allowed,
        recovery: config.secret_recovery_days,
    })
}
