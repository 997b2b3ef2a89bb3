//! The types of an outbound message's fields.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use deserr::{Deserr, IntoValue, ValuePointerRef};
use mailroom_core::outbound::message::{HeaderText, MediaType, MessageId};
use utoipa::ToSchema;

use crate::field::{from_text, text, words};
use crate::problem::Problems;

/// Base64 with padding. Non-zero bits below the last byte are ignored, as some encoders write them.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A subject: one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 900, example = "Re: Where is my order?",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$")]
pub struct SubjectText(pub(super) HeaderText);
from_text!(SubjectText, |text| HeaderText::parse(&text, 900).map_err(words));

/// A body of any number of lines.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = r"^[^\u0000]*$", example = "It is on its way.")]
pub struct BodyText(pub(super) String);
from_text!(BodyText, |text| if text.contains('\0') {
    Err("must not contain a NUL character".to_owned())
} else {
    Ok(text)
});

/// A Message-ID, with or without its angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 900, example = "<4711@example.org>",
    pattern = r"^(<[!-;=?-~]+>|[!-;=?-~]+)$")]
pub struct MessageIdText(pub(super) MessageId);
from_text!(MessageIdText, |text| MessageId::parse(&text).map_err(words));

/// The id by which the HTML refers to an image (RFC 2392).
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 200, example = "logo@example.com",
    pattern = r"^[!-;=?-~]+$")]
pub struct ContentIdText(pub(super) MessageId);
from_text!(ContentIdText, |text| {
    let plain = text.len() <= 200 && !text.contains(['<', '>']);
    let id = MessageId::parse(&text).ok().filter(|_| plain);
    id.ok_or_else(|| "must be an id such as logo@example.com, without angle brackets".to_owned())
});

/// A file name without a path.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 200, example = "invoice.pdf",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029/\\]+$")]
pub struct FileName(pub(super) HeaderText);
from_text!(FileName, |text| {
    if text.is_empty() {
        return Err("must have 1 to 200 characters".to_owned());
    }
    if text.contains(['/', '\\']) {
        return Err("must not contain / or \\".to_owned());
    }
    HeaderText::parse(&text, 200).map_err(words)
});

/// A media type, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 1000, example = "text/calendar; method=REQUEST",
    pattern = r##"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}([ \t]*;[ \t]*[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}=([A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,200}|"[ !#-\[\]-~]{1,200}")[ \t]*){0,8}$"##)]
pub struct MediaTypeText(pub(super) MediaType);
from_text!(MediaTypeText, |text| MediaType::parse(&text).map_err(words));

/// Bytes in Base64 (RFC 4648 §4).
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Byte, example = "aGVsbG8=",
    pattern = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")]
pub struct Base64Bytes(pub(super) Vec<u8>);
from_text!(Base64Bytes, |text| BASE64.decode(text).map_err(|_| "must be Base64 with padding".to_owned()));

/// The key of an attachment that the profile has received.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 512,
    example = "mail/01JDCABCDEFGHJKMNPQRSTVWXY/9f86d081884c7d65/0")]
pub struct KeyText(pub(super) String);
from_text!(KeyText, |text| if (1..=512).contains(&text.chars().count()) {
    Ok(text)
} else {
    Err("must have 1 to 512 characters".to_owned())
});
