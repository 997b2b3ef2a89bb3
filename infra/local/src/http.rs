//! HTTP/1.1 on this machine: one connection per request, a deadline, and a bound on what is read.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::problem::{Problem, chain};

/// How long a reply may take: a function's first start is part of it.
const REPLY_TIMEOUT: Duration = Duration::from_secs(35);

/// The largest reply: a message of the largest size, with room to spare.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// The reply of a server.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body as JSON; null where it is not JSON.
    pub body: Value,
}

/// Sends JSON to `url`, which is `http://` and on this machine.
///
/// # Errors
/// When nobody answers there.
pub async fn post(url: &str, body: &Value) -> Result<Reply, Problem> {
    ask(
        url,
        Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/json"),
        body.to_string(),
    )
    .await
}

/// Sends JSON to `url` with an `Idempotency-Key`: a repeat of the request has the answer of the first.
///
/// # Errors
/// When nobody answers there.
pub async fn post_once(url: &str, key: &str, body: &Value) -> Result<Reply, Problem> {
    let request = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", key);
    ask(url, request, body.to_string()).await
}

/// Sends a form to `url`, which is `http://` and on this machine.
///
/// # Errors
/// When nobody answers there.
pub async fn post_form(url: &str, body: &str) -> Result<Reply, Problem> {
    let form = "application/x-www-form-urlencoded";
    ask(url, Request::builder().method(Method::POST).header(CONTENT_TYPE, form), body.to_owned()).await
}

/// Reads what is at `url`, which is `http://` and on this machine.
///
/// # Errors
/// When nobody answers there.
pub async fn get(url: &str) -> Result<Reply, Problem> {
    ask(url, Request::builder().method(Method::GET), String::new()).await
}

/// Deletes what is at `url`, which is `http://` and on this machine.
///
/// # Errors
/// When nothing answers there.
pub async fn delete(url: &str) -> Result<Reply, Problem> {
    ask(url, Request::builder().method(Method::DELETE), String::new()).await
}

/// Calls an operation of CloudWatch Logs: one operation is no reason to link its SDK. `account` is
/// the emulator's access key: the request is not signed, and no emulator looks.
///
/// # Errors
/// When nothing answers there.
pub async fn call_logs(endpoint: &str, account: &str, target: &str, body: &Value) -> Result<Reply, Problem> {
    let request = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .header(
            AUTHORIZATION,
            format!(
                "AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/logs/aws4_request, \
                 SignedHeaders=host, Signature=0"
            ),
        );
    ask(&format!("{}/", endpoint.trim_end_matches('/')), request, body.to_string()).await
}

async fn ask(url: &str, request: Builder, body: String) -> Result<Reply, Problem> {
    let no_answer = |why: &str| Problem::new(format!("{url} does not answer: {why}"));
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
    let request = request
        .header(HOST, host)
        .uri(format!("/{path}"))
        .body(Bytes::from(body))
        .map_err(Problem::while_("cannot make a request"))?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let sent =
        timeout(REPLY_TIMEOUT, exchange(server, request)).await.map_err(|_| no_answer("time ran out"))?;
    let answer = sent.map_err(|error| no_answer(&chain(&*error)))?;
    Ok(Reply {
        status: answer.status().as_u16(),
        body: serde_json::from_slice(answer.body()).unwrap_or_default(),
    })
}

/// Sends a request to `server` over a connection of its own, and reads the answer whole.
///
/// # Errors
/// When the connection breaks, or the answer has no end.
pub async fn send(
    server: SocketAddr,
    mut request: Request<Bytes>,
) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    request.headers_mut().insert(HOST, HeaderValue::from_str(&server.to_string())?);
    exchange(server, request).await
}

/// The same with the request's own Host, which tells a server of many names which of them is meant.
async fn exchange(
    server: SocketAddr,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_REPLY_BYTES).collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(parts, body))
}
