//! Who a person is (OpenID Connect Core §3.1): a sign-in to pages of ours, which gives access to no mailbox.
//!
//! The id token comes straight from the token endpoint, over TLS that proves the host which the issuer's own document names.
//! That takes the place of its signature (§3.1.3.7, point 6): whoever could forge that answer could forge the keys to check
//! it by too, because they come from the same host by the same TLS. Issuer, audience, expiry and nonce are checked here.
//! The access token is for other servers; nothing is read from it.

use mailroom_core::oauth2::Oauth2;
use mailroom_core::ports::ClientCredential;
use mailroom_core::provider::{Grant, Provider};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use super::error::SignInError;
use super::id_token::{IdToken, check_issuer, check_origin};
use super::request::authorization_url;
use super::ticket::Ticket;
use crate::assertion::claims;
use crate::client::Client;
use crate::discovery::{Discovery, ProviderMetadata};
use crate::error::OauthError;

/// What names a person in an id token. A token without any is of a provider that tells it by its userinfo endpoint.
const NAMES: [&str; 4] = ["email", "preferred_username", "upn", "name"];

/// The longest name that is kept of a person.
const MAX_NAME: usize = 320;

/// What our pages are to a provider: a client of it.
#[derive(Debug, Clone)]
pub struct Registration {
    client: Oauth2,
}

/// Which account a person is to sign in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Any that the provider has signed in already.
    Any,
    /// One that the person chooses now.
    Chosen,
}

/// A person, as the provider describes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// What the issuer knows them by for ever (`sub`).
    pub subject: String,
    /// What people know them by: an address, or a name.
    pub name: String,
    /// All claims.
    pub claims: Map<String, Value>,
    /// The scopes that the provider says it has granted; none where it does not say.
    pub scopes: Vec<String>,
}

/// What the provider sends a browser back with.
#[derive(Debug, Clone)]
pub struct Callback<'a> {
    /// The code (RFC 6749 §4.1.2).
    pub code: String,
    /// The issuer (RFC 9207), where the provider names it.
    pub issuer: Option<&'a str>,
}

impl Registration {
    /// A client of the provider at `issuer`, which asks for these scopes and for `openid`.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str, scopes: &[&str]) -> Self {
        let mut all = vec!["openid".to_owned()];
        all.extend(scopes.iter().filter(|scope| **scope != "openid").map(|scope| (*scope).to_owned()));
        Self {
            client: Oauth2 {
                grant: Grant::AuthorizationCode,
                login: String::new(),
                client_id: client_id.to_owned(),
                discovery_url: issuer.to_owned(),
                scopes: all,
                confidential: false,
                client_secret_expires_on: None,
            },
        }
    }

    /// The issuer, as it was configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.client.discovery_url
    }

    /// The client's id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client.client_id
    }

    /// The address at which the provider signs a person in.
    ///
    /// # Errors
    /// When the provider cannot be used for it.
    pub async fn address(
        &self,
        discovery: &Discovery,
        ticket: &Ticket,
        account: Account,
        redirect: &str,
        deadline: Instant,
    ) -> Result<Url, OauthError> {
        let provider = discovery.provider(self.issuer(), deadline).await?;
        self.address_at(&provider, ticket, account, redirect)
    }

    fn address_at(
        &self,
        provider: &ProviderMetadata,
        ticket: &Ticket,
        account: Account,
        redirect: &str,
    ) -> Result<Url, OauthError> {
        let mut url = authorization_url(provider, self.client_id(), &self.client.scopes, ticket, redirect)?;
        if account == Account::Chosen {
            let prompt = match provider.kind {
                Provider::Google | Provider::Microsoft => "select_account",
                // §3.1.2.1: the one value that every provider has to know and that lets another account in.
                Provider::Other => "login",
            };
            url.query_pairs_mut().append_pair("prompt", prompt);
        }
        Ok(url)
    }

    /// Finds out who has signed in. `secret` is the client's, where it has one.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn complete(
        &self,
        discovery: &Discovery,
        secret: Option<SecretString>,
        ticket: &Ticket,
        callback: Callback<'_>,
        redirect: &str,
        deadline: Instant,
    ) -> Result<Person, SignInError> {
        let provider = discovery.provider(self.issuer(), deadline).await?;
        check_issuer(callback.issuer, &provider)?;
        let credential = ClientCredential { secret, ..ClientCredential::default() };
        let now = discovery.now();
        let client = Client::new(discovery.http(), &provider, &self.client, &credential, now)?;
        let end = || discovery.end(deadline);
        let granted = client.exchange(callback.code, ticket.verifier(), redirect, end()).await?;
        let token = granted.id_token.ok_or(SignInError::IdToken("is missing"))?;
        let wrong = SignInError::IdToken("cannot be read");
        let mut all: Map<String, Value> = claims(token.expose_secret()).ok_or(wrong)?;
        check(&all, &provider, self.client_id(), ticket, now)?;
        let subject = text(&all, "sub").ok_or(SignInError::IdToken("names nobody"))?;
        if !NAMES.iter().any(|name| all.contains_key(*name)) {
            let more = userinfo(discovery, &provider, &granted.access_token, &subject, end()).await;
            all.extend(more.unwrap_or_default());
        }
        let name = NAMES.iter().find_map(|name| text(&all, name)).unwrap_or_else(|| subject.clone());
        let name = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        Ok(Person { subject, name, claims: all, scopes: granted.scopes })
    }
}

/// Checks an id token; one without the nonce may be that of another sign-in.
fn check(
    all: &Map<String, Value>,
    provider: &ProviderMetadata,
    client_id: &str,
    ticket: &Ticket,
    now: time::OffsetDateTime,
) -> Result<(), SignInError> {
    let token: IdToken = serde_json::from_value(Value::Object(all.clone()))
        .map_err(|_| SignInError::IdToken("cannot be read"))?;
    if token.nonce.is_none() {
        return Err(SignInError::IdToken("has no nonce"));
    }
    check_origin(&token, provider, client_id, ticket, now)
}

/// What the provider tells of a person apart from the id token (§5.3). It is of the same person (§5.3.2), or it is nothing.
async fn userinfo(
    discovery: &Discovery,
    provider: &ProviderMetadata,
    token: &SecretString,
    subject: &str,
    deadline: Instant,
) -> Option<Map<String, Value>> {
    let endpoint = provider.userinfo.as_ref()?;
    let answer = discovery.http().get_with_token(endpoint, token, deadline).await.ok()?;
    let told: Map<String, Value> = serde_json::from_slice(&answer.body).ok()?;
    (answer.status.is_success() && text(&told, "sub")? == subject).then_some(told)
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn provider(issuer: &str) -> ProviderMetadata {
        let document = json!({
            "issuer": issuer, "token_endpoint": format!("{issuer}/token"), "authorization_endpoint": format!("{issuer}/auth"),
        });
        crate::discovery::tests::read(issuer, document).unwrap()
    }

    #[test]
    fn only_the_token_of_this_sign_in_says_who_a_person_is() {
        let issuer = "https://id.example.com";
        let (ticket, now) = (Ticket::new().unwrap(), datetime!(2026-11-01 12:00 UTC));
        let told = |change: Value| {
            let mut token = json!({
                "iss": issuer, "aud": "console", "sub": "ann", "exp": now.unix_timestamp() + 60, "nonce": ticket.nonce(),
            });
            token.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            check(token.as_object().unwrap(), &provider(issuer), "console", &ticket, now)
        };
        assert!(
            told(json!({})).is_ok() && told(json!({"aud": ["console", "api"], "azp": "console"})).is_ok()
        );
        for wrong in [
            json!({"iss": "https://id.example.org"}),
            json!({"aud": "api"}),
            json!({"aud": ["console", "api"], "azp": "api"}),
            json!({"exp": now.unix_timestamp() - 3600}),
            json!({"nonce": "another"}),
            json!({"nonce": null}),
            json!({"exp": "soon"}),
        ] {
            assert!(told(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_account_is_asked_for_in_the_providers_words() {
        let ticket = Ticket::new().unwrap();
        let prompt = |issuer: &str, account| {
            let client = Registration::new(issuer, "console", &["email", "openid"]);
            let url =
                client.address_at(&provider(issuer), &ticket, account, "https://m.example/back").unwrap();
            let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
            assert_eq!((query["scope"].as_str(), &query["nonce"]), ("openid email", &ticket.nonce()));
            assert!(!query.contains_key("access_type"));
            query.get("prompt").cloned()
        };
        assert_eq!(prompt("https://accounts.google.com", Account::Any), None);
        assert_eq!(prompt("https://accounts.google.com", Account::Chosen).unwrap(), "select_account");
        assert_eq!(prompt("https://id.example.com", Account::Chosen).unwrap(), "login");
    }
}
