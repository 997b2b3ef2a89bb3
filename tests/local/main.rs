//! The commands of `infra/README.md`, typed as they stand there: on the default emulator, and on a real LocalStack.
//!
//! The blocks marked `sh` of the sections on this machine are run in their order. A block that begins with
//! [`OWN_TERMINAL`] goes on until its scenario ends; all others share one shell, in which every command must succeed.
//! Needs the ports 4566 and 9000, and nothing else that is up in this folder: the commands name them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a panic is a failed test")]

mod readme;
mod terminal;

use readme::{Block, section};
use terminal::Terminals;

/// What the demo prints once it has answered the first job.
const DEMO_READY: &str = "Waiting for more messages";

#[test]
fn the_readme_holds_on_the_default_emulator() {
    let mut terminals = Terminals::open();
    terminals.type_blocks(&section("On this machine"));
    work(&mut terminals);
    let status = terminals.down();
    assert!(status.contains("stopped"), "{status}");
}

#[test]
fn the_readme_holds_on_localstack() {
    let mut terminals = Terminals::open();
    terminals.type_blocks(&section("With LocalStack"));
    let up = terminals.output("cargo local up");
    assert!(up.contains("! no API Gateway HTTP APIs here"), "what LocalStack lacks is not said:\n{up}");
    assert!(up.contains("! LocalStack keeps schedules"), "what LocalStack lacks is not said:\n{up}");
    work(&mut terminals);

    // A message that arrives later has its job by a schedule that `up` fires.
    terminals.type_blocks(&[Block::new("cargo local mail --subject 'By schedule'")]);
    terminals.wait_for("cargo demo", "By schedule");
    // Deployed again, what is there is updated.
    terminals.end("cargo demo");
    terminals.end("cargo local up");
    terminals.type_blocks(&[Block::in_own_terminal("cargo local up --endpoint http://127.0.0.1:4566")]);
    let status = terminals.down();
    assert!(status.contains("stays there"), "{status}");
}

/// What is done with a stack that is up, a demo included, whatever emulator it is on.
fn work(terminals: &mut Terminals) {
    let demo = terminals.output("cargo demo");
    assert!(demo.contains("Where is my order?") && demo.contains("Reply\n  status       sent"), "{demo}");
    terminals.type_blocks(&section("Seeing jobs"));
    let said = terminals.type_blocks(&section("The functions from the sources with cargo-lambda"));
    for message in ["remote-1", "watch-1"] {
        let status = said.lines().find(|line| line.contains(&format!("\"id\":\"{message}\"")));
        let status = status.unwrap_or_else(|| panic!("no status of {message}:\n{said}"));
        assert!(status.contains("\"status\":\"sent\""), "{status}");
    }
    assert!(!said.contains("batchItemFailures\":[{"), "a batch failed:\n{said}");
    let logs = terminals.type_blocks(&[Block::new("cargo local logs send")]);
    assert!(logs.contains("send  INFO"), "{logs}");
}
