//! What is known of a listing that a message may break.

use crate::health::Status;
use crate::inbound::cursor::Uid;
use crate::owner_error::{ErrorCode, OwnerError};

/// Failed polls in a row after which the listing is suspected: it is asked for on its own, and narrower each time.
const SUSPECTED_AFTER: u32 = 3;

/// What is known of windows that the server does not list.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// The last UID of the narrowest one.
    pub(super) through: Option<u32>,
    /// The UID that is left of it, and what the server said of it.
    pub(super) alone: Option<(Uid, OwnerError)>,
    /// How many sessions ended so.
    pub(super) ended: u32,
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionIs {
    Open,
    Over,
}

/// How many failed polls in a row a listing may have caused, less those that say nothing.
pub(super) fn suspicious(status: &Status) -> Option<u32> {
    let error = status.error.as_ref()?;
    let may_be = matches!(error.code, ErrorCode::ImapProtocol | ErrorCode::ImapTimeout);
    error.count.checked_sub(SUSPECTED_AFTER).filter(|_| may_be)
}

/// The width of a poll's first window, which is usually `window`.
pub(super) fn first_width(status: &Status, window: u32) -> u32 {
    let narrower = suspicious(status).unwrap_or(0).min(5);
    (window >> (3 * narrower)).max(1)
}
