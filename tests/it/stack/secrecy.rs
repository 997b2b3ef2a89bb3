//! What we log in with never leaves. That it is in no log, item, job or call is checked at the end of every world.

use base64::Engine as _;
use mailroom_core::health::ProfileState;
use mailroom_core::server::Security;
use mailroom_tests::scripted_imap::{Script, ScriptedImap, Step};
use mailroom_tests::secret_scan::{CANARY, assert_kept};
use mailroom_tests::world::{World, message, server};

#[test]
fn a_password_that_works_is_in_no_output() {
    let world = World::new();
    let friendly =
        ScriptedImap::start(world.handle(), world.servers().certificates(), Script::with(&[&message("hi")]));
    let port = friendly.address().port();
    let profile = world.profile_with_password(CANARY, |profile| {
        profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls))
    });
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
}

#[test]
fn a_password_that_is_refused_is_in_no_output() {
    let world = World::new();
    let profile = world.profile_with_password(CANARY, |_| {});
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Misconfigured);
}

#[test]
fn a_server_that_repeats_the_password_does_not_give_it_away() {
    let world = World::new();
    let refusal =
        || vec![Step::say(&format!("{{tag}} NO [AUTHENTICATIONFAILED] {CANARY} is not your password\r\n"))];
    let script = Script::with(&[]).on("LOGIN", refusal()).on("AUTHENTICATE", refusal());
    let talkative = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
    let port = talkative.address().port();
    let profile = world.profile_with_password(CANARY, |profile| {
        profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls))
    });
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Misconfigured);
}

#[test]
fn a_secret_that_is_given_away_is_seen() {
    let sasl = base64::engine::general_purpose::STANDARD.encode(format!("\0ann@example.com\0{CANARY}"));
    for text in [format!("password={CANARY}"), sasl] {
        assert!(std::panic::catch_unwind(|| assert_kept("a test", &text)).is_err(), "{text}");
    }
    assert_kept("a test", "nothing to see");
}
