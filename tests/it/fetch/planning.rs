//! Many profiles, short intervals, the poll queue and the schedules.

use std::thread;
use std::time::{Duration, Instant};

use mailroom_core::flow::{FlowSchema, FlowSchemaId};
use mailroom_core::health::ProfileState;
use mailroom_core::inbound::schedule::{BATCH, PollRequest};
use mailroom_core::profile::{ProfileId, RefreshInterval};
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::{World, message, sqs_event};
use serde_json::json;

const POLL_LIMIT: Duration = Duration::from_secs(30);

fn interval(seconds: u32) -> RefreshInterval {
    RefreshInterval::from_seconds(seconds).unwrap()
}

#[test]
fn many_profiles_are_polled_through_the_queue() {
    let world = World::new();
    world.deliver(&message("to all"));
    let profiles: Vec<ProfileId> = (0..=BATCH)
        .map(|_| world.profile(|profile| profile.settings.refresh_interval = interval(60)))
        .collect();
    let planned = world.lambda().invoke(json!({"refresh_interval": 60}), POLL_LIMIT);
    assert_eq!(planned, Outcome::Answered(json!({"batchItemFailures": []})));

    // The batches are spread over half the interval.
    let begun = Instant::now();
    let mut jobs = Vec::new();
    while jobs.len() < profiles.len() {
        world.run_poll_queue(POLL_LIMIT);
        jobs.extend(world.jobs());
        assert!(begun.elapsed() < Duration::from_secs(60), "{} jobs", jobs.len());
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(jobs.len(), profiles.len());
    assert!(profiles.iter().all(|profile| world.status(*profile).state == ProfileState::Ok));
}

#[test]
fn an_interval_below_a_minute_gets_its_rounds_from_the_queue() {
    let world = World::new();
    world.profile(|profile| profile.settings.refresh_interval = interval(10));
    let planned = world.lambda().invoke(json!({"refresh_interval": 10}), POLL_LIMIT);
    assert_eq!(planned, Outcome::Answered(json!({"batchItemFailures": []})));
    let attributes = world.aws().call(
        "sqs",
        "AmazonSQS.GetQueueAttributes",
        &json!({"QueueUrl": world.stack().queues.poll, "AttributeNames": ["All"]}),
    );
    assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessagesDelayed"], "5", "{attributes}");
}

#[test]
fn a_request_that_cannot_be_read_does_not_spoil_its_batch() {
    let world = World::new();
    world.deliver(&message("fine"));
    let profile = world.profile(|_| {});
    let mut event = sqs_event("1", &PollRequest::Profile(profile).to_json());
    for (id, body) in [("2", "not JSON"), ("3", r#"{"kind":"profile","version":99,"profile_id":"x"}"#)] {
        let record = sqs_event(id, body)["Records"][0].clone();
        event["Records"].as_array_mut().unwrap().insert(0, record);
    }
    let outcome = world.lambda().invoke(event, POLL_LIMIT);
    let failed = json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]});
    assert_eq!(outcome, Outcome::Answered(failed));
    assert_eq!(world.subjects(), ["fine"]);
}

#[test]
fn an_unknown_event_is_refused() {
    let world = World::new();
    for event in
        [json!({}), json!({"refresh_interval": 7}), json!({"detail-type": "Scheduled Event"}), json!(null)]
    {
        let outcome = world.lambda().invoke(event.clone(), POLL_LIMIT);
        assert!(matches!(outcome, Outcome::Failed(_)), "{event}: {outcome:?}");
    }
    world.poll();
}

#[test]
fn a_schedule_that_no_profile_needs_is_removed() {
    let world = World::new();
    let schedules = world.stack().schedules();
    world.handle().block_on(schedules.ensure(interval(120))).unwrap();
    let planned = world.lambda().invoke(json!({"refresh_interval": 120}), POLL_LIMIT);
    assert_eq!(planned, Outcome::Answered(json!({"batchItemFailures": []})));
    let removed = world.proxy().calls().into_iter().find(|call| call.operation == "scheduler.DeleteSchedule");
    assert_eq!(removed.map(|call| call.status), Some(200));
}

#[test]
fn a_profile_that_cannot_be_read_leaves_the_others_alone() {
    let world = World::new();
    world.deliver(&message("fine"));
    let spoilt = world.profile(|_| {});
    world.spoil(spoilt);
    let healthy = world.profile(|_| {});
    world.poll();
    assert_eq!(world.status(healthy).state, ProfileState::Ok);
    assert_eq!(world.subjects(), ["fine"]);
}

#[test]
fn a_flow_schema_sends_its_jobs_to_its_own_queue() {
    let world = World::new();
    let queue = world.make_queue("orders");
    let id = FlowSchemaId::parse("orders").unwrap();
    let schema = FlowSchema { id: id.clone(), name: "Orders".to_owned(), queue_url: Some(queue.clone()) };
    world.handle().block_on(world.table().put_flow_schema(&schema)).unwrap();
    world.deliver(&message("an order"));
    world.profile(|profile| profile.settings.flow_schema_id = Some(id));
    world.poll();
    assert!(world.jobs().is_empty());
    let orders = world.aws().drain(&queue);
    assert_eq!(orders.len(), 1);
    assert!(orders[0].body.contains("\"flow_schema_id\":\"orders\""));
}

#[test]
fn a_profile_that_does_not_listen_is_not_polled() {
    let world = World::new();
    world.deliver(&message("unheard"));
    world.profile(|profile| profile.settings.listen = false);
    world.poll();
    assert!(world.jobs().is_empty());
}
