//! What the function works with, shared by the tasks of a batch.

use std::time::Duration;

use mailroom_core::outbound::ports::{Deliveries, Objects, SendQueues};
use mailroom_net::clock::Clock;

use crate::ports::{LoginSecrets, SentMailboxes, SmtpServers};
use crate::render::MessageStore;

/// The kinds of the services: AWS and real servers when deployed, fakes in unit tests.
pub(crate) trait Ports: 'static {
    type Table: Deliveries;
    type Objects: Objects;
    type Queues: SendQueues;
    type Tokens: LoginSecrets;
    type Smtp: SmtpServers;
    type Imap: SentMailboxes;
}

/// The services, kept while the function is warm.
pub(crate) struct Services<P: Ports> {
    pub(crate) table: P::Table,
    pub(crate) messages: MessageStore<P::Objects>,
    pub(crate) queues: P::Queues,
    pub(crate) tokens: P::Tokens,
    pub(crate) smtp: P::Smtp,
    pub(crate) imap: P::Imap,
    pub(crate) automatic_limit: u32,
    pub(crate) clock: Clock,
}

/// What the function tells the queue about a queue message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The queue message is deleted.
    Done,
    /// The queue delivers the message again after this time.
    Again(Duration),
    /// The queue delivers the message again after a while, because a service failed.
    Failed,
}
