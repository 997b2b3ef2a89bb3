//! What starts the function: its schedule, the audit queue, or a person.

use mailroom_core::invalid::Invalid;
use mailroom_core::profile::ProfileId;
use mailroom_lambda::batch::{self, QueueMessage};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the function is asked to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// The schedule fired: at this time, where it says so.
    Schedule(Option<OffsetDateTime>),
    /// The audit queue delivered.
    Queue(Vec<QueueMessage>),
    /// A person asks for one audit.
    Profile(ProfileId),
}

/// The event is neither the schedule's nor a batch of the audit queue nor an audit that is asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "the event is neither {{\"scheduled_at\": time}} nor {{\"profile_id\": id}} nor a batch of the audit queue: {0}"
)]
pub struct UnknownEvent(String);

/// Why a message on the audit queue cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditRequestError {
    /// It is not JSON, or lacks a field, or has one too many.
    #[error("the message is not an audit request")]
    Malformed(#[source] serde_json::Error),
    /// It has another version, or none.
    #[error("the audit request does not have version 1")]
    Version,
    /// The profile's id is not one.
    #[error("profile_id {0}")]
    ProfileId(Invalid),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleEvent {
    scheduled_at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileEvent {
    profile_id: String,
}

impl Event {
    pub(crate) fn parse(payload: Value) -> Result<Self, UnknownEvent> {
        let unknown = |error: serde_json::Error| UnknownEvent(error.to_string());
        if payload.get("Records").is_some() {
            let messages = batch::read(payload).map_err(|error| UnknownEvent(error.to_string()))?;
            return Ok(Self::Queue(messages));
        }
        if payload.get("scheduled_at").is_some() {
            let event: ScheduleEvent = serde_json::from_value(payload).map_err(unknown)?;
            // Emulators leave the name of the scheduled time as it stands.
            return Ok(Self::Schedule(OffsetDateTime::parse(&event.scheduled_at, &Rfc3339).ok()));
        }
        let event: ProfileEvent = serde_json::from_value(payload).map_err(unknown)?;
        let id = ProfileId::parse(&event.profile_id).map_err(|why| UnknownEvent(format!("profile_id {why}")));
        id.map(Self::Profile)
    }
}

/// Reads the body of a message on the audit queue.
pub(crate) fn read_request(body: &str) -> Result<ProfileId, AuditRequestError> {
    let mut fields: Map<String, Value> = serde_json::from_str(body).map_err(AuditRequestError::Malformed)?;
    if fields.remove("version") != Some(1.into()) {
        return Err(AuditRequestError::Version);
    }
    let event: ProfileEvent =
        serde_json::from_value(Value::Object(fields)).map_err(AuditRequestError::Malformed)?;
    ProfileId::parse(&event.profile_id).map_err(AuditRequestError::ProfileId)
}

/// The body of a message on the audit queue.
pub(crate) fn request(id: ProfileId) -> String {
    json!({"version": 1, "profile_id": id.to_string()}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn a_request_is_read_as_it_was_written_and_nothing_else_is() {
        let id = ProfileId::parse(ID).unwrap();
        assert_eq!(read_request(&request(id)).unwrap(), id);
        // Every version that was ever sent.
        assert_eq!(read_request(&format!(r#"{{"profile_id":"{ID}","version":1}}"#)).unwrap(), id);
        for wrong in ["", "{}", r#"{"version":2}"#, r#"{"version":1,"profile_id":"x"}"#] {
            assert!(read_request(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_are_told_apart() {
        let scheduled = Event::parse(json!({"scheduled_at": "2026-11-27T10:30:00Z"}));
        assert!(matches!(scheduled, Ok(Event::Schedule(Some(_)))));
        let unfilled = Event::parse(json!({"scheduled_at": "<aws.scheduler.scheduled-time>"}));
        assert!(matches!(unfilled, Ok(Event::Schedule(None))));
        assert!(matches!(Event::parse(json!({"profile_id": ID})), Ok(Event::Profile(_))));
        let batch = json!({"Records": [{"messageId": "1", "receiptHandle": "r", "body": "x"}]});
        assert!(matches!(Event::parse(batch), Ok(Event::Queue(messages)) if messages.len() == 1));
        for wrong in [json!({}), json!({"profile_id": 1}), json!({"profile_id": ID, "x": 1}), json!([])] {
            assert!(Event::parse(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
