//! A profile's session with its SMTP server: one for all its messages, opened when the first of them needs it.

use mailroom_core::error_chain::Chain;
use mailroom_core::health::after_opening;
use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::{Deliveries as _, PortError};
use mailroom_core::profile::Profile;
use mailroom_core::server::Server;
use mailroom_mail::smtp::{EhloResponse, Session, SmtpError};
use mailroom_net::login::{Login, Secret};
use tokio::time::Instant;
use tracing::warn;

use crate::handler::Services;
use mailroom_lambda::clock;

/// Sessions that are opened for one batch: a server that breaks each after a message is not asked for ever.
const MAX_SESSIONS: u32 = 3;

/// The session, as far as there is one.
pub(crate) struct SmtpSession {
    state: State,
    opened: u32,
}

enum State {
    /// None is open, and one may be opened.
    Closed,
    /// One is open.
    Open(Box<Session>),
    /// None can be had in this batch, for this reason.
    Down(OwnerError),
}

impl SmtpSession {
    pub(crate) const fn new() -> Self {
        Self { state: State::Closed, opened: 0 }
    }

    /// The session, opened if need be; or why there is none.
    ///
    /// What comes of opening it is what stands of the profile's sending.
    pub(crate) async fn session(
        &mut self,
        services: &Services,
        profile: &mut Profile,
        end: Instant,
    ) -> Result<Result<&mut Session, OwnerError>, PortError> {
        if let State::Open(session) = &self.state
            && session.is_spent()
        {
            self.state = State::Closed;
        }
        if let State::Closed = self.state {
            self.opened += 1;
            let opened = open(services, profile, end).await?;
            let result = opened.as_ref().map(drop);
            record(services, profile, result).await;
            self.state = match opened {
                Ok(session) => State::Open(Box::new(session)),
                Err(trouble) => State::Down(trouble),
            };
        }
        Ok(match &mut self.state {
            State::Open(session) => Ok(session),
            State::Down(trouble) => Err(trouble.clone()),
            // Set above.
            State::Closed => Err(OwnerError::new(ErrorCode::Internal, "There is no session.")),
        })
    }

    /// The session is over, for this reason. Another may be opened, unless time or patience is spent.
    pub(crate) fn broke(&mut self, trouble: &OwnerError) {
        let spent = self.opened >= MAX_SESSIONS || trouble.code != ErrorCode::SmtpConnect;
        self.state = if spent { State::Down(trouble.clone()) } else { State::Closed };
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        if let State::Open(session) = self.state {
            session.quit().await;
        }
    }
}

async fn open(
    services: &Services,
    profile: &Profile,
    end: Instant,
) -> Result<Result<Session, OwnerError>, PortError> {
    let Some(server) = &profile.smtp else {
        return Ok(Err(OwnerError::new(
            ErrorCode::HostNotAllowed,
            "The profile names no SMTP server: add smtp_host to it.",
        )));
    };
    let access = match services.tokens.login_secret(profile, end).await {
        Ok(access) => access,
        Err(error) => return error.into_owner_error().map(Err),
    };
    let opened = match open_with(services, profile, server, &access, end).await {
        Err(error) if error.is_login_refused() => {
            match services.tokens.other_login_secret(profile, &access, end).await {
                Ok(Some(access)) => open_with(services, profile, server, &access, end).await,
                Ok(None) => Err(error),
                Err(error) => return error.into_owner_error().map(Err),
            }
        }
        opened => opened,
    };
    Ok(opened.map_err(|error| error.owner_error(server)))
}

async fn open_with(
    services: &Services,
    profile: &Profile,
    server: &Server,
    access: &Secret,
    end: Instant,
) -> Result<Session, SmtpError> {
    let login = Login { login: profile.auth.login(), secret: access };
    services.smtp.open(&mut EhloResponse::default(), server, Some(login), end).await
}

/// Stores what stands of the profile's sending, where that has changed.
async fn record(services: &Services, profile: &mut Profile, opened: Result<(), &OwnerError>) {
    if let Err(trouble) = opened {
        warn!(profile.id = %profile.id, code = ?trouble.code, "the SMTP server cannot be used: {trouble}");
    }
    let Some(sending) = after_opening(profile.sending.as_ref(), profile.version, opened, clock::now()) else {
        return;
    };
    match services.table.record_sending(profile.id, profile.version, sending.as_ref()).await {
        // Lost: edited meanwhile, so what we have seen is no longer about it.
        Ok(()) | Err(PortError::Lost) => profile.sending = sending,
        Err(error) => {
            warn!(profile.id = %profile.id, error = %Chain(&error), "the owner could not be told");
        }
    }
}

/// The SMTP server of a profile, for words about it.
pub(crate) fn words_of(server: Option<&Server>) -> String {
    server.map_or_else(
        || "the SMTP server".to_owned(),
        |server| format!("{} (port {})", server.host, server.port),
    )
}
