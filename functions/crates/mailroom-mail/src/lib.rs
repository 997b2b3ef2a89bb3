//! Mail as it travels: IMAP sessions with servers that may be broken or hostile, and messages that may be anything.
//!
//! Read in this order: [`net`] (which addresses may be connected to), [`tls`] (always verified), [`login`] (what to log
//! in with), [`imap`] (opening a
//! mailbox, listing and fetching), [`smtp`] (sessions for sending), [`mime`] (from a mail's bytes to what it says),
//! [`compose`] (from what is to be said to a mail's bytes).
//!
//! Each third-party crate stays in one module: rustls in [`tls`], mail-parser in [`mime`], lettre in [`compose`]. Everything from a server is
//! bounded before it is stored, every wait has a deadline, every refusal a type. Deliberately absent: AWS, profiles'
//! health, retries. An error says what happened and what its owner could change; what to do about it is decided in
//! `mailroom-core`.

pub mod compose;
pub mod imap;
pub mod login;
pub mod mime;
pub mod net;
pub mod redact;
pub mod smtp;
pub mod tls;
pub mod trouble;
