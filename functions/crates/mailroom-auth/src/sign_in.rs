//! A person's consent: from the first address to the refresh token.
//!
//! A request for a sign-in returns a ticket. All else comes from it, so that nothing that could be misused is stored or
//! sent to the provider: the state that names the sign-in (its digest is the stored key), the PKCE verifier, the nonce. The
//! browser that opens the ticket's address keeps it in a cookie, and only with it can the sign-in be completed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailroom_core::oauth2::{Authorization, Oauth2};
use mailroom_core::ports::ClientCredential;
use mailroom_core::provider::Provider;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use url::Url;

use crate::assertion;
use crate::client::{Client, scopes};
use crate::discovery::{Discovery, Pkce, ProviderMetadata};
use crate::error::OauthError;

/// How long a sign-in may take.
pub const SIGN_IN_TIME: Duration = Duration::minutes(10);

/// What an id token's times may be off by.
const SKEW: Duration = Duration::minutes(10);

/// The right to complete a sign-in: 32 random bytes, as text that fits an address.
#[derive(Clone)]
pub struct Ticket(SecretString);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// There is no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl Ticket {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(SecretString::from(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine =
            text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        fine.then(|| Self(SecretString::from(text)))
    }

    /// Its text, for the address that its owner opens and the cookie there.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The state (RFC 6749 §10.12) that the provider sends back.
    #[must_use]
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// The key under which the sign-in is stored.
    #[must_use]
    pub fn key(&self) -> String {
        key_of(&self.state())
    }

    /// Whether a state that came back is this ticket's. Both are digests: an early end tells nothing of use.
    #[must_use]
    pub fn is_of(&self, state: &str) -> bool {
        self.state() == state
    }

    /// The PKCE verifier (RFC 7636 §4.1).
    fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// The nonce (OpenID Connect Core §3.1.2.1).
    fn nonce(&self) -> String {
        self.derived("nonce")
    }

    fn derived(&self, what: &str) -> String {
        let digest =
            Sha256::new().chain_update(what).chain_update([0]).chain_update(self.expose()).finalize();
        URL_SAFE_NO_PAD.encode(digest)
    }
}

/// The key under which the sign-in with this state is stored.
#[must_use]
pub fn key_of(state: &str) -> String {
    hex::encode(Sha256::digest(state))
}

/// The settings that a sign-in is for: it is void when they change.
#[must_use]
pub fn settings_digest(settings: &Oauth2) -> String {
    let mut digest = Sha256::new();
    let scopes = settings.scopes.join(" ");
    for part in [&settings.login, &settings.client_id, &settings.discovery_url, &scopes] {
        digest.update(part);
        digest.update([0]);
    }
    hex::encode(digest.finalize())
}

/// The address at which the provider asks for consent.
///
/// # Errors
/// When the provider cannot be used for it.
pub async fn consent_url(
    discovery: &Discovery,
    settings: &Oauth2,
    credential: &ClientCredential,
    ticket: &Ticket,
    redirect: &str,
    deadline: Instant,
) -> Result<Url, OauthError> {
    let provider = discovery.provider(&settings.discovery_url, deadline).await?;
    // What the code's exchange would fail with is better told now.
    let _ = Client::new(discovery.http(), &provider, settings, credential, discovery.now())?;
    consent_at(&provider, settings, ticket, redirect)
}

fn consent_at(
    provider: &ProviderMetadata,
    settings: &Oauth2,
    ticket: &Ticket,
    redirect: &str,
) -> Result<Url, OauthError> {
    let scopes = scopes(provider, settings)?;
    let Some(endpoint) = &provider.authorization else {
        return Err(OauthError::Unsupported(format!(
            "The OpenID provider {} lets nobody sign in.",
            provider.issuer
        )));
    };
    let mut url = endpoint.url().clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &ticket.state());
        if provider.pkce == Pkce::S256 {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(ticket.verifier()));
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
        }
        if scopes.iter().any(|scope| scope == "openid") {
            query.append_pair("nonce", &ticket.nonce());
        }
        if settings.login.contains('@') {
            query.append_pair("login_hint", &settings.login);
        }
        match provider.provider_kind {
            // Without both there is no second refresh token for a person who has consented before.
            Provider::Google => {
                query.append_pair("access_type", "offline").append_pair("prompt", "consent");
            }
            // Consent may be an administrator's to give, who is not asked each time.
            Provider::Microsoft => {}
            // OpenID Connect Core §11.
            Provider::Other if scopes.iter().any(|scope| scope == "offline_access") => {
                query.append_pair("prompt", "consent");
            }
            Provider::Other => {}
        }
    }
    Ok(url)
}

/// What has come of a consent.
#[derive(Debug)]
pub struct SignedIn {
    /// The refresh token.
    pub refresh_token: SecretString,
    /// The state of the sign-in, for the profile.
    pub authorization: Authorization,
}

/// Why a consent is none.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider, or what the profile says of it.
    #[error(transparent)]
    Provider(#[from] OauthError),
    /// Another person has signed in.
    #[error("another account has signed in")]
    OtherAccount {
        /// Who, by the id token.
        account: String,
    },
    /// The id token is not for us, not of now, or not for this sign-in.
    #[error("the id token {0}")]
    IdToken(&'static str),
    /// There is no refresh token, and so nothing that lasts.
    #[error("there is no refresh token")]
    NoRefreshToken,
}

/// The id token, as far as it matters (OpenID Connect Core §2; `tid`, `upn` and `preferred_username` are Microsoft's).
#[derive(Deserialize)]
struct IdToken {
    iss: String,
    aud: Audience,
    exp: i64,
    nonce: Option<String>,
    tid: Option<String>,
    email: Option<String>,
    preferred_username: Option<String>,
    upn: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Exchanges the code of a consent for a refresh token.
///
/// # Errors
/// See [`SignInError`].
#[expect(clippy::too_many_arguments, reason = "what RFC 6749 §4.1.3 asks for, and whom to ask")]
pub async fn complete(
    discovery: &Discovery,
    settings: &Oauth2,
    credential: &ClientCredential,
    ticket: &Ticket,
    code: String,
    issuer: Option<&str>,
    redirect: &str,
    deadline: Instant,
) -> Result<SignedIn, SignInError> {
    let provider = discovery.provider(&settings.discovery_url, deadline).await?;
    // RFC 9207: a code of another provider is not sent to this one.
    if issuer
        .is_some_and(|issuer| !provider.is_issuer(issuer, None) && !provider.issuer.contains("{tenantid}"))
    {
        return Err(SignInError::IdToken("is of another provider"));
    }
    let now = discovery.now();
    let client = Client::new(discovery.http(), &provider, settings, credential, now)?;
    let granted = client.exchange(code, ticket.verifier(), redirect, discovery.end(deadline)).await?;
    if let Some(token) = &granted.id_token {
        let token: IdToken =
            assertion::claims(token.expose_secret()).ok_or(SignInError::IdToken("cannot be read"))?;
        check(&token, &provider, settings, ticket, now)?;
    }
    let refresh_token = granted.refresh_token.ok_or(SignInError::NoRefreshToken)?;
    let expires_at = granted.refresh_token_expires_in.map(|lifetime| now + lifetime);
    Ok(SignedIn { refresh_token, authorization: Authorization { since: now, refreshed_at: now, expires_at } })
}

/// Gives a refresh token back to its provider. `false` where the provider has no place for that.
///
/// # Errors
/// See [`OauthError`].
pub async fn revoke(
    discovery: &Discovery,
    settings: &Oauth2,
    credential: &ClientCredential,
    deadline: Instant,
) -> Result<bool, OauthError> {
    let Some(token) = &credential.refresh_token else { return Ok(false) };
    let provider = discovery.provider(&settings.discovery_url, deadline).await?;
    let client = Client::new(discovery.http(), &provider, settings, credential, discovery.now())?;
    client.revoke(token, discovery.end(deadline)).await
}

fn check(
    token: &IdToken,
    provider: &ProviderMetadata,
    settings: &Oauth2,
    ticket: &Ticket,
    now: OffsetDateTime,
) -> Result<(), SignInError> {
    if !provider.is_issuer(&token.iss, token.tid.as_deref()) {
        return Err(SignInError::IdToken("is of another provider"));
    }
    let ours = match &token.aud {
        Audience::One(one) => *one == settings.client_id,
        Audience::Many(many) => many.contains(&settings.client_id),
    };
    if !ours {
        return Err(SignInError::IdToken("is for another client"));
    }
    if token.exp < (now + provider.ahead - SKEW).unix_timestamp() {
        return Err(SignInError::IdToken("has expired"));
    }
    if token.nonce.as_ref().is_some_and(|nonce| *nonce != ticket.nonce()) {
        return Err(SignInError::IdToken("is for another sign-in"));
    }
    let names = [&token.email, &token.preferred_username, &token.upn];
    let names: Vec<&String> = names.into_iter().flatten().filter(|name| name.contains('@')).collect();
    let login = settings.login.to_lowercase();
    match names.first() {
        // It says who it is, and none of its names is the login.
        Some(first) if login.contains('@') && !names.iter().any(|name| name.to_lowercase() == login) => {
            let account = first.chars().filter(|c| !c.is_control()).take(320).collect();
            Err(SignInError::OtherAccount { account })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use mailroom_core::provider::Grant;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn client(discovery_url: &str, scopes: &[&str]) -> Oauth2 {
        Oauth2 {
            grant: Grant::AuthorizationCode,
            login: "support@example.com".to_owned(),
            client_id: "client".to_owned(),
            discovery_url: discovery_url.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            confidential: true,
            client_secret_expires_on: None,
        }
    }

    /// What a provider with this issuer is asked.
    fn asked(issuer: &str, scopes: &[&str]) -> HashMap<String, String> {
        let endpoint = |name: &str| format!("{}/{name}", issuer.replace("{tenantid}", "common"));
        let at = endpoint("").replace("//.well", "/.well");
        let document = json!({
            "issuer": issuer, "authorization_endpoint": endpoint("authorize"), "token_endpoint": endpoint("token"),
        });
        let provider = crate::discovery::tests::read(at.trim_end_matches('/'), document).unwrap();
        let ticket = Ticket::new().unwrap();
        let redirect = "https://mailroom.example.com/oauth2/callback";
        let url = consent_at(&provider, &client(issuer, scopes), &ticket, redirect).unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((&query["state"], &query["redirect_uri"]), (&ticket.state(), &redirect.to_owned()));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(ticket.verifier()));
        assert_eq!((&query["code_challenge"], query["code_challenge_method"].as_str()), (&challenge, "S256"));
        assert_eq!(query["login_hint"], "support@example.com");
        query
    }

    #[test]
    fn each_provider_is_asked_in_a_way_that_lasts() {
        let google = asked("https://accounts.google.com", &[]);
        assert_eq!((google["access_type"].as_str(), google["prompt"].as_str()), ("offline", "consent"));
        assert_eq!(google["scope"], "openid email https://mail.google.com/");
        let microsoft = asked("https://login.microsoftonline.com/{tenantid}/v2.0", &[]);
        assert!(!microsoft.contains_key("prompt") && !microsoft.contains_key("access_type"));
        assert!(
            microsoft["scope"].contains("offline_access https://outlook.office.com/IMAP.AccessAsUser.All")
        );
        let other = asked("https://id.example.com", &["mail", "offline_access"]);
        assert_eq!((other["prompt"].as_str(), other["scope"].as_str()), ("consent", "mail offline_access"));
        // Who is not asked who they are gives no id token.
        assert!(!other.contains_key("nonce") && google.contains_key("nonce"));
    }

    #[test]
    fn who_has_signed_in_is_held_against_the_login() {
        let issuer = "https://login.microsoftonline.com/{tenantid}/v2.0";
        let document = json!({"issuer": issuer, "token_endpoint": "https://login.microsoftonline.com/t"});
        let provider =
            crate::discovery::tests::read("https://login.microsoftonline.com/common/v2.0", document).unwrap();
        let (ticket, now) = (Ticket::new().unwrap(), datetime!(2026-11-01 12:00 UTC));
        let token = |change: serde_json::Value| {
            let mut token = json!({
                "iss": "https://login.microsoftonline.com/t-1/v2.0", "tid": "t-1", "aud": "client",
                "exp": now.unix_timestamp(), "nonce": ticket.nonce(), "preferred_username": "Support@Example.com",
            });
            token.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let token: IdToken = serde_json::from_value(token).unwrap();
            check(&token, &provider, &client(issuer, &[]), &ticket, now)
        };
        assert!(token(json!({})).is_ok());
        // Five minutes late by our clock.
        assert!(token(json!({"exp": now.unix_timestamp() - 300})).is_ok());
        assert!(token(json!({"email": "shared@example.com"})).is_ok(), "one of its names is the login");
        for wrong in [
            json!({"iss": "https://login.microsoftonline.com/t-2/v2.0"}),
            json!({"aud": "another"}),
            json!({"aud": ["another"]}),
            json!({"exp": now.unix_timestamp() - 3600}),
            json!({"nonce": "another"}),
            json!({"preferred_username": "ann@example.com"}),
        ] {
            assert!(token(wrong.clone()).is_err(), "{wrong}");
        }
        // One that names nobody proves nothing, and the mail server decides.
        assert!(token(json!({"preferred_username": null})).is_ok());
    }

    #[test]
    fn all_of_a_sign_in_comes_from_its_ticket() {
        let ticket = Ticket::new().unwrap();
        let again = Ticket::parse(ticket.expose()).unwrap();
        assert_eq!((ticket.state(), ticket.key()), (again.state(), again.key()));
        assert!(ticket.is_of(&again.state()) && !ticket.is_of(&Ticket::new().unwrap().state()));
        // RFC 7636 §4.1: 43 characters at least. None of them gives another away.
        let derived = [ticket.state(), ticket.verifier(), ticket.nonce(), ticket.expose().to_owned()];
        for (n, one) in derived.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(derived.iter().skip(n + 1).all(|other| other != one));
        }
        for wrong in ["", "a", &"a".repeat(44), &"/".repeat(43)] {
            assert!(Ticket::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{ticket:?}"), "Ticket");
    }
}
