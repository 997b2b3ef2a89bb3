//! Many at once, with everything as it is deployed: the queue starts the function, and servers have their moods.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mailroom_core::profile::ProfileId;
use mailroom_tests::python_parser::read;
use mailroom_tests::smtp_server::{Fault, Options, Step};
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::hello;

const PROFILES: usize = 20;

const MESSAGES: usize = 200;

/// Long enough for a second try of what was put off for half a minute, on a busy machine.
const OUTCOMES_TIMEOUT: Duration = Duration::from_secs(240);

#[test]
fn two_hundred_messages_of_twenty_profiles_are_sent_once_or_it_is_said_why_not() {
    let world = World::as_deployed();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault_times(Step::Rcpt, Fault::Reply("451 4.7.1 Greylisted"), 12);
    smtp.fault_times(Step::Mail, Fault::Reply("421 4.3.2 Busy"), 3);
    smtp.fault_times(Step::Body, Fault::Drop, 4);
    smtp.fault_times(Step::Stored, Fault::Drop, 3);
    smtp.fault_times(Step::Dot, Fault::Drop, 2);
    smtp.fault_for("nobody@", Step::Rcpt, Fault::Reply("550 5.1.1 No such user"));
    let profiles: Vec<ProfileId> = (0..PROFILES).map(|_| world.sender(&smtp, |_| {})).collect();
    let begun = Instant::now();
    let accepted: Vec<(ProfileId, String, String)> = std::thread::scope(|scope| {
        let clients: Vec<_> = profiles
            .iter()
            .enumerate()
            .map(|(p, profile)| {
                let world = &world;
                scope.spawn(move || {
                    (0..MESSAGES / PROFILES)
                        .map(|n| {
                            let mut message = hello();
                            let subject = format!("{p}/{n}");
                            message["subject"] = json!(subject);
                            if n == 9 {
                                message["to"] = json!([{"address": "nobody@example.org"}]);
                            }
                            (*profile, world.submit(*profile, &message), subject)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(accepted.len(), MESSAGES);
    let posted = begun.elapsed();

    let mut last: HashMap<&str, Value> = HashMap::new();
    while last.len() < MESSAGES {
        assert!(begun.elapsed() < OUTCOMES_TIMEOUT, "{} of {MESSAGES} have an outcome", last.len());
        std::thread::sleep(Duration::from_secs(1));
        for (profile, id, subject) in &accepted {
            if !last.contains_key(subject.as_str()) {
                let message = world.message(*profile, id);
                if !matches!(message["status"].as_str(), Some("queued" | "sending")) {
                    last.insert(subject, message);
                }
            }
        }
    }
    let mut received: HashMap<String, usize> = HashMap::new();
    for message in smtp.received() {
        *received.entry(read(&message.content)["subject"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (subject, message) in &last {
        let got = received.get(*subject).copied().unwrap_or(0);
        let status = message["status"].as_str().unwrap();
        match status {
            "sent" => assert_eq!(got, 1, "{subject}: {message}"),
            "failed" => {
                assert_eq!((got, message["error"]["code"].as_str()), (0, Some("smtp_rejected")), "{message}")
            }
            "uncertain" => assert!(got <= 1, "{subject}: {message}"),
            other => panic!("{other}"),
        }
        *counts.entry(status).or_default() += 1;
    }
    println!("posted in {posted:.1?}, all final in {:.1?}: {counts:?}, {:?}", begun.elapsed(), smtp.counts());
    assert_eq!(counts.get("failed"), Some(&PROFILES));
    // Five connections are lost after the dot. Four are lost over the content, which is small: where all of it was under
    // way before the loss could be seen, there is doubt too.
    let uncertain = counts.get("uncertain").copied().unwrap_or(0);
    assert!((5..=9).contains(&uncertain), "{uncertain}");
}
