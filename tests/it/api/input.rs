//! Whatever is sent, the answer says what is wrong with it.

use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::{settings, settings_with};

#[test]
fn each_problem_names_its_field() {
    let world = World::new();
    let api = world.api();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!(" ")),
        ("name", json!("x".repeat(101))),
        ("name", json!("a\u{7}b")),
        ("name", json!(7)),
        ("description", json!("x".repeat(1001))),
        ("listen", json!("yes")),
        ("listen", Value::Null),
        ("mailbox", json!("a*")),
        ("mailbox", json!("")),
        ("imap_host", json!("http://imap.example.com")),
        ("imap_host", json!("imap.example.com:993")),
        ("imap_host", json!("a..b")),
        ("imap_port", json!(0)),
        ("imap_port", json!(65536)),
        ("imap_port", json!(-1)),
        ("imap_port", json!(99.5)),
        ("imap_port", json!("993")),
        ("imap_security", json!("ssl")),
        ("smtp_host", json!("-a")),
        ("smtp_port", json!(1e300)),
        ("smtp_port", json!(25)),
        ("from.address", json!("sales")),
        ("smtp_auth.login", json!(" ")),
        ("flow_schema_id", json!("no such id")),
        ("refresh_interval", json!(45)),
        ("refresh_interval", json!(90)),
        ("refresh_interval", json!(86460)),
        ("start_from", json!("yesterday")),
        ("start_from", json!("2026-02-30")),
        ("after_fetch.action", json!(null)),
        ("max_message_bytes", json!(1)),
        ("max_message_bytes", json!(1_u64 << 40)),
        ("trusted_authserv_ids[1]", json!(["mx.example.com", "192.0.2.1"])),
        ("trusted_authserv_ids", json!(vec!["mx.example.com"; 11])),
        ("color", json!("blue")),
        ("status", json!({})),
        ("id", json!("01JDCABCDEFGHJKMNPQRSTVWXY")),
    ] {
        let changes = match field {
            "after_fetch.action" => json!({"after_fetch": {"action": "burn"}}),
            "from.address" => json!({"from": {"address": value}}),
            "smtp_auth.login" => json!({"smtp_auth": {"login": value, "password": "a"}}),
            "trusted_authserv_ids[1]" => json!({"trusted_authserv_ids": value}),
            field => json!({field: value}),
        };
        let refused = api.post("/profiles", &settings_with(&world, &changes)).expect(422);
        assert_eq!(refused.fields(), [field], "{value} {}", refused.text);
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    for (field, auth) in [
        ("auth.type", json!({"login": "a", "password": "b"})),
        ("auth.type", json!({"type": "basic"})),
        ("auth.login", json!({"type": "plain", "password": "b"})),
        ("auth.password", json!({"type": "plain", "login": "a"})),
        ("auth.password", json!({"type": "plain", "login": "a", "password": "a\0b"})),
        ("auth.password", json!({"type": "plain", "login": "a", "password": ""})),
        ("auth.token", json!({"type": "plain", "login": "a", "password": "b", "token": "c"})),
        ("auth", json!("plain")),
        (
            "auth.scopes[1]",
            json!({
                "type": "oauth2", "login": "a", "client_id": "b", "client_secret": "c",
                "discovery_url": "https://login.example.com", "scopes": ["a", "b c"],
            }),
        ),
        (
            "auth.discovery_url",
            json!({
                "type": "oauth2", "login": "a", "client_id": "b", "client_secret": "c", "discovery_url": "ftp://a.example",
            }),
        ),
        (
            "auth.discovery_url",
            json!({
                "type": "oauth2", "login": "a", "client_id": "b", "client_secret": "c", "discovery_url": "http://a.example",
            }),
        ),
        (
            "auth.grant",
            json!({
                "type": "oauth2", "login": "a", "client_id": "b", "client_secret": "c", "grant": "password",
                "discovery_url": "https://login.example.com",
            }),
        ),
    ] {
        let refused = api.post("/profiles", &settings_with(&world, &json!({"auth": auth}))).expect(422);
        assert_eq!(refused.fields(), [field], "{auth} {}", refused.text);
    }
    assert_eq!(api.get("/profiles").body["items"], json!([]));
    assert!(world.secret_names().is_empty());
}

#[test]
fn several_problems_are_told_at_once() {
    let world = World::new();
    let wrong =
        json!({"imap_port": 0, "imap_security": "ssl", "colour": 1, "auth": {"type": "plain", "login": 7}});
    let refused = world.api().post("/profiles", &wrong).expect(422);
    let mut fields = refused.fields();
    fields.sort_unstable();
    assert_eq!(fields, ["auth.login", "colour", "imap_port", "imap_security", "name"]);
    let nothing = world.api().post("/profiles", &json!({})).expect(422);
    assert_eq!(nothing.fields(), ["name", "auth"]);
    let host_less = json!({"name": "a", "auth": {"type": "plain", "login": "a", "password": "b"}});
    let refused = world.api().post("/profiles", &host_less).expect(422);
    assert_eq!(refused.fields(), ["imap_host", "flow_schema_id"]);
}

#[test]
fn hosts_of_private_networks_are_refused() {
    let world = World::new();
    let api = world.api();
    // This stack allows loopback; all else that is private is refused, however it is written.
    for host in [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "167772161",
        "0xa000001",
        "0x0a.1",
        "012.0.0.1",
    ] {
        for field in ["imap_host", "smtp_host"] {
            let refused = api.post("/profiles", &settings_with(&world, &json!({field: host}))).expect(422);
            assert_eq!(refused.fields(), [field], "{host}");
        }
    }
    // A name that does not resolve may do so tomorrow.
    let _ = api
        .post("/profiles", &settings_with(&world, &json!({"imap_host": "mail.example.invalid"})))
        .expect(201);
}

#[test]
fn bodies_that_are_no_bodies_are_refused() {
    let world = World::new();
    let api = world.api();
    let post = |headers: &[(&str, &str)], body: &[u8]| api.call("POST", "/profiles", headers, Some(body));
    let _ = api.call("POST", "/profiles", &[], None).expect(400);
    let deep = "[".repeat(100_000);
    for body in [&b"{"[..], b"nonsense", b"\0", deep.as_bytes(), b"{\"a\":1}{}"] {
        let _ = post(&[], body).expect(400);
    }
    for body in [&b"[]"[..], b"null", b"7", b"\"text\"", b"true"] {
        let _ = post(&[], body).expect(422);
    }
    let _ = post(&[("content-type", "text/plain")], b"{}").expect(415);
    let _ = post(&[], format!("{{\"name\": \"{}\"}}", "x".repeat(300_000)).as_bytes()).expect(413);
    let made = api.post("/profiles", &settings(&world)).expect(201);
    let path = format!("/profiles/{}", made.id());
    let _ = api.call("PATCH", &path, &[], Some(b"[]")).expect(422);
    assert_eq!(api.patch(&path, &json!({"name": null})).expect(422).fields(), ["name"]);
}

#[test]
fn parameters_and_paths_are_checked() {
    let world = World::new();
    let api = world.api();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=nonsense", "cursor"),
        ("q=", "q"),
        ("q=a%0Ab", "q"),
        ("page=2", "page"),
    ] {
        assert_eq!(api.get(&format!("/profiles?{query}")).expect(400).fields(), [field], "{query}");
    }
    for path in [
        "/",
        "/profile",
        "/profiles/nonsense",
        "/profiles/01JDCABCDEFGHJKMNPQRSTVWXY",
        "/profiles/%00",
        "/flow-schemas/none",
        "/flow-schemas/%2e%2e",
        "/schemas/other.json",
    ] {
        let _ = api.get(path).expect(404);
    }
    let refused = api.call("PUT", "/profiles", &[], Some(b"{}")).expect(405);
    assert_eq!(refused.headers["allow"], "POST, GET");
}
