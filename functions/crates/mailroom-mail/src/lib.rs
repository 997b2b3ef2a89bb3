//! Sessions with mail servers, which may be broken or hostile.
//!
//! [`imap`] opens mailboxes, lists and fetches messages, and files sent ones; [`smtp`] sends.
//!
//! Everything from a server is bounded before it is stored, every wait has a deadline, and every refusal is typed.
//! Deliberately absent: AWS, the content of messages, the health of profiles, retries. An error says what happened and
//! what the mailbox's owner can change; `mailroom-core` decides what to do about it.

pub mod imap;
pub mod smtp;
