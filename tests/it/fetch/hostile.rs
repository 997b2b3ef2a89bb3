//! Servers that hang, lie, flood or hang up, each beside a healthy profile in the same invocation.

use std::thread;
use std::time::Duration;

use mailroom_core::health::{ProfileState, Status};
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Security;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::scripted_imap::{GREETING, Script, ScriptedImap, Step};
use mailroom_tests::world::{World, message, server};
use serde_json::json;
use time::OffsetDateTime;

/// What the function may hold whatever a server sends, in bytes: Lambda gives it 256 MB.
const MEMORY: u64 = 200 * 1024 * 1024;

/// Polls a profile at this server and a healthy one, in one invocation. The healthy one's message has to be handed over;
/// the other's status is returned.
fn status_beside_a_healthy_profile(script: Script) -> Status {
    let world = World::new();
    let hostile = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
    let port = hostile.address().port();
    let profile =
        world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
    world.deliver(&message("healthy"));
    let healthy = world.profile(|_| {});

    let outcome = world.poll_within(Duration::from_secs(12));
    assert_eq!(outcome, Outcome::Answered(json!({"batchItemFailures": []})), "{:?}", hostile.commands());
    assert_eq!(world.status(healthy).state, ProfileState::Ok);
    assert!(world.subjects().contains(&"healthy".to_owned()));
    let memory = world.lambda().peak_memory();
    assert!(memory < MEMORY, "{} MiB", memory / 1024 / 1024);
    world.status(profile)
}

fn assert_error(script: Script, code: ErrorCode) {
    let status = status_beside_a_healthy_profile(script);
    let error = status.error.as_ref().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(error.code, code, "{status:?}");
    assert!(error.message.len() <= 2000, "{}", error.message);
}

fn one_message() -> Script {
    Script::with(&[b"Subject: hostile\r\n\r\nHello\r\n"])
}

#[test]
fn the_scripted_server_is_healthy_when_nothing_is_scripted() {
    let status = status_beside_a_healthy_profile(one_message());
    assert_eq!((status.state, status.error), (ProfileState::Ok, None));
}

#[test]
fn a_server_without_uidnext_is_read_all_the_same() {
    let status = status_beside_a_healthy_profile(one_message().without_uid_next());
    assert_eq!((status.state, status.error), (ProfileState::Ok, None));
}

#[test]
fn silence_at_the_greeting_is_a_timeout() {
    assert_error(one_message().on(GREETING, vec![Step::Hang]), ErrorCode::ImapTimeout);
}

#[test]
fn silence_in_the_middle_is_a_timeout() {
    assert_error(one_message().on("UID FETCH", vec![Step::Hang]), ErrorCode::ImapTimeout);
}

#[test]
fn silence_in_a_literal_is_a_timeout() {
    let steps = vec![Step::say("* 1 FETCH (UID 1 BODY[] {1000}\r\nSubject: never"), Step::Hang];
    assert_error(one_message().on_some("UID FETCH", 1, usize::MAX, steps), ErrorCode::ImapTimeout);
}

#[test]
fn bye_at_the_greeting_is_no_reason_to_pause_the_profile() {
    let status = status_beside_a_healthy_profile(
        one_message().on(GREETING, vec![Step::say("* BYE come back later\r\n"), Step::Close]),
    );
    assert_eq!(status.state, ProfileState::Failing, "{status:?}");
    assert!(status.error.unwrap().message.contains("come back later"));
}

#[test]
fn bye_in_the_middle_is_a_protocol_error() {
    let steps = vec![Step::say("* BYE going down\r\n"), Step::Close];
    assert_error(one_message().on("EXAMINE", steps), ErrorCode::ImapProtocol);
}

#[test]
fn a_lost_connection_is_a_transient_error() {
    let status = status_beside_a_healthy_profile(one_message().on("EXAMINE", vec![Step::Close]));
    assert_eq!(status.state, ProfileState::Failing, "{status:?}");
}

#[test]
fn a_connection_lost_in_a_literal_hands_over_nothing() {
    let steps = vec![Step::say("* 1 FETCH (UID 1 BODY[] {1000}\r\nSubject: half a"), Step::Close];
    let status = status_beside_a_healthy_profile(one_message().on_some("UID FETCH", 1, usize::MAX, steps));
    assert_eq!(status.state, ProfileState::Failing, "{status:?}");
}

#[test]
fn a_refused_fetch_is_no_empty_mailbox() {
    let steps = vec![Step::say("{tag} NO out of memory\r\n")];
    assert_error(one_message().on("UID FETCH", steps), ErrorCode::ImapProtocol);
}

#[test]
fn throttling_pauses_for_as_long_as_the_server_asks() {
    let steps = vec![Step::say("{tag} NO [THROTTLED] too many requests\r\n")];
    let status = status_beside_a_healthy_profile(one_message().on("EXAMINE", steps));
    assert_eq!(status.state, ProfileState::Throttled, "{status:?}");
    assert!(status.not_before.is_some());
}

#[test]
fn a_literal_of_four_gigabytes_takes_no_memory() {
    let steps = vec![Step::say("* 1 FETCH (UID 1 BODY[] {4294967296}\r\n"), Step::Flood(vec![b'x'; 8192])];
    assert_error(one_message().on_some("UID FETCH", 1, usize::MAX, steps), ErrorCode::ImapProtocol);
}

#[test]
fn ten_thousand_parentheses_do_not_overflow_the_stack() {
    let nested = format!("* 1 FETCH {}", "(".repeat(10_000));
    let steps = vec![Step::say(&nested), Step::say("\r\n"), Step::Behave];
    assert_error(one_message().on("UID FETCH", steps), ErrorCode::ImapProtocol);
}

#[test]
fn an_endless_line_ends_at_the_limit() {
    let steps = vec![Step::say("* OK "), Step::Flood(vec![b'a'; 8192])];
    assert_error(one_message().on("EXAMINE", steps), ErrorCode::ImapProtocol);
}

#[test]
fn an_endless_greeting_ends_at_the_limit() {
    let steps = vec![Step::say("* OK "), Step::Flood(vec![b'a'; 8192])];
    assert_error(one_message().on(GREETING, steps), ErrorCode::ImapProtocol);
}

#[test]
fn what_is_no_imap_is_a_protocol_error() {
    assert_error(
        one_message().on(GREETING, vec![Step::say("HTTP/1.1 400 Bad Request\r\n\r\n")]),
        ErrorCode::ImapProtocol,
    );
}

#[test]
fn a_message_that_a_server_leaves_out_of_its_response_is_not_lost() {
    let world = World::new();
    // It lists the message, says OK to fetching it, and sends nothing: once, as a server short of memory does.
    let script = one_message().on_some("UID FETCH", 1, 1, vec![Step::say("{tag} OK fetched\r\n")]);
    let forgetful = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
    let port = forgetful.address().port();
    let profile =
        world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
    world.poll();
    assert!(world.subjects().is_empty());
    let status = world.status(profile);
    assert_eq!(status.error.unwrap().code, ErrorCode::ImapProtocol);

    forgetful.arrive(&message("next"));
    let pause = status.not_before.unwrap() - OffsetDateTime::now_utc();
    thread::sleep(Duration::try_from(pause).unwrap_or_default() + Duration::from_secs(1));
    world.poll();
    assert_eq!(world.subjects(), ["hostile", "next"], "{:?}", forgetful.commands());
}
