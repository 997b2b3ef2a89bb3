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

pub mod config;
mod flow_schemas;
mod http;
mod messages;
mod profiles;
mod router;
mod sign_in;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::handover::PollQueue;
use mailroom_aws::intervals::Intervals;
use mailroom_aws::objects::Objects;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::SendQueue;
use mailroom_lambda::clock;
use mailroom_lambda::start::{Network, StartError};
use mailroom_mail::{imap, smtp};
use mailroom_net::connect::AllowedHosts;

use crate::config::{Config, SecretRecovery};
pub use crate::http::request::UnknownEvent;
pub use crate::http::response::Answer;

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
    recovery: SecretRecovery,
}

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When the environment holds something unusable.
pub fn assemble(config: &Config) -> Result<Api, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let schedules = ScheduleGroup::new(
        &clients,
        &config.schedule_group,
        &config.schedule_role_arn,
        &config.fetch_function_arn,
    );
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
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
        recovery: config.secret_recovery,
    })
}
