//! People sign in to the console at an OpenID provider, and may do what the provider says of them.

use mailroom_tests::api::Reply;
use mailroom_tests::browser::Browser;
use mailroom_tests::secret_scan;
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::{assert_secret, fill_in, page};

/// The cookie of a session.
pub(super) const SESSION: &str = "__Host-mailroom-session";

/// Goes to the provider from a page of ours, and through its pages.
pub(super) fn sign_in(world: &World, browser: &Browser, person: &str) {
    browser.click("main a.primary");
    browser.wait_for("Sign-in");
    assert!(browser.url().starts_with(&world.open_id().provider().issuer()), "{}", browser.url());
    fill_in_sign_in(browser, person);
}

/// Goes through the provider's pages.
pub(super) fn fill_in_sign_in(browser: &Browser, person: &str) {
    browser.wait_for("Sign-in");
    browser.fill("input[name=login]", person);
    browser.fill("input[name=password]", "any");
    browser.click("button[type=submit]");
    browser.wait_for("Continue");
    browser.click("button[type=submit]");
}

/// A profile of the world's mailbox, made by a program.
pub(super) fn made(world: &World, name: &str) -> String {
    let settings = json!({
        "name": name, "imap_host": "127.0.0.1", "imap_port": world.servers().dovecot().ports().imaps,
        "flow_schema_id": "add-to-queue", "auth": {"type": "plain", "login": world.login(), "password": world.password()},
    });
    let (status, made) = world.ask_with_token("POST", "/profiles", Some(&settings));
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

fn stored(world: &World, id: &str) -> Value {
    world.ask_with_token("GET", &format!("/profiles/{id}"), None).1
}

/// No page of ours has asked for anything elsewhere, and no policy was broken.
#[track_caller]
fn assert_quiet(world: &World, browser: &Browser) {
    secret_scan::watch(world.open_id().issued());
    let ours = world.public_url();
    assert_eq!(browser.complaints(&ours), [""; 0]);
    let requests = browser.requests_of(&ours);
    assert!(!requests.is_empty());
    for url in requests {
        assert!(url.starts_with(&ours) || url.starts_with("data:"), "{url}");
    }
}

#[test]
fn a_person_signs_in_at_the_provider_works_and_signs_out() {
    let world = World::with_people();
    let person = "ann@example.com";
    world.give_roles(person, &["mailroom/read", "mailroom/write"]);
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, "/profiles/new"));
    browser.wait_for("These pages are for people whom");
    sign_in(&world, &browser, person);
    // Where the person wanted to go.
    browser.wait_for("Add a mailbox");
    assert!(browser.url().ends_with("/console/profiles/new"), "{}", browser.url());
    assert!(browser.text().contains(person), "{}", browser.text());
    fill_in(&world, &browser, "Support");
    browser.click("button[value=test]");
    browser.wait_for("Logged in.");
    browser.click("button[value=save]");
    browser.wait_for("Saved. The next poll uses the settings");
    let id = browser.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    assert_eq!(stored(&world, &id)["name"], "Support");

    let session = browser.cookie(SESSION).unwrap();
    browser.click(".account button");
    browser.wait_for("You are signed out of Mailroom.");
    assert_eq!(browser.cookie(SESSION), None);
    // Nor is a copy of the cookie a session any more.
    browser.set_cookie(SESSION, &session);
    browser.open(&page(&world, ""));
    browser.wait_for("These pages are for people whom");
    assert_quiet(&world, &browser);
}

#[test]
fn who_may_only_look_sees_no_button_and_changes_nothing_by_hand() {
    let world = World::with_people();
    let id = made(&world, "Support");
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, ""));
    sign_in(&world, &browser, "nobody@example.com");
    browser.wait_for("nobody@example.com, who may not use this Mailroom");
    assert_eq!(browser.cookie(SESSION), None);

    // Another account, in the same browser.
    world.give_roles("reader@example.com", &["mailroom/read"]);
    browser.click("main a[href*=account]");
    fill_in_sign_in(&browser, "reader@example.com");
    browser.wait_for("Support");
    for (path, words) in [
        ("", "Not polled yet"),
        (&format!("/profiles/{id}"), "Cursor"),
        (&format!("/profiles/{id}/general"), "and not change them"),
        ("/flow-schemas", "Used by"),
        ("/connect-links", "No link yet"),
        ("/flow-schemas/add-to-queue", "and not change them"),
    ] {
        browser.open(&page(&world, path));
        browser.wait_for(words);
        // All that can be sent is the search, and the way out.
        let sent = browser.script(
            "return [...document.querySelectorAll('form[method=post] button')].map(button => button.textContent)",
        );
        assert_eq!(sent, json!(["Sign out"]), "{path}");
        let open = browser.script("return document.querySelectorAll('main :enabled:is(input, select, textarea):not([type=hidden], .filters *)').length");
        assert_eq!(open, 0, "{path}");
    }
    for path in ["/profiles/new", &format!("/profiles/{id}/delete"), "/new-flow-schema"] {
        browser.open(&page(&world, path));
        browser.wait_for("who may not change mailboxes and flow schemas here");
    }

    // By hand, with all that a form of a page has.
    let before = stored(&world, &id);
    for (path, what) in [
        ("profiles/new", "change mailboxes"),
        (&format!("profiles/{id}/general"), "change mailboxes"),
        (&format!("profiles/{id}/delete"), "change mailboxes"),
        (&format!("profiles/{id}/fetch"), "change mailboxes"),
        (&format!("profiles/{id}/listen"), "change mailboxes"),
        (&format!("profiles/{id}/authorize"), "change mailboxes"),
        (&format!("profiles/{id}/sign-out"), "change mailboxes"),
        (&format!("profiles/{id}/messages/1/resend"), "send messages"),
        (&format!("profiles/{id}/messages/1/cancel"), "send messages"),
        (&format!("profiles/{id}/held-back"), "change mailboxes"),
        (&format!("profiles/{id}/quarantine/1/retry"), "change mailboxes"),
        (&format!("profiles/{id}/connect-link"), "change mailboxes"),
        ("connect-links", "change mailboxes"),
        ("connect-links/1/withdraw", "change mailboxes"),
        ("new-flow-schema", "change mailboxes"),
        ("flow-schemas/add-to-queue", "change mailboxes"),
        ("flow-schemas/add-to-queue/delete", "change mailboxes"),
    ] {
        let answer = browser.script_with_callback(&format!(
            "const done = arguments[arguments.length - 1];
             const token = document.querySelector('[name=token]').value;
             fetch('/console/{path}', {{method: 'POST', body: new URLSearchParams({{token, name: 'Mine', listen: 'false'}})}})
                .then(async (answer) => done([answer.status, await answer.text()]))"
        ));
        assert_eq!(answer[0], 403, "{path}: {answer}");
        assert!(answer[1].as_str().unwrap().contains(&format!("may not {what}")), "{path}: {answer}");
    }
    assert_eq!(stored(&world, &id), before);
    assert_quiet(&world, &browser);
}

#[test]
fn what_was_typed_outlives_its_session() {
    let world = World::with_people();
    let person = "bob@example.com";
    world.give_roles(person, &["mailroom/read", "mailroom/write"]);
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, "/profiles/new"));
    sign_in(&world, &browser, person);
    browser.wait_for("Add a mailbox");
    fill_in(&world, &browser, "A long story");
    // After eight hours the browser has no session any more.
    browser.forget_cookie(SESSION);
    browser.click("button[value=save]");
    browser.wait_for("Your session has ended");
    assert_secret(&browser);
    browser.click("main li a");
    browser.switch_tab();
    browser.wait_for("You are signed in again");
    browser.close_tab();
    browser.click("button.primary");
    browser.wait_for("Your session had ended.");
    assert!(browser.text().contains("Type passwords and secrets again"), "{}", browser.text());
    assert_secret(&browser);
    let value = browser.script("return document.querySelector('[name=name]').value");
    assert_eq!(value, "A long story");
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=save]");
    browser.wait_for("Saved untested");
    let id = browser.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    assert_eq!(stored(&world, &id)["name"], "A long story");

    // A form without secrets does what it was sent for.
    browser.open(&page(&world, &format!("/profiles/{id}/general")));
    browser.fill("[name=description]", "Once more");
    browser.forget_cookie(SESSION);
    browser.click("button[value=save]");
    browser.wait_for("Your session has ended");
    browser.click("main li a");
    browser.switch_tab();
    browser.wait_for("You are signed in again");
    browser.close_tab();
    browser.click("button.primary");
    browser.wait_for("Saved untested");
    assert_eq!(stored(&world, &id)["description"], "Once more");
    assert_quiet(&world, &browser);
}

/// The cookie of this name that an answer sets.
#[track_caller]
fn cookie_of(answer: &Reply, name: &str) -> String {
    let cookie = answer.cookies.iter().find(|cookie| cookie.starts_with(name));
    cookie.unwrap_or_else(|| panic!("no {name} among {:?}", answer.cookies)).clone()
}

/// Begins a sign-in. Returns where the provider is asked, and the cookie that the way back needs.
fn begin(world: &World) -> (String, String) {
    let begun = world.api().get("/console/sign-in/start?to=flow-schemas").expect(302);
    (begun.headers["location"].clone(), cookie_of(&begun, "__Host-mailroom-sign-in-"))
}

/// The path of the way back, of a person who has signed in at the provider.
fn way_back(world: &World, url: &str, person: &str) -> String {
    let back = format!("{}/console/sign-in/callback", world.public_url());
    let way = world.consent_until(&mut world.agent(), url, person, &back);
    way.strip_prefix(&world.public_url()).unwrap().to_owned()
}

#[test]
fn no_way_back_but_ones_own_lets_in_and_once() {
    let world = World::with_people();
    world.give_roles("eve@example.com", &["mailroom/read"]);
    let open = |path: &str, cookie: &str| world.api().call("GET", path, &[("cookie", cookie)], None);
    let (url, ticket) = begin(&world);
    for part in ["response_type=code", "code_challenge_method=S256", "nonce=", "scope=openid+email+profile"] {
        assert!(url.contains(part), "{part}: {url}");
    }
    let way = way_back(&world, &url, "eve@example.com");

    // Another browser, the ticket of another sign-in, and a state that was made up.
    let other = begin(&world).1;
    let made_up = format!("/console/sign-in/callback?code=abc&state={}", "x".repeat(43));
    for (path, cookie) in [(way.as_str(), ""), (&way, other.as_str()), (&made_up, &ticket)] {
        let refused = open(path, cookie).expect(400).text;
        assert!(refused.contains("was started in another browser"), "{refused}");
    }
    let refused = open("/console/sign-in/callback", &ticket).expect(400).text;
    assert!(refused.contains("not the address of a sign-in"), "{refused}");
    let parameters: Vec<&str> = way.split(['?', '&']).filter(|part| part.starts_with("state=")).collect();
    let of = |rest: &str| format!("/console/sign-in/callback?{}&{rest}", parameters[0]);
    let denied = open(&of("error=access_denied&error_description=No%3Cb%3E"), &ticket).expect(403).text;
    assert!(denied.contains("did not let you in (access_denied: No&lt;b&gt;)"), "{denied}");
    let foreign = open(&of("code=abc&iss=https%3A%2F%2Fevil.example"), &ticket).expect(400).text;
    assert!(foreign.contains("is of another provider"), "{foreign}");

    // None of it has harmed the sign-in. It ends it, once.
    let done = open(&way, &ticket).expect(303);
    assert_eq!(done.headers["location"], "../../console/flow-schemas");
    let session = cookie_of(&done, SESSION);
    assert!(open("/console", &session).expect(200).text.contains("eve@example.com"));
    let again = open(&way, &ticket).expect(400).text;
    assert!(again.contains("The provider did not accept the sign-in (invalid_grant"), "{again}");
    secret_scan::watch(world.open_id().issued());
}

#[test]
fn no_session_but_one_of_ours_is_one_and_no_form_of_another_site_is_taken() {
    let world = World::with_people();
    world.give_roles("mallory@example.com", &["mailroom/read", "mailroom/write"]);
    let signed_in = |world: &World| {
        let (url, ticket) = begin(world);
        let way = way_back(world, &url, "mallory@example.com");
        cookie_of(&world.api().call("GET", &way, &[("cookie", &ticket)], None).expect(303), SESSION)
    };
    let session = signed_in(&world);
    let open = |cookie: &str| world.api().call("GET", "/console", &[("cookie", cookie)], None);
    let first = open(&session).expect(200);
    // Of another deployment with the same provider, and of nobody.
    let stranger = World::with_people();
    let foreign = signed_in(&stranger);
    let (front, end) = session.split_at(session.len() - 5);
    let forged = format!("{front}{}", end.chars().rev().collect::<String>());
    for cookie in [foreign.as_str(), &forged, front, &session.replace('.', ".A"), &format!("{SESSION}=")] {
        let refused = open(cookie).expect(303);
        assert_eq!(refused.headers["location"], "console/sign-in", "{cookie}");
    }

    let id = made(&world, "Support");
    let form = cookie_of(&first, "__Host-mailroom-form");
    let token = form.split('=').nth(1).unwrap();
    let post = |cookie: &str, site: &str, body: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookie),
            ("sec-fetch-site", site),
        ];
        world.api().call("POST", &format!("/console/profiles/{id}/listen"), &headers, Some(body.as_bytes()))
    };
    let (both, body) = (format!("{session}; {form}"), format!("listen=false&token={token}"));
    for (cookie, site, body) in [
        (both.as_str(), "cross-site", body.as_str()),
        (&both, "same-site", &body),
        (&both, "same-origin", "listen=false"),
        (&session, "same-origin", &body),
    ] {
        assert!(post(cookie, site, body).expect(403).text.contains("was not sent from a page"), "{site}");
    }
    // A form of ours without a session is kept, and not done.
    assert!(post(&form, "same-origin", &body).expect(403).text.contains("Your session has ended"));
    assert_eq!(stored(&world, &id)["listen"], true);
    let _ = post(&both, "same-origin", &body).expect(303);
    assert_eq!(stored(&world, &id)["listen"], false);
    secret_scan::watch(world.open_id().issued());
}
