//! The settings of an address, found without a password.

use mailroom_tests::world::World;
use serde_json::{Value, json};

#[test]
fn a_known_provider_is_told_by_the_address_alone() {
    let world = World::new();
    let api = world.api();
    let found = api.post("/autoconfig", &json!({"address": "ann@gmail.com"})).expect(200).body;
    let [gmail] = found["candidates"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!(
        (&gmail["origin"], &gmail["confidence"], &gmail["provider"]["name"]),
        (&json!("provider"), &json!("high"), &json!("Gmail"))
    );
    assert_eq!(gmail["imap"], json!({"host": "imap.gmail.com", "port": 993, "security": "tls"}));
    assert_eq!(gmail["auth"], json!(["oauth2", "app_password"]));
    assert_eq!(gmail["login"], "ann@gmail.com");
    // What is found can be sent as it is.
    let oauth2 = &gmail["oauth2"];
    let profile = json!({
        "name": "Ann", "listen": false, "imap_host": gmail["imap"]["host"], "smtp_host": gmail["smtp"]["host"],
        "smtp_port": gmail["smtp"]["port"], "smtp_security": gmail["smtp"]["security"],
        "auth": {
            "type": "oauth2", "login": gmail["login"], "client_id": "c", "client_secret": "s",
            "discovery_url": oauth2["discovery_url"], "scopes": oauth2["scopes"]["authorization_code"],
        },
    });
    let _ = api.post("/profiles", &profile).expect(201);

    let proton = api.post("/autoconfig", &json!({"address": "ann@proton.me"})).expect(200).body;
    assert_eq!(proton["candidates"][0]["imap"], Value::Null);
    assert!(proton["candidates"][0]["instructions"].as_str().unwrap().contains("no IMAP"), "{proton}");
}

#[test]
fn an_address_that_is_none_is_refused_by_its_field() {
    let world = World::new();
    for address in ["ann", "ann@", "ann@[127.0.0.1]", "ann@localhost", ""] {
        let refused = world.api().post("/autoconfig", &json!({"address": address})).expect(422);
        assert_eq!(refused.body["errors"][0]["field"], "address", "{address}");
    }
}

/// No name ends in `.invalid` (RFC 6761 §6.4), so nobody knows it, whatever the machine's network is.
#[test]
fn a_domain_that_nobody_knows_has_no_candidates() {
    let world = World::new();
    let found = world.api().post("/autoconfig", &json!({"address": "ann@example.invalid"})).expect(200);
    assert_eq!(found.body, json!({"candidates": []}));
}

#[test]
fn the_known_providers_are_listed() {
    let world = World::new();
    let list = world.api().get("/providers").expect(200).body;
    let items = list["items"].as_array().unwrap();
    let ids: Vec<&str> = items.iter().filter_map(|item| item["id"].as_str()).collect();
    assert!(ids.len() >= 138 && ids.contains(&"gmail") && ids.contains(&"microsoft365"), "{ids:?}");
}
