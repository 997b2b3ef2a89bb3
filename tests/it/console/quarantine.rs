//! A message that cannot be read is seen on the page of its profile, and tried again from there.

use std::time::Duration;

use mailroom_core::inbound::job::Digest;
use mailroom_tests::aws_proxy::Fault;
use mailroom_tests::axe::Axe;
use mailroom_tests::browser::Browser;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::{World, message};
use serde_json::json;

use super::page;

/// What an invocation has that is going to be killed: its lease ends with it.
const SHORT_LIMIT: Duration = Duration::from_secs(8);

#[test]
fn a_message_that_cannot_be_read_is_listed_and_tried_again_at_once() {
    let world = World::for_browsers();
    let poison = message("poison");
    let mut client = world.other_client();
    for raw in [message("before"), poison.clone(), message("after")] {
        client.append("INBOX", "", None, &raw);
    }
    let profile = world.profile(|_| {});
    let digest = Digest::of(&poison).to_hex();
    // With the others of its page, three times alone, and once more after the server gave another message.
    world.proxy().fail(0, 5, Fault::KillBefore, &world.lambda().killer(), move |call| {
        call.operation == "s3.PutObject" && call.about.contains(&digest)
    });
    for _ in 0..5 {
        assert_eq!(world.poll_within(SHORT_LIMIT), Outcome::Crashed);
        world.expire_lease(profile);
    }
    for _ in 0..2 {
        world.poll();
    }
    assert_eq!(world.subjects(), ["before", "after"]);

    let list = format!("/profiles/{profile}/quarantine");
    let listed = world.api().get(&list).expect(200).body;
    let [entry] = listed["items"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&entry["uid"], &entry["tries"], &entry["job_id"]), (&json!(2), &json!(0), &json!(null)));
    let path = |id: &str| format!("{list}/{id}/retry");
    let _ = world.api().post(&path("1-2"), &json!({})).expect(404);

    // Its next try is a minute away, unless a person asks for it.
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, &format!("/profiles/{profile}")));
    browser.wait_for("Messages that cannot be read");
    assert!(browser.text().contains("UID 2"), "{}", browser.text());
    assert_eq!(Axe::install().violations(&browser), Vec::<String>::new());
    world.poll();
    assert_eq!(world.deferred(profile), [2]);
    browser.click("form[action$=retry] button");
    browser.wait_for("The message is tried in a moment.");
    let _ = world.run_poll_queue(Duration::from_secs(30));
    assert_eq!(world.subjects(), ["poison"]);
    assert_eq!(world.api().get(&list).expect(200).body, json!({"items": []}));
    browser.open(&page(&world, &format!("/profiles/{profile}")));
    browser.wait_for("Polls");
    assert!(!browser.text().contains("Messages that cannot be read"), "{}", browser.text());

    // What was read is gone from it.
    let _ = world.api().post(&path(entry["id"].as_str().unwrap()), &json!({})).expect(404);
}
