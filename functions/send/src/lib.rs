//! The send function: outbound messages go out through their profiles' SMTP servers, each once.
//!
//! 1. `event`: one queue message of the send queue, read on its own.
//! 2. `handler`: the batch by profiles, a task for each, and what the queue is told about each queue message.
//! 3. `sender`: one profile's messages. [`mailroom_core::outbound::delivery`] says what is next for a message; the sender
//!    does it until nothing is left to do now.
//! 4. `session_slot`, `smtp_session`: the right to one of the profile's few sessions with its SMTP server, the session, and
//!    the health of the profile's sending.
//! 5. `render`: from a stored message to the bytes of an email.
//! 6. `conversation`: which conversation a message goes out in, and under which Message-IDs answers may name it.
//! 7. `sent_mailbox`: where copies are filed and uncertain messages are searched for.
//! 8. `services`, `ports`, `servers`: what all of these work with, and the real servers behind it. `streams`: the same
//!    over services and streams of the caller's.
//!
//! A delivery is stored before and after each step that cannot be taken back, so that the next run finds a crash at any
//! point. Deliberately absent: another attempt of a message that a server may have.

pub mod config;
mod conversation;
mod event;
mod handler;
mod ports;
mod render;
mod sender;
mod sent_mailbox;
mod servers;
mod services;
mod session_slot;
mod smtp_session;
mod streams;

#[cfg(test)]
mod fakes;

use std::sync::Arc;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::objects::Objects;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::Queues;
use mailroom_lambda::clock;
use mailroom_lambda::start::{Handler, Network, StartError};
use mailroom_mail::{imap, smtp};

use crate::config::Config;
use crate::handler::SendHandler;
use crate::render::MessageStore;
use crate::services::{Ports, Services};
pub use crate::streams::{Streams, over_streams};

/// The services of the deployed function.
struct Deployed;

impl Ports for Deployed {
    type Table = Table;
    type Objects = Objects;
    type Queues = Queues;
    type Tokens = Tokens<GrantStore>;
    type Smtp = smtp::Connector;
    type Imap = imap::Connector;
}

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When a setting of the environment cannot be used.
pub fn assemble(config: &Config) -> Result<impl Handler + use<>, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
    Ok(SendHandler::<Deployed>::new(Arc::new(Services {
        table: Table::new(&clients, &config.table),
        tokens: Tokens::new(discovery, grants),
        messages: MessageStore::new(Objects::new(&clients, &config.bucket)),
        queues: Queues::new(
            &clients,
            &config.send_queue_url,
            &config.dead_letter_queue_url,
            config.outcome_queue_url.as_deref(),
        ),
        smtp: smtp::Connector::new(tls.clone(), allowed.clone()).introduced_as(config.ehlo_name.clone()),
        imap: imap::Connector::new(tls, allowed),
        automatic_limit: config.automatic_limit,
        clock: clock::SYSTEM,
    })))
}
