//! Whatever a server does at any step: nothing is lost, nothing is sent twice, and the outcome has a name.

use std::time::Duration;

use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::ProfileId;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::smtp_server::{Fault, Mechanism, Options, SmtpServer, Step};
use mailroom_tests::world::{BATCH_LIMIT, World};
use serde_json::{Value, json};

use super::{finally, hello, status};

/// All the steps at which a server may fail, but for those after the message.
const STEPS: [Step; 10] = [
    Step::Greeting,
    Step::Ehlo,
    Step::StartTls,
    Step::Auth,
    Step::Mail,
    Step::Rcpt,
    Step::Data,
    Step::Body,
    Step::Dot,
    Step::Stored,
];

/// The outcome of a message at a server that failed at a step.
struct Case {
    step: Step,
    profile: ProfileId,
    id: String,
    server: SmtpServer,
    first: Value,
}

/// Has a server each fail at one of these steps, in one batch.
fn fail_at(world: &World, steps: &[Step], fault: Fault<'_>, limit: Duration) -> Vec<Case> {
    let mut cases: Vec<Case> = steps
        .iter()
        .map(|step| {
            let server = world.smtp_server(&Options::default());
            server.fault(*step, fault);
            let profile = world.sender(&server, |_| {});
            let id = world.submit(profile, &hello());
            Case { step: *step, profile, id, server, first: Value::Null }
        })
        .collect();
    while let Some(outcome) = world.send_batch(limit) {
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}: {}", world.send_function().log());
    }
    for case in &mut cases {
        case.first = world.message(case.profile, &case.id);
        case.server.clear();
    }
    cases
}

/// Before the dot a message waits and is sent in the end; after it, it is in doubt and left alone.
fn lost_connections(steps: &[Step], fault: Fault<'_>, limit: Duration, codes: &[&str]) {
    let world = World::new();
    let mut uncertain = 0;
    for case in fail_at(&world, steps, fault, limit) {
        let (step, first) = (case.step, &case.first);
        let doubt = matches!(step, Step::Dot | Step::Stored);
        assert_eq!(first["status"], if doubt { "uncertain" } else { "queued" }, "{step:?}: {first}");
        let code = first["error"]["code"].as_str().unwrap();
        assert!(codes.contains(&code), "{step:?}: {first}");
        assert_eq!(first["attempts"], 1, "{step:?}");
        let last = finally(&world, case.profile, &case.id);
        let received = case.server.received().len();
        if doubt {
            uncertain += 1;
            assert_eq!(last["status"], "uncertain", "{step:?}: {last}");
            assert_eq!(received, usize::from(step == Step::Stored), "{step:?}");
            assert_eq!(case.server.counts().mail_commands, 1, "{step:?}: it was never tried again");
        } else {
            assert_eq!((last["status"].as_str(), received), (Some("sent"), 1), "{step:?}: {last}");
        }
    }
    println!(
        "{} steps: {} sent once, {uncertain} uncertain, none twice",
        steps.len(),
        steps.len() - uncertain
    );
}

#[test]
fn a_connection_that_is_closed_at_any_step() {
    lost_connections(&STEPS, Fault::Drop, BATCH_LIMIT, &["smtp_connect"]);
}

#[test]
fn a_connection_that_is_reset_at_any_step() {
    lost_connections(&STEPS, Fault::Reset, BATCH_LIMIT, &["smtp_connect"]);
}

#[test]
fn a_server_that_hangs_at_any_step() {
    // So much that twenty seconds are left for what comes before the dot.
    let limit = Duration::from_secs(120);
    let before_the_dot: Vec<Step> =
        STEPS.into_iter().filter(|step| !matches!(step, Step::Body | Step::Dot | Step::Stored)).collect();
    lost_connections(&before_the_dot, Fault::Hang, limit, &["smtp_timeout"]);
}

#[test]
fn a_server_that_talks_nonsense_at_any_step() {
    lost_connections(&STEPS, Fault::Garbage, BATCH_LIMIT, &["smtp_connect", "smtp_tls"]);
}

#[test]
fn a_server_that_wants_us_to_come_back_later() {
    let steps: Vec<Step> = STEPS.into_iter().filter(|step| *step != Step::Stored).collect();
    for reply in ["421 4.3.2 Closing for a moment", "451 4.7.1 Greylisted, try again in 5 minutes"] {
        let world = World::new();
        for case in fail_at(&world, &steps, Fault::Reply(reply), BATCH_LIMIT) {
            let (step, first) = (case.step, &case.first);
            assert_eq!(first["status"], "queued", "{step:?}: {first}");
            assert!(first["next_attempt_at"].is_string(), "{step:?}: {first}");
            let told = first["error"]["message"].as_str().unwrap();
            let words = reply.split_once(' ').map(|(_, words)| &words[6..]).unwrap();
            assert!(told.contains(words), "{step:?}: {told}");
            let last = finally(&world, case.profile, &case.id);
            assert_eq!(
                (last["status"].as_str(), case.server.received().len()),
                (Some("sent"), 1),
                "{step:?}"
            );
            assert_eq!(last["error"], Value::Null);
        }
    }
}

#[test]
fn a_server_that_refuses_for_good() {
    let world = World::new();
    let reply = Fault::Reply("550 5.7.1 Not from you");
    let of_the_message = [Step::Mail, Step::Rcpt, Step::Data, Step::Dot];
    for case in fail_at(&world, &of_the_message, reply, BATCH_LIMIT) {
        let (step, first) = (case.step, &case.first);
        assert_eq!(
            (&first["status"], &first["sent_copy"]),
            (&json!("failed"), &json!("skipped")),
            "{step:?}"
        );
        assert_eq!(first["smtp_reply"], "550 5.7.1 Not from you", "{step:?}");
        assert_eq!(
            first["rejected"],
            json!([{"address": "ann@example.org", "smtp_reply": "550 5.7.1 Not from you"}])
        );
        assert_eq!(first["error"]["code"], "smtp_rejected");
        assert_eq!(finally(&world, case.profile, &case.id)["attempts"], 1, "{step:?}");
        assert_eq!(case.server.received().len(), 0);
    }
    // None of them ran out of tries: the dead letters are for those.
    assert_eq!(world.aws().depth(&world.stack().queues.send_dead), 0);
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes.iter().all(|outcome| outcome["status"] == "failed" && outcome["version"] == 1));

    // What is the profile's and not the message's waits.
    let of_the_profile = [Step::Greeting, Step::Ehlo, Step::StartTls, Step::Auth];
    for case in fail_at(&world, &of_the_profile, reply, BATCH_LIMIT) {
        assert_eq!(case.first["status"], "queued", "{:?}: {}", case.step, case.first);
        let last = finally(&world, case.profile, &case.id);
        assert_eq!(
            (last["status"].as_str(), case.server.received().len()),
            (Some("sent"), 1),
            "{:?}",
            case.step
        );
    }
}

#[test]
fn a_refused_recipient_does_not_stop_the_others() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault_for("bob@", Step::Rcpt, Fault::Reply("550 5.1.1 No such user"));
    smtp.fault_for_times("carol@", Step::Rcpt, Fault::Reply("450 4.2.0 Greylisted"), 1);
    let profile = world.sender(&smtp, |_| {});
    let mut message = hello();
    message["cc"] = json!([{"address": "bob@example.org"}]);
    message["bcc"] = json!([{"address": "carol@example.org"}]);
    let id = world.submit(profile, &message);
    world.send_all();
    let first = world.message(profile, &id);
    assert_eq!((&first["status"], &first["attempts"]), (&json!("queued"), &json!(1)), "{first}");
    assert_eq!(smtp.received()[0].to, ["ann@example.org"]);
    let last = finally(&world, profile, &id);
    assert_eq!((&last["status"], &last["attempts"]), (&json!("sent"), &json!(2)));
    assert_eq!(
        last["rejected"],
        json!([{"address": "bob@example.org", "smtp_reply": "550 5.1.1 No such user"}])
    );
    let received = smtp.received();
    assert_eq!((received.len(), &received[1].to[..]), (2, &["carol@example.org".to_owned()][..]));
    let id_of = |n: usize| mailroom_tests::python_parser::read(&received[n].content)["message_id"].clone();
    assert_eq!(id_of(0), id_of(1), "the Message-ID stays the same at every try");
    assert_eq!(world.outcomes().len(), 1);
}

#[test]
fn a_wrong_password_is_shown_and_the_message_waits_for_the_right_one() {
    let world = World::new();
    let smtp = world.smtp_server(&Options { mechanisms: vec![Mechanism::Plain], ..Options::default() });
    let profile = world.sender(&smtp, |profile| profile.settings.listen = false);
    world.set_password(profile, "wrong-7d1f");
    let id = world.submit(profile, &hello());
    for _ in 0..5 {
        world.hurry(profile, &id);
        world.send_all();
    }
    let shown = world.api().get(&format!("/profiles/{profile}")).body["status"].clone();
    assert_eq!(
        (&shown["error"]["code"], &shown["error"]["count"]),
        (&json!("smtp_auth"), &json!(5)),
        "{shown}"
    );
    let auths = smtp.counts().auths;
    assert_eq!(auths, 5);
    // Five refusals in a row: the server is left in peace, and the message is kept.
    for _ in 0..3 {
        world.hurry(profile, &id);
        world.send_all();
    }
    assert_eq!(smtp.counts().auths, auths);
    let waiting = world.message(profile, &id);
    assert_eq!((&waiting["status"], &waiting["error"]["code"]), (&json!("queued"), &json!("smtp_auth")));
    world.set_password(profile, world.password());
    let last = finally(&world, profile, &id);
    assert_eq!((last["status"].as_str(), smtp.received().len()), (Some("sent"), 1));
    let mended = world.api().get(&format!("/profiles/{profile}")).body["status"].clone();
    assert_eq!(mended["error"], Value::Null, "{mended}");
}

#[test]
fn a_sending_error_is_shown_and_does_not_stop_polls() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault(Step::Auth, Fault::Reply("535 5.7.8 Bad credentials"));
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    for _ in 0..6 {
        world.hurry(profile, &id);
        world.send_all();
    }
    world.deliver(&mailroom_tests::world::message("one"));
    world.poll();
    assert_eq!(world.subjects(), ["one"]);
    let shown = world.api().get(&format!("/profiles/{profile}")).body["status"].clone();
    assert_eq!((&shown["state"], &shown["error"]["code"]), (&json!("misconfigured"), &json!("smtp_auth")));
    assert_eq!(world.status(profile).error.map(|error| error.code), None::<ErrorCode>);
}

#[test]
fn what_runs_out_of_tries_has_failed_and_lies_among_the_dead_letters() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault(Step::Rcpt, Fault::Reply("450 4.2.0 Greylisted"));
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    world.send_all();
    assert_eq!(status(&world, profile, &id), "queued");
    world.age(profile, &id, 25 * 60 * 60);
    let last = finally(&world, profile, &id);
    assert_eq!(last["status"], "failed");
    let why = last["error"]["message"].as_str().unwrap();
    assert!(why.starts_with("Given up after 24 hours.") && why.contains("Greylisted"), "{why}");
    assert_eq!(last["rejected"][0]["smtp_reply"], "450 4.2.0 Greylisted");
    let dead = world.aws().drain(&world.stack().queues.send_dead);
    assert_eq!(dead.len(), 1);
    let dead: Value = serde_json::from_str(&dead[0].body).unwrap();
    assert_eq!(
        (dead["profile_id"].as_str(), dead["id"].as_str()),
        (Some(profile.to_string().as_str()), Some(id.as_str()))
    );
    assert_eq!(world.outcomes()[0]["status"], "failed");
}

#[test]
fn a_message_that_waits_is_put_off_in_the_queue_itself() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault_times(Step::Data, Fault::Reply("452 4.3.1 No room"), 1);
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    world.send_all();
    // It is on the queue and not to be had, for about half a minute.
    assert_eq!(world.aws().depth(&world.stack().queues.send), 1);
    let begun = std::time::Instant::now();
    while world.send_batch(BATCH_LIMIT).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(50), "it does not come again");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(begun.elapsed() > Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(status(&world, profile, &id), "sent");
    assert_eq!(world.aws().depth(&world.stack().queues.send), 0);
}
