//! A process that is killed at any moment loses no message and hands none over twice.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use mailroom_core::health::ProfileState;
use mailroom_core::inbound::job::Digest;
use mailroom_tests::aws_proxy::{Call, Fault};
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::{INTERVAL, World, message};
use serde_json::json;

/// What an invocation has that is going to be killed: its lease ends with it.
const SHORT_LIMIT: Duration = Duration::from_secs(8);

/// How long the lease of a killed run still stands, after [`SHORT_LIMIT`].
const LEASE: Duration = Duration::from_secs(10);

/// A moment in the hand-over: the calls of one operation, of which one is the last that the process makes.
type Moment = fn(&Call) -> bool;

fn object(call: &Call) -> bool {
    call.operation == "s3.PutObject"
}

/// Jobs go to a FIFO queue, and requests for polls to another.
fn job(call: &Call) -> bool {
    call.operation.starts_with("sqs.SendMessage") && call.about.contains(".fifo")
}

fn ledger(call: &Call) -> bool {
    call.operation.starts_with("dynamodb.") && call.writes() && call.about.contains("SEEN#")
}

/// The writes of the profile after the lease: the cursor.
fn cursor(call: &Call) -> bool {
    call.operation == "dynamodb.UpdateItem" && call.about.contains("last_uid")
}

/// Kills the function at this moment of its first poll, and checks that the next polls finish its work.
fn crash_at(moment: Moment, skip: usize, fault: Fault) -> World {
    let world = World::new();
    for subject in ["one", "two", "three"] {
        world.deliver(&message(subject));
    }
    let profile = world.profile(|_| {});
    world.proxy().fail(skip, 1, fault, &world.lambda().killer(), moment);
    assert_eq!(world.poll_within(SHORT_LIMIT), Outcome::Crashed);

    let mut jobs = world.jobs();
    world.expire_lease(profile);
    world.poll();
    jobs.extend(world.jobs());
    let subjects: BTreeSet<_> = jobs.iter().filter_map(|job| job.message.subject.as_deref()).collect();
    assert_eq!(subjects, BTreeSet::from(["one", "two", "three"]), "no message is lost");
    assert_eq!(jobs.len(), 3, "no message is handed over twice");
    assert_eq!(world.ledger(profile).len(), 3);
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    world
}

#[test]
fn killed_before_the_object_is_stored() {
    crash_at(object, 1, Fault::KillBefore);
}

#[test]
fn killed_between_the_object_and_the_job() {
    crash_at(job, 0, Fault::KillBefore);
}

#[test]
fn killed_between_the_job_and_the_ledger() {
    crash_at(job, 0, Fault::KillAfter);
}

#[test]
fn killed_while_the_ledger_is_written() {
    crash_at(ledger, 0, Fault::KillBefore);
}

#[test]
fn killed_between_the_ledger_and_the_cursor() {
    let world = crash_at(cursor, 0, Fault::KillBefore);
    assert_eq!(world.jobs_sent(), 3, "what the ledger holds is not even sent again");
}

#[test]
fn killed_after_the_cursor_is_moved() {
    let world = World::new();
    world.deliver(&message("one"));
    world.profile(|_| {});
    world.proxy().fail_next(Fault::KillAfter, &world.lambda().killer(), cursor);
    assert_eq!(world.poll_within(SHORT_LIMIT), Outcome::Crashed);
    // The lease was released with the cursor.
    world.deliver(&message("two"));
    world.poll();
    assert_eq!(world.subjects(), ["one", "two"]);
}

#[test]
fn a_lease_keeps_others_away_until_it_runs_out() {
    let world = World::new();
    world.deliver(&message("one"));
    world.profile(|_| {});
    world.proxy().fail_next(Fault::KillBefore, &world.lambda().killer(), job);
    assert_eq!(world.poll_within(SHORT_LIMIT), Outcome::Crashed);
    world.poll();
    assert!(world.jobs().is_empty(), "the lease was not respected");
    thread::sleep(LEASE);
    world.poll();
    assert_eq!(world.subjects(), ["one"]);
}

#[test]
fn two_functions_at_once_hand_over_each_message_once() {
    let world = World::new();
    let messages: Vec<Vec<u8>> = (0..150).map(|n| message(&format!("message {n}"))).collect();
    world.deliver_all(messages.iter().map(Vec::as_slice));
    let profile = world.profile(|_| {});
    let other = world.another_function();
    let event = json!({"refresh_interval": INTERVAL});
    let time = Duration::from_secs(30);
    let both = [world.lambda().begin(event.clone(), time), other.begin(event, time)];
    for poll in both {
        assert_eq!(poll.wait(), Outcome::Answered(json!({"batchItemFailures": []})));
    }
    world.poll();
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 150);
    assert_eq!(jobs.iter().map(|job| &job.job_id).collect::<BTreeSet<_>>().len(), 150);
    assert_eq!(world.ledger(profile).len(), 150);
}

#[test]
fn a_message_that_crashes_the_function_again_and_again_is_deferred_and_the_next_goes_on() {
    let world = World::new();
    let poison = message("poison");
    let mut client = world.other_client();
    for raw in [message("before"), poison.clone(), message("after")] {
        client.append("INBOX", "", None, &raw);
    }
    let profile = world.profile(|_| {});
    let digest = Digest::of(&poison).to_hex();
    // In company of the page's other messages, three times alone, and once more after the server gave another message.
    world.proxy().fail(0, 5, Fault::KillBefore, &world.lambda().killer(), move |call| {
        object(call) && call.about.contains(&digest)
    });
    for _ in 0..5 {
        assert_eq!(world.poll_within(SHORT_LIMIT), Outcome::Crashed);
        world.expire_lease(profile);
    }
    for _ in 0..2 {
        world.poll();
    }
    assert_eq!(world.subjects(), ["before", "after"]);
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    assert_eq!(world.deferred(profile), [2], "it is not lost");

    world.deliver(&message("next"));
    world.poll();
    assert_eq!(world.subjects(), ["next"]);
}

/// Has one call fail, and sees to it that this poll or the next makes good for it.
fn fails(moment: Moment, fault: Fault) {
    let world = World::new();
    world.deliver(&message("one"));
    let profile = world.profile(|_| {});
    world.proxy().fail_next(fault, &world.lambda().killer(), moment);
    let _ = world.poll_within(SHORT_LIMIT);
    let mut subjects = world.subjects();
    world.expire_lease(profile);
    world.await_due(profile);
    world.poll();
    subjects.extend(world.subjects());
    assert_eq!(subjects, ["one"]);
    assert_eq!(world.status(profile).state, ProfileState::Ok);
}

#[test]
fn a_bucket_that_is_busy_is_tried_again() {
    fails(object, Fault::Refuse(503, "SlowDown"));
}

#[test]
fn a_bucket_that_refuses_delays_the_message() {
    fails(object, Fault::Refuse(403, "AccessDenied"));
}

#[test]
fn a_queue_that_fails_is_tried_again() {
    fails(job, Fault::Refuse(500, "InternalFailure"));
}

#[test]
fn a_job_whose_answer_was_lost_is_not_sent_twice() {
    fails(job, Fault::HangUpAfter);
}

#[test]
fn a_ledger_that_is_throttled_is_tried_again() {
    fails(ledger, Fault::Refuse(400, "ProvisionedThroughputExceededException"));
}

#[test]
fn a_cursor_that_could_not_be_written_is_written_again() {
    fails(cursor, Fault::Refuse(500, "InternalServerError"));
}

#[test]
fn a_cursor_whose_answer_was_lost_hands_over_nothing_twice() {
    fails(cursor, Fault::HangUpAfter);
}
