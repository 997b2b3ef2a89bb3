//! Whatever fails, and whenever the function crashes: no secret without a profile, no profile that its owner does not see,
//! and nothing that a repeat does not mend.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mailroom_tests::api::event;
use mailroom_tests::aws_proxy::{Call, Fault};
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::settings_with;

const REQUEST_LIMIT: Duration = Duration::from_secs(28);

/// Tries of one operation, as the function's AWS client makes them.
const TRIES: usize = 4;

/// How an operation fails for good, whether or not AWS has done it.
const FAILURES: [Fault; 3] = [Fault::Refuse(500, "InternalFailure"), Fault::HangUp, Fault::HangUpAfter];

const CRASHES: [Fault; 2] = [Fault::KillBefore, Fault::KillAfter];

/// Calls the function in a new process, whose AWS SDK still has its full quota of retries.
fn ask(world: &World, method: &str, path: &str, body: Option<&Value>) -> Option<(u64, Value)> {
    world.api_function().killer().kill();
    match world.api_function().invoke(event(method, path, body), REQUEST_LIMIT) {
        Outcome::Answered(answer) => {
            let body =
                answer["body"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
            Some((answer["statusCode"].as_u64().unwrap(), body))
        }
        Outcome::Crashed => None,
        other => panic!("{method} {path}: {other:?}"),
    }
}

/// A step that a request takes: calls of one operation in a row, which may run side by side.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    operation: String,
    /// How many calls come before it.
    before: usize,
    calls: usize,
}

fn steps(calls: &[Call]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (before, call) in calls.iter().enumerate() {
        match steps.last_mut() {
            Some(step) if step.operation == call.operation => step.calls += 1,
            _ => steps.push(Step { operation: call.operation.clone(), before, calls: 1 }),
        }
    }
    steps
}

/// Has a step of the next request fail, with all its tries; or kills the function at it.
fn spoil(world: &World, step: &Step, fault: &Fault) {
    let (seen, first, operation) = (AtomicUsize::new(0), step.before, step.operation.clone());
    let times = if CRASHES.contains(fault) { 1 } else { step.calls * TRIES };
    world.proxy().fail(0, times, fault.clone(), &world.api_function().killer(), move |call| {
        seen.fetch_add(1, Ordering::Relaxed) >= first && call.operation == operation
    });
}

/// Uses up what is left of a fault.
fn spend_faults(world: &World) {
    let address = world.proxy().endpoint();
    while !world.proxy().faults_are_spent() {
        let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: aws\r\nconnection: close\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 1024]);
    }
}

fn text<'a>(item: &'a Value, pointer: &str) -> &'a str {
    item.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn dynamodb(world: &World, verb: &str, mut body: Value) {
    body["TableName"] = json!(world.stack().table);
    let _ = world.aws().call("dynamodb", &format!("DynamoDB_20120810.{verb}"), &body);
}

/// What lies in the table and in Secrets Manager, by the ids of profiles.
struct Kept {
    profiles: BTreeSet<String>,
    drafts: BTreeSet<String>,
    /// Items of profiles that are none themselves.
    noted: BTreeSet<String>,
    registered: BTreeSet<u32>,
    secrets: BTreeSet<String>,
}

fn kept(world: &World) -> Kept {
    let secrets = world.secret_names().into_iter();
    let secrets = secrets.map(|name| name.trim_start_matches(&world.stack().secret_prefix).to_owned());
    let mut kept = Kept {
        profiles: BTreeSet::new(),
        drafts: BTreeSet::new(),
        noted: BTreeSet::new(),
        registered: BTreeSet::new(),
        secrets: secrets.collect(),
    };
    for item in world.aws().items(&world.stack().table) {
        let (owner, kind) = (text(&item, "/PK/S"), text(&item, "/SK/S").to_owned());
        match (owner, owner.strip_prefix("PROFILE#").map(str::to_owned)) {
            ("DRAFTS", _) => drop(kept.drafts.insert(kind)),
            // One that is struck off keeps its count.
            ("INTERVALS", _) if item["joined_at"].is_null() => {}
            ("INTERVALS", _) => drop(kept.registered.insert(kind.parse().unwrap())),
            (_, Some(id)) if kind == "PROFILE" => drop(kept.profiles.insert(id)),
            (_, Some(id)) => drop(kept.noted.insert(id)),
            (_, None) => {}
        }
    }
    kept
}

/// A profile's settings, with an interval of its own: so it has a schedule of its own.
fn own_settings(world: &World, interval: u32) -> Value {
    settings_with(world, &json!({"refresh_interval": interval}))
}

/// Sees to it that what a creation has left is whole or is swept up, whatever became of the request.
fn assert_no_half_profile(
    world: &World,
    interval: u32,
    answer: Option<(u64, Value)>,
    known: &mut BTreeSet<String>,
) {
    let left = kept(world);
    // What costs money is either a profile's, or is known to be nobody's.
    for secret in &left.secrets {
        assert!(
            left.profiles.contains(secret) || left.drafts.contains(secret),
            "the secret {secret} is lost"
        );
    }
    let new: Vec<&String> = left.profiles.difference(known).collect();
    match &answer {
        Some((201, body)) => assert_eq!(new, [body["id"].as_str().unwrap()]),
        Some((503, _)) | None => assert!(new.len() <= 1, "{new:?}"),
        Some(other) => panic!("{other:?}"),
    }
    // Fifteen minutes later, someone makes another profile.
    for id in &left.drafts {
        let key = json!({"PK": {"S": "DRAFTS"}, "SK": {"S": id}});
        let zero = json!({":zero": {"N": "0"}});
        let set = "SET begun_at = :zero";
        dynamodb(
            world,
            "UpdateItem",
            json!({"Key": key, "UpdateExpression": set, "ExpressionAttributeValues": zero}),
        );
    }
    let (status, another) = ask(world, "POST", "/profiles", Some(&own_settings(world, 300))).unwrap();
    assert_eq!(status, 201, "{another}");
    let swept = kept(world);
    assert_eq!(swept.secrets, swept.profiles, "secrets are those of profiles");
    assert!(swept.drafts.is_empty() && swept.noted.is_empty());

    let (_, page) = ask(world, "GET", "/profiles?limit=10", None).unwrap();
    let schedule = format!("refresh-{interval}");
    let told = matches!(answer, Some((201, _)));
    if !told && !new.is_empty() {
        // The next run of the default schedule makes the schedules that are missing.
        let _ = world.lambda().invoke(json!({"refresh_interval": 300}), REQUEST_LIMIT);
    }
    for id in new {
        let listed = page["items"].as_array().unwrap().iter().find(|item| item["id"] == **id);
        let listed = listed.unwrap_or_else(|| panic!("{id} is not in the list"));
        assert_eq!(
            (&listed["status"]["authorized"], &listed["refresh_interval"]),
            (&json!(true), &json!(interval))
        );
        assert!(swept.registered.contains(&interval), "{id} is there, and its interval is not registered");
        assert!(world.schedule_names().contains(&schedule), "{id} is there, and its schedule is not");
        let profile = format!("/profiles/{id}");
        let (status, report) = ask(world, "POST", &format!("{profile}/test"), None).unwrap();
        assert_eq!((status, &report["imap"]["ok"]), (200, &json!(true)), "its secret can be read: {report}");
    }
    if !swept.profiles.iter().any(|id| left.profiles.contains(id) && !known.contains(id)) {
        // A schedule that nobody needs goes at its first run.
        if world.schedule_names().contains(&schedule) {
            let _ = world.lambda().invoke(json!({"refresh_interval": interval}), REQUEST_LIMIT);
        }
        assert!(!world.schedule_names().contains(&schedule), "a schedule that nobody needs stays");
    }
    *known = swept.profiles;
}

/// The steps of a creation that goes well.
fn steps_of_a_creation(world: &World) -> Vec<Step> {
    let _ = world.proxy().take_calls();
    let (status, body) = ask(world, "POST", "/profiles", Some(&own_settings(world, 600))).unwrap();
    assert_eq!(status, 201, "{body}");
    let steps = steps(&world.proxy().take_calls());
    println!("{steps:?}");
    steps
}

fn creations_meet(faults: &[Fault]) {
    let world = World::new();
    let steps = steps_of_a_creation(&world);
    let mut known = kept(&world).profiles;
    let mut interval = 600;
    let (mut told, mut count) = (0, 0);
    for fault in faults {
        for step in &steps {
            interval += 60;
            count += 1;
            println!("{fault:?} at {step:?}");
            spoil(&world, step, fault);
            let answer = ask(&world, "POST", "/profiles", Some(&own_settings(&world, interval)));
            assert!(world.proxy().faults_are_spent());
            assert_eq!(answer.is_none(), CRASHES.contains(fault));
            told += usize::from(answer.as_ref().is_some_and(|(status, _)| *status == 201));
            assert_no_half_profile(&world, interval, answer, &mut known);
        }
    }
    println!("{count} creations met a fault, {told} of them succeeded all the same");
}

#[test]
fn a_creation_that_crashes_leaves_a_whole_profile_or_none() {
    creations_meet(&CRASHES);
}

#[test]
fn a_creation_that_fails_leaves_a_whole_profile_or_none() {
    creations_meet(&FAILURES);
}

#[test]
fn a_creation_that_crashes_while_it_is_taken_back_leaves_a_whole_profile_or_none() {
    let world = World::new();
    let steps = steps_of_a_creation(&world);
    let mut known = kept(&world).profiles;
    let mut interval = 600;
    let stored = steps.iter().position(|step| step.operation == "secretsmanager.CreateSecret").unwrap();
    for step in &steps[stored..] {
        // The calls after the one that fails, until there are none any more.
        for more in 0.. {
            assert!(more < 20, "taking back never ends");
            interval += 60;
            spoil(&world, step, &FAILURES[0]);
            let killer = world.api_function().killer();
            // Sees all calls but those that fail.
            world.proxy().fail(step.before + more, 1, Fault::KillBefore, &killer, |_| true);
            let answer = ask(&world, "POST", "/profiles", Some(&own_settings(&world, interval)));
            let crashed = answer.is_none();
            spend_faults(&world);
            assert_no_half_profile(&world, interval, answer, &mut known);
            if !crashed {
                println!("{more} calls to take back after {step:?}");
                break;
            }
        }
    }
}

#[test]
fn a_creation_that_loses_aws_leaves_a_whole_profile_or_none() {
    let world = World::new();
    let steps = steps_of_a_creation(&world);
    let mut known = kept(&world).profiles;
    let mut interval = 600;
    for step in &steps {
        interval += 60;
        let killer = world.api_function().killer();
        let (seen, first) = (AtomicUsize::new(0), step.before);
        // More often than one request asks.
        world
            .proxy()
            .fail(0, 60, Fault::HangUp, &killer, move |_| seen.fetch_add(1, Ordering::Relaxed) >= first);
        let answer = ask(&world, "POST", "/profiles", Some(&own_settings(&world, interval)));
        spend_faults(&world);
        assert_no_half_profile(&world, interval, answer, &mut known);
    }
}

/// A profile that has been at work: it has handed messages over, and nobody has joined its interval for a while.
fn profile_at_work(world: &World, interval: u32) -> String {
    let (status, body) = ask(world, "POST", "/profiles", Some(&own_settings(world, interval))).unwrap();
    assert_eq!(status, 201, "{body}");
    let id = body["id"].as_str().unwrap().to_owned();
    for kind in ["SEEN#0001", "SEEN#0002"] {
        let item = json!({"PK": {"S": format!("PROFILE#{id}")}, "SK": {"S": kind}});
        dynamodb(world, "PutItem", json!({"Item": item}));
    }
    let key = json!({"PK": {"S": "INTERVALS"}, "SK": {"S": format!("{interval:06}")}});
    let zero = json!({":zero": {"N": "0"}});
    let set = "SET joined_at = :zero";
    dynamodb(
        world,
        "UpdateItem",
        json!({"Key": key, "UpdateExpression": set, "ExpressionAttributeValues": zero}),
    );
    assert!(world.schedule_names().contains(&format!("refresh-{interval}")));
    let _ = world.proxy().take_calls();
    id
}

/// Sees to it that nothing of a profile is there any more.
fn assert_gone(world: &World, id: &str, interval: u32) {
    let left = kept(world);
    for (what, ids) in [
        ("profile", &left.profiles),
        ("draft", &left.drafts),
        ("item", &left.noted),
        ("secret", &left.secrets),
    ] {
        assert!(!ids.contains(id), "a {what} of {id} is left");
    }
    assert!(!left.registered.contains(&interval), "{interval} is still registered");
    assert!(
        !world.schedule_names().contains(&format!("refresh-{interval}")),
        "the schedule of {interval} is left"
    );
}

fn removals_meet(faults: &[Fault]) {
    let world = World::new();
    let mut interval = 600;
    let id = profile_at_work(&world, interval);
    let removed = ask(&world, "DELETE", &format!("/profiles/{id}"), None).unwrap();
    assert_eq!(removed.0, 204, "{removed:?}");
    let steps = steps(&world.proxy().take_calls());
    println!("{steps:?}");
    assert_gone(&world, &id, interval);
    let (mut count, mut done) = (0, 0);
    for fault in faults {
        for step in &steps {
            interval += 60;
            count += 1;
            println!("{fault:?} at {step:?}");
            let id = profile_at_work(&world, interval);
            spoil(&world, step, fault);
            let first = ask(&world, "DELETE", &format!("/profiles/{id}"), None);
            assert!(world.proxy().faults_are_spent());
            assert_eq!(first.is_none(), CRASHES.contains(fault));
            let told = first.is_some_and(|(status, _)| status == 204);
            let (second, _) = ask(&world, "DELETE", &format!("/profiles/{id}"), None).unwrap();
            assert!(matches!(second, 204 | 404), "{second}");
            if told {
                done += 1;
                assert_eq!(second, 404);
                // A schedule alone may be left: it goes at its next run, and nobody is polled by it.
                let _ = world.lambda().invoke(json!({"refresh_interval": interval}), REQUEST_LIMIT);
            }
            assert_gone(&world, &id, interval);
        }
    }
    println!("{count} removals met a fault, {done} of them succeeded all the same");
}

#[test]
fn a_removal_that_crashed_is_completed_by_another() {
    removals_meet(&CRASHES);
}

#[test]
fn a_removal_that_failed_is_completed_by_another() {
    removals_meet(&FAILURES);
}
