//! The harness: everything around the functions, real where it can be and scripted where it must be.
//!
//! A scenario (`it/`) makes a [`world::World`] and tells what happens in it: a message arrives, another client reads it, a
//! poll runs, a process is killed in the middle. The function is the binary that is deployed, started by a Runtime API
//! of ours ([`lambda`]); its AWS is the emulator of `infra/local`, reached through a proxy that can fail any call
//! ([`aws_proxy`]); its mail server is a real one, or one that says what no real server would ([`scripted_imap`]).
//!
//! What is missing on this machine fails a test. Nothing is skipped.
#![expect(clippy::expect_used, reason = "in a harness a panic is the report")]

pub mod agent;
pub mod api;
pub mod aws;
pub mod aws_proxy;
pub mod browser;
pub mod custom_domain;
pub mod debian;
pub mod http;
pub mod imap;
pub mod lambda;
pub mod openid;
mod or_panic;
pub mod postfix;
pub mod python_parser;
pub mod readme;
pub mod rtt_proxy;
pub mod schemathesis;
pub mod scripted_imap;
pub mod secret_scan;
pub mod servers;
pub mod shell;
pub mod smtp_server;
pub mod world;
