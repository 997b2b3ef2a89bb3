//! Why a message was not sent, or not yet.

use super::attempt::ReplyClass;
use crate::owner_error::{ErrorCode, OwnerError};

/// The code of a message's error: part of the contract with our users' clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorCode {
    /// The profile's servers or credentials cannot be used, or the server refused the message.
    Profile(ErrorCode),
    /// The loop guard held the message back: it could start a mail loop, or be part of one.
    LoopGuard,
    /// The message cannot be written as an email that the server takes.
    MessageInvalid,
}

impl SendErrorCode {
    /// The codes that only messages have.
    pub const OWN: [Self; 2] = [Self::LoopGuard, Self::MessageInvalid];

    /// Reads a name that [`Self::name`] wrote.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let profile_codes = ErrorCode::ALL.into_iter().map(Self::Profile);
        Self::OWN.into_iter().chain(profile_codes).find(|code| code.name() == name)
    }

    /// The code as the contract spells it, in snake case.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::LoopGuard => "loop_guard".to_owned(),
            Self::MessageInvalid => "message_invalid".to_owned(),
            Self::Profile(code) => match serde_json::to_value(code) {
                Ok(serde_json::Value::String(name)) => name,
                Ok(_) | Err(_) => "internal".to_owned(),
            },
        }
    }
}

/// A message's error, in words for the person who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    /// What kind of error it is.
    pub code: SendErrorCode,
    /// One sentence, with the server's words where it gave any.
    pub message: String,
}

impl SendError {
    /// An error about the message itself. `message` is shortened and cleaned like an [`OwnerError`]'s.
    #[must_use]
    pub fn new(code: SendErrorCode, message: impl AsRef<str>) -> Self {
        Self { code, message: OwnerError::new(ErrorCode::Internal, message).message }
    }

    /// The server refused the message with this reply.
    #[must_use]
    pub(super) fn refused(class: ReplyClass, reply: &str) -> Self {
        let (code, message) = match class {
            ReplyClass::Permanent => {
                (ErrorCode::SmtpRejected, format!("The mail server refused the message: \"{reply}\"."))
            }
            ReplyClass::Transient => {
                (ErrorCode::SmtpRejected, format!("The mail server put the message off: \"{reply}\"."))
            }
            ReplyClass::Limit => (
                ErrorCode::SmtpThrottled,
                format!("A sending limit of the mail server is reached: \"{reply}\"."),
            ),
        };
        Self::new(SendErrorCode::Profile(code), message)
    }

    /// The server put the message off for one recipient with this reply.
    #[must_use]
    pub(super) fn put_off(address: &str, reply: &str) -> Self {
        let message = format!("The mail server put the message off for {address}: \"{reply}\".");
        Self::new(SendErrorCode::Profile(ErrorCode::SmtpRejected), message)
    }
}

impl From<&OwnerError> for SendError {
    fn from(error: &OwnerError) -> Self {
        Self { code: SendErrorCode::Profile(error.code), message: error.message.clone() }
    }
}
