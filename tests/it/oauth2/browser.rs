//! A real browser, through the provider's own pages.

use mailroom_core::health::ProfileState;
use mailroom_tests::browser::Browser;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::secret_scan;
use mailroom_tests::world::{World, message};
use serde_json::json;

/// Where pictures of the pages go, for whoever wants to look at them.
const PICTURES: &str = "MAILROOM_TEST_PICTURES";

fn keep_picture(browser: &Browser, name: &str) {
    let picture = browser.picture();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5_000, "{name}: an empty page?");
    if let Some(folder) = std::env::var_os(PICTURES) {
        std::fs::write(std::path::Path::new(&folder).join(name).with_extension("png"), picture).unwrap();
    }
}

/// Fills in the provider's pages for login and consent.
fn consent(browser: &Browser, account: &str) {
    browser.wait_for("Sign-in");
    browser.fill("input[name=login]", account);
    browser.fill("input[name=password]", "any");
    browser.click("button[type=submit]");
    browser.wait_for("Continue");
    browser.click("button[type=submit]");
}

#[test]
fn a_browser_signs_in_and_messages_come_in_and_go_out_by_token() {
    let world = World::for_browsers();
    let browser = Browser::start(world.handle());
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        let profile = world.make(&world.token_settings(mechanism, &world.sign_in_client(), &json!({})));
        browser.open(&world.begin_sign_in(profile));
        if mechanism == Mechanism::Xoauth2 {
            consent(&browser, world.login());
        } else {
            // The provider knows this browser by now.
            browser.wait_for("Continue");
            browser.click("button[type=submit]");
        }
        browser.wait_for("Signed in");
        assert!(browser.text().contains(&format!("Mailroom can now use the mailbox {}.", world.login())));
        assert!(browser.url().starts_with(&world.redirect_uri()));
        keep_picture(&browser, "signed-in");
        secret_scan::watch(world.open_id().issued());

        world.deliver_to(mechanism, &message("By browser"));
        world.poll();
        assert_eq!(world.status(profile).state, ProfileState::Ok, "{:?}", world.status(profile));
        assert_eq!(world.subjects(), ["By browser"]);
        let out = json!({"to": [{"address": "ann@example.org"}], "subject": "Out", "text": "."});
        let id = world.submit(profile, &out);
        world.send_all();
        assert_eq!(world.message(profile, &id)["status"], "sent");
        let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
    }

    // The same address, once more.
    let before = browser.url();
    browser.open(&before);
    browser.wait_for("Not signed in");
    keep_picture(&browser, "not-signed-in");
}
