//! The folder for sent mail: copies go there, and messages in doubt are looked for there.

use std::time::Duration;

use mailroom_core::outbound::delivery::{Copied, Delivery, Place};
use mailroom_core::outbound::message::SaveToSent;
use mailroom_core::ports::PortError;
use mailroom_core::profile::Profile;
use mailroom_core::provider::files_own_sent_copy;
use mailroom_mail::imap::{self, ImapError};
use mailroom_net::login::Login;
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::handler::Services;
use mailroom_lambda::clock;

/// How long the folder of one profile may take in a batch: the copies wait, other mail does not.
const FILING_TIME: Duration = Duration::from_secs(40);

/// The folder, as far as it is open.
pub(crate) struct SentMailbox {
    state: State,
}

enum State {
    /// Not looked for yet.
    Closed,
    /// Open.
    Open(Box<imap::SentMailbox>),
    /// There is none.
    Nowhere,
    /// It cannot be had in this batch.
    Down,
}

/// What was seen when a message was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It is there.
    There,
    /// It is not.
    NotThere(Place),
    /// The folder cannot be read now.
    Unknown,
}

impl SentMailbox {
    pub(crate) const fn new() -> Self {
        Self { state: State::Closed }
    }

    /// Looks for a message.
    pub(crate) async fn look(
        &mut self,
        services: &Services,
        profile: &Profile,
        delivery: &Delivery,
        end: Instant,
    ) -> Result<Sight, PortError> {
        self.open(services, profile, end).await?;
        let folder = match &mut self.state {
            State::Open(folder) => folder,
            State::Nowhere => return Ok(Sight::NotThere(Place::Nowhere)),
            State::Closed | State::Down => return Ok(Sight::Unknown),
        };
        folder.set_deadline(until(end));
        match folder.holds(&delivery.message_id.to_string()).await {
            Ok(true) => Ok(Sight::There),
            Ok(false) => Ok(Sight::NotThere(Place::Folder)),
            Err(error) => {
                self.failed(profile, &error);
                Ok(Sight::Unknown)
            }
        }
    }

    /// Files a copy, unless the message is there already.
    pub(crate) async fn file(
        &mut self,
        services: &Services,
        profile: &Profile,
        delivery: &Delivery,
        raw: &[u8],
        at: OffsetDateTime,
        end: Instant,
    ) -> Result<Copied, PortError> {
        match self.look(services, profile, delivery, end).await? {
            Sight::There | Sight::NotThere(Place::Nowhere) => return Ok(Copied::NotNeeded),
            Sight::Unknown => return Ok(Copied::Failed),
            Sight::NotThere(Place::Folder) => {}
        }
        let State::Open(folder) = &mut self.state else { return Ok(Copied::Failed) };
        folder.set_deadline(until(end));
        match folder.file(raw, at).await {
            Ok(()) => Ok(Copied::Filed),
            Err(error) => {
                self.failed(profile, &error);
                Ok(Copied::Failed)
            }
        }
    }

    async fn open(&mut self, services: &Services, profile: &Profile, end: Instant) -> Result<(), PortError> {
        let State::Closed = self.state else { return Ok(()) };
        let Some(server) = &profile.imap else {
            self.state = State::Nowhere;
            return Ok(());
        };
        self.state = State::Down;
        let access = match services.tokens.login_secret(profile, until(end)).await {
            Ok(access) => access,
            Err(error) => {
                let trouble = error.into_owner_error()?;
                warn!(profile.id = %profile.id, "the folder for sent mail cannot be used: {trouble}");
                return Ok(());
            }
        };
        let login = Login { login: profile.auth.login(), secret: &access };
        match services.imap.open_sent(server, login, until(end)).await {
            Ok(Some(folder)) => self.state = State::Open(Box::new(folder)),
            Ok(None) => {
                info!(profile.id = %profile.id, "the mailbox has no folder for sent mail");
                self.state = State::Nowhere;
            }
            Err(error) => self.failed(profile, &error),
        }
        Ok(())
    }

    fn failed(&mut self, profile: &Profile, error: &ImapError) {
        self.state = State::Down;
        if let Some(server) = &profile.imap {
            warn!(profile.id = %profile.id, "the folder for sent mail cannot be used: {}", error.owner_error(server));
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        if let State::Open(folder) = self.state {
            folder.logout().await;
        }
    }
}

/// Whether a copy is ours to file.
pub(crate) fn is_ours(wanted: SaveToSent, profile: &Profile) -> bool {
    match wanted {
        SaveToSent::Always => true,
        SaveToSent::Never => false,
        SaveToSent::Auto => !profile.smtp.as_ref().is_some_and(|server| files_own_sent_copy(&server.host)),
    }
}

fn until(end: Instant) -> Instant {
    end.min(clock::instant() + FILING_TIME)
}
