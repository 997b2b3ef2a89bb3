//! The whole, as it is deployed: nothing here but the template, the zip, a schedule and a queue starts the function.

use std::thread;
use std::time::{Duration, Instant};

use mailroom_core::health::ProfileState;
use mailroom_core::inbound::job::FlowJob;
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::profile::RefreshInterval;
use mailroom_tests::world::{INTERVAL, World, message};
use time::OffsetDateTime;

/// How long a job may take: the emulator's scheduler looks at its schedules every ten seconds.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

fn await_job(world: &World) -> FlowJob {
    let begun = Instant::now();
    loop {
        if let Some(job) = world.jobs().pop() {
            return job;
        }
        assert!(begun.elapsed() < DELIVERY_TIMEOUT, "no job:\n{}", world.servers().emulator_log());
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_schedule_starts_the_zip_and_a_message_becomes_a_job() {
    let world = World::as_deployed();
    let profile = world.profile(|_| {});
    world.deliver(&message("by schedule"));
    let interval = RefreshInterval::from_seconds(INTERVAL).unwrap();
    let soon = OffsetDateTime::now_utc() + Duration::from_secs(1);
    let schedules = world.stack().schedules();
    world.handle().block_on(schedules.fire_once("first-run", soon, interval)).unwrap();

    assert_eq!(await_job(&world).message.subject.as_deref(), Some("by schedule"));
    let begun = Instant::now();
    while world.status(profile).state != ProfileState::Ok {
        assert!(begun.elapsed() < DELIVERY_TIMEOUT, "{:?}", world.status(profile));
        thread::sleep(Duration::from_millis(100));
    }
    // The deployed stack asks for the default interval by itself, and asking twice is no error.
    world.handle().block_on(schedules.ensure(interval)).unwrap();
}

#[test]
fn the_poll_queue_starts_the_zip_and_a_message_becomes_a_job() {
    let world = World::as_deployed();
    let profile = world.profile(|_| {});
    world.deliver(&message("by queue"));
    world.aws().send(&world.stack().queues.poll, &PollRequest::Profile(profile).to_json());
    assert_eq!(await_job(&world).message.subject.as_deref(), Some("by queue"));
}
