//! What starts the function, from its two wire formats.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use mailroom_core::profile::RefreshInterval;
use mailroom_core::schedule::PollRequest;
use serde::Deserialize;

/// What the function is asked to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// A schedule fired.
    Schedule(RefreshInterval),
    /// The poll queue delivered.
    Queue(Vec<Record>),
}

/// One message of the poll queue: read on its own, so that a bad one never spoils its batch.
#[derive(Debug)]
pub(crate) struct Record {
    /// The queue's name for the message, never empty.
    pub(crate) id: String,
    /// What it asks for.
    pub(crate) request: Result<PollRequest, String>,
}

/// An event that is neither.
#[derive(Debug, thiserror::Error)]
#[error("the event is neither {{\"refresh_interval\": seconds}} nor a batch of the poll queue: {0}")]
pub struct UnknownEvent(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleEvent {
    refresh_interval: u32,
}

impl Event {
    pub(crate) fn parse(payload: serde_json::Value) -> Result<Self, UnknownEvent> {
        if payload.get("Records").is_some() {
            let event: SqsEvent =
                serde_json::from_value(payload).map_err(|error| UnknownEvent(error.to_string()))?;
            return Ok(Self::Queue(event.records.into_iter().map(Record::read).collect()));
        }
        let event: ScheduleEvent =
            serde_json::from_value(payload).map_err(|error| UnknownEvent(error.to_string()))?;
        RefreshInterval::from_seconds(event.refresh_interval)
            .map(Self::Schedule)
            .map_err(|why| UnknownEvent(format!("refresh_interval {why}")))
    }
}

impl Record {
    fn read(message: aws_lambda_events::event::sqs::SqsMessage) -> Self {
        let body = message.body.unwrap_or_default();
        let request = serde_json::from_str::<PollRequest>(&body).map_err(|error| error.to_string()).and_then(
            |request| match request {
                PollRequest::Range { version, .. }
                | PollRequest::Profile { version, .. }
                | PollRequest::Round { version, .. }
                | PollRequest::Forget { version, .. }
                    if version != PollRequest::VERSION =>
                {
                    Err(format!("version {version} is not known"))
                }
                PollRequest::Range { .. }
                | PollRequest::Profile { .. }
                | PollRequest::Round { .. }
                | PollRequest::Forget { .. } => Ok(request),
            },
        );
        Self { id: message.message_id.unwrap_or_default(), request }
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
