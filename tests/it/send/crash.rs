//! A process that is killed at any moment sends nothing twice and forgets nothing; nor does an AWS that fails.

use std::time::{Duration, Instant};

use mailroom_tests::aws_proxy::Fault as AwsFault;
use mailroom_tests::lambda::Outcome;
use mailroom_tests::smtp_server::{Counts, Fault, Options, Step};
use mailroom_tests::world::{BATCH_LIMIT, World};

use super::{finally, hello};

/// How many calls of AWS a message takes that goes through.
fn calls_of_a_message(world: &World) -> usize {
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    world.submit(profile, &hello());
    drop(world.proxy().take_calls());
    world.send_all();
    let calls = world.proxy().take_calls();
    assert!((8..16).contains(&calls.len()), "{calls:?}");
    calls.len()
}

#[test]
fn killed_at_each_call_of_aws() {
    let world = World::new();
    let calls = calls_of_a_message(&world);
    let smtp = world.smtp_server(&Options::default());
    let (mut sent, mut uncertain) = (0, Vec::new());
    for fault in [AwsFault::KillBefore, AwsFault::KillAfter] {
        for n in 0..calls {
            let profile = world.sender(&smtp, |_| {});
            let id = world.submit(profile, &hello());
            let before = smtp.received().len();
            world.proxy().fail(n, 1, fault.clone(), &world.send_function().killer(), |_| true);
            assert_eq!(world.send_batch(BATCH_LIMIT), Some(Outcome::Crashed), "{fault:?} {n}");
            let last = finally(&world, profile, &id);
            let received = smtp.received().len() - before;
            match last["status"].as_str() {
                Some("sent") => {
                    assert_eq!(received, 1, "{fault:?} {n}: {last}");
                    sent += 1;
                }
                Some("uncertain") => {
                    assert!(received <= 1, "{fault:?} {n}: {last}");
                    uncertain.push((format!("{fault:?}"), n, received));
                }
                other => panic!("{fault:?} {n}: {other:?} {last}"),
            }
            let told: Vec<_> = world.outcomes();
            assert!(
                told.iter().any(|told| told["id"] == id.as_str()),
                "{fault:?} {n}: its outcome was not told"
            );
        }
    }
    println!("killed {} times: {sent} sent once, uncertain {uncertain:?}", 2 * calls);
    // The one moment of doubt: from where the dot is written down to where its answer is.
    assert!(uncertain.len() <= 3, "{uncertain:?}");
}

#[test]
fn aws_that_refuses_or_hangs_up_at_each_call() {
    let world = World::new();
    let calls = calls_of_a_message(&world);
    let smtp = world.smtp_server(&Options::default());
    let (mut sent, mut uncertain) = (0, 0);
    for (fault, times) in [
        // The answer to one is lost, and the SDK asks again.
        (AwsFault::HangUpAfter, 1),
        // It is out of order for longer than the SDK has patience.
        (AwsFault::Refuse(500, "InternalServerError"), 4),
    ] {
        for n in 0..calls {
            let profile = world.sender(&smtp, |_| {});
            let id = world.submit(profile, &hello());
            let before = smtp.received().len();
            world.proxy().fail(n, times, fault.clone(), &world.send_function().killer(), |_| true);
            let outcome = world.send_batch(BATCH_LIMIT);
            assert!(matches!(outcome, Some(Outcome::Answered(_))), "{fault:?} {n}: {outcome:?}");
            let last = finally(&world, profile, &id);
            let received = smtp.received().len() - before;
            if last["status"] == "sent" {
                assert_eq!(received, 1, "{fault:?} {n}: {last}");
                sent += 1;
            } else {
                assert_eq!(last["status"], "uncertain", "{fault:?} {n}: {last}");
                assert!(received <= 1 && times > 1, "{fault:?} {n}: {last}");
                uncertain += 1;
            }
            // What has not failed as often as it was to is over.
            world.proxy().forget_faults();
        }
    }
    println!("{} failures: {sent} sent once, {uncertain} uncertain", 2 * calls);
    assert!(uncertain <= 2);
}

/// How often a step was reached.
fn reached(step: Step, counts: Counts) -> u64 {
    match step {
        Step::Greeting => counts.connections,
        Step::Ehlo => counts.ehlos,
        Step::StartTls => counts.start_tls,
        Step::Auth => counts.auths,
        Step::Mail => counts.mail_commands,
        Step::Rcpt => counts.rcpts,
        Step::Data | Step::Body => counts.datas,
        Step::Dot | Step::Stored => counts.contents,
        Step::Rset => counts.rsets,
        Step::Quit => counts.quits,
    }
}

#[test]
fn killed_while_the_server_thinks() {
    let world = World::new();
    for step in [
        Step::Greeting,
        Step::Ehlo,
        Step::StartTls,
        Step::Auth,
        Step::Mail,
        Step::Rcpt,
        Step::Data,
        Step::Body,
        Step::Dot,
        Step::Stored,
    ] {
        let smtp = world.smtp_server(&Options::default());
        smtp.fault(step, Fault::Hang);
        let profile = world.sender(&smtp, |_| {});
        let id = world.submit(profile, &hello());
        let batch = world.aws().deliver(&world.stack().queues.send, 10);
        let pending = world.begin_batch(&batch, BATCH_LIMIT);
        let begun = Instant::now();
        while reached(step, smtp.counts()) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{step:?} is not reached");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whatever it has to write before it waits is written by then.
        std::thread::sleep(Duration::from_millis(300));
        world.send_function().killer().kill();
        assert_eq!(pending.wait(), Outcome::Crashed);
        smtp.clear();
        let last = finally(&world, profile, &id);
        let (expected, received) = match step {
            // A small message is out as a whole, and so is its dot, before the server has read any of it.
            Step::Body | Step::Dot => ("uncertain", 0),
            Step::Stored => ("uncertain", 1),
            _ => ("sent", 1),
        };
        assert_eq!(
            (last["status"].as_str(), smtp.received().len()),
            (Some(expected), received),
            "{step:?}: {last}"
        );
    }
}

#[test]
fn a_message_that_crashes_the_function_five_times_is_given_up() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    for _ in 0..5 {
        // Right after the claim: the second write of a message.
        world.proxy().fail_next(AwsFault::KillAfter, &world.send_function().killer(), |call| {
            call.operation == "dynamodb.PutItem" && call.about.contains("\"lease\"")
        });
        assert_eq!(world.send_batch(BATCH_LIMIT), Some(Outcome::Crashed));
        world.hurry(profile, &id);
    }
    world.send_all();
    let last = world.message(profile, &id);
    assert_eq!(
        (last["status"].as_str(), last["error"]["code"].as_str()),
        (Some("failed"), Some("internal")),
        "{last}"
    );
    assert_eq!((smtp.received().len(), world.aws().depth(&world.stack().queues.send_dead)), (0, 1));
}

#[test]
fn two_functions_with_one_message_send_it_once() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let other = world.another_send_function();
    for _ in 0..10 {
        let profile = world.sender(&smtp, |_| {});
        let id = world.submit(profile, &hello());
        let before = smtp.received().len();
        let batch = world.aws().deliver(&world.stack().queues.send, 10);
        let one = world.begin_batch(&batch, BATCH_LIMIT);
        let two = world.begin_batch_of(&other, &batch, BATCH_LIMIT);
        assert!(matches!((one.wait(), two.wait()), (Outcome::Answered(_), Outcome::Answered(_))));
        assert_eq!(finally(&world, profile, &id)["status"], "sent");
        assert_eq!(smtp.received().len() - before, 1);
    }
}
