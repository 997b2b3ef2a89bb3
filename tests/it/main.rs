//! The scenarios: what the deployed functions do with real servers, each in a world of its own (`mailroom_tests::world`).
//! Read a name as a statement of fact, and its test as the transcript that shows it.
//!
//! [`fetch`], [`send`], [`api`] and [`audit`] hold what their functions promise; [`oauth2`] what profiles that log in with tokens
//! do across the three; [`console`] what people see of them. [`stack`] starts the functions as AWS does, by their
//! schedules and queues, and searches all output for secrets. [`manual`] runs every command of the API manual, [`flows`]
//! the flows of `infra/examples`, [`reading`] other readers of messages beside ours. What ports and their fakes can show
//! is not here but beside the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a panic is a failed test, and what is printed is shown with it"
)]

mod api;
mod audit;
mod console;
mod fetch;
mod flows;
mod manual;
mod oauth2;
mod reading;
mod send;
mod stack;
