//! Errors that a profile's owner has to know of, with real servers.

use mailroom_core::health::{ProfileState, Status};
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Security;
use mailroom_local::certificates::Leaf;
use mailroom_tests::world::{World, message, server};
use serde_json::json;

/// Polls a profile whose server shows this certificate, and one whose server is as it should be.
fn status_with(leaf: Leaf) -> Status {
    let world = World::new();
    world.deliver(&message("fine"));
    let host = leaf.address().to_string();
    let port = world.servers().dovecot().ports().imaps;
    let profile = world.profile(|profile| {
        profile.settings.imap = Some(server(&host, port, Security::Tls));
    });
    let healthy = world.profile(|_| {});
    world.poll();
    assert_eq!(world.status(healthy).state, ProfileState::Ok);
    assert_eq!(world.subjects(), ["fine"], "the healthy profile's job alone");
    world.status(profile)
}

fn assert_refused(status: &Status, code: ErrorCode, state: ProfileState) {
    assert_eq!(status.state, state, "{status:?}");
    assert_eq!(status.error.as_ref().unwrap().code, code, "{status:?}");
}

#[test]
fn an_expired_certificate_is_refused() {
    assert_refused(&status_with(Leaf::Expired), ErrorCode::ImapTls, ProfileState::Misconfigured);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    assert_refused(&status_with(Leaf::Foreign), ErrorCode::ImapTls, ProfileState::Misconfigured);
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    assert_refused(&status_with(Leaf::OtherHost), ErrorCode::ImapTls, ProfileState::Misconfigured);
}

#[test]
fn starttls_is_as_good_as_implicit_tls() {
    let world = World::new();
    let port = world.servers().dovecot().ports().imap;
    world.deliver(&message("fine"));
    world.profile(|profile| profile.settings.imap = Some(server("localhost", port, Security::StartTls)));
    world.poll();
    assert_eq!(world.subjects(), ["fine"]);
}

#[test]
fn starttls_verifies_certificates_too() {
    let world = World::new();
    let port = world.servers().dovecot().ports().imap;
    let host = Leaf::Expired.address().to_string();
    let profile =
        world.profile(|profile| profile.settings.imap = Some(server(&host, port, Security::StartTls)));
    world.poll();
    assert_refused(&world.status(profile), ErrorCode::ImapTls, ProfileState::Misconfigured);
}

#[test]
fn a_wrong_password_is_told_and_a_new_one_fixes_it() {
    let world = World::new();
    world.deliver(&message("waiting"));
    let profile = world.profile_with_password("wrong", |_| {});
    world.poll();
    assert_refused(&world.status(profile), ErrorCode::ImapAuth, ProfileState::Misconfigured);
    assert!(world.jobs().is_empty());

    // A change by its owner ends the pause that follows a refused login.
    let change = json!({"auth": {"password": world.password()}});
    let _ = world.api().patch(&format!("/profiles/{profile}"), &change).expect(200);
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok);
    assert_eq!(world.subjects(), ["waiting"]);
}

#[test]
fn a_profile_without_a_password_asks_for_one() {
    let world = World::new();
    let profile = world.profile(|profile| profile.secret_version = None);
    world.poll();
    assert_refused(&world.status(profile), ErrorCode::SecretMissing, ProfileState::Misconfigured);
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let world = World::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let profile =
        world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", nobody, Security::Tls)));
    world.poll();
    let status = world.status(profile);
    assert_refused(&status, ErrorCode::ImapConnect, ProfileState::Failing);
    assert!(status.not_before.is_some());
}

#[test]
fn a_private_host_is_not_connected_to() {
    let world = World::new();
    for host in ["10.0.0.1", "169.254.169.254", "192.168.1.1"] {
        let profile = world.profile(|profile| profile.settings.imap = Some(server(host, 993, Security::Tls)));
        world.poll();
        assert_refused(&world.status(profile), ErrorCode::HostNotAllowed, ProfileState::Misconfigured);
    }
}
