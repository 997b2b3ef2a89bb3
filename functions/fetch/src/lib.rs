//! The fetch function: every new mail of the listening profiles becomes a flow job.
//!
//! 1. [`event`](self): a schedule names an interval, or the poll queue names profiles.
//! 2. `planner`: the profiles that are due; few are polled here, many go to the poll queue in batches, spread over the
//!    interval.
//! 3. `poller`: one profile. Open its mailbox, decide with [`mailroom_core::inbound::poll`], and where there is new mail take the
//!    profile's lease and hand it over page by page while time remains. What comes of it is the profile's status.
//! 4. `page`: fetch, look into the ledger, store, parse, send, note in the ledger; only then does the cursor move.
//!
//! Each profile is a task with a deadline of its own; a panic ends that task only. What the tasks share is a budget of
//! bytes, so that memory is bounded by it and not by the mail. Deliberately absent: any cache of profiles between
//! invocations, and any change to a mailbox before the hand-over.

pub mod config;
mod event;
mod handler;
mod page;
mod poller;

use std::sync::Arc;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::handover::HandoverQueue;
use mailroom_aws::intervals::Intervals;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use mailroom_lambda::clock;
use mailroom_lambda::start::{Network, StartError};
use mailroom_mail::imap::Connector;

use crate::config::Config;
pub use crate::event::UnknownEvent;
pub use crate::handler::Fetch;

/// The function as it is deployed.
pub type Deployed = Fetch<Table, GrantStore, HandoverQueue, Intervals>;

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When the environment holds something unusable.
pub fn assemble(config: &Config) -> Result<Deployed, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let table = Table::new(&clients, &config.table);
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
    let tokens = Tokens::new(discovery, grants);
    let outbox = HandoverQueue::new(&clients, &config.bucket, &config.job_queue_url, &config.poll_queue_url);
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
