//! The HTTP API, through API Gateway, as the people who own mailboxes use it.

mod autoconfig;
mod callers;
mod concurrency;
mod connection_test;
mod credential_scope;
mod crud;
mod editing;
mod faults;
mod input;
mod listing;
mod openapi;
mod status;

use mailroom_tests::world::World;
use serde_json::{Value, json};

/// The settings of a profile for the world's mailbox, as its owner would type them.
fn settings(world: &World) -> Value {
    json!({
        "name": "Support",
        "imap_host": "127.0.0.1",
        "imap_port": world.servers().dovecot().ports().imaps,
        "flow_schema_id": "add-to-queue",
        "start_from": "all",
        "auth": {"type": "plain", "login": world.login(), "password": world.password()},
    })
}

/// The same, with some settings changed.
fn settings_with(world: &World, changes: &Value) -> Value {
    let mut settings = settings(world);
    for (name, value) in changes.as_object().expect("an object") {
        settings[name] = value.clone();
    }
    settings
}
