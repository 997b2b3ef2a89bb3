//! The types of fields: what each may hold, read once and described once.
//!
//! A pattern of the document says the same as the code beside it, as far as a pattern can, and never less: what the code
//! takes, a client that was made from the document can send.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use deserr::{DeserializeError as _, Deserr, ErrorKind, IntoValue, ValueKind, ValuePointerRef};
use mailroom_core::authserv_id::AuthservId;
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::invalid::Invalid;
use mailroom_core::outbound::message::MAX_ATTACHMENT_BYTES;
use mailroom_core::profile::{RefreshInterval, StartFrom};
use mailroom_core::server::{Host, Mailbox, SubmissionPort};
use secrecy::SecretString;
use time::Date;
use time::macros::format_description;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{Problems, name_of};

/// Reads a text and parses it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON are all known")]
pub(crate) fn text<T, V: IntoValue>(
    value: deserr::Value<V>,
    location: ValuePointerRef<'_>,
    parse: impl FnOnce(String) -> Result<T, String>,
) -> Result<T, Problems> {
    match value {
        deserr::Value::String(text) => {
            parse(text).map_err(|message| Problems::one(name_of(location), message))
        }
        other => Err(wrong_kind(other, &[ValueKind::String], location)),
    }
}

/// Reads a whole number within a range. `300.0` is one, as JSON Schema has it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON are all known")]
fn number<V: IntoValue>(
    value: deserr::Value<V>,
    location: ValuePointerRef<'_>,
    range: RangeInclusive<u64>,
) -> Result<u64, Problems> {
    let number = match value {
        deserr::Value::Integer(number) => Some(number),
        deserr::Value::NegativeInteger(_) => None,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in range")]
        deserr::Value::Float(number) if number.fract() == 0.0 && (0.0..1e15).contains(&number) => {
            Some(number as u64)
        }
        deserr::Value::Float(_) => None,
        other => return Err(wrong_kind(other, &[ValueKind::Integer], location)),
    };
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let (from, to) = range.into_inner();
        Problems::one(name_of(location), format!("must be a whole number from {from} to {to}"))
    })
}

pub(crate) fn wrong_kind<V: IntoValue>(
    actual: deserr::Value<V>,
    accepted: &[ValueKind],
    location: ValuePointerRef<'_>,
) -> Problems {
    let error = ErrorKind::IncorrectValueKind { actual, accepted };
    deserr::take_cf_content(Problems::error(None, error, location))
}

/// A text of `chars` characters without control characters, of which at least one is not a blank.
pub(crate) fn line(text: String, chars: RangeInclusive<usize>) -> Result<String, String> {
    let (least, most) = (*chars.start(), *chars.end());
    if !chars.contains(&text.chars().count()) {
        return Err(format!("must have {least} to {most} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    // ECMA-262 counts the byte order mark as a blank, and so do the patterns.
    if text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty() {
        return Err("must not be blank".to_owned());
    }
    Ok(text)
}

pub(crate) fn words(invalid: Invalid) -> String {
    invalid.to_string()
}

/// Implements reading for a type that is made from a text.
macro_rules! from_text {
    ($type:ident, $parse:expr) => {
        impl Deserr<Problems> for $type {
            fn deserialize_from_value<V: IntoValue>(
                value: deserr::Value<V>,
                location: ValuePointerRef<'_>,
            ) -> Result<Self, Problems> {
                text(value, location, $parse).map(Self)
            }
        }
    };
}

pub(crate) use from_text;

/// What the owner calls it.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 100, example = "Support",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$")]
pub struct Name(pub String);
from_text!(Name, |text| line(text, 1..=100));

/// The owner's notes, in as many lines as they like.
#[derive(Debug, Clone, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 1000, example = "Answered by the second floor",
    pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")]
pub struct Description(pub String);
from_text!(Description, |text| {
    if text.chars().count() > 1000 {
        return Err("must have at most 1000 characters".to_owned());
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err("must not hold control characters other than line breaks and tabs".to_owned());
    }
    Ok(text)
});

/// A login name, often the address.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 320, example = "support@example.com",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$")]
pub struct Login(pub String);
from_text!(Login, |text| line(text, 1..=320));

/// A password or a client's secret. It is stored, and never shown again.
#[derive(Debug, Clone, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 4096, format = Password,
    pattern = r"^[^\u0000]+$")]
pub struct Secret(pub SecretString);
from_text!(Secret, |text| {
    if !(1..=4096).contains(&text.chars().count()) {
        return Err("must have 1 to 4096 characters".to_owned());
    }
    if text.contains('\0') {
        return Err("must not hold a NUL".to_owned());
    }
    Ok(SecretString::from(text))
});

/// What an OAuth2 client authenticates with: its secret, its private key in PEM (with its certificate, where the provider
/// recognizes it by that), or the key file of a Google service account. It is stored, and never shown again.
#[derive(Debug, Clone, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 16384, format = Password,
    pattern = r"^[^\u0000]+$")]
pub struct ClientSecret(pub SecretString);
from_text!(ClientSecret, |text| {
    if !(1..=16_384).contains(&text.chars().count()) {
        return Err("must have 1 to 16384 characters".to_owned());
    }
    if text.contains('\0') {
        return Err("must not hold a NUL".to_owned());
    }
    Ok(SecretString::from(text))
});

/// A day, without a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Date, example = "2027-11-01")]
pub struct Day(pub Date);
from_text!(Day, |text| day(&text).ok_or_else(|| "must be a date such as 2027-11-01".to_owned()));

fn day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok().filter(|_| text.len() == 10)
}

/// The host name or IP address of a mail server. A dot at the end of the name is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(pub Host);

impl PartialSchema for HostName {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let name = r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
        let address = |format| text().format(Some(SchemaFormat::KnownFormat(format)));
        AnyOfBuilder::new()
            .item(text().pattern(Some(format!("{name}$"))).max_length(Some(Host::MAX_BYTES)))
            .item(text().pattern(Some(format!(r"{name}\.$"))).max_length(Some(Host::MAX_BYTES + 1)))
            .item(address(KnownFormat::Ipv4))
            .item(address(KnownFormat::Ipv6))
            .description(Some(
                "The host name or IP address of a mail server. A dot at the end of the name is ignored.",
            ))
            .examples(["imap.example.com"])
            .into()
    }
}

impl ToSchema for HostName {}

from_text!(HostName, |text| Host::parse(&text).map_err(words));

/// The domain name under which a server writes Authentication-Results (RFC 8601 section 2.5). A dot at its end is ignored.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 254, example = "mx.example.com",
    pattern = r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$")]
pub struct AuthservName(pub AuthservId);
from_text!(AuthservName, |text| AuthservId::parse(&text).map_err(words));

/// A TCP port other than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u16, minimum = 1, maximum = 65535, example = 993)]
pub struct Port(pub NonZeroU16);

impl Deserr<Problems> for Port {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Problems> {
        let port = number(value, location, 1..=u64::from(u16::MAX))?;
        u16::try_from(port)
            .ok()
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or_else(|| Problems::one(name_of(location), "must be a port"))
    }
}

/// A port of an SMTP server that takes messages from their senders: any but 25, which is for mail between servers and
/// which AWS blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmtpPort(pub SubmissionPort);

impl PartialSchema for SmtpPort {
    fn schema() -> RefOr<Schema> {
        let port =
            |from, to| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(from)).maximum(Some(to));
        AnyOfBuilder::new()
            .item(port(SubmissionPort::RELAY + 1, u16::MAX))
            .item(port(1, SubmissionPort::RELAY - 1))
            .description(Some(
                "A port of an SMTP server that takes messages from their senders: any but 25, which is for mail between servers and which AWS blocks.",
            ))
            .examples([SubmissionPort::USUAL.get().get()])
            .into()
    }
}

impl ToSchema for SmtpPort {}

impl Deserr<Problems> for SmtpPort {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Problems> {
        let Port(port) = Port::deserialize_from_value(value, location)?;
        SubmissionPort::new(port).map(Self).map_err(|why| Problems::one(name_of(location), words(why)))
    }
}

/// An IMAP mailbox's name as people write it. `INBOX` in any case is the inbox.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 250, example = "INBOX",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f*%]+$")]
pub struct MailboxName(pub Mailbox);
from_text!(MailboxName, |text| {
    if text.chars().count() > 250 {
        return Err("must have 1 to 250 characters".to_owned());
    }
    Mailbox::parse(&text).map_err(words)
});

/// The id of a flow schema, chosen by its owner.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 64, example = "add-to-queue",
    pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
pub struct FlowId(pub FlowSchemaId);
from_text!(FlowId, |text| FlowSchemaId::parse(&text).map_err(words));

/// The URL of an SQS queue.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 500, example = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo",
    pattern = r"^https?://[A-Za-z0-9.:-]{1,253}/[0-9]{12}/[A-Za-z0-9_-]{1,75}(\.fifo)?$")]
pub struct QueueUrl(pub String);
from_text!(QueueUrl, |text| if is_queue_url(&text) {
    Ok(text)
} else {
    Err("must be the URL of an SQS queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo"
        .to_owned())
});

fn is_queue_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let mut parts = rest.unwrap_or_default().split('/');
    let (Some(host), Some(account), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let name = name.strip_suffix(".fifo").unwrap_or(name);
    let host_is_fine = (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-'));
    let name_is_fine = (1..=75).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    host_is_fine && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && name_is_fine
}

/// Seconds between two polls: 10, 15, 20, 30, or whole minutes up to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub RefreshInterval);

impl PartialSchema for Interval {
    fn schema() -> RefOr<Schema> {
        let seconds = || ObjectBuilder::new().schema_type(Type::Integer);
        AnyOfBuilder::new()
            .item(seconds().enum_values(Some([10, 15, 20, 30])))
            .item(seconds().minimum(Some(60)).maximum(Some(86_400)).multiple_of(Some(60)))
            .description(Some("Seconds between two polls: 10, 15, 20, 30, or whole minutes up to a day."))
            .examples([300])
            .into()
    }
}

impl ToSchema for Interval {}

impl Deserr<Problems> for Interval {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Problems> {
        let seconds = number(value, location, 10..=86_400)?;
        RefreshInterval::from_seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
            .map(Self)
            .map_err(|why| Problems::one(name_of(location), words(why)))
    }
}

/// The size (bytes) up to which a message is fetched whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u64, minimum = 1024, maximum = 41943040, example = 26214400)]
pub struct MessageBytes(pub u64);

impl Deserr<Problems> for MessageBytes {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Problems> {
        number(value, location, 1024..=41_943_040).map(Self)
    }
}

/// The size of a file that is to be attached (bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u64, minimum = 1, maximum = 26214400, example = 5242880)]
pub struct UploadBytes(pub u64);

impl Deserr<Problems> for UploadBytes {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Problems> {
        number(value, location, 1..=MAX_ATTACHMENT_BYTES).map(Self)
    }
}

/// Which messages start flows at the first poll of a mailbox: those that arrive from `now` on, `all`, or those that arrived
/// on a day (UTC) or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start(pub StartFrom);

impl PartialSchema for Start {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        AnyOfBuilder::new()
            .item(text().enum_values(Some(["now", "all"])))
            .item(text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))))
            .description(Some(
                "Which messages start flows at the first poll of a mailbox: those that arrive from now on, all, or those that arrived on a day (UTC) or later.",
            ))
            .examples(["now"])
            .into()
    }
}

impl ToSchema for Start {}

from_text!(Start, |text| match text.as_str() {
    "now" => Ok(StartFrom::Now),
    "all" => Ok(StartFrom::All),
    date => day(date)
        .map(StartFrom::Date)
        .ok_or_else(|| "must be now, all, or a date such as 2026-11-01".to_owned()),
});

/// The text of a start, as the API writes it.
#[must_use]
pub fn start_text(start: StartFrom) -> String {
    match start {
        StartFrom::Now => "now".to_owned(),
        StartFrom::All => "all".to_owned(),
        StartFrom::Date(date) => date.to_string(),
    }
}

/// An OAuth2 client's id.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 255, example = "3b0e7c3a-mailroom",
    pattern = r"^[\u0021-\u007e]+$")]
pub struct ClientId(pub String);
from_text!(ClientId, |text| {
    if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err("must have 1 to 255 characters of ASCII without blanks".to_owned())
    }
});

/// An OAuth2 scope (RFC 6749 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 255, example = "https://mail.google.com/",
    pattern = r"^[\u0021\u0023-\u005b\u005d-\u007e]+$")]
pub struct Scope(pub String);
from_text!(Scope, |text| {
    let fine = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    if (1..=255).contains(&text.len()) && text.bytes().all(fine) {
        Ok(text)
    } else {
        Err("must have 1 to 255 characters of ASCII without blanks, quotes and backslashes".to_owned())
    }
});

/// The provider's issuer, or the address of its OpenID configuration.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 1000,
    example = "https://accounts.google.com/.well-known/openid-configuration",
    pattern = r"^https?://(([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?|(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3})(:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[A-Za-z0-9._~/%-]*)?$")]
pub struct DiscoveryUrl(pub Discovery);
from_text!(DiscoveryUrl, |text| discovery(&text));

/// A discovery address that a person typed, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The address as it was typed.
    pub url: String,
    /// The host, which is checked like all hosts that people type.
    pub host: Host,
    /// Whether the document is fetched over TLS.
    pub transport: Transport,
}

/// Whether a document is fetched over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS, as OpenID requires.
    Https,
    /// Without TLS: only from hosts that the deployment allows by name or address.
    Http,
}

fn discovery(text: &str) -> Result<Discovery, String> {
    let wrong =
        || "must be an address such as https://example.com/.well-known/openid-configuration".to_owned();
    let (transport, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (Transport::Https, rest),
        (None, Some(rest)) => (Transport::Http, rest),
        (None, None) => return Err(wrong()),
    };
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let path_is_fine = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'/' | b'-' | b'%'));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let port_is_fine = port
        .is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<NonZeroU16>().is_ok());
    let host = Host::parse(host).map_err(|_| wrong())?;
    if text.len() > 1000 || !path_is_fine || !port_is_fine {
        return Err(wrong());
    }
    Ok(Discovery { url: text.to_owned(), host, transport })
}

#[cfg(test)]
pub(crate) mod tests;
