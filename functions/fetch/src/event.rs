//! What starts the function: a schedule, or a batch of the poll queue.

use mailroom_core::inbound::schedule::{PollRequest, PollRequestError};
use mailroom_core::profile::RefreshInterval;
use mailroom_lambda::batch::{self, QueueMessage};
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
    /// SQS's id for the message, never empty.
    pub(crate) id: String,
    /// The request in it.
    pub(crate) request: Result<PollRequest, PollRequestError>,
}

/// The event is neither a schedule's nor a batch of the poll queue.
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
            let messages = batch::read(payload).map_err(|error| UnknownEvent(error.to_string()))?;
            return Ok(Self::Queue(messages.into_iter().map(Record::read).collect()));
        }
        let event: ScheduleEvent =
            serde_json::from_value(payload).map_err(|error| UnknownEvent(error.to_string()))?;
        RefreshInterval::from_seconds(event.refresh_interval)
            .map(Self::Schedule)
            .map_err(|why| UnknownEvent(format!("refresh_interval {why}")))
    }
}

impl Record {
    fn read(message: QueueMessage) -> Self {
        Self { id: message.id, request: PollRequest::read(&message.body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 3] = ["\"Records\": [", "\"body\": ", "\"messageId\": \"\""];

    #[test]
    fn any_change_of_an_event_is_read_or_refused() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
        mailroom_fuzzing::run(corpus, &[&mailroom_fuzzing::JSON[..], &WORDS].concat(), |input| {
            let Ok(payload) = serde_json::from_slice(input) else { return };
            if let Ok(Event::Queue(records)) = Event::parse(payload) {
                // An empty id in an answer would have SQS deliver the whole batch again.
                assert!(records.iter().all(|record| !record.id.is_empty()));
            }
        });
    }
}
