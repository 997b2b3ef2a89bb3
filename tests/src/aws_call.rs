//! A call of an AWS operation, read off its HTTP request.

use std::fmt;

use bytes::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};

/// A call of an AWS operation.
#[derive(Clone)]
pub struct Call {
    /// The operation, such as `dynamodb.UpdateItem` or `s3.PutObject`.
    pub operation: String,
    /// What it is about: the S3 object's path, or the JSON body.
    pub about: String,
    /// The request body, byte for byte.
    pub body: Bytes,
    /// The path and the query.
    pub uri: String,
    /// The name of the function that made it.
    pub function: String,
    /// The account that it was made in.
    pub account: String,
    /// The HTTP status of the answer; 0 where there was none.
    pub status: u16,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about: String = self.about.chars().take(300).collect();
        write!(f, "{} {about} -> {}", self.operation, self.status)
    }
}

impl Call {
    /// Whether the operation changes something.
    #[must_use]
    pub fn writes(&self) -> bool {
        let verb = self.operation.split('.').nth(1).unwrap_or_default();
        !["Get", "BatchGet", "Query", "List", "Head", "Describe", "Receive"]
            .iter()
            .any(|read| verb.starts_with(read))
    }

    /// Recognizes the operation: by its target, or by service, method and path where the protocol is REST.
    pub(crate) fn of(request: &Request<Bytes>) -> Self {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        // `Credential=KEY/date/region/service/aws4_request`; the key is the account.
        let scope = header(AUTHORIZATION.as_str()).and_then(|value| value.split("Credential=").nth(1));
        let of_scope = |n: usize| scope.and_then(|scope| scope.split('/').nth(n));
        let service = of_scope(3).unwrap_or("unsigned");
        let account = of_scope(0).unwrap_or_default().to_owned();
        let path = request.uri().path();
        let verb = match header("x-amz-target").and_then(|target| target.rsplit('.').next()) {
            Some(verb) => verb.to_owned(),
            None => rest_verb(service, request.method(), path),
        };
        let body = request.body().clone();
        let about =
            if service == "s3" { path.to_owned() } else { String::from_utf8_lossy(&body).into_owned() };
        let function = header("x-amz-security-token").unwrap_or_default().to_owned();
        let uri = request.uri().to_string();
        Self { operation: format!("{service}.{verb}"), about, body, uri, function, account, status: 0 }
    }
}

fn rest_verb(service: &str, method: &Method, path: &str) -> String {
    let noun = match (service, path.trim_matches('/').contains('/')) {
        ("s3", true) => "Object",
        ("s3", false) => "Bucket",
        ("scheduler", _) => "Schedule",
        _ => path,
    };
    let verb = match *method {
        Method::GET => "Get",
        Method::HEAD => "Head",
        Method::PUT if service == "s3" => "Put",
        Method::PUT => "Update",
        Method::POST => "Create",
        Method::DELETE => "Delete",
        _ => "Do",
    };
    format!("{verb}{noun}")
}
