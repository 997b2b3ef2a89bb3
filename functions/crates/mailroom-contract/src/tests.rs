//! The document says what the code does: whatever is sent, both take it, or neither.

mod fuzz;

use mailroom_core::profile::{Auth, Profile, ProfileId};
use mailroom_core::server::Mailbox;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::openapi::document;
use crate::problem::{Problems, read};
use crate::profile::ProfileBody;
use crate::settings::{described, differing, patched, settings};

/// A validator of one of the document's schemas.
pub(crate) fn validator(schema: &str) -> jsonschema::Validator {
    let document = document();
    let mut root = json!({"$ref": format!("#/components/schemas/{schema}")});
    root["components"] = document["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&root).unwrap()
}

fn taken(value: &Value) -> Result<Profile, Problems> {
    let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    read::<ProfileBody>(value.clone()).map(|body| body.describe(id, datetime!(2026-11-01 12:00 UTC)).profile)
}

/// A value for a field: mostly one that may be right, sometimes any.
fn field(name: &'static str) -> BoxedStrategy<Value> {
    let texts = prop_oneof![
        "[ -~]{0,12}".prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{1,70}(\\.[a-z0-9_-]{1,9}){0,3}".prop_map(Value::from),
        prop::sample::select(vec![
            "a\nb",
            "a\n",
            "\u{85}",
            "\u{7f}",
            "a\tb",
            "",
            " ",
            "\u{a0}",
            "x*",
            "INBOX",
            "a.b-",
            "-a",
            "9.9",
            "127.0.0.1",
            "::1",
            "imap.example.com.",
            "a.1"
        ])
        .prop_map(Value::from),
    ];
    let numbers = prop_oneof![
        any::<i32>().prop_map(Value::from),
        (0_u32..70_000).prop_map(Value::from),
        prop::sample::select(vec![
            10_u64, 15, 20, 25, 30, 60, 61, 120, 86_400, 86_460, 1024, 41_943_040, 41_943_041
        ])
        .prop_map(Value::from),
        prop::sample::select(vec![993.0, 0.5, 60.0, -1.0, 1e300]).prop_map(Value::from),
    ];
    let anything =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), Just(json!([])), Just(json!({}))];
    let chosen: BoxedStrategy<Value> = match name {
        "start_from" => prop::sample::select(vec![
            "now",
            "all",
            "2026-11-01",
            "2026-02-30",
            "2026-1-1",
            "Now",
            "2026-W01-1",
        ])
        .prop_map(Value::from)
        .boxed(),
        "imap_security" | "smtp_security" => {
            prop::sample::select(vec!["tls", "starttls", "ssl", "TLS"]).prop_map(Value::from).boxed()
        }
        "after_fetch" => prop::sample::select(vec![
            json!({"action": "keep"}),
            json!({"action": "move"}),
            json!({"action": "move", "mailbox": "a"}),
            json!({"action": "keep", "mailbox": "a"}),
            json!({}),
        ])
        .boxed(),
        "smtp_auth" => prop::sample::select(vec![
            json!({"login": "apikey", "password": "s"}),
            json!({"login": "DOMAIN\\user"}),
            json!({"login": " "}),
            json!({"login": "a", "type": "plain"}),
            json!({"password": "s"}),
        ])
        .boxed(),
        "from" => prop::sample::select(vec![
            json!({"address": "sales@example.com", "name": "Sales"}),
            json!({"address": "sales@example.com"}),
            json!({"address": "sales"}),
            json!({"name": "Sales"}),
            json!({"address": "sales@example.com", "name": "a\nb"}),
        ])
        .boxed(),
        "trusted_authserv_ids" => prop::sample::select(vec![
            json!([]),
            json!(["mx.example.com", "MX2.example.com."]),
            json!(["192.0.2.1"]),
            json!(["a b"]),
            json!(vec!["a"; 10]),
            json!(vec!["a"; 11]),
            json!("mx.example.com"),
        ])
        .boxed(),
        "listen" | "include_seen" => any::<bool>().prop_map(Value::from).boxed(),
        _ => Just(Value::Null).boxed(),
    };
    prop_oneof![4 => texts, 4 => numbers, 4 => chosen, 1 => anything].boxed()
}

const FIELDS: [&str; 19] = [
    "name",
    "description",
    "listen",
    "mailbox",
    "imap_host",
    "imap_port",
    "imap_security",
    "smtp_host",
    "smtp_port",
    "smtp_auth",
    "from",
    "flow_schema_id",
    "refresh_interval",
    "include_seen",
    "start_from",
    "after_fetch",
    "max_message_bytes",
    "trusted_authserv_ids",
    "colour",
];

fn auth() -> impl Strategy<Value = Value> {
    let secret = prop_oneof![
        Just(json!("s")),
        Just(json!("")),
        Just(json!("a\u{0}b")),
        Just(json!(7)),
        Just(Value::Null)
    ];
    let url = prop::sample::select(vec![
        "https://login.example.com",
        "https://a.b/c/.well-known/openid-configuration",
        "ftp://a.b",
        "https://",
        "https:///a",
        "https://a b",
        "https://a.b/c d",
    ]);
    (any::<bool>(), secret, url, "\\PC{0,4}", prop::collection::vec("[ -~]{0,5}", 0..3), any::<bool>()).prop_map(
        |(plain, secret, url, login, scopes, extra)| {
            let mut auth = if plain {
                json!({"type": "plain", "login": login, "password": secret})
            } else {
                json!({
                    "type": "oauth2", "login": login, "client_id": "c", "client_secret": secret, "discovery_url": url,
                    "scopes": scopes,
                })
            };
            if extra {
                auth["token"] = json!("t");
            }
            auth
        },
    )
}

/// A body that would be right, with a few fields replaced.
fn body() -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec(
        prop::sample::select(FIELDS.to_vec()).prop_flat_map(|name| (Just(name), field(name))),
        0..3,
    );
    let dropped = prop::option::weighted(
        0.2,
        prop::sample::select(vec!["name", "auth", "imap_host", "flow_schema_id"]),
    );
    (changes, dropped, prop::option::weighted(0.3, auth())).prop_map(|(changes, dropped, auth)| {
        let mut body = json!({
            "name": "a", "imap_host": "imap.example.com", "flow_schema_id": "flow",
            "auth": {"type": "plain", "login": "a", "password": "b"},
        });
        for (name, value) in changes {
            body[name] = value;
        }
        if let Some(auth) = auth {
            body["auth"] = auth;
        }
        if let Some(name) = dropped {
            body.as_object_mut().unwrap().remove(name);
        }
        body
    })
}

/// What no schema can say: a message is not moved to where it is.
fn moves_in_place(body: &Value) -> bool {
    let mailbox = |value: &Value| value.as_str().and_then(|name| Mailbox::parse(name).ok());
    let polled = mailbox(&body["mailbox"]).unwrap_or_else(Mailbox::inbox);
    mailbox(&body["after_fetch"]["mailbox"]).is_some_and(|target| target.is_same(&polled))
}

#[test]
fn a_change_is_told_by_the_names_of_its_fields() {
    let plain = json!({"name": "a", "listen": false, "auth": {"type": "plain", "login": "a"}});
    let mut other = plain.clone();
    other["imap_host"] = json!("imap.example.com");
    other["auth"]["login"] = json!("b");
    other["after_fetch"] = json!({"action": "move", "mailbox": "Done"});
    let (before, after) = (taken(&plain).unwrap(), taken(&other).unwrap());
    let names = [
        "after_fetch.action",
        "after_fetch.mailbox",
        "auth.login",
        "imap_host",
        "imap_port",
        "imap_security",
    ];
    assert_eq!(differing(Some(&before), &after), names);
    assert_eq!(differing(Some(&after), &after), Vec::<String>::new());
    assert!(differing(None, &before).contains(&"auth.login".to_owned()));
}

#[test]
fn a_message_is_not_moved_to_where_it_is() {
    let moves = |mailbox: Option<&str>, target| {
        let mut body = json!({
            "name": "a", "listen": false, "auth": {"type": "plain", "login": "a"},
            "after_fetch": {"action": "move", "mailbox": target},
        });
        if let Some(mailbox) = mailbox {
            body["mailbox"] = json!(mailbox);
        }
        taken(&body).err()
    };
    let refused = Problems::one("after_fetch.mailbox", "must be another mailbox than the one that is polled");
    for (mailbox, target) in [(None, "inbox"), (Some("Inbox"), "INBOX/"), (Some("Orders"), "Orders")] {
        assert_eq!(moves(mailbox, target), Some(refused.clone()), "{mailbox:?} {target}");
    }
    for (mailbox, target) in [(None, "Done"), (Some("Orders"), "INBOX"), (Some("Orders"), "orders")] {
        assert_eq!(moves(mailbox, target), None, "{mailbox:?} {target}");
    }
}

#[test]
fn a_port_that_was_accepted_once_is_no_obstacle_to_other_changes() {
    let body = json!({
        "name": "a", "listen": false, "smtp_host": "smtp.example.com", "smtp_port": 2525, "smtp_security": "starttls",
        "auth": {"type": "plain", "login": "a"},
    });
    let mut stored = taken(&body).unwrap();
    stored.settings.smtp.as_mut().unwrap().port = 25.try_into().unwrap();
    let change = |patch: Value| {
        described(&stored, patched(&stored, patch), stored.created_at)
            .map(|described| described.profile.settings)
    };
    let renamed = change(json!({"name": "b"})).unwrap();
    assert_eq!((renamed.name.as_str(), &renamed.smtp), ("b", &stored.settings.smtp));
    let moved = change(json!({"smtp_port": 587})).unwrap();
    assert_eq!(moved.smtp.unwrap().port.get(), 587);
    let refused = change(json!({"smtp_host": "mail.example.com"})).unwrap_err();
    assert!(refused.0.iter().all(|problem| problem.field == "smtp_port"), "{refused:?}");
}

#[test]
fn the_samples_of_the_document_are_taken() {
    let schema = validator("Profile");
    let body = json!({"name": "a", "listen": false, "auth": {"type": "plain", "login": "a"}});
    assert!(schema.is_valid(&body) && taken(&body).is_ok());
    assert!(!validator("NewProfile").is_valid(&body));
}

#[test]
fn every_body_of_the_document_takes_no_other_members() {
    let document = document();
    let mut bodies = 0;
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        for media in content.values() {
            let name = media["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], json!(false), "{name}");
            bodies += 1;
        }
    }
    assert!(bodies >= 11, "{bodies}");
}

#[test]
fn a_wrong_kind_is_told_by_its_own_field() {
    for (body, field, message) in [
        (json!({"name": "a", "auth": {"type": "basic"}}), "auth.type", "must be plain or oauth2"),
        (json!({"name": "a", "auth": {"type": 7}}), "auth.type", "must be a string"),
        (json!({"name": "a", "auth": {}}), "auth.type", "is required"),
    ] {
        let problems = taken(&body).unwrap_err();
        assert_eq!(problems, Problems::one(field, message));
    }
    let burn =
        json!({"after_fetch": {"action": "burn"}, "name": "a", "auth": {"type": "plain", "login": "a"}});
    assert_eq!(
        taken(&burn).unwrap_err(),
        Problems::one("after_fetch.action", "must be keep, mark_seen or move")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_document_and_the_code_agree(body in body()) {
        prop_assume!(!moves_in_place(&body));
        thread_local!(static PROFILE: jsonschema::Validator = validator("Profile"));
        let documented = PROFILE.with(|schema| schema.is_valid(&body));
        let result = taken(&body);
        prop_assert_eq!(documented, result.is_ok(), "{} {:?}", body, result);
    }

    #[test]
    fn what_is_shown_can_be_sent_again(body in body()) {
        if let Ok(mut profile) = taken(&body) {
            let shown = settings(&profile);
            // Whether there is a secret is not told by what is sent again.
            if let Auth::Oauth2(client) = &mut profile.settings.auth {
                client.confidential = false;
            }
            prop_assert_eq!(taken(&shown), Ok(profile));
        }
    }
}
