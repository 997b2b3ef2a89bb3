//! What is said of a part that is not the message's text: its name, its type, how it is meant.

use std::borrow::Cow;
use std::collections::BTreeMap;

use mailroom_core::inbound::job::{Attachment, Digest, EnclosedMessage};

use super::limits::MAX_ID_BYTES;
use super::multipart::Leaf;
use super::transfer::Decoded;
use super::{charset, param};

/// A part that becomes an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part<'a> {
    /// Decoded (RFC 2231, RFC 2047), without a path and control characters, at most 255 bytes.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is meant to be shown in the body.
    pub inline: bool,
    /// The charset of its text, lower case.
    pub charset: Option<String>,
    /// The other parameters of its type, decoded.
    pub parameters: BTreeMap<String, String>,
    /// The type of its disposition, lower case.
    pub disposition: Option<String>,
    /// What an enclosed message says of itself.
    pub message: Option<EnclosedMessage>,
    /// Decoded from its transfer encoding; text is still in its charset.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Part<'a> {
    /// Describes and decodes a part; whether its transfer encoding made sense, and whether something was cut.
    pub(super) fn of(leaf: &Leaf<'a>, inline: bool) -> (Self, bool, bool) {
        let Decoded { bytes, sound, .. } = leaf.decoded();
        let mut cut = false;
        let mut content_id = leaf.head.content_id.clone();
        if let Some(id) = &mut content_id {
            cut |= charset::cut(id, MAX_ID_BYTES);
        }
        let kind = &leaf.head.kind;
        let charset = kind.text("charset").and_then(|name| param::word(&name).map(str::to_ascii_lowercase));
        let (parameters, left_out) = kind.listed(&["charset", "name"]);
        let disposition = leaf.head.disposition.as_ref();
        let part = Self {
            filename: filename(leaf),
            content_type: leaf.head.media_type().to_owned(),
            content_id,
            inline,
            charset,
            parameters,
            disposition: disposition.and_then(|one| param::word(&one.value)).map(str::to_owned),
            message: None,
            bytes,
        };
        (part, sound, cut || left_out)
    }

    /// The same, with its own bytes.
    pub(super) fn into_owned<'b>(self) -> Part<'b> {
        Part { bytes: Cow::Owned(self.bytes.into_owned()), ..self }
    }

    /// What a job says of the part, once it is stored under `key`.
    #[must_use]
    pub fn attachment(&self, key: String) -> Attachment {
        Attachment {
            filename: self.filename.clone(),
            content_type: self.content_type.clone(),
            size: u64::try_from(self.bytes.len()).unwrap_or(u64::MAX),
            content_id: self.content_id.clone(),
            inline: self.inline,
            key,
            charset: self.charset.clone(),
            parameters: self.parameters.clone(),
            sha256: Some(Digest::of(&self.bytes).to_hex()),
            disposition: self.disposition.clone(),
            message: self.message.clone(),
        }
    }
}

/// The name that the part was given; a blank one is none.
pub(super) fn written_name(leaf: &Leaf<'_>) -> Option<String> {
    let disposition = leaf.head.disposition.as_ref().and_then(|disposition| disposition.text("filename"));
    disposition.or_else(|| leaf.head.kind.text("name"))
}

/// The name to store a part by. An enclosed message is a file of its own.
fn filename(leaf: &Leaf<'_>) -> Option<String> {
    let name = written_name(leaf).as_deref().and_then(param::filename);
    let message = is_message(leaf.head.media_type());
    name.or_else(|| message.then(|| "message.eml".to_owned()))
}

/// Whether a type is that of a whole message (RFC 2046 §5.2.1, RFC 6532 §3.7).
pub(super) fn is_message(media_type: &str) -> bool {
    matches!(media_type, "message/rfc822" | "message/global")
}
