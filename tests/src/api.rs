//! A client of the HTTP API, as the people who own mailboxes have one: plain HTTP through API Gateway.
//!
//! Whatever a scenario sends, an answer is never a 5xx, and never holds a secret: that is checked here, at every call.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, SET_COOKIE};
use hyper::{Method, Request};
use mailroom_local::http;
use mailroom_local::stack::Stack;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::secret_scan;

/// A client of one account's API. Cheap to clone, and used from many threads at once.
#[derive(Debug, Clone)]
pub struct Api {
    handle: Handle,
    gateway: SocketAddr,
    base: String,
    account: String,
}

/// A response of the API.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The cookies that a browser would send from now on.
    pub cookies: Vec<String>,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null where it is not JSON.
    pub body: Value,
}

impl Reply {
    /// The response itself, if it has this status.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The fields that a problem names, in order.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body.get("errors").and_then(Value::as_array).into_iter().flatten();
        errors.filter_map(|error| error.get("field").and_then(Value::as_str)).collect()
    }

    /// The id in the body.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    #[track_caller]
    pub fn id(&self) -> String {
        self.body.get("id").and_then(Value::as_str).expect("an id").to_owned()
    }
}

impl Api {
    pub(crate) fn new(handle: Handle, gateway: SocketAddr, stack: &Stack) -> Self {
        let base = stack.api.url.trim_start_matches(stack.endpoint.as_str()).to_owned();
        Self { handle, gateway, base, account: stack.account.clone() }
    }

    /// Sends GET.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], None)
    }

    /// Sends POST with a JSON body.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends PUT with a JSON body.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.call("PUT", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends PATCH with a JSON merge patch (RFC 7396).
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/merge-patch+json")];
        self.call("PATCH", path, &headers, Some(body.to_string().as_bytes()))
    }

    /// Sends DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, &[], None)
    }

    /// Sends any request. `path` with its query; a body is JSON unless a header says otherwise.
    ///
    /// # Panics
    /// When the answer is a 5xx, or gives a secret away.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        let reply = self.exchange(method, path, headers, body);
        assert!(reply.status < 500, "{method} {path}: {} {}", reply.status, reply.text);
        reply
    }

    /// Sends any request, and accepts a 5xx too.
    ///
    /// # Panics
    /// When there is no answer, or it gives a secret away.
    #[track_caller]
    pub fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(format!("{}{path}", self.base))
            // Which account's API is meant, the emulator learns from nothing else. It checks no signature.
            .header(AUTHORIZATION, format!("AWS4-HMAC-SHA256 Credential={}/execute-api", self.account));
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        if body.is_some() && !typed {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::copy_from_slice(body.unwrap_or_default())).expect("a request");
        let response = self.handle.block_on(http::send(self.gateway, request)).expect("the gateway answers");
        let cookies = response.headers().get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let cookies = cookies.filter_map(|cookie| cookie.split(';').next()).map(str::to_owned).collect();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let text = String::from_utf8_lossy(response.body()).into_owned();
        secret_scan::assert_kept(&format!("{method} {path}"), &text);
        let body = serde_json::from_str(&text).unwrap_or_default();
        Reply { status: response.status().as_u16(), headers, cookies, text, body }
    }
}

/// The event in which API Gateway passes a request on (payload format 2.0). `path` with its query; a body is JSON.
#[must_use]
pub fn event(method: &str, path: &str, body: Option<&Value>) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "request", "stage": "$default", "http": {"method": method, "path": path}},
        "body": body.map(Value::to_string), "isBase64Encoded": false,
    })
}
