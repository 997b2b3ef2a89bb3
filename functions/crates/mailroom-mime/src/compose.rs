//! From an outbound message to its bytes (RFC 5322, RFC 2045): written by lettre, from what was checked before.
//!
//! The same message gives the same bytes but for the boundaries of its parts. All of it is ASCII, unless an address is
//! not (RFC 6532); lines end in CRLF and have at most 998 bytes.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::message::header::{
    ContentDisposition, ContentId, ContentTransferEncoding, ContentType, HeaderName, HeaderValue, InReplyTo,
    References,
};
use lettre::message::{Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::{Address, Message as LettreMessage};
use mailroom_core::outbound::message::{
    Correspondent, Disposition, EmailAddress, HeaderText, MediaType, Message, MessageId, Origin,
};
use time::OffsetDateTime;

/// Ids in `References`: the first, which names the conversation, and the latest. Programs look at no more, and some
/// refuse longer fields.
const MAX_REFERENCES: usize = 21;

/// The longest line in bytes, without its end (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// What the sender adds to a message.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The `From` address.
    pub from: &'a EmailAddress,
    /// The `Message-ID` field.
    pub message_id: &'a MessageId,
    /// The `Date` field.
    pub date: OffsetDateTime,
}

/// A message that cannot be written. Those that were checked before all can.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// lettre refuses an address.
    #[error("an address cannot be written in a message")]
    Address(#[source] lettre::address::AddressError),
    /// lettre refuses a media type.
    #[error("a media type cannot be written in a message")]
    MediaType,
    /// lettre refuses the name of a header field.
    #[error("a header field cannot be written in a message")]
    Header,
    /// There are fewer or more contents than attachments.
    #[error("the contents do not match the attachments")]
    Missing,
    /// lettre refuses something else.
    #[error("the message cannot be composed")]
    Build(#[source] lettre::error::Error),
}

/// Composes a message. `contents` are the bytes of the attachments, in their order.
///
/// # Errors
/// See [`ComposeError`].
pub fn compose(
    message: &Message,
    stamp: &Stamp<'_>,
    contents: Vec<Vec<u8>>,
) -> Result<Vec<u8>, ComposeError> {
    if contents.len() != message.attachments.len() {
        return Err(ComposeError::Missing);
    }
    let builder = head(message, stamp)?;
    let composed = match body(message, contents)? {
        Part::Single(part) => builder.singlepart(part),
        Part::Multi(part) => builder.multipart(part),
    };
    Ok(composed.map_err(ComposeError::Build)?.formatted())
}

/// The header fields, in a builder.
fn head(message: &Message, stamp: &Stamp<'_>) -> Result<MessageBuilder, ComposeError> {
    let from = mailbox(message.from_name.as_ref(), stamp.from)?;
    // lettre wants an envelope; the SMTP session names the real recipients.
    let envelope = Envelope::new(Some(from.email.clone()), vec![from.email.clone()]);
    let mut builder = LettreMessage::builder()
        .envelope(envelope.map_err(ComposeError::Build)?)
        .date(SystemTime::from(stamp.date))
        .from(from)
        .message_id(Some(stamp.message_id.to_string()))
        .subject(encoded(message.subject.as_str()));
    for one in &message.to {
        builder = builder.to(correspondent(one)?);
    }
    for one in &message.cc {
        builder = builder.cc(correspondent(one)?);
    }
    for one in &message.reply_to {
        builder = builder.reply_to(correspondent(one)?);
    }
    if let Some(id) = &message.in_reply_to {
        builder = builder.header(InReplyTo::from(id.to_string()));
    }
    let references = references(message);
    if !references.is_empty() {
        builder = builder.header(References::from(references));
    }
    if message.origin == Origin::Automatic {
        // RFC 3834 §5: a response is `auto-replied`, what a program writes on its own `auto-generated`.
        let word = if message.in_reply_to.is_some() { "auto-replied" } else { "auto-generated" };
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        builder = builder.raw_header(HeaderValue::new(name, word.to_owned()));
    }
    for header in &message.headers {
        let name = HeaderName::new_from_ascii(header.name().to_owned()).map_err(|_| ComposeError::Header)?;
        builder = builder.raw_header(HeaderValue::new(name, encoded(header.value())));
    }
    Ok(builder)
}

/// The `References` field (RFC 5322 §3.6.4): the ids given, and the id that is answered at the end.
fn references(message: &Message) -> String {
    let mut ids: Vec<&MessageId> = message.references.iter().collect();
    ids.extend(message.in_reply_to.iter().filter(|id| message.references.last() != Some(*id)));
    let surplus = ids.len().saturating_sub(MAX_REFERENCES);
    let kept = ids.iter().enumerate().filter(|(n, _)| *n == 0 || *n > surplus);
    kept.map(|(_, id)| id.to_string()).collect::<Vec<_>>().join(" ")
}

fn correspondent(one: &Correspondent) -> Result<Mailbox, ComposeError> {
    mailbox(one.name.as_ref(), &one.address)
}

fn mailbox(name: Option<&HeaderText>, address: &EmailAddress) -> Result<Mailbox, ComposeError> {
    // One space for several: lettre leaves none of those between words in other scripts.
    let name = name.map(|name| name.as_str().split_whitespace().collect::<Vec<_>>().join(" "));
    let name = name.filter(|name| !name.is_empty());
    let address = Address::new(address.local(), address.domain()).map_err(ComposeError::Address)?;
    Ok(Mailbox::new(name, address))
}

/// A text as a header field can carry it: as it is, or in encoded words (RFC 2047 §2). What only looks like an encoded
/// word becomes one, so that it is shown as it was written.
fn encoded(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            // 75 characters at most, of which the frame has 12, and base64 makes four of three.
            Some(word) if word.len() + c.len_utf8() <= 45 => word.push(c),
            Some(_) | None => words.push(c.into()),
        }
    }
    let words = words.iter().map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join(" ")
}

/// A part, or several in a multipart.
enum Part {
    Single(SinglePart),
    Multi(MultiPart),
}

impl Part {
    fn within(self, whole: MultiPart) -> MultiPart {
        match self {
            Self::Single(part) => whole.singlepart(part),
            Self::Multi(part) => whole.multipart(part),
        }
    }
}

/// The body: what is needed of mixed(alternative(text, related(html, images)), files).
fn body(message: &Message, contents: Vec<Vec<u8>>) -> Result<Part, ComposeError> {
    let mut images = Vec::new();
    let mut files = Vec::new();
    for (attachment, bytes) in message.attachments.iter().zip(contents) {
        let name = attachment.filename.as_str();
        let part = SinglePart::builder();
        let (part, list) = match &attachment.disposition {
            Disposition::Inline(id) if message.html.is_some() => (
                part.header(ContentId::from(id.to_string()))
                    .header(ContentDisposition::inline_with_name(name)),
                &mut images,
            ),
            Disposition::Inline(_) | Disposition::Attachment => {
                (part.header(ContentDisposition::attachment(name)), &mut files)
            }
        };
        let (kind, body) = content(&attachment.content_type, bytes)?;
        list.push(part.header(kind).body(body));
    }
    let html = message.html.as_deref().map(|html| {
        let html = SinglePart::html(with_crlf(html));
        if images.is_empty() {
            return Part::Single(html);
        }
        let related = MultiPart::related().singlepart(html);
        Part::Multi(images.into_iter().fold(related, MultiPart::singlepart))
    });
    let text = message.text.as_deref().map(|text| SinglePart::plain(with_crlf(text)));
    let shown = match (text, html) {
        (Some(text), Some(html)) => Some(Part::Multi(html.within(MultiPart::alternative().singlepart(text)))),
        (Some(text), None) => Some(Part::Single(text)),
        (None, html) => html,
    };
    if files.is_empty() {
        return Ok(shown.unwrap_or_else(|| Part::Single(SinglePart::plain(String::new()))));
    }
    let mixed = MultiPart::mixed().build();
    let mixed = match shown {
        Some(shown) => shown.within(mixed),
        None => mixed,
    };
    Ok(Part::Multi(files.into_iter().fold(mixed, MultiPart::singlepart)))
}

/// An attachment's media type and its bytes as they go out: in base64, because in 7bit a file's line ends would change on
/// the way. A message must not be encoded (RFC 2046 §5.2.1), and programs show an encoded one as empty: it goes out as it
/// is, or as a file of unknown kind.
fn content(media_type: &MediaType, bytes: Vec<u8>) -> Result<(ContentType, Body), ComposeError> {
    let kind = |text| ContentType::parse(text).map_err(|_| ComposeError::MediaType);
    let text = media_type.as_str();
    let text = if media_type.is_message() {
        if let Some(lines) = seven_bit(&bytes) {
            let body = Body::dangerous_pre_encoded(lines.into_bytes(), ContentTransferEncoding::SevenBit);
            return Ok((kind(text)?, body));
        }
        "application/octet-stream"
    } else {
        text
    };
    let body = Body::new_with_encoding(bytes, ContentTransferEncoding::Base64);
    Ok((kind(text)?, body.map_err(|_| ComposeError::Missing)?))
}

/// The bytes as lines of 7-bit text (RFC 2045 §2.7) that end in CRLF; `None` where they are no such lines.
fn seven_bit(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii() && !text.contains('\0'))?;
    let lines = with_crlf(text);
    lines.split("\r\n").all(|line| line.len() <= MAX_LINE).then_some(lines)
}

/// A text whose lines end in CRLF.
fn with_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

#[cfg(test)]
mod tests;
