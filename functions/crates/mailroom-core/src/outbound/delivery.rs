//! How far an outbound message is: from accepted for sending to its final outcome, with nothing sent twice.
//!
//! A server has a message once it has seen the final dot (RFC 5321 §4.1.1.4), and not before. That moment is recorded
//! ahead of time: a crash before it means that the message is sent again; after a crash behind it nobody knows, so the
//! message becomes uncertain and is searched for in the sent mailbox.
//!
//! ```text
//! queued ──claim──► claimed ──before the dot──► data sent ──► sent
//!    ▲                 │ error, 4yz                 │ 4yz       failed
//!    └─────────────────┴────────────────────────────┘           uncertain ──found──► sent
//! ```
//!
//! Each recipient has a status of its own; the message's state is read off them. Everything here is a pure function of
//! a delivery, what happened, and the time.
//!
//! A queued message can be cancelled. What is done can be resent, on request only, to the recipients for whom no server
//! is known to have taken it.
//!
//! Read in this order: `state` (what is known, and [`Delivery::next`]: what to do now), `attempt` (what servers did),
//! `transition` (how a delivery changes with it), `request` (cancelling and resending), `bounce` (what reports
//! say later), `error`. Deliberately absent:
//! any step from accepted back to waiting, and one from uncertain that nobody asked for.

mod attempt;
mod bounce;
mod error;
mod request;
mod state;
mod transition;

pub use self::attempt::{Attempt, Filing, ReplyClass, SentSearch, SmtpReply};
pub use self::bounce::{BouncedMessage, ReportedFailure};
pub use self::error::{SendError, SendErrorCode};
pub use self::request::{CancelRefusal, ResendRefusal};
pub use self::state::{
    Bounce, Delivery, DeliveryState, Next, OutcomeEvent, Phase, Recipient, RecipientStatus, SendLease,
    SentCopy,
};
pub use self::transition::PROFILE_RECHECK_PAUSE;

#[cfg(test)]
mod tests;
