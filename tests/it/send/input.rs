//! What is asked for: taken once, or refused with a reason.

use mailroom_core::profile::ProfileId;
use mailroom_tests::smtp_server::Options;
use mailroom_tests::world::World;
use serde_json::{Value, json};
use ulid::Ulid;

use super::{finally, hello, status};

#[test]
fn hostile_input_gets_an_answer_and_never_a_header() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let megabyte = "x".repeat(1_000_000);
    for hostile in ["a\r\nBcc: eve@example.org", "a\nBcc: eve@example.org", "a\rb", "a\0b", &megabyte] {
        for (field, change) in [
            ("to[0].address", json!({"to": [{"address": hostile}]})),
            ("to[0].name", json!({"to": [{"name": hostile, "address": "ann@example.org"}]})),
            ("cc[0].address", json!({"cc": [{"address": hostile}]})),
            ("bcc[0].name", json!({"bcc": [{"name": hostile, "address": "ann@example.org"}]})),
            ("reply_to[0].address", json!({"reply_to": [{"address": hostile}]})),
            ("from_name", json!({"from_name": hostile})),
            ("subject", json!({"subject": hostile})),
            ("in_reply_to", json!({"in_reply_to": hostile})),
            ("references[0]", json!({"references": [hostile]})),
            ("attachments[0].filename", json!({"attachments": [{"filename": hostile, "content": ""}]})),
            (
                "attachments[0].content_type",
                json!({"attachments": [{"filename": "a", "content": "", "content_type": hostile}]}),
            ),
            (
                "attachments[0].content_id",
                json!({"attachments": [{"filename": "a", "content": "", "content_id": hostile}]}),
            ),
            ("attachments[0].key", json!({"attachments": [{"filename": "a", "key": hostile}]})),
        ] {
            let mut body = hello();
            for (name, value) in change.as_object().unwrap() {
                body[name] = value.clone();
            }
            let refused = world.post_message(profile, &[], &body).expect(422);
            assert_eq!(refused.fields(), [field], "{}", refused.text);
        }
    }
    let mut crowd = hello();
    crowd["to"] = json!(vec![json!({"address": "ann@example.org"}); 10_000]);
    world.post_message(profile, &[], &crowd).expect(422);
    crowd["to"] = json!([]);
    world.post_message(profile, &[], &crowd).expect(422);
    let mut foreign = hello();
    for key in ["mail/01ARZ3NDEKTSV4RRFFQ69G5FAV/x/0", "secrets", "../x", "https://example.org/x"] {
        foreign["attachments"] = json!([{"filename": "a", "key": key}]);
        assert_eq!(world.post_message(profile, &[], &foreign).expect(422).fields(), ["attachments[0].key"]);
    }
    foreign["attachments"] = json!([{"filename": "a", "key": format!("mail/{profile}/nothing/0")}]);
    let refused = world.post_message(profile, &[], &foreign).expect(422);
    assert!(refused.text.contains("does not exist"), "{}", refused.text);
    let huge = format!("{{\"text\": \"{}\"}}", "x".repeat(6 * 1024 * 1024 + 1));
    let path = format!("/profiles/{profile}/messages");
    let refused = world.api().call("POST", &path, &[], Some(huge.as_bytes()));
    assert_eq!(refused.status, 413, "{}", refused.text);
    for key in ["", "a b", "\u{fc}", &"k".repeat(256)] {
        let refused = world.post_message(profile, &[("idempotency-key", key)], &hello());
        assert_eq!(refused.status, 400, "{key:?}: {}", refused.text);
    }
    assert_eq!(world.aws().depth(&world.stack().queues.send), 0, "nothing of it was accepted");
}

#[test]
fn a_profile_that_cannot_send_says_why() {
    let world = World::new();
    let receiver = world.profile(|_| {});
    let refused = world.post_message(receiver, &[], &hello()).expect(409);
    assert_eq!(refused.fields(), ["smtp_host"]);
    let smtp = world.smtp_server(&Options::default());
    let nameless = world.sender(&smtp, |profile| {
        profile.settings.auth = mailroom_core::profile::Auth::Plain { login: "support".to_owned() };
    });
    assert_eq!(world.post_message(nameless, &[], &hello()).expect(409).fields(), ["auth.login"]);
    let nobody = ProfileId::new(Ulid::generate());
    world.post_message(nobody, &[], &hello()).expect(404);
    let profile = world.sender(&smtp, |_| {});
    for id in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "%00", "a%20b", &"x".repeat(200)] {
        assert_eq!(world.api().get(&format!("/profiles/{profile}/messages/{id}")).status, 404, "{id}");
    }
}

#[test]
fn the_same_key_and_body_are_one_message() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let (profile, other) = (world.sender(&smtp, |_| {}), world.sender(&smtp, |_| {}));
    let key = [("idempotency-key", "order-4711")];
    let first = world.post_message(profile, &key, &hello()).expect(202);
    let location = first.headers["location"].clone();
    assert_eq!(location, format!("/profiles/{profile}/messages/{}", first.id()));
    // Members in another order are the same body.
    let mut again: Value = serde_json::from_str(
        r#"{"text": "Is it there?", "subject": "Hello", "to": [{"address": "ann@example.org", "name": "Ann"}]}"#,
    )
    .unwrap();
    assert_eq!(world.post_message(profile, &key, &again).expect(202).body, first.body);
    world.send_all();
    assert_eq!(world.post_message(profile, &key, &again).expect(202).body, first.body);
    again["subject"] = json!("Another");
    let refused = world.post_message(profile, &key, &again).expect(422);
    assert_eq!(refused.fields(), ["Idempotency-Key"]);
    // A key is one profile's own.
    assert_ne!(world.post_message(other, &key, &hello()).expect(202).id(), first.id());
    world.send_all();
    assert_eq!(smtp.received().len(), 2);
}

#[test]
fn twenty_at_once_with_one_key_are_one_message() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let ids: Vec<String> = std::thread::scope(|scope| {
        let posts: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    world.post_message(profile, &[("idempotency-key", "k")], &hello()).expect(202).id()
                })
            })
            .collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    world.send_all();
    assert_eq!((smtp.received().len(), status(&world, profile, &ids[0]).as_str()), (1, "sent"));
}

#[test]
fn flows_may_use_the_queue_themselves() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let put = |id: &str, change: Value| {
        let mut message = hello();
        message["profile_id"] = json!(profile.to_string());
        message["id"] = json!(id);
        for (name, value) in change.as_object().unwrap() {
            message[name] = value.clone();
        }
        world.aws().send(&world.stack().queues.send, &message.to_string());
    };
    // Twice: a queue may deliver so.
    put("order-4711", json!({}));
    put("order-4711", json!({}));
    put("wrong", json!({"subject": "a\r\nBcc: eve@example.org", "colour": "red"}));
    world.send_all();
    assert_eq!((smtp.received().len(), status(&world, profile, "order-4711").as_str()), (1, "sent"));
    let wrong = world.message(profile, "wrong");
    assert_eq!(
        (wrong["status"].as_str(), wrong["error"]["code"].as_str()),
        (Some("failed"), Some("message_invalid"))
    );
    let why = wrong["error"]["message"].as_str().unwrap();
    assert!(why.contains("subject must be one line") && why.contains("colour is not a field"), "{why}");
    // What names no profile, or none that is there, lies among the dead letters.
    let queue = &world.stack().queues.send;
    world.aws().send(queue, "{");
    world.aws().send(queue, &json!({"profile_id": "x", "id": "a"}).to_string());
    let nobody = ProfileId::new(Ulid::generate()).to_string();
    world.aws().send(queue, &json!({"profile_id": nobody, "id": "a", "text": "x"}).to_string());
    world.send_all();
    assert_eq!(world.aws().drain(&world.stack().queues.send_dead).len(), 4);
    assert_eq!(world.aws().depth(queue), 0);
}

#[test]
fn a_message_waits_for_its_server_and_goes_with_its_profile() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |profile| {
        profile.settings.smtp =
            Some(mailroom_tests::world::server("127.0.0.1", 9, mailroom_core::server::Security::Tls))
    });
    let id = world.submit(profile, &hello());
    world.send_all();
    let waiting = world.message(profile, &id);
    assert_eq!(
        (waiting["status"].as_str(), waiting["error"]["code"].as_str()),
        (Some("queued"), Some("smtp_connect"))
    );
    let patch = json!({
        "smtp_host": smtp.address().to_string(), "smtp_port": smtp.submission(), "smtp_security": "starttls",
        "auth": {"password": world.password()},
    });
    world.api().patch(&format!("/profiles/{profile}"), &patch).expect(200);
    assert_eq!(finally(&world, profile, &id)["status"], "sent");

    let id = world.submit(profile, &hello());
    world.api().delete(&format!("/profiles/{profile}")).expect(204);
    world.hurry_gone(profile, &id);
    world.send_all();
    assert_eq!((smtp.received().len(), world.aws().depth(&world.stack().queues.send_dead)), (1, 0));
    assert!(world.aws().items(&world.stack().table).iter().all(|item| !item.to_string().contains("OUT#")));
}
