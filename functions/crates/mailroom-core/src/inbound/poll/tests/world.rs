//! A mailbox, a table and a queue that remember, and that fail as a test wants it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroU16;

use time::macros::datetime;
use ulid::Ulid;

use super::super::*;
use crate::flow::FlowSchemaId;
use crate::health::Status;
use crate::inbound::cursor::{Uid, UidValidity};
use crate::inbound::held_back::{HeldBack, HeldChange};
use crate::inbound::job::{Digest, JobId};
use crate::inbound::listing::{Listed, Relisted};
use crate::inbound::overdue::ChangeFailure;
use crate::inbound::schedule::PollRequest;
use crate::ports::Hold;
use crate::profile::{AfterFetch, Auth, ProfileId, Settings, StartFrom};
use crate::server::{Host, Security, Server};

pub(super) const T0: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

/// What a poll has when it begins.
pub(super) const POLL_TIME: Duration = Duration::from_secs(60);

pub(super) fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

pub(super) fn profile() -> Profile {
    let server = Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: NonZeroU16::new(993).unwrap(),
        security: Security::Tls,
    };
    let auth = Auth::Plain { login: "ann".to_owned() };
    let flow = FlowSchemaId::parse("flow").unwrap();
    let id = ProfileId::new(Ulid::from(7));
    let settings = Settings {
        start_from: StartFrom::All,
        after_fetch: AfterFetch::MarkSeen,
        ..Settings::listening("Support", server, auth, flow)
    };
    Profile::new(id, settings, T0)
}

/// A message in the mailbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    /// Messages with equal content have equal digests.
    pub(super) content: u8,
    pub(super) seen: bool,
    /// Deleted between the listing and the fetch.
    pub(super) gone: bool,
    pub(super) size: u64,
    /// There, and not listed.
    pub(super) hidden: bool,
}

pub(super) const MESSAGE: Stored = Stored { content: 0, seen: false, gone: false, size: 10, hidden: false };

/// What happens to a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Nothing,
    /// It fails, and has no effect.
    Before(Kind),
    /// It takes effect, and the answer is lost.
    After(Kind),
    /// It takes this many seconds.
    Slow(u64),
    /// The process crashes.
    Crash,
    /// A queue takes only the first job.
    Refuse,
    /// The mailbox is not changed; `session_ended`: nothing more can be asked of the server.
    Unchanged {
        session_ended: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Owner,
    Suspect,
    Service,
    Queue,
    Lost,
    OutOfTime,
}

impl Kind {
    pub(super) fn failure(self) -> Failure {
        let error = OwnerError::new(ErrorCode::ImapProtocol, "no");
        match self {
            Self::Owner => Failure::Owner(OwnerError { code: ErrorCode::ImapTimeout, ..error }),
            Self::Suspect => Failure::SuspectMessage(error),
            Self::Service => Failure::Service(PortError::Corrupt("no".to_owned())),
            Self::Queue => {
                let (queue, code) = ("https://sqs.invalid/1/orders".to_owned(), "AccessDenied".to_owned());
                Failure::Service(PortError::QueueRefused { queue, code })
            }
            Self::Lost => Failure::Lost,
            Self::OutOfTime => Failure::OutOfTime,
        }
    }
}

/// A mailbox, a table and a queue.
pub(super) struct World {
    pub(super) mailbox: BTreeMap<u32, Stored>,
    pub(super) profile: Profile,
    /// The UID of a message that breaks each listing it is in.
    pub(super) breaking: Option<u32>,
    pub(super) fence: u64,
    pub(super) tries: u32,
    pub(super) lease: Option<OffsetDateTime>,
    pub(super) ledger: HashSet<Digest>,
    pub(super) queue: Vec<Digest>,
    /// The messages that were marked as seen.
    pub(super) marked: BTreeSet<Uid>,
    /// The polls at the end of a pause that were asked for.
    pub(super) retries: Vec<(PollRequest, Duration)>,
    /// The digest under which each message was last fetched.
    pub(super) fetched: BTreeMap<u32, Digest>,
    /// The messages that the present page stored.
    pub(super) stored: Vec<Digest>,
    pub(super) quarantined: BTreeSet<u32>,
    /// The jobs that later ones replaced.
    pub(super) superseded: Vec<JobId>,
    /// Where the cursor stood when checks were asked for.
    pub(super) checks: Vec<Option<u32>>,
    pub(super) polls_asked_for: usize,
    pub(super) statuses: Vec<Status>,
    pub(super) steps: Vec<String>,
    pub(super) moment: Moment,
    /// Whether this poll was told that it holds the lease.
    pub(super) leased: bool,
    /// Whether this poll was told something after which it leaves the lease to run out.
    pub(super) lease_in_doubt: bool,
}

impl World {
    pub(super) fn new(messages: impl IntoIterator<Item = Stored>) -> Self {
        Self {
            mailbox: (1..).zip(messages).collect(),
            profile: profile(),
            breaking: None,
            fence: 0,
            tries: 0,
            lease: None,
            ledger: HashSet::new(),
            queue: Vec::new(),
            marked: BTreeSet::new(),
            retries: Vec::new(),
            fetched: BTreeMap::new(),
            stored: Vec::new(),
            quarantined: BTreeSet::new(),
            superseded: Vec::new(),
            checks: Vec::new(),
            polls_asked_for: 0,
            statuses: Vec::new(),
            steps: Vec::new(),
            moment: Moment { now: T0, left: POLL_TIME },
            leased: false,
            lease_in_doubt: false,
        }
    }

    /// Polls once, some time after the last poll. `None`: the process crashed.
    pub(super) fn poll(
        &mut self,
        invocation: Invocation,
        mut fault: impl FnMut(&Step<'_>) -> Fault,
    ) -> Option<Result<PollOutcome, PortError>> {
        self.moment = Moment { now: self.moment.now + time::Duration::minutes(2), left: POLL_TIME };
        self.steps.clear();
        (self.leased, self.lease_in_doubt) = (false, false);
        let mut poll = Poll::new(self.profile.clone(), invocation, self.moment);
        for _ in 0..10 + 12 * (self.mailbox.len() + 1) {
            let step = poll.next();
            if step == Step::Finish {
                let left = self.lease.is_some() && self.leased && !self.lease_in_doubt;
                assert!(!left, "the lease is left: {:?}", self.steps);
                return Some(poll.finish());
            }
            let mut fault = fault(&step);
            let mut step = step;
            // What cannot be fetched is quarantined instead.
            if let (Step::Fetch { isolation, .. }, Fault::Before(Kind::Owner | Kind::Suspect)) =
                (&mut step, fault)
                && isolation.may_quarantine()
            {
                (*isolation, fault) = (Isolation::QuarantineUnfetched, Fault::Nothing);
            }
            self.steps.push(name(&step));
            let releases = matches!(step, Step::Release { .. });
            let told = match fault {
                Fault::Crash => return None,
                Fault::Before(kind) => Err(kind),
                Fault::After(kind) => self.perform(step, fault).map_err(|_| kind).and(Err(kind)),
                Fault::Nothing | Fault::Slow(_) | Fault::Refuse | Fault::Unchanged { .. } => {
                    self.perform(step, fault).map_err(|()| Kind::Lost)
                }
            };
            self.leased |= matches!(told, Ok(Event::Leased(..)));
            if let Err(kind) = told {
                self.lease_in_doubt |= releases || matches!(kind, Kind::Lost | Kind::OutOfTime);
            }
            let time = if let Fault::Slow(seconds) = fault {
                Duration::from_secs(seconds)
            } else {
                Duration::from_millis(10)
            };
            self.moment = Moment { now: self.moment.now + time, left: self.moment.left.saturating_sub(time) };
            poll.tell(told.map_err(Kind::failure), self.moment);
        }
        panic!("no end: {:?}", self.steps)
    }

    /// The effect of a step. `Err`: the lease is lost.
    pub(super) fn perform(&mut self, step: Step<'_>, fault: Fault) -> Result<Event, ()> {
        Ok(match step {
            Step::Open { list_above, .. } => {
                let next = self.mailbox.keys().max().map_or(1, |last| last + 1);
                let exists = u32::try_from(self.mailbox.len()).unwrap();
                let state = MailboxState {
                    uid_validity: UidValidity::new(1),
                    uid_next: Uid::new(next),
                    exists,
                    ..MailboxState::default()
                };
                let listed = list_above.filter(|above| !self.breaks(*above, WINDOW));
                Event::Opened(state, listed.map(|above| self.list(above, WINDOW)))
            }
            Step::List { above, width } if self.breaks(above, width) => {
                Event::ListRefused(OwnerError::new(ErrorCode::ImapProtocol, "no"))
            }
            Step::List { above, width } => Event::Listed(self.list(above, width)),
            Step::ListAgain { above, through } => {
                let there = self.mailbox.range(above + 1..=through).map(|(n, _)| uid(*n)).collect();
                let messages = self.list(above, through - above).messages;
                Event::ListedAgain(Relisted { messages, found: there, unsearched: false })
            }
            Step::FindLast => Event::LastFound(self.mailbox.keys().max().map(|last| uid(*last))),
            Step::FindStart(_) => Event::StartFound(self.mailbox.keys().min().map(|first| uid(*first))),
            Step::Lease { until } => {
                if self.lease.is_some_and(|until| until >= self.moment.now) {
                    return Ok(Event::NotLeased);
                }
                self.fence += 1;
                self.tries += 1;
                self.lease = Some(until);
                let lease = Lease {
                    profile: self.profile.id,
                    fence: self.fence,
                    tries: self.tries,
                    expires_at: until,
                };
                Event::Leased(lease, Box::new(self.profile.clone()))
            }
            Step::FindQueue(_) => Event::QueueFound(FlowQueue::Default),
            Step::Fetch { page, isolation } => {
                assert!(self.lease.is_some());
                let uids = page.iter().map(|message| message.uid);
                let there = uids.filter(|uid| !self.mailbox[&uid.get()].gone).collect::<Vec<_>>();
                let digests = there.into_iter().map(|uid| (uid, self.fetch(uid, isolation)));
                let messages: Vec<_> = digests.collect();
                let quarantine =
                    messages.iter().filter(|(uid, digest)| *digest == place(*uid)).map(|(uid, _)| *uid);
                Event::Fetched { quarantine: quarantine.collect(), messages }
            }
            Step::ReadLedger(digests) => {
                Event::LedgerRead(digests.into_iter().filter(|digest| self.ledger.contains(digest)).collect())
            }
            Step::Store(uids, notes) => {
                self.superseded.extend(notes.supersedes.clone());
                self.stored = uids.iter().map(|uid| self.fetched[&uid.get()]).collect();
                Event::Stored { automated: Vec::new(), bounces: Vec::new() }
            }
            Step::FetchAnother { .. } => Event::FetchedAnother(!matches!(fault, Fault::Refuse)),
            Step::CheckLater(cursor, delay) => {
                assert!(self.lease.is_some_and(|until| until < self.moment.now + delay));
                self.checks.push(cursor.map(|cursor| cursor.last_uid));
                Event::Done
            }
            Step::HandOver(_) => {
                let most = if matches!(fault, Fault::Refuse) { 1 } else { usize::MAX };
                let taken: Vec<Digest> = self.stored.iter().take(most).copied().collect();
                self.queue.extend(&taken);
                Event::HandedOver(taken.iter().map(|digest| JobId::new(self.profile.id, *digest)).collect())
            }
            Step::NoteHandedOver(digests) => {
                self.ledger.extend(digests);
                Event::Done
            }
            Step::MoveCursor { lease, progress, hold } => {
                self.check(lease)?;
                self.profile.deferred = progress.deferred.to_vec();
                self.profile.skipped_seen = progress.skipped_seen;
                self.profile.unsearched_at = progress.unsearched_at;
                self.profile.repeats_up_to = progress.repeats_up_to;
                self.profile.overdue = progress.overdue.cloned();
                match progress.held_back {
                    HeldChange::Unchanged => {}
                    HeldChange::Set(held) => self.profile.held_back = Some(*held),
                    HeldChange::Removed => self.profile.held_back = None,
                }
                self.move_cursor(*progress.cursor, hold);
                Event::Done
            }
            Step::Release { lease, tries } => {
                self.check(lease)?;
                (self.lease, self.tries) = (None, tries);
                Event::Done
            }
            Step::PollAgain(_) => {
                self.polls_asked_for += 1;
                Event::Done
            }
            Step::Retry(request, delay) => {
                self.retries.push((request.clone(), delay));
                Event::Done
            }
            Step::Record { status, .. } => {
                self.statuses.push(status.clone());
                self.profile.status = status.clone();
                Event::Done
            }
            Step::MarkSeen(_) if matches!(fault, Fault::Unchanged { .. }) => {
                let session_ended = matches!(fault, Fault::Unchanged { session_ended: true });
                let error = OwnerError::new(ErrorCode::ImapMailbox, "The mailbox is read-only.");
                Event::ChangeFailed(ChangeFailure { error, copied: Vec::new(), session_ended })
            }
            Step::MarkSeen(uids) => {
                self.marked.extend(uids);
                Event::Done
            }
            Step::NoteAutomated(_)
            | Step::ReportBounces(_)
            | Step::MoveTo(..)
            | Step::RemoveCopied(_)
            | Step::LogOut => Event::Done,
            Step::Finish => panic!("nothing to do"),
        })
    }

    pub(super) fn fetch(&mut self, uid: Uid, isolation: Isolation) -> Digest {
        let digest = match isolation {
            Isolation::Pages | Isolation::OneByOne | Isolation::WholeOrQuarantine => {
                Digest::of(&[self.mailbox[&uid.get()].content])
            }
            Isolation::Quarantine | Isolation::QuarantineUnfetched => {
                self.quarantined.insert(uid.get());
                place(uid)
            }
        };
        self.fetched.insert(uid.get(), digest);
        digest
    }

    pub(super) fn list(&self, above: u32, width: u32) -> Listing {
        let through = above.saturating_add(width);
        let messages =
            self.numbered().filter(|(_, n, message)| (above + 1..=through).contains(n) && !message.hidden);
        let messages = messages.map(|(number, n, message)| Listed {
            uid: uid(n),
            number: Some(number),
            seen: message.seen,
            size: message.size,
            arrived: Some(T0),
        });
        Listing { above, through, messages: messages.collect(), ..Listing::default() }
    }

    /// Whether a message breaks the listing of this window.
    fn breaks(&self, above: u32, width: u32) -> bool {
        self.breaking.is_some_and(|n| n > above && n <= above.saturating_add(width))
    }

    /// The messages with their sequence numbers and UIDs.
    fn numbered(&self) -> impl Iterator<Item = (u32, u32, &Stored)> {
        (1..).zip(&self.mailbox).map(|(number, (n, message))| (number, *n, message))
    }

    pub(super) fn check(&self, lease: &Lease) -> Result<(), ()> {
        if lease.fence == self.fence { Ok(()) } else { Err(()) }
    }

    /// Moves the cursor, which must pass only what is handed over, deferred, gone or not wanted.
    pub(super) fn move_cursor(&mut self, cursor: Cursor, hold: Hold) {
        assert!(self.profile.cursor.is_none_or(|before| before.last_uid <= cursor.last_uid));
        for (n, message) in self.mailbox.range(..=cursor.last_uid) {
            let handed_over = self.fetched.get(n).is_some_and(|digest| self.queue.contains(digest));
            let deferred = self.profile.deferred.iter().any(|entry| entry.message.uid == uid(*n));
            let held = |held: HeldBack| (held.cursor.last_uid + 1..=held.up_to).contains(n);
            let held_back = self.profile.held_back.is_some_and(held);
            let kept = handed_over || deferred || held_back;
            assert!(kept || message.gone || message.seen, "{n} is lost: {:?}", self.steps);
        }
        self.profile.cursor = Some(cursor);
        (self.lease, self.tries) = match hold {
            Hold::Until(until) => (Some(until), 1),
            Hold::Release => (None, 0),
        };
    }

    pub(super) fn last_uid(&self) -> u32 {
        self.profile.cursor.map_or(0, |cursor| cursor.last_uid)
    }
}

/// The digest that stands for a message that is quarantined.
pub(super) fn place(uid: Uid) -> Digest {
    Digest::of_place("INBOX", Some(1), uid.get())
}

/// The name of a step, without what it carries.
pub(super) fn name(step: &Step<'_>) -> String {
    format!("{step:?}").split([' ', '(']).next().unwrap().to_owned()
}
