//! Messages and mailboxes that are larger than usual.

use std::collections::BTreeSet;
use std::time::Duration;

use mailroom_core::health::ProfileState;
use mailroom_core::inbound::job::Kind;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::{World, message};

/// What Lambda gives the function, in bytes.
const MEMORY: u64 = 256 * 1024 * 1024;

/// A message with a body of this many bytes.
fn message_of(subject: &str, bytes: usize) -> Vec<u8> {
    let line = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\r\n";
    let mut raw = message(subject);
    raw.extend(line.iter().copied().cycle().take(bytes / line.len() * line.len()));
    raw
}

#[test]
fn a_message_of_sixty_megabytes_is_a_job_with_its_headers() {
    let world = World::new();
    world.deliver(&message_of("too large", 60_000_000));
    world.deliver(&message("small"));
    let profile = world.profile(|_| {});
    world.poll();

    let jobs = world.jobs();
    let large = jobs.iter().find(|job| job.kind == Kind::Oversize).unwrap();
    assert_eq!(large.message.subject.as_deref(), Some("too large"));
    assert!(large.message.size > 60_000_000 - 100 && large.raw.is_none());
    assert_eq!(jobs.len(), 2);
    let memory = world.lambda().peak_memory();
    assert!(memory < MEMORY / 4, "{} MiB", memory / 1024 / 1024);

    world.poll();
    assert!(world.jobs().is_empty());
    assert_eq!(world.status(profile).state, ProfileState::Ok);
}

#[test]
fn messages_of_the_largest_size_allowed_fit_the_memory() {
    let world = World::new();
    for n in 0..3 {
        world.deliver(&message_of(&format!("large {n}"), 25_000_000));
    }
    world.profile(|_| {});
    world.poll();
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 3);
    for job in &jobs {
        assert_eq!(job.kind, Kind::Message);
        assert!(job.message.truncated);
        let raw = job.raw.as_ref().unwrap();
        assert_eq!(world.aws().object(&raw.bucket, &raw.key).unwrap().len() as u64, job.message.size);
    }
    let memory = world.lambda().peak_memory();
    assert!(memory < MEMORY, "{} MiB", memory / 1024 / 1024);
}

#[test]
fn a_backlog_is_handed_over_in_several_invocations_each_message_once() {
    const MESSAGES: usize = 2_000;
    let world = World::new();
    let messages: Vec<Vec<u8>> = (0..MESSAGES).map(|n| message(&format!("message {n}"))).collect();
    world.deliver_all(messages.iter().map(Vec::as_slice));
    let profile = world.profile(|_| {});

    let limit = Duration::from_secs(8);
    assert!(matches!(world.poll_within(limit), Outcome::Answered(_)));
    let invocations = 1 + world.run_poll_queue(limit);
    assert!(invocations > 1, "the backlog was too small to need a second invocation");

    let subjects = world.subjects();
    assert_eq!(subjects.len(), MESSAGES);
    assert_eq!(subjects.iter().collect::<BTreeSet<_>>().len(), MESSAGES);
    assert_eq!(world.ledger(profile).len(), MESSAGES);
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    let memory = world.lambda().peak_memory();
    assert!(memory < MEMORY, "{} MiB", memory / 1024 / 1024);
}
