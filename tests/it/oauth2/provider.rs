//! Providers that are down, slow, or no providers: scripted, because no real one can be made to do it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::ErrorCode;
use mailroom_tests::http::{Reply, serve};
use mailroom_tests::openid::{Client, Mechanism};
use mailroom_tests::secret_scan::CANARY;
use mailroom_tests::world::World;
use serde_json::json;
use tokio::net::TcpListener;

/// What a scripted provider does with a request.
#[derive(Debug, Clone)]
enum Scripted {
    /// Responds with this status, content type and body.
    Respond(u16, &'static str, String),
    /// Redirects to this address.
    Redirect(&'static str),
    /// Takes the request and never responds.
    Silence,
    /// Closes the connection without a response.
    HangUp,
}

fn reply(answer: &Scripted) -> Response<Full<Bytes>> {
    let (status, kind, body, location) = match answer {
        Scripted::Respond(status, kind, body) => (*status, *kind, body.clone(), None),
        Scripted::Redirect(to) => (302, "text/plain", String::new(), Some(*to)),
        Scripted::Silence | Scripted::HangUp => (500, "text/plain", String::new(), None),
    };
    let mut response = Response::builder().status(status).header("content-type", kind);
    if let Some(to) = location {
        response = response.header("location", to);
    }
    response.body(Full::from(body)).unwrap()
}

/// A provider that answers for its document, and for tokens; its address.
fn provider(world: &World, document: Option<Scripted>, token: Scripted) -> String {
    let listener = world.handle().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let good = json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token")}).to_string();
    let document = document.unwrap_or(Scripted::Respond(200, "application/json", good));
    drop(world.handle().spawn(serve(listener, move |request: Request<Bytes>| {
        let answer = if request.uri().path() == "/token" { token.clone() } else { document.clone() };
        async move {
            match answer {
                Scripted::Silence => std::future::pending().await,
                Scripted::HangUp => Reply::HangUp,
                Scripted::Respond(..) | Scripted::Redirect(_) => Reply::Answer(reply(&answer)),
            }
        }
    })));
    issuer
}

fn say(status: u16, kind: &'static str, body: impl Into<String>) -> Scripted {
    Scripted::Respond(status, kind, body.into())
}

/// What a profile with this provider is told of it by a connection test.
#[track_caller]
fn told(world: &World, discovery_url: &str) -> (String, String) {
    let client = Client { id: "client".to_owned(), secret: CANARY.to_owned() };
    let auth = json!({"grant": "client_credentials", "discovery_url": discovery_url, "scopes": ["mail"]});
    let settings = world.token_settings(Mechanism::Xoauth2, &client, &auth);
    let begun = Instant::now();
    let report = world.api().post("/profiles/test", &settings).expect(200).body;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let error =
        |name: &str| report["imap"]["error"][name].as_str().unwrap_or_else(|| panic!("{report}")).to_owned();
    assert_eq!(report["imap"]["error"], report["smtp"]["error"]);
    (error("code"), error("message"))
}

#[test]
fn a_provider_without_a_usable_document_is_told_by_what_is_wrong_with_it() {
    let world = World::for_browsers();
    let html = "<html><body>Sign in</body></html>";
    let other = json!({"issuer": "https://id.example.com", "token_endpoint": "https://id.example.com/t"});
    let cases = [
        (say(200, "text/html", html), "is a page for people"),
        (say(200, "application/json", "{\"issuer\": "), "is not a discovery document"),
        (say(200, "application/json", "{}"), "missing field `issuer`"),
        (say(200, "application/json", format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20))), "is too large"),
        (say(404, "text/html", html), "status 404"),
        (say(500, "text/plain", "oh"), "status 500"),
        (Scripted::Redirect("https://id.example.com/"), "redirects to https://id.example.com/"),
        (say(200, "application/json", other.to_string()), "is of another issuer, https://id.example.com"),
        (Scripted::HangUp, "broke the connection"),
        (Scripted::Silence, "did not answer in time"),
    ];
    for (document, words) in cases {
        let issuer = provider(&world, Some(document.clone()), Scripted::HangUp);
        let (code, message) = told(&world, &issuer);
        assert!(code == "oauth2_discovery" && message.contains(words), "{document:?}: {code} {message}");
    }
    let (code, message) = told(&world, "http://127.0.0.1:1/");
    assert!(code == "oauth2_discovery" && message.contains("cannot connect to"), "{message}");
}

#[test]
fn a_token_endpoint_that_fails_is_told_in_its_own_words_and_without_ours() {
    let world = World::for_browsers();
    let error = |code: &str, words: &str| json!({"error": code, "error_description": words}).to_string();
    let json = "application/json";
    let cases = [
        (say(200, "text/html", "<html>"), "oauth2_discovery", "is a page for people"),
        (say(200, json, "[]"), "oauth2_discovery", "is not JSON"),
        (say(200, json, "{\"token_type\": \"bearer\"}"), "oauth2_discovery", "is not as RFC 6749 has it"),
        (
            say(200, json, format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20))),
            "oauth2_discovery",
            "is too large",
        ),
        (say(503, "text/html", "<html>"), "oauth2_discovery", "status 503"),
        (Scripted::Redirect("https://id.example.com/"), "oauth2_discovery", "redirects to another address"),
        (Scripted::HangUp, "oauth2_discovery", "broke the connection"),
        (Scripted::Silence, "oauth2_discovery", "did not answer in time"),
        (say(400, json, error("temporarily_unavailable", "later")), "oauth2_discovery", "later"),
        (say(400, json, error("invalid_scope", "no such scope")), "oauth2_client", "no such scope"),
        (say(401, json, error("invalid_client", &format!("{CANARY} is wrong"))), "oauth2_client", "is wrong"),
    ];
    for (token, expected, words) in cases {
        let issuer = provider(&world, None, token.clone());
        let (code, message) = told(&world, &issuer);
        assert!(code == expected && message.contains(words), "{token:?}: {code} {message}");
    }
}

#[test]
fn an_address_that_leads_into_a_private_network_or_the_clear_is_not_asked() {
    let world = World::for_browsers();
    let client = Client { id: "client".to_owned(), secret: CANARY.to_owned() };
    for (url, words) in
        [("https://10.0.0.1/", "private network"), ("http://id.example.com/", "must begin with https://")]
    {
        let settings = world.token_settings(Mechanism::Xoauth2, &client, &json!({"discovery_url": url}));
        let refused = world.api().post("/profiles", &settings).expect(422);
        assert_eq!(refused.fields(), ["auth.discovery_url"]);
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    // A document may not lead there either.
    let listener = world.handle().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({"issuer": issuer, "token_endpoint": "https://169.254.169.254/latest"}).to_string();
    drop(world.handle().spawn(serve(listener, move |_: Request<Bytes>| {
        let answer = reply(&say(200, "application/json", document.clone()));
        async move { Reply::Answer(answer) }
    })));
    let (code, message) = told(&world, &issuer);
    assert!(code == "host_not_allowed" && message.contains("169.254.169.254"), "{code} {message}");
}

#[test]
fn a_provider_that_is_down_is_waited_for_and_asks_nobody_to_act() {
    let world = World::for_browsers();
    let client = Client { id: "client".to_owned(), secret: CANARY.to_owned() };
    let down = [
        provider(&world, Some(Scripted::HangUp), Scripted::HangUp),
        provider(&world, None, say(503, "text/plain", "oh")),
    ];
    for issuer in down {
        let auth = json!({"grant": "client_credentials", "discovery_url": issuer, "scopes": ["mail"]});
        let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &client, &auth));
        world.poll();
        let status = world.status(profile);
        assert_eq!(status.state, ProfileState::Failing, "{status:?}");
        let error = status.error.unwrap();
        assert_eq!(error.code, ErrorCode::Oauth2Discovery);
        assert!(error.message.contains("Mailroom tries again by itself."), "{error:?}");
        let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
    }
}
