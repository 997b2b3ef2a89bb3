//! SMTP sessions for sending: connect, TLS, EHLO, login (RFC 6409, RFC 8314 §3.3), and mail transactions.
//!
//! Read in this order: `open` (a session with all that differs between servers), `auth` (the login mechanisms), `session`
//! and its extensions, `transaction` (one message), `connection` (commands out, bounded replies in), `reply`, `error`,
//! `refusal` and `owner_error` (the errors, for the log and for the mailbox's owner).
//!
//! Invariants:
//! - Only EHLO and STARTTLS are sent before TLS, and nothing that was received before TLS is used after it.
//! - Every reply is bounded, and every wait has a deadline.
//! - The credential never appears in an error, whatever the server says.
//!
//! Why this speaks SMTP by itself and not through lettre's connection: that has no deadline after connecting and no bound
//! on what it reads, ends a message at its first refused recipient, and has no error for a connection that is lost after
//! the final dot. Nine commands of the protocol are needed.

mod auth;
mod connection;
mod error;
mod open;
mod owner_error;
mod refusal;
mod reply;
mod session;
mod transaction;

#[cfg(test)]
mod tests;

pub use self::error::{Malformed, SmtpError, Step};
pub use self::open::{Connector, EhloName, EhloResponse, open_over, start_tls_over};
pub use self::reply::Reply;
pub use self::session::{Extensions, Session};
pub use self::transaction::{Content, Envelope, TransactionStart, Unsupported};
