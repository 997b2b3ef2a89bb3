//! The console, in a real browser: what people see and do on its pages, with scripts and without.

mod adding;
mod closed;
mod connecting;
mod editing;
mod looks;
mod many;
mod people;
mod quarantine;

use mailroom_tests::browser::Browser;
use mailroom_tests::secret_scan;
use mailroom_tests::world::World;
use serde_json::{Value, json};

/// A port of this machine on which nobody listens.
const NOBODY: &str = "1";

/// The address of a page of the console.
fn page(world: &World, page: &str) -> String {
    format!("{}/console{page}", world.public_url())
}

/// Fills in the form of a new mailbox, rightly.
fn fill_in(world: &World, browser: &Browser, name: &str) {
    browser.fill("[name=name]", name);
    browser.fill("[name=imap_host]", "127.0.0.1");
    browser.fill("[name=imap_port]", &world.servers().dovecot().ports().imaps.to_string());
    browser.fill("[name='plain.login']", world.login());
    browser.fill("[name='plain.password']", world.password());
}

/// A profile of the world's mailbox, made by the API.
fn made(world: &World, changes: &Value) -> String {
    let mut settings = json!({
        "name": "Support", "imap_host": "127.0.0.1", "imap_port": world.servers().dovecot().ports().imaps,
        "flow_schema_id": "add-to-queue", "start_from": "all",
        "auth": {"type": "plain", "login": world.login(), "password": world.password()},
    });
    for (name, value) in changes.as_object().expect("an object") {
        settings[name] = value.clone();
    }
    world.api().post("/profiles", &settings).expect(201).id()
}

/// Asserts that a page gives no secret away.
#[track_caller]
fn assert_secret(browser: &Browser) {
    secret_scan::assert_kept(&browser.url(), &browser.source());
}
