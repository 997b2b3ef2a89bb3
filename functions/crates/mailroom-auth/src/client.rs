//! The requests of a client to its provider's token endpoint.

mod exchange;
mod token_response;

use mailroom_core::known_provider::mail_scopes;
use mailroom_core::oauth2::Oauth2;
use mailroom_core::ports::ClientCredential;
use mailroom_core::provider::{Grant, Provider};
use mailroom_net::redact::Redactor;
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, PkceCodeVerifier,
    RedirectUrl, RefreshToken, Scope, StandardRevocableToken, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::assertion::{Assertion, ClientKey};
use crate::discovery::{ClientAuthentication, ClientSecretKind, Pkce, ProviderMetadata, grant_type};
use crate::error::{OauthError, TokenRequest};
use crate::http::{Endpoint, Http};

use self::exchange::Exchange;
use self::token_response::LibraryResponse;
pub use self::token_response::TokenResponse;

/// The library's client, with the fields of [`LibraryResponse`] in its responses.
type LibraryClient<Token = EndpointNotSet> = oauth2::Client<
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

/// A client of a provider, with all that its requests need.
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
            // Where the provider lets no client authenticate with a key, as Google does, the assertion is enough.
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

    /// Exchanges the code of a person's consent for tokens (RFC 6749 §4.1.3).
    pub(crate) async fn exchange(
        &self,
        code: String,
        verifier: String,
        redirect: &str,
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let exchange = self.token_request(
            TokenRequest::AuthorizationCode,
            &[code.as_str(), verifier.as_str()],
            deadline,
        )?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|_| exchange.unusable())?;
        let client = self.library_client().set_redirect_uri(redirect);
        let mut request = client.exchange_code(AuthorizationCode::new(code));
        if self.provider.pkce == Pkce::S256 {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        }
        exchange.tokens(request.request_async(&exchange).await)
    }

    /// Exchanges a refresh token for a new access token (§6).
    pub(crate) async fn refresh(
        &self,
        token: &SecretString,
        scopes: &[String],
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let exchange = self.token_request(TokenRequest::RefreshToken, &[token.expose_secret()], deadline)?;
        let client = self.library_client();
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let mut request = client.exchange_refresh_token(&token);
        // Without a scope, the one that was granted applies; Microsoft wants to be told which resource is meant.
        if self.provider.kind == Provider::Microsoft {
            request = request.add_scopes(scopes.iter().cloned().map(Scope::new));
        }
        exchange.tokens(request.request_async(&exchange).await)
    }

    /// Gets an access token for the client itself (§4.4).
    pub(crate) async fn client_credentials(
        &self,
        scopes: &[String],
        deadline: Instant,
    ) -> Result<TokenResponse, OauthError> {
        let exchange = self.token_request(TokenRequest::Unattended, &[], deadline)?;
        let client = self.library_client();
        let request = client.exchange_client_credentials().add_scopes(scopes.iter().cloned().map(Scope::new));
        exchange.tokens(request.request_async(&exchange).await)
    }

    /// Gets an access token for a user, by an assertion of the client (RFC 7523 §2.1).
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
        let assertion = signer.sign(&self.assertion(&self.settings.login, Some(&scope)));
        let assertion = assertion.map_err(|error| OauthError::Unsupported(error.to_string()))?;
        let exchange =
            self.token_request(TokenRequest::Unattended, &[assertion.expose_secret()], deadline)?;
        let mut form = vec![
            ("grant_type", grant_type(Grant::JwtBearer)),
            ("assertion", assertion.expose_secret()),
            ("scope", &scope),
        ];
        if exchange.client_assertion.is_some() {
            form.push(("client_id", &self.settings.client_id));
        }
        exchange.parse_tokens(&exchange.post(&form).await?)
    }

    /// Revokes a refresh token (RFC 7009 §2.1). `false` where the provider has no endpoint for it.
    pub(crate) async fn revoke(&self, token: &SecretString, deadline: Instant) -> Result<bool, OauthError> {
        let Some(endpoint) = &self.provider.revocation else { return Ok(false) };
        let exchange =
            self.request(endpoint, TokenRequest::Revocation, &[token.expose_secret()], deadline)?;
        let mut form = vec![
            ("token", token.expose_secret()),
            ("token_type_hint", "refresh_token"),
            ("client_id", self.settings.client_id.as_str()),
        ];
        if let ClientKey::Secret(secret) = &self.key {
            form.push(("client_secret", secret.expose_secret()));
        }
        let response = exchange.post(&form).await?;
        if response.status() == 200 { Ok(true) } else { Err(exchange.parse_refusal(&response)) }
    }

    /// The client as the library has it.
    fn library_client(&self) -> LibraryClient<EndpointSet> {
        let url = TokenUrl::from_url(self.provider.token.url().clone());
        let client = LibraryClient::new(ClientId::new(self.settings.client_id.clone())).set_token_uri(url);
        let client = client.set_auth_type(match self.method {
            ClientAuthentication::ClientSecretBasic => AuthType::BasicAuth,
            ClientAuthentication::None
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::PrivateKeyJwt => AuthType::RequestBody,
        });
        match &self.key {
            ClientKey::Secret(secret) => {
                client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            }
            ClientKey::Nothing | ClientKey::Key(_) => client,
        }
    }

    /// A request to the token endpoint.
    fn token_request(
        &self,
        request: TokenRequest,
        secrets: &[&str],
        deadline: Instant,
    ) -> Result<Exchange<'_>, OauthError> {
        self.request(&self.provider.token, request, secrets, deadline)
    }

    /// A request to an endpoint, in which these texts are secret beside the client's own secret.
    fn request<'b>(
        &'b self,
        endpoint: &'b Endpoint,
        request: TokenRequest,
        secrets: &[&str],
        deadline: Instant,
    ) -> Result<Exchange<'b>, OauthError> {
        let mut redactor = Redactor::default();
        if let ClientKey::Secret(secret) = &self.key {
            redactor.add(secret.clone());
        }
        secrets.iter().for_each(|secret| redactor.add(SecretString::from(*secret)));
        let client_assertion = self.client_assertion()?;
        Ok(Exchange { http: self.http, endpoint, request, client_assertion, secrets: redactor, deadline })
    }

    /// What a client with a key authenticates with (RFC 7523 §2.2).
    fn client_assertion(&self) -> Result<Option<SecretString>, OauthError> {
        let (ClientAuthentication::PrivateKeyJwt, ClientKey::Key(signer)) = (self.method, &self.key) else {
            return Ok(None);
        };
        let assertion = signer.sign(&self.assertion(&self.settings.client_id, None));
        assertion.map(Some).map_err(|error| OauthError::Unsupported(error.to_string()))
    }

    /// An assertion of the client about `subject`, for the token endpoint.
    fn assertion<'b>(&'b self, subject: &'b str, scope: Option<&'b str>) -> Assertion<'b> {
        Assertion {
            client_id: &self.settings.client_id,
            subject,
            audience: self.provider.token.url().as_str(),
            scope,
            at: self.now + self.provider.ahead,
        }
    }
}

/// The scopes that a profile asks for: its own, or those that are known for its provider.
pub(crate) fn scopes(provider: &ProviderMetadata, settings: &Oauth2) -> Result<Vec<String>, OauthError> {
    if !settings.scopes.is_empty() {
        return Ok(settings.scopes.clone());
    }
    mail_scopes(provider.kind, settings.grant)
        .map(<[String]>::to_vec)
        .ok_or_else(|| OauthError::UnknownScopes { issuer: provider.issuer.clone() })
}

#[cfg(test)]
pub(crate) mod tests;
