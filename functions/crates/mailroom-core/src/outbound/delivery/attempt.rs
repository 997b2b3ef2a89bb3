//! What the servers did: the result of an attempt, of a search in the sent mailbox, and of filing a copy.

use crate::owner_error::OwnerError;

/// A server's negative reply to a recipient or to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpReply {
    /// Whether another attempt may succeed.
    pub class: ReplyClass,
    /// The reply as the server gave it, such as `550 5.1.1 No such user`.
    pub text: String,
}

impl SmtpReply {
    /// Whether the server closes the session with this reply (421, RFC 5321 §3.8).
    #[must_use]
    pub(super) fn closes_session(&self) -> bool {
        self.text.starts_with("421")
    }
}

/// Whether a refusal is final (RFC 5321 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyClass {
    /// 4yz: the same command may succeed later.
    Transient,
    /// The sender has reached a limit of the server, whatever the code: the profile's other messages will be refused too,
    /// until it passes.
    Limit,
    /// 5yz: the same command will be refused again.
    Permanent,
}

/// How an attempt to send a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The server took the message for the recipients in flight, with this reply.
    Accepted(String),
    /// The server refused the message for all recipients.
    Refused(SmtpReply),
    /// The connection was lost after the final dot, before the server's reply: it may have the message.
    Uncertain(OwnerError),
    /// The attempt ended before the final dot: the server does not have the message.
    Interrupted(OwnerError),
    /// The server refused every recipient, so there was nobody to send the message to.
    AllRecipientsRejected,
}

/// What a search for an uncertain message in the sent mailbox showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentSearch {
    /// The sent mailbox holds the message: the provider filed a copy, so it took the message.
    Found,
    /// The sent mailbox does not hold the message.
    NotFound,
    /// The profile has no sent mailbox that could be searched, now or later.
    NoSentMailbox,
    /// The sent mailbox could not be searched this time.
    Unavailable,
}

/// What an attempt to file a copy in the sent mailbox came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filing {
    /// The copy is in the sent mailbox now.
    Filed,
    /// No copy was needed: it is not wanted, or the provider filed its own.
    NotNeeded,
    /// There is no sent mailbox.
    NoSentMailbox,
    /// The copy could not be filed; it is retried.
    Failed,
}
