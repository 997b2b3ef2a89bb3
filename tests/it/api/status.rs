//! How a profile is doing, as its owner sees it; and a poll when the owner wants one.

use std::time::Duration;

use mailroom_tests::world::{World, message};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{settings, settings_with};

fn made(world: &World, settings: &Value) -> String {
    format!("/profiles/{}", world.api().post("/profiles", settings).expect(201).id())
}

fn status(world: &World, path: &str) -> Value {
    world.api().get(path).expect(200).body["status"].clone()
}

#[test]
fn the_status_is_true_after_every_poll() {
    let world = World::new();
    let path = made(&world, &settings(&world));
    world.poll();
    let idle = status(&world, &path);
    assert_eq!((&idle["state"], &idle["last_message_at"]), (&json!("ok"), &Value::Null));
    assert!(idle["uid_validity"].is_u64() && idle["authorized"] == true);
    world.deliver(&message("one"));
    world.poll();
    let busy = status(&world, &path);
    assert_eq!(busy["last_uid"], 1);
    let at = |value: &Value| OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap();
    assert!(at(&busy["last_message_at"]) >= at(&idle["last_success_at"]));
    // What is wrong is told in the server's words, and when the next try is.
    let _ = world.api().patch(&path, &json!({"mailbox": "Nowhere"})).expect(200);
    world.poll();
    let wrong = status(&world, &path);
    assert_eq!((&wrong["state"], &wrong["error"]["code"]), (&json!("misconfigured"), &json!("imap_mailbox")));
    assert!(wrong["error"]["message"].as_str().unwrap().contains("Nowhere"), "{wrong}");
    let _ = world.api().patch(&path, &json!({"mailbox": "INBOX"})).expect(200);
    world.poll();
    assert_eq!(status(&world, &path)["error"], Value::Null);
}

#[test]
fn a_new_profile_and_one_that_was_changed_are_polled_at_once() {
    let world = World::new();
    world.deliver(&message("first"));
    let path = made(&world, &settings(&world));
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 1);
    assert_eq!(world.subjects(), ["first"]);
    let _ = world.api().patch(&path, &json!({"name": "Words alone"})).expect(200);
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 0);
    let _ = world.api().patch(&path, &json!({"auth": {"password": "wrong"}})).expect(200);
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 1);
    assert_eq!(status(&world, &path)["error"]["code"], "imap_auth");
    let _ = world.api().patch(&path, &json!({"listen": false})).expect(200);
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 0);
}

#[test]
fn a_poll_comes_when_its_owner_asks_for_one() {
    let world = World::new();
    let path = made(&world, &settings(&world));
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 1);
    world.deliver(&message("now"));
    let accepted = world.api().post(&format!("{path}/fetch"), &json!({})).expect(202);
    assert_eq!(accepted.body["profile_id"], path.strip_prefix("/profiles/").unwrap());
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 1);
    assert_eq!(world.subjects(), ["now"]);
}

#[test]
fn an_answer_about_messages_that_are_not_held_back_is_refused() {
    let world = World::new();
    let path = format!("{}/fetch", made(&world, &settings(&world)));
    let conflict = world.api().post(&path, &json!({"accept": true})).expect(409);
    assert!(conflict.body["detail"].as_str().unwrap().contains("held back"), "{:?}", conflict.body);
    assert_eq!(world.api().post(&path, &json!({"accept": "yes"})).expect(422).fields(), ["accept"]);
    assert_eq!(world.api().post(&path, &json!({"all": true})).expect(422).fields(), ["all"]);
}

#[test]
fn a_poll_that_is_asked_for_ends_a_pause_of_ours() {
    let world = World::new();
    let closed = json!({"imap_port": 1});
    let path = made(&world, &settings_with(&world, &closed));
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 1);
    let failing = status(&world, &path);
    assert_eq!(failing["state"], "failing");
    assert!(failing["not_before"].is_string());
    let _ = world.api().call("POST", &format!("{path}/fetch"), &[], None).expect(202);
    assert_eq!(world.run_poll_queue(Duration::from_secs(30)), 1);
    assert_eq!(status(&world, &path)["error"]["count"], 2);
}

#[test]
fn a_profile_that_does_not_listen_is_off_and_cannot_be_polled() {
    let world = World::new();
    let path = made(&world, &settings_with(&world, &json!({"listen": false})));
    assert_eq!(status(&world, &path)["state"], "off");
    let _ = world.api().call("POST", &format!("{path}/fetch"), &[], None).expect(409);
    let _ = world.api().call("POST", "/profiles/01JDCABCDEFGHJKMNPQRSTVWXY/fetch", &[], None).expect(404);
}
