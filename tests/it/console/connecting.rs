//! The owner of a mailbox connects it with nothing but a link.

use std::time::Duration;

use mailroom_core::health::ProfileState;
use mailroom_core::profile::ProfileId;
use mailroom_local::deploy::ApiAuth;
use mailroom_tests::api::event;
use mailroom_tests::axe::Axe;
use mailroom_tests::browser::Browser;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::secret_scan;
use mailroom_tests::world::{World, message};
use serde_json::{Value, json};

use super::{NOBODY, assert_secret, made, page};

/// Nobody knows this domain (RFC 6761 §6.4), so its servers are typed.
const ADDRESS: &str = "ann@example.invalid";

/// Makes a link through the API. Its token may appear nowhere but in its address.
fn link(world: &World, body: &Value) -> String {
    let made = world.api().post("/profiles/connect-links", body).expect(201).body;
    let url = made["url"].as_str().expect("an address").to_owned();
    let (_, token) = url.split_once("?link=").expect("a token");
    secret_scan::watch([token[26..].to_owned()]);
    url
}

/// The links as operators see them.
fn links(world: &World) -> Vec<Value> {
    world.api().get("/profiles/connect-links").expect(200).body["items"].as_array().unwrap().clone()
}

/// Gives the address, for which nothing is found.
fn find(browser: &Browser) {
    browser.fill("#address", ADDRESS);
    browser.click("button[value=find]");
    browser.wait_for("Nobody says which servers this address has.");
}

fn fill_in_servers(browser: &Browser, login: &str, port: u16, kind: &str) {
    browser.fill(&format!("[name='{kind}.login']"), login);
    browser.fill("[name=imap_host]", "127.0.0.1");
    browser.fill("[name=imap_port]", &port.to_string());
}

/// Whether nothing that is stored holds the token of a link or a secret.
fn assert_stored_without(world: &World, secret: &str) {
    let items = json!(world.aws().items(&world.stack().table)).to_string();
    assert!(!secret_scan::holds(&items, secret), "{items}");
}

#[test]
fn an_owner_connects_a_mailbox_once_and_nobody_else_sees_the_password() {
    let world = World::for_browsers();
    let settings = json!({"flow_schema_id": "add-to-queue", "name": "Sales", "refresh_interval": 300, "start_from": "all"});
    let url = link(&world, &json!({"settings": settings, "contact": "Bob, bob@example.org"}));
    assert_stored_without(&world, &url.split_once("?link=").unwrap().1[26..]);
    let (browser, late) = (Browser::start(world.handle()), Browser::without_scripts(world.handle()));
    let axe = Axe::install();
    let looks_fine = |browser: &Browser| {
        assert_eq!(axe.violations(browser), Vec::<String>::new(), "{}", browser.url());
        // Nothing leads into the deployment, and the token is in no address that a page tells another.
        assert!(!browser.source().contains("flow-schemas"), "{}", browser.source());
        assert_eq!(browser.url(), page(&world, "/connect"));
        assert_secret(browser);
    };
    browser.open(&url);
    browser.wait_for("Bob, bob@example.org asks you to connect a mailbox.");
    looks_fine(&browser);
    browser.fill("#address", "no address");
    browser.click("button[value=find]");
    browser.wait_for("Address must");
    find(&browser);
    looks_fine(&browser);

    // Neither a wrong port nor a wrong password uses the link up, or keeps anything.
    fill_in_servers(&browser, world.login(), NOBODY.parse().unwrap(), "plain");
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=connect]");
    browser.wait_for("the server cannot be reached");
    looks_fine(&browser);
    fill_in_servers(&browser, world.login(), world.servers().dovecot().ports().imaps, "plain");
    browser.fill("[name='plain.password']", "not-the-password");
    browser.click("button[value=connect]");
    browser.wait_for("Password or the login is not what the server accepts");
    assert_eq!(world.api().get("/profiles").expect(200).body["items"], json!([]));
    assert_eq!(links(&world)[0]["state"], "open");

    // Another person is as far with the same link; the first one connects.
    late.open(&url);
    find(&late);
    fill_in_servers(&late, world.login(), world.servers().dovecot().ports().imaps, "plain");
    late.fill("[name='plain.password']", world.password());
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=connect]");
    browser.wait_for(&format!("The mailbox {} is connected.", world.login()));
    looks_fine(&browser);
    late.click("button[value=connect]");
    late.wait_for("This link was already used");
    assert!(late.text().contains("ask Bob, bob@example.org"), "{}", late.text());

    let profiles = world.api().get("/profiles").expect(200).body;
    let [profile] = profiles["items"].as_array().unwrap().as_slice() else { panic!("{profiles}") };
    assert_eq!((&profile["name"], &profile["auth"]["login"]), (&json!("Sales"), &json!(world.login())));
    let listed = links(&world);
    assert_eq!((&listed[0]["state"], &listed[0]["profile_id"]), (&json!("used"), &profile["id"]));
    assert_eq!(listed[0]["url"], Value::Null);
    world.deliver(&message("By link"));
    world.poll();
    let id = ProfileId::parse(profile["id"].as_str().unwrap()).unwrap();
    assert_eq!(world.status(id).state, ProfileState::Ok, "{:?}", world.status(id));
    browser.open(&url);
    browser.wait_for("This link was already used");
    looks_fine(&browser);
}

#[test]
fn an_owner_signs_in_at_the_provider_and_comes_back_to_the_link() {
    let world = World::for_browsers();
    let client = world.sign_in_client();
    let provider = world.open_id();
    let auth = json!({
        "type": "oauth2", "client_id": client.id, "client_secret": client.secret,
        "discovery_url": provider.provider().issuer(), "scopes": ["openid", "email", "offline_access", "mail"],
    });
    let settings = json!({"flow_schema_id": "add-to-queue", "auth": auth});
    let url = link(&world, &json!({ "settings": settings }));
    assert_stored_without(&world, &client.secret);
    let browser = Browser::start(world.handle());
    browser.open(&url);
    browser.wait_for("Address of your mailbox");
    find(&browser);
    let port = provider.dovecot(Mechanism::Xoauth2).ports().imaps;
    fill_in_servers(&browser, world.login(), port, "oauth2");
    assert!(!browser.source().contains("type=\"password\""), "{}", browser.source());
    browser.click("button[value=sign-in]");
    browser.wait_for("Go on to the provider");

    // Whoever comes back without a consent goes on where they were, with the same link.
    browser.click("main a.primary");
    browser.wait_for("Sign-in");
    browser.click("a[href$=abort]");
    browser.wait_for("Access was not granted");
    browser.click("main a");
    browser.wait_for(world.login());
    browser.click("button[value=sign-in]");
    browser.wait_for("Go on to the provider");
    browser.click("main a.primary");
    browser.wait_for("Sign-in");
    browser.fill("input[name=login]", world.login());
    browser.fill("input[name=password]", "any");
    browser.click("button[type=submit]");
    browser.wait_for("Continue");
    browser.click("button[type=submit]");
    browser.wait_for(&format!("The mailbox {} is connected.", world.login()));
    assert_eq!(browser.url(), page(&world, "/connect"));
    assert_secret(&browser);
    secret_scan::watch(provider.issued());

    let profiles = world.api().get("/profiles").expect(200).body;
    let [profile] = profiles["items"].as_array().unwrap().as_slice() else { panic!("{profiles}") };
    assert_eq!((&profile["name"], &profile["status"]["authorized"]), (&json!(ADDRESS), &json!(true)));
    assert_eq!(links(&world)[0]["state"], "used");
    world.poll();
    let id = ProfileId::parse(profile["id"].as_str().unwrap()).unwrap();
    assert_eq!(world.status(id).state, ProfileState::Ok, "{:?}", world.status(id));
}

#[test]
fn an_operator_makes_links_in_the_console_and_an_owner_types_a_password_again() {
    let world = World::for_browsers();
    let id = made(
        &world,
        &json!({"auth": {"type": "plain", "login": world.login(), "password": "an-old-password"}}),
    );
    world.poll();
    let profile = ProfileId::parse(&id).unwrap();
    assert_eq!(world.status(profile).state, ProfileState::Misconfigured, "{:?}", world.status(profile));
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, &format!("/profiles/{id}")));
    browser.click("form[action$=connect-link] button");
    browser.wait_for("Copy it now");
    let url = browser.script("return document.querySelector('#link').value");
    browser.open(url.as_str().unwrap());
    browser.wait_for(world.login());
    browser.fill("[name='plain.password']", "not-the-password");
    browser.click("button[value=connect]");
    browser.wait_for("Password or the login is not what the server accepts");
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=connect]");
    browser.wait_for("is connected.");
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok, "{:?}", world.status(profile));

    // One for a new mailbox, by the form; withdrawn, it does not count.
    browser.open(&page(&world, "/connect-links"));
    browser.fill("[name=name]", "Orders");
    browser.fill("[name=contact]", "Bob");
    browser.click("main button.primary");
    browser.wait_for("Copy it now");
    let url = browser.script("return document.querySelector('#link').value");
    browser.open(&page(&world, "/connect-links"));
    browser.wait_for("Orders");
    assert_eq!(Axe::install().violations(&browser), Vec::<String>::new());
    browser.click("form[action$=withdraw] button");
    browser.wait_for("The link is withdrawn.");
    browser.open(url.as_str().unwrap());
    browser.wait_for("This link does not count");
}

#[test]
fn a_link_counts_for_seven_days_and_fifty_tries_also_where_callers_are_told_apart() {
    let auth = ApiAuth::Jwt {
        issuer: "https://login.example.com".to_owned(),
        audience: "mailroom".to_owned(),
        scopes: String::new(),
    };
    let world = World::deployed_with(auth);
    // What this client sends is no token: operators need one, and whoever has a link needs none.
    let _ = world.api().get("/profiles/connect-links").expect(401);
    let id = world.profile(|_| {});
    let body = json!({"profile_id": id.to_string(), "contact": "Bob"});
    let call = |method: &str, path: &str, body: &Value| {
        let mut event = event(method, path, Some(body));
        event["requestContext"]["authorizer"] =
            json!({"jwt": {"claims": {"sub": "operator"}, "scopes": null}});
        match world.api_function().invoke(event, Duration::from_secs(20)) {
            Outcome::Answered(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
    let answer = call("POST", "/profiles/connect-links", &body);
    let made: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let token = made["url"].as_str().unwrap().split_once("?link=").unwrap().1.to_owned();
    secret_scan::watch([token[26..].to_owned()]);

    // The address is exchanged for a cookie, and tells nobody where the browser came from.
    let api = world.api();
    let entered = api.get(&format!("/console/connect?link={token}")).expect(303);
    assert_eq!(entered.headers["referrer-policy"], "no-referrer");
    assert!(!entered.headers["location"].contains(&token[26..]), "{}", entered.headers["location"]);
    let cookie = entered.headers["set-cookie"].clone();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let show = |cookie: &str| api.call("GET", "/console/connect", &[("cookie", cookie)], None);
    let shown = show(&cookie).expect(200);
    assert!(shown.text.contains("Connect your mailbox") && shown.text.contains("Bob"), "{}", shown.text);
    for (wrong, words) in [
        (cookie.replace(&token[60..], "AAAAAAAAA"), "does not count"),
        (String::new(), "Open the link again"),
    ] {
        let refused = show(&wrong).expect(404);
        assert!(refused.text.contains(words), "{}", refused.text);
    }

    // With it, its own profile can be connected: nothing is looked up, and nothing is made.
    let form = shown.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let press = |press: &str| {
        let fields = format!(
            "token={}&link={}&address=ann%40gmail.com&press={press}",
            form.split('=').nth(1).unwrap(),
            &token[..26]
        );
        let cookies = format!("{cookie}; {form}");
        let headers = [("cookie", cookies.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        api.call("POST", "/console/connect", &headers, Some(fields.as_bytes()))
    };
    let refused = press("find").expect(403);
    assert!(refused.text.contains("does not give the right"), "{}", refused.text);

    let change = |name: &str, value: &str| {
        let update = json!({
            "TableName": world.stack().table, "Key": {"PK": {"S": "CONNECT_LINKS"}, "SK": {"S": &token[..26]}},
            "UpdateExpression": "SET #name = :value", "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": {":value": {"N": value}},
        });
        let _ = world.aws().call("dynamodb", "DynamoDB_20120810.UpdateItem", &update);
    };
    let closed = |words: &str| {
        let shown = show(&cookie).expect(410);
        assert!(shown.text.contains(words) && shown.text.contains("Bob"), "{}", shown.text);
    };
    change("busy_until", "99999999999999");
    assert!(press("connect").expect(409).text.contains("This link is in use"));
    change("tries", "50");
    closed("tried too often");
    change("ends_at", "1");
    closed("has expired");
    assert!(press("connect").expect(410).text.contains("has expired"));
}
