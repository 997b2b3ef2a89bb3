//! Who does not get in.

use mailroom_local::deploy::ApiAuth;
use mailroom_tests::world::World;
use serde_json::json;

use super::made;

#[test]
fn where_callers_are_told_apart_there_is_no_console() {
    let auth = ApiAuth::Jwt {
        issuer: "https://login.example.com".to_owned(),
        audience: "mailroom".to_owned(),
        scopes: String::new(),
    };
    let world = World::deployed_with(auth);
    for path in ["/console", "/console/profiles/new"] {
        let answer = world.api().get(path).expect(404);
        assert_eq!(answer.body["detail"], "This path does not exist; see /openapi.json.", "{path}");
    }
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let world = World::new();
    let id = made(&world, &json!({}));
    let api = world.api();
    let first = api.get("/console").expect(200);
    for (header, words) in [
        ("content-security-policy", "default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert!(first.headers[header].contains(words), "{header}: {}", first.headers[header]);
    }
    let cookie = first.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let token = cookie.split('=').nth(1).unwrap();
    let post = |headers: &[(&str, &str)], body: &str| {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        api.call("POST", &format!("/console/profiles/{id}/listen"), &all, Some(body.as_bytes())).status
    };
    let listens = || api.get(&format!("/profiles/{id}")).expect(200).body["listen"].clone();
    let body = format!("listen=false&token={token}");
    let same = ("sec-fetch-site", "same-origin");
    assert_eq!(post(&[("cookie", &cookie), ("sec-fetch-site", "cross-site")], &body), 403);
    assert_eq!(post(&[("cookie", &cookie), same], "listen=false"), 403);
    assert_eq!(post(&[same], &body), 403);
    assert_eq!(listens(), true);
    assert_eq!(post(&[("cookie", &cookie), same], &body), 303);
    assert_eq!(listens(), false);

    // Files are kept for a year, by a name that changes with them.
    let style = first.text.split("href=\"").find(|part| part.starts_with("console/static/")).unwrap();
    let style = style.split('"').next().unwrap();
    let file = api.get(&format!("/{style}")).expect(200);
    assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable");
    let _ = api.get("/console/static/console.0000000000000000.css").expect(404);
    let _ = api.get("/console/nowhere").expect(404);
}
