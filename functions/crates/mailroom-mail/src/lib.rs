//! Sessions with mail servers that may be broken or hostile.
//!
//! [`imap`] opens mailboxes, lists and fetches messages, and files sent ones; [`smtp`] sends.
//!
//! Everything from a server is bounded before it is stored, every wait has a deadline, every refusal a type.
//! Deliberately absent: AWS, what is inside a message, a profile's health, retries. An error says what happened and what
//! the mailbox's owner could change; what to do about it is decided in `mailroom-core`.

pub mod imap;
pub mod smtp;
