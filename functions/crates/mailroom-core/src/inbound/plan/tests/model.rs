//! A model of a mailbox that checks the guarantees in random orders of events.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

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
        let wanted = Selection { listens_since: T0, ..wanted(start_from) };
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
        let messages = (1..)
            .zip(&self.messages)
            .filter(|(_, m)| m.uid > above)
            .map(|(number, m)| Listed {
                uid: uid(m.uid),
                number: Some(number),
                seen: m.seen,
                size: 10,
                arrived: Some(m.arrived),
            })
            .collect();
        Listing { above, through: u32::MAX, messages, ..Listing::default() }
    }

    fn poll(&mut self, run: Run) {
        let mut state = MailboxState {
            uid_validity: UidValidity::new(if self.validity_hidden { 0 } else { self.validity }),
            uid_next: Uid::new(if self.next_hidden { 0 } else { self.next }),
            exists: u32::try_from(self.messages.len()).unwrap(),
            ..MailboxState::default()
        };
        let mut listing = list_above(self.cursor.as_ref(), self.wanted.start_from).map(|n| self.list(n));
        let mut made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        if made == Plan::FindLast {
            state.last_uid = self.messages.iter().map(|message| message.uid).max().and_then(Uid::new);
            made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        }
        if let Plan::FindStart(since) = made {
            let first =
                self.messages.iter().filter(|message| message.arrived >= since).map(|one| one.uid).min();
            state.start_above = Some(first.map_or(u32::MAX, |first| first - 1));
            made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        }
        if let Plan::ListAbove(above) = made {
            listing = Some(self.list(above));
            made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        }
        if let Plan::ListAgain(above, through) = made {
            let again = listing.as_mut().unwrap();
            let found = self.messages.iter().map(|m| m.uid).filter(|uid| (above + 1..=through).contains(uid));
            let found = found.map(super::uid).collect();
            again.complete(Relisted { messages: Vec::new(), found, unsearched: false });
            made = plan(self.cursor.as_ref(), &state, listing.as_ref(), &self.wanted, self.clock);
        }
        let Work { pending, start, end, .. } = match made {
            Plan::Idle => return,
            Plan::FindLast | Plan::FindStart(_) | Plan::ListAbove(_) | Plan::ListAgain(..) => {
                panic!("asked twice")
            }
            Plan::Work(work) => *work,
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
        // The first poll comes when it comes.
        let mut model = Model::new(if all { StartFrom::All } else { StartFrom::Now });
        for happening in &happenings {
            model.happen(happening);
        }
        model.poll(Run::Whole);
        // What is there and unread has its job; nothing has two.
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
