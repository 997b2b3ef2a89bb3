//! The send function: outbound messages go out through their profiles' SMTP servers, each once.
//!
//! 1. `event`: a batch of the send queue, each message read on its own.
//! 2. `office`: the batch by profiles, a task for each; what becomes of each queue message: done, again later, or the
//!    dead-letter queue.
//! 3. `round`: one profile's messages. Each is driven by [`mailroom_core::delivery`] as far as it goes now: sent, looked
//!    for, told, or put off.
//! 4. `line`: the profile's one session with its SMTP server, and what stands of it.
//! 5. `parcel`: a stored message made into a mail.
//! 6. `filing`: the folder for sent mail, where copies go and messages in doubt are looked for.
//!
//! What is stored of a message is written before and after each step that cannot be taken back, so that a death at any
//! point is found by the next run. Deliberately absent: any try of a message that a server may have.

mod clock;
pub mod config;
mod event;
mod filing;
mod line;
mod office;
mod parcel;
mod round;

use std::sync::Arc;

use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::objects::Objects;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::SendQueue;
use mailroom_mail::net::AllowedHosts;
use mailroom_mail::tls::Tls;
use mailroom_mail::{imap, smtp};
use mailroom_oauth2::discovery::Discovery;
use mailroom_oauth2::http::Http;
use mailroom_oauth2::tokens::Tokens;

use crate::config::Config;
pub use crate::event::UnknownEvent;
pub use crate::office::Send;
use crate::office::{Office, Queues};
use crate::parcel::Store;

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
pub fn assemble(config: &Config) -> Result<Send, StartError> {
    let allowed = config.allowed_hosts.parse::<AllowedHosts>().map_err(StartError::AllowedHosts)?;
    let tls = Tls::from_bundle(config.ca_bundle.as_deref()).map_err(StartError::CaBundle)?;
    let clients = Clients::from_env().map_err(StartError::Aws)?;
    let grants =
        GrantStore::new(Table::new(&clients, &config.table), Secrets::new(&clients, &config.secret_prefix));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::CLOCK);
    Ok(Send::new(Arc::new(Office {
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
