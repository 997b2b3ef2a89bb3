//! Under which ids a message is known afterwards.

use mailroom_core::conversation::KnownMessage;

use super::*;

/// The keys under which a message is known, with its conversation.
fn known(world: &World, id: &str) -> Vec<(String, String)> {
    let state = world.state();
    let ours = |message: &KnownMessage| message.outbound.as_ref().is_some_and(|one| one.as_str() == id);
    let known = state.known.iter().filter(|(_, message)| ours(message));
    let mut known: Vec<_> = known
        .map(|(key, message)| (key.as_str().to_owned(), message.conversation.as_str().to_owned()))
        .collect();
    known.sort();
    known
}

const SES_ID: &str = "0107018f9a2b3c4d-1f2e3d4c-0000-4a5b-8c6d-7e8f9a0b1c2d-000000";

#[tokio::test]
async fn a_message_is_known_by_its_own_id_and_by_the_one_that_the_server_gave_it() {
    let world = World::new();
    world.state().dots.push_back(FinalDot::Accepted(format!("250 Ok {SES_ID}")));
    let answer = json!({"in_reply_to": "<q1@example.org>", "references": ["<q1@example.org>"]});
    assert_eq!(run(&world, &queued("a", answer)).await.unwrap(), Ack::Done);
    let own = world.delivery("a").message_id.as_str().to_owned();
    let known_a = known(&world, "a");
    let keys: Vec<&str> = known_a.iter().map(|(key, _)| key.as_str()).collect();
    let ses = format!("{SES_ID}@amazonses.com");
    let mut expected = [own.as_str(), ses.as_str()];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(known_a[0].1, known_a[1].1, "one conversation");
    // The next message answers this one by the server's id: it joins the conversation.
    let answer = json!({"in_reply_to": format!("<{SES_ID}@eu-central-1.amazonses.com>")});
    assert_eq!(run(&world, &queued("b", answer)).await.unwrap(), Ack::Done);
    assert_eq!(known(&world, "b")[0].1, known_a[0].1);
    assert_eq!(known(&world, "b").len(), 1, "\"250 OK\" names no id");
}

#[tokio::test]
async fn what_a_crash_kept_from_being_noted_is_noted_before_the_outcome() {
    let world = World::new();
    world.state().dots.push_back(FinalDot::Accepted(format!("250 Ok {SES_ID}")));
    let message = queued("a", json!({}));
    // The save behind the dot is the last that succeeds: claim, before the dot, result.
    world.state().failing_save = Some(3);
    run(&world, &message).await.unwrap_err();
    world.state().known.retain(|key, _| !key.as_str().ends_with("amazonses.com"));
    world.state().outcomes.clear();
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    assert_eq!(known(&world, "a").len(), 2);
    assert_eq!(world.state().outcomes.len(), 1);
}
