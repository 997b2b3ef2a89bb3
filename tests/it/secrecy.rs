//! What we log in with never leaves.

use base64::Engine as _;
use mailroom_core::health::State;
use mailroom_core::profile::Security;
use mailroom_tests::fakes::scripted_imap::{Script, ScriptedImap, Step};
use mailroom_tests::world::{World, mail, server};

const CANARY: &str = "Canary-7f3d1c9e";

/// Searches everything that the function has written or sent for the canary, plain and as it goes over the wire.
fn assert_kept(world: &World) {
    let login = world.login();
    let sasl = base64::engine::general_purpose::STANDARD.encode(format!("\0{login}\0{CANARY}"));
    let mut places = vec![("the log".to_owned(), world.lambda().log())];
    for call in world.proxy().calls() {
        places.push((call.operation.clone(), String::from_utf8_lossy(&call.body).into_owned()));
    }
    for item in world.aws().items(&world.stack().table) {
        places.push(("the table".to_owned(), item.to_string()));
    }
    for job in world.aws().drain(&world.stack().queues.job) {
        places.push(("a job".to_owned(), job.body));
    }
    for (place, text) in places {
        assert!(!text.contains(CANARY) && !text.contains(&sasl), "{place}: {text}");
    }
}

#[test]
fn a_password_that_works_is_in_no_output() {
    let world = World::new();
    let friendly =
        ScriptedImap::start(world.handle(), world.servers().certificates(), Script::with(&[&mail("hi")]));
    let port = friendly.address().port();
    let profile = world.profile_with_password(CANARY, |profile| {
        profile.imap = Some(server("127.0.0.1", port, Security::Tls))
    });
    world.poll();
    assert_eq!(world.status(profile).state, State::Ok);
    assert_kept(&world);
}

#[test]
fn a_password_that_is_refused_is_in_no_output() {
    let world = World::new();
    let profile = world.profile_with_password(CANARY, |_| {});
    world.poll();
    assert_eq!(world.status(profile).state, State::Misconfigured);
    assert_kept(&world);
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
        profile.imap = Some(server("127.0.0.1", port, Security::Tls))
    });
    world.poll();
    assert_eq!(world.status(profile).state, State::Misconfigured);
    assert_kept(&world);
}
