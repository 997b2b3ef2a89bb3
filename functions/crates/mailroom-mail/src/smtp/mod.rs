//! SMTP sessions for sending: connect, TLS, EHLO, login (RFC 6409, RFC 8314 §3.3).
//!
//! Read in this order: [`open`](self) (a session with all that differs between servers), `wire` (commands out, bounded
//! replies in), `reply` (what a reply says), `error` and `trouble` (what went wrong, for the log and for the mailbox's
//! owner).
//!
//! Invariants:
//! - Nothing but EHLO and STARTTLS is said before TLS, and nothing that was heard before it is believed after it.
//! - Every reply is bounded, every wait has a deadline.
//! - What we log in with is never repeated, whatever the server says.
//!
//! Why this speaks SMTP by itself and not through lettre's connection: that has no deadline after connecting and no
//! bound on what it reads. Of the protocol, four commands are needed up to here.

mod error;
mod open;
mod reply;
mod trouble;
mod wire;

#[cfg(test)]
mod tests;

pub use self::error::{Malformed, SmtpError, Step};
pub use self::open::{Connector, Login, Probe, Session};
pub use self::reply::Reply;
