//! Who is let in.

use std::time::Duration;

use mailroom_local::deploy::ApiAuth;
use mailroom_tests::api::event;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::settings;

fn with_tokens(scopes: &str) -> World {
    World::deployed_with(ApiAuth::Jwt {
        issuer: "https://login.example.com".to_owned(),
        audience: "mailroom".to_owned(),
        scopes: scopes.to_owned(),
    })
}

#[test]
fn without_a_token_only_what_is_public_is_served() {
    let world = with_tokens("");
    let api = world.api();
    for path in ["/health", "/openapi.json", "/schemas/flow-job.v1.json"] {
        let _ = api.get(path).expect(200);
    }
    // What this client sends as its authorization is no token.
    for (method, path) in [
        ("GET", "/profiles"),
        ("POST", "/profiles"),
        ("GET", "/profiles/01JDCABCDEFGHJKMNPQRSTVWXY"),
        ("DELETE", "/flow-schemas/add-to-queue"),
        ("POST", "/profiles/test"),
    ] {
        let _ = api.call(method, path, &[], None).expect(401);
    }
}

#[test]
fn a_token_does_what_its_scopes_say_and_a_change_is_in_the_log() {
    let world = with_tokens("mailroom/read,mailroom/write,mailroom/send");
    let ask = |scope: &str, method: &str, path: &str, body: Option<&Value>| {
        let mut event = event(method, path, body);
        let claims = json!({"sub": "person-4711", "scope": scope});
        event["requestContext"]["authorizer"] = json!({"jwt": {"claims": claims, "scopes": null}});
        match world.api_function().invoke(event, Duration::from_secs(20)) {
            Outcome::Answered(answer) => {
                let body = serde_json::from_str::<Value>(answer["body"].as_str().unwrap_or("null")).unwrap();
                (answer["statusCode"].as_u64().unwrap(), body)
            }
            other => panic!("{other:?}"),
        }
    };
    let settings = settings(&world);
    let (status, refused) = ask("openid mailroom/read", "POST", "/profiles", Some(&settings));
    assert_eq!((status, &refused["detail"]), (403, &json!("The token needs the scope mailroom/write.")));
    let (status, made) = ask("mailroom/write", "POST", "/profiles", Some(&settings));
    assert_eq!(status, 201, "{made}");
    let path = format!("/profiles/{}", made["id"].as_str().unwrap());
    let message = json!({"to": [{"address": "ann@example.org"}], "subject": "Hello", "text": "."});
    let messages = format!("{path}/messages");
    for (scope, method, path, body, expected) in [
        ("", "GET", path.as_str(), None, 403),
        ("mailroom/send", "GET", &path, None, 403),
        ("mailroom/read", "GET", &path, None, 200),
        ("mailroom/read", "DELETE", &path, None, 403),
        ("mailroom/write", "POST", &messages, Some(&message), 403),
        // It has no SMTP server; the right to send is not what it lacks.
        ("mailroom/send", "POST", &messages, Some(&message), 409),
        ("", "GET", "/health", None, 200),
    ] {
        let (status, answer) = ask(scope, method, path, body);
        assert_eq!(status, expected, "{scope} {method} {path} {answer}");
    }
    let change = json!({"name": "Words of its own", "auth": {"password": world.password()}});
    assert_eq!(ask("mailroom/write", "PATCH", &path, Some(&change)).0, 200);
    let log = world.api_function().log();
    let line = log.lines().find(|line| line.contains("PatchProfile")).unwrap_or_else(|| panic!("{log}"));
    for words in ["person-4711", made["id"].as_str().unwrap(), "name,auth.password"] {
        assert!(line.contains(words), "{line}");
    }
    assert!(!line.contains("Words of its own"), "{line}");
}
