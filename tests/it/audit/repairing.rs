//! Missing messages come back, each once.

use std::time::Duration;

use mailroom_core::profile::AfterFetch;
use mailroom_tests::world::{World, message};
use serde_json::json;

const POLL: Duration = Duration::from_secs(30);

#[test]
fn a_repair_hands_missing_messages_over_once_and_new_ones_go_on() {
    let world = World::new();
    let id = world.profile(|profile| profile.settings.after_fetch = AfterFetch::MarkSeen);
    world.deliver(&message("first"));
    world.poll();
    for lost in ["lost", "lost too"] {
        world.deliver(&message(lost));
    }
    world.push_cursor(id, 3);
    world.deliver(&message("later"));
    world.poll();
    let mut subjects = world.subjects();
    subjects.sort();
    assert_eq!(subjects, ["first", "later"]);

    let auditor = world.repairing_audit_function();
    let found = world.audit_by(&auditor, id);
    assert_eq!((&found["result"], &found["missing"]), (&json!("missing"), &json!(2)), "{}", auditor.log());
    assert_eq!(world.deferred(id), [2, 3]);
    // An audit that comes before the poll finds them on their way.
    let again = world.audit_by(&auditor, id);
    assert_eq!((&again["result"], &again["counts"]["deferred"]), (&json!("fine"), &json!(2)), "{again}");

    let _ = world.run_poll_queue(POLL);
    let mut subjects = world.subjects();
    subjects.sort();
    assert_eq!(subjects, ["lost", "lost too"], "{}", world.lambda().log());
    assert_eq!(world.deferred(id), [0; 0]);

    let fine = world.audit_by(&auditor, id);
    assert_eq!((&fine["result"], &fine["counts"]["handed_over"]), (&json!("fine"), &json!(4)), "{fine}");
    let _ = world.run_poll_queue(POLL);
    world.poll();
    assert_eq!(world.jobs_sent(), 4);
}

#[test]
fn a_repair_waits_for_a_poll_that_is_under_way() {
    let world = World::new();
    let id = world.profile_with_a_lost_message();
    // Another run has the profile, and crashes with it.
    world.hold_lease(id, Duration::from_secs(8));
    let auditor = world.repairing_audit_function();
    assert_eq!(world.audit_by(&auditor, id)["missing"], 1);
    assert_eq!(world.deferred(id), [2], "{}", auditor.log());
    let _ = world.run_poll_queue(POLL);
    let mut subjects = world.subjects();
    subjects.sort();
    assert_eq!(subjects, ["first", "lost"]);
}
