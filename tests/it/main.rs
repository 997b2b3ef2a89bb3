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
mod fetch;
mod manual;
mod oauth2;
mod send;
mod stack;
