//! One HTTP request to a provider. A person typed the address, or a document of the provider names it: so the host is
//! checked at each connection, the response is bounded, and redirects are not followed.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use mailroom_core::server::{Host, Security, Server};
use mailroom_net::connect::{self, AllowedHosts, NetError};
use mailroom_net::tls::{Tls, TlsError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// The largest response that is read. Discovery documents have some kilobytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// How long one request may take, from the first packet to the last byte.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);

/// An address that may be requested: `https`, or `http` where the deployment allows the host by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    server: Server,
    encrypted: bool,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

/// Why an address cannot be a provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is not a URL with a host.
    #[error("is no https address")]
    Malformed,
    /// It begins with http://.
    #[error("does not begin with https://")]
    NotEncrypted,
}

/// Why a request has no usable response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection failed.
    #[error("there is no connection")]
    Net(#[source] NetError),
    /// TLS could not be established.
    #[error("there is no TLS")]
    Tls(#[source] TlsError),
    /// The deadline passed.
    #[error("there was no answer in time")]
    Timeout,
    /// The connection broke, or the response is not HTTP.
    #[error("the connection broke, or the answer is not HTTP")]
    Broken(#[source] hyper::Error),
    /// The response is larger than a provider's can be.
    #[error("the answer is larger than {MAX_RESPONSE_BYTES} bytes")]
    TooLarge,
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Unsendable(#[source] hyper::http::Error),
}

/// A response with its whole body.
#[derive(Debug)]
pub struct Response {
    /// The status (RFC 9110 §15).
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// Its body. May hold secrets.
    pub body: Vec<u8>,
}

impl Response {
    /// Where the response redirects to, if it does (RFC 9110 §15.4). Redirects are not followed.
    #[must_use]
    pub fn redirect(&self) -> Option<&str> {
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        self.status.is_redirection().then(|| location.unwrap_or("another address"))
    }

    /// Whether the response is HTML: a page for people, where JSON is expected.
    #[must_use]
    pub fn is_html(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }
}

/// Sends requests to providers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    tls: Tls,
    allowed: AllowedHosts,
}

impl Http {
    /// Sends requests by `tls`, and only to hosts that are public or `allowed`.
    #[must_use]
    pub const fn new(tls: Tls, allowed: AllowedHosts) -> Self {
        Self { tls, allowed }
    }

    /// Parses an address. `http` is for hosts that are allowed by name.
    ///
    /// # Errors
    /// When the address cannot be requested. What the host resolves to is checked at each connection, not here.
    pub fn endpoint(&self, text: &str) -> Result<Endpoint, EndpointError> {
        let url = Url::parse(text).map_err(|_| EndpointError::Malformed)?;
        let name = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let host = Host::parse(name).map_err(|_| EndpointError::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Malformed);
        }
        let encrypted = match url.scheme() {
            "https" => true,
            "http" if self.allowed.names(&host) => false,
            "http" => return Err(EndpointError::NotEncrypted),
            _ => return Err(EndpointError::Malformed),
        };
        let port = url.port_or_known_default().and_then(NonZeroU16::new).ok_or(EndpointError::Malformed)?;
        let server = Server { host, port, security: Security::Tls };
        Ok(Endpoint { url, server, encrypted })
    }

    /// Fetches a document.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn get(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Response, HttpError> {
        let request = request(endpoint, "application/json").method(Method::GET).body(Full::default());
        self.send(endpoint, request.map_err(HttpError::Unsendable)?, deadline).await
    }

    /// Fetches a document that a token gives access to (RFC 6750 §2.1).
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn get_with_token(
        &self,
        endpoint: &Endpoint,
        token: &SecretString,
        deadline: Instant,
    ) -> Result<Response, HttpError> {
        let bearer = format!("Bearer {}", token.expose_secret());
        let request = request(endpoint, "application/json").method(Method::GET).header(AUTHORIZATION, bearer);
        self.send(endpoint, request.body(Full::default()).map_err(HttpError::Unsendable)?, deadline).await
    }

    /// Fetches a document of any type from one of these addresses of the endpoint's host.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn get_at(
        &self,
        endpoint: &Endpoint,
        addresses: Vec<SocketAddr>,
        deadline: Instant,
    ) -> Result<Response, HttpError> {
        let request = request(endpoint, "*/*").method(Method::GET).body(Full::default());
        let request = request.map_err(HttpError::Unsendable)?;
        let exchange = async {
            let tcp = connect::connect_to(endpoint.host(), addresses, &self.allowed).await;
            self.exchange_over(endpoint, tcp.map_err(HttpError::Net)?, request).await
        };
        timeout_at(deadline, Box::pin(exchange)).await.map_err(|_| HttpError::Timeout)?
    }

    /// Sends a request that the `oauth2` crate composed, to its endpoint.
    pub(crate) async fn send_composed(
        &self,
        endpoint: &Endpoint,
        parts: hyper::http::Request<Vec<u8>>,
        deadline: Instant,
    ) -> Result<Response, HttpError> {
        let (parts, body) = parts.into_parts();
        let mut builder = request(endpoint, "application/json").method(parts.method);
        for (name, value) in &parts.headers {
            if name != ACCEPT && name != HOST {
                builder = builder.header(name, value);
            }
        }
        let request = builder.body(Full::from(body)).map_err(HttpError::Unsendable)?;
        self.send(endpoint, request, deadline).await
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Response, HttpError> {
        let exchange = async {
            let tcp = connect::connect(&endpoint.server, &self.allowed).await.map_err(HttpError::Net)?;
            self.exchange_over(endpoint, tcp, request).await
        };
        timeout_at(deadline, Box::pin(exchange)).await.map_err(|_| HttpError::Timeout)?
    }

    async fn exchange_over(
        &self,
        endpoint: &Endpoint,
        tcp: TcpStream,
        request: Request<Full<Bytes>>,
    ) -> Result<Response, HttpError> {
        if endpoint.encrypted {
            let tls = self.tls.connect(&endpoint.server.host, tcp).await.map_err(HttpError::Tls)?;
            exchange(tls, request).await
        } else {
            exchange(tcp, request).await
        }
    }
}

impl Endpoint {
    /// The address as it was parsed.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The host of the address.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.server.host
    }

    /// The server of the address.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Whether both are of the same scheme, host and port (RFC 6454 §4).
    #[must_use]
    pub fn is_same_origin(&self, other: &Url) -> bool {
        self.url.origin() == other.origin()
    }
}

fn request(endpoint: &Endpoint, accept: &'static str) -> hyper::http::request::Builder {
    let (path, url) = (endpoint.url.path(), &endpoint.url);
    let target = url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    Request::builder().uri(target).header(HOST, host).header(ACCEPT, accept).header(USER_AGENT, "Mailroom")
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(100)
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(HttpError::Broken)?;
    let answered = async {
        let (parts, body) = sender.send_request(request).await.map_err(HttpError::Broken)?.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await.map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(error) => HttpError::Broken(*error),
                // The only other error of a limited body.
                Err(other) => {
                    debug_assert!(other.is::<LengthLimitError>());
                    HttpError::TooLarge
                }
            }
        })?;
        Ok(Response { status: parts.status, headers: parts.headers, body: body.to_bytes().to_vec() })
    };
    let mut answered = std::pin::pin!(answered);
    let mut connection = std::pin::pin!(connection);
    // The connection is driven as long as the answer is waited for, and ends with it.
    tokio::select! {
        biased;
        answer = &mut answered => answer,
        ended = &mut connection => match ended {
            Ok(()) => answered.await,
            Err(error) => Err(HttpError::Broken(error)),
        },
    }
}
