//! What a job says of a message's attachments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::address::Address;

/// A part that is stored as an object of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file name, decoded, without any path.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Bytes, once decoded.
    pub size: u64,
    /// `Content-ID` without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is meant to be shown in the body.
    pub inline: bool,
    /// The object's key in the job's bucket.
    pub key: String,
    /// The charset that `Content-Type` names, lower case. The object is not decoded from it.
    #[serde(default)]
    pub charset: Option<String>,
    /// The other parameters of `Content-Type`, names in lower case, values decoded. Not `name`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// SHA-256 of the object in hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The type of `Content-Disposition` (RFC 2183 §2), lower case; none where the field is missing.
    #[serde(default)]
    pub disposition: Option<String>,
    /// What an enclosed message says of itself; none of anything else.
    #[serde(default)]
    pub message: Option<EnclosedMessage>,
}

/// A message that is attached to another (RFC 2046 §5.2.1), not opened any further.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclosedMessage {
    /// `Subject`, decoded.
    pub subject: Option<String>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Date`.
    #[serde(with = "time::serde::rfc3339::option")]
    pub date: Option<OffsetDateTime>,
    /// `Message-ID` without angle brackets.
    pub message_id: Option<String>,
    /// Its own attachments. They are not stored by themselves.
    pub attachments: Vec<EnclosedPart>,
}

/// An attachment of an enclosed message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclosedPart {
    /// The file name, decoded, without any path.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Bytes, once decoded.
    pub size: u64,
    /// `Content-ID` without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is meant to be shown in the body.
    pub inline: bool,
}
