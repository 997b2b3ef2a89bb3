//! What happens to a mailbox without a loss: none of it is reported.

use mailroom_core::audit::AuditResult;
use mailroom_core::health::ProfileState;
use mailroom_core::profile::{AfterFetch, StartFrom};
use mailroom_core::server::Mailbox;
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

/// The counts of an answer that are not 0, without the messages that were listed.
fn counts(audited: &Value) -> Value {
    let mut counts = audited["counts"].as_object().unwrap().clone();
    counts.retain(|name, count| name != "listed" && *count != 0);
    Value::Object(counts)
}

#[track_caller]
fn assert_fine(audited: &Value, expected: Value) {
    assert_eq!((&audited["result"], counts(audited)), (&json!("fine"), expected), "{audited}");
}

#[test]
fn a_mailbox_whose_messages_have_jobs_is_fine() {
    let world = World::new();
    let id = world.profile(|_| {});
    for n in 1..=3 {
        world.deliver(&message(&format!("message {n}")));
    }
    world.poll();
    assert_eq!(world.jobs().len(), 3);
    assert_fine(&world.audit(id), json!({"handed_over": 3}));
    let status = world.stored(id).audit.unwrap();
    assert_eq!((status.result, status.missing, status.reason), (AuditResult::Fine, 0, None));

    // Entries that were written before places were noted are known by their digests.
    for digest in world.ledger(id) {
        world.note_in_ledger(id, &digest, &json!({}));
    }
    assert_fine(&world.audit(id), json!({"handed_over": 3}));
}

#[test]
fn what_people_and_polls_do_to_messages_is_excused() {
    let world = World::new();
    let id = world.profile(|profile| profile.settings.max_message_bytes = 2_000);
    let mut client = world.other_client();
    client.append("INBOX", "\\Seen", None, &message("read before"));
    client.append("INBOX", "", None, &message("handed over"));
    client.append("INBOX", "", None, &message("handed over"));
    client.append("INBOX", "", None, &message("deleted since"));
    let large = [message("large"), b"more of it\r\n".repeat(1_000)].concat();
    client.append("INBOX", "", None, &large);
    world.poll();
    assert_eq!(world.jobs().len(), 3);
    client.select("INBOX");
    client.flag("2", "\\Seen");
    client.expunge("4");
    // No poll comes any more.
    client.append("INBOX", "", None, &message("not yet due"));
    assert_fine(&world.audit(id), json!({"read_before": 1, "handed_over": 3, "waiting": 1}));
}

#[test]
fn what_is_moved_away_after_its_hand_over_is_not_missed() {
    let world = World::new();
    let mut client = world.other_client();
    client.create("Done");
    let moves = AfterFetch::Move(Mailbox::parse("Done").unwrap());
    let id = world.profile(|profile| profile.settings.after_fetch = moves);
    world.deliver(&message("moved"));
    world.poll();
    assert_eq!(client.all("Done").len(), 1);
    assert_fine(&world.audit(id), json!({}));
}

#[test]
fn what_lay_there_before_the_profile_is_not_due() {
    let world = World::new();
    let old = time::OffsetDateTime::now_utc() - time::Duration::days(3);
    let mut client = world.other_client();
    client.append("INBOX", "", Some(old), &message("old"));
    let id = world.profile(|profile| profile.settings.start_from = StartFrom::Now);
    world.deliver(&message("new"));
    world.poll();
    assert_eq!(world.subjects(), ["new"]);
    assert_fine(&world.audit(id), json!({"not_due": 1, "handed_over": 1}));
}

#[test]
fn messages_of_a_mailbox_that_is_made_again_are_known_by_their_bytes() {
    let world = World::new();
    let mut client = world.other_client();
    client.create("Support");
    client.append("Support", "", None, &message("one"));
    let id = world.profile(|profile| profile.settings.mailbox = Mailbox::parse("Support").unwrap());
    world.poll();
    client.delete("Support");
    client.create("Support");
    client.append("Support", "", None, &message("two"));
    client.append("Support", "", None, &message("one"));
    // No poll has seen the new numbers.
    assert_fine(&world.audit(id), json!({"waiting": 2}));
    world.poll();
    assert_eq!(world.jobs().len(), 2);
    assert_fine(&world.audit(id), json!({"handed_over": 2}));
}

#[test]
fn a_profile_that_does_not_listen_has_nothing_to_audit() {
    let world = World::new();
    let id = world.profile(|profile| {
        profile.settings.listen = false;
        profile.status.state = ProfileState::Off;
    });
    assert_eq!(world.audit(id)["result"], Value::Null);
    assert_eq!(world.stored(id).audit, None);
}
