//! Every branch of the plan, and a model of a mailbox that checks the guarantees in random orders of events.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use time::macros::{date, datetime};
use time::{Duration, OffsetDateTime};

use super::*;

const T0: OffsetDateTime = datetime!(2026-11-01 00:00 UTC);

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn state(validity: u32, next: u32, exists: u32) -> MailboxState {
    MailboxState {
        uid_validity: UidValidity::new(validity),
        uid_next: Uid::new(next),
        exists,
        last_uid: None,
    }
}

fn listed(n: u32) -> Listed {
    Listed { uid: uid(n), seen: false, size: 1000, arrived: Some(T0 + Duration::minutes(i64::from(n))) }
}

fn listing(above: u32, uids: &[u32]) -> Listing {
    Listing { above, through: u32::MAX, messages: uids.iter().map(|n| listed(*n)).collect() }
}

fn wanted(start_from: StartFrom) -> Selection {
    Selection {
        start_from,
        created_at: T0,
        include_seen: false,
        max_message_bytes: 10_000,
        deferred_since: None,
    }
}

fn at(validity: u32, last_uid: u32) -> Cursor {
    Cursor {
        uid_validity: UidValidity::new(validity),
        last_uid,
        newest: T0 + Duration::minutes(i64::from(last_uid)),
        floor: None,
    }
}

fn later() -> OffsetDateTime {
    T0 + Duration::days(10)
}

fn uids(plan: &Plan) -> Vec<u32> {
    match plan {
        Plan::Work(work) => work.pending.iter().map(|message| message.uid.get()).collect(),
        Plan::Idle | Plan::FindLast | Plan::ListAbove(_) => panic!("no work: {plan:?}"),
    }
}

fn end(plan: &Plan) -> Cursor {
    match plan {
        Plan::Work(work) => work.end,
        Plan::Idle | Plan::FindLast | Plan::ListAbove(_) => panic!("no work: {plan:?}"),
    }
}

#[test]
fn first_poll_from_now_starts_below_uidnext_and_lists_nothing() {
    assert_eq!(list_above(None, StartFrom::Now), None);
    let plan = plan(None, &state(7, 43, 12), None, &wanted(StartFrom::Now), later());
    assert!(uids(&plan).is_empty());
    assert_eq!(end(&plan).last_uid, 42);
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
        other @ (Plan::Idle | Plan::FindLast | Plan::ListAbove(_)) => panic!("no work: {other:?}"),
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
    let found = MailboxState { last_uid: Uid::new(9), ..without };
    let plan = plan(None, &found, None, &wanted, later());
    assert!(uids(&plan).is_empty());
    assert_eq!(end(&plan).last_uid, 9);
}

#[test]
fn a_window_ends_the_plan_and_the_next_begins_where_it_ended() {
    let window = Listing { through: 10_000, ..listing(0, &[1, 9_000]) };
    let everything = wanted(StartFrom::All);
    let first = plan(None, &state(7, 20_001, 900), Some(&window), &everything, later());
    assert_eq!(uids(&first), [1, 9_000]);
    assert_eq!(end(&first).last_uid, 10_000);
    assert!(matches!(&first, Plan::Work(work) if work.more));
    let cursor = end(&first);
    let next = plan(Some(&cursor), &state(7, 20_001, 900), Some(&window), &everything, later());
    assert_eq!(next, Plan::ListAbove(10_000));
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
    assert_eq!(end(&plan).newest, later());
}

/// What can happen to a mailbox between two polls.
#[derive(Debug, Clone)]
enum Happening {
    Deliver,
    Read(usize),
    Delete(usize),
    /// Deleted and created again; with its messages copied back, in order.
    Recreate {
        with_messages: bool,
    },
    HideUidNext(bool),
    HideUidValidity,
    Poll,
    /// A poll that hands over this many messages, and whose cursor ends there.
    ShortPoll(usize),
    /// A poll that crashes after the ledger is written and before the cursor moves.
    CrashedPoll,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => Just(Happening::Deliver),
        1 => (0..8usize).prop_map(Happening::Read),
        1 => (0..8usize).prop_map(Happening::Delete),
        1 => any::<bool>().prop_map(|with_messages| Happening::Recreate { with_messages }),
        1 => any::<bool>().prop_map(Happening::HideUidNext),
        1 => Just(Happening::HideUidValidity),
        4 => Just(Happening::Poll),
        2 => (0..4usize).prop_map(Happening::ShortPoll),
        2 => Just(Happening::CrashedPoll),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    uid: u32,
    content: u32,
    seen: bool,
    arrived: OffsetDateTime,
}

/// A mailbox, and a poller with a ledger.
struct Model {
    validity: u32,
    validity_hidden: bool,
    next: u32,
    next_hidden: bool,
    messages: Vec<Stored>,
    contents: u32,
    clock: OffsetDateTime,
    cursor: Option<Cursor>,
    ledger: BTreeSet<u32>,
    jobs: BTreeMap<u32, u32>,
    wanted: Selection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Whole,
    Short(usize),
    Crashed,
}

impl Model {
    fn new(start_from: StartFrom) -> Self {
        let wanted = Selection { created_at: T0, ..wanted(start_from) };
        Self {
            validity: 1,
            validity_hidden: false,
            next: 1,
            next_hidden: false,
            messages: Vec::new(),
            contents: 0,
            clock: T0,
            cursor: None,
            ledger: BTreeSet::new(),
            jobs: BTreeMap::new(),
            wanted,
        }
    }

    fn deliver(&mut self) {
        self.clock += Duration::minutes(7);
        self.contents += 1;
        self.messages.push(Stored {
            uid: self.next,
            content: self.contents,
            seen: false,
            arrived: self.clock,
        });
        self.next += 1;
    }

    fn list(&self, above: u32) -> Listing {
        let messages = self
            .messages
            .iter()
            .filter(|m| m.uid > above)
            .map(|m| Listed { uid: uid(m.uid), seen: m.seen, size: 10, arrived: Some(m.arrived) })
            .collect();
        Listing { above, through: u32::MAX, messages }
    }

    fn poll(&mut self, run: Run) {
        let mut state = MailboxState {
            uid_validity: UidValidity::new(if self.validity_hidden { 0 } else { self.validity }),
            uid_next: Uid::new(if self.next_hidden { 0 } else { self.next }),
            exists: u32::try_from(self.messages.len()).unwrap(),
            last_uid: None,
        };
        let mut listing = list_above(self.cursor.as_ref(), self.wanted.start_from).map(|n| self.list(n));
        let mut made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        if made == Plan::FindLast {
            state.last_uid = self.messages.iter().map(|message| message.uid).max().and_then(Uid::new);
            made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        }
        if let Plan::ListAbove(above) = made {
            listing = Some(self.list(above));
            made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        }
        let Work { pending, start, end, .. } = match made {
            Plan::Idle => return,
            Plan::FindLast | Plan::ListAbove(_) => panic!("asked twice"),
            Plan::Work(work) => work,
        };
        let most = match run {
            Run::Short(n) => n,
            Run::Whole | Run::Crashed => usize::MAX,
        };
        let mut cursor = start;
        for message in pending.iter().take(most) {
            let content = self.messages.iter().find(|m| m.uid == message.uid.get()).unwrap().content;
            if self.ledger.insert(content) {
                *self.jobs.entry(content).or_default() += 1;
            }
            cursor = cursor.advanced(message.uid, message.arrived, self.clock);
        }
        match run {
            Run::Crashed => {}
            Run::Short(n) if n == 0 && !pending.is_empty() => {}
            Run::Short(n) if n < pending.len() => self.cursor = Some(cursor),
            Run::Short(_) | Run::Whole => self.cursor = Some(end),
        }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Deliver => self.deliver(),
            Happening::Read(n) => {
                if let Some(message) = self.messages.iter_mut().rev().nth(*n) {
                    message.seen = true;
                }
            }
            Happening::Delete(n) => {
                if *n < self.messages.len() {
                    self.messages.remove(*n);
                }
            }
            Happening::Recreate { with_messages } => {
                // Without UIDVALIDITY nothing tells a renumbered mailbox from a grown one: that is not promised.
                if self.validity_hidden {
                    return;
                }
                self.validity += 1;
                self.next = 1;
                if !with_messages {
                    self.messages.clear();
                }
                for message in &mut self.messages {
                    message.uid = self.next;
                    self.next += 1;
                }
            }
            Happening::HideUidNext(hide) => self.next_hidden = *hide,
            Happening::HideUidValidity => {
                // Comes back with the value that the poller knows.
                self.validity_hidden = !self.validity_hidden
                    && self.cursor.and_then(|c| c.uid_validity).map(UidValidity::get) == Some(self.validity);
            }
            Happening::Poll => self.poll(Run::Whole),
            Happening::ShortPoll(n) => self.poll(Run::Short(*n)),
            Happening::CrashedPoll => self.poll(Run::Crashed),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_every_message_is_announced_once(
        all in any::<bool>(),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut model = Model::new(if all { StartFrom::All } else { StartFrom::Now });
        model.poll(Run::Whole);
        for happening in &happenings {
            model.happen(happening);
        }
        model.poll(Run::Whole);
        // What is there, unread and came after the first poll has its job; nothing has two.
        for message in model.messages.iter().filter(|message| !message.seen) {
            prop_assert!(model.jobs.contains_key(&message.content), "lost {message:?}, cursor {:?}", model.cursor);
        }
        prop_assert!(model.jobs.values().all(|times| *times == 1));
        // And a mailbox at rest is idle.
        let before = model.cursor;
        model.poll(Run::Whole);
        prop_assert_eq!(before, model.cursor);
    }
}
