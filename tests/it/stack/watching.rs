//! What the function counts, and the alarms that it sets off.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailroom_core::health::{CurrentError, ProfileState};
use mailroom_core::owner_error::ErrorCode;
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The embedded metrics of the function's log, as CloudWatch reads them: each line's values by name.
fn metrics(world: &World) -> Vec<Value> {
    let log = world.lambda().log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

/// The last value of a metric.
fn last(world: &World, name: &str) -> f64 {
    let mut values = metrics(world).into_iter().rev().filter_map(|line| line.get(name)?.as_f64());
    values.next().unwrap_or_else(|| panic!("{name} is not in the log: {}", world.lambda().log()))
}

/// Gives CloudWatch the last value of a metric, as if it had been written so long ago, and returns the alarm's state.
fn alarm(world: &World, alarm: &str, metric: &str, age: Duration) -> Value {
    let namespace = metrics(world)[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"].clone();
    let prefix = namespace.as_str().unwrap().strip_prefix("Mailroom/").unwrap().to_owned();
    let at = (SystemTime::now() - age).duration_since(UNIX_EPOCH).unwrap().as_secs();
    let datum = json!({"MetricName": metric, "Value": last(world, metric), "Unit": "Count", "Timestamp": at});
    let call = |operation: &str, body: &Value| {
        world.aws().call("monitoring", &format!("GraniteServiceVersion20100801.{operation}"), body)
    };
    let _ = call("PutMetricData", &json!({"Namespace": namespace, "MetricData": [datum]}));
    let found = call("DescribeAlarms", &json!({"AlarmNames": [format!("{prefix}-{alarm}")]}));
    found["MetricAlarms"][0]["StateValue"].clone()
}

#[test]
fn profiles_that_no_poll_reaches_set_off_an_alarm_until_one_does() {
    let world = World::new();
    world.deliver(&message("hello"));
    let hour_ago = OffsetDateTime::now_utc() - time::Duration::hours(1);
    let id = world.profile(|profile| {
        profile.status.state = ProfileState::Failing;
        profile.status.error = Some(CurrentError {
            code: ErrorCode::ImapConnect,
            message: "There is no connection.".to_owned(),
            since: hour_ago,
            count: 9,
        });
    });
    world.poll();
    let counted = |name| last(&world, name);
    assert_eq!((counted("Plans"), counted("ProfilesListening")), (1.0, 1.0));
    assert_eq!((counted("ProfilesFailing"), counted("ProfilesNotReached")), (1.0, 1.0));
    assert_eq!((counted("Polls"), counted("PollsFailed"), counted("MessagesHandedOver")), (1.0, 0.0, 1.0));
    // The alarm looks back ten minutes; so much of them have passed already.
    let age = Duration::from_secs(597);
    assert_eq!(alarm(&world, "not-reached", "ProfilesNotReached", age), "ALARM");

    assert_eq!(world.status(id).state, ProfileState::Ok);
    world.poll();
    assert_eq!((counted("ProfilesFailing"), counted("ProfilesNotReached")), (0.0, 0.0));
    assert_eq!((counted("Polls"), counted("MessagesHandedOver")), (1.0, 0.0));
    thread::sleep(Duration::from_secs(5));
    assert_eq!(alarm(&world, "not-reached", "ProfilesNotReached", Duration::ZERO), "OK");
}
