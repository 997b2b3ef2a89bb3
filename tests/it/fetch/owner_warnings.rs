//! What needs a word with the owner of a mailbox while messages go on: a real server that does not let Mailroom move
//! them, and one that renumbers a full mailbox.

use std::thread;
use std::time::Duration;

use mailroom_core::health::ProfileState;
use mailroom_core::profile::{AfterFetch, ProfileId};
use mailroom_core::server::Mailbox;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::{INTERVAL, World, message};
use serde_json::{Value, json};

/// One more than Mailroom hands over without a question.
const FLOOD: usize = 1_001;

const LONG_POLL: Duration = Duration::from_secs(110);

/// The warnings that the owner reads.
fn warnings(world: &World, profile: ProfileId) -> Vec<(String, String)> {
    let text = |warning: &Value, name: &str| warning[name].as_str().unwrap_or_default().to_owned();
    let shown = world.api().get(&format!("/profiles/{profile}")).expect(200);
    let warnings = shown.body["status"]["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|warning| (text(warning, "code"), text(warning, "message"))).collect()
}

#[test]
fn a_message_that_cannot_be_moved_has_its_job_a_warning_and_another_try() {
    let world = World::new();
    let mut client = world.other_client();
    world.deliver(&message("stuck"));
    let done = AfterFetch::Move(Mailbox::parse("Done").unwrap());
    let profile = world.profile(|profile| profile.settings.after_fetch = done);
    world.poll();
    assert_eq!(world.subjects(), ["stuck"]);
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    let told = warnings(&world, profile);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "after_fetch_fails");
    // In Dovecot's words.
    assert!(told[0].1.contains("\"Done\"") && told[0].1.contains("Mailbox doesn't exist: Done"), "{told:?}");
    assert_eq!(client.all("INBOX").len(), 1);

    // The owner creates the mailbox. After an edit the next try is due at once.
    client.create("Done");
    let _ = world
        .api()
        .patch(&format!("/profiles/{profile}"), &json!({"description": "Done exists"}))
        .expect(200);
    world.poll();
    assert_eq!((client.all("INBOX").len(), client.all("Done").len()), (0, 1));
    assert_eq!(warnings(&world, profile), []);
    assert_eq!(world.jobs().len(), 0, "it was handed over before");
}

#[test]
fn more_messages_than_a_renumbering_explains_wait_for_their_owner() {
    let world = World::new();
    let mut client = world.other_client();
    client.create("Support");
    client.append("Support", "", None, &message("first"));
    let profile = world.profile(|profile| profile.settings.mailbox = Mailbox::parse("Support").unwrap());
    world.poll();
    assert_eq!(world.subjects(), ["first"]);

    // INTERNALDATE counts in seconds: only what is dated later than the first message was surely never handled.
    thread::sleep(Duration::from_millis(1_100));
    // Made again, with messages that Mailroom has never seen and that may be old.
    client.delete("Support");
    client.create("Support");
    for n in 0..FLOOD {
        client.append("Support", "", None, &message(&format!("restored {n}")));
    }
    world.poll();
    assert_eq!(world.jobs_sent(), 1, "only the first message was handed over");
    let told = warnings(&world, profile);
    assert_eq!(told.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["many_messages_recovered"]);
    assert!(told[0].1.starts_with("1001 messages"), "{told:?}");

    client.append("Support", "", None, &message("new"));
    world.poll();
    assert_eq!(world.subjects(), ["new"]);

    let accept = json!({"accept": true});
    let _ = world.api().post(&format!("/profiles/{profile}/fetch"), &accept).expect(202);
    let mut subjects = Vec::new();
    for _ in 0..10 {
        let outcome = world.lambda().invoke(json!({"refresh_interval": INTERVAL}), LONG_POLL);
        assert_eq!(outcome, Outcome::Answered(json!({"batchItemFailures": []})));
        subjects.extend(world.subjects());
        if subjects.len() >= FLOOD {
            break;
        }
    }
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), FLOOD);
    world.poll();
    assert_eq!((world.subjects().len(), warnings(&world, profile)), (0, Vec::new()));
}
