//! Tokens end, are taken back, and are replaced; two functions want them at once, and some of them crash meanwhile.

use std::time::Duration;

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::ProfileId;
use mailroom_tests::api::event;
use mailroom_tests::aws_proxy::{Call, Fault};
use mailroom_tests::lambda::Outcome;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::world::{World, message};
use secrecy::ExposeSecret as _;
use serde_json::json;

const POLL_LIMIT: Duration = Duration::from_secs(30);

/// How often both functions refresh one rotating token at once.
const RACES: usize = 100;

fn refreshed(world: &World) -> u64 {
    world.open_id().requests("refresh_token 200")
}

fn poll_is_fine(world: &World, profile: ProfileId) {
    world.poll();
    assert_eq!(world.status(profile).state, ProfileState::Ok, "{:?}", world.status(profile));
}

#[test]
fn a_token_is_used_until_shortly_before_its_end() {
    let world = World::for_browsers();
    world.provide_open_id(&json!({"access_token_seconds": 5}));
    let profile = world.signed_in(Mechanism::Xoauth2);
    poll_is_fine(&world, profile);
    poll_is_fine(&world, profile);
    assert_eq!(refreshed(&world), 1, "one token for both polls");
    std::thread::sleep(Duration::from_secs(5));
    world.deliver_to(Mechanism::Xoauth2, &message("Later"));
    poll_is_fine(&world, profile);
    assert_eq!((refreshed(&world), world.subjects()), (2, vec!["Later".to_owned()]));
}

/// The access token that was given out last ends before its time. A refresh token came after it, and perhaps an id token,
/// which has dots.
fn end_last_token(world: &World) {
    let opaque: Vec<String> =
        world.open_id().issued().into_iter().filter(|token| !token.contains('.')).collect();
    let _ = world.open_id().control(&json!({"forget": opaque[opaque.len() - 2]}));
}

#[test]
fn a_token_that_is_refused_although_fresh_is_replaced_once() {
    let world = World::for_browsers();
    world.provide_open_id(&json!({}));
    let profile = world.signed_in(Mechanism::Oauthbearer);
    poll_is_fine(&world, profile);
    end_last_token(&world);
    poll_is_fine(&world, profile);
    assert_eq!(refreshed(&world), 2);
    // The API has a token of its own.
    let test = || {
        let report =
            world.api().call("POST", &format!("/profiles/{profile}/test"), &[], None).expect(200).body;
        assert_eq!((&report["imap"]["ok"], &report["smtp"]["ok"]), (&json!(true), &json!(true)), "{report}");
    };
    test();
    end_last_token(&world);
    test();
    assert_eq!(refreshed(&world), 4);
}

#[test]
fn a_sign_in_that_was_taken_back_asks_for_another_and_gets_it() {
    let world = World::for_browsers();
    world.provide_open_id(&json!({}));
    let client = world.sign_in_client();
    let profile = world.make(&world.token_settings(Mechanism::Xoauth2, &client, &json!({})));
    assert_eq!(world.sign_in(profile, world.login()).status, 200);
    poll_is_fine(&world, profile);
    let token = world.client_credential(profile).refresh_token.unwrap();
    world.open_id().revoke(&client, token.expose_secret());
    world.poll();
    let status = world.status(profile);
    assert_eq!(status.state, ProfileState::ReauthorizationRequired, "{status:?}");
    let error = status.error.unwrap();
    assert_eq!(error.code, ErrorCode::Oauth2Grant);
    assert!(error.message.contains("invalid_grant") && error.message.contains("Sign in again"), "{error:?}");
    let shown = world.api().get(&format!("/profiles/{profile}")).expect(200).body;
    assert_eq!(shown["status"]["authorized"], json!(false));
    assert_eq!(world.sign_in(profile, world.login()).status, 200);
    poll_is_fine(&world, profile);
}

#[test]
fn an_edit_during_the_rotation_of_a_token_loses_neither() {
    let world = World::for_browsers();
    let profile = world.signed_in(Mechanism::Xoauth2);
    let path = format!("/profiles/{profile}");
    for n in 0..5 {
        world.lambda().killer().kill();
        std::thread::scope(|scope| {
            let polling = scope.spawn(|| world.poll_within(POLL_LIMIT));
            let change = json!({"name": format!("Name {n}")});
            let _ = world.api().patch(&path, &change).expect(200);
            let _ = polling.join().unwrap();
        });
    }
    world.lambda().killer().kill();
    poll_is_fine(&world, profile);
    assert_eq!(world.stored(profile).settings.name, "Name 4");
}

#[test]
fn two_functions_that_refresh_one_rotating_token_at_once_end_with_one_that_works() {
    let world = World::for_browsers();
    world.provide_open_id(&json!({}));
    let profile = world.signed_in(Mechanism::Xoauth2);
    let other = world.another_function();
    let event = || json!({"refresh_interval": 300});
    for race in 0..RACES {
        // Neither has a token in memory, so both need one now.
        world.lambda().killer().kill();
        other.killer().kill();
        let answers = std::thread::scope(|scope| {
            let one = scope.spawn(|| world.lambda().invoke(event(), POLL_LIMIT));
            let two = scope.spawn(|| other.invoke(event(), POLL_LIMIT));
            [one.join().unwrap(), two.join().unwrap()]
        });
        for answer in answers {
            assert_eq!(answer, Outcome::Answered(json!({"batchItemFailures": []})), "race {race}");
        }
        assert_eq!(world.status(profile).state, ProfileState::Ok, "race {race}: {:?}", world.status(profile));
    }
    other.killer().kill();
    let (good, bad) = (refreshed(&world), world.open_id().requests("refresh_token 400"));
    println!("{RACES} races: {good} refreshes, {bad} refused");
    assert_eq!((good, bad), (2 * RACES as u64, 0));
    world.lambda().killer().kill();
    poll_is_fine(&world, profile);
}

/// What a refresh asks of AWS, in order: the claim, the new secret, its name in the profile.
fn of_refresh(operation: &'static str) -> impl Fn(&Call) -> bool + Send + 'static {
    move |call| {
        call.operation == operation
            && (operation != "dynamodb.UpdateItem"
                || String::from_utf8_lossy(&call.body).contains("claimed_until"))
    }
}

#[test]
fn a_function_that_crashes_during_a_refresh_costs_a_sign_in_only_while_the_new_token_is_nowhere() {
    let steps = [
        // (which call, how many of them before, how it fails, whether the sign-in survives)
        ("dynamodb.UpdateItem", 0, Fault::KillBefore, true),
        ("dynamodb.UpdateItem", 0, Fault::KillAfter, true),
        ("secretsmanager.PutSecretValue", 0, Fault::KillBefore, false),
        ("secretsmanager.PutSecretValue", 0, Fault::KillAfter, true),
        ("dynamodb.UpdateItem", 1, Fault::KillBefore, true),
        ("dynamodb.UpdateItem", 1, Fault::KillAfter, true),
    ];
    let world = World::for_browsers();
    let profile = world.signed_in(Mechanism::Xoauth2);
    for (operation, skip, fault, survives) in steps {
        world.lambda().killer().kill();
        let told = format!("{operation} {skip} {fault:?}");
        world.proxy().fail(skip, 1, fault, &world.lambda().killer(), of_refresh(operation));
        assert_eq!(world.poll_within(POLL_LIMIT), Outcome::Crashed, "{told}");
        world.expire_claim(profile);
        world.poll();
        let state = world.status(profile).state;
        if survives {
            assert_eq!(state, ProfileState::Ok, "{told}: {:?}", world.status(profile));
        } else {
            assert_eq!(state, ProfileState::ReauthorizationRequired, "{told}");
            assert_eq!(world.sign_in(profile, world.login()).status, 200);
        }
    }
}

#[test]
fn answers_of_aws_that_are_lost_cost_no_sign_in() {
    let world = World::for_browsers();
    let profile = world.signed_in(Mechanism::Xoauth2);
    for (operation, skip) in [("secretsmanager.PutSecretValue", 0), ("dynamodb.UpdateItem", 1)] {
        for fault in [Fault::HangUp, Fault::HangUpAfter, Fault::Refuse(500, "InternalServerError")] {
            world.lambda().killer().kill();
            world.proxy().fail(skip, 1, fault.clone(), &world.lambda().killer(), of_refresh(operation));
            world.poll();
            assert_eq!(
                world.status(profile).state,
                ProfileState::Ok,
                "{operation} {fault:?}: {:?}",
                world.status(profile)
            );
        }
    }
}

#[test]
fn a_function_that_is_frozen_once_it_has_answered_costs_no_sign_in() {
    let world = World::for_browsers();
    world.provide_open_id(&json!({}));
    let profile = world.signed_in(Mechanism::Xoauth2);
    // The test gives up on the provider after five seconds, and the request itself after ten.
    let _ = world.open_id().control(&json!({"token_delay_ms": 7000}));
    let test = event("POST", &format!("/profiles/{profile}/test"), None);
    let answer = world.api_function().invoke(test, POLL_LIMIT);
    world.api_function().freeze();
    assert!(matches!(&answer, Outcome::Answered(answer) if answer["statusCode"] == 200), "{answer:?}");
    let _ = world.open_id().control(&json!({"token_delay_ms": 0}));
    // A request that was cut off would hold its claim for a minute.
    world.expire_claim(profile);
    poll_is_fine(&world, profile);
    assert_eq!(refreshed(&world), 2);
}

#[test]
fn a_clock_that_is_five_minutes_off_makes_no_difference() {
    let world = World::for_browsers();
    for offset in [300, -300] {
        world.provide_open_id(&json!({"clock_offset_seconds": offset}));
        let profile = world.signed_in(Mechanism::Xoauth2);
        poll_is_fine(&world, profile);
        let unattended = super::unattended::with_key(&world);
        poll_is_fine(&world, unattended);
        for profile in [profile, unattended] {
            let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
        }
    }
}
