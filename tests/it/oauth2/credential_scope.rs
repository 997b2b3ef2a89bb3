//! What a provider grants for some servers never gets to others, and a client's secret to no other provider.

use mailroom_core::health::ProfileState;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::scripted_imap::{GREETING, Script, ScriptedImap, Step};
use mailroom_tests::world::World;
use serde_json::json;

use super::unattended::client;

fn another_server(world: &World) -> ScriptedImap {
    let greeting = Step::say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n");
    let script = Script::with(&[]).on(GREETING, vec![greeting]);
    ScriptedImap::start(world.handle(), world.servers().certificates(), script)
}

fn has_logged_in(server: &ScriptedImap) -> bool {
    server.commands().iter().any(|command| command.starts_with("AUTHENTICATE"))
}

#[test]
fn a_sign_in_never_opens_another_server() {
    let world = World::for_browsers();
    let imap = another_server(&world);
    let profile = world.signed_in(Mechanism::Xoauth2);
    let path = format!("/profiles/{profile}");
    // The function holds an access token from now on.
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    let port = world.api().get(&path).body["imap_port"].clone();
    let elsewhere = json!({"imap_port": imap.address().port()});
    let report = world.api().post(&format!("{path}/test"), &elsewhere).expect(200).body;
    assert_eq!(report["imap"]["error"]["code"], "oauth2_grant", "{report}");
    assert_eq!(world.api().post(&format!("{path}/test"), &json!({})).expect(200).body["imap"]["ok"], true);

    let moved = world.api().patch(&path, &elsewhere).expect(200).body;
    assert_eq!(moved["status"]["authorized"], false);
    assert!(world.client_credential(profile).refresh_token.is_none());
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::ReauthorizationRequired);
    // Not by the way back either.
    let _ = world.api().patch(&path, &json!({"imap_port": port})).expect(200);
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::ReauthorizationRequired);
    assert!(!has_logged_in(&imap), "{:?}", imap.commands());

    // A consent that was begun for one server is not one for another.
    let mut agent = world.agent();
    let back = world.consent(&mut agent, &world.begin_sign_in(profile), world.login());
    let _ = world.api().patch(&path, &elsewhere).expect(200);
    let page = agent.open(&back, None);
    assert!(page.status == 400 && page.text.contains("was changed or deleted"), "{}", page.text);
    world.poll();
    assert!(!has_logged_in(&imap), "{:?}", imap.commands());
    // One that is begun now is.
    assert_eq!(world.sign_in(profile, world.login()).status, 200);
    world.poll();
    assert!(has_logged_in(&imap), "{:?}", imap.commands());
}

#[test]
fn a_clients_secret_never_gets_to_another_provider_or_server() {
    let world = World::for_browsers();
    let imap = another_server(&world);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let client = client(&world, "client_secret_post", &json!({}));
    let auth = json!({"grant": "client_credentials", "scopes": ["mail"]});
    let settings = world.token_settings(Mechanism::Xoauth2, &client, &auth);
    let path = format!("/profiles/{}", world.make(&settings));
    world.poll();
    assert_eq!(world.api().get(&path).body["status"]["state"], "ok");
    let provider = format!("https://{}", elsewhere.local_addr().unwrap());
    for (change, field) in [
        (json!({"auth": {"discovery_url": provider}}), "auth.discovery_url"),
        (json!({"auth": {"client_id": "another"}}), "auth.client_id"),
        (json!({"imap_port": imap.address().port()}), "imap_port"),
    ] {
        for refused in [
            world.api().post(&format!("{path}/test"), &change).expect(422),
            world.api().patch(&path, &change).expect(422),
        ] {
            assert_eq!(refused.fields(), ["auth.client_secret"], "{change}");
            assert!(refused.text.contains(field), "{}", refused.text);
        }
    }
    world.poll();
    assert!(elsewhere.accept().is_err() && imap.commands().is_empty());
    let change = json!({"imap_port": imap.address().port(), "auth": {"client_secret": client.secret}});
    let _ = world.api().patch(&path, &change).expect(200);
    world.poll();
    assert!(imap.commands().iter().any(|command| command.starts_with("AUTHENTICATE")));
}
