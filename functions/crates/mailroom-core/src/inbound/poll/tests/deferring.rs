//! What a poll does with messages that it cannot read.

use std::collections::BTreeSet;

use super::world::{Fault, Kind, MESSAGE, Stored, World, name, uid};
use super::*;
use crate::inbound::job::{Digest, JobId};
use crate::inbound::pending::Extent;

/// Polls until the cursor has passed all messages, `fault` being what the second of three does to a fetch. The number of
/// polls.
fn polls_past(fault: Fault) -> (World, usize) {
    let messages = (0..3).map(|content| Stored { content, ..MESSAGE });
    let mut world = World::new(messages);
    for polls in 1..20 {
        let invocation = if polls % 2 == 0 { Invocation::Shared } else { Invocation::Dedicated };
        let _ = world.poll(invocation, of_message(2, fault));
        if world.last_uid() == 3 {
            return (world, polls);
        }
    }
    panic!("stuck at {}", world.last_uid())
}

/// What the fetch of a message does, and nothing else.
fn of_message(suspect: u32, fault: Fault) -> impl FnMut(&Step<'_>) -> Fault {
    move |step| {
        let Step::Fetch { page, isolation } = step else { return Fault::Nothing };
        let suspected = page.iter().any(|message| message.uid == uid(suspect));
        if suspected && *isolation != Isolation::QuarantineUnfetched { fault } else { Fault::Nothing }
    }
}

/// What a message that cannot be read does.
const UNREADABLE: [Fault; 4] =
    [Fault::Before(Kind::Suspect), Fault::Before(Kind::Owner), Fault::Before(Kind::OutOfTime), Fault::Crash];

#[test]
fn a_message_that_cannot_be_read_is_deferred_and_those_behind_it_go_on() {
    for fault in UNREADABLE {
        let (world, polls) = polls_past(fault);
        assert_eq!(world.queue.len(), 2, "{fault:?}");
        let deferred: Vec<u32> = world.profile.deferred.iter().map(|entry| entry.message.uid.get()).collect();
        assert_eq!(deferred, [2]);
        assert!(world.quarantined.is_empty());
        assert!(polls < 14, "{polls} polls");
    }
}

#[test]
fn a_message_that_is_not_listed_is_deferred_at_once_and_becomes_its_job_when_it_can_be_had() {
    let mut world = World::new((0..3).map(|content| Stored { content, hidden: content == 1, ..MESSAGE }));
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!((world.queue.len(), world.last_uid(), world.polls_asked_for), (2, 3, 1));
    assert!(world.steps.contains(&"ListAgain".to_owned()));
    let hidden = world.profile.deferred[0];
    assert_eq!((hidden.message.uid, hidden.message.extent), (uid(2), Extent::Unlisted));
    // It still cannot be had; then it can.
    let _ = world.poll(Invocation::Dedicated, of_message(2, Fault::Before(Kind::Suspect)));
    assert_eq!((world.queue.len(), world.profile.deferred.len()), (2, 1));
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert_eq!((world.queue.len(), world.profile.deferred.len()), (3, 0));
    assert!(world.quarantined.is_empty());
}

#[test]
fn more_messages_than_can_be_deferred_are_not_passed() {
    // Every other one of 120 is hidden.
    let messages = (0..120).map(|content| Stored { content, hidden: content % 2 == 0, ..MESSAGE });
    let mut world = World::new(messages);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!((world.profile.deferred.len(), world.last_uid()), (50, 100));
    let outcome = world.poll(Invocation::Shared, |step| of_message(1, Fault::Before(Kind::Suspect))(step));
    assert!(matches!(outcome.unwrap().unwrap(), PollOutcome::Failed(_)));
    assert_eq!(world.last_uid(), 100);
}

#[test]
fn a_deferred_message_that_can_be_read_later_becomes_its_job() {
    for fault in UNREADABLE {
        let (mut world, _) = polls_past(fault);
        world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
        assert_eq!((world.queue.len(), world.profile.deferred.len()), (3, 0), "{fault:?}");
        assert!(world.quarantined.is_empty());
        world.poll(Invocation::Shared, nothing).unwrap().unwrap();
        assert_eq!(world.steps, ["Open", "LogOut"]);
    }
}

#[test]
fn a_message_that_stays_unreadable_is_quarantined_once_and_superseded_when_it_can_be_read() {
    for fault in UNREADABLE {
        let (mut world, _) = polls_past(fault);
        let deferred_at = world.profile.deferred[0].since;
        for _ in 0..80 {
            let _ = world.poll(Invocation::Dedicated, of_message(2, fault));
            if !world.quarantined.is_empty() {
                let after = world.moment.now - deferred_at;
                assert!(after >= crate::inbound::deferred::QUARANTINE_AFTER, "{fault:?}: after {after}");
            }
        }
        assert_eq!(world.quarantined, BTreeSet::from([2]), "{fault:?}");
        assert_eq!(world.queue.len(), 3);
        assert!(world.superseded.is_empty());
        // What crashed again and again is tried once a day.
        for _ in 0..4 {
            world.moment.now += time::Duration::DAY;
            let _ = world.poll(Invocation::Dedicated, nothing);
        }
        let quarantine = JobId::new(world.profile.id, Digest::of_place("INBOX", Some(1), 2));
        assert_eq!(world.superseded, [quarantine]);
        assert_eq!((world.queue.len(), world.profile.deferred.len()), (4, 0));
    }
}

#[test]
fn an_outage_defers_and_quarantines_nothing_however_long_it_lasts() {
    let messages = (0..3).map(|content| Stored { content, ..MESSAGE });
    let mut world = World::new(messages);
    for polls in 0..400 {
        let invocation = if polls % 2 == 0 { Invocation::Shared } else { Invocation::Dedicated };
        let another = if polls % 3 == 0 { Fault::Before(Kind::Owner) } else { Fault::Refuse };
        let _ = world.poll(invocation, |step| match name(step).as_str() {
            "Fetch" => Fault::Before(Kind::Suspect),
            "FetchAnother" => another,
            _ => Fault::Nothing,
        });
        assert!(world.profile.deferred.is_empty() && world.quarantined.is_empty());
    }
    for _ in 0..3 {
        let _ = world.poll(Invocation::Dedicated, nothing);
    }
    // In their order, though they were suspected.
    let order: Vec<Digest> = (0..3).map(|content| Digest::of(&[content])).collect();
    assert_eq!(world.queue, order);
}

#[test]
fn an_outage_after_a_deferral_quarantines_nothing() {
    let (mut world, _) = polls_past(UNREADABLE[0]);
    for _ in 0..100 {
        let _ = world.poll(Invocation::Dedicated, |step| {
            if name(step) == "FetchAnother" { Fault::Refuse } else { of_message(2, UNREADABLE[0])(step) }
        });
    }
    assert!(world.quarantined.is_empty());
    assert_eq!(world.profile.deferred.len(), 1);
}

#[test]
fn a_message_that_breaks_each_listing_is_found_and_deferred_and_those_around_it_go_on() {
    for breaking in [1, 57, 150] {
        let mut world = World::new((0..150).map(|content| Stored { content, ..MESSAGE }));
        world.breaking = Some(breaking);
        world.poll(Invocation::Shared, nothing).unwrap().unwrap();
        let deferred: Vec<u32> = world.profile.deferred.iter().map(|entry| entry.message.uid.get()).collect();
        assert_eq!((deferred, world.last_uid()), (vec![breaking], 150), "{:?}", world.steps);
        assert_eq!(world.queue.len(), 149);
        assert_eq!(world.statuses.last().unwrap().state, ProfileState::Ok);
    }
}

#[test]
#[expect(clippy::wildcard_enum_match_arm, reason = "the other steps list nothing")]
fn a_message_over_whose_listing_the_session_ends_is_found_as_well() {
    let mut world = World::new((0..150).map(|content| Stored { content, ..MESSAGE }));
    let mut polls = 0;
    while world.last_uid() < 150 {
        polls += 1;
        assert!(polls < 10, "stuck at {}", world.last_uid());
        let _ = world.poll(Invocation::Shared, |step| {
            let window = match step {
                Step::Open { list_above: Some(above), .. } => Some((*above, WINDOW)),
                Step::List { above, width } => Some((*above, *width)),
                _ => None,
            };
            let breaks = window.is_some_and(|(above, width)| above < 57 && 57 <= above.saturating_add(width));
            if breaks { Fault::Before(Kind::Owner) } else { Fault::Nothing }
        });
    }
    assert_eq!((world.queue.len(), world.profile.deferred.len()), (149, 1));
}

#[test]
fn an_outage_of_listings_defers_nothing() {
    let mut world = World::new((0..3).map(|content| Stored { content, ..MESSAGE }));
    for _ in 0..40 {
        let _ = world.poll(Invocation::Shared, |step| match name(step).as_str() {
            "Open" | "List" => Fault::Before(Kind::Owner),
            "FetchAnother" => Fault::Refuse,
            _ => Fault::Nothing,
        });
        assert!(world.profile.deferred.is_empty() && world.profile.cursor.is_none());
    }
    // The mailbox opens, and nothing can be had of it.
    for _ in 0..10 {
        let _ = world.poll(Invocation::Shared, |step| match (name(step).as_str(), step) {
            ("Open", Step::Open { list_above: Some(_), .. }) | ("List", _) => Fault::Before(Kind::Owner),
            ("FetchAnother", _) => Fault::Refuse,
            _ => Fault::Nothing,
        });
        assert!(world.profile.deferred.is_empty() && world.profile.cursor.is_none());
    }
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.queue.len(), 3);
}

#[test]
fn whatever_the_fences_of_the_leases_each_other_message_is_asked_for() {
    for (others, step) in (2..=9_u64).flat_map(|others| [1, 2, 4, 60, 300].map(|step| (others, step))) {
        let asked = (0..400).map(|n| crate::jitter::scattered(n * step) % others);
        assert_eq!(
            asked.collect::<BTreeSet<u64>>().len(),
            usize::try_from(others).unwrap(),
            "{others} {step}"
        );
    }
}

#[test]
fn jobs_whose_answer_was_lost_are_sent_again_with_a_word() {
    let mut world = World::new([MESSAGE]);
    let lost = |step: &Step<'_>| match name(step).as_str() {
        "HandOver" => Fault::After(Kind::Service),
        _ => Fault::Nothing,
    };
    assert!(world.poll(Invocation::Shared, lost).unwrap().is_err());
    let mut redelivered = None;
    let watch = |step: &Step<'_>| {
        if let Step::Store(_, notes) = step {
            redelivered = Some(notes.may_repeat(uid(1)));
        }
        Fault::Nothing
    };
    world.poll(Invocation::Dedicated, watch).unwrap().unwrap();
    assert_eq!(redelivered, Some(true));
}
