//! Access tokens, kept in memory until shortly before their end, and the refresh tokens behind them.
//!
//! A provider may end a refresh token with its use, and the whole sign-in with a second use of it. So a profile's is used
//! under a claim that one process has at a time; within a process, one task has it. The result of a use is stored before
//! anything else happens, by a task that goes on when its caller has given up.

use std::collections::HashMap;
use std::sync::Arc;

use mailroom_core::oauth2::{Authorization, Oauth2};
use mailroom_core::ports::{ClientCredential, Credential, Grants, PortError};
use mailroom_core::profile::{Auth, Profile, ProfileId};
use mailroom_core::provider::Grant;
use secrecy::{ExposeSecret as _, SecretString};
use time::{Duration, OffsetDateTime};
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;
use tracing::warn;
use ulid::Ulid;

use crate::client::{Client, TokenResponse, scopes};
use crate::discovery::{Discovery, ProviderMetadata};
use crate::error::OauthError;
use crate::http::REQUEST_TIME;

/// How long a claim lasts that is not released: longer than a request and the writes after it.
const CLAIM_TIME: Duration = Duration::seconds(60);

/// How long a caller waits for another process that uses the same refresh token.
const CLAIM_WAIT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// What a function needs to answer before Lambda ends it.
const ANSWER_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// The most tokens that are kept.
const KEPT: usize = 5_000;

/// Which tokens a caller accepts.
#[derive(Debug, Clone, Copy)]
pub enum Acceptable<'a> {
    /// Any token that has not expired.
    Any,
    /// Any but this one, which a server refused.
    Except(&'a SecretString),
}

/// Hands out access tokens. Cheap to clone; clones share the tokens that are kept.
#[derive(Debug)]
pub struct Tokens<G> {
    shared: Arc<Shared<G>>,
}

impl<G> Clone for Tokens<G> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<G> {
    discovery: Discovery,
    grants: G,
    slots: Mutex<HashMap<ProfileId, Arc<Mutex<Option<CachedToken>>>>>,
    /// Held for reading by each task that obtains a token.
    obtaining: Arc<RwLock<()>>,
}

/// A token in memory.
struct CachedToken {
    token: SecretString,
    /// The version of the profile that the token was obtained for.
    version: u64,
    /// When another token is obtained.
    until: OffsetDateTime,
}

impl std::fmt::Debug for CachedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedToken").field("until", &self.until).finish_non_exhaustive()
    }
}

impl<G> Tokens<G> {
    /// Finds providers by `discovery`, and reads and stores sign-ins in `grants`.
    pub fn new(discovery: Discovery, grants: G) -> Self {
        Self {
            shared: Arc::new(Shared {
                discovery,
                grants,
                slots: Mutex::default(),
                obtaining: Arc::default(),
            }),
        }
    }

    /// The discovery of providers, whose documents are shared.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.shared.discovery
    }

    /// The store of sign-ins and client secrets.
    #[must_use]
    pub fn grants(&self) -> &G {
        &self.shared.grants
    }
}

impl<G: Grants + 'static> Tokens<G> {
    /// An access token for a profile that logs in by OAuth2.
    ///
    /// # Errors
    /// See [`OauthError`]; [`PortError::Lost`] when the profile was changed since it was read.
    pub async fn access_token(
        &self,
        profile: &Profile,
        wanted: Acceptable<'_>,
        deadline: Instant,
    ) -> Result<SecretString, OauthError> {
        let slot = self.slot(profile.id).await;
        let Ok(mut held) = tokio::time::timeout_at(deadline, Arc::clone(&slot).lock_owned()).await else {
            return Err(OauthError::Busy);
        };
        if let Some(held) = held.as_ref() {
            let refused = match wanted {
                Acceptable::Any => false,
                Acceptable::Except(token) => token.expose_secret() == held.token.expose_secret(),
            };
            if !refused && held.version == profile.version && held.until > self.shared.discovery.now() {
                return Ok(held.token.clone());
            }
        }
        let (shared, profile) = (Arc::clone(&self.shared), profile.clone());
        let obtaining = Arc::clone(&shared.obtaining).read_owned().await;
        // A task of its own, so that it is not dropped half-way: a refresh token that was replaced and not stored ends the sign-in.
        let task = tokio::spawn(async move {
            let granted = Box::pin(shared.obtain(&profile, deadline)).await;
            drop(obtaining);
            *held = None;
            let granted = granted?;
            let token = granted.access_token.clone();
            *held = Some(CachedToken {
                token: granted.access_token,
                version: profile.version,
                until: shared.discovery.now() + kept_for(granted.expires_in),
            });
            Ok(token)
        });
        match tokio::time::timeout_at(deadline, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(OauthError::Busy),
        }
    }

    /// Waits for the requests that go on although their callers have given up, until shortly before `deadline`. Lambda
    /// freezes a function that has answered, perhaps for ever: a refresh token that was replaced and not yet stored would be
    /// lost with it.
    pub async fn settle(&self, deadline: Instant) {
        let end = deadline.checked_sub(ANSWER_TIME).unwrap_or(deadline);
        if tokio::time::timeout_at(end, self.shared.obtaining.write()).await.is_err() {
            warn!("a request for a token was not answered before the function had to answer");
        }
    }

    async fn slot(&self, id: ProfileId) -> Arc<Mutex<Option<CachedToken>>> {
        let mut slots = self.shared.slots.lock().await;
        if slots.len() >= KEPT && !slots.contains_key(&id) {
            slots.clear();
        }
        Arc::clone(slots.entry(id).or_default())
    }
}

/// How long a token is kept: until shortly before its end, with jitter, so that tokens that were obtained together are
/// not replaced together.
fn kept_for(lifetime: Duration) -> Duration {
    let jitter = i32::try_from(Ulid::generate().random() % 150).unwrap_or_default();
    lifetime * (750 + jitter) / 1000
}

/// Obtains access without a person: for the client itself, or by assertion. Nothing is kept.
///
/// # Errors
/// See [`OauthError`].
pub async fn unattended(
    discovery: &Discovery,
    settings: &Oauth2,
    credential: &ClientCredential,
    deadline: Instant,
) -> Result<TokenResponse, OauthError> {
    let provider = discovery.provider(&settings.discovery_url, deadline).await?;
    let deadline = discovery.end(deadline);
    let client = Client::new(discovery.http(), &provider, settings, credential, discovery.now())?;
    let scopes = scopes(&provider, settings)?;
    match settings.grant {
        Grant::AuthorizationCode => Err(OauthError::NotSignedIn),
        Grant::ClientCredentials => client.client_credentials(&scopes, deadline).await,
        Grant::JwtBearer => client.jwt_bearer(&scopes, deadline).await,
    }
}

impl<G: Grants> Shared<G> {
    async fn obtain(&self, profile: &Profile, deadline: Instant) -> Result<TokenResponse, OauthError> {
        let Auth::Oauth2(settings) = &profile.settings.auth else { return Err(OauthError::NoSecret) };
        match settings.grant {
            Grant::AuthorizationCode => self.refresh(profile, settings, deadline).await,
            Grant::ClientCredentials | Grant::JwtBearer => {
                let credential = self.credential(profile).await?;
                unattended(&self.discovery, settings, &credential, deadline).await
            }
        }
    }

    async fn credential(&self, profile: &Profile) -> Result<ClientCredential, OauthError> {
        let Some(version) = &profile.secret_version else { return Err(OauthError::NoSecret) };
        match self.grants.credential(profile.id, version).await? {
            Some(Credential::Client(credential)) => Ok(credential),
            Some(Credential::Password { .. }) | None => Err(OauthError::NoSecret),
        }
    }

    /// Uses the refresh token, which nobody else does at the same time.
    async fn refresh(
        &self,
        profile: &Profile,
        settings: &Oauth2,
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        if profile.authorization.is_none() {
            return Err(OauthError::NotSignedIn);
        }
        // Before the claim, so that others need not wait for the document.
        let provider = self.discovery.provider(&settings.discovery_url, deadline).await?;
        let scopes = scopes(&provider, settings)?;
        let (claim, profile) = self.claim(profile, deadline).await?;
        let result = self.refresh_claimed(&profile, settings, &provider, &scopes, &claim).await;
        if let Err(error) = &result {
            // Not after an error of the store: the write may have happened, and the claim expires by itself.
            if !matches!(error, OauthError::Port(_))
                && let Err(error) = self.grants.unclaim(profile.id, &claim, None).await
            {
                warn!(profile.id = %profile.id, %error, "the claim on profile {} was not released and expires by itself", profile.id);
            }
        }
        result
    }

    /// Takes the claim. Returns it with the profile as it is stored.
    async fn claim(&self, profile: &Profile, deadline: Instant) -> Result<(G::Claim, Profile), OauthError> {
        let end = deadline.min(self.discovery.instant() + CLAIM_WAIT_TIMEOUT);
        let mut current = profile.clone();
        loop {
            let now = self.discovery.now();
            match self.grants.claim(&current, now, now + CLAIM_TIME).await {
                Ok(claim) => return Ok((claim, current)),
                Err(PortError::Lost) => {}
                Err(error) => return Err(error.into()),
            }
            if self.discovery.instant() > end {
                return Err(OauthError::Busy);
            }
            let pause = 50 + u64::try_from(Ulid::generate().random() % 100).unwrap_or_default();
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            current = self.grants.profile(profile.id).await?.ok_or(PortError::Lost)?;
            if current.version != profile.version {
                return Err(PortError::Lost.into());
            }
        }
    }

    async fn refresh_claimed(
        &self,
        profile: &Profile,
        settings: &Oauth2,
        provider: &ProviderMetadata,
        scopes: &[String],
        claim: &G::Claim,
    ) -> Result<TokenResponse, OauthError> {
        let mut credential = self.credential(profile).await?;
        let Some(token) = credential.refresh_token.clone() else { return Err(OauthError::NotSignedIn) };
        // A process that crashed after it had stored a new token, and before the profile named it, left it here. The token
        // that the profile names was used then, and a second use may end the sign-in: so the newest is tried first.
        let newest = match self.grants.newest(profile.id).await? {
            Some(Credential::Client(newest)) => newest.refresh_token,
            Some(Credential::Password { .. }) | None => None,
        };
        let newest = newest.filter(|newest| newest.expose_secret() != token.expose_secret());
        let (granted, used) = match newest {
            Some(newest) => match self.ask(provider, settings, scopes, &credential, &newest).await {
                Err(error) if error.is_gone() => {
                    (self.ask(provider, settings, scopes, &credential, &token).await?, token)
                }
                granted => (granted?, newest),
            },
            None => (self.ask(provider, settings, scopes, &credential, &token).await?, token),
        };
        let now = self.discovery.now();
        let before = profile.authorization.as_ref();
        let mut authorization = Authorization {
            since: before.map_or(now, |before| before.since),
            refreshed_at: now,
            stored_at: before.map_or(now, |before| before.stored_at),
            expires_at: before.and_then(|before| before.expires_at),
        };
        let stored = credential.refresh_token.take();
        let is_stored = |token: &SecretString| {
            stored.as_ref().is_some_and(|stored| stored.expose_secret() == token.expose_secret())
        };
        let still_good = is_stored(&used)
            && provider.kind.stores_new_token_after().is_some_and(|age| now < authorization.stored_at + age);
        let valid = granted.refresh_token.clone().filter(|_| !still_good).unwrap_or(used);
        if is_stored(&valid) {
            self.grants.unclaim(profile.id, claim, Some(&authorization)).await?;
        } else {
            authorization.stored_at = now;
            if let Some(lifetime) = granted.refresh_token_expires_in {
                authorization.expires_at = Some(now + lifetime);
            }
            credential.refresh_token = Some(valid);
            self.grants.rotated(profile, claim, &Credential::Client(credential), &authorization).await?;
        }
        Ok(granted)
    }

    async fn ask(
        &self,
        provider: &ProviderMetadata,
        settings: &Oauth2,
        scopes: &[String],
        credential: &ClientCredential,
        token: &SecretString,
    ) -> Result<TokenResponse, OauthError> {
        let now = self.discovery.now();
        let client = Client::new(self.discovery.http(), provider, settings, credential, now)?;
        // The full time of a request: the caller may have less, but the response must not be lost for that.
        client.refresh(token, scopes, self.discovery.instant() + REQUEST_TIME).await
    }
}

#[cfg(test)]
mod tests;
