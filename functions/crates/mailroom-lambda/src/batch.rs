//! A batch of queue messages, and the answer that has SQS deliver some of them again.
//!
//! Bodies stay strings here: each is read on its own by the function, so that a bad one never spoils its batch.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use serde_json::Value;

/// A queue message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// SQS's id for it, never empty: an empty one in an answer would have the whole batch delivered again.
    pub id: String,
    /// What changes its visibility, for this delivery.
    pub receipt_handle: String,
    /// Its body, as it was sent.
    pub body: String,
    /// How often the queue has delivered it, this time included; `None` where the event does not say.
    pub deliveries: Option<u32>,
}

/// The event is not a batch of a queue.
#[derive(Debug, thiserror::Error)]
pub enum NotABatch {
    /// It does not have the shape of an SQS event.
    #[error("the event is not a batch of queue messages")]
    Shape(#[source] serde_json::Error),
    /// A message has no id, so that nothing could be said about it in the answer.
    #[error("a queue message has no messageId")]
    NoMessageId,
}

/// Takes the queue messages out of an SQS event.
///
/// # Errors
/// When the event is not one, or a message in it has no id.
pub fn read(event: Value) -> Result<Vec<QueueMessage>, NotABatch> {
    let event: SqsEvent = serde_json::from_value(event).map_err(NotABatch::Shape)?;
    event.records.into_iter().map(queue_message).collect()
}

fn queue_message(message: SqsMessage) -> Result<QueueMessage, NotABatch> {
    let deliveries = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    Ok(QueueMessage {
        deliveries,
        id: message.message_id.filter(|id| !id.is_empty()).ok_or(NotABatch::NoMessageId)?,
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    })
}

/// The answer that has SQS deliver the messages with these ids again, and only those.
#[must_use]
pub fn failures(ids: Vec<String>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = ids
        .into_iter()
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            failure
        })
        .collect();
    response
}

pub use aws_lambda_events::event::sqs::SqsBatchResponse as BatchResponse;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_without_an_id_fails_its_batch() {
        let record = json!({"messageId": "1", "receiptHandle": "r", "body": "{}"});
        let read = |records| read(json!({"Records": records}));
        assert_eq!(read(json!([record])).unwrap().first().unwrap().receipt_handle, "r");
        let mut again = record.clone();
        again["attributes"] = json!({"ApproximateReceiveCount": "3"});
        let deliveries: Vec<_> =
            read(json!([record, again])).unwrap().iter().map(|message| message.deliveries).collect();
        assert_eq!(deliveries, [None, Some(3)]);
        for wrong in [json!({"body": "{}"}), json!({"messageId": "", "body": "{}"})] {
            assert!(matches!(read(json!([record, wrong])), Err(NotABatch::NoMessageId)));
        }
        assert!(matches!(super::read(json!({"Records": 1})), Err(NotABatch::Shape(_))));
    }

    #[test]
    fn an_answer_names_what_comes_again() {
        let answer = serde_json::to_value(failures(vec!["1".to_owned()])).unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    }
}
