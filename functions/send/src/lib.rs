//! The send function: outbound messages go out through their profiles' SMTP servers, each once.
//!
//! 1. `event`: a batch of the send queue, each message read on its own.
//! 2. `services`: the batch by profiles, a task for each; what becomes of each queue message: done, again later, or the
//!    dead-letter queue.
//! 3. `round`: one profile's messages. Each is driven by [`mailroom_core::outbound::delivery`] as far as it goes now: sent, looked
//!    for, told, or put off.
//! 4. `line`: the profile's one session with its SMTP server, and what stands of it.
//! 5. `rendered`: a stored message made into a mail.
//! 6. `filing`: the folder for sent mail, where copies go and messages in doubt are looked for.
//!
//! What is stored of a message is written before and after each step that cannot be taken back, so that a death at any
//! point is found by the next run. Deliberately absent: any try of a message that a server may have.

pub mod config;
mod event;
mod handler;
mod render;
mod sender;
mod sent_mailbox;
mod smtp_session;

use std::sync::Arc;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::objects::Objects;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::SendQueue;
use mailroom_lambda::clock;
use mailroom_lambda::start::{Network, StartError};
use mailroom_mail::{imap, smtp};

use crate::config::Config;
pub use crate::handler::Send;
use crate::handler::{Queues, Services};
use crate::render::Store;

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When the environment holds something unusable.
pub fn assemble(config: &Config) -> Result<Send, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
    Ok(Send::new(Arc::new(Services {
        table: Table::new(&clients, &config.table),
        tokens: Tokens::new(discovery, grants),
        store: Store::new(Objects::new(&clients, &config.bucket)),
        queues: Queues {
            send: SendQueue::new(&clients, &config.send_queue_url),
            dead_letters: config.dead_letter_queue_url.clone(),
            outcomes: config.outcome_queue_url.clone(),
        },
        smtp: smtp::Connector::new(tls.clone(), allowed.clone()),
        imap: imap::Connector::new(tls, allowed),
        automatic_limit: config.automatic_limit,
    })))
}
