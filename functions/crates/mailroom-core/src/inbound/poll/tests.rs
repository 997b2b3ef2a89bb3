//! What a poll does, driven by a world that remembers and fails as the tests want it.

mod changing;
mod deferring;
mod holding;
mod world;

use proptest::prelude::*;

use self::world::{Fault, Kind, MESSAGE, POLL_TIME, Stored, T0, World, name, profile, uid};
use super::leasing::lease_until;
use super::*;
use crate::health::{ProfileState, SkippedSeen};
use crate::inbound::job::Digest;
use crate::inbound::schedule::PollRequest;
use crate::profile::{RefreshInterval, Settings, StartFrom};

fn nothing(_: &Step<'_>) -> Fault {
    Fault::Nothing
}

/// Fails the first step of this name.
fn at(wanted: &'static str, fault: Fault) -> impl FnMut(&Step<'_>) -> Fault {
    let mut fault = Some(fault);
    move |step| if name(step) == wanted { fault.take().unwrap_or(Fault::Nothing) } else { Fault::Nothing }
}

const READ: PollOutcome = PollOutcome::Read { handed_over: 0, more: false };

#[test]
fn a_poll_with_a_new_message_takes_these_steps() {
    let mut world = World::new([MESSAGE]);
    let outcome = world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(outcome, PollOutcome::Read { handed_over: 1, more: false });
    let steps = [
        "Open",
        "Lease",
        "FindQueue",
        "Fetch",
        "ReadLedger",
        "Store",
        "CheckLater",
        "HandOver",
        "NoteHandedOver",
        "MarkSeen",
        "MoveCursor",
        "LogOut",
        "Record",
    ];
    assert_eq!(world.steps, steps);
    assert_eq!(world.statuses[0].state, ProfileState::Ok);
}

#[test]
fn an_idle_poll_opens_the_mailbox_and_writes_nothing() {
    let mut world = World::new([MESSAGE]);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.poll(Invocation::Shared, nothing).unwrap().unwrap(), READ);
    assert_eq!(world.steps, ["Open", "LogOut"]);
}

#[test]
fn what_is_not_wanted_only_moves_the_cursor() {
    let mut world = World::new([Stored { seen: true, ..MESSAGE }; 2]);
    assert_eq!(world.poll(Invocation::Shared, nothing).unwrap().unwrap(), READ);
    assert_eq!(world.steps, ["Open", "Lease", "FindQueue", "MoveCursor", "LogOut", "Record"]);
    assert_eq!(world.last_uid(), 2);
}

#[test]
fn messages_that_someone_has_read_are_counted_when_the_cursor_passes_them() {
    let seen = Stored { seen: true, ..MESSAGE };
    let large = |content| Stored { size: 10_000_000, content, ..MESSAGE };
    let mut world = World::new([seen, large(1), seen, large(2), seen]);
    // Time allows for the first page only: the cursor passes the first two.
    world.poll(Invocation::Shared, at("Fetch", Fault::Slow(25))).unwrap().unwrap();
    assert_eq!((world.last_uid(), world.profile.skipped_seen.count), (2, 1));
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    let SkippedSeen { count, last_at } = world.profile.skipped_seen;
    assert_eq!((world.last_uid(), count), (5, 3));
    // Nothing was passed since.
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.profile.skipped_seen, SkippedSeen { count: 3, last_at });
    assert!(last_at.is_some_and(|at| at > T0));
}

#[test]
fn messages_that_a_run_may_have_marked_itself_are_not_counted_as_read_by_others() {
    let mut world = World::new([MESSAGE]);
    assert!(world.poll(Invocation::Shared, at("MoveCursor", Fault::Crash)).is_none());
    world.mailbox.insert(1, Stored { seen: true, ..MESSAGE });
    let _ = world.poll(Invocation::Dedicated, nothing);
    assert_eq!((world.last_uid(), world.profile.skipped_seen.count), (1, 0));
}

#[test]
fn a_queue_that_takes_no_jobs_is_named_and_no_message_is_passed() {
    let mut world = World::new([MESSAGE]);
    let outcome = world.poll(Invocation::Shared, at("HandOver", Fault::Before(Kind::Queue))).unwrap();
    assert!(matches!(outcome, Err(PortError::QueueRefused { .. })), "{outcome:?}");
    let error = world.statuses[0].error.as_ref().unwrap();
    assert_eq!((error.code, world.last_uid()), (ErrorCode::JobQueue, 0));
    assert!(error.message.contains("https://sqs.invalid/1/orders of the flow schema"), "{}", error.message);
    assert!(error.message.contains("(AccessDenied)"), "{}", error.message);
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.last_uid(), 1);
}

#[test]
fn a_pause_that_a_long_interval_would_prolong_ends_with_a_poll_that_was_asked_for() {
    let mut world = World::new([MESSAGE]);
    world.profile.settings.refresh_interval = RefreshInterval::from_seconds(3600).unwrap();
    let outcome = world.poll(Invocation::Shared, at("Open", Fault::Before(Kind::Owner))).unwrap().unwrap();
    assert!(matches!(outcome, PollOutcome::Failed(_)), "{outcome:?}");
    // Before the record: no status names a time that nobody keeps.
    assert_eq!(world.steps, ["Open", "Retry", "Record"]);
    let not_before = world.statuses[0].not_before.unwrap();
    let asked = PollRequest::Retry { profile: world.profile.id, not_before };
    let (request, delay) = &world.retries[0];
    assert_eq!(*request, asked);
    assert!(world.moment.now + *delay > not_before, "{delay:?}");

    // What cannot be asked for is still recorded, and the error told.
    let mut failures = 0;
    let fails = |step: &Step<'_>| match name(step).as_str() {
        "Open" => Fault::Before(Kind::Owner),
        "Retry" => {
            failures += 1;
            Fault::Before(Kind::Service)
        }
        _ => Fault::Nothing,
    };
    assert!(world.poll(Invocation::Shared, fails).unwrap().is_err());
    assert_eq!((failures, world.statuses.len(), world.retries.len()), (1, 2, 1));
}

#[test]
fn another_runs_lease_ends_the_poll() {
    let mut world = World::new([MESSAGE]);
    world.lease = Some(T0 + time::Duration::hours(1));
    let mut poll = Poll::new(world.profile.clone(), Invocation::Shared, world.moment);
    while poll.next() != Step::Finish {
        let event = world.perform(poll.next(), Fault::Nothing).unwrap();
        poll.tell(Ok(event), world.moment);
    }
    assert_eq!(poll.finish().unwrap(), PollOutcome::NotLeased);
    assert!(world.statuses.is_empty());
}

#[test]
fn a_profile_without_a_host_is_its_owners_to_fix() {
    let profile = Profile { settings: Settings { imap: None, ..profile().settings }, ..profile() };
    let poll = Poll::new(profile, Invocation::Shared, Moment { now: T0, left: POLL_TIME });
    assert!(
        matches!(poll.next(), Step::Record { status, .. } if status.state == ProfileState::Misconfigured)
    );
}

#[test]
fn a_profile_that_was_edited_is_polled_again() {
    let mut world = World::new([MESSAGE]);
    let mut poll = Poll::new(world.profile.clone(), Invocation::Shared, world.moment);
    world.profile.version += 1;
    while poll.next() != Step::Finish {
        world.steps.push(name(&poll.next()));
        let event = world.perform(poll.next(), Fault::Nothing).unwrap();
        poll.tell(Ok(event), world.moment);
    }
    assert_eq!(world.steps, ["Open", "Lease", "Release", "PollAgain"]);
    assert_eq!((poll.finish().unwrap(), world.tries), (PollOutcome::Postponed, 0));
}

#[test]
fn the_end_of_a_mailbox_without_uidnext_is_looked_up() {
    let now = Moment { now: T0, left: POLL_TIME };
    let profile =
        Profile { settings: Settings { start_from: StartFrom::Now, ..profile().settings }, ..profile() };
    let state = MailboxState { exists: 20_000, ..MailboxState::default() };
    let mut poll = Poll::new(profile.clone(), Invocation::Shared, now);
    poll.tell(Ok(Event::Opened(state, None)), now);
    assert_eq!(poll.next(), Step::FindLast);
    poll.tell(Ok(Event::LastFound(Some(uid(70_000)))), now);
    assert!(matches!(poll.next(), Step::FindStart(_)), "{:?}", poll.next());
    poll.tell(Ok(Event::StartFound(None)), now);
    assert!(matches!(poll.next(), Step::Lease { .. }), "{:?}", poll.next());
    // Where the server does not say, nothing is taken for handled.
    let mut poll = Poll::new(profile, Invocation::Shared, now);
    poll.tell(Ok(Event::Opened(state, None)), now);
    poll.tell(Ok(Event::LastFound(None)), now);
    assert!(matches!(poll.next(), Step::Record { status, .. } if status.state == ProfileState::Failing));
}

#[test]
fn a_mailbox_of_a_million_messages_is_listed_once_from_beginning_to_end() {
    let mut world = World::new((0..30).map(|_| Stored { seen: true, ..MESSAGE }));
    // A new message above all the others, and a gap of UIDs between them.
    world.mailbox.insert(1_000_000, Stored { content: 9, ..MESSAGE });
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!((world.queue.len(), world.last_uid()), (1, 1_000_000));
    let listings = |name: &str| world.steps.iter().filter(|step| *step == name).count();
    // After the first 10,000 UIDs: 10,000, 80,000, 640,000 and 5,120,000. Where a window is empty, a search confirms it.
    assert_eq!((listings("List"), listings("ListAgain")), (4, 4), "{:?}", world.steps);
}

#[test]
fn what_time_does_not_allow_is_left_to_the_next_poll() {
    let mut world = World::new([Stored { size: 10_000_000, ..MESSAGE }; 3]);
    let outcome = world.poll(Invocation::Shared, at("Fetch", Fault::Slow(25))).unwrap().unwrap();
    assert_eq!(outcome, PollOutcome::Read { handed_over: 1, more: true });
    // The next page may take as long as the slowest one, twice.
    assert_eq!((world.last_uid(), world.tries, world.polls_asked_for), (1, 0, 1));
    assert_eq!(world.steps[world.steps.len() - 4..], ["Release", "LogOut", "PollAgain", "Record"]);
}

#[test]
fn a_server_that_is_late_with_a_later_page_does_not_fail_the_poll() {
    let late = |failing_page: u32| {
        let mut world = World::new([Stored { size: 10_000_000, ..MESSAGE }; 3]);
        let mut poll = Poll::new(world.profile.clone(), Invocation::Shared, world.moment);
        loop {
            let step = poll.next();
            if let Step::Fetch { page, .. } = &step
                && page[0].uid == uid(failing_page)
            {
                world.moment.left = Duration::ZERO;
                poll.tell(Err(Kind::Owner.failure()), world.moment);
                continue;
            }
            if step == Step::Finish {
                return poll.finish().unwrap();
            }
            let event = world.perform(step, Fault::Nothing).unwrap();
            poll.tell(Ok(event), world.moment);
        }
    };
    assert_eq!(late(2), PollOutcome::Read { handed_over: 1, more: true });
    // Nothing was achieved.
    assert!(matches!(late(1), PollOutcome::Failed(_)));
}

#[test]
fn a_lease_ends_with_the_polls_time_or_after_a_minute() {
    let until =
        |invocation, left| lease_until(invocation, Moment { now: T0, left: Duration::from_secs(left) }) - T0;
    assert_eq!(until(Invocation::Shared, 8), time::Duration::seconds(11));
    assert_eq!(until(Invocation::Shared, 600), time::Duration::seconds(60));
    // A message that is fetched alone may take all of the invocation.
    assert_eq!(until(Invocation::Dedicated, 110), time::Duration::seconds(113));
}

#[test]
fn a_failure_is_told_to_the_owner_and_the_lease_released() {
    for (kind, tries) in [(Kind::Owner, 1), (Kind::Suspect, 1), (Kind::Service, 0)] {
        let mut world = World::new([MESSAGE]);
        let result = world.poll(Invocation::Shared, at("Fetch", Fault::Before(kind))).unwrap();
        assert_eq!(result.is_err(), kind == Kind::Service);
        assert_eq!(world.steps, ["Open", "Lease", "FindQueue", "Fetch", "Release", "Record"]);
        assert_eq!((world.tries, world.statuses[0].state), (tries, ProfileState::Failing));
        assert!(world.statuses[0].error.as_ref().unwrap().message.contains("tries again by itself"));
    }
}

#[test]
fn a_lease_that_is_lost_or_in_doubt_is_left_alone() {
    for (kind, last) in [(Kind::Lost, "MoveCursor"), (Kind::OutOfTime, "Record")] {
        let mut world = World::new([MESSAGE]);
        world.poll(Invocation::Shared, at("MoveCursor", Fault::Before(kind))).unwrap().unwrap();
        assert_eq!(world.steps.last().unwrap(), last);
        assert_eq!((world.lease.is_some(), world.tries), (true, 1));
    }
}

#[test]
fn a_release_that_fails_is_not_tried_again() {
    let mut world = World::new([MESSAGE]);
    let mut faults = [at("Fetch", Fault::Before(Kind::Suspect)), at("Release", Fault::Before(Kind::Service))];
    let both = |step: &Step<'_>| {
        let [fetch, release] = &mut faults;
        if name(step) == "Fetch" { fetch(step) } else { release(step) }
    };
    // The owner is told of the first failure, and the lease runs out.
    assert!(matches!(world.poll(Invocation::Shared, both).unwrap().unwrap(), PollOutcome::Failed(_)));
    assert_eq!(world.steps[3..], ["Fetch", "Release", "Record"]);
}

#[test]
fn a_status_that_is_about_an_older_version_is_dropped() {
    let mut world = World::new([]);
    assert_eq!(
        world.poll(Invocation::Shared, at("Record", Fault::Before(Kind::Lost))).unwrap().unwrap(),
        READ
    );
    let record = at("Record", Fault::Before(Kind::Service));
    let mut world = World::new([]);
    assert!(world.poll(Invocation::Shared, record).unwrap().is_err());
}

#[test]
fn what_the_queue_refuses_is_sent_by_the_next_poll() {
    let mut world = World::new([MESSAGE, Stored { content: 1, ..MESSAGE }]);
    assert!(world.poll(Invocation::Shared, at("HandOver", Fault::Refuse)).unwrap().is_err());
    assert_eq!((world.queue.len(), world.ledger.len(), world.last_uid()), (1, 1, 0));
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!((world.queue.len(), world.last_uid()), (2, 2));
}

#[test]
fn a_repeat_after_a_crash_sends_nothing_that_the_ledger_knows() {
    let mut world = World::new([MESSAGE]);
    assert!(world.poll(Invocation::Shared, at("MoveCursor", Fault::Crash)).is_none());
    // Suspected of the crash, the profile is polled alone.
    let outcome = world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(outcome, PollOutcome::Postponed);
    world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
    assert_eq!((world.queue.len(), world.last_uid()), (1, 1));
}

#[test]
fn before_each_page_a_check_is_asked_for_that_finds_the_cursor_unmoved() {
    let mut world = World::new((0..150).map(|content| Stored { content, ..MESSAGE }));
    world.poll(Invocation::Shared, nothing).unwrap().unwrap();
    assert_eq!(world.checks, [None, Some(100)]);
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Owner),
        Just(Kind::Suspect),
        Just(Kind::Service),
        Just(Kind::Lost),
        Just(Kind::OutOfTime)
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        20 => Just(Fault::Nothing),
        2 => kind().prop_map(Fault::Before),
        2 => kind().prop_map(Fault::After),
        2 => (1..70_u64).prop_map(Fault::Slow),
        1 => Just(Fault::Crash),
        1 => Just(Fault::Refuse),
    ]
}

prop_compose! {
    fn stored()(content in 0..20_u8, seen in prop::bool::weighted(0.2), gone in prop::bool::weighted(0.1),
                (large, hidden) in (prop::bool::weighted(0.2), prop::bool::weighted(0.1))) -> Stored {
        Stored { content, seen, gone, hidden, size: if large { 5_000_000 } else { 1_000 } }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// Whatever happens to the steps: each poll ends, its lease is released or the cursor moved, and the cursor passes no
    /// message that was neither handed over nor gone nor unwanted nor deferred (all of this is checked by [`World`]). Once
    /// the faults end, every message is handed over, and none is quarantined.
    #[test]
    fn whatever_happens_polls_end_and_lose_nothing(
        messages in prop::collection::vec(stored(), 0..12),
        faults in prop::collection::vec(fault(), 0..120),
        dedicated in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let mut world = World::new(messages);
        // What is hidden at the end is not passed, and waits for what comes behind it.
        if let Some(mut last) = world.mailbox.last_entry() {
            last.get_mut().hidden = false;
        }
        let mut faults = faults.into_iter();
        for dedicated in dedicated {
            let invocation = if dedicated { Invocation::Dedicated } else { Invocation::Shared };
            let _ = world.poll(invocation, |_| faults.next().unwrap_or(Fault::Nothing));
        }
        let last = world.mailbox.keys().max().copied().unwrap_or(0);
        for _ in 0..70 {
            world.poll(Invocation::Dedicated, nothing).unwrap().unwrap();
            if world.last_uid() == last && world.profile.deferred.is_empty() {
                break;
            }
        }
        // One that a crash left runs out, and an idle poll needs none.
        prop_assert!(world.lease.is_none_or(|until| until <= world.moment.now));
        prop_assert!(world.profile.deferred.is_empty());
        let waiting = world.mailbox.values().filter(|message| !message.gone && !message.seen);
        for message in waiting {
            prop_assert!(world.queue.contains(&Digest::of(&[message.content])));
        }
        prop_assert_eq!(world.last_uid(), last);
        prop_assert_eq!(world.poll(Invocation::Shared, nothing).unwrap().unwrap(), READ);
        prop_assert_eq!(&world.steps[..2], &["Open".to_owned(), "LogOut".to_owned()][..]);
    }
}
