//! SMTP sessions for sending: connect, TLS, EHLO, login (RFC 6409, RFC 8314 §3.3).
//!
//! Read in this order: [`open`](self) (a session with all that differs between servers), `auth` (the ways to log in),
//! `transaction` (one mail), `wire` (commands out, bounded
//! replies in), `reply` (what a reply says), `error` and `trouble` (what went wrong, for the log and for the mailbox's
//! owner).
//!
//! Invariants:
//! - Nothing but EHLO and STARTTLS is said before TLS, and nothing that was heard before it is believed after it.
//! - Every reply is bounded, every wait has a deadline.
//! - What we log in with is never repeated, whatever the server says.
//!
//! Why this speaks SMTP by itself and not through lettre's connection: that has no deadline after connecting and no
//! bound on what it reads, ends a mail at its first refused recipient, and has no word for a connection that is lost
//! after the final dot. Of the protocol, nine commands are needed.

mod auth;
mod connection;
mod error;
mod open;
mod owner_error;
mod reply;
mod session;
mod transaction;

#[cfg(test)]
mod tests;

pub use self::error::{Malformed, SmtpError, Step};
pub use self::open::{Connector, Probe};
pub use self::reply::Reply;
pub use self::session::{Extensions, Session};
pub use self::transaction::{Begun, Content, Envelope, Unsupported};
