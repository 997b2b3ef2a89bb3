//! Provider metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hyper::header::{CACHE_CONTROL, DATE};
use mailroom_core::provider::{Grant, Provider};
use serde::Deserialize;
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use url::Url;

use crate::error::OauthError;
use crate::http::{Endpoint, Http, REQUEST_TIME, Response};
use mailroom_net::clock::Clock;

/// What follows the issuer in the address of the document (OpenID Connect Discovery §4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// How long a document is kept whose response does not say.
const DEFAULT_LIFETIME: Duration = Duration::HOUR;

/// How long a document is kept at least, and at most.
const LIFETIMES: (Duration, Duration) = (Duration::minutes(5), Duration::DAY);

/// How long a document is used beyond that while the provider does not answer.
const GRACE: Duration = Duration::DAY;

/// The most documents that are kept: one invocation has fewer providers.
const KEPT: usize = 500;

/// What a provider says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderMetadata {
    /// The issuer, as the document has it. Microsoft's has `{tenantid}` in place of a tenant.
    pub issuer: String,
    /// Whose provider it is, for what its document does not say.
    pub kind: Provider,
    /// The authorization endpoint, at which people sign in (RFC 6749 §3.1).
    pub authorization: Option<Endpoint>,
    /// The token endpoint (§3.2).
    pub token: Endpoint,
    /// The revocation endpoint (RFC 7009).
    pub revocation: Option<Endpoint>,
    /// The userinfo endpoint (OpenID Connect Core §5.3).
    pub userinfo: Option<Endpoint>,
    /// Whether the provider supports PKCE with S256 (RFC 7636 §4.2).
    pub pkce: Pkce,
    /// How far the provider's clock is ahead of ours.
    pub ahead: Duration,
    grants: Option<Vec<String>>,
    methods: Option<Vec<String>>,
}

/// Whether a provider supports PKCE with S256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkce {
    /// It does, or does not say; a provider that does not know the challenge ignores it (RFC 6749 §3.1).
    S256,
    /// It lists other methods only.
    Without,
}

/// How a client authenticates at the token endpoint (RFC 6749 §2.3, OpenID Connect Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `none`: a public client.
    None,
    /// `client_secret_post`: the secret is a field of the form.
    ClientSecretPost,
    /// `client_secret_basic`: the secret is in the Authorization header.
    ClientSecretBasic,
    /// `private_key_jwt`: the form has an assertion that the client signed (RFC 7523 §2.2).
    PrivateKeyJwt,
}

/// What kind of secret a client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSecretKind {
    /// None: a public client (RFC 6749 §2.1).
    None,
    /// A text that the provider chose.
    Text,
    /// A private key, whose public half the provider has.
    PrivateKey,
}

/// The fields of the document that matter here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    grant_types_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The `grant_type` of a grant (RFC 6749, RFC 7523 §2.1).
pub(crate) const fn grant_type(grant: Grant) -> &'static str {
    match grant {
        Grant::AuthorizationCode => "authorization_code",
        Grant::ClientCredentials => "client_credentials",
        Grant::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
    }
}

impl ProviderMetadata {
    /// Whether the document lists grants, and not this one.
    pub(crate) fn lacks(&self, grant: Grant) -> bool {
        self.grants.as_ref().is_some_and(|grants| !grants.iter().any(|name| name == grant_type(grant)))
    }

    /// How a client with this kind of secret authenticates; `None` where the provider accepts no such secret.
    pub(crate) fn client_authentication(&self, secret: ClientSecretKind) -> Option<ClientAuthentication> {
        let lists = |name: &str| self.methods.as_ref().is_some_and(|list| list.iter().any(|one| one == name));
        match secret {
            ClientSecretKind::None => Some(ClientAuthentication::None),
            // A provider that does not list any has client_secret_basic (RFC 8414 §2).
            ClientSecretKind::Text if lists("client_secret_post") => {
                Some(ClientAuthentication::ClientSecretPost)
            }
            ClientSecretKind::Text if self.methods.is_none() || lists("client_secret_basic") => {
                Some(ClientAuthentication::ClientSecretBasic)
            }
            ClientSecretKind::PrivateKey if self.methods.is_none() || lists("private_key_jwt") => {
                Some(ClientAuthentication::PrivateKeyJwt)
            }
            ClientSecretKind::Text | ClientSecretKind::PrivateKey => None,
        }
    }

    /// Whether the issuer of an id token is this provider. Microsoft puts the tenant in place of `{tenantid}`.
    pub(crate) fn is_issuer(&self, issuer: &str, tenant: Option<&str>) -> bool {
        let own = match tenant {
            Some(tenant) => self.issuer.replace("{tenantid}", tenant),
            None => self.issuer.clone(),
        };
        own.trim_end_matches('/') == issuer.trim_end_matches('/')
    }
}

/// Finds providers, and keeps their metadata for as long as they allow.
#[derive(Debug)]
pub struct Discovery {
    http: Http,
    clock: Clock,
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    provider: Arc<ProviderMetadata>,
    until: OffsetDateTime,
}

impl Discovery {
    /// Fetches documents by `http`, and keeps them by `clock`.
    #[must_use]
    pub fn new(http: Http, clock: Clock) -> Self {
        Self { http, clock, kept: Mutex::default() }
    }

    /// What requests to providers go through.
    pub(crate) const fn http(&self) -> &Http {
        &self.http
    }

    /// The time of day, for lifetimes.
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The deadline of a request that begins now, `deadline` at the latest.
    pub(crate) fn end(&self, deadline: Instant) -> Instant {
        deadline.min(self.instant() + REQUEST_TIME)
    }

    /// The monotonic time, for deadlines.
    pub(crate) fn instant(&self) -> Instant {
        self.clock.instant()
    }

    /// The provider whose issuer, or whose document, is at `url`.
    ///
    /// # Errors
    /// When the document cannot be fetched, or cannot be used.
    pub async fn provider(&self, url: &str, deadline: Instant) -> Result<Arc<ProviderMetadata>, OauthError> {
        let now = self.now();
        let kept = self.kept(url);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.until > now) {
            return Ok(Arc::clone(&kept.provider));
        }
        match self.fetch(url, self.end(deadline)).await {
            Ok((provider, lifetime)) => {
                let provider = Arc::new(provider);
                self.keep(url, Kept { provider: Arc::clone(&provider), until: now + lifetime });
                Ok(provider)
            }
            // The provider is down. For a while, the document of before is used.
            Err(error) => match kept.filter(|kept| kept.until + GRACE > now) {
                Some(kept) if error.is_transient() => Ok(kept.provider),
                Some(_) | None => Err(error),
            },
        }
    }

    fn kept(&self, url: &str) -> Option<Kept> {
        self.kept.lock().ok()?.get(url).cloned()
    }

    fn keep(&self, url: &str, kept: Kept) {
        if let Ok(mut all) = self.kept.lock() {
            if all.len() >= KEPT {
                all.clear();
            }
            all.insert(url.to_owned(), kept);
        }
    }

    async fn fetch(&self, url: &str, deadline: Instant) -> Result<(ProviderMetadata, Duration), OauthError> {
        let at = document_url(url);
        let endpoint = self
            .http
            .endpoint(&at)
            .map_err(|why| OauthError::Document { at: at.clone(), why: why.to_string() })?;
        let answer = self.http.get(&endpoint, deadline).await;
        let answer = answer.map_err(|error| OauthError::Http { server: endpoint.server().clone(), error })?;
        let wrong = |why: String| OauthError::Document { at: at.clone(), why };
        if let Some(to) = answer.redirect() {
            return Err(wrong(format!("redirects to {}; use that address", cut(to))));
        }
        if !answer.status.is_success() {
            return Err(OauthError::Status {
                server: endpoint.server().clone(),
                status: answer.status.as_u16(),
            });
        }
        let document: Document = serde_json::from_slice(&answer.body).map_err(|error| {
            let what = if answer.is_html() { "is a page for people" } else { "is not a discovery document" };
            wrong(format!("{what} ({error})"))
        })?;
        let provider = self.read(&endpoint, document, self.ahead(&answer)).map_err(wrong)?;
        Ok((provider, lifetime(&answer)))
    }

    /// How far the provider's clock is ahead, by the date of its answer (RFC 9110 §6.6.1).
    fn ahead(&self, answer: &Response) -> Duration {
        let date = answer.headers.get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|date| OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok());
        let ahead = date.map_or(Duration::ZERO, |date| date - self.now());
        // Seconds are lost on the way and in the format.
        if ahead.abs() < Duration::seconds(30) { Duration::ZERO } else { ahead }
    }

    fn read(&self, at: &Endpoint, document: Document, ahead: Duration) -> Result<ProviderMetadata, String> {
        let kind = Provider::of(at.host());
        if !is_issuer_of(at, kind, &document.issuer) {
            return Err(format!("is of another issuer, {}", cut(&document.issuer)));
        }
        let endpoint = |name: &str, url: String| {
            self.http.endpoint(&url).map_err(|why| format!("names a {name} that {why}: {}", cut(&url)))
        };
        let optional = |name: &str, url: Option<String>| url.map(|url| endpoint(name, url)).transpose();
        let pkce = match &document.code_challenge_methods_supported {
            Some(methods) if !methods.iter().any(|method| method == "S256") => Pkce::Without,
            Some(_) | None => Pkce::S256,
        };
        Ok(ProviderMetadata {
            kind,
            authorization: optional("authorization_endpoint", document.authorization_endpoint)?,
            token: endpoint("token_endpoint", document.token_endpoint)?,
            revocation: optional("revocation_endpoint", document.revocation_endpoint)?,
            // Of use to the console alone: no profile fails for it.
            userinfo: optional("userinfo_endpoint", document.userinfo_endpoint).ok().flatten(),
            pkce,
            ahead,
            issuer: document.issuer,
            grants: document.grant_types_supported,
            methods: document.token_endpoint_auth_methods_supported,
        })
    }
}

/// The address of the document. A typed address may be that already, or the issuer.
fn document_url(typed: &str) -> String {
    if typed.contains("/.well-known/") {
        typed.to_owned()
    } else {
        format!("{}{WELL_KNOWN}", typed.trim_end_matches('/'))
    }
}

/// Whether a document may name this issuer: the one that it was found at (OpenID Connect Discovery §4.3). Microsoft names
/// a tenant by its number, or all of them by `{tenantid}`, wherever it was found.
fn is_issuer_of(at: &Endpoint, kind: Provider, issuer: &str) -> bool {
    let Ok(named) = Url::parse(issuer) else { return false };
    let place = at.url().as_str().split("/.well-known/").next().unwrap_or_default();
    let same = issuer.trim_end_matches('/') == place.trim_end_matches('/');
    let host = at.host().as_str();
    let tenants = kind == Provider::Microsoft
        || host.ends_with(".b2clogin.com")
        || host.ends_with(".ciamlogin.com")
        || issuer.contains("{tenantid}");
    same || (at.is_same_origin(&named) && (tenants || is_below(at.url(), issuer)))
}

/// RFC 8414 §3.1 puts the well-known part between host and path.
fn is_below(at: &Url, issuer: &str) -> bool {
    let path = at.path();
    let Some(rest) = path.strip_prefix("/.well-known/") else { return false };
    let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    !rest.is_empty() && issuer.trim_end_matches('/').ends_with(&format!("/{}", rest.trim_end_matches('/')))
}

/// How long a response may be kept (RFC 9111 §5.2.2), within [`LIFETIMES`].
fn lifetime(answer: &Response) -> Duration {
    let header = answer.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (least, most) = LIFETIMES;
    let mut lifetime = DEFAULT_LIFETIME;
    for directive in header.split(',').map(str::trim) {
        match directive.split_once('=') {
            Some((name, seconds)) if name.eq_ignore_ascii_case("max-age") => {
                lifetime = seconds.trim_matches('"').parse().map_or(lifetime, Duration::seconds);
            }
            None if directive.eq_ignore_ascii_case("no-store")
                || directive.eq_ignore_ascii_case("no-cache") =>
            {
                return least;
            }
            Some(_) | None => {}
        }
    }
    lifetime.clamp(least, most)
}

/// The beginning of a text of the document, for an error.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
pub(crate) mod tests;
