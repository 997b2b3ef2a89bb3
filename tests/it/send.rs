//! Messages go out: through real servers, once, and whatever happens on the way is told.

mod copies;
mod crash;
mod faults;
mod guard;
mod input;
mod many;
mod servers;
mod tokens;

use mailroom_core::profile::ProfileId;
use mailroom_tests::world::World;
use serde_json::{Value, json};

/// A small message to Ann.
fn hello() -> Value {
    json!({"to": [{"name": "Ann", "address": "ann@example.org"}], "subject": "Hello", "text": "Is it there?"})
}

/// What has become of a message.
#[track_caller]
fn status(world: &World, profile: ProfileId, id: &str) -> String {
    world.message(profile, id)["status"].as_str().unwrap().to_owned()
}

/// Lets time pass for a message until its outcome is final.
#[track_caller]
fn finally(world: &World, profile: ProfileId, id: &str) -> Value {
    for _ in 0..16 {
        world.hurry(profile, id);
        world.send_all();
        let message = world.message(profile, id);
        let status = message["status"].as_str().unwrap();
        let told = world.is_told(profile, id);
        if told && !matches!(status, "queued" | "sending") {
            return message;
        }
    }
    panic!("no end: {}", world.message(profile, id));
}
