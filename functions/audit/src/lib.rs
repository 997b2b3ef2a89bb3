//! The audit function: whether every message that should have become a job has become one, checked by another
//! implementation than the one that polls.
//!
//! 1. `event`: the hourly schedule, the audit queue, or a person who asks for one profile.
//! 2. `handler`: each profile has an hour of the day; those of this hour go to the queue, which few runs read at once: so
//!    many sessions there are with a provider, at most.
//! 3. `auditor`: one profile. It reads the profile, then its ledger, then the mailbox, and stores the result in the
//!    profile's status.
//! 4. `session`: the mailbox, over async-imap. `guard` lies below it and bounds what a server can send; `encode` is what
//!    goes into commands; `error` why a mailbox could not be read.
//! 5. `compare`: which messages should have become jobs, which of them the ledger has, and what excuses the others. Pure.
//! 6. `repair`: missing messages are put on the list of those that polls try again, where the deployment wants it.
//!
//! A doubtful answer ends as *inconclusive*, never as *fine*. What proves that a job was sent is the ledger alone: a message
//! that is not in it is missing, and is handed over again under the same job id.
//!
//! Deliberately absent: the crate that polls speak IMAP with, and the rules by which they choose messages; any change to a
//! mailbox; any job made here.

mod auditor;
mod compare;
pub mod config;
mod encode;
mod error;
mod event;
mod guard;
mod handler;
mod repair;
mod session;

use std::sync::Arc;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::SendQueue;
use mailroom_lambda::clock;
use mailroom_lambda::metrics::Metrics;
use mailroom_lambda::start::{Network, StartError};

use crate::auditor::Auditor;
use crate::config::{Config, OnMissing};
pub use crate::event::UnknownEvent;
pub use crate::handler::{Audit, AuditError};
use crate::repair::Repair;

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When a setting of the environment cannot be used.
pub fn assemble(config: &Config) -> Result<Audit, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
    let auditor = Auditor {
        table: Table::new(&clients, &config.table),
        tokens: Tokens::new(discovery, grants),
        tls,
        allowed,
        repair: match config.repair {
            OnMissing::Report => None,
            OnMissing::Repair => Some(Repair::new(SendQueue::new(&clients, &config.poll_queue_url))),
        },
        clock: clock::SYSTEM,
    };
    Ok(Audit {
        auditor: Arc::new(auditor),
        queue: SendQueue::new(&clients, &config.audit_queue_url),
        metrics: Metrics::new(config.metric_namespace.clone()),
    })
}
