//! A connection test tells what would happen, and changes nothing.

use std::time::{Duration, Instant};

use mailroom_tests::scripted_imap::{Script, ScriptedImap, Step};
use mailroom_tests::secret_scan::CANARY;
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

use super::{settings, settings_with};

fn with_smtp(world: &World, changes: &Value) -> Value {
    let ports = world.servers().dovecot().ports();
    let smtp = json!({"smtp_host": "127.0.0.1", "smtp_port": ports.submission, "smtp_security": "starttls"});
    let mut settings = settings_with(world, &smtp);
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

#[test]
fn settings_that_work_are_told_to_work() {
    let world = World::new();
    world.deliver(&message("unread"));
    world.append("Orders", &message("another"));
    let report = world.api().post("/profiles/test", &with_smtp(&world, &json!({}))).expect(200).body;
    let imap = &report["imap"];
    assert_eq!(
        (&imap["ok"], &imap["error"], &imap["unseen"]),
        (&json!(true), &Value::Null, &json!(1)),
        "{report}"
    );
    assert_eq!(imap["mailboxes"].as_array().unwrap().iter().filter(|name| **name == "Orders").count(), 1);
    assert!(imap["capabilities"].as_array().unwrap().contains(&json!("UIDPLUS")), "{report}");
    assert!(imap["latency_ms"].is_u64());
    let smtp = &report["smtp"];
    assert_eq!((&smtp["ok"], &smtp["error"]), (&json!(true), &Value::Null), "{report}");
    assert!(smtp["capabilities"].as_array().unwrap().iter().any(|c| c.as_str().unwrap().starts_with("AUTH")));
    // Implicit TLS, and a saved profile.
    let submissions = json!({
        "smtp_port": world.servers().dovecot().ports().submissions, "smtp_security": "tls",
    });
    let made = world.api().post("/profiles", &with_smtp(&world, &submissions)).expect(201);
    let path = format!("/profiles/{}", made.id());
    let report = world.api().call("POST", &format!("{path}/test"), &[], None).expect(200).body;
    assert_eq!((&report["imap"]["ok"], &report["smtp"]["ok"]), (&json!(true), &json!(true)), "{report}");
    // Nothing has changed: neither there nor here.
    assert_eq!(world.api().get(&path).body, made.body);
    let mut other = world.other_client();
    other.select("INBOX");
    assert_eq!(other.flags(), [""]);
}

#[test]
fn each_failure_says_what_to_change() {
    let world = World::new();
    let ports = world.servers().dovecot().ports();
    let test =
        |changes: Value| world.api().post("/profiles/test", &with_smtp(&world, &changes)).expect(200).body;
    let wrong = json!({"type": "plain", "login": world.login(), "password": "wrong"});
    let report = test(json!({"auth": wrong}));
    for (protocol, code) in [("imap", "imap_auth"), ("smtp", "smtp_auth")] {
        assert_eq!(
            (&report[protocol]["ok"], &report[protocol]["error"]["code"]),
            (&json!(false), &json!(code)),
            "{report}"
        );
        assert!(!report[protocol]["capabilities"].as_array().unwrap().is_empty(), "{report}");
    }
    let report = test(json!({"mailbox": "Nowhere"}));
    assert_eq!(report["imap"]["error"]["code"], "imap_mailbox", "{report}");
    assert!(report["imap"]["mailboxes"].as_array().unwrap().contains(&json!("INBOX")), "{report}");
    assert_eq!(report["smtp"]["ok"], true, "{report}");
    for (changes, protocol, code) in [
        (json!({"imap_port": 1}), "imap", "imap_connect"),
        (json!({"smtp_port": 1}), "smtp", "smtp_connect"),
        (json!({"imap_port": ports.imap, "imap_security": "tls"}), "imap", "imap_tls"),
        (json!({"smtp_port": ports.submission, "smtp_security": "tls"}), "smtp", "smtp_tls"),
        (json!({"imap_host": "localhost.invalid"}), "imap", "imap_connect"),
        (json!({"imap_host": "10.0.0.1"}), "imap", "host_not_allowed"),
        (json!({"smtp_host": "169.254.169.254"}), "smtp", "host_not_allowed"),
    ] {
        let report = test(changes.clone());
        assert_eq!(report[protocol]["error"]["code"], code, "{changes} {report}");
        assert!(report[protocol]["error"]["message"].as_str().unwrap().len() > 20, "{report}");
    }
}

#[test]
fn a_test_ends_in_time_whatever_the_server_does() {
    let world = World::new();
    let hangs = Script::with(&[]).on("LOGIN", vec![Step::Hang]).on("AUTHENTICATE", vec![Step::Hang]);
    let server = ScriptedImap::start(world.handle(), world.servers().certificates(), hangs);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let changes = json!({
        "imap_port": server.address().port(), "smtp_port": silent.local_addr().unwrap().port(),
    });
    let begun = Instant::now();
    let report = world.api().post("/profiles/test", &with_smtp(&world, &changes)).expect(200).body;
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(report["imap"]["error"]["code"], "imap_timeout", "{report}");
    assert_eq!(report["smtp"]["error"]["code"], "smtp_timeout", "{report}");
}

#[test]
fn changes_can_be_tried_before_they_are_stored() {
    let world = World::new();
    let wrong = json!({"type": "plain", "login": world.login(), "password": "wrong"});
    let made = world.api().post("/profiles", &settings_with(&world, &json!({"auth": wrong}))).expect(201);
    let path = format!("/profiles/{}/test", made.id());
    let report = world.api().call("POST", &path, &[], None).expect(200).body;
    assert_eq!((&report["imap"]["error"]["code"], &report["smtp"]), (&json!("imap_auth"), &Value::Null));
    let report = world.api().post(&path, &json!({"auth": {"password": world.password()}})).expect(200).body;
    assert_eq!(report["imap"]["ok"], true, "{report}");
    let report = world.api().call("POST", &path, &[], None).expect(200).body;
    assert_eq!(report["imap"]["error"]["code"], "imap_auth");
    assert_eq!(world.api().post(&path, &json!({"color": 1})).expect(422).fields(), ["color"]);
}

#[test]
fn a_form_that_is_filled_in_half_can_be_tried() {
    let world = World::new();
    let mut half = settings(&world);
    for field in ["name", "flow_schema_id", "start_from"] {
        half.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(world.api().post("/profiles/test", &half).expect(200).body["imap"]["ok"], true);
    half.as_object_mut().unwrap().remove("imap_host");
    let refused = world.api().post("/profiles/test", &half).expect(422);
    assert_eq!(refused.fields(), ["imap_host", "smtp_host"]);
}

#[test]
fn an_oauth2_profile_that_nobody_has_signed_in_to_says_so() {
    let world = World::new();
    let auth = json!({
        "type": "oauth2", "login": world.login(), "client_id": "c", "client_secret": CANARY,
        "discovery_url": "https://login.example.com",
    });
    let report =
        world.api().post("/profiles/test", &settings_with(&world, &json!({"auth": auth}))).expect(200).body;
    assert_eq!(
        (&report["imap"]["ok"], &report["imap"]["error"]["code"]),
        (&json!(false), &json!("oauth2_grant"))
    );
    assert!(!report["imap"]["capabilities"].as_array().unwrap().is_empty(), "{report}");
}
