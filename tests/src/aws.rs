//! AWS as a test looks at it: what lies in the queues, the table and the bucket, read off the wire.
//!
//! Deliberately not by the project's own AWS crate: a test that reads with the code it tests sees what that code thinks.

use std::net::SocketAddr;

use bytes::Bytes;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use url::form_urlencoded;

/// An account of the emulator.
#[derive(Clone)]
pub struct Aws {
    handle: Handle,
    endpoint: SocketAddr,
    account: String,
}

/// A queue message that was taken off its queue for good.
#[derive(Debug, Clone)]
pub struct QueueMessage {
    /// The body, which for a job is JSON.
    pub body: String,
    /// Its FIFO group; empty on a standard queue.
    pub group: String,
}

/// A queue message that its queue has handed out, and will again unless it is deleted.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The id that SQS gave it.
    pub id: String,
    /// The receipt handle, by which it is deleted.
    pub receipt: String,
    /// The body as it was sent.
    pub body: String,
}

impl Aws {
    /// The emulator's account with this id. An emulator takes the access key for the account.
    #[must_use]
    pub const fn new(handle: Handle, endpoint: SocketAddr, account: String) -> Self {
        Self { handle, endpoint, account }
    }

    /// Calls an operation of a JSON protocol, such as (`sqs`, `AmazonSQS.SendMessage`).
    ///
    /// # Panics
    /// When the service refuses.
    #[must_use]
    pub fn call(&self, service: &str, target: &str, body: &Value) -> Value {
        let request = self
            .request(service, Method::POST, "/")
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .body(Bytes::from(body.to_string()))
            .expect("a request");
        let (status, answer) = self.exchange(request);
        assert!(status < 300, "{target}: {status} {}", String::from_utf8_lossy(&answer));
        if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).expect("JSON") }
    }

    /// The configuration of a function, as it was deployed.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    pub fn function(&self, name: &str) -> Value {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let get = self.request("lambda", Method::GET, &path).body(Bytes::new()).expect("a request");
        let (status, answer) = self.exchange(get);
        assert_eq!(status, 200, "{name}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// The XML with which IAM answers an action.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", "2010-05-08")])
            .extend_pairs(parameters)
            .finish();
        let post = self.request("iam", Method::POST, "/");
        let post = post.header("content-type", "application/x-www-form-urlencoded").body(Bytes::from(form));
        let (status, answer) = self.exchange(post.expect("a request"));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{action}: {answer}");
        answer
    }

    /// The object at `key`, or nothing.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let request = self
            .request("s3", Method::GET, &format!("/{bucket}/{key}"))
            .body(Bytes::new())
            .expect("a request");
        let (status, answer) = self.exchange(request);
        (status == 200).then_some(answer)
    }

    /// Stores an object, as whoever attaches one by its key does.
    ///
    /// # Panics
    /// When the bucket does not take it.
    pub fn put_object(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        let put = self.request("s3", Method::PUT, &format!("/{bucket}/{key}"));
        let (status, _) = self.exchange(put.body(Bytes::from(bytes)).expect("a request"));
        assert_eq!(status, 200);
    }

    /// The names of a group's schedules.
    ///
    /// # Panics
    /// When there may be more than are listed.
    #[must_use]
    pub fn schedules(&self, group: &str) -> Vec<String> {
        let path = format!("/schedules?ScheduleGroup={group}&MaxResults=100");
        let get = self.request("scheduler", Method::GET, &path).body(Bytes::new()).expect("a request");
        let (status, answer) = self.exchange(get);
        assert!(status < 300, "{status}");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let listed = answer.get("Schedules").and_then(Value::as_array).cloned().unwrap_or_default();
        assert!(listed.len() < 100, "there may be more");
        listed.iter().filter_map(|one| one.get("Name").and_then(Value::as_str)).map(str::to_owned).collect()
    }

    /// Removes every event source mapping, so that no queue starts a function any more.
    pub fn forget_event_sources(&self) {
        const MAPPINGS: &str = "/2015-03-31/event-source-mappings/";
        let get = self.request("lambda", Method::GET, MAPPINGS).body(Bytes::new()).expect("a request");
        let (_, answer) = self.exchange(get);
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        for mapping in answer.get("EventSourceMappings").and_then(Value::as_array).into_iter().flatten() {
            let id = mapping.get("UUID").and_then(Value::as_str).expect("a mapping has an id");
            let path = format!("{MAPPINGS}{id}");
            let delete = self.request("lambda", Method::DELETE, &path).body(Bytes::new()).expect("a request");
            let (status, _) = self.exchange(delete);
            assert!(status < 300, "{status}");
        }
    }

    /// Puts a queue message on a standard queue.
    pub fn send(&self, queue_url: &str, body: &str) {
        let message = json!({"QueueUrl": queue_url, "MessageBody": body});
        let _ = self.call("sqs", "AmazonSQS.SendMessage", &message);
    }

    /// Takes every queue message that is visible now, and deletes it.
    #[must_use]
    pub fn drain(&self, queue_url: &str) -> Vec<QueueMessage> {
        let mut taken = Vec::new();
        loop {
            let batch = self.receive(queue_url, 10);
            if batch.is_empty() {
                return taken;
            }
            taken.extend(batch);
        }
    }

    /// Takes at most `most` (10) queue messages, and deletes them.
    #[must_use]
    pub fn receive(&self, queue_url: &str, most: u32) -> Vec<QueueMessage> {
        let answer = self.call(
            "sqs",
            "AmazonSQS.ReceiveMessage",
            &json!({"QueueUrl": queue_url, "MaxNumberOfMessages": most, "WaitTimeSeconds": 0, "AttributeNames": ["All"]}),
        );
        let messages = answer.get("Messages").and_then(Value::as_array).cloned().unwrap_or_default();
        if messages.is_empty() {
            return Vec::new();
        }
        let text = |message: &Value, pointer: &str| {
            message.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let entries: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(
                |(n, message)| json!({"Id": n.to_string(), "ReceiptHandle": text(message, "/ReceiptHandle")}),
            )
            .collect();
        let _ = self.call(
            "sqs",
            "AmazonSQS.DeleteMessageBatch",
            &json!({"QueueUrl": queue_url, "Entries": entries}),
        );
        messages
            .iter()
            .map(|message| QueueMessage {
                body: text(message, "/Body"),
                group: text(message, "/Attributes/MessageGroupId"),
            })
            .collect()
    }

    /// Takes at most `most` (10) queue messages as Lambda does: they stay on the queue until they are deleted.
    #[must_use]
    pub fn deliver(&self, queue_url: &str, most: u32) -> Vec<Delivered> {
        let answer = self.call(
            "sqs",
            "AmazonSQS.ReceiveMessage",
            &json!({"QueueUrl": queue_url, "MaxNumberOfMessages": most, "WaitTimeSeconds": 0}),
        );
        let messages = answer.get("Messages").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |message: &Value, name: &str| {
            message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let delivered = |message: &Value| Delivered {
            id: text(message, "MessageId"),
            receipt: text(message, "ReceiptHandle"),
            body: text(message, "Body"),
        };
        messages.iter().map(delivered).collect()
    }

    /// Deletes a queue message that was delivered.
    pub fn delete(&self, queue_url: &str, receipt: &str) {
        let message = json!({"QueueUrl": queue_url, "ReceiptHandle": receipt});
        let _ = self.call("sqs", "AmazonSQS.DeleteMessage", &message);
    }

    /// How many queue messages a queue holds, visible or not.
    #[must_use]
    pub fn depth(&self, queue_url: &str) -> u64 {
        let answer = self.call(
            "sqs",
            "AmazonSQS.GetQueueAttributes",
            &json!({"QueueUrl": queue_url, "AttributeNames": ["All"]}),
        );
        let count = |name: &str| {
            let text = answer.pointer(&format!("/Attributes/{name}")).and_then(Value::as_str);
            text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        count("ApproximateNumberOfMessages") + count("ApproximateNumberOfMessagesNotVisible")
    }

    /// Every item of a table, in DynamoDB's own JSON.
    #[must_use]
    pub fn items(&self, table: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut body = json!({"TableName": table, "ConsistentRead": true});
            if let (Some(body), false) = (body.as_object_mut(), start.is_null()) {
                body.insert("ExclusiveStartKey".to_owned(), start);
            }
            let answer = self.call("dynamodb", "DynamoDB_20120810.Scan", &body);
            items.extend(answer.get("Items").and_then(Value::as_array).cloned().unwrap_or_default());
            start = answer.get("LastEvaluatedKey").cloned().unwrap_or(Value::Null);
            if start.is_null() {
                return items;
            }
        }
    }

    fn request(&self, service: &str, method: Method, path: &str) -> hyper::http::request::Builder {
        let scope = format!("{}/20260101/us-east-1/{service}/aws4_request", self.account);
        Request::builder().method(method).uri(path).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
    }

    fn exchange(&self, request: Request<Bytes>) -> (u16, Bytes) {
        let answer = self.handle.block_on(mailroom_local::http::send(self.endpoint, request));
        let answer = answer.expect("the emulator answers");
        (answer.status().as_u16(), answer.into_body())
    }
}
