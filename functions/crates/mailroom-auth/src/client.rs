//! The requests of a client to its provider's token endpoint.

use std::fmt;
use std::pin::Pin;

use mailroom_core::oauth2::Oauth2;
use mailroom_core::ports::ClientCredential;
use mailroom_core::provider::{Grant, Provider};
use mailroom_net::redact::Redactor;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardErrorResponse, StandardRevocableToken, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::assertion::{Assertion, ClientKey};
use crate::discovery::{ClientAuthentication, ClientSecretKind, ProviderMetadata, grant_type};
use crate::error::{OauthError, TokenRequest};
use crate::http::{Endpoint, Http};

/// The lifetime of an access token that comes without one.
const DEFAULT_LIFETIME: Duration = Duration::minutes(10);

/// The longest token that is taken: mail servers take no longer ones.
const MAX_TOKEN: usize = 16 * 1024;

/// `client_assertion_type` (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token response (RFC 6749 §5.1), checked.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token (RFC 6749 §1.4).
    pub access_token: SecretString,
    /// How long it is valid.
    pub expires_in: Duration,
    /// A refresh token, if a new one was given.
    pub refresh_token: Option<SecretString>,
    /// How long the refresh token holds, where the provider says it.
    pub refresh_token_expires_in: Option<Duration>,
    /// Who has signed in (OpenID Connect Core §2).
    pub id_token: Option<SecretString>,
}

/// What comes besides RFC 6749's fields.
#[derive(Clone, Serialize, Deserialize)]
struct Extra {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    refresh_token_expires_in: Option<i64>,
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extra")
    }
}

impl ExtraTokenFields for Extra {}

type LibraryResponse = StandardTokenResponse<Extra, BasicTokenType>;

type Rfc6749<Token = EndpointNotSet> = oauth2::Client<
    BasicErrorResponse,
    LibraryResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Token,
>;

/// A client of a provider, with all that a request needs.
pub(crate) struct Client<'a> {
    http: &'a Http,
    provider: &'a ProviderMetadata,
    settings: &'a Oauth2,
    key: ClientKey,
    method: ClientAuthentication,
    now: OffsetDateTime,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        http: &'a Http,
        provider: &'a ProviderMetadata,
        settings: &'a Oauth2,
        credential: &ClientCredential,
        now: OffsetDateTime,
    ) -> Result<Self, OauthError> {
        if provider.lacks(settings.grant) {
            let name = grant_type(settings.grant);
            let issuer = &provider.issuer;
            return Err(OauthError::Unsupported(format!(
                "The OpenID provider {issuer} does not support the grant {name}."
            )));
        }
        let key = ClientKey::read(credential.secret.as_ref())
            .map_err(|error| OauthError::Unsupported(error.to_string()))?;
        let method = provider.client_authentication(key.kind());
        let method = match (settings.grant, method) {
            (Grant::AuthorizationCode | Grant::ClientCredentials, Some(method)) => method,
            // The assertion proves enough where the provider takes no key of clients, as Google does.
            (Grant::JwtBearer, method) => method.unwrap_or(ClientAuthentication::None),
            (Grant::AuthorizationCode | Grant::ClientCredentials, None) => {
                let what = match key.kind() {
                    ClientSecretKind::PrivateKey => "a private key",
                    ClientSecretKind::Text | ClientSecretKind::None => "a secret",
                };
                let issuer = &provider.issuer;
                return Err(OauthError::Unsupported(format!(
                    "The OpenID provider {issuer} does not let clients authenticate with {what}."
                )));
            }
        };
        if method == ClientAuthentication::None && settings.grant == Grant::ClientCredentials {
            return Err(OauthError::NoSecret);
        }
        Ok(Self { http, provider, settings, key, method, now })
    }

    /// Tokens for a person's consent (RFC 6749 §4.1.3).
    pub(crate) async fn exchange(
        &self,
        code: String,
        verifier: String,
        redirect: &str,
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let secrets = self.secrets([code.as_str(), verifier.as_str()]);
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|_| self.unusable())?;
        let client = self.rfc6749()?.set_redirect_uri(redirect);
        let assertion = self.client_assertion()?;
        let mut request = client.exchange_code(AuthorizationCode::new(code));
        if self.provider.pkce == crate::discovery::Pkce::S256 {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        }
        if let Some(assertion) = &assertion {
            request = request
                .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                .add_extra_param("client_assertion", assertion.expose_secret());
        }
        let send = Sender { client: self, deadline };
        let answer = request.request_async(&send).await;
        self.granted(answer, TokenRequest::AuthorizationCode, &secrets)
    }

    /// A new access token for a sign-in (§6).
    pub(crate) async fn refresh(
        &self,
        token: &SecretString,
        scopes: &[String],
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let secrets = self.secrets([token.expose_secret()]);
        let client = self.rfc6749()?;
        let assertion = self.client_assertion()?;
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let mut request = client.exchange_refresh_token(&token);
        // Without a scope it is the one that was granted; Microsoft wants to be told which resource is meant.
        if self.provider.provider_kind == Provider::Microsoft {
            request = request.add_scopes(scopes.iter().cloned().map(Scope::new));
        }
        if let Some(assertion) = &assertion {
            request = request
                .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                .add_extra_param("client_assertion", assertion.expose_secret());
        }
        let send = Sender { client: self, deadline };
        let answer = request.request_async(&send).await;
        self.granted(answer, TokenRequest::RefreshToken, &secrets)
    }

    /// Access for the client itself (§4.4).
    pub(crate) async fn client_credentials(
        &self,
        scopes: &[String],
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let secrets = self.secrets([]);
        let client = self.rfc6749()?;
        let assertion = self.client_assertion()?;
        let mut request = client.exchange_client_credentials();
        request = request.add_scopes(scopes.iter().cloned().map(Scope::new));
        if let Some(assertion) = &assertion {
            request = request
                .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                .add_extra_param("client_assertion", assertion.expose_secret());
        }
        let send = Sender { client: self, deadline };
        let answer = request.request_async(&send).await;
        self.granted(answer, TokenRequest::Unattended, &secrets)
    }

    /// Access for a user, by assertion (RFC 7523 §2.1).
    pub(crate) async fn jwt_bearer(
        &self,
        scopes: &[String],
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let ClientKey::Key(signer) = &self.key else {
            return Err(OauthError::Unsupported(
                "This grant needs a private key: store the service account's key file, or a key in PEM, as the client secret."
                    .to_owned(),
            ));
        };
        let scope = scopes.join(" ");
        let assertion = signer.sign(&Assertion {
            client_id: &self.settings.client_id,
            subject: &self.settings.login,
            audience: self.provider.token.url().as_str(),
            scope: Some(&scope),
            at: self.now + self.provider.ahead,
        });
        let assertion = assertion.map_err(|error| OauthError::Unsupported(error.to_string()))?;
        let mut secrets = self.secrets([]);
        secrets.add(assertion.clone());
        let mut form = vec![
            ("grant_type", grant_type(Grant::JwtBearer)),
            ("assertion", assertion.expose_secret()),
            ("scope", &scope),
        ];
        let own = self.client_assertion()?;
        if let Some(own) = &own {
            form.extend([
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", own.expose_secret()),
            ]);
            form.push(("client_id", &self.settings.client_id));
        }
        let answer = self.post(&self.provider.token, &form, deadline).await?;
        if answer.status() != 200 {
            let refusal: BasicErrorResponse =
                serde_json::from_slice(answer.body()).map_err(|_| self.unusable())?;
            return Err(refused(&self.provider.token, &refusal, TokenRequest::Unattended, &secrets));
        }
        let granted: LibraryResponse = serde_json::from_slice(answer.body()).map_err(|_| self.unusable())?;
        self.checked(&granted)
    }

    /// Gives a refresh token back (RFC 7009 §2.1). `false` where the provider has no place for it.
    pub(crate) async fn revoke(&self, token: &SecretString, deadline: Instant) -> Result<bool, OauthError> {
        let Some(endpoint) = &self.provider.revocation else { return Ok(false) };
        let secrets = self.secrets([token.expose_secret()]);
        let assertion = self.client_assertion()?;
        let mut form = vec![
            ("token", token.expose_secret()),
            ("token_type_hint", "refresh_token"),
            ("client_id", self.settings.client_id.as_str()),
        ];
        if let Some(assertion) = &assertion {
            form.extend([
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion.expose_secret()),
            ]);
        }
        if let ClientKey::Secret(secret) = &self.key {
            form.push(("client_secret", secret.expose_secret()));
        }
        let answer = self.post(endpoint, &form, deadline).await?;
        if answer.status() == 200 {
            return Ok(true);
        }
        let refusal: BasicErrorResponse =
            serde_json::from_slice(answer.body()).map_err(|_| self.unusable())?;
        Err(refused(endpoint, &refusal, TokenRequest::Revocation, &secrets))
    }

    /// The client as the library has it.
    fn rfc6749(&self) -> Result<Rfc6749<EndpointSet>, OauthError> {
        let url = TokenUrl::new(self.provider.token.url().to_string()).map_err(|_| self.unusable())?;
        let client = Rfc6749::new(ClientId::new(self.settings.client_id.clone())).set_token_uri(url);
        let client = client.set_auth_type(match self.method {
            ClientAuthentication::ClientSecretBasic => AuthType::BasicAuth,
            ClientAuthentication::None
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::PrivateKeyJwt => AuthType::RequestBody,
        });
        Ok(match &self.key {
            ClientKey::Secret(secret) => {
                client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            }
            ClientKey::Nothing | ClientKey::Key(_) => client,
        })
    }

    /// The proof of a client that has a key (RFC 7523 §2.2).
    fn client_assertion(&self) -> Result<Option<SecretString>, OauthError> {
        let (ClientAuthentication::PrivateKeyJwt, ClientKey::Key(signer)) = (self.method, &self.key) else {
            return Ok(None);
        };
        let id = &self.settings.client_id;
        let statement = Assertion {
            client_id: id,
            subject: id,
            audience: self.provider.token.url().as_str(),
            scope: None,
            at: self.now + self.provider.ahead,
        };
        signer.sign(&statement).map(Some).map_err(|error| OauthError::Unsupported(error.to_string()))
    }

    /// What a provider's words may not repeat.
    fn secrets<const N: usize>(&self, also: [&str; N]) -> Redactor {
        let mut secrets = Redactor::default();
        if let ClientKey::Secret(secret) = &self.key {
            secrets.add(secret.clone());
        }
        also.into_iter().for_each(|secret| secrets.add(SecretString::from(secret)));
        secrets
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        form: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<HttpResponse, OauthError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = hyper::http::Request::post(endpoint.url().as_str())
            .header(hyper::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into_bytes())
            .map_err(|_| self.unusable())?;
        self.send_to(endpoint, request, deadline).await
    }

    /// The answer, if it is one of RFC 6749: what is anything else is told here, where it is known.
    async fn send_to(
        &self,
        endpoint: &Endpoint,
        request: HttpRequest,
        deadline: Instant,
    ) -> Result<HttpResponse, OauthError> {
        let answer = self.http.send_composed(endpoint, request, deadline).await;
        let answer = answer.map_err(|error| OauthError::Http { server: endpoint.server().clone(), error })?;
        let wrong =
            |why: &str| OauthError::Response { server: endpoint.server().clone(), why: why.to_owned() };
        if answer.redirect().is_some() {
            return Err(wrong("redirects to another address"));
        }
        let empty = answer.status.is_success() && answer.body.is_empty();
        let is_json =
            serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok_and(|body| body.is_object());
        if !is_json && !empty {
            return Err(if !answer.status.is_success() {
                OauthError::Status { server: endpoint.server().clone(), status: answer.status.as_u16() }
            } else if answer.is_html() {
                wrong("is a page for people")
            } else {
                wrong("is not JSON")
            });
        }
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    fn granted(
        &self,
        answer: Result<
            LibraryResponse,
            RequestTokenError<OauthError, StandardErrorResponse<oauth2::basic::BasicErrorResponseType>>,
        >,
        request: TokenRequest,
        secrets: &Redactor,
    ) -> Result<TokenResponse, OauthError> {
        match answer {
            Ok(answer) => self.checked(&answer),
            Err(RequestTokenError::ServerResponse(refusal)) => {
                Err(refused(&self.provider.token, &refusal, request, secrets))
            }
            Err(RequestTokenError::Request(error)) => Err(error),
            // Their own words may quote the answer.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(self.unusable()),
        }
    }

    fn checked(&self, answer: &LibraryResponse) -> Result<TokenResponse, OauthError> {
        let access_token = answer.access_token().secret();
        if access_token.is_empty() || access_token.len() > MAX_TOKEN {
            return Err(self.unusable());
        }
        let lifetime = answer.expires_in().and_then(|lifetime| Duration::try_from(lifetime).ok());
        let extra = answer.extra_fields();
        Ok(TokenResponse {
            access_token: SecretString::from(access_token.clone()),
            expires_in: lifetime.filter(|lifetime| lifetime.is_positive()).unwrap_or(DEFAULT_LIFETIME),
            refresh_token: answer
                .refresh_token()
                .map(|token| token.secret())
                .filter(|token| (1..=MAX_TOKEN).contains(&token.len()))
                .map(|token| SecretString::from(token.clone())),
            refresh_token_expires_in: extra
                .refresh_token_expires_in
                .filter(|seconds| *seconds > 0)
                .map(Duration::seconds),
            id_token: extra.id_token.clone().map(SecretString::from),
        })
    }

    fn unusable(&self) -> OauthError {
        OauthError::Response {
            server: self.provider.token.server().clone(),
            why: "is not as RFC 6749 has it".to_owned(),
        }
    }
}

/// Sends what the library has composed to the token endpoint.
struct Sender<'a> {
    client: &'a Client<'a>,
    deadline: Instant,
}

impl<'c> AsyncHttpClient<'c> for Sender<'_> {
    type Error = OauthError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OauthError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.client.send_to(&self.client.provider.token, request, self.deadline))
    }
}

fn refused(
    endpoint: &Endpoint,
    refusal: &BasicErrorResponse,
    request: TokenRequest,
    secrets: &Redactor,
) -> OauthError {
    let clean = |text: &str, most: usize| -> String {
        secrets.redact(text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
    };
    OauthError::Refused {
        server: endpoint.server().clone(),
        code: clean(refusal.error().as_ref(), 60),
        words: clean(refusal.error_description().map_or("", String::as_str), 300),
        request,
    }
}

/// What a profile asks for: its own scopes, or those that are known for its provider.
pub(crate) fn scopes(provider: &ProviderMetadata, settings: &Oauth2) -> Result<Vec<String>, OauthError> {
    if !settings.scopes.is_empty() {
        return Ok(settings.scopes.clone());
    }
    let known = provider.provider_kind.scopes(settings.grant);
    known
        .map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect())
        .ok_or_else(|| OauthError::UnknownScopes { issuer: provider.issuer.clone() })
}
