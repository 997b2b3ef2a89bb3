//! Tests of the repository itself: that its files keep to the rules which no compiler knows. They need no servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is a failed test"
)]

mod circles;
mod dependencies;
mod documents;
mod environment;
mod tidy;
mod workspace;
