//! A person signs in, and from then on the mailbox is used with tokens. Every way it can go wrong has its own sentence.

use mailroom_core::health::ProfileState;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

#[test]
fn messages_come_in_and_go_out_with_the_tokens_of_a_sign_in() {
    let world = World::for_browsers();
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        let profile = world.make(&world.token_settings(mechanism, &world.sign_in_client(), &json!({})));
        world.poll();
        let before = world.status(profile);
        assert_eq!(before.state, ProfileState::ReauthorizationRequired, "{before:?}");
        assert!(before.error.unwrap().message.contains("Nobody has signed in"));

        let page = world.sign_in(profile, world.login());
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("Signed in"), "{}", page.text);
        let shown = world.api().get(&format!("/profiles/{profile}")).expect(200).body;
        let status = &shown["status"];
        assert_eq!((&status["authorized"], &status["state"]), (&json!(true), &json!("pending")), "{shown}");

        world.deliver_to(mechanism, &message("By token"));
        // The sign-in has asked for a poll; without one there was nothing to try.
        assert!(world.run_poll_queue(std::time::Duration::from_secs(30)) >= 1);
        assert_eq!(world.subjects(), ["By token"], "{:?} {}", world.status(profile), world.lambda().log());
        assert_eq!(world.status(profile).state, ProfileState::Ok);

        let out = json!({"to": [{"address": world.login()}], "subject": "Out", "text": "."});
        let id = world.submit(profile, &out);
        world.send_all();
        let sent = world.message(profile, &id);
        assert_eq!((&sent["status"], &sent["sent_copy"]), (&json!("sent"), &json!("filed")), "{sent}");
        let report = test(&world, profile);
        assert_eq!((&report["imap"]["ok"], &report["smtp"]["ok"]), (&json!(true), &json!(true)), "{report}");
        let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
    }
}

fn test(world: &World, profile: mailroom_core::profile::ProfileId) -> Value {
    world.api().call("POST", &format!("/profiles/{profile}/test"), &[], None).expect(200).body
}

#[test]
fn a_public_client_signs_in_without_a_secret() {
    let world = World::for_browsers();
    let mut metadata = mailroom_local::openid::client(&world.redirect_uri());
    metadata["token_endpoint_auth_method"] = json!("none");
    let client = world.open_id().register(&metadata);
    assert_eq!(client.secret, "");
    let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &client, &json!({})));
    let page = world.sign_in(profile, world.login());
    assert_eq!(page.status, 200, "{}", page.text);
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    let shown = world.api().get(&format!("/profiles/{profile}")).expect(200).body;
    assert_eq!(shown["auth"]["client_secret_set"], json!(false));
}

#[test]
fn the_way_back_is_taken_once_in_time_and_by_the_browser_that_set_out() {
    let world = World::for_browsers();
    let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &world.sign_in_client(), &json!({})));
    let mut agent = world.agent();
    let url = world.begin_sign_in(profile);
    let back = world.consent(&mut agent, &url, world.login());

    // Somebody else who has seen the way back.
    let stranger = world.agent().open(&back, None);
    assert_eq!(stranger.status, 400);
    assert!(stranger.text.contains("was started in another browser"), "{}", stranger.text);
    // The way back of another sign-in, in this browser.
    let mut other = world.agent();
    let theirs = world.consent(&mut other, &world.begin_sign_in(profile), world.login());
    assert!(agent.open(&theirs, None).text.contains("was started in another browser"));
    // A state that was made up, and none at all.
    let forged = format!("{}?state={}&code=abc", world.redirect_uri(), "x".repeat(43));
    assert!(agent.open(&forged, None).text.contains("was started in another browser"));
    assert!(agent.open(&world.redirect_uri(), None).text.contains("not the address of a sign-in"));
    assert!(agent.open(&format!("{url}x"), None).text.contains("not the address of a sign-in"));

    // None of it has harmed the sign-in. It ends it, once.
    let done = agent.open(&back, None);
    assert_eq!(done.status, 200, "{}", done.text);
    let again = agent.open(&back, None);
    assert_eq!(again.status, 400);
    assert!(again.text.contains("was already used"), "{}", again.text);

    world.expire_sign_ins();
    let late = other.open(&theirs, None);
    assert!(late.status == 400 && late.text.contains("has expired"), "{}", late.text);
    let url = world.begin_sign_in(profile);
    world.expire_sign_ins();
    assert!(world.agent().open(&url, None).text.contains("has expired"));
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
}

#[test]
fn a_profile_that_was_changed_meanwhile_is_not_signed_in_for() {
    let world = World::for_browsers();
    let client = world.sign_in_client();
    let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &client, &json!({})));
    let mut agent = world.agent();
    let back = world.consent(&mut agent, &world.begin_sign_in(profile), world.login());
    let login = json!({"auth": {"login": "else@example.com"}});
    let _ = world.api().patch(&format!("/profiles/{profile}"), &login).expect(200);
    let page = agent.open(&back, None);
    assert!(page.status == 400 && page.text.contains("was changed or deleted"), "{}", page.text);

    let login = json!({"auth": {"login": world.login()}});
    let _ = world.api().patch(&format!("/profiles/{profile}"), &login).expect(200);
    let back = world.consent(&mut agent, &world.begin_sign_in(profile), world.login());
    let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
    assert!(agent.open(&back, None).text.contains("was changed or deleted"));
}

#[test]
fn whoever_refuses_or_signs_in_as_somebody_else_is_told_so() {
    let world = World::for_browsers();
    let client = world.sign_in_client();
    let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &client, &json!({})));
    let mut agent = world.agent();
    let back = world.redirect_uri();
    let page = agent.open(&world.begin_sign_in(profile), Some(&back));
    let denied = agent.open(&format!("{}/abort", page.url), None);
    assert!(denied.status == 400 && denied.text.contains("Access was not granted"), "{}", denied.text);

    let page = world.sign_in(profile, "somebody.else@example.com");
    let said = "You have signed in as somebody.else@example.com, which is not the mailbox of this profile.";
    assert!(page.status == 400 && page.text.contains(said), "{}", page.text);

    let scopes = json!({"auth": {"scopes": ["openid", "email", "mail"]}});
    let _ = world.api().patch(&format!("/profiles/{profile}"), &scopes).expect(200);
    let page = world.sign_in(profile, world.login());
    assert!(page.text.contains("it gave no refresh token") && page.text.contains("offline_access"));

    let wrong = json!({"auth": {"client_secret": "not-the-secret-of-this-client", "scopes": ["openid", "offline_access", "mail"]}});
    let _ = world.api().patch(&format!("/profiles/{profile}"), &wrong).expect(200);
    let page = world.sign_in(profile, world.login());
    assert!(page.status == 400 && page.text.contains("invalid_client"), "{}", page.text);
    assert!(
        !world.api().get(&format!("/profiles/{profile}")).body["status"]["authorized"].as_bool().unwrap()
    );
}

#[test]
fn signing_out_gives_the_token_back_and_forgets_it() {
    let world = World::for_browsers();
    let profile = world.signed_in(Mechanism::Xoauth2);
    let path = format!("/profiles/{profile}/authorization");
    let secret = world.client_credential(profile);
    assert!(secret.refresh_token.is_some() && secret.secret.is_some());
    let out = world.api().delete(&path).expect(200);
    assert_eq!(out.body, json!({"revoked": true}));
    let secret = world.client_credential(profile);
    assert!(secret.refresh_token.is_none() && secret.secret.is_some());
    let _ = world.api().delete(&path).expect(409);
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::ReauthorizationRequired);
    // And the way back.
    assert_eq!(world.sign_in(profile, world.login()).status, 200);
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
}

#[test]
fn only_a_profile_that_somebody_signs_in_for_can_be_signed_in_for() {
    let world = World::for_browsers();
    let refused = |settings: &Value, words: &str| {
        let profile = world.make(settings);
        let answer =
            world.api().call("POST", &format!("/profiles/{profile}/authorize"), &[], None).expect(409);
        assert!(answer.text.contains(words), "{}", answer.text);
    };
    let client = world.sign_in_client();
    let settings = |auth: &Value| world.token_settings(Mechanism::Xoauth2, &client, auth);
    refused(&settings(&json!({"grant": "client_credentials"})), "auth.grant");
    refused(&settings(&json!({"scopes": []})), "auth.scopes");
    refused(&settings(&json!({"discovery_url": "https://127.0.0.1:1/"})), "cannot connect to");
    let plain = world.profile(|_| {});
    let answer = world.api().call("POST", &format!("/profiles/{plain}/authorize"), &[], None).expect(409);
    assert!(answer.text.contains("auth.type"), "{}", answer.text);
}

#[test]
fn an_edit_keeps_a_sign_in_unless_it_was_for_somebody_else() {
    let world = World::for_browsers();
    let client = world.sign_in_client();
    let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &client, &json!({})));
    assert_eq!(world.sign_in(profile, world.login()).status, 200);
    let path = format!("/profiles/{profile}");
    let authorized = |change: &Value| {
        let shown = world.api().patch(&path, change).expect(200).body;
        shown["status"]["authorized"].as_bool().unwrap()
    };
    assert!(authorized(&json!({"name": "Renamed"})));
    assert!(authorized(&json!({"auth": {"client_secret": client.secret}})));
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    assert!(!authorized(&json!({"auth": {"login": "else@example.com"}})));
    let secret = world.client_credential(profile);
    assert!(secret.refresh_token.is_none() && secret.secret.is_some());
}

#[test]
fn what_will_break_is_told_ahead() {
    let world = World::for_browsers();
    let tomorrow = (time::OffsetDateTime::now_utc() + time::Duration::DAY).date().to_string();
    let client = world.sign_in_client();
    let settings =
        world.token_settings(Mechanism::Xoauth2, &client, &json!({"client_secret_expires_on": tomorrow}));
    let profile = world.make(&settings);
    let shown = world.api().get(&format!("/profiles/{profile}")).expect(200).body;
    assert_eq!(shown["auth"]["client_secret_expires_on"], json!(tomorrow));
    let warning = &shown["status"]["warnings"][0];
    assert_eq!((&warning["code"], &warning["due_on"]), (&json!("client_secret_expires"), &json!(tomorrow)));
    let later = json!({"auth": {"client_secret_expires_on": null}});
    let shown = world.api().patch(&format!("/profiles/{profile}"), &later).expect(200).body;
    assert_eq!(shown["status"]["warnings"], json!([]));
}
