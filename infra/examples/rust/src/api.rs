//! Mailroom's HTTP API, as far as the flow needs it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;

/// How long the API may take: below the function's own timeout.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest reply that is read; those to a message have less than a kilobyte.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// The API, and what it is called with.
pub struct Api {
    url: String,
    /// The `Host` of its requests, where that is not the URL's own.
    host: Option<String>,
    token: Option<String>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token.
        f.debug_struct("Api").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What the API says to a message that is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It sends it: its id.
    Message(String),
    /// It holds it back, now and later, because two programs may be answering each other.
    HeldBack,
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// `MAILROOM_API` is missing.
    #[error("MAILROOM_API is not set")]
    NoUrl,
    /// There are no certificates to verify the API's with.
    #[error("the system's certificates cannot be read")]
    NoCertificates(#[source] std::io::Error),
    /// The request cannot be written.
    #[error("MAILROOM_API is no URL, or MAILROOM_API_TOKEN no token")]
    Unsendable(#[source] hyper::http::Error),
    /// There is no connection.
    #[error("the API cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// The answer takes longer than [`REPLY_TIMEOUT`].
    #[error("the API does not answer in time")]
    Timeout,
    /// The API refuses the message, or fails.
    #[error("the API answered {0}")]
    Refused(StatusCode),
}

impl Api {
    /// The API that the environment names, over TLS with the system's certificates.
    ///
    /// # Errors
    /// When it names none, or there are no certificates.
    pub fn from_env() -> Result<Self, ApiError> {
        let url = std::env::var("MAILROOM_API").map_err(|_| ApiError::NoUrl)?;
        Self::new(&url, std::env::var("MAILROOM_API_TOKEN").ok().filter(|token| !token.is_empty()))
    }

    /// The API at `url`.
    ///
    /// # Errors
    /// When the system has no certificates.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, ApiError> {
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())
            .map_err(ApiError::NoCertificates)?
            // The emulators of this machine have no TLS.
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(https);
        let url = url.trim_end_matches('/');
        let (url, host) = match on_this_machine(url) {
            Some((url, host)) => (url, Some(host)),
            None => (url.to_owned(), None),
        };
        Ok(Self { url, host, token, client })
    }

    /// Posts a message once, however often: the key is the job's id.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Result<Accepted, ApiError> {
        let mut request = Request::post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key);
        if let Some(host) = &self.host {
            request = request.header(HOST, host);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::from(body.to_string())).map_err(ApiError::Unsendable)?;
        let (status, reply) =
            timeout(REPLY_TIMEOUT, self.send(request)).await.map_err(|_| ApiError::Timeout)??;
        let message = reply.get("id").and_then(Value::as_str);
        match (status, message) {
            (StatusCode::ACCEPTED, Some(message)) => Ok(Accepted::Message(message.to_owned())),
            // A conflict with no field is the loop guard's.
            (StatusCode::CONFLICT, _) if reply.get("errors").is_none() => Ok(Accepted::HeldBack),
            (status, _) => Err(ApiError::Refused(status)),
        }
    }

    /// The status, and the body as JSON; null where it is none.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Value), ApiError> {
        let (head, body) = self.client.request(request).await.map_err(ApiError::Unreachable)?.into_parts();
        let body = Limited::new(body, MAX_REPLY_BYTES).collect().await;
        let reply = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
        Ok((head.status, reply.unwrap_or_default()))
    }
}

/// The URL to connect to and the `Host`, if the name is one within `localhost`: those are this machine (RFC 6761 §6.3), which
/// not every resolver knows. Emulators serve each function at such a name.
fn on_this_machine(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    name.ends_with(".localhost").then(|| (format!("http://127.0.0.1:{port}{path}"), host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_within_localhost_are_this_machine() {
        let found = on_this_machine("http://a.lambda-url.us-east-1.localhost:4566/v1");
        assert_eq!(
            found,
            Some(("http://127.0.0.1:4566/v1".to_owned(), "a.lambda-url.us-east-1.localhost:4566".to_owned()))
        );
        for other in ["https://a.localhost", "http://localhost:4566", "http://a.localhost.example.com"] {
            assert_eq!(on_this_machine(other), None, "{other}");
        }
    }
}
