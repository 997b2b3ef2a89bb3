//! What the queue is told about a batch, over fakes that remember.

use mailroom_lambda::clock;
use serde_json::json;

use super::*;
use crate::fakes::{Fakes, PANIC, PROFILE, World, profile};

const OTHER: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Handles these bodies as one batch; the ids of those to deliver again, which are their places.
async fn handle(world: &World, bodies: &[String]) -> Vec<String> {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| json!({"messageId": n.to_string(), "receiptHandle": format!("r{n}"), "body": body}))
        .collect();
    let handler = SendHandler::<Fakes>::new(Arc::new(world.services()));
    let deadline = clock::instant() + Duration::from_secs(600);
    let response = handler.handle(json!({"Records": records}), deadline).await.unwrap();
    response.batch_item_failures.into_iter().map(|one| one.item_identifier).collect()
}

fn body(profile: &str, id: &str) -> String {
    let to = json!([{"address": "ann@example.org"}]);
    json!({"profile_id": profile, "id": id, "to": to, "text": "Hello"}).to_string()
}

#[tokio::test]
async fn a_queue_message_that_cannot_be_read_never_spoils_its_batch() {
    let world = World::new();
    let bad = ["{".to_owned(), json!({"version": 2, "profile_id": PROFILE, "id": "b"}).to_string()];
    let batch = [bad[0].clone(), body(PROFILE, "a"), bad[1].clone()];
    assert!(handle(&world, &batch).await.is_empty());
    assert_eq!(world.state().sent_to.len(), 1);
    assert_eq!(world.state().dead_letters, bad);
}

#[tokio::test]
async fn a_missing_profile_leaves_a_dead_letter_only_of_a_message_that_is_stored_nowhere_else() {
    let world = World::new();
    let included = body(OTHER, "a");
    let stored = json!({"profile_id": OTHER, "id": "b"}).to_string();
    assert!(handle(&world, &[included.clone(), stored]).await.is_empty());
    assert_eq!(world.state().dead_letters, [included]);
}

#[tokio::test]
async fn a_panic_has_only_its_own_profiles_messages_delivered_again() {
    let world = World::new();
    let mut other = profile();
    other.id = ProfileId::parse(OTHER).unwrap();
    other.settings.auth = mailroom_core::profile::Auth::Plain { login: PANIC.to_owned() };
    world.state().profiles.insert(other.id, other);
    assert_eq!(handle(&world, &[body(OTHER, "a"), body(PROFILE, "b")]).await, ["0"]);
    assert_eq!(world.state().sent_to.len(), 1);
}

#[tokio::test]
async fn a_service_failure_postpones_the_queue_message() {
    let world = World::new();
    world.state().failing_save = Some(1);
    assert_eq!(handle(&world, &[body(PROFILE, "a")]).await, ["0"]);
    assert_eq!(world.state().postponed, [("r0".to_owned(), SERVICE_FAILURE_PAUSE)]);
}
