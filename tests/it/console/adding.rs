//! A mailbox is added, watched, paused and deleted, by whoever has never seen the console.

use mailroom_core::health::ProfileState;
use mailroom_core::profile::ProfileId;
use mailroom_local::certificates::Leaf;
use mailroom_tests::browser::Browser;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::scripted_imap::{Script, ScriptedImap};
use mailroom_tests::secret_scan;
use mailroom_tests::world::{World, message};
use serde_json::json;

use super::{NOBODY, assert_secret, fill_in, page};

#[test]
fn a_mailbox_is_added_by_the_form_and_every_fault_stands_at_its_field() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, ""));
    browser.wait_for("No mailbox yet");
    browser.click("main .button.primary");
    browser.wait_for("Add a mailbox");

    // Nothing is filled in: what the API would say stands at the fields, and the summary leads there.
    browser.click("button[value=save]");
    browser.wait_for("This is not saved yet");
    for words in ["Name is required", "Login is required"] {
        assert!(browser.text().contains(words), "{words}: {}", browser.text());
    }
    let described = browser.script(
        "const field = document.querySelector('#name');
         const words = document.getElementById(field.getAttribute('aria-describedby').split(' ')[0]);
         return [field.getAttribute('aria-invalid'), words.textContent, document.activeElement.className]",
    );
    assert_eq!(described, json!(["true", "Name is required", "summary"]));
    browser.click(".summary a[href='#name']");

    // Another port, another password: each is named, and what was typed stays.
    fill_in(&world, &browser, "Support");
    browser.fill("[name=imap_port]", NOBODY);
    browser.click("button[value=test]");
    browser.wait_for("Does not work");
    assert!(browser.text().contains("IMAP host or port: the server cannot be reached"), "{}", browser.text());
    browser.fill("[name=imap_port]", &world.servers().dovecot().ports().imaps.to_string());
    // A server whose certificate is another host's.
    browser.fill("[name=imap_host]", &Leaf::OtherHost.address().to_string());
    browser.click("button[value=test]");
    browser.wait_for("IMAP host or port: the server has no trusted certificate");
    browser.fill("[name=imap_host]", "127.0.0.1");
    browser.fill("[name='plain.password']", "not-the-password");
    browser.click("button[value=test]");
    browser.wait_for("Password or the login is not what the server accepts");
    // The server's own words.
    assert!(browser.text().contains("Authentication failed"), "{}", browser.text());
    assert_eq!(world.api().get("/profiles").expect(200).body["items"], json!([]));

    // Right at last. The script keeps what was typed; the page itself never held it.
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=test]");
    browser.wait_for("Logged in.");
    assert_secret(&browser);
    let offered =
        browser.script("return [...document.querySelectorAll('#mailboxes option')].map(o => o.value)");
    assert!(offered.as_array().unwrap().contains(&json!("INBOX")), "{offered}");
    browser.click("button[value=save]");
    browser.wait_for("Saved. The next poll uses the settings");
    assert_secret(&browser);
    let id = browser.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();

    world.deliver(&message("By the console"));
    world.poll();
    let profile = ProfileId::parse(&id).unwrap();
    assert_eq!(world.status(profile).state, ProfileState::Ok, "{:?}", world.status(profile));
    browser.open(&page(&world, ""));
    browser.wait_for("Working");
    for words in ["Support", world.login(), "5 minutes", "just now"] {
        assert!(browser.text().contains(words), "{words}: {}", browser.text());
    }
    pause_and_delete(&world, &browser, &id);
}

fn pause_and_delete(world: &World, browser: &Browser, id: &str) {
    let listens = || world.api().get(&format!("/profiles/{id}")).expect(200).body["listen"].clone();
    browser.click("[role=switch]");
    browser.wait_for("Paused.");
    assert_eq!(listens(), false);
    browser.wait_for("Not listening");
    browser.click("[role=switch]");
    browser.wait_for("is polled from now on");
    assert_eq!(listens(), true);
    browser.click("form[action$=fetch] button");
    browser.wait_for("The poll starts in a moment");

    browser.click("a.danger");
    browser.wait_for("Delete Support?");
    browser.click("main a.button");
    browser.wait_for("State");
    browser.click("a.danger");
    browser.wait_for("Delete Support?");
    browser.click("button.danger");
    browser.wait_for("No mailbox yet");
    let _ = world.api().get(&format!("/profiles/{id}")).expect(404);
}

#[test]
fn a_mailbox_that_is_signed_in_for_is_added_and_works() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    let client = world.sign_in_client();
    let provider = world.open_id();
    browser.open(&page(&world, "/profiles/new"));
    browser.fill("[name=name]", "Sales");
    browser.fill("[name=imap_host]", "127.0.0.1");
    browser.fill("[name=imap_port]", &provider.dovecot(Mechanism::Xoauth2).ports().imaps.to_string());
    browser.click("[value=oauth2]");
    browser.fill("[name='oauth2.client_id']", &client.id);
    browser.fill("[name='oauth2.client_secret']", &client.secret);
    browser.fill("[name='oauth2.discovery_url']", &provider.provider().issuer());
    browser.fill("[name='oauth2.login']", world.login());
    browser.click("summary");
    browser.fill("[name='oauth2.scopes']", "openid email offline_access mail");
    browser.click("button[value=save]");
    browser.wait_for("Not signed in");
    assert_secret(&browser);
    let status = browser.url();
    browser.click("form[action$=authorize] button");
    browser.wait_for("Go on to the provider");
    browser.click("main a.primary");
    browser.wait_for("Sign-in");
    browser.fill("input[name=login]", world.login());
    browser.fill("input[name=password]", "any");
    browser.click("button[type=submit]");
    browser.wait_for("Continue");
    browser.click("button[type=submit]");
    browser.wait_for("Signed in");
    secret_scan::watch(provider.issued());

    world.poll();
    browser.open(&status);
    browser.wait_for("Working");
    assert!(browser.text().contains("Signed in"), "{}", browser.text());
    browser.click("form[action$=sign-out] button");
    browser.wait_for("Signed out.");
    browser.wait_for("Not signed in");
}

#[test]
fn an_address_fills_in_its_settings_and_says_what_its_owner_does() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    let value =
        |name: &str| browser.script(&format!("return document.querySelector('[name=\"{name}\"]').value"));
    browser.open(&page(&world, "/profiles/new"));
    browser.fill("#address", "no address");
    browser.click("button[value=find]");
    browser.wait_for("Address must");
    assert_eq!(value("address"), "no address");
    browser.fill("#address", "ann@gmail.com");
    browser.click("button[value=find]");
    browser.wait_for("This is a mailbox at Gmail.");
    for (name, expected) in [
        ("imap_host", "imap.gmail.com"),
        ("imap_port", "993"),
        ("smtp_host", "smtp.gmail.com"),
        ("plain.login", "ann@gmail.com"),
        ("oauth2.discovery_url", "https://accounts.google.com"),
        ("flow_schema_id", "add-to-queue"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let link = browser.script("return document.querySelector('.found a').href");
    assert_eq!(link, "https://myaccount.google.com/apppasswords");
}

#[test]
fn without_scripts_everything_works_by_forms_alone() {
    let world = World::for_browsers();
    let browser = Browser::without_scripts(world.handle());
    browser.open(&page(&world, "/profiles/new"));
    fill_in(&world, &browser, "Plain");
    // By STARTTLS, to both servers.
    let ports = world.servers().dovecot().ports();
    browser.click("summary");
    browser.fill("[name=imap_port]", &ports.imap.to_string());
    browser.click("[name=imap_security] [value=starttls]");
    browser.fill("[name=smtp_host]", "127.0.0.1");
    browser.fill("[name=smtp_port]", &ports.submission.to_string());
    browser.click("[name=smtp_security] [value=starttls]");
    browser.click("button[value=test]");
    browser.wait_for("Logged in.");
    assert!(!browser.text().contains("Does not work"), "{}", browser.text());
    assert_secret(&browser);
    // No page holds a secret, so without a script it is asked for again.
    browser.click("button[value=save]");
    browser.wait_for("Password is required");
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=save]");
    browser.wait_for("State");
    let stored = &world.api().get("/profiles").expect(200).body["items"][0];
    assert_eq!(stored["imap_security"], "starttls");
    assert_eq!(stored["smtp_security"], "starttls");
    browser.click("[role=switch]");
    browser.wait_for("Paused.");

    // The fields of the other type of login are there without a script too.
    browser.open(&page(&world, "/profiles/new"));
    let shown = |css: &str| {
        browser.script(&format!("return document.querySelector(\"{css}\").checkVisibility()")) == json!(true)
    };
    assert!(shown("[name='plain.password']") && !shown("[name='oauth2.client_id']"));
    browser.click("[value=oauth2]");
    assert!(!shown("[name='plain.password']") && shown("[name='oauth2.client_id']"));
}

#[test]
fn a_server_on_starttls_is_added_by_the_form() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, "/profiles/new"));
    fill_in(&world, &browser, "Encrypted later");
    browser.fill("[name=imap_port]", &world.servers().dovecot().ports().imap.to_string());
    // Without a word of it, TLS is expected from the first byte.
    browser.click("button[value=test]");
    browser.wait_for("Does not work");
    browser.click("summary");
    let _ = browser.script("document.querySelector('[name=imap_security]').value = 'starttls'");
    browser.click("button[value=test]");
    browser.wait_for("Logged in.");
    browser.click("button[value=save]");
    browser.wait_for("Saved. The next poll uses the settings");
    let id = browser.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    world.deliver(&message("After STARTTLS"));
    world.poll();
    let profile = ProfileId::parse(&id).unwrap();
    assert_eq!(world.status(profile).state, ProfileState::Ok, "{:?}", world.status(profile));
}

#[test]
fn a_found_host_of_another_domain_is_sent_no_password_before_it_is_confirmed() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    let script = Script::with(&[b"Subject: hello\r\n\r\nHello\r\n"]);
    let found = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
    browser.open(&page(&world, "/profiles/new"));
    fill_in(&world, &browser, "Found");
    browser.fill("[name=imap_port]", &found.address().port().to_string());
    // As the search says it of a host that neither the address's domain nor a known provider names.
    let _ = browser.script(
        "const found = document.createElement('input');
         found.name = 'unconfirmed'; found.type = 'hidden'; found.value = '127.0.0.1';
         document.querySelector('#profile').append(found);",
    );
    for press in ["test", "save"] {
        browser.fill("[name='plain.password']", world.password());
        browser.click(&format!("button[value={press}]"));
        browser.wait_for("Nothing proves that 127.0.0.1 is this mailbox's server.");
        assert_eq!(found.commands(), Vec::<String>::new());
        assert!(!found.was_told(world.password()));
    }
    browser.fill("[name='plain.password']", world.password());
    browser.click("#confirmed");
    browser.click("button[value=test]");
    browser.wait_for("Logged in.");
    assert!(found.was_told(world.password()));
}
