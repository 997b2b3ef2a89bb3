//! What the pages ask of the API: the operations of its contract, by the same rules. No page knows another way to what is
//! stored.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use mailroom_contract::route::{Method, Operation, ROUTES, Segments};
use serde_json::Value;

use crate::http::request::Request;
use crate::http::response::Response;

/// The operations of the API.
pub(crate) trait Operations: Sync {
    /// Performs an operation for this caller, as a part of this request.
    fn ask<'a>(&'a self, of: &'a Request, authorizer: &'a Value, call: Call) -> BoxFuture<'a, Answer>;

    /// Whether this caller may have an operation performed.
    fn allows(&self, authorizer: &Value, operation: Operation) -> bool;
}

/// An operation, and what it is told.
pub(crate) struct Call {
    operation: Operation,
    segments: Segments,
    query: String,
    headers: HashMap<String, String>,
    body: Option<Value>,
}

impl Call {
    /// An operation without a body.
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            operation,
            segments: Segments::default(),
            query: String::new(),
            headers: HashMap::new(),
            body: None,
        }
    }

    /// The operation on what has this id.
    pub(crate) fn on(operation: Operation, id: &str) -> Self {
        let mut call = Self::new(operation);
        id.clone_into(&mut call.segments.id);
        call
    }

    /// The same, of a message of the profile.
    pub(crate) fn message(mut self, message: &str) -> Self {
        message.clone_into(&mut self.segments.message);
        self
    }

    /// The same with a parameter; an empty one is left out.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            let before = if self.query.is_empty() { "" } else { "&" };
            self.query = format!("{}{before}{name}={}", self.query, encoded(value));
        }
        self
    }

    /// The same with a body.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The same with a header, whose name is in lower case.
    pub(crate) fn header(mut self, name: &str, value: String) -> Self {
        self.headers.insert(name.to_owned(), value);
        self
    }

    /// The request that says so.
    pub(crate) fn into_request(self, of: &Request, authorizer: &Value) -> (Operation, Segments, Request) {
        let route = ROUTES.iter().find(|route| route.operation == self.operation);
        let method = route.map_or(Method::Get, |route| route.method).as_str();
        let body = self.body.map(|body| body.to_string());
        let request = of.derived(authorizer.clone(), method, self.query, self.headers, body);
        (self.operation, self.segments, request)
    }
}

/// What the API answers.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body; null where there is none.
    pub(crate) body: Value,
}

impl Answer {
    /// Reads a response.
    pub(crate) fn of(response: &Response) -> Self {
        let body = response.body().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self { status: response.status(), body }
    }

    /// The body, or why there is none.
    pub(crate) fn ok(self) -> Result<Value, Refusal> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(self.refusal())
    }

    /// Why the API refused.
    pub(crate) fn refusal(self) -> Refusal {
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let errors = self.body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let problems = errors.map(|error| (text(error, "field"), text(error, "message"))).collect();
        Refusal { status: self.status, detail: text(&self.body, "detail"), problems }
    }
}

/// Why the API refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// One sentence for people.
    pub(crate) detail: String,
    /// The fields that are wrong, each with what is wrong with it.
    pub(crate) problems: Vec<(String, String)>,
}

/// A text as a part of a query (RFC 3986 §3.4).
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_is_one_value_of_a_query() {
        assert_eq!(super::encoded("a b&c=ü/1"), "a%20b%26c%3D%C3%BC%2F1");
    }
}
