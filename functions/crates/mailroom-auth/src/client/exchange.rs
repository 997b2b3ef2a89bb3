//! One request of a client to an endpoint of its provider, and what the response is, if it is one of RFC 6749.

use std::pin::Pin;

use hyper::StatusCode;
use mailroom_net::redact::Redactor;
use oauth2::basic::BasicErrorResponse;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, RequestTokenError};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::token_response::{LibraryResponse, TokenResponse};
use crate::error::{OauthError, TokenRequest};
use crate::http::{Endpoint, Http};

/// `client_assertion_type` (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A request that is about to be sent.
pub(super) struct Exchange<'a> {
    pub(super) http: &'a Http,
    pub(super) endpoint: &'a Endpoint,
    /// What is asked for.
    pub(super) request: TokenRequest,
    /// What the client authenticates with, where it has a key: added to the form (RFC 7523 §2.2).
    pub(super) client_assertion: Option<SecretString>,
    /// What the provider's words may not repeat.
    pub(super) secrets: Redactor,
    pub(super) deadline: Instant,
}

impl Exchange<'_> {
    /// Sends a form.
    pub(super) async fn post(&self, form: &[(&str, &str)]) -> Result<HttpResponse, OauthError> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        let request = hyper::http::Request::post(self.endpoint.url().as_str())
            .header(hyper::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into_bytes())
            .map_err(|_| self.unusable())?;
        self.send(request).await
    }

    /// The tokens of a response that the library has parsed.
    pub(super) fn tokens(
        &self,
        response: Result<LibraryResponse, RequestTokenError<OauthError, BasicErrorResponse>>,
    ) -> Result<TokenResponse, OauthError> {
        match response {
            Ok(response) => self.check(&response),
            Err(RequestTokenError::ServerResponse(refusal)) => Err(self.refused(&refusal)),
            Err(RequestTokenError::Request(error)) => Err(error),
            // The library's words may quote the response.
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => Err(self.unusable()),
        }
    }

    /// The tokens of a response to [`Self::post`].
    pub(super) fn parse_tokens(&self, response: &HttpResponse) -> Result<TokenResponse, OauthError> {
        if response.status() != 200 {
            return Err(self.parse_refusal(response));
        }
        let parsed: LibraryResponse = serde_json::from_slice(response.body()).map_err(|_| self.unusable())?;
        self.check(&parsed)
    }

    /// The error of a response to [`Self::post`] (RFC 6749 §5.2).
    pub(super) fn parse_refusal(&self, response: &HttpResponse) -> OauthError {
        serde_json::from_slice(response.body())
            .map_or_else(|_| self.unusable(), |refusal: BasicErrorResponse| self.refused(&refusal))
    }

    /// Sends a request and returns the response, if it can be one of RFC 6749. Otherwise the error says what it is.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OauthError> {
        let server = || self.endpoint.server().clone();
        let response =
            self.http.send_composed(self.endpoint, self.authenticated(request), self.deadline).await;
        let response = response.map_err(|error| OauthError::Http { server: server(), error })?;
        if response.redirect().is_some() {
            return Err(self.wrong("redirects to another address"));
        }
        let empty = response.status.is_success() && response.body.is_empty();
        let is_json = serde_json::from_slice::<Value>(&response.body).is_ok_and(|body| body.is_object());
        if !is_json && !empty {
            return Err(if !response.status.is_success() {
                OauthError::Status { server: server(), status: response.status.as_u16() }
            } else if response.is_html() {
                self.wrong("is a page for people")
            } else {
                self.wrong("is not JSON")
            });
        }
        let (status, body) = leniently(response.status, response.body);
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            // Whatever else it says, it passes.
            return Err(OauthError::Status { server: server(), status: status.as_u16() });
        }
        let mut checked = HttpResponse::new(body);
        *checked.status_mut() = status;
        *checked.headers_mut() = response.headers;
        Ok(checked)
    }

    /// Adds the client's assertion to the form of a request.
    fn authenticated(&self, request: HttpRequest) -> HttpRequest {
        let Some(assertion) = &self.client_assertion else { return request };
        request.map(|mut body| {
            let own = Serializer::new(String::new())
                .append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", assertion.expose_secret())
                .finish();
            body.push(b'&');
            body.extend_from_slice(own.as_bytes());
            body
        })
    }

    fn check(&self, response: &LibraryResponse) -> Result<TokenResponse, OauthError> {
        TokenResponse::check(response).ok_or_else(|| self.unusable())
    }

    fn refused(&self, refusal: &BasicErrorResponse) -> OauthError {
        let clean = |text: &str, most: usize| -> String {
            let text = self.secrets.redact(text);
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
        };
        OauthError::Refused {
            server: self.endpoint.server().clone(),
            code: clean(refusal.error().as_ref(), 60),
            words: clean(refusal.error_description().map_or("", String::as_str), 300),
            explained_at: refusal
                .error_uri()
                .map(|uri| clean(uri, 200))
                .filter(|uri| uri.starts_with("https://") && !uri.contains(char::is_whitespace))
                .unwrap_or_default(),
            request: self.request,
        }
    }

    /// The error for a response that cannot be used.
    pub(super) fn unusable(&self) -> OauthError {
        self.wrong("is not as RFC 6749 has it")
    }

    fn wrong(&self, why: &str) -> OauthError {
        OauthError::Response { server: self.endpoint.server().clone(), why: why.to_owned() }
    }
}

/// A response as RFC 6749 has it, from one that differs where the meaning is clear.
///
/// Microsoft's first token endpoint writes numbers as strings, Zoho answers 200 with an error, and some leave out the type
/// of token, which is a bearer token for mail, or fill with null what they leave out.
fn leniently(status: StatusCode, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let Ok(Value::Object(mut response)) = serde_json::from_slice::<Value>(&body) else {
        return (status, body);
    };
    response.retain(|_, value| !value.is_null());
    for name in ["expires_in", "refresh_token_expires_in"] {
        if let Some(value) = response.get(name) {
            match seconds(value) {
                Some(seconds) => response.insert(name.to_owned(), seconds.into()),
                None => response.remove(name),
            };
        }
    }
    let granted = response.get("access_token").is_some_and(Value::is_string);
    if granted && !response.contains_key("token_type") {
        response.insert("token_type".to_owned(), "Bearer".into());
    }
    let refused = status.is_success() && !granted && response.get("error").is_some_and(Value::is_string);
    let status = if refused { StatusCode::BAD_REQUEST } else { status };
    (status, Value::Object(response).to_string().into_bytes())
}

/// A number of seconds, whole or not, also as text.
fn seconds(value: &Value) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    whole.parse().ok()
}

impl<'c> AsyncHttpClient<'c> for Exchange<'_> {
    type Error = OauthError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OauthError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
