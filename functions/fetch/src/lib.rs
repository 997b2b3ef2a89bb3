//! The fetch function: every new mail of the listening profiles becomes a flow job.
//!
//! 1. [`event`](self): a schedule names an interval, or the poll queue names profiles.
//! 2. `planner`: the profiles that are due; few are polled here, many go to the poll queue in batches, spread over the
//!    interval.
//! 3. `poller`: one profile. Open its mailbox, decide with [`mailroom_core::poll`], and where there is new mail take the
//!    profile's lease and hand it over page by page while time remains. What comes of it is the profile's status.
//! 4. `page`: fetch, look into the ledger, store, parse, send, note in the ledger; only then does the cursor move.
//!
//! Each profile is a task with a deadline of its own; a panic ends that task only. What the tasks share is a budget of
//! bytes, so that memory is bounded by it and not by the mail. Deliberately absent: any cache of profiles between
//! invocations, and any change to a mailbox before the hand-over.

mod budget;
mod clock;
pub mod config;
mod event;
mod page;
mod planner;
mod poller;

use std::sync::Arc;

use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::intervals::Intervals;
use mailroom_aws::outbox::Outbox;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use mailroom_mail::imap::Connector;
use mailroom_mail::net::AllowedHosts;
use mailroom_mail::tls::Tls;
use mailroom_oauth2::discovery::Discovery;
use mailroom_oauth2::http::Http;
use mailroom_oauth2::tokens::Tokens;

use crate::config::Config;
pub use crate::event::UnknownEvent;
pub use crate::planner::Fetch;

/// The function as it is deployed.
pub type Deployed = Fetch<Table, GrantStore, Outbox, Intervals>;

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
pub fn assemble(config: &Config) -> Result<Deployed, StartError> {
    let allowed = config.allowed_hosts.parse::<AllowedHosts>().map_err(StartError::AllowedHosts)?;
    let tls = Tls::from_bundle(config.ca_bundle.as_deref()).map_err(StartError::CaBundle)?;
    let clients = Clients::from_env().map_err(StartError::Aws)?;
    let table = Table::new(&clients, &config.table);
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::CLOCK);
    let tokens = Tokens::new(discovery, grants);
    let outbox = Outbox::new(&clients, &config.bucket, &config.job_queue_url, &config.poll_queue_url);
    let schedules = ScheduleGroup::new(
        &clients,
        &config.schedule_group,
        &config.schedule_role_arn,
        &config.fetch_function_arn,
    );
    let schedules = Intervals::new(Table::new(&clients, &config.table), schedules, clock::now);
    let imap = Connector::new(tls, allowed);
    Ok(Fetch::new(Arc::new(poller::Poller::new(table, tokens, outbox, imap)), schedules))
}
