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
fn a_password_for_the_smtp_server_alone_gets_nowhere_else() {
    let world = World::new();
    let (imap, smtp, other) = (
        another_server(&world),
        world.smtp_server(&Options::default()),
        world.smtp_server(&Options::default()),
    );
    let smtp_auth = json!({"login": "apikey", "password": CANARY});
    let settings = settings_with(
        &world,
        &json!({
            "smtp_host": smtp.address().to_string(), "smtp_port": smtp.submission(), "smtp_security": "starttls",
            "smtp_auth": smtp_auth, "from": {"address": "sales@example.com", "name": "Sales"},
        }),
    );
    let without = {
        let mut settings = settings.clone();
        settings["smtp_auth"].as_object_mut().unwrap().remove("password");
        settings
    };
    assert_eq!(world.api().post("/profiles", &without).expect(422).fields(), ["smtp_auth.password"]);
    let created = world.api().post("/profiles", &settings).expect(201);
    let path = format!("/profiles/{}", created.id());
    assert_eq!(created.body["smtp_auth"], json!({"login": "apikey", "password_set": true}));
    assert!(!world.api().get(&path).body.to_string().contains(CANARY));
    // The profile's own password stays away from the relay, and the relay's from the mailbox.
    let report = world.api().post(&format!("{path}/test"), &json!({})).expect(200).body;
    assert_eq!((&report["imap"]["ok"], smtp.counts().auths), (&json!(true), 1), "{report}");

    let elsewhere = json!({"smtp_host": other.address().to_string(), "smtp_port": other.submission()});
    for (change, field, cause) in [
        (elsewhere, "smtp_auth.password", "smtp_"),
        (json!({"smtp_auth": null}), "auth.password", "smtp_auth"),
        (json!({"imap_port": imap.address().port()}), "auth.password", "imap_port"),
    ] {
        for refused in [
            world.api().post(&format!("{path}/test"), &change).expect(422),
            world.api().patch(&path, &change).expect(422),
        ] {
            assert_eq!(refused.fields(), [field], "{change}");
            let message = refused.body["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(cause) && message.contains("entered for"), "{message}");
        }
    }
    assert_eq!((other.counts().connections, imap.commands()), (0, vec![]));

    // Another name for the same login, and another sender, ask for nothing.
    let change = json!({"smtp_auth": {"login": "DOMAIN\\user"}, "from": {"name": null}});
    let changed = world.api().patch(&path, &change).expect(200).body;
    assert_eq!(changed["from"], json!({"address": "sales@example.com", "name": null}));
    let _ = world.api().post(&format!("{path}/test"), &json!({})).expect(200);
    assert_eq!(smtp.counts().auths, 2, "the password is still there");
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
