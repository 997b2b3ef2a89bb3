//! The harness of the scenarios in `it/`: everything that surrounds the functions, real where it can be.
//!
//! A scenario makes a [`world::World`] and tells what happens in it: a message arrives, another client reads it, a poll
//! runs, a process is killed in the middle. What each part of a world is:
//!
//! | part | is | in |
//! |---|---|---|
//! | the functions | the binaries that are deployed, started by a Runtime API of the harness | [`lambda`] |
//! | AWS | the emulator of `infra/local`, behind a proxy that fails the calls that a scenario names | [`servers`], [`aws_proxy`], [`aws_call`], [`aws`] |
//! | IMAP | Dovecot, or a server that says what no real one would | [`imap`], [`scripted_imap`], [`rtt_proxy`] |
//! | SMTP | aiosmtpd, which fails on command, and Postfix | [`smtp_server`], [`postfix`] |
//! | OAuth2 | an OpenID provider, and mail servers that introspect its tokens | [`openid`] |
//! | clients of the API | HTTP, a cookie jar, Chromium, and made-up requests | [`api`], [`agent`], [`browser`], [`schemathesis`] |
//! | people who need more of a page than its looks | axe-core, in Chromium | [`axe`] |
//! | other readers of messages | packages from PyPI | [`python_parser`], [`reply_readers`], [`winmail`] |
//! | readers of the documents | a shell that runs the commands that they show | [`readme`], [`shell`] |
//!
//! Read first: [`world`], then its modules, which hold what a scenario does (`profiles`, `sending`, `oauth2`, `people`) and sees
//! (`inspect`). Servers are shared by all scenarios of the process; each world has an AWS account and a mailbox of its
//! own. When a world is dropped, it checks that no secret was written anywhere ([`secret_scan`]), that the roles allow every
//! call that a function made ([`rights`]), that every planned fault has happened, and that no process is left.
//!
//! A program that is missing on this machine is installed, or the test fails. Nothing is skipped.
#![expect(clippy::expect_used, reason = "in a harness a panic is the report")]

pub mod agent;
pub mod api;
pub mod aws;
pub mod aws_call;
pub mod aws_proxy;
pub mod axe;
pub mod browser;
pub mod custom_domain;
pub mod debian;
pub mod flows;
pub mod http;
pub mod imap;
pub mod lambda;
pub mod openid;
mod or_panic;
pub mod postfix;
pub mod python_parser;
pub mod readme;
pub mod reply_readers;
pub mod rights;
pub mod rtt_proxy;
pub mod schemathesis;
pub mod scripted_imap;
pub mod secret_scan;
pub mod servers;
pub mod shell;
pub mod smtp_server;
mod tls;
pub mod winmail;
pub mod world;
