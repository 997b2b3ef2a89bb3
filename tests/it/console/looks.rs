//! Each page in both themes, wide and on a phone: what axe-core finds, what the browser complains of, and which hosts are
//! asked for anything.

use std::cell::RefCell;

use mailroom_tests::axe::Axe;
use mailroom_tests::browser::Browser;
use mailroom_tests::secret_scan;
use mailroom_tests::world::{World, message};
use serde_json::json;

use super::{NOBODY, fill_in, made, page, people};

/// Where pictures of the pages go, for whoever wants to look at them.
const PICTURES: &str = "MAILROOM_TEST_PICTURES";

/// Windows: their names, widths and heights.
const WINDOWS: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("phone", 390, 844)];

/// What is wrong with the page that the browser shows, in every way in which people look at it.
fn check(world: &World, browser: &Browser, axe: &Axe, name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for scheme in ["light", "dark"] {
        for (window, width, height) in WINDOWS {
            browser.look(scheme, width, height);
            if let Some(folder) = std::env::var_os(PICTURES) {
                let file = std::path::Path::new(&folder).join(format!("{name}-{scheme}-{window}.png"));
                std::fs::write(file, browser.whole_picture()).unwrap();
            }
            let violations = axe.violations(browser);
            wrong.extend(violations.iter().map(|one| format!("{name}, {scheme}, {window}: {one}")));
            let wide = browser.script("return document.documentElement.scrollWidth - window.innerWidth");
            if wide.as_i64().unwrap() > 0 {
                wrong.push(format!("{name}, {window}: {wide} pixels too wide"));
            }
        }
    }
    let complaints = browser.complaints(&world.public_url());
    wrong.extend(complaints.iter().map(|one| format!("{name}: {one}")));
    let requests = browser.requests_of(&world.public_url());
    assert!(!requests.is_empty(), "{name} asks nobody for anything");
    for url in requests {
        // The browser's own first page is nobody's.
        let own = ["data:", "chrome:", "chrome-untrusted:"].iter().any(|scheme| url.starts_with(scheme));
        if !own && !url.starts_with(&world.public_url()) {
            wrong.push(format!("{name} asks {url}"));
        }
    }
    wrong
}

/// Profiles in several states, one of them with messages.
fn populate(world: &World) -> String {
    let ports = world.servers().dovecot().ports();
    let ok = json!({"name": "Support", "smtp_host": "127.0.0.1", "smtp_port": ports.submission});
    let ok = made(world, &ok);
    world.deliver(&message("Hello"));
    let wrong = json!({"type": "plain", "login": "orders@example.com", "password": "not-the-password"});
    let _ = made(world, &json!({"name": "Orders", "auth": wrong}));
    let _ = made(world, &json!({"name": "Invoices", "imap_port": 1}));
    let _ = made(world, &json!({"name": "Newsletter", "listen": false}));
    let client = json!({
        "type": "oauth2", "login": "sales@example.com", "client_id": world.sign_in_client().id,
        "discovery_url": world.open_id().provider().issuer(), "scopes": ["openid", "mail"],
    });
    let _ = made(world, &json!({"name": "Sales", "auth": client}));
    world.poll();
    let message = json!({"to": [{"address": "ann@example.org"}], "subject": "Hello", "text": "."});
    let _ = world.api().post(&format!("/profiles/{ok}/messages"), &message).expect(202);
    ok
}

#[test]
fn every_page_is_accessible_in_both_themes_and_asks_nobody_else() {
    let world = World::for_browsers();
    let axe = Axe::install();
    let browser = Browser::start(world.handle());
    let open = |path: &str, words: &str| {
        browser.open(&page(&world, path));
        browser.wait_for(words);
    };
    let wrong = RefCell::new(Vec::new());
    let look = |name: &str| wrong.borrow_mut().extend(check(&world, &browser, &axe, name));
    open("", "No mailbox yet");
    look("empty");
    open("/profiles/new", "Add a mailbox");
    look("new");
    browser.fill("#address", "ann@gmail.com");
    browser.click("button[value=find]");
    browser.wait_for("This is a mailbox at Gmail.");
    look("found");
    open("/profiles/new", "Add a mailbox");
    browser.fill("[name=imap_host]", "127.0.0.1");
    browser.fill("[name=imap_port]", NOBODY);
    browser.fill("[name='plain.login']", world.login());
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=test]");
    browser.wait_for("Does not work");
    look("test");

    let id = populate(&world);
    open("", "Needs");
    look("mailboxes");
    let states =
        browser.script("return [...document.querySelectorAll('td .badge')].map(badge => badge.textContent)");
    let all = states.as_array().unwrap();
    // Those that need somebody are first.
    assert!(all[0].as_str().unwrap().starts_with("Needs"), "{states}");
    assert_eq!(all[all.len() - 1], "Not listening", "{states}");
    open("?state=off", "Newsletter");
    assert!(!browser.text().contains("Support"), "{}", browser.text());
    open("?q=Orders", "Orders");
    assert!(!browser.text().contains("Newsletter"), "{}", browser.text());
    of_one_profile(&world, &browser, &id, &look);
    open("/flow-schemas", "Used by");
    look("flow-schemas");
    open("/flow-schemas/add-to-queue", "Where it is used");
    look("flow-schema");
    of_links(&world, &browser, &look);
    open("/flow-schemas/add-to-queue", "Where it is used");
    // The checks see what is missing.
    let _ = browser.script("document.querySelector('label[for=name]').remove()");
    assert!(axe.violations(&browser).iter().any(|one| one.contains("label")), "axe sees nothing");
    open("/nowhere", "Nothing is at this address");
    look("nowhere");
    open("?q=Sales", "Sales");
    browser.click("tbody a");
    browser.wait_for("Not signed in");
    look("signed-out");
    browser.click("form[action$=authorize] button");
    browser.wait_for("Go on to the provider");
    look("sign-in");
    browser.click("main a.primary");
    browser.wait_for("Sign-in");
    assert!(!browser.url().starts_with(&world.public_url()), "{}", browser.url());
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn of_links(world: &World, browser: &Browser, look: &impl Fn(&str)) {
    let link = json!({"settings": {"flow_schema_id": "add-to-queue", "name": "Sales"}, "contact": "Bob, bob@example.org"});
    let made = world.api().post("/profiles/connect-links", &link).expect(201).body;
    browser.open(&page(world, "/connect-links"));
    browser.wait_for("For a new mailbox");
    browser.click("summary");
    look("connect-links");
    browser.open(made["url"].as_str().unwrap());
    browser.wait_for("Bob, bob@example.org asks you");
    look("connect");
    browser.fill("#address", "ann@gmail.com");
    browser.click("button[value=find]");
    browser.wait_for("This is a mailbox at Gmail.");
    look("connect-found");
    browser.click("button[value=connect]");
    browser.wait_for("Password is required");
    look("connect-wrong");
}

#[test]
fn pages_around_a_sign_in_are_accessible_too() {
    let world = World::with_people();
    let axe = Axe::install();
    let browser = Browser::start(world.handle());
    let id = people::made(&world, "Support");
    world.give_roles("reader@example.org", &["mailroom/read"]);
    let wrong = RefCell::new(Vec::new());
    let look = |name: &str| wrong.borrow_mut().extend(check(&world, &browser, &axe, name));
    browser.open(&page(&world, ""));
    browser.wait_for("These pages are for people whom");
    look("entrance");
    people::sign_in(&world, &browser, "stranger@example.org");
    browser.wait_for("who may not use this Mailroom");
    look("no-right");
    browser.click("main a[href*=account]");
    people::fill_in_sign_in(&browser, "reader@example.org");
    browser.wait_for("Support");
    look("reader-mailboxes");
    for (path, words, name) in [
        (format!("/profiles/{id}"), "Cursor", "reader-status"),
        (format!("/profiles/{id}/general"), "and not change them", "reader-general"),
        ("/flow-schemas/add-to-queue".to_owned(), "and not change them", "reader-flow-schema"),
        ("/profiles/new".to_owned(), "You may not do this", "forbidden"),
    ] {
        browser.open(&page(&world, &path));
        browser.wait_for(words);
        look(name);
    }
    world.give_roles("writer@example.org", &["mailroom/read", "mailroom/write"]);
    browser.click("main a[href*=account]");
    people::fill_in_sign_in(&browser, "writer@example.org");
    browser.wait_for("Support");
    browser.open(&page(&world, "/profiles/new"));
    fill_in(&world, &browser, "Typed");
    browser.forget_cookie(people::SESSION);
    browser.click("button[value=save]");
    browser.wait_for("Your session has ended");
    look("session-ended");
    secret_scan::watch(world.open_id().issued());
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn of_one_profile(world: &World, browser: &Browser, id: &str, look: &impl Fn(&str)) {
    let open = |path: &str, words: &str| {
        browser.open(&page(world, &format!("/profiles/{id}{path}")));
        browser.wait_for(words);
    };
    open("", "Messages sent");
    look("status");
    open("/general", "Refresh interval");
    browser.click("summary");
    look("general");
    let theirs = json!({"name": "Help", "description": "For everybody"});
    browser.fill("[name=name]", "Support team");
    let _ = world.api().patch(&format!("/profiles/{id}"), &theirs).expect(200);
    browser.click("button[value=save]");
    browser.wait_for("Another person changed");
    look("conflict");
    open("/delete", "Keep it");
    look("delete");
}
