//! The flows that `infra/examples` shows: their types are those of the jobs, and they answer real ones, once.

use std::fs;
use std::thread;
use std::time::Duration;

use mailroom_core::inbound::job::FlowJob;
use mailroom_local::toolbox::Toolbox;
use mailroom_tests::flows::{Flows, Language};
use mailroom_tests::smtp_server::Options;
use mailroom_tests::world::{World, message, sqs_event};
use serde_json::{Value, json};

#[test]
fn the_types_of_a_job_are_made_from_its_schema() {
    let flows = Flows::install();
    for language in Language::ALL {
        let (Some(file), Some(made)) = (language.types(), flows.types(language)) else { continue };
        let file = Toolbox::root().join("infra/examples").join(file);
        if fs::read_to_string(&file).unwrap_or_default() != made {
            let fresh = Toolbox::root().join("target").join(file.file_name().unwrap());
            fs::write(&fresh, made).unwrap();
            panic!("{} is stale: copy {} there", file.display(), fresh.display());
        }
    }
}

#[test]
fn the_flows_are_sound_by_their_languages_checkers() {
    let flows = Flows::install();
    for language in Language::ALL {
        assert_eq!(flows.problems(language), "", "{language:?}");
    }
}

/// A batch of these bodies, as SQS hands it over.
fn batch(bodies: &[&str]) -> Value {
    let records =
        bodies.iter().zip(1..).map(|(body, n)| sqs_event(&format!("m{n}"), body)["Records"][0].clone());
    json!({"Records": records.collect::<Vec<_>>()})
}

/// The job of a question that arrives. The schedule may poll as well, and at the same time.
fn question(world: &World) -> FlowJob {
    world.deliver(&message("a question"));
    for _ in 0..60 {
        world.poll();
        if let Some(job) = world.jobs().into_iter().next() {
            return job;
        }
        thread::sleep(Duration::from_millis(500));
    }
    panic!("no job: {}", world.lambda().log());
}

#[test]
fn the_flows_answer_each_message_once() {
    let flows = Flows::install();
    let world = World::for_programs();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |profile| profile.settings.name = "Front desk".to_owned());
    let job = serde_json::to_string(&question(&world)).unwrap();
    for language in Language::ALL {
        let (answer, log) = flows.call(language, &world.public_url(), &batch(&[&job, &job]));
        assert_eq!(answer, json!({"batchItemFailures": []}), "{language:?}: {log}");
    }
    let sent = world.api().get(&format!("/profiles/{profile}/messages")).expect(200).body;
    let sent = sent["items"].as_array().unwrap();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let answer = world.message(profile, sent[0]["id"].as_str().unwrap());
    assert_eq!(answer["recipients"][0]["address"], "ann@example.org");
}

#[test]
fn the_flows_leave_what_fails_and_what_follows_it_to_the_queue() {
    let flows = Flows::install();
    let world = World::for_programs();
    world.profile(|_| {});
    let job = question(&world);
    let mut automatic = serde_json::to_value(&job).unwrap();
    automatic["kind"] = json!("auto_reply");
    let (job, automatic) = (serde_json::to_string(&job).unwrap(), automatic.to_string());
    for language in Language::ALL {
        // The profile cannot send: the API refuses. A program's message is no question.
        let (answer, log) =
            flows.call(language, &world.public_url(), &batch(&[&automatic, &job, &automatic]));
        let failed = json!([{"itemIdentifier": "m2"}, {"itemIdentifier": "m3"}]);
        assert_eq!(answer, json!({"batchItemFailures": failed}), "{language:?}: {log}");
        assert!(log.contains("m2") && !log.contains("question") && !log.contains("ann@"), "{log}");
        assert!(log.contains("answered 409"), "{log}");
        let (answer, log) = flows.call(language, &world.public_url(), &batch(&["no job", &automatic]));
        let failed = json!([{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]);
        assert_eq!(answer, json!({"batchItemFailures": failed}));
        assert!(log.contains("m1") && !log.contains("no job"), "{log}");
    }
}
