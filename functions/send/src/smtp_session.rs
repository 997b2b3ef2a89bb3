//! A profile's session with its SMTP server: one for all messages of the batch, opened when the first needs it.

use mailroom_core::error_chain::Chain;
use mailroom_core::health::{SendingChange, after_message_taken, after_smtp_open};
use mailroom_core::outbound::ports::Deliveries as _;
use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::PortError;
use mailroom_core::profile::Profile;
use mailroom_net::login::{Login, Secret};
use tokio::time::Instant;
use tracing::warn;

use crate::ports::{Failure, LoginSecrets as _, OpenError, SmtpServers, SmtpTransport};
use crate::services::{Ports, Services};

/// The most sessions for one batch: a server that breaks each one after a message is not contacted without end.
const MAX_SESSIONS: u32 = 3;

/// The session, if one is open.
pub(crate) struct SmtpSession<T> {
    state: State<T>,
    opened: u32,
}

enum State<T> {
    /// No session is open, and one may be opened.
    Closed,
    /// A session is open.
    Open(Box<T>),
    /// No session is opened for the rest of the batch, for this reason.
    Down(OwnerError),
}

impl<T: SmtpTransport> SmtpSession<T> {
    pub(crate) const fn new() -> Self {
        Self { state: State::Closed, opened: 0 }
    }

    /// The session, opened if necessary. Opening it decides the health of the profile's sending, which is stored.
    pub(crate) async fn open<P: Ports>(
        &mut self,
        services: &Services<P>,
        profile: &mut Profile,
        end: Instant,
    ) -> Result<&mut T, Failure>
    where
        P::Smtp: SmtpServers<Transport = T>,
    {
        if let State::Open(session) = &self.state
            && session.is_spent()
        {
            self.state = State::Closed;
        }
        if let State::Closed = self.state {
            self.opened += 1;
            let opened = match open(services, profile, end).await {
                Ok(session) => Ok(session),
                Err(Failure::Owner(error)) => Err(error),
                Err(Failure::Port(error)) => return Err(Failure::Port(error)),
            };
            record(services, profile, opened.as_ref().map(drop)).await;
            self.state = match opened {
                Ok(session) => State::Open(Box::new(session)),
                Err(error) => State::Down(error),
            };
        }
        match &mut self.state {
            State::Open(session) => Ok(session),
            State::Down(error) => Err(Failure::Owner(error.clone())),
            // Set above.
            State::Closed => Err(Failure::Owner(OwnerError::new(ErrorCode::Internal, "No session is open."))),
        }
    }

    /// The session broke. Another may be opened only after a lost connection, and at most [`MAX_SESSIONS`].
    pub(crate) fn broke(&mut self, error: &OwnerError) {
        let down = self.opened >= MAX_SESSIONS || error.code != ErrorCode::SmtpConnect;
        self.state = if down { State::Down(error.clone()) } else { State::Closed };
    }

    /// Ends the session.
    pub(crate) async fn close(self) {
        if let State::Open(session) = self.state {
            session.quit().await;
        }
    }
}

async fn open<P: Ports>(
    services: &Services<P>,
    profile: &Profile,
    end: Instant,
) -> Result<<P::Smtp as SmtpServers>::Transport, Failure> {
    let Some(server) = &profile.settings.smtp else {
        let message = "The profile names no SMTP server: add smtp_host to it.";
        return Err(Failure::Owner(OwnerError::new(ErrorCode::HostNotAllowed, message)));
    };
    let sender = profile.settings.sender().map(|sender| sender.wire().to_owned()).unwrap_or_default();
    let secret = services.tokens.smtp_login_secret(profile, end).await?;
    let error = match services.smtp.open(server, &sender, login(profile, &secret), end).await {
        Ok(session) => return Ok(session),
        Err(OpenError::Other(error)) => return Err(Failure::Owner(error)),
        Err(OpenError::LoginRefused(error)) => error,
    };
    // A server may refuse an access token before its time.
    match services.tokens.other_login_secret(profile, &secret, end).await? {
        Some(other) => {
            let opened = services.smtp.open(server, &sender, login(profile, &other), end).await;
            opened.map_err(|error| Failure::Owner(error.into_owner_error()))
        }
        None => Err(Failure::Owner(error)),
    }
}

fn login<'a>(profile: &'a Profile, secret: &'a Secret) -> Login<'a> {
    Login { login: profile.settings.smtp_login(), secret }
}

/// Stores the health of the profile's sending after a session was opened or not, or after a server refused a message
/// because of a limit, if it has changed.
pub(crate) async fn record<P: Ports>(
    services: &Services<P>,
    profile: &mut Profile,
    opened: Result<(), &OwnerError>,
) {
    if let Err(error) = opened {
        warn!(profile.id = %profile.id, code = ?error.code, "the SMTP server cannot be used: {error}");
    }
    let now = services.clock.now();
    let change = after_smtp_open(profile.sending.as_ref(), profile.version, opened, now);
    store(services, profile, change).await;
}

/// Stores that the server took a message, if it refused the profile before.
pub(crate) async fn record_taken<P: Ports>(services: &Services<P>, profile: &mut Profile) {
    let change = after_message_taken(profile.sending.as_ref());
    store(services, profile, change).await;
}

async fn store<P: Ports>(services: &Services<P>, profile: &mut Profile, change: SendingChange) {
    if change == SendingChange::Unchanged {
        return;
    }
    match services.table.record_sending(profile.id, profile.version, &change).await {
        // Lost: the profile was edited since, so the result is no longer about it.
        Ok(()) | Err(PortError::Lost) => profile.note_sending(change),
        Err(error) => {
            warn!(profile.id = %profile.id, error = %Chain(&error), "the profile's sending health could not be stored");
        }
    }
}
