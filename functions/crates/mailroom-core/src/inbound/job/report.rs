//! What a job says of a report: of a mail server about delivery, of a provider about a complaint, of a reader's program
//! about a message that was read.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::address::Address;
use crate::outbound::message::MessageId;
use crate::profile::ProfileId;

/// A report about a message. One of `delivery`, `complaint` and `receipt` is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The outcome for each recipient (RFC 3464, or in a server's own words). Empty where the report names none.
    pub delivery: Option<Vec<ReportedRecipient>>,
    /// A complaint (RFC 5965).
    pub complaint: Option<Complaint>,
    /// A receipt (RFC 8098).
    pub receipt: Option<Receipt>,
    /// The message that the report is about; none where the report does not tell.
    pub original: Option<OriginalMessage>,
    /// The outbound message of the same profile that the report is about; none where it is not one.
    pub outbound: Option<ReportedOutbound>,
}

impl Report {
    /// Names the outbound message of `profile` that the report is about, by its Message-ID.
    #[must_use]
    pub fn about(self, profile: ProfileId) -> Self {
        let original = self.original.as_ref().and_then(|original| original.message_id.as_deref());
        let id = original.and_then(|id| MessageId::parse(id).ok()?.outbound(profile));
        Self { outbound: id.map(|id| ReportedOutbound { message: id.to_string() }), ..self }
    }
}

/// The outcome of a message for one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedRecipient {
    /// `Final-Recipient`: the address that the server tried.
    pub recipient: Option<String>,
    /// `Original-Recipient`: the address that the sender gave, where the report says it.
    pub original_recipient: Option<String>,
    /// What the server did; none for a word that RFC 3464 §2.3.3 does not know.
    pub action: Option<ReportedAction>,
    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    pub status: Option<String>,
    /// What the remote server said, on one line.
    pub diagnostic: Option<String>,
    /// The server that said it.
    pub remote_mta: Option<String>,
}

/// What a mail server did (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedAction {
    /// It gave up.
    Failed,
    /// It goes on trying.
    Delayed,
    /// It delivered the message.
    Delivered,
    /// It passed the message on to a server that reports nothing.
    Relayed,
    /// It delivered the message to a list of addresses.
    Expanded,
}

/// A complaint about a message (RFC 5965).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// `Feedback-Type` (§3.5), lower case, such as `abuse`.
    pub feedback_type: Option<String>,
    /// `Original-Rcpt-To`: who complains. Most providers leave it out.
    pub recipients: Vec<String>,
    /// `Source-IP`.
    pub source_ip: Option<String>,
    /// `Arrival-Date`, or `Received-Date`.
    #[serde(with = "time::serde::rfc3339::option")]
    pub arrived_at: Option<OffsetDateTime>,
}

/// A receipt for a message (RFC 8098).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `Final-Recipient`.
    pub recipient: Option<String>,
    /// `Original-Recipient`.
    pub original_recipient: Option<String>,
    /// The type of the disposition (§3.2.6.2), lower case, such as `displayed`.
    pub disposition: Option<String>,
    /// Whether a program did it, and not the reader.
    pub automatic: bool,
}

/// The message that a report is about, as far as the report returns it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalMessage {
    /// `Message-ID` without angle brackets.
    pub message_id: Option<String>,
    /// `Subject`, decoded.
    pub subject: Option<String>,
    /// `To`.
    pub to: Vec<Address>,
}

/// An outbound message that a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedOutbound {
    /// Its id, by which the API tells its status.
    pub message: String,
}
