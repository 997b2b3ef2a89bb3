//! The very next poll uses what was edited.

use std::time::Duration;

use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

use super::{settings, settings_with};

const POLL_LIMIT: Duration = Duration::from_secs(30);

fn state(world: &World, path: &str) -> String {
    world.api().get(path).expect(200).body["status"]["state"].as_str().unwrap().to_owned()
}

fn made(world: &World, settings: &Value) -> String {
    format!("/profiles/{}", world.api().post("/profiles", settings).expect(201).id())
}

#[test]
fn an_edited_password_is_used_at_once() {
    let world = World::new();
    world.deliver(&message("waiting"));
    let wrong = json!({"type": "plain", "login": world.login(), "password": "wrong"});
    let path = made(&world, &settings_with(&world, &json!({"auth": wrong})));
    // It is not tried at the pace of the polls: that would lock the account.
    for _ in 0..3 {
        world.poll();
    }
    assert_eq!(state(&world, &path), "misconfigured");
    let shown = world.api().get(&path).body["status"].clone();
    assert_eq!((&shown["error"]["code"], &shown["error"]["count"]), (&json!("imap_auth"), &json!(1)));
    assert!(shown["not_before"].is_string());

    let _ = world.api().patch(&path, &json!({"auth": {"password": world.password()}})).expect(200);
    assert_eq!(state(&world, &path), "pending");
    world.poll();
    assert_eq!(world.subjects(), ["waiting"]);
    let shown = world.api().get(&path).body["status"].clone();
    assert_eq!((&shown["state"], &shown["error"]), (&json!("ok"), &Value::Null));

    let _ = world.api().patch(&path, &json!({"auth": {"password": "wrong again"}})).expect(200);
    world.poll();
    assert_eq!(state(&world, &path), "misconfigured");
}

#[test]
fn an_edited_mailbox_is_read_from_its_own_beginning() {
    let world = World::new();
    world.deliver(&message("in the inbox"));
    let path = made(&world, &settings(&world));
    world.poll();
    assert_eq!(world.subjects(), ["in the inbox"]);
    let last = world.api().get(&path).body["status"]["last_uid"].clone();
    assert_eq!(last, 1);
    world.append("Orders", &message("in orders"));
    let _ = world.api().patch(&path, &json!({"mailbox": "Orders"})).expect(200);
    let shown = world.api().get(&path).body["status"].clone();
    assert_eq!((&shown["state"], &shown["last_uid"]), (&json!("pending"), &Value::Null));
    world.poll();
    assert_eq!(world.subjects(), ["in orders"]);
}

#[test]
fn an_edited_interval_is_kept_from_now_on() {
    let world = World::new();
    world.deliver(&message("once"));
    let path = made(&world, &settings(&world));
    let _ = world.api().patch(&path, &json!({"refresh_interval": 120})).expect(200);
    assert_eq!(world.schedule_names(), ["refresh-120"]);
    // The old interval's plan finds nobody, the new one's does.
    world.poll();
    assert!(world.subjects().is_empty());
    let _ = world.lambda().invoke(json!({"refresh_interval": 120}), POLL_LIMIT);
    assert_eq!(world.subjects(), ["once"]);
    let _ = world.api().patch(&path, &json!({"refresh_interval": 180})).expect(200);
    assert_eq!(world.schedule_names(), ["refresh-180"]);
    let _ = world.api().patch(&path, &json!({"listen": false})).expect(200);
    assert!(world.schedule_names().is_empty());
    assert_eq!(state(&world, &path), "off");
    let _ = world.api().patch(&path, &json!({"listen": true})).expect(200);
    assert_eq!(world.schedule_names(), ["refresh-180"]);
    assert_eq!(state(&world, &path), "pending");
}

#[test]
fn an_edited_flow_schema_is_on_the_next_job() {
    let world = World::new();
    let queue = world.make_queue("orders");
    let _ = world
        .api()
        .post("/flow-schemas", &json!({"id": "orders", "name": "Orders", "queue_url": queue}))
        .expect(201);
    let path = made(&world, &settings(&world));
    world.deliver(&message("one"));
    world.poll();
    assert_eq!(world.subjects(), ["one"]);
    let _ = world.api().patch(&path, &json!({"flow_schema_id": "orders"})).expect(200);
    world.deliver(&message("two"));
    world.poll();
    assert!(world.subjects().is_empty());
    let jobs = world.aws().drain(&queue);
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].body.contains("\"flow_schema_id\":\"orders\"") && jobs[0].body.contains("two"));
}
