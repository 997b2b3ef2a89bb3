//! Times as the API writes them (RFC 3339).

use serde::Serializer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Writes a time with milliseconds, which every client can read.
pub(crate) fn rfc3339<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = at.replace_nanosecond(at.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(*at);
    serializer.serialize_str(&whole.format(&Rfc3339).map_err(serde::ser::Error::custom)?)
}

/// The same; null where there is no time.
pub(crate) fn rfc3339_or_null<S: Serializer>(
    at: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}
