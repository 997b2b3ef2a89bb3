//! The fetch function: every new message of the listening profiles becomes a flow job.
//!
//! 1. `event`: a schedule names an interval, or the poll queue names profiles.
//! 2. `handler`: the profiles that are due. Few are polled here; many go to the poll queue in batches, spread over the
//!    interval.
//! 3. `poller`: one profile. It does the steps that [`mailroom_core::inbound::poll`] decides on: open the mailbox, and
//!    where there are new messages take the profile's lease, hand them over page by page while time remains, and record
//!    the outcome in the profile's status.
//! 4. `page`: fetch a page of messages, store them, make their jobs. The jobs are sent and noted in the ledger, and only
//!    then does the cursor move.
//! 5. `correspondence`: which conversation each message is part of.
//! 6. `failure`: what the errors of servers mean for a poll.
//!
//! Each profile is a task with a deadline of its own; a panic ends that task only. The tasks share a budget of bytes, so
//! that memory is bounded by it and not by the messages. Deliberately absent: any cache of profiles between invocations,
//! any change to a mailbox before the hand-over, and any clock but the one that the function is given.

pub mod config;
mod correspondence;
mod event;
mod failure;
mod handler;
mod page;
mod poller;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::handover::{HandoverQueue, QueueUrls};
use mailroom_aws::intervals::Intervals;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use mailroom_lambda::clock;
use mailroom_lambda::metrics::Metrics;
use mailroom_lambda::start::{Network, StartError};
use mailroom_mail::imap::Connector;

use crate::config::Config;
pub use crate::event::UnknownEvent;
pub use crate::handler::{Fetch, FetchError};
pub use crate::poller::Mailboxes;

/// The function as it is deployed.
pub type Deployed = Fetch<Table, GrantStore, HandoverQueue, Intervals, Connector>;

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When the environment holds something that cannot be used.
pub fn assemble(config: &Config) -> Result<Deployed, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let table = Table::new(&clients, &config.table);
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
    let tokens = Tokens::new(discovery, grants);
    let queues =
        QueueUrls { job: &config.job_queue_url, poll: &config.poll_queue_url, send: &config.send_queue_url };
    let handover = HandoverQueue::new(&clients, &config.bucket, queues);
    let schedules = ScheduleGroup::new(
        &clients,
        &config.schedule_group,
        &config.schedule_role_arn,
        &config.fetch_function_arn,
    );
    let schedules = Intervals::new(Table::new(&clients, &config.table), schedules, clock::now);
    let imap = Connector::new(tls, allowed);
    let metrics = Metrics::new(config.metric_namespace.clone());
    Ok(Fetch::new(table, tokens, handover, schedules, imap, clock::SYSTEM).reporting(metrics))
}
