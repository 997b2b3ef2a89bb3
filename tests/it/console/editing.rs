//! A profile is changed by two people at once, and its secret is asked for when its server changes.

use mailroom_tests::browser::Browser;
use mailroom_tests::world::World;
use serde_json::json;

use super::{assert_secret, made, page};

#[test]
fn of_two_editors_neither_loses_anything() {
    let world = World::for_browsers();
    let id = made(&world, &json!({"name": "Support", "description": "At first"}));
    let browser = Browser::start(world.handle());
    let general = page(&world, &format!("/profiles/{id}/general"));
    let stored = || world.api().get(&format!("/profiles/{id}")).expect(200).body;
    browser.open(&general);
    browser.fill("[name=name]", "My name for it");
    browser.fill("[name=smtp_host]", "smtp.example.com");
    browser.fill("[name='plain.password']", world.password());
    let theirs = json!({"name": "Their name for it", "description": "Theirs", "include_seen": true});
    let _ = world.api().patch(&format!("/profiles/{id}"), &theirs).expect(200);
    browser.click("button[value=save]");
    browser.wait_for("Another person changed this profile while you were editing it");
    assert_secret(&browser);
    assert_eq!(stored()["name"], "Their name for it");
    let value =
        |name: &str| browser.script(&format!("return document.querySelector('[name=\"{name}\"]').value"));
    assert_eq!(value("name"), "My name for it");
    assert_eq!(value("description"), "Theirs");
    assert_eq!(value("plain.password"), "");
    let cells = browser.script(
        "return [...document.querySelectorAll('.summary tbody tr')].map(row => [...row.children].map(cell => cell.textContent))",
    );
    let both = json!(["Name", "Their name for it", "My name for it"]);
    assert!(cells.as_array().unwrap().contains(&both), "{cells}");
    // The SMTP server is new, so the password has to be typed for it, and only that is left to do.
    browser.click("button[value=save]");
    browser.wait_for("Password is required, because smtp_host");
    browser.fill("[name='plain.password']", world.password());
    browser.click("button[value=save]");
    browser.wait_for("Saved untested");
    let now = stored();
    assert_eq!(
        (&now["name"], &now["description"], &now["include_seen"], &now["smtp_host"]),
        (&json!("My name for it"), &json!("Theirs"), &json!(true), &json!("smtp.example.com"))
    );

    // An empty secret stays, and an edit needs no test.
    browser.open(&general);
    browser.wait_for("Stored. Leave it empty to keep it.");
    browser.fill("[name=description]", "Again");
    browser.click("button[value=save]");
    browser.wait_for("Saved untested");
    assert_eq!(stored()["auth"], json!({"type": "plain", "login": world.login(), "password_set": true}));
}

#[test]
fn a_flow_schema_is_added_used_and_deleted() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, "/flow-schemas"));
    browser.click("main .button.primary");
    browser.click("button.primary");
    browser.wait_for("This is not saved yet");
    browser.fill("#id", "orders");
    browser.fill("#name", "Orders");
    browser.click("button.primary");
    browser.wait_for("The flow schema is saved.");
    let id = made(&world, &json!({"flow_schema_id": "orders"}));
    browser.open(&page(&world, "/flow-schemas/orders"));
    browser.wait_for("By 1 mailbox.");
    browser.fill("#name", "All orders");
    browser.click("button.primary");
    browser.wait_for("All orders");
    let _ = world.api().delete(&format!("/profiles/{id}")).expect(204);
    browser.open(&page(&world, "/flow-schemas/orders"));
    browser.click("button.danger");
    browser.wait_for("Deleted.");
    let _ = world.api().get("/flow-schemas/orders").expect(404);
}

#[test]
fn general_has_the_fields_of_a_profile_in_their_order() {
    let world = World::for_browsers();
    let id = made(&world, &json!({}));
    let browser = Browser::start(world.handle());
    browser.open(&page(&world, &format!("/profiles/{id}/general")));
    let shown = || {
        browser.script(
            "const isShown = (element) => element.checkVisibility() && !element.closest('details');
             return [...document.querySelectorAll('#profile label, #profile legend')].filter(isShown).map(label => label.textContent.trim())",
        )
    };
    let first = [
        "Name",
        "Mailbox",
        "IMAP host",
        "IMAP port",
        "SMTP host",
        "SMTP port",
        "Flow schema",
        "Refresh interval",
        "Description",
        "Auth type",
        "Plain",
        "OAuth2",
    ];
    let with = |of_type: &[&str]| json!([&first[..], of_type, &["Listen"]].concat());
    assert_eq!(shown(), with(&["Login", "Password"]));
    browser.click("[value=oauth2]");
    assert_eq!(shown(), with(&["Client id", "Client secret", "Discovery URL", "Login"]));
}
