//! The send queue's message: the API and flows write it, the send function reads it.
//!
//! ```json
//! {"version": 1, "profile_id": "01JDCABCDEFGHJKMNPQRSTVWXY", "id": "order-4711", "to": [{"address": "ann@example.org"}], "text": "Hello"}
//! ```
//!
//! A queue message with nothing but the ids names a message that the API has stored; with `recheck`, one that it may have
//! stored without getting to the queue; with `bounces`, one that a report says did not reach these recipients. One without `version` has version 1:
//! that is how flows wrote it before there was one.

use mailroom_core::outbound::delivery::{BouncedMessage, ReportedFailure};
use mailroom_core::outbound::message::OutboundId;
use mailroom_core::profile::ProfileId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// The profile that sends the message.
    pub profile: ProfileId,
    /// The message's id: a repeat with the same id sends nothing twice.
    pub id: OutboundId,
    /// Where the message is.
    pub content: Content,
    /// Why the queue message is there.
    pub occasion: Occasion,
}

/// Why a queue message is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// The message is to be sent.
    Send,
    /// The message was about to be stored when this was put on the queue, some minutes ago: it is sent unless an attempt
    /// was made since, because nobody knows whether it was queued.
    Recheck,
    /// A report came to the profile: the message did not reach these recipients.
    Bounce(Vec<ReportedFailure>),
}

/// A failure as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct FailureItem {
    addresses: Vec<String>,
    status: Option<String>,
    diagnostic: Option<String>,
    remote_mta: Option<String>,
}

impl From<&ReportedFailure> for FailureItem {
    fn from(failure: &ReportedFailure) -> Self {
        let ReportedFailure { addresses, status, diagnostic, remote_mta } = failure.clone();
        Self { addresses, status, diagnostic, remote_mta }
    }
}

impl From<FailureItem> for ReportedFailure {
    fn from(item: FailureItem) -> Self {
        let FailureItem { addresses, status, diagnostic, remote_mta } = item;
        Self { addresses, status, diagnostic, remote_mta }
    }
}

fn failures(value: Value) -> Result<Vec<ReportedFailure>, SendRequestError> {
    let read: Result<Vec<FailureItem>, _> = serde_json::from_value(value);
    let items = read.map_err(|error| SendRequestError::Invalid("bounces", error.to_string()))?;
    Ok(items.into_iter().map(ReportedFailure::from).collect())
}

/// Where the message of a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The API has stored the message.
    Stored,
    /// The queue message carries the message, to be read as a [`crate::message::MessageBody`].
    Included(Map<String, Value>),
}

/// Why a queue message is not a request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendRequestError {
    /// The body is not a JSON object.
    NotAnObject,
    /// This version of the format is unknown: a newer writer made it.
    UnknownVersion(Value),
    /// The field is missing, or is not a string.
    Missing(&'static str),
    /// The field is not an id; with the reason.
    Invalid(&'static str, String),
}

impl std::fmt::Display for SendRequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the body is not a JSON object"),
            Self::UnknownVersion(version) => write!(f, "version {version} is unknown"),
            Self::Missing(field) => write!(f, "{field} is required"),
            Self::Invalid(field, reason) => write!(f, "{field} {reason}"),
        }
    }
}

impl std::error::Error for SendRequestError {}

impl SendRequest {
    /// The version of the format that [`Self::to_json`] writes.
    pub const VERSION: u64 = 1;

    /// A request for a message that is stored.
    #[must_use]
    pub const fn stored(profile: ProfileId, id: OutboundId) -> Self {
        Self { profile, id, content: Content::Stored, occasion: Occasion::Send }
    }

    /// A later look at a message that is about to be stored.
    #[must_use]
    pub const fn recheck(profile: ProfileId, id: OutboundId) -> Self {
        Self { profile, id, content: Content::Stored, occasion: Occasion::Recheck }
    }

    /// What a report says of a message that was sent.
    #[must_use]
    pub fn bounce(profile: ProfileId, bounced: &BouncedMessage) -> Self {
        let BouncedMessage { message, failures } = bounced.clone();
        Self { profile, id: message, content: Content::Stored, occasion: Occasion::Bounce(failures) }
    }

    /// Reads a queue message's body. What is wrong with the message itself is found when it is read.
    ///
    /// # Errors
    /// See [`SendRequestError`].
    pub fn parse(body: &str) -> Result<Self, SendRequestError> {
        let Ok(Value::Object(mut members)) = serde_json::from_str(body) else {
            return Err(SendRequestError::NotAnObject);
        };
        match members.remove("version") {
            None => {}
            Some(version) if version.as_u64() == Some(Self::VERSION) => {}
            Some(version) => return Err(SendRequestError::UnknownVersion(version)),
        }
        let occasion = match (members.remove("bounces"), members.remove("recheck")) {
            (Some(bounces), _) => Occasion::Bounce(failures(bounces)?),
            (None, Some(Value::Bool(true))) => Occasion::Recheck,
            (None, Some(_) | None) => Occasion::Send,
        };
        let mut text = |field| match members.remove(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) | None => Err(SendRequestError::Missing(field)),
        };
        let (profile, id) = (text("profile_id")?, text("id")?);
        let invalid =
            |field, reason: &dyn std::fmt::Display| SendRequestError::Invalid(field, reason.to_string());
        Ok(Self {
            profile: ProfileId::parse(&profile).map_err(|reason| invalid("profile_id", &reason))?,
            id: OutboundId::parse(&id).map_err(|reason| invalid("id", &reason))?,
            content: if members.is_empty() { Content::Stored } else { Content::Included(members) },
            occasion,
        })
    }

    /// Writes the queue message's body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = match &self.content {
            Content::Stored => Map::new(),
            Content::Included(message) => message.clone(),
        };
        match &self.occasion {
            Occasion::Send => {}
            Occasion::Recheck => {
                members.insert("recheck".to_owned(), true.into());
            }
            Occasion::Bounce(failures) => {
                let items: Vec<FailureItem> = failures.iter().map(FailureItem::from).collect();
                members.insert("bounces".to_owned(), serde_json::to_value(items).unwrap_or_default());
            }
        }
        members.insert("version".to_owned(), Self::VERSION.into());
        members.insert("profile_id".to_owned(), self.profile.to_string().into());
        members.insert("id".to_owned(), self.id.to_string().into());
        Value::Object(members).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Every form that was ever written to a send queue.
    const SHIPPED: [&str; 6] = [
        r#"{"profile_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","id":"order-1"}"#,
        r#"{"id":"order-1","profile_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","version":1}"#,
        r#"{"profile_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","id":"order-1","to":[{"address":"ann@example.org"}],"text":"x"}"#,
        r#"{"version":1,"profile_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","id":"order-1","to":[{"address":"ann@example.org"}],"text":"x"}"#,
        r#"{"id":"order-1","profile_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","recheck":true,"version":1}"#,
        r#"{"bounces":[{"addresses":["ann@example.org"],"diagnostic":"550 No such user","remote_mta":null,"status":"5.1.1"}],"id":"order-1","profile_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","version":1}"#,
    ];

    #[test]
    fn a_message_without_a_version_has_version_1() {
        let [stored, stored_1, included, included_1, recheck, bounce] =
            SHIPPED.map(|body| SendRequest::parse(body).unwrap());
        assert_eq!((&stored, &included), (&stored_1, &included_1));
        assert_eq!(stored.content, Content::Stored);
        let message = json!({"to": [{"address": "ann@example.org"}], "text": "x"});
        assert_eq!(included.content, Content::Included(message.as_object().unwrap().clone()));
        assert_eq!(stored.to_json(), SHIPPED[1]);
        assert_eq!(recheck, SendRequest::recheck(stored.profile, stored.id.clone()));
        assert_eq!(recheck.to_json(), SHIPPED[4]);
        let failure = ReportedFailure {
            addresses: vec!["ann@example.org".to_owned()],
            status: Some("5.1.1".to_owned()),
            diagnostic: Some("550 No such user".to_owned()),
            remote_mta: None,
        };
        let bounced = BouncedMessage { message: stored.id.clone(), failures: vec![failure] };
        assert_eq!(bounce, SendRequest::bounce(stored.profile, &bounced));
        assert_eq!(bounce.to_json(), SHIPPED[5]);
        assert_eq!(SendRequest::parse(&included.to_json()), Ok(included));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (body, reason) in [
            ("", "the body is not a JSON object"),
            ("[]", "the body is not a JSON object"),
            ("{}", "profile_id is required"),
            (r#"{"version": 2}"#, "version 2 is unknown"),
            (r#"{"version": "1"}"#, "version \"1\" is unknown"),
            (r#"{"profile_id": 1, "id": "a"}"#, "profile_id is required"),
            (r#"{"profile_id": "x", "id": "a"}"#, "profile_id must be"),
            (r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a b"}"#, "id must be"),
            (
                r#"{"profile_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "id": "a", "bounces": 1}"#,
                "bounces invalid type",
            ),
        ] {
            let error = SendRequest::parse(body).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
