//! What counts as new when a mailbox is polled for the first time.

use mailroom_core::health::ProfileState;
use mailroom_core::profile::StartFrom;
use mailroom_tests::world::{World, message};
use time::macros::{date, datetime};
use time::{Duration, OffsetDateTime};

#[test]
fn from_now_hands_over_only_what_comes_later() {
    let world = World::new();
    let an_hour_ago = OffsetDateTime::now_utc() - Duration::hours(1);
    world.other_client().append("INBOX", "", Some(an_hour_ago), &message("old"));
    let profile = world.profile(|profile| profile.settings.start_from = StartFrom::Now);
    assert_eq!(world.status(profile).state, ProfileState::Pending);

    world.poll();
    assert!(world.jobs().is_empty());
    assert_eq!(world.status(profile).state, ProfileState::Ok);

    world.deliver(&message("new"));
    world.poll();
    assert_eq!(world.subjects(), ["new"]);
}

#[test]
fn what_arrives_between_the_creation_and_the_first_poll_has_its_job() {
    let world = World::new();
    let a_day_ago = OffsetDateTime::now_utc() - Duration::DAY;
    world.other_client().append("INBOX", "", Some(a_day_ago), &message("old"));
    world.profile(|profile| profile.settings.start_from = StartFrom::Now);
    world.deliver(&message("early"));
    world.poll();
    assert_eq!(world.subjects(), ["early"]);
    world.deliver(&message("late"));
    world.poll();
    assert_eq!(world.subjects(), ["late"]);
}

#[test]
fn from_now_is_right_for_an_empty_mailbox_too() {
    let world = World::new();
    world.profile(|profile| profile.settings.start_from = StartFrom::Now);
    world.poll();
    world.deliver(&message("first"));
    world.poll();
    assert_eq!(world.subjects(), ["first"]);
}

#[test]
fn all_hands_over_everything_in_its_order() {
    let world = World::new();
    for subject in ["one", "two", "three"] {
        world.deliver(&message(subject));
    }
    let profile = world.profile(|profile| profile.settings.start_from = StartFrom::All);
    world.poll();
    let jobs = world.jobs();
    let uids: Vec<u32> = jobs.iter().map(|job| job.uid).collect();
    assert_eq!(uids, [1, 2, 3]);
    assert_eq!(world.ledger(profile).len(), 3);
}

#[test]
fn a_date_leaves_older_messages_alone() {
    let world = World::new();
    let mut client = world.other_client();
    client.append("INBOX", "", Some(datetime!(2026-10-30 12:00 UTC)), &message("October"));
    client.append("INBOX", "", Some(datetime!(2026-11-02 12:00 UTC)), &message("November"));
    client.append("INBOX", "", Some(datetime!(2026-10-31 12:00 UTC)), &message("moved here late"));
    world.profile(|profile| profile.settings.start_from = StartFrom::Date(date!(2026 - 11 - 01)));
    world.poll();
    assert_eq!(world.subjects(), ["November"]);

    // Whatever comes after the first poll counts, whatever date it carries.
    client.append("INBOX", "", Some(datetime!(2025-01-01 12:00 UTC)), &message("from the archive"));
    world.poll();
    assert_eq!(world.subjects(), ["from the archive"]);
}
