//! Values of attributes, as every item stores them.

use mailroom_core::invalid::Invalid;
use time::OffsetDateTime;

/// A stored item that cannot be read: names the attribute.
#[derive(Debug, thiserror::Error)]
#[error("{attribute} {why}")]
pub(crate) struct Unreadable {
    pub(crate) attribute: &'static str,
    pub(crate) why: String,
}

/// An attribute that holds what the domain refuses.
pub(crate) fn invalid(attribute: &'static str) -> impl FnOnce(Invalid) -> Unreadable {
    move |why| Unreadable { attribute, why: why.to_string() }
}

/// Times are stored in milliseconds since 1970.
pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Reads what [`millis`] has written.
pub(crate) fn time_of(attribute: &'static str, millis: i64) -> Result<OffsetDateTime, Unreadable> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .map_err(|error| Unreadable { attribute, why: error.to_string() })
}

/// Whether a flag is left out of its item.
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
