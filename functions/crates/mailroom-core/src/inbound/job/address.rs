//! Addresses as a job has them.

use serde::{Deserialize, Serialize};

/// An address of a header field (RFC 5322 §3.4). Real messages lack the one part or the other, never both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address {
    /// The display name, decoded.
    pub name: Option<String>,
    /// `local@domain` (RFC 5322 §3.4.1), as written.
    pub address: Option<String>,
}
