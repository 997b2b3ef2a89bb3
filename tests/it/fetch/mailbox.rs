//! What other clients do to a mailbox, and what polls make of it.

use std::time::Duration;

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Mailbox;
use mailroom_tests::aws_proxy::Fault;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::{INTERVAL, World, message};
use serde_json::json;

#[test]
fn a_message_that_was_read_before_is_left_alone() {
    let world = World::new();
    let mut client = world.other_client();
    client.append("INBOX", "\\Seen", None, &message("read"));
    client.append("INBOX", "", None, &message("unread"));
    world.profile(|profile| profile.settings.include_seen = false);
    world.poll();
    assert_eq!(world.subjects(), ["unread"]);

    client.append("INBOX", "\\Seen", None, &message("read at once"));
    world.poll();
    assert!(world.jobs().is_empty());
}

#[test]
fn a_message_that_was_read_before_counts_where_the_profile_wants_it() {
    let world = World::new();
    let mut client = world.other_client();
    client.append("INBOX", "\\Seen", None, &message("read"));
    client.append("INBOX", "", None, &message("unread"));
    world.profile(|profile| profile.settings.include_seen = true);
    world.poll();
    let mut subjects = world.subjects();
    subjects.sort();
    assert_eq!(subjects, ["read", "unread"]);
}

#[test]
fn a_message_deleted_between_listing_and_fetching_is_no_error() {
    let world = World::new();
    for subject in ["stays", "goes", "stays too"] {
        world.deliver(&message(subject));
    }
    let profile = world.profile(|_| {});
    // The lease is taken after the listing and before the fetch: it comes late, and a message is deleted meanwhile.
    world.proxy().fail_next(Fault::Delay(Duration::from_millis(800)), &world.lambda().killer(), |call| {
        call.operation == "dynamodb.UpdateItem"
    });
    let poll = world.lambda().begin(json!({"refresh_interval": INTERVAL}), Duration::from_secs(20));
    world.proxy().await_faults();
    let mut client = world.other_client();
    client.select("INBOX");
    client.expunge("2");
    assert!(matches!(poll.wait(), Outcome::Answered(_)));

    assert_eq!(world.subjects(), ["stays", "stays too"]);
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    world.deliver(&message("next"));
    world.poll();
    assert_eq!(world.subjects(), ["next"]);
}

#[test]
fn a_mailbox_made_again_hands_over_only_what_is_new_in_it() {
    let world = World::new();
    let mut client = world.other_client();
    client.create("Support");
    client.append("Support", "", None, &message("one"));
    client.append("Support", "", None, &message("two"));
    let profile = world.profile(|profile| profile.settings.mailbox = Mailbox::parse("Support").unwrap());
    world.poll();
    assert_eq!(world.jobs().len(), 2);
    let before = world.stored(profile).cursor.unwrap().uid_validity;

    client.delete("Support");
    client.create("Support");
    for subject in ["meanwhile", "two", "one"] {
        client.append("Support", "", None, &message(subject));
    }
    drop(world.proxy().take_calls());
    world.poll();
    assert_eq!(world.subjects(), ["meanwhile"]);
    assert_eq!(world.jobs_sent(), 1, "the queue forgets after five minutes, the ledger does not");
    let after = world.stored(profile).cursor.unwrap().uid_validity;
    assert_ne!(before, after);

    client.append("Support", "", None, &message("later"));
    world.poll();
    assert_eq!(world.subjects(), ["later"]);
}

#[test]
fn a_mailbox_that_does_not_exist_is_its_owners_to_fix() {
    let world = World::new();
    let mut client = world.other_client();
    let profile = world.profile(|profile| profile.settings.mailbox = Mailbox::parse("Suport").unwrap());
    world.poll();
    let status = world.status(profile);
    assert_eq!(status.state, ProfileState::Misconfigured);
    let error = status.error.unwrap();
    assert_eq!(error.code, ErrorCode::ImapMailbox);
    assert!(error.message.contains("Suport"), "{}", error.message);

    // It appears, and all is well.
    client.create("Suport");
    client.append("Suport", "", None, &message("found"));
    let _ = world.api().post(&format!("/profiles/{profile}/fetch"), &json!({})).expect(202);
    world.poll();
    assert_eq!(world.subjects(), ["found"]);
    let status = world.status(profile);
    assert_eq!((status.state, status.error), (ProfileState::Ok, None));
}

#[test]
fn a_mailbox_is_named_as_people_write_it() {
    for name in ["Entwürfe/日本語", "R&D", "a b \"c\" \\d", "🦀"] {
        let world = World::new();
        let mut client = world.other_client();
        client.create(name);
        client.append(name, "", None, &message("found"));
        world.profile(|profile| profile.settings.mailbox = Mailbox::parse(name).unwrap());
        world.poll();
        let jobs = world.jobs();
        assert_eq!(jobs.len(), 1, "{name}");
        assert_eq!(jobs[0].mailbox, name);
    }
}
