//! Why a step of a poll failed: what the owner is told, and whose fault it may be.

use crate::owner_error::OwnerError;
use crate::ports::PortError;

/// Why a step failed.
#[derive(Debug)]
pub enum Failure {
    /// The mail server or the OAuth2 provider did not do its part: the owner reads why.
    Owner(OwnerError),
    /// As [`Self::Owner`], and the first message of the page may be the cause: the try counts against it.
    SuspectMessage(OwnerError),
    /// A service that Mailroom depends on failed.
    Service(PortError),
    /// Another run took the profile over, or its owner edited or deleted it.
    Lost,
    /// The time ran out during the step: nobody knows whether it took effect.
    OutOfTime,
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Lost => Self::Lost,
            PortError::Corrupt(_) | PortError::QueueRefused { .. } | PortError::Unavailable { .. } => {
                Self::Service(error)
            }
        }
    }
}
