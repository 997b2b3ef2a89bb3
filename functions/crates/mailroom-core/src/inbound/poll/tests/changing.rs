//! Changes in the mailbox that fail after the hand-over.

use super::world::{Fault, MESSAGE, Stored, World, uid};
use super::{READ, at, nothing};
use crate::inbound::cursor::Uid;
use crate::inbound::poll::{Invocation, PollOutcome};
use crate::profile::AfterFetch;
use crate::warning::{WarningCode, warnings};

const REFUSED: Fault = Fault::Unchanged { session_ended: false };

fn marked(world: &World) -> Vec<u32> {
    world.marked.iter().map(|uid| uid.get()).collect()
}

fn overdue(world: &World) -> Vec<Uid> {
    world.profile.overdue.as_ref().map(|overdue| overdue.untouched.clone()).unwrap_or_default()
}

#[test]
fn a_change_that_fails_is_told_and_made_later_together_with_those_of_new_messages() {
    let mut world = World::new([MESSAGE]);
    world.poll(Invocation::Shared, at("MarkSeen", REFUSED)).unwrap().unwrap();
    assert_eq!((world.last_uid(), overdue(&world)), (1, vec![uid(1)]));
    let warning = warnings(&world.profile, world.moment.now).remove(0);
    assert_eq!(warning.code, WarningCode::AfterFetchFails);
    assert!(warning.message.contains("The mailbox is read-only."), "{}", warning.message);

    // It waits, and so does every message that arrives before the next try.
    world.mailbox.insert(2, Stored { content: 2, ..MESSAGE });
    let outcome = world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert_eq!(outcome, PollOutcome::Read { handed_over: 1, more: false });
    assert!(!world.steps.contains(&"MarkSeen".to_owned()), "{:?}", world.steps);
    assert_eq!(overdue(&world), [uid(1), uid(2)]);

    // Beside others it is only asked for: a server that falls silent holds up its own poll alone.
    world.moment.now += time::Duration::minutes(6);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.steps[..3], ["Open", "LogOut", "PollAgain"]);
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert_eq!(world.steps, ["Open", "Lease", "FindQueue", "MarkSeen", "MoveCursor", "LogOut"]);
    assert_eq!((marked(&world), &world.profile.overdue), (vec![1, 2], &None));
    assert!(warnings(&world.profile, world.moment.now).is_empty());
    assert_eq!(world.poll(Invocation::Dedicated, nothing).unwrap().unwrap(), READ);
    assert_eq!(world.steps, ["Open", "LogOut"]);
}

#[test]
fn a_try_that_fails_again_comes_after_the_new_messages() {
    let mut world = World::new([MESSAGE]);
    world.poll(Invocation::Shared, at("MarkSeen", REFUSED)).unwrap().unwrap();
    world.moment.now += time::Duration::minutes(6);
    world.mailbox.insert(2, Stored { content: 2, ..MESSAGE });
    world.poll(Invocation::Dedicated, at("MarkSeen", REFUSED)).unwrap().unwrap();
    let at = |wanted: &str| world.steps.iter().position(|step| step == wanted).unwrap();
    assert!(at("HandOver") < at("MoveCursor") && at("MoveCursor") < at("MarkSeen"), "{:?}", world.steps);
    let overdue = world.profile.overdue.as_ref().unwrap();
    assert_eq!((overdue.tries, overdue.count(), world.last_uid()), (2, 2, 2));
}

#[test]
fn a_change_that_ends_the_session_leaves_the_rest_to_another_poll() {
    let large = |content| Stored { size: 10_000_000, content, ..MESSAGE };
    let mut world = World::new([large(1), large(2)]);
    let ended = Fault::Unchanged { session_ended: true };
    let outcome = world.poll(Invocation::Shared, at("MarkSeen", ended)).unwrap().unwrap();
    assert_eq!(outcome, PollOutcome::Read { handed_over: 1, more: true });
    assert_eq!(
        world.steps[world.steps.len() - 5..],
        ["MoveCursor", "Release", "LogOut", "PollAgain", "Record"]
    );
    assert_eq!((world.last_uid(), world.tries), (1, 0));
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert_eq!((world.last_uid(), overdue(&world)), (2, vec![uid(1), uid(2)]));
}

#[test]
fn an_edit_is_followed_by_a_try_or_by_none() {
    for (after_fetch, tried) in [(AfterFetch::MarkSeen, true), (AfterFetch::Keep, false)] {
        let mut world = World::new([MESSAGE]);
        world.poll(Invocation::Shared, at("MarkSeen", REFUSED)).unwrap().unwrap();
        world.profile.version += 1;
        world.profile.settings.after_fetch = after_fetch;
        world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
        assert_eq!(world.steps.contains(&"MarkSeen".to_owned()), tried);
        assert_eq!((marked(&world).len(), &world.profile.overdue), (usize::from(tried), &None));
    }
}

#[test]
fn what_was_due_under_other_uids_is_dropped() {
    let mut world = World::new([MESSAGE]);
    world.poll(Invocation::Shared, at("MarkSeen", REFUSED)).unwrap().unwrap();
    let overdue = world.profile.overdue.as_mut().unwrap();
    overdue.uid_validity = crate::inbound::cursor::UidValidity::new(77);
    world.moment.now += time::Duration::HOUR;
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert!(!world.steps.contains(&"MarkSeen".to_owned()), "{:?}", world.steps);
    assert_eq!(world.profile.overdue, None);
}
