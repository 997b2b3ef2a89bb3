//! A test of settings against the real servers. It changes nothing, there or here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{OptionFuture, join};
use mailroom_auth::error::OauthError;
use mailroom_auth::tokens::{Tokens, unattended};
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::secrets::Secrets;
use mailroom_contract::connection_test::{ImapReport, SmtpReport, TestReport};
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::profile::{Described, ProfileBody};
use mailroom_contract::settings::{described, patched, settings, tried};
use mailroom_core::address::EmailAddress;
use mailroom_core::credential_scope::out_of_scope;
use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::{Credential, Credentials as _};
use mailroom_core::profile::{Auth, Profile, ProfileId};
use mailroom_core::provider::Grant;
use mailroom_core::server::Server;
use mailroom_mail::{imap, smtp};
use mailroom_net::login::{Login, Secret};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::profiles::create::require_secrets;
use crate::profiles::read::find;
use crate::profiles::stored_secret::{Given, require_scope};
use mailroom_lambda::clock;

/// How long both servers have, so that the response comes within ten seconds.
const TEST_TIME: Duration = Duration::from_secs(9);

/// How much of it the provider has, so that the servers are tested in any case.
const TOKEN_TIME: Duration = Duration::from_secs(5);

/// Tests the settings of profiles.
pub(crate) struct ConnectionTests {
    pub(crate) table: Arc<Table>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) tokens: Tokens<GrantStore>,
    pub(crate) imap: imap::Connector,
    pub(crate) smtp: smtp::Connector,
}

impl ConnectionTests {
    pub(crate) async fn test_settings(&self, request: &Request) -> Result<Response, ApiError> {
        let body = read_settings(request.required_json()?)?;
        let Described { profile, credential, smtp_password, .. } =
            body.describe(ProfileId::new(clock::new_ulid()), clock::now());
        let mut problems = Problems::default();
        require_secrets(&profile, credential.as_ref(), smtp_password.as_ref(), &mut problems);
        problems.none_or().map_err(ApiError::Fields)?;
        let (deadline, provider_end) = (clock::instant() + TEST_TIME, clock::instant() + TOKEN_TIME);
        let access = self.access(&profile.settings.auth, credential.as_ref(), provider_end).await;
        self.test(&profile, &Access { login: access, smtp_password }, deadline).await
    }

    pub(crate) async fn test_profile(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let (deadline, provider_end) = (clock::instant() + TEST_TIME, clock::instant() + TOKEN_TIME);
        let current = find(&self.table, id).await?;
        let changed = match request.json()? {
            Some(patch @ Value::Object(_)) => patched(&current, patch),
            None => settings(&current),
            Some(_) => return Err(ApiError::Fields(Problems::one("", "must be an object"))),
        };
        let Described { profile, credential, smtp_password, .. } =
            described(&current, tried(changed), current.created_at).map_err(ApiError::Fields)?;
        let given = Given { secret: credential.is_some(), smtp_password: smtp_password.is_some() };
        require_scope(&current, &profile.settings, given)?;
        let stored = match &current.secret_version {
            Some(version) => self.secrets.credential(current.id, version).await?,
            None => None,
        };
        let smtp_password =
            smtp_password.or_else(|| stored.as_ref().and_then(Credential::smtp_password).cloned());
        // As it is stored, if what it logs in with is, and may go there; the test then does what a poll does.
        let same_login = settings(&profile).get("auth") == settings(&current).get("auth");
        let stays_signed_in = out_of_scope(&current, &profile.settings).sign_in.is_empty();
        if credential.is_none() && same_login && stays_signed_in {
            return self.test_as_stored(&profile, &current, smtp_password, deadline, provider_end).await;
        }
        let credential = credential.or(stored);
        let access = self.access(&profile.settings.auth, credential.as_ref(), provider_end).await;
        self.test(&profile, &Access { login: access, smtp_password }, deadline).await
    }

    /// Tests settings with the stored secret of `current`. A token that is refused is replaced once, as for a poll.
    async fn test_as_stored(
        &self,
        profile: &Profile,
        current: &Profile,
        smtp_password: Option<SecretString>,
        deadline: Instant,
        provider_end: Instant,
    ) -> Result<Response, ApiError> {
        let with = |login| Access { login, smtp_password: smtp_password.clone() };
        let access = match self.tokens.login_secret(current, provider_end).await {
            Ok(access) => access,
            Err(error) => return self.test(profile, &with(Err(error.into_owner_error()?)), deadline).await,
        };
        let report = self.report(profile, &with(Ok(access.clone())), deadline).await?;
        if !report.refuses_login() {
            return Ok(Response::json(200, &report));
        }
        match self.tokens.other_login_secret(current, &access, deadline).await {
            Ok(Some(access)) => self.test(profile, &with(Ok(access)), deadline).await,
            Ok(None) => Ok(Response::json(200, &report)),
            Err(error) => self.test(profile, &with(Err(error.into_owner_error()?)), deadline).await,
        }
    }

    /// The secret that unsaved settings log in with, or why there is none.
    async fn access(
        &self,
        auth: &Auth,
        credential: Option<&Credential>,
        deadline: Instant,
    ) -> Result<Secret, OwnerError> {
        match (auth, credential) {
            (Auth::Plain { .. }, Some(Credential::Password { password, .. })) => {
                Ok(Secret::Password(password.clone()))
            }
            (Auth::Plain { .. }, Some(Credential::Client(_)) | None) => {
                Err(OauthError::NoPassword.owner_error())
            }
            (Auth::Oauth2(client), _) if client.grant == Grant::AuthorizationCode => Err(OwnerError::new(
                ErrorCode::Oauth2Grant,
                "The server can be reached; to log in, store the profile and sign in for it first.",
            )),
            (Auth::Oauth2(client), Some(Credential::Client(credential))) => {
                let granted = unattended(self.tokens.discovery(), client, credential, deadline).await;
                granted
                    .map(|granted| Secret::AccessToken(granted.access_token))
                    .map_err(|error| error.owner_error())
            }
            (Auth::Oauth2(_), Some(Credential::Password { .. }) | None) => {
                Err(OauthError::NoSecret.owner_error())
            }
        }
    }

    async fn test(
        &self,
        profile: &Profile,
        access: &Access,
        deadline: Instant,
    ) -> Result<Response, ApiError> {
        Ok(Response::json(200, &self.report(profile, access, deadline).await?))
    }

    async fn report(
        &self,
        profile: &Profile,
        access: &Access,
        deadline: Instant,
    ) -> Result<TestReport, ApiError> {
        if profile.settings.imap.is_none() && profile.settings.smtp.is_none() {
            let mut problems =
                Problems::one("imap_host", "or smtp_host is required: there is nothing to test");
            problems.add("smtp_host", "or imap_host is required: there is nothing to test");
            return Err(ApiError::Fields(problems));
        }
        let imap: OptionFuture<_> = profile
            .settings
            .imap
            .as_ref()
            .map(|server| self.test_imap(profile, server, &access.login, deadline))
            .into();
        let smtp_access = access.of_smtp(profile);
        let smtp: OptionFuture<_> = profile
            .settings
            .smtp
            .as_ref()
            .map(|server| self.test_smtp(profile, server, &smtp_access, deadline))
            .into();
        let (imap, smtp) = join(imap, smtp).await;
        Ok(TestReport { imap, smtp })
    }

    async fn test_imap(
        &self,
        profile: &Profile,
        server: &Server,
        access: &Result<Secret, OwnerError>,
        deadline: Instant,
    ) -> ImapReport {
        let begun = clock::instant();
        let mut found = imap::ConnectionReport::default();
        let login = login(profile.settings.auth.login(), access);
        let tried = self.imap.test(&mut found, server, login, &profile.settings.mailbox, deadline).await;
        let error = tried.map_err(|error| error.owner_error(server)).and(admitted(access)).err();
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
        access: &Result<Secret, OwnerError>,
        deadline: Instant,
    ) -> SmtpReport {
        let begun = clock::instant();
        let mut found = smtp::EhloResponse::default();
        let login = login(profile.settings.smtp_login(), access);
        let sender = profile.settings.sender().ok();
        let sender = sender.as_ref().map_or("", EmailAddress::wire);
        let tried = match self.smtp.open(&mut found, server, sender, login, deadline).await {
            Ok(session) => {
                session.quit().await;
                Ok(())
            }
            Err(error) => Err(error.owner_error(server)),
        };
        let error = tried.and(admitted(access)).err();
        SmtpReport {
            ok: error.is_none(),
            error: error.map(Into::into),
            latency_ms: millis(begun),
            capabilities: found.keywords,
        }
    }
}

/// What a test logs in with.
struct Access {
    /// The secret of the profile's login, or why there is none.
    login: Result<Secret, OwnerError>,
    /// The password for the SMTP server alone, if there is one.
    smtp_password: Option<SecretString>,
}

impl Access {
    /// What the test logs in to the SMTP server with.
    fn of_smtp(&self, profile: &Profile) -> Result<Secret, OwnerError> {
        match (&profile.settings.smtp_auth, &self.smtp_password) {
            (None, _) => self.login.clone(),
            (Some(_), Some(password)) => Ok(Secret::Password(password.clone())),
            (Some(_), None) => Err(OauthError::NoPassword.owner_error()),
        }
    }
}

/// An error when there was no secret to log in with.
fn admitted(access: &Result<Secret, OwnerError>) -> Result<(), OwnerError> {
    access.as_ref().map(drop).map_err(Clone::clone)
}

fn read_settings(settings: Value) -> Result<ProfileBody, ApiError> {
    read(tried(settings)).map_err(ApiError::Fields)
}

fn login<'a>(login: &'a str, access: &'a Result<Secret, OwnerError>) -> Option<Login<'a>> {
    Some(Login { login, secret: access.as_ref().ok()? })
}

fn millis(begun: Instant) -> u64 {
    u64::try_from((clock::instant() - begun).as_millis()).unwrap_or(u64::MAX)
}
