//! What the mailbox's provider found out about a message's sender.

use serde::{Deserialize, Serialize};

/// The results of the provider's checks (RFC 8601 §2.7), as words such as `pass`, `fail` and `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// Whether the server that sent it may send for the domain of the return path (RFC 7208).
    pub spf: Option<String>,
    /// Whether a signature of it is valid (RFC 6376).
    pub dkim: Option<String>,
    /// Whether one of the two belongs to the domain in `From` (RFC 7489).
    pub dmarc: Option<String>,
    /// Whether the servers that passed it on vouch for it (RFC 8617).
    pub arc: Option<String>,
}

/// What the provider's filter says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spam {
    /// What it calls the message.
    pub verdict: SpamVerdict,
    /// The number behind it, on the provider's own scale; none where it gives none.
    pub score: Option<f64>,
}

/// What a filter calls a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpamVerdict {
    /// Not wanted.
    Spam,
    /// Nothing wrong was found.
    NotSpam,
}
