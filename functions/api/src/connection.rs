//! A try of settings against the real servers. It changes nothing: not there, and not here.

use std::time::Duration;

use futures_util::future::{OptionFuture, join};
use mailroom_core::ports::{Credential, Credentials as _};
use mailroom_core::profile::{Auth, Profile, ProfileId, Server};
use mailroom_core::trouble::{ErrorCode, Trouble};
use mailroom_http::probe::{ImapReport, SmtpReport, TestReport};
use mailroom_http::problem::{Problems, read};
use mailroom_http::profile::{Described, ProfileBody, patched, settings, tried};
use mailroom_mail::{imap, smtp};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use crate::Api;
use crate::answer::Answer;
use crate::clock;
use crate::making::secret_field;
use crate::problem::ApiError;
use crate::request::Request;

/// How long both servers have, whatever they do: an answer comes within ten seconds.
const TEST_TIME: Duration = Duration::from_secs(9);

impl Api {
    pub(crate) async fn test_settings(&self, request: &Request) -> Result<Answer, ApiError> {
        let body = read_settings(request.required_json()?)?;
        let Described { profile, credential, .. } =
            body.describe(ProfileId::new(clock::ulid()), clock::now());
        match credential {
            Some(credential) => self.test(&profile, Some(&credential)).await,
            None => Err(ApiError::Fields(Problems::one(secret_field(&profile.auth), "is required"))),
        }
    }

    pub(crate) async fn test_profile(&self, request: &Request, id: &str) -> Result<Answer, ApiError> {
        let current = self.profile(id).await?;
        let changed = match request.json()? {
            Some(patch @ Value::Object(_)) => patched(&current, patch),
            None => settings(&current),
            Some(_) => return Err(ApiError::Fields(Problems::one("", "must be an object"))),
        };
        let Described { profile, credential, .. } =
            read_settings(changed)?.describe(current.id, current.created_at);
        let credential = match (credential, &current.secret_version) {
            (Some(credential), _) => Some(credential),
            (None, Some(version)) => self.secrets.credential(current.id, version).await?,
            (None, None) => None,
        };
        self.test(&profile, credential.as_ref()).await
    }

    async fn test(&self, profile: &Profile, credential: Option<&Credential>) -> Result<Answer, ApiError> {
        if profile.imap.is_none() && profile.smtp.is_none() {
            let mut problems =
                Problems::one("imap_host", "or smtp_host is required: there is nothing to try");
            problems.add("smtp_host", "or imap_host is required: there is nothing to try");
            return Err(ApiError::Fields(problems));
        }
        let deadline = clock::instant() + TEST_TIME;
        let password = password(&profile.auth, credential);
        let imap: OptionFuture<_> =
            profile.imap.as_ref().map(|server| self.test_imap(profile, server, &password, deadline)).into();
        let smtp: OptionFuture<_> =
            profile.smtp.as_ref().map(|server| self.test_smtp(profile, server, &password, deadline)).into();
        let (imap, smtp) = join(imap, smtp).await;
        Ok(Answer::json(200, &TestReport { imap, smtp }))
    }

    async fn test_imap(
        &self,
        profile: &Profile,
        server: &Server,
        password: &Result<SecretString, Trouble>,
        deadline: Instant,
    ) -> ImapReport {
        let begun = clock::instant();
        let mut found = imap::Probe::default();
        let login =
            password.as_ref().ok().map(|password| imap::Login { login: profile.auth.login(), password });
        let tried = self.imap.probe(&mut found, server, login, &profile.mailbox, deadline).await;
        let error = tried.map_err(|error| error.trouble(server)).and(admitted(password)).err();
        ImapReport {
            ok: error.is_none(),
            error: error.map(Into::into),
            latency_ms: millis(begun),
            capabilities: found.capabilities,
            mailboxes: found.mailboxes,
            unseen: found.unseen,
        }
    }

    async fn test_smtp(
        &self,
        profile: &Profile,
        server: &Server,
        password: &Result<SecretString, Trouble>,
        deadline: Instant,
    ) -> SmtpReport {
        let begun = clock::instant();
        let mut found = smtp::Probe::default();
        let login = password.as_ref().ok().map(|password| smtp::Login {
            login: profile.auth.login(),
            proof: smtp::Proof::Password(password),
        });
        let tried = match self.smtp.open(&mut found, server, login, deadline).await {
            Ok(session) => {
                session.quit().await;
                Ok(())
            }
            Err(error) => Err(error.trouble(server)),
        };
        let error = tried.and(admitted(password)).err();
        SmtpReport {
            ok: error.is_none(),
            error: error.map(Into::into),
            latency_ms: millis(begun),
            capabilities: found.capabilities,
        }
    }
}

/// Whether there was anything to log in with.
fn admitted(password: &Result<SecretString, Trouble>) -> Result<(), Trouble> {
    password.as_ref().map(drop).map_err(Clone::clone)
}

fn read_settings(settings: Value) -> Result<ProfileBody, ApiError> {
    read(tried(settings)).map_err(ApiError::Fields)
}

/// What to log in with; or why nobody can.
fn password(auth: &Auth, credential: Option<&Credential>) -> Result<SecretString, Trouble> {
    match (auth, credential) {
        (Auth::Plain { .. }, Some(Credential::Password(password))) => Ok(password.clone()),
        (Auth::Plain { .. }, Some(Credential::ClientSecret(_)) | None) => Err(Trouble::new(
            ErrorCode::SecretMissing,
            "No password is stored for this profile: enter it again.",
        )),
        (Auth::Oauth2 { .. }, _) => Err(Trouble::new(
            ErrorCode::Oauth2Grant,
            "The server can be reached; nobody has signed in for this profile yet.",
        )),
    }
}

fn millis(begun: Instant) -> u64 {
    u64::try_from((clock::instant() - begun).as_millis()).unwrap_or(u64::MAX)
}
