//! Sending: profiles with an SMTP server, messages, and the send queue as Lambda runs it.

use std::time::Duration;

use mailroom_core::outbound::ports::SESSIONS_PER_PROFILE;
use mailroom_core::profile::{Profile, ProfileId};
use mailroom_core::server::Security;
use serde_json::{Value, json};

use super::{World, server};
use crate::api::Reply;
use crate::aws::Delivered;
use crate::lambda::{Lambda, Outcome, Pending};
use crate::smtp_server::{Options, SmtpServer};

/// How long a batch has when a scenario does not say: as in the template.
pub const BATCH_LIMIT: Duration = Duration::from_secs(180);

impl World {
    /// Starts an SMTP server for this scenario alone.
    #[must_use]
    pub fn smtp_server(&self, options: &Options) -> SmtpServer {
        SmtpServer::start(self.servers().certificates(), options)
    }

    /// Creates a profile for the mailbox that sends through this server, after STARTTLS.
    pub fn sender(&self, smtp: &SmtpServer, change: impl FnOnce(&mut Profile)) -> ProfileId {
        self.profile(|profile| {
            let host = smtp.address().to_string();
            profile.settings.smtp = Some(server(&host, smtp.submission(), Security::StartTls));
            change(profile);
        })
    }

    /// Submits a message to the API, and returns its id.
    #[track_caller]
    pub fn submit(&self, profile: ProfileId, body: &Value) -> String {
        self.post_message(profile, &[], body).expect(202).id()
    }

    /// Posts a message to the API, whatever the response.
    #[track_caller]
    pub fn post_message(&self, profile: ProfileId, headers: &[(&str, &str)], body: &Value) -> Reply {
        let path = format!("/profiles/{profile}/messages");
        self.api().call("POST", &path, headers, Some(body.to_string().as_bytes()))
    }

    /// A message as the API shows it.
    #[track_caller]
    pub fn message(&self, profile: ProfileId, id: &str) -> Value {
        self.api().get(&format!("/profiles/{profile}/messages/{id}")).expect(200).body
    }

    /// Delivers the send queue in batches of ten until it is empty, and requires an answer to each. Returns the number
    /// of batches.
    pub fn send_all(&self) -> usize {
        let mut batches = 0;
        while let Some(outcome) = self.send_batch(BATCH_LIMIT) {
            batches += 1;
            assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}: {}", self.send_function().log());
            assert!(batches <= 200, "the send queue never ends");
        }
        batches
    }

    /// Delivers one batch of the send queue; `None` when the queue is empty. Queue messages that the function is done
    /// with are deleted.
    pub fn send_batch(&self, limit: Duration) -> Option<Outcome> {
        let batch = self.aws().deliver(&self.stack().queues.send, 10);
        if batch.is_empty() {
            return None;
        }
        let outcome = self.send_function().invoke(batch_event(&batch), limit);
        self.delete_done(&batch, &outcome);
        Some(outcome)
    }

    /// Delivers a batch to the send function. The caller waits for the outcome.
    #[must_use]
    pub fn begin_batch(&self, batch: &[Delivered], limit: Duration) -> Pending {
        self.begin_batch_of(self.send_function(), batch, limit)
    }

    /// Delivers a batch to this function. The caller waits for the outcome.
    #[must_use]
    pub fn begin_batch_of(&self, function: &Lambda, batch: &[Delivered], limit: Duration) -> Pending {
        function.begin(batch_event(batch), limit)
    }

    /// A second send function over the same resources.
    #[must_use]
    pub fn another_send_function(&self) -> Lambda {
        let log = self.files.path().join("second-send.log");
        let deployed = &self.stack.functions.send;
        super::run(&self.runtime, self.servers.send(), deployed, &self.stack, &self.proxy, &log)
    }

    /// Deletes the queue messages that the function reports no failure of, as Lambda does.
    pub fn delete_done(&self, batch: &[Delivered], outcome: &Outcome) {
        let Outcome::Answered(answer) = outcome else { return };
        let failures = answer.get("batchItemFailures").and_then(Value::as_array).cloned().unwrap_or_default();
        let failed = |id: &str| {
            failures.iter().any(|one| one.get("itemIdentifier").and_then(Value::as_str) == Some(id))
        };
        for message in batch.iter().filter(|message| !failed(&message.id)) {
            self.aws().delete(&self.stack().queues.send, &message.receipt);
        }
    }

    /// Makes a message due now (its next attempt, or the end of a crashed invocation's lease), and puts it on the send
    /// queue once more.
    pub fn hurry(&self, profile: ProfileId, id: &str) {
        self.forward(profile, id);
        self.aws().send(
            &self.stack().queues.send,
            &json!({"profile_id": profile.to_string(), "id": id}).to_string(),
        );
    }

    /// Puts a message on the send queue once more. It may have been deleted.
    pub fn hurry_gone(&self, profile: ProfileId, id: &str) {
        let request = json!({"profile_id": profile.to_string(), "id": id});
        self.aws().send(&self.stack().queues.send, &request.to_string());
    }

    /// Whether a message's outcome was published.
    #[must_use]
    pub fn is_published(&self, profile: ProfileId, id: &str) -> bool {
        self.out_item(profile, id).pointer("/Item/told/BOOL") == Some(&Value::Bool(true))
    }

    fn out_item(&self, profile: ProfileId, id: &str) -> Value {
        let key = json!({"PK": {"S": format!("PROFILE#{profile}")}, "SK": {"S": format!("OUT#{id}")}});
        let get = json!({"TableName": self.stack().table, "Key": key, "ConsistentRead": true});
        self.aws().call("dynamodb", "DynamoDB_20120810.GetItem", &get)
    }

    /// Makes a message this many seconds older.
    pub fn age(&self, profile: ProfileId, id: &str, seconds: i64) {
        let key = json!({"PK": {"S": format!("PROFILE#{profile}")}, "SK": {"S": format!("OUT#{id}")}});
        let _ = self.aws().call(
            "dynamodb",
            "DynamoDB_20120810.UpdateItem",
            &json!({
                "TableName": self.stack().table, "Key": key, "UpdateExpression": "SET created_at = created_at - :time",
                "ExpressionAttributeValues": {":time": {"N": (seconds * 1000).to_string()}},
            }),
        );
    }

    /// Makes a message due now; the queue still delivers it by itself.
    pub fn forward(&self, profile: ProfileId, id: &str) {
        let key = json!({"PK": {"S": format!("PROFILE#{profile}")}, "SK": {"S": format!("OUT#{id}")}});
        let table = &self.stack().table;
        let item = self.out_item(profile, id);
        let leased = item.pointer("/Item/lease").is_some();
        let set = if leased { "SET lease.#until = :past" } else { "REMOVE next_at" };
        let mut update = json!({"TableName": table, "Key": key, "UpdateExpression": set});
        if leased && let Some(update) = update.as_object_mut() {
            update.insert("ExpressionAttributeNames".to_owned(), json!({"#until": "until"}));
            update.insert("ExpressionAttributeValues".to_owned(), json!({":past": {"N": "0"}}));
        }
        let _ = self.aws().call("dynamodb", "DynamoDB_20120810.UpdateItem", &update);
        if leased {
            self.free_sessions(profile);
        }
    }

    /// Ends what crashed runs hold of the profile's SMTP sessions, as time does.
    fn free_sessions(&self, profile: ProfileId) {
        for number in 0..SESSIONS_PER_PROFILE {
            let key =
                json!({"PK": {"S": format!("PROFILE#{profile}")}, "SK": {"S": format!("SESSION#{number}")}});
            let delete = json!({"TableName": self.stack().table, "Key": key});
            let _ = self.aws().call("dynamodb", "DynamoDB_20120810.DeleteItem", &delete);
        }
    }

    /// Ends the pause that a server's limit gave the profile's sending, as time does.
    pub fn end_sending_pause(&self, profile: ProfileId) {
        let key = json!({"PK": {"S": format!("PROFILE#{profile}")}, "SK": {"S": "PROFILE"}});
        let get = json!({"TableName": self.stack().table, "Key": key, "ConsistentRead": true});
        let item = self.aws().call("dynamodb", "DynamoDB_20120810.GetItem", &get);
        if item.pointer("/Item/sending").is_some() {
            let update = json!({"TableName": self.stack().table, "Key": key, "UpdateExpression": "REMOVE sending.not_before"});
            let _ = self.aws().call("dynamodb", "DynamoDB_20120810.UpdateItem", &update);
        }
    }

    /// Stores an object in the deployment's bucket.
    pub fn put_object(&self, key: &str, bytes: Vec<u8>) {
        self.aws().put_object(&self.stack().bucket, key, bytes);
    }

    /// Takes the outcomes off the outcome queue.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Value> {
        let published = self.aws().drain(&self.stack().queues.outcome);
        published.iter().map(|message| serde_json::from_str(&message.body).expect("JSON")).collect()
    }
}

/// The event in which the send queue delivers a batch.
#[must_use]
pub(super) fn batch_event(batch: &[Delivered]) -> Value {
    let records: Vec<Value> = batch
        .iter()
        .map(|message| {
            json!({
                "messageId": message.id, "receiptHandle": message.receipt, "body": message.body,
                "attributes": {}, "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:sends", "awsRegion": "us-east-1",
            })
        })
        .collect();
    json!({"Records": records})
}
