//! Every branch of the plan.

mod model;

use std::num::NonZeroU16;

use time::macros::{date, datetime};
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use super::*;
use crate::flow::FlowSchemaId;
use crate::inbound::cursor::UidValidity;
use crate::inbound::listing::Relisted;
use crate::profile::{Auth, ProfileId, RefreshInterval, Settings};
use crate::server::{Host, Security, Server};

const T0: OffsetDateTime = datetime!(2026-11-01 00:00 UTC);

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn state(validity: u32, next: u32, exists: u32) -> MailboxState {
    MailboxState {
        uid_validity: UidValidity::new(validity),
        uid_next: Uid::new(next),
        exists,
        ..MailboxState::default()
    }
}

fn listed(n: u32) -> Listed {
    Listed {
        uid: uid(n),
        number: Some(n),
        seen: false,
        size: 1000,
        arrived: Some(T0 + Duration::minutes(i64::from(n))),
    }
}

fn listing(above: u32, uids: &[u32]) -> Listing {
    let messages =
        (above + 1..).zip(uids).map(|(number, n)| Listed { number: Some(number), ..listed(*n) }).collect();
    Listing { above, below: Some(above), through: u32::MAX, messages, hidden: None, unsearched: false }
}

fn wanted(start_from: StartFrom) -> Selection {
    Selection {
        start_from,
        listens_since: T0,
        include_seen: false,
        max_message_bytes: 10_000,
        deferred_since: None,
        searches_end: false,
    }
}

fn profile_with_interval(seconds: u32) -> Profile {
    let server = Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: NonZeroU16::new(993).unwrap(),
        security: Security::Tls,
    };
    let (auth, flow) = (Auth::Plain { login: "ann".to_owned() }, FlowSchemaId::parse("flow").unwrap());
    let refresh_interval = RefreshInterval::from_seconds(seconds).unwrap();
    let settings = Settings { refresh_interval, ..Settings::listening("Support", server, auth, flow) };
    Profile::new(ProfileId::new(Ulid::from(7)), settings, T0)
}

fn at(validity: u32, last_uid: u32) -> Cursor {
    Cursor::new(UidValidity::new(validity), last_uid, T0 + Duration::minutes(i64::from(last_uid)))
}

fn later() -> OffsetDateTime {
    T0 + Duration::days(10)
}

fn uids(plan: &Plan) -> Vec<u32> {
    match plan {
        Plan::Work(work) => work.pending.iter().map(|message| message.uid.get()).collect(),
        Plan::Idle | Plan::FindLast | Plan::FindStart(_) | Plan::ListAbove(_) | Plan::ListAgain(..) => {
            panic!("no work: {plan:?}")
        }
    }
}

fn end(plan: &Plan) -> Cursor {
    match plan {
        Plan::Work(work) => work.end,
        Plan::Idle | Plan::FindLast | Plan::FindStart(_) | Plan::ListAbove(_) | Plan::ListAgain(..) => {
            panic!("no work: {plan:?}")
        }
    }
}

#[test]
fn the_first_poll_from_now_hands_over_what_came_since_the_profile_listens() {
    let now = wanted(StartFrom::Now);
    assert_eq!(list_above(None, StartFrom::Now), None);
    let opened = state(7, 43, 12);
    let Plan::FindStart(since) = plan(None, &opened, None, &now, later()) else { panic!("no start") };
    assert_eq!(since, T0 - CLOCK_SKEW);
    let found = MailboxState { start_above: Some(39), ..opened };
    assert_eq!(plan(None, &found, None, &now, later()), Plan::ListAbove(39));
    // Old; minutes old, by a clock that may be slow; new; without a date.
    let mut all = listing(39, &[40, 41, 42]);
    all.messages[0].arrived = Some(T0 - Duration::hours(1));
    all.messages[1].arrived = Some(T0 - Duration::minutes(4));
    let plan = plan(None, &found, Some(&all), &now, later());
    assert_eq!(uids(&plan), [41, 42]);
    assert_eq!((end(&plan).last_uid, end(&plan).floor), (42, None));
    assert_eq!(end(&plan).old_until, all.messages[0].arrived);
}

#[test]
fn where_nothing_is_new_the_first_poll_from_now_lists_nothing() {
    let now = wanted(StartFrom::Now);
    for opened in [MailboxState { start_above: Some(u32::MAX), ..state(7, 43, 12) }, state(7, 43, 0)] {
        let plan = plan(None, &opened, None, &now, later());
        assert!(uids(&plan).is_empty());
        assert_eq!((end(&plan).last_uid, end(&plan).floor), (42, None));
    }
}

#[test]
fn what_was_read_elsewhere_is_passed_and_counted() {
    let mut window = listing(0, &[1, 2, 3]);
    window.messages[1].seen = true;
    let skipped = |wanted: &Selection, cursor: Option<&Cursor>| match plan(
        cursor,
        &state(7, 4, 3),
        Some(&window),
        wanted,
        later(),
    ) {
        Plan::Work(work) => work.skipped_seen,
        other @ (Plan::Idle
        | Plan::FindLast
        | Plan::FindStart(_)
        | Plan::ListAbove(_)
        | Plan::ListAgain(..)) => {
            panic!("no work: {other:?}")
        }
    };
    let all = wanted(StartFrom::All);
    assert_eq!(skipped(&all, None), [uid(2)]);
    assert_eq!(skipped(&Selection { include_seen: true, ..all }, None), []);
    // Older than the start point, or perhaps handed over under another UID.
    assert_eq!(skipped(&wanted(StartFrom::Date(date!(2026 - 11 - 02))), None), []);
    assert_eq!(skipped(&all, Some(&at(6, 1))), []);
}

#[test]
fn without_uidnext_the_last_uid_is_looked_up() {
    let without = state(7, 0, 2);
    let wanted = wanted(StartFrom::Now);
    assert_eq!(plan(None, &without, None, &wanted, later()), Plan::FindLast);
    let found = MailboxState { last_uid: Uid::new(9), start_above: Some(u32::MAX), ..without };
    let plan = plan(None, &found, None, &wanted, later());
    assert!(uids(&plan).is_empty());
    assert_eq!(end(&plan).last_uid, 9);
}

#[test]
fn behind_another_name_of_the_server_the_same_mailbox_keeps_its_cursor() {
    let moved_at = T0 + Duration::days(3);
    let moved = Cursor { moved_at: Some(moved_at), mailbox_id: Some(MailboxId::new(3)), ..at(7, 5) };
    let now = wanted(StartFrom::Now);
    for mailbox_id in [None, Some(MailboxId::new(3))] {
        let same = MailboxState { mailbox_id, ..state(7, 7, 6) };
        let plan = plan(Some(&moved), &same, Some(&listing(5, &[6])), &now, later());
        assert_eq!(uids(&plan), [6]);
        assert_eq!(end(&plan).moved_at, None);
    }
    // Nothing but a UIDVALIDITY that both have tells that it is the same.
    let others = [
        (moved, state(8, 7, 6)),
        (moved, state(0, 7, 6)),
        (moved, MailboxState { mailbox_id: Some(MailboxId::new(4)), ..state(7, 7, 6) }),
        (moved, state(7, 5, 4)),
        (Cursor { uid_validity: None, ..moved }, state(7, 7, 6)),
    ];
    for (cursor, other) in others {
        let found = plan(Some(&cursor), &other, Some(&listing(5, &[6])), &now, later());
        assert_eq!(found, Plan::FindStart(moved_at - CLOCK_SKEW), "{other:?}");
        let other = MailboxState { start_above: Some(u32::MAX), ..other };
        let Plan::Work(work) = plan(Some(&cursor), &other, None, &now, later()) else { panic!("no work") };
        assert!(work.renumbered && work.pending.is_empty());
    }
}

#[test]
fn the_cursor_passes_no_message_in_silence_that_the_server_does_not_list() {
    // The first of three is left out.
    let mut window = listing(5720, &[5722, 5723, 5724]);
    window.below = None;
    let all = wanted(StartFrom::All);
    let (cursor, opened) = (at(14, 5720), state(14, 5725, 4));
    let asked = plan(Some(&cursor), &opened, Some(&window), &all, later());
    assert_eq!(asked, Plan::ListAgain(5720, 5721));
    window.complete(Relisted { messages: Vec::new(), found: vec![uid(5721)], unsearched: false });
    let Plan::Work(work) = plan(Some(&cursor), &opened, Some(&window), &all, later()) else { panic!() };
    assert_eq!((work.hidden, work.end.last_uid), (vec![uid(5721)], 5724));
    assert_eq!((work.pending.len(), work.passes_unsearched), (3, false));
    // Where the server refuses to search, the hole is passed, and its owner is told.
    window.hidden = None;
    window.complete(Relisted { messages: Vec::new(), found: Vec::new(), unsearched: true });
    let Plan::Work(work) = plan(Some(&cursor), &opened, Some(&window), &all, later()) else { panic!() };
    assert_eq!((work.pending.len(), work.passes_unsearched), (3, true));
}

#[test]
fn what_is_hidden_at_the_end_is_not_passed_and_asked_for_where_exists_shows_it() {
    let (cursor, opened, all) = (at(14, 5720), state(14, 5725, 4), wanted(StartFrom::All));
    let plan_with =
        |window: &Listing, all: &Selection| plan(Some(&cursor), &opened, Some(window), all, later());
    let numbered = |numbers: &[(u32, u32)]| Listing {
        below: None,
        messages: numbers.iter().map(|(n, number)| Listed { number: Some(*number), ..listed(*n) }).collect(),
        ..listing(5720, &[])
    };
    // All that EXISTS counts is listed: the last UIDs are of messages that were deleted.
    let Plan::Work(work) = plan_with(&numbered(&[(5721, 4)]), &all) else { panic!("no work") };
    assert_eq!(work.end.last_uid, 5721);
    // One is not, at the end.
    let mut window = numbered(&[(5721, 3)]);
    assert_eq!(plan_with(&window, &all), Plan::ListAgain(5721, 5724));
    window.complete(Relisted { messages: Vec::new(), found: vec![uid(5724)], unsearched: false });
    let Plan::Work(work) = plan_with(&window, &all) else { panic!("no work") };
    assert_eq!((work.hidden, work.end.last_uid), (vec![uid(5724)], 5724));
    // No number tells.
    let mut window = numbered(&[]);
    assert_eq!(plan_with(&window, &all), Plan::Idle);
    let hourly = Selection { searches_end: true, ..all };
    assert_eq!(plan_with(&window, &hourly), Plan::ListAgain(5720, 5724));
    window.complete(Relisted { messages: Vec::new(), found: Vec::new(), unsearched: false });
    assert_eq!(plan_with(&window, &hourly), Plan::Idle);
}

#[test]
fn about_one_poll_of_an_hour_searches_the_end() {
    for (seconds, least, most) in [(60, 24, 24), (300, 24, 24), (7200, 12, 12)] {
        let profile = profile_with_interval(seconds);
        let polls =
            (0..86_400 / i64::from(seconds)).map(|n| T0 + Duration::seconds(17 + n * i64::from(seconds)));
        let searches = polls.filter(|at| Selection::of(&profile, *at).searches_end).count();
        assert!((least..=most).contains(&searches), "{seconds}: {searches}");
    }
}

#[test]
fn an_object_id_alone_is_not_worth_a_write() {
    let with_id = MailboxState { mailbox_id: Some(MailboxId::new(3)), ..state(7, 6, 5) };
    assert_eq!(plan(Some(&at(7, 5)), &with_id, None, &wanted(StartFrom::Now), later()), Plan::Idle);
    let more = MailboxState { uid_next: Uid::new(7), ..with_id };
    let plan = plan(Some(&at(7, 5)), &more, Some(&listing(5, &[6])), &wanted(StartFrom::Now), later());
    assert_eq!(end(&plan).mailbox_id, with_id.mailbox_id);
}

#[test]
fn a_window_ends_the_plan_and_the_next_begins_where_it_ended() {
    let window = Listing { through: 10_000, ..listing(0, &[1, 9_000]) };
    let everything = wanted(StartFrom::All);
    let first = plan(None, &state(7, 20_001, 900), Some(&window), &everything, later());
    assert_eq!(uids(&first), [1, 9_000]);
    assert_eq!(end(&first).last_uid, 9_000);
    assert!(matches!(&first, Plan::Work(work) if work.more));
    let cursor = end(&first);
    // Not above the window: the next may show that something is hidden at the end of this one.
    let next = plan(Some(&cursor), &state(7, 20_001, 900), Some(&window), &everything, later());
    assert_eq!(next, Plan::ListAgain(9_000, 10_000));
}

#[test]
fn first_poll_of_everything_hands_over_everything() {
    let plan = plan(None, &state(7, 4, 3), Some(&listing(0, &[1, 2, 3])), &wanted(StartFrom::All), later());
    assert_eq!(uids(&plan), [1, 2, 3]);
    assert_eq!(end(&plan).last_uid, 3);
}

#[test]
fn first_poll_from_a_date_passes_over_older_messages_but_not_over_undated_ones() {
    let mut listing = listing(0, &[1, 2, 3]);
    listing.messages[0].arrived = Some(datetime!(2026-10-31 23:59 UTC));
    listing.messages[1].arrived = None;
    let plan =
        plan(None, &state(7, 4, 3), Some(&listing), &wanted(StartFrom::Date(date!(2026 - 11 - 01))), later());
    assert_eq!(uids(&plan), [2, 3]);
    assert_eq!(end(&plan).floor, None);
}

#[test]
fn an_unchanged_mailbox_is_idle() {
    let cursor = at(7, 42);
    assert_eq!(plan(Some(&cursor), &state(7, 43, 42), None, &wanted(StartFrom::Now), later()), Plan::Idle);
    let found = MailboxState { last_uid: Uid::new(42), ..state(7, 0, 42) };
    assert_eq!(plan(Some(&cursor), &found, None, &wanted(StartFrom::Now), later()), Plan::Idle);
}

#[test]
fn read_messages_move_the_cursor_only() {
    let mut listing = listing(1, &[2, 3]);
    listing.messages[0].seen = true;
    listing.messages[1].seen = true;
    let plan = plan(Some(&at(7, 1)), &state(7, 4, 3), Some(&listing), &wanted(StartFrom::Now), later());
    assert!(uids(&plan).is_empty());
    assert_eq!(end(&plan).last_uid, 3);
    assert_eq!(end(&plan).newest, at(7, 1).newest);
}

#[test]
fn a_listing_from_above_the_cursor_is_not_enough() {
    let plan =
        plan(Some(&at(7, 5)), &state(7, 20, 19), Some(&listing(9, &[10])), &wanted(StartFrom::Now), later());
    assert_eq!(plan, Plan::ListAbove(5));
}

#[test]
fn absent_uidvalidity_is_no_reason_to_look_back() {
    let listing = listing(5, &[6]);
    let gone = plan(Some(&at(7, 5)), &state(0, 7, 6), Some(&listing), &wanted(StartFrom::All), later());
    assert_eq!(uids(&gone), [6]);
    assert_eq!(end(&gone).uid_validity, UidValidity::new(7));
    let came = plan(Some(&at(0, 5)), &state(9, 7, 6), Some(&listing), &wanted(StartFrom::All), later());
    assert_eq!(uids(&came), [6]);
    assert_eq!(end(&came).uid_validity, UidValidity::new(9));
}

#[test]
fn a_new_uidvalidity_looks_back_one_day_and_no_further() {
    let cursor = Cursor { newest: T0 + Duration::days(5), ..at(7, 500) };
    let first =
        plan(Some(&cursor), &state(8, 4, 3), Some(&listing(500, &[])), &wanted(StartFrom::All), later());
    assert_eq!(first, Plan::ListAbove(0));
    let mut all = listing(0, &[1, 2, 3]);
    all.messages[0].arrived = Some(T0 + Duration::days(3));
    all.messages[1].arrived = Some(T0 + Duration::days(4) + Duration::hours(1));
    all.messages[2].arrived = Some(T0 + Duration::days(6));
    let plan = plan(Some(&cursor), &state(8, 4, 3), Some(&all), &wanted(StartFrom::All), later());
    assert_eq!(uids(&plan), [2, 3]);
    assert_eq!(end(&plan).uid_validity, UidValidity::new(8));
}

#[test]
fn a_new_uidvalidity_never_announces_messages_from_before_the_profile() {
    let cursor = Cursor { newest: T0, ..at(7, 5) };
    let mut all = listing(0, &[1, 2]);
    all.messages[0].arrived = Some(T0 - Duration::hours(2));
    let plan = plan(Some(&cursor), &state(8, 3, 2), Some(&all), &wanted(StartFrom::Now), later());
    assert_eq!(uids(&plan), [2]);
}

#[test]
fn what_the_ledger_may_have_forgotten_is_not_announced_again() {
    let newest = T0 + Duration::days(5);
    let cursor = Cursor { newest, ..at(7, 500) };
    let mut all = listing(0, &[1, 2, 3]);
    all.messages[0].arrived = Some(newest - Duration::hours(3));
    all.messages[1].arrived = Some(newest);
    all.messages[2].arrived = Some(newest + Duration::minutes(1));
    for (quiet, expected) in [(27, [1, 2, 3].as_slice()), (30, &[3]), (400, &[3])] {
        let now = newest + Duration::days(quiet);
        let plan = plan(Some(&cursor), &state(8, 4, 3), Some(&all), &wanted(StartFrom::All), now);
        assert_eq!(uids(&plan), expected, "after {quiet} days");
    }
}

#[test]
fn a_renumbering_on_a_server_with_a_slow_clock_loses_nothing() {
    // Two hours behind: what arrived since the profile listens is dated before.
    let slow = Duration::hours(2);
    let first = Cursor { old_until: Some(T0 - slow - Duration::minutes(9)), ..at(7, 5) };
    let mut all = listing(0, &[1, 2]);
    all.messages[0].arrived = first.old_until;
    all.messages[1].arrived = Some(T0 - slow + Duration::minutes(1));
    let plan = plan(Some(&first), &state(8, 3, 2), Some(&all), &wanted(StartFrom::Now), later());
    assert_eq!(uids(&plan), [2]);
}

#[test]
fn a_uidnext_that_went_back_counts_as_renumbered() {
    let plan =
        plan(Some(&at(7, 50)), &state(7, 3, 2), Some(&listing(0, &[1, 2])), &wanted(StartFrom::All), later());
    assert_eq!(uids(&plan), [1, 2]);
    assert_eq!(end(&plan).last_uid, 2);
}

#[test]
fn a_large_message_is_fetched_without_its_body() {
    let mut listing = listing(0, &[1, 2]);
    listing.messages[0].size = 10_001;
    let Plan::Work(work) = plan(None, &state(7, 3, 2), Some(&listing), &wanted(StartFrom::All), later())
    else {
        panic!("no work")
    };
    let extents: Vec<_> = work.pending.iter().map(|message| message.extent).collect();
    assert_eq!(extents, [Extent::Header, Extent::Whole]);
}

#[test]
fn a_date_from_the_future_hides_no_later_message() {
    let mut listing = listing(0, &[1]);
    listing.messages[0].arrived = Some(datetime!(2038-01-01 00:00 UTC));
    let plan = plan(None, &state(7, 2, 1), Some(&listing), &wanted(StartFrom::All), later());
    // A later search goes back to before it.
    assert!(end(&plan).newest - Cursor::LOOK_BACK < later());
}
