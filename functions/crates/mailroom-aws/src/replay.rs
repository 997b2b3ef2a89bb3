//! A service that gives the replies of a script and keeps what it was asked.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::{Value, json};

use crate::client::Clients;

/// What a service was asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The operation, or method and path where the protocol names none.
    pub(crate) operation: String,
    /// The JSON body, or null.
    pub(crate) body: Value,
    /// The value of the Content-Type header.
    pub(crate) content_type: String,
}

/// The calls so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// The names of the operations, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.all().into_iter().map(|call| call.operation).collect()
    }

    /// The calls, in order.
    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }
}

/// A reply of a script.
#[derive(Clone)]
pub(crate) struct Reply(u16, String);

impl Reply {
    /// As it comes over the wire.
    pub(crate) fn response(self) -> HttpResponse {
        let Self(status, body) = self;
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
    }
}

/// A profile's item as the table's service sends it.
pub(crate) fn stored(id: &str) -> Value {
    json!({
        "PK": {"S": format!("PROFILE#{id}")}, "SK": {"S": "PROFILE"},
        "id": {"S": id}, "name": {"S": "Support"}, "listen": {"BOOL": true}, "mailbox": {"S": "INBOX"},
        "imap": {"M": {"host": {"S": "imap.example.com"}, "port": {"N": "993"}, "security": {"S": "tls"}}},
        "flow_schema_id": {"S": "add-to-queue"}, "refresh_interval": {"N": "300"},
        "auth": {"M": {"type": {"S": "plain"}, "login": {"S": "support@example.com"}}},
        "start_from": {"S": "now"}, "max_message_bytes": {"N": "26214400"}, "version": {"N": "1"},
        "created_at": {"N": "1793534400000"}, "updated_at": {"N": "1793534400000"},
        "status": {"M": {"state": {"S": "pending"}}},
        "lease_until": {"N": "1793534400000"}, "fence": {"N": "8"}, "tries": {"N": "3"}
    })
}

/// A response of an operation that succeeds.
pub(crate) fn ok(body: Value) -> Reply {
    Reply(200, if body.is_null() { String::new() } else { body.to_string() })
}

/// The service answers with this status.
pub(crate) fn with_status(status: u16, body: &str) -> Reply {
    Reply(status, body.to_owned())
}

/// The operation succeeds, and the connection breaks within the body.
pub(crate) fn cut_short(body: &str) -> Reply {
    Reply(200, body.to_owned())
}

/// The operation fails with this exception.
pub(crate) fn exception(name: &str) -> Reply {
    Reply(400, json!({"__type": format!("com.amazonaws#{name}"), "message": "canned"}).to_string())
}

/// The operation fails with this exception, which has more to say.
pub(crate) fn refusal(name: &str, members: &Value) -> Reply {
    let mut body = members.clone();
    body["__type"] = json!(format!("com.amazonaws#{name}"));
    Reply(400, body.to_string())
}

/// The service is out of order.
pub(crate) fn out_of_order() -> Reply {
    Reply(500, json!({"__type": "com.amazonaws#InternalServerError"}).to_string())
}

/// Clients of a service that replies with `script` and then refuses everything.
pub(crate) fn service(script: impl IntoIterator<Item = Reply>) -> (Clients, Calls) {
    let calls = Calls::default();
    let script = Arc::new(Mutex::new(script.into_iter().collect()));
    let http = SharedHttpClient::new(Canned { calls: calls.clone(), script });
    (Clients::answered_by(http), calls)
}

#[derive(Clone)]
struct Canned {
    calls: Calls,
    script: Arc<Mutex<VecDeque<Reply>>>,
}

/// Says nothing: the script may hold what must not be seen in anything's debug output.
impl fmt::Debug for Canned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canned")
    }
}

impl Call {
    /// What a request asks.
    pub(crate) fn read(request: &HttpRequest) -> Self {
        let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
        let operation = match header("x-amz-target").rsplit_once('.') {
            Some((_, operation)) => operation.to_owned(),
            None => {
                let path = request.uri().trim_start_matches(Clients::CANNED_ENDPOINT);
                format!("{} {}", request.method(), path.split('?').next().unwrap_or_default())
            }
        };
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let content_type = header("content-type");
        Self { operation, body: body.unwrap_or_default(), content_type }
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.calls.0.lock().unwrap().push(Call::read(&request));
        let reply = self.script.lock().unwrap().pop_front().unwrap_or_else(|| exception("EndOfScript"));
        HttpConnectorFuture::ready(Ok(reply.response()))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
