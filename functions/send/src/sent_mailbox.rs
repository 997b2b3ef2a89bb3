//! The sent mailbox: copies are filed there, and uncertain messages are searched for there.

use std::time::Duration;

use mailroom_core::known_provider::files_own_sent_copy;
use mailroom_core::outbound::delivery::{Delivery, Filing, SentSearch};
use mailroom_core::outbound::message::SaveToSent;
use mailroom_core::owner_error::OwnerError;
use mailroom_core::ports::PortError;
use mailroom_core::profile::Profile;
use mailroom_net::clock::Clock;
use mailroom_net::login::Login;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::ports::{Failure, LoginSecrets as _, SentMailboxSession, SentMailboxes};
use crate::services::{Ports, Services};

/// The longest time for one operation in a sent mailbox: copies can wait, other messages cannot.
const OPERATION_TIME: Duration = Duration::from_secs(40);

/// The sent mailbox, if it is open.
pub(crate) struct SentMailbox<M> {
    state: State<M>,
}

enum State<M> {
    /// The mailbox was not opened yet.
    Closed,
    /// The mailbox is open.
    Open(Box<M>),
    /// The profile has no sent mailbox.
    Absent,
    /// The mailbox cannot be used for the rest of the batch.
    Down,
}

impl<M: SentMailboxSession> SentMailbox<M> {
    pub(crate) const fn new() -> Self {
        Self { state: State::Closed }
    }

    /// Searches for a message by its Message-ID.
    pub(crate) async fn search<P: Ports>(
        &mut self,
        services: &Services<P>,
        profile: &Profile,
        delivery: &Delivery,
        end: Instant,
    ) -> Result<SentSearch, PortError>
    where
        P::Imap: SentMailboxes<Mailbox = M>,
    {
        self.open(services, profile, end).await?;
        let mailbox = match &mut self.state {
            State::Open(mailbox) => mailbox,
            State::Absent => return Ok(SentSearch::NoSentMailbox),
            State::Closed | State::Down => return Ok(SentSearch::Unavailable),
        };
        match mailbox.holds(&delivery.message_id.to_string(), deadline(services.clock, end)).await {
            Ok(true) => Ok(SentSearch::Found),
            Ok(false) => Ok(SentSearch::NotFound),
            Err(error) => {
                self.failed(profile, &error);
                Ok(SentSearch::Unavailable)
            }
        }
    }

    /// Files a copy, unless the mailbox holds the message already.
    pub(crate) async fn file<P: Ports>(
        &mut self,
        services: &Services<P>,
        profile: &Profile,
        delivery: &Delivery,
        raw: &[u8],
        end: Instant,
    ) -> Result<Filing, PortError>
    where
        P::Imap: SentMailboxes<Mailbox = M>,
    {
        match self.search(services, profile, delivery, end).await? {
            SentSearch::Found => return Ok(Filing::NotNeeded),
            SentSearch::NoSentMailbox => return Ok(Filing::NoSentMailbox),
            SentSearch::Unavailable => return Ok(Filing::Failed),
            SentSearch::NotFound => {}
        }
        let State::Open(mailbox) = &mut self.state else { return Ok(Filing::Failed) };
        let sent_at = delivery.sent_at.unwrap_or_else(|| services.clock.now());
        match mailbox.file(raw, sent_at, deadline(services.clock, end)).await {
            Ok(()) => Ok(Filing::Filed),
            Err(error) => {
                self.failed(profile, &error);
                Ok(Filing::Failed)
            }
        }
    }

    async fn open<P: Ports>(
        &mut self,
        services: &Services<P>,
        profile: &Profile,
        end: Instant,
    ) -> Result<(), PortError>
    where
        P::Imap: SentMailboxes<Mailbox = M>,
    {
        let State::Closed = self.state else { return Ok(()) };
        let Some(server) = &profile.settings.imap else {
            self.state = State::Absent;
            return Ok(());
        };
        self.state = State::Down;
        let deadline = deadline(services.clock, end);
        let secret = match services.tokens.login_secret(profile, deadline).await {
            Ok(secret) => secret,
            Err(Failure::Owner(error)) => {
                self.failed(profile, &error);
                return Ok(());
            }
            Err(Failure::Port(error)) => return Err(error),
        };
        let login = Login { login: profile.settings.auth.login(), secret: &secret };
        match services.imap.open(server, login, deadline).await {
            Ok(Some(mailbox)) => self.state = State::Open(Box::new(mailbox)),
            Ok(None) => {
                info!(profile.id = %profile.id, "the account has no sent mailbox");
                self.state = State::Absent;
            }
            Err(error) => self.failed(profile, &error),
        }
        Ok(())
    }

    fn failed(&mut self, profile: &Profile, error: &OwnerError) {
        self.state = State::Down;
        warn!(profile.id = %profile.id, "the sent mailbox cannot be used: {error}");
    }

    /// Ends the session.
    pub(crate) async fn close(self) {
        if let State::Open(mailbox) = self.state {
            mailbox.logout().await;
        }
    }
}

/// Whether Mailroom files the copy.
pub(crate) fn is_copy_wanted(save_to_sent: SaveToSent, profile: &Profile) -> bool {
    match save_to_sent {
        SaveToSent::Always => true,
        SaveToSent::Never => false,
        SaveToSent::Auto => {
            !profile.settings.smtp.as_ref().is_some_and(|server| files_own_sent_copy(&server.host))
        }
    }
}

fn deadline(clock: Clock, end: Instant) -> Instant {
    end.min(clock.instant() + OPERATION_TIME)
}
