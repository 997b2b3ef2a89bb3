//! What starts the function: a batch of the send queue, each message read on its own.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use mailroom_core::outbound::OutboundId;
use mailroom_core::profile::ProfileId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// One message of the queue.
#[derive(Debug)]
pub(crate) struct Record {
    /// The queue's name for the message.
    pub(crate) id: String,
    /// What it is put off by.
    pub(crate) receipt: String,
    /// As it came.
    pub(crate) body: String,
}

/// A message that says whose it is.
#[derive(Debug)]
pub(crate) struct Order {
    /// The queue's message.
    pub(crate) record: Record,
    /// The profile that sends it.
    pub(crate) profile: ProfileId,
    /// Its id.
    pub(crate) id: OutboundId,
    /// The message, where it came by the queue itself; `None` where it is stored.
    pub(crate) message: Option<Value>,
}

/// The event is no batch of a queue.
#[derive(Debug, thiserror::Error)]
#[error("the event is no batch of the send queue")]
pub struct UnknownEvent(#[source] serde_json::Error);

/// Reads a batch.
pub(crate) fn records(payload: Value) -> Result<Vec<Record>, UnknownEvent> {
    let event: SqsEvent = serde_json::from_value(payload).map_err(UnknownEvent)?;
    let record = |message: SqsMessage| Record {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    };
    Ok(event.records.into_iter().map(record).collect())
}

impl Order {
    /// What tells two messages of one id apart, where the queue has brought this one. The order of members makes no
    /// difference.
    pub(crate) fn digest(&self) -> Option<String> {
        let message = serde_json::to_vec(self.message.as_ref()?).ok()?;
        Some(hex::encode(Sha256::digest(message)))
    }

    /// Reads whose message it is. What is wrong with the message itself is found when it is looked at.
    ///
    /// # Errors
    /// With the record and what is wrong with it.
    pub(crate) fn read(record: Record) -> Result<Self, (Record, String)> {
        let read = || {
            let body: Value =
                serde_json::from_str(&record.body).map_err(|error| format!("no JSON: {error}"))?;
            let Value::Object(mut members) = body else { return Err("no object".to_owned()) };
            let mut take = |name: &str| match members.remove(name) {
                Some(Value::String(text)) => Ok(text),
                Some(_) | None => Err(format!("{name} is required")),
            };
            let profile = take("profile_id")?;
            let id = take("id")?;
            let profile = ProfileId::parse(&profile).map_err(|why| format!("profile_id {why}"))?;
            let id = OutboundId::parse(&id).map_err(|why| format!("id {why}"))?;
            Ok((profile, id, (!members.is_empty()).then_some(Value::Object(members))))
        };
        match read() {
            Ok((profile, id, message)) => Ok(Self { record, profile, id, message }),
            Err(why) => Err((record, why)),
        }
    }
}

/// The answer that has the queue deliver the messages named in `failed` again, and only those.
pub(crate) fn partial_failure(failed: Vec<String>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed
        .into_iter()
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(body: &str) -> Result<Order, String> {
        let record = Record { id: "1".to_owned(), receipt: String::new(), body: body.to_owned() };
        Order::read(record).map_err(|(_, why)| why)
    }

    #[test]
    fn a_message_says_whose_it_is_or_what_is_wrong() {
        let stored = order(r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a"}"#).unwrap();
        assert!(stored.message.is_none());
        let whole = order(r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a", "text": "x"}"#).unwrap();
        assert_eq!(whole.message, Some(serde_json::json!({"text": "x"})));
        for (body, why) in [
            ("", "no JSON"),
            ("[]", "no object"),
            ("{}", "profile_id is required"),
            (r#"{"profile_id": 1, "id": "a"}"#, "profile_id is required"),
            (r#"{"profile_id": "x", "id": "a"}"#, "profile_id must be"),
            (r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a b"}"#, "id must be"),
        ] {
            let said = order(body).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
