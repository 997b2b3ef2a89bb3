//! A person's consent: from the first address to the refresh token.
//!
//! A request for a sign-in returns a [`Ticket`]. Everything else is derived from it, so that nothing that could be misused
//! is stored or sent to the provider: the state that names the sign-in (its digest is the stored key), the PKCE verifier,
//! the nonce. The browser that opens the ticket's address keeps it in a cookie, and only with it can the sign-in be
//! completed. [`person`] is the same for people who sign in to pages of ours, and give no access to anything.

mod error;
mod id_token;
pub mod person;
mod request;
mod ticket;

use mailroom_core::oauth2::{Authorization, Oauth2};
use mailroom_core::ports::ClientCredential;
use mailroom_core::provider::Provider;
use secrecy::SecretString;
use time::Duration;
use tokio::time::Instant;
use url::Url;

pub use self::error::SignInError;
pub use self::ticket::{NoRandomness, Ticket, key_of, settings_digest};
use crate::client::{Client, scopes};
use crate::discovery::{Discovery, ProviderMetadata};
use crate::error::OauthError;

/// How long a person has to complete a sign-in.
pub const SIGN_IN_TIME: Duration = Duration::minutes(10);

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
    // An error that the exchange of the code would meet is reported before the person is sent away.
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
    let mut url = request::authorization_url(provider, &settings.client_id, &scopes, ticket, redirect)?;
    {
        let mut query = url.query_pairs_mut();
        if settings.login.contains('@') {
            query.append_pair("login_hint", &settings.login);
        }
        match provider.kind {
            // Without both, a person who has consented before gets no second refresh token.
            Provider::Google => {
                query.append_pair("access_type", "offline").append_pair("prompt", "consent");
            }
            // Where only an administrator can consent, a sign-in that asks for consent again would fail.
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

/// The result of a person's consent.
#[derive(Debug)]
pub struct SignedIn {
    /// The refresh token, which is the profile's credential from now on.
    pub refresh_token: SecretString,
    /// The state of the sign-in, for the profile.
    pub authorization: Authorization,
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
    id_token::check_issuer(issuer, &provider)?;
    let now = discovery.now();
    let client = Client::new(discovery.http(), &provider, settings, credential, now)?;
    let granted = client.exchange(code, ticket.verifier(), redirect, discovery.end(deadline)).await?;
    if let Some(token) = &granted.id_token {
        id_token::check(token, &provider, settings, ticket, now)?;
    }
    let refresh_token = granted.refresh_token.ok_or(SignInError::NoRefreshToken)?;
    let expires_at = granted.refresh_token_expires_in.map(|lifetime| now + lifetime);
    let authorization = Authorization { since: now, refreshed_at: now, stored_at: now, expires_at };
    Ok(SignedIn { refresh_token, authorization })
}

/// Revokes a refresh token at its provider. `false` where there is none, or the provider has no endpoint for it.
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use mailroom_core::provider::Grant;
    use serde_json::json;
    use sha2::{Digest as _, Sha256};

    use super::*;

    pub(super) fn client(discovery_url: &str, scopes: &[&str]) -> Oauth2 {
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

    /// The parameters of the address at which a provider with this issuer asks for consent.
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
}
