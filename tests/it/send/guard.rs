//! Robots do not answer robots.

use mailroom_core::inbound::job::Kind;
use mailroom_tests::smtp_server::Options;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::{finally, hello};

fn answer_to(message_id: &str) -> Value {
    let mut message = hello();
    message["in_reply_to"] = json!(message_id);
    message
}

#[test]
fn what_a_machine_has_written_is_not_answered_unless_it_is_asked_for() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let ann = "From: Ann <ann@example.org>\r\n";
    // As Exim writes it.
    let daemon = "Return-Path: <>\r\nX-Failed-Recipients: bob@example.org\r\nAuto-Submitted: auto-replied\r\n\
                  From: Mail Delivery System <Mailer-Daemon@example.org>\r\n";
    let report = "This message was created automatically by mail delivery software.\r\n\r\n\
                  A message that you sent could not be delivered to one or more of its\r\nrecipients.";
    for (name, fields, text, kind) in [
        ("vacation", format!("Auto-Submitted: auto-replied\r\n{ann}"), "x", Kind::AutoReply),
        ("bounce", daemon.to_owned(), report, Kind::Bounce),
        ("null", format!("Return-Path: <>\r\n{ann}"), "x", Kind::Message),
        ("generated", format!("Auto-Submitted: auto-generated\r\n{ann}"), "x", Kind::Message),
        ("person", format!("Return-Path: <ann@example.org>\r\n{ann}"), "x", Kind::Message),
    ] {
        let raw = format!(
            "{fields}To: support@example.com\r\nSubject: {name}\r\nMessage-ID: <{name}@example.org>\r\n\r\n{text}\r\n"
        );
        world.other_client().append("INBOX", "", None, raw.as_bytes());
        world.poll();
        let job = world.jobs().remove(0);
        assert_eq!(job.kind, kind, "{name}");
        let id = job.message.message_id.unwrap();
        let reply = world.post_message(profile, &[], &answer_to(&id));
        if name == "person" {
            assert_eq!(reply.status, 202);
            continue;
        }
        assert_eq!(reply.status, 409, "{name}: {}", reply.text);
        assert!(reply.body["detail"].as_str().unwrap().contains("loop_guard"), "{}", reply.text);
        let mut asked = answer_to(&id);
        asked["loop_guard"] = json!(false);
        world.post_message(profile, &[], &asked).expect(202);

        // The same by the queue itself: it fails, with that reason.
        let mut queued = answer_to(&format!("<{id}>"));
        queued["profile_id"] = json!(profile.to_string());
        queued["id"] = json!(name);
        world.aws().send(&world.stack().queues.send, &queued.to_string());
        world.send_all();
        let failed = world.message(profile, name);
        assert_eq!(
            (failed["status"].as_str(), failed["error"]["code"].as_str()),
            (Some("failed"), Some("loop_guard"))
        );
    }
    world.send_all();
    assert_eq!(smtp.received().len(), 5);
}

#[test]
fn profiles_do_not_answer_each_other_and_nobody_answers_a_daemon() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let to = |address: &str| {
        let mut message = hello();
        message["to"] = json!([{"address": address}]);
        message
    };
    let own = world.login().to_uppercase();
    world.post_message(profile, &[], &to(&own)).expect(202);
    let mut answer = to(&own);
    answer["in_reply_to"] = json!("<a@b>");
    let refused = world.post_message(profile, &[], &answer).expect(409);
    assert!(refused.body["detail"].as_str().unwrap().contains("profile"), "{}", refused.text);
    let mut automatic = to(&own);
    automatic["auto_submitted"] = json!(true);
    world.post_message(profile, &[], &automatic).expect(409);
    automatic["loop_guard"] = json!(false);
    world.post_message(profile, &[], &automatic).expect(202);
    world.post_message(profile, &[], &to("MAILER-DAEMON@example.org")).expect(409);
}

#[test]
fn a_recipient_gets_ten_automatic_messages_an_hour() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    // From two profiles: it is the recipient who counts.
    let profiles = [world.sender(&smtp, |_| {}), world.sender(&smtp, |_| {})];
    let mut message = hello();
    message["auto_submitted"] = json!(true);
    let ids: Vec<_> = (0..12).map(|n| (profiles[n % 2], world.submit(profiles[n % 2], &message))).collect();
    world.send_all();
    let shown: Vec<Value> = ids.iter().map(|(profile, id)| world.message(*profile, id)).collect();
    let failed: Vec<_> = shown.iter().filter(|shown| shown["status"] == "failed").collect();
    assert_eq!((smtp.received().len(), failed.len()), (10, 2));
    for failed in failed {
        assert_eq!(failed["error"]["code"], "loop_guard");
        assert!(
            failed["rejected"][0]["smtp_reply"].as_str().unwrap().contains("10 automatic messages"),
            "{failed}"
        );
    }
    // Others are not concerned, nor is what a person writes.
    message["cc"] = json!([{"address": "bob@example.org"}]);
    let mixed = world.submit(profiles[0], &message);
    let person = world.submit(profiles[0], &hello());
    world.send_all();
    let mixed = world.message(profiles[0], &mixed);
    assert_eq!((mixed["status"].as_str(), mixed["rejected"].as_array().unwrap().len()), (Some("sent"), 1));
    assert_eq!(finally(&world, profiles[0], &person)["status"], "sent");
    assert_eq!(smtp.received().len(), 12);
}
