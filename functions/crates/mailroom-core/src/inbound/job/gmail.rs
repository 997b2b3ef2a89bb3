//! What Gmail keeps of a message beside its flags.

use serde::{Deserialize, Serialize};

/// Gmail's own ids and labels (its IMAP extension `X-GM-EXT-1`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gmail {
    /// X-GM-THRID, in decimal.
    pub thread_id: Option<String>,
    /// X-GM-MSGID, in decimal. Gmail's API writes the same number in hexadecimal.
    pub message_id: Option<String>,
    /// X-GM-LABELS, decoded; Gmail's own begin with a backslash.
    pub labels: Vec<String>,
}
