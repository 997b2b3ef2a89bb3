//! What was entered for one server never gets to another, whatever is stored or tried.

use mailroom_tests::scripted_imap::{Script, ScriptedImap};
use mailroom_tests::secret_scan::CANARY;
use mailroom_tests::smtp_server::Options;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::settings_with;

fn another_server(world: &World) -> ScriptedImap {
    ScriptedImap::start(world.handle(), world.servers().certificates(), Script::with(&[]))
}

/// A profile whose stored password is the canary.
fn with_canary(world: &World) -> (String, Value) {
    let auth = json!({"type": "plain", "login": world.login(), "password": CANARY});
    let settings = settings_with(world, &json!({"auth": auth}));
    (format!("/profiles/{}", world.api().post("/profiles", &settings).expect(201).id()), settings)
}

#[test]
fn a_stored_password_never_gets_to_another_server() {
    let world = World::new();
    let (imap, smtp) = (another_server(&world), world.smtp_server(&Options::default()));
    let (path, mut settings) = with_canary(&world);
    let mut changes = vec![
        json!({"imap_port": imap.address().port()}),
        json!({"imap_host": "localhost", "imap_port": imap.address().port()}),
        json!({"imap_security": "starttls"}),
        json!({"smtp_host": smtp.address().to_string(), "smtp_port": smtp.submission()}),
    ];
    let mut stored = world.api().get(&path).body;
    for change in &changes {
        for refused in [
            world.api().post(&format!("{path}/test"), change).expect(422),
            world.api().patch(&path, change).expect(422),
        ] {
            assert_eq!(refused.fields(), ["auth.password"], "{change}");
            let (name, _) = change.as_object().unwrap().iter().next().unwrap();
            let message = refused.body["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(name) && message.contains("entered for"), "{message}");
        }
    }
    settings["auth"].as_object_mut().unwrap().remove("password");
    settings["imap_port"] = json!(imap.address().port());
    assert_eq!(world.api().put(&path, &settings).expect(422).fields(), ["auth.password"]);
    world.poll();
    stored["status"] = world.api().get(&path).body["status"].clone();
    assert_eq!(world.api().get(&path).body, stored);
    assert_eq!((imap.commands(), smtp.counts().connections), (vec![], 0));

    // What is entered in the same request goes there.
    for change in &mut changes {
        change["auth"] = json!({"password": CANARY});
    }
    let report = world.api().post(&format!("{path}/test"), &changes[0]).expect(200).body;
    assert_eq!((&report["imap"]["ok"], imap.was_told(CANARY)), (&json!(true), true), "{report}");
    let _ = world.api().post(&format!("{path}/test"), &changes[3]).expect(200);
    assert_eq!(smtp.counts().auths, 1);
    let before = imap.commands().len();
    let _ = world.api().patch(&path, &changes[0]).expect(200);
    world.poll();
    assert!(imap.commands().len() > before);
}

#[test]
fn another_spelling_and_fewer_servers_ask_for_nothing() {
    let world = World::new();
    let (path, _) = with_canary(&world);
    let moved = json!({
        "imap_host": "mail.example.invalid", "smtp_host": "mail.example.invalid", "auth": {"password": CANARY},
    });
    let _ = world.api().patch(&path, &moved).expect(200);
    for change in [
        json!({"imap_host": "MAIL.Example.invalid."}),
        json!({"smtp_security": "tls"}),
        json!({"auth": {"login": "else@example.com"}}),
        json!({"smtp_host": null}),
        json!({"listen": false, "imap_host": null}),
    ] {
        let _ = world.api().patch(&path, &change).expect(200);
    }
    let back = world.api().patch(&path, &json!({"smtp_host": "mail.example.invalid"})).expect(422);
    assert_eq!(back.fields(), ["auth.password"]);
}
