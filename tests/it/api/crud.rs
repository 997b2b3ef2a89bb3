//! Profiles and flow schemas are made, read, changed and removed.

use std::collections::BTreeSet;
use std::time::Duration;

use mailroom_tests::api::event;
use mailroom_tests::aws_proxy::Fault;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::secret_scan::CANARY;
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

use super::{settings, settings_with};

#[test]
fn a_profile_is_made_with_defaults_and_read_back() {
    let world = World::new();
    let api = world.api();
    let made = api.post("/profiles", &settings(&world)).expect(201);
    let id = made.id();
    assert_eq!(made.headers["location"], format!("/profiles/{id}"));
    assert_eq!(made.headers["etag"], "\"1\"");
    let expected = json!({
        "id": id, "name": "Support", "description": "", "listen": true, "mailbox": "INBOX",
        "imap_host": "127.0.0.1", "imap_port": world.servers().dovecot().ports().imaps, "imap_security": "tls",
        "smtp_host": null, "smtp_port": null, "smtp_security": null,
        "flow_schema_id": "add-to-queue", "refresh_interval": 300,
        "auth": {"type": "plain", "login": world.login(), "password_set": true}, "smtp_auth": null, "from": null,
        "include_seen": false, "start_from": "all", "after_fetch": {"action": "keep"},
        "max_message_bytes": 26_214_400, "trusted_authserv_ids": [], "version": 1,
        "created_at": made.body["created_at"], "updated_at": made.body["updated_at"],
        "status": {
            "state": "pending", "last_success_at": null, "last_message_at": null, "not_before": null,
            "error": null, "uid_validity": null, "last_uid": null, "authorized": true, "warnings": [],
            "skipped_seen": {"count": 0, "last_at": null},
            "signed_in": null, "audit": null,
        },
    });
    assert_eq!(made.body, expected);
    let read = api.get(&format!("/profiles/{id}")).expect(200);
    assert_eq!((&read.body, &read.headers["etag"]), (&made.body, &made.headers["etag"]));
    assert_eq!(api.get("/profiles").expect(200).body, json!({"items": [expected], "next": null}));
}

#[test]
fn every_field_of_a_profile_comes_back_as_it_was_set() {
    let world = World::new();
    let api = world.api();
    let full = json!({
        "name": "Gr\u{fc}\u{df}e \u{1f4ec}", "description": "two\nlines", "listen": true, "mailbox": "Entw\u{fc}rfe/2026",
        "imap_host": "IMAP.example.com.", "imap_port": 143, "smtp_host": "smtp.example.com", "smtp_port": 465,
        "flow_schema_id": "add-to-queue", "refresh_interval": 15, "include_seen": true, "start_from": "2026-11-01",
        "after_fetch": {"action": "move", "mailbox": "Done"}, "max_message_bytes": 1024,
        "trusted_authserv_ids": ["mx.example.com", "mx2.example.com"],
        "auth": {
            "type": "oauth2", "grant": "client_credentials", "login": "a@example.com", "client_id": "client",
            "client_secret": CANARY, "discovery_url": "https://login.example.com/.well-known/openid-configuration",
            "scopes": ["https://mail.google.com/", "offline_access"], "client_secret_expires_on": "2029-11-01",
        },
        "smtp_auth": {"login": "DOMAIN\\user", "password": CANARY},
        "from": {"address": "sales@example.com", "name": "Sales"},
    });
    let made = api.post("/profiles", &full).expect(201).body;
    for field in [
        "name",
        "description",
        "mailbox",
        "smtp_port",
        "refresh_interval",
        "include_seen",
        "start_from",
        "after_fetch",
        "max_message_bytes",
        "trusted_authserv_ids",
        "from",
    ] {
        assert_eq!(made[field], full[field], "{field}");
    }
    // As the field's port usually has it, and as names are compared.
    assert_eq!(
        (&made["imap_host"], &made["imap_security"]),
        (&json!("imap.example.com"), &json!("starttls"))
    );
    assert_eq!(made["smtp_security"], "tls");
    let auth = json!({
        "type": "oauth2", "grant": "client_credentials", "login": "a@example.com", "client_id": "client",
        "client_secret_set": true, "discovery_url": "https://login.example.com/.well-known/openid-configuration",
        "scopes": ["https://mail.google.com/", "offline_access"], "client_secret_expires_on": "2029-11-01",
    });
    assert_eq!(made["auth"], auth);
    assert_eq!(made["smtp_auth"], json!({"login": "DOMAIN\\user", "password_set": true}));
}

#[test]
fn replacing_takes_defaults_for_what_is_left_out_and_keeps_the_secret() {
    let world = World::new();
    let api = world.api();
    let first = settings_with(&world, &json!({"description": "old", "refresh_interval": 60}));
    let path = format!("/profiles/{}", api.post("/profiles", &first).expect(201).id());
    let mut second = settings_with(&world, &json!({"name": "Sales"}));
    second["auth"].as_object_mut().unwrap().remove("password");
    let replaced = api.put(&path, &second).expect(200);
    assert_eq!(replaced.headers["etag"], "\"2\"");
    for (field, value) in
        [("name", json!("Sales")), ("description", json!("")), ("refresh_interval", json!(300))]
    {
        assert_eq!(replaced.body[field], value, "{field}");
    }
    assert_eq!(replaced.body["auth"]["password_set"], true);
    assert_eq!(replaced.body["created_at"], api.get(&path).body["created_at"]);
}

#[test]
fn a_patch_changes_what_it_names() {
    let world = World::new();
    let api = world.api();
    let made = api.post("/profiles", &settings_with(&world, &json!({"description": "old"}))).expect(201);
    let path = format!("/profiles/{}", made.id());
    let patched = api.patch(&path, &json!({"name": "Sales", "description": null})).expect(200).body;
    let mut expected = made.body.clone();
    expected["name"] = json!("Sales");
    expected["description"] = json!("");
    expected["version"] = json!(2);
    expected["updated_at"] = patched["updated_at"].clone();
    assert_eq!(patched, expected);
    let moved = json!({"imap_port": 143, "auth": {"password": world.password()}});
    let moved = api.patch(&path, &moved).expect(200).body;
    assert_eq!((&moved["imap_port"], &moved["imap_security"]), (&json!(143), &json!("starttls")));
}

#[test]
fn another_type_of_login_asks_for_its_own_secret() {
    let world = World::new();
    let api = world.api();
    let path = format!("/profiles/{}", api.post("/profiles", &settings(&world)).expect(201).id());
    let mut oauth2 = json!({
        "type": "oauth2", "grant": "client_credentials", "client_id": "c",
        "discovery_url": "https://login.example.com",
    });
    let refused = api.patch(&path, &json!({"auth": oauth2})).expect(409);
    assert_eq!(refused.fields(), ["auth.client_secret"]);
    oauth2["client_secret"] = json!(CANARY);
    let auth = api.patch(&path, &json!({"auth": oauth2})).expect(200).body["auth"].clone();
    assert_eq!((&auth["type"], &auth["login"]), (&json!("oauth2"), &json!(world.login())));
    // And back: the password of before is gone.
    let plain = json!({"auth": {"type": "plain"}});
    assert_eq!(api.patch(&path, &plain).expect(409).fields(), ["auth.password"]);
    let plain = json!({"auth": {"type": "plain", "password": world.password()}});
    assert_eq!(api.patch(&path, &plain).expect(200).body["auth"]["password_set"], true);
}

#[test]
fn a_change_made_from_an_old_version_is_refused() {
    let world = World::new();
    let api = world.api();
    let path = format!("/profiles/{}", api.post("/profiles", &settings(&world)).expect(201).id());
    let body = json!({"name": "A"}).to_string();
    let change = |tag: &str| api.call("PATCH", &path, &[("if-match", tag)], Some(body.as_bytes()));
    assert_eq!(change("\"1\"").expect(200).headers["etag"], "\"2\"");
    let _ = change("\"1\"").expect(412);
    let _ = change("W/\"2\"").expect(412);
    let _ = change("\"7\", \"2\"").expect(200);
    let _ = change("*").expect(200);
    assert_eq!(change("2").expect(400).fields(), ["If-Match"]);
    let _ = api.call("DELETE", &path, &[("if-match", "\"1\"")], None).expect(412);
    let _ = api.call("DELETE", &path, &[("if-match", "\"4\"")], None).expect(204);
    let _ = api.get(&path).expect(404);
}

#[test]
fn removing_a_profile_leaves_nothing_of_it() {
    let world = World::new();
    let api = world.api();
    world.deliver(&mailroom_tests::world::message("noted"));
    let made = api.post("/profiles", &settings_with(&world, &json!({"refresh_interval": 120}))).expect(201);
    let id = made.id();
    let _ = world.lambda().invoke(json!({"refresh_interval": 120}), Duration::from_secs(30));
    assert_eq!(world.subjects(), ["noted"]);
    assert_eq!((world.secret_names().len(), world.schedule_names()), (1, vec!["refresh-120".to_owned()]));
    let _ = api.delete(&format!("/profiles/{id}")).expect(204);
    let _ = api.delete(&format!("/profiles/{id}")).expect(404);
    let left: Vec<_> = world.aws().items(&world.stack().table);
    let mut left: Vec<_> = left.iter().filter_map(|item| item["PK"]["S"].as_str()).collect();
    left.sort_unstable();
    // The interval's own item counts those who ever used it, and stays.
    assert_eq!(left, ["FLOW#add-to-queue", "INTERVALS"]);
    assert!(world.secret_names().is_empty() && world.schedule_names().is_empty());
}

#[test]
fn flow_schemas_are_kept_while_profiles_use_them() {
    let world = World::new();
    let api = world.api();
    let queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo";
    let schema = json!({"id": "orders", "name": "Orders", "queue_url": queue});
    let made = api.post("/flow-schemas", &schema).expect(201);
    assert_eq!((&made.body, made.headers["location"].as_str()), (&schema, "/flow-schemas/orders"));
    assert_eq!(api.post("/flow-schemas", &schema).expect(409).fields(), ["id"]);
    assert_eq!(api.get("/flow-schemas/orders").expect(200).body, schema);
    let renamed = json!({"id": "orders", "name": "All orders", "queue_url": null});
    assert_eq!(api.put("/flow-schemas/orders", &json!({"name": "All orders"})).expect(200).body, renamed);
    let made = api.put("/flow-schemas/another", &json!({"name": "Another"})).expect(201);
    assert_eq!(made.body["id"], "another");
    let ids = |path: &str| {
        let page = api.get(path).expect(200).body;
        let ids =
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(ids("/flow-schemas").0, ["add-to-queue", "another", "orders"]);
    let (first, next) = ids("/flow-schemas?limit=2");
    assert_eq!(first, ["add-to-queue", "another"]);
    assert_eq!(ids(&format!("/flow-schemas?limit=2&cursor={}", next.unwrap())).0, ["orders"]);

    let profile = settings_with(&world, &json!({"flow_schema_id": "orders"}));
    let path = format!("/profiles/{}", api.post("/profiles", &profile).expect(201).id());
    let _ = api.delete("/flow-schemas/orders").expect(409);
    let _ = api.patch(&path, &json!({"flow_schema_id": "another"})).expect(200);
    let _ = api.delete("/flow-schemas/orders").expect(204);
    let _ = api.get("/flow-schemas/orders").expect(404);
    let gone = api.patch(&path, &json!({"flow_schema_id": "orders"})).expect(409);
    assert_eq!(gone.fields(), ["flow_schema_id"]);
}

#[test]
fn a_change_whose_answer_was_lost_is_not_refused() {
    let world = World::new();
    let path = format!("/profiles/{}", world.api().post("/profiles", &settings(&world)).expect(201).id());
    for (version, change) in
        [json!({"name": "Sales"}), json!({"auth": {"password": "another"}})].iter().enumerate()
    {
        let mut request = event("PATCH", &path, Some(change));
        request["headers"]["if-match"] = json!(format!("\"{}\"", version + 1));
        let killer = world.api_function().killer();
        world.proxy().fail_next(Fault::HangUpAfter, &killer, |call| {
            // The write of the edit, and not the claim before it.
            call.operation == "dynamodb.UpdateItem"
                && String::from_utf8_lossy(&call.body).contains("#updated_at")
        });
        let Outcome::Answered(answer) = world.api_function().invoke(request, Duration::from_secs(20)) else {
            panic!("no answer")
        };
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(answer["headers"]["etag"], format!("\"{}\"", version + 2));
    }
}

#[test]
fn a_creation_with_a_key_creates_once() {
    let world = World::new();
    let api = world.api();
    let create = |key: &str, changes: &Value| {
        let body = settings_with(&world, changes).to_string();
        api.call("POST", "/profiles", &[("idempotency-key", key)], Some(body.as_bytes()))
    };
    let first = create("form-7", &json!({})).expect(201);
    let again = create("form-7", &json!({})).expect(201);
    assert_eq!((again.id(), &again.headers["location"]), (first.id(), &first.headers["location"]));
    assert_eq!(create("form-7", &json!({"name": "Other"})).expect(422).fields(), ["Idempotency-Key"]);
    assert_ne!(create("form-8", &json!({})).expect(201).id(), first.id());
    let _ = api.delete(&format!("/profiles/{}", first.id())).expect(204);
    assert!(create("form-7", &json!({})).expect(409).text.contains("has been deleted"));
    assert_eq!(world.secret_names().len(), 1);
    // At the same moment, too.
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let requests: Vec<_> = (0..4).map(|_| scope.spawn(|| create("form-9", &json!({})))).collect();
        let replies = requests.into_iter().map(|request| request.join().unwrap());
        replies.filter(|reply| reply.status == 201).map(|reply| reply.id()).collect()
    });
    assert_eq!(ids.len(), 1);
    assert_eq!(world.secret_names().len(), 2);
}

#[test]
fn a_profile_is_deleted_with_its_messages_if_its_owner_says_so() {
    let world = World::new();
    let path = format!("/profiles/{}", world.api().post("/profiles", &settings(&world)).expect(201).id());
    let kept = world.api().post("/profiles", &settings(&world)).expect(201).id();
    world.deliver(&message("stored"));
    world.poll();
    let raw: Vec<_> = world.jobs().into_iter().filter_map(|job| job.raw).collect();
    let stored = |id: &str| {
        let of_profile = raw.iter().filter(|raw| raw.key.contains(id));
        of_profile.filter(|raw| world.aws().object(&raw.bucket, &raw.key).is_some()).count()
    };
    let id = path.trim_start_matches("/profiles/").to_owned();
    assert_eq!((stored(&id), stored(&kept)), (1, 1));
    assert_eq!(world.api().delete(&format!("{path}?purge=yes")).expect(400).fields(), ["purge"]);
    let _ = world.api().delete(&format!("{path}?purge=true")).expect(204);
    assert_eq!((stored(&id), stored(&kept)), (0, 1));
    let _ = world.api().delete(&format!("{path}?purge=true")).expect(404);
    // What was kept at first can be removed later.
    let _ = world.api().delete(&format!("/profiles/{kept}")).expect(204);
    assert_eq!(stored(&kept), 1);
    let _ = world.api().delete(&format!("/profiles/{kept}?purge=true")).expect(204);
    assert_eq!(stored(&kept), 0);
}
