//! The scenarios, each in a world of its own. Read a name as a statement of fact, and its test as the transcript that
//! shows it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a panic is a failed test, and what is printed is shown with it"
)]

mod api;
mod death;
mod deployed;
mod first_poll;
mod hostile;
mod large;
mod mailbox;
mod manual;
mod new_mail;
mod oauth2;
mod planning;
mod secrecy;
mod send;
mod trouble;
