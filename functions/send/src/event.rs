//! What starts the function: a batch of the send queue, each message read on its own.

use mailroom_core::outbound::message::OutboundId;
use mailroom_core::profile::ProfileId;
use mailroom_lambda::batch::QueueMessage;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A message that says whose it is.
#[derive(Debug)]
pub(crate) struct QueuedSend {
    /// The queue's message.
    pub(crate) record: QueueMessage,
    /// The profile that sends it.
    pub(crate) profile: ProfileId,
    /// Its id.
    pub(crate) id: OutboundId,
    /// The message, where it came by the queue itself; `None` where it is stored.
    pub(crate) message: Option<Value>,
}

impl QueuedSend {
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
    pub(crate) fn read(record: QueueMessage) -> Result<Self, (QueueMessage, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(body: &str) -> Result<QueuedSend, String> {
        let record =
            QueueMessage { id: "1".to_owned(), receipt_handle: String::new(), body: body.to_owned() };
        QueuedSend::read(record).map_err(|(_, why)| why)
    }

    #[test]
    fn a_message_says_whose_it_is_or_what_is_wrong() {
        let stored = queued(r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a"}"#).unwrap();
        assert!(stored.message.is_none());
        let whole =
            queued(r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a", "text": "x"}"#).unwrap();
        assert_eq!(whole.message, Some(serde_json::json!({"text": "x"})));
        for (body, why) in [
            ("", "no JSON"),
            ("[]", "no object"),
            ("{}", "profile_id is required"),
            (r#"{"profile_id": 1, "id": "a"}"#, "profile_id is required"),
            (r#"{"profile_id": "x", "id": "a"}"#, "profile_id must be"),
            (r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a b"}"#, "id must be"),
        ] {
            let said = queued(body).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
