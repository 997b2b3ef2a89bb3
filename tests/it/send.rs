//! Outbound messages: sent through real servers, once, with every outcome published.

mod bounces;
mod conversations;
mod copies;
mod crash;
mod faults;
mod guard;
mod input;
mod many;
mod requests;
mod servers;
mod tokens;

use mailroom_core::profile::ProfileId;
use mailroom_tests::world::World;
use serde_json::{Value, json};

/// A small message to Ann.
fn hello() -> Value {
    json!({"to": [{"name": "Ann", "address": "ann@example.org"}], "subject": "Hello", "text": "Is it there?"})
}

/// The status of a message, as the API shows it.
#[track_caller]
fn status(world: &World, profile: ProfileId, id: &str) -> String {
    world.message(profile, id)["status"].as_str().unwrap().to_owned()
}

/// Lets time pass for a message until its outcome is published; the message then.
#[track_caller]
fn finally(world: &World, profile: ProfileId, id: &str) -> Value {
    for _ in 0..16 {
        world.end_sending_pause(profile);
        world.hurry(profile, id);
        world.send_all();
        let message = world.message(profile, id);
        let status = message["status"].as_str().unwrap();
        if world.is_published(profile, id) && !matches!(status, "queued" | "sending") {
            return message;
        }
    }
    panic!("no final outcome: {}", world.message(profile, id));
}
