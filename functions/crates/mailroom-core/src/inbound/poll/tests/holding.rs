//! Messages that are held back because a renumbering found too many.

use super::world::{Fault, MESSAGE, Stored, T0, World};
use super::{READ, at, nothing};
use crate::inbound::cursor::{Cursor, UidValidity};
use crate::inbound::held_back::Answer;
use crate::inbound::poll::{Invocation, PollOutcome};
use crate::warning::{WarningCode, warnings};

/// A mailbox with so many messages, recreated since the last poll.
fn recreated(count: usize) -> World {
    let message = |n: usize| Stored { content: u8::try_from(n % 251).unwrap(), ..MESSAGE };
    let mut world = World::new((0..count).map(message));
    world.profile.cursor = Some(Cursor::new(UidValidity::new(9), 7, T0 - time::Duration::HOUR));
    world
}

fn accept(world: &mut World) {
    world.profile.held_back.as_mut().unwrap().answer = Answer::Accepted;
}

#[test]
fn a_thousand_messages_are_handed_over_without_a_question() {
    let mut world = recreated(1000);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!((world.last_uid(), world.profile.held_back), (1000, None));
    assert!(!world.queue.is_empty());
}

#[test]
fn a_flood_waits_for_its_owner_and_new_messages_go_on() {
    let mut world = recreated(1100);
    assert_eq!(world.poll(Invocation::Shared, nothing).unwrap().unwrap(), READ);
    assert_eq!((world.last_uid(), world.queue.len()), (1100, 0));
    let warning = warnings(&world.profile, world.moment.now).remove(0);
    assert_eq!(warning.code, WarningCode::ManyMessagesRecovered);
    assert!(warning.message.contains("1100 messages"), "{}", warning.message);

    world.mailbox.insert(1101, Stored { content: 255, ..MESSAGE });
    let outcome = world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!((outcome, world.last_uid()), (PollOutcome::Read { handed_over: 1, more: false }, 1101));
    assert_eq!(world.poll(Invocation::Shared, nothing).unwrap().unwrap(), READ);
    assert_eq!(world.steps, ["Open", "LogOut"]);

    accept(&mut world);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.steps, ["Open", "LogOut", "PollAgain"]);
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert_eq!((world.profile.held_back, world.last_uid(), world.queue.len()), (None, 1101, 252));
    assert!(warnings(&world.profile, world.moment.now).is_empty());
    assert_eq!(world.poll(Invocation::Dedicated, nothing).unwrap().unwrap(), READ);
    assert_eq!(world.steps, ["Open", "LogOut"]);
}

#[test]
fn a_flood_is_handed_over_in_parts_after_what_is_new() {
    let mut world = recreated(1100);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    accept(&mut world);
    world.mailbox.insert(1101, Stored { content: 252, ..MESSAGE });
    // Time allows for one page at each poll.
    let mut polls = 0;
    while world.profile.held_back.is_some() {
        let outcome = world.poll(Invocation::Dedicated, at("ReadLedger", Fault::Slow(50))).unwrap().unwrap();
        assert!(matches!(outcome, PollOutcome::Read { .. }), "{outcome:?}");
        polls += 1;
        assert!(polls < 30, "{:?}", world.profile.held_back);
    }
    assert!(polls > 1);
    assert_eq!((world.last_uid(), world.queue.len()), (1101, 252));
}

#[test]
fn a_run_that_crashes_while_it_hands_a_flood_over_repeats_one_page() {
    let mut world = recreated(1100);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    accept(&mut world);
    let mut moves = 0;
    let crash = |step: &crate::inbound::step::Step<'_>| {
        moves += usize::from(super::name(step) == "MoveCursor");
        if moves == 3 { Fault::Crash } else { Fault::Nothing }
    };
    assert!(world.poll(Invocation::Dedicated, crash).is_none());
    world.moment.now += time::Duration::minutes(10);
    for _ in 0..20 {
        world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    }
    assert_eq!((world.profile.held_back, world.last_uid(), world.queue.len()), (None, 1100, 251));
}
