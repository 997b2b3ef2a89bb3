//! What a mailbox's messages are to the ledger. It decides, and asks nothing: the auditor tells it what the server lists,
//! and fetches what it names.
//!
//! A message that lies where the ledger says that it was handed over, with the same size, is known without a byte of it.
//! Every other one that should have become a job is fetched, and looked up by its digest. What then has no job is excused
//! by a reason that is counted, or missing.
//!
//! Which messages should have become jobs: those that arrived since [`Comparison::start`], and those with higher UIDs than
//! one of them that the ledger has. A message that is moved into a mailbox keeps its date, and gets a new UID.
//!
//! A missing message that someone has read looks like one that was read before it was polled. So where more of those are
//! found than polls have passed, all of them are fetched, and what polls have not counted makes the audit inconclusive.

use std::collections::{HashMap, HashSet};

use mailroom_core::audit::{AuditResult, AuditStatus, WaitingMark};
use mailroom_core::inbound::cursor::{Cursor, LEDGER_TIME, Uid, UidValidity};
use mailroom_core::inbound::job::Digest;
use mailroom_core::inbound::ledger::{HandedOver, LedgerPlace};
use mailroom_core::profile::{Profile, StartFrom};
use time::{Duration, OffsetDateTime};

use crate::session::ListedMessage;

/// How much shorter than the ledger's life an audit looks back: servers' clocks and zones differ by less.
const MARGIN: Duration = Duration::days(1);

/// How long a message may wait for a poll, beside three intervals.
const WAITING_TIME: Duration = Duration::minutes(15);

/// Messages that the ledger knows by their place, and that are fetched all the same: a false entry is found in time.
const SAMPLES: usize = 5;

/// The largest message of a sample (bytes).
const SAMPLE_SIZE: u64 = 256 * 1024;

/// How many messages there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Listed at all.
    pub(crate) listed: usize,
    /// Too old, or there before the profile listened.
    pub(crate) not_due: usize,
    /// Handed over, by place or digest.
    pub(crate) handed_over: usize,
    /// A job says that it is quarantined.
    pub(crate) quarantined: usize,
    /// Read before it was polled.
    pub(crate) read_before: usize,
    /// No poll has passed it yet.
    pub(crate) waiting: usize,
    /// Could not be read so far, and is tried again.
    pub(crate) deferred: usize,
    /// Waits for its owner's answer, or was not wanted.
    pub(crate) held_back: usize,
    /// Removed while the audit ran.
    pub(crate) removed: usize,
    /// Handed over at this place with other bytes.
    pub(crate) changed: usize,
    /// No job, and no reason.
    pub(crate) missing: usize,
}

/// What is known of a mailbox before its messages are looked at.
pub(crate) struct Comparison<'a> {
    profile: &'a Profile,
    uid_validity: Option<UidValidity>,
    now: OffsetDateTime,
    digests: HashSet<Digest>,
    places: HashMap<Uid, (LedgerPlace, Digest)>,
    counts: Counts,
    missing: Vec<ListedMessage>,
    /// Read messages without a job, up to the cursor.
    read: Vec<ListedMessage>,
    waiting_up_to: u32,
    doubt: Option<&'static str>,
}

/// Why the bytes of a message are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The ledger does not know its place.
    Unknown,
    /// The ledger knows its place: whether it is right.
    Sample(Digest),
}

/// What the server gave of a message that was asked for: the digests that it may be known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Digests(Option<Digest>, Option<Digest>),
    Gone,
}

impl<'a> Comparison<'a> {
    /// A comparison of the profile as it was read before the ledger, at `now`.
    pub(crate) fn new(
        profile: &'a Profile,
        ledger: &[HandedOver],
        uid_validity: Option<UidValidity>,
        now: OffsetDateTime,
    ) -> Self {
        let placed = ledger.iter().filter_map(|entry| Some((entry.place?, entry.digest)));
        let here = placed.filter(|(place, _)| place.uid_validity == uid_validity);
        Self {
            profile,
            uid_validity,
            now,
            digests: ledger.iter().map(|entry| entry.digest).collect(),
            places: here.map(|(place, digest)| (place.uid, (place, digest))).collect(),
            counts: Counts::default(),
            missing: Vec::new(),
            read: Vec::new(),
            waiting_up_to: 0,
            doubt: None,
        }
    }

    /// The arrival from which messages should have become jobs.
    pub(crate) fn start(&self) -> OffsetDateTime {
        let Profile { settings, updated_at, created_at, cursor, .. } = self.profile;
        let listens_since = self.profile.listens_since.unwrap_or(*created_at);
        let asked = match settings.start_from {
            StartFrom::Now => listens_since,
            // Read at the first poll only: what was edited since may have been something else then.
            StartFrom::All | StartFrom::Date(_) if *updated_at > listens_since => listens_since,
            StartFrom::All => OffsetDateTime::UNIX_EPOCH,
            StartFrom::Date(date) => date.midnight().assume_utc(),
        };
        let passed = cursor.and_then(|cursor| cursor.old_until).map(|at| at.saturating_add(Duration::SECOND));
        let remembered = self.now.saturating_sub(LEDGER_TIME).saturating_add(MARGIN);
        asked.max(remembered).max(passed.unwrap_or(asked))
    }

    /// The lowest UID that was handed over in this mailbox: the list has to reach so far down.
    pub(crate) fn lowest_known(&self) -> Option<Uid> {
        self.places.keys().min().copied()
    }

    /// Looks at all messages, in ascending order of their UIDs. Returns those whose bytes are asked for.
    pub(crate) fn look(&mut self, listed: &[ListedMessage]) -> Vec<(ListedMessage, Purpose)> {
        let start = self.start();
        let (mut asked, mut samples) = (Vec::new(), Vec::new());
        let mut behind_known = false;
        self.counts.listed = listed.len();
        for message in listed.iter().copied() {
            let recent = message.arrived.is_some_and(|arrived| arrived >= start);
            if self.is_quarantined(message.uid) {
                self.counts.quarantined += 1;
            } else if let Some(digest) = self.known_by_place(&message) {
                behind_known |= recent;
                self.counts.handed_over += 1;
                if message.size <= SAMPLE_SIZE {
                    samples.push((message, Purpose::Sample(digest)));
                }
            } else if !recent && !behind_known {
                self.counts.not_due += 1;
            } else if self.is_above_cursor(message.uid) {
                self.wait(message);
            } else if self.is_deferred(message.uid) {
                self.counts.deferred += 1;
            } else if self.is_held_back(message.uid) {
                self.counts.held_back += 1;
            } else if message.seen && !self.profile.settings.include_seen {
                self.read.push(message);
            } else {
                asked.push((message, Purpose::Unknown));
            }
        }
        let passed = usize::try_from(self.profile.skipped_seen.count).unwrap_or(usize::MAX);
        if self.read.len() > passed {
            asked.extend(
                std::mem::take(&mut self.read).into_iter().map(|message| (message, Purpose::Unknown)),
            );
        }
        // Others at each audit.
        let turn = usize::try_from(self.now.unix_timestamp().unsigned_abs() / 3_600).unwrap_or(0);
        let step = samples.len().div_ceil(SAMPLES).max(1);
        asked.extend(samples.into_iter().skip(turn % step).step_by(step).take(SAMPLES));
        asked
    }

    /// Whether the digest that stands for a message that is too large is asked for as well: its own does not tell.
    pub(crate) fn wants_oversize(&self, purpose: Purpose, whole: Option<Digest>) -> bool {
        match purpose {
            Purpose::Sample(noted) => whole != Some(noted),
            Purpose::Unknown => whole.is_none_or(|whole| !self.digests.contains(&whole)),
        }
    }

    /// Takes what the server gave of a message that was asked for.
    pub(crate) fn read(&mut self, message: ListedMessage, purpose: Purpose, content: Content) {
        let known = match content {
            Content::Gone if matches!(purpose, Purpose::Sample(_)) => return,
            Content::Gone => {
                self.counts.removed += 1;
                return;
            }
            Content::Digests(whole, oversize) => [whole, oversize],
        };
        match purpose {
            Purpose::Sample(noted) if known.contains(&Some(noted)) => {}
            Purpose::Sample(_) => {
                self.counts.handed_over -= 1;
                self.changed();
            }
            Purpose::Unknown => {
                if known.iter().flatten().any(|digest| self.digests.contains(digest)) {
                    self.counts.handed_over += 1;
                } else if message.seen && self.may_have_been_read(&message) {
                    self.read.push(message);
                } else if self.places.contains_key(&message.uid) {
                    self.changed();
                } else {
                    self.missing.push(message);
                }
            }
        }
    }

    /// What the audit says, and which messages are missing.
    pub(crate) fn conclude(mut self) -> (AuditStatus, Counts, Vec<ListedMessage>) {
        self.counts.read_before = self.read.len();
        self.counts.missing = self.missing.len();
        if self.counts.waiting > 0 && self.profile.status.error.is_some() {
            self.doubt("Messages wait, because the mailbox cannot be polled at present.");
        }
        let passed = usize::try_from(self.profile.skipped_seen.count).unwrap_or(usize::MAX);
        if self.read.len() > passed && !self.profile.settings.include_seen {
            self.doubt(
                "More messages without a job are marked as read than polls have passed as read: one of them may be missing.",
            );
        }
        let result = match (self.missing.is_empty(), self.doubt) {
            (false, _) => AuditResult::Missing,
            (true, Some(_)) => AuditResult::Inconclusive,
            (true, None) => AuditResult::Fine,
        };
        let status = AuditStatus {
            at: self.now,
            result,
            missing: u64::try_from(self.missing.len()).unwrap_or(u64::MAX),
            reason: self.doubt.filter(|_| result == AuditResult::Inconclusive).map(str::to_owned),
            waiting: (self.waiting_up_to > 0)
                .then_some(WaitingMark { uid_validity: self.uid_validity, up_to: self.waiting_up_to }),
        };
        (status, self.counts, self.missing)
    }

    /// The audit cannot say that all is fine, for this reason.
    pub(crate) const fn doubt(&mut self, reason: &'static str) {
        if self.doubt.is_none() {
            self.doubt = Some(reason);
        }
    }

    fn changed(&mut self) {
        self.counts.changed += 1;
        self.doubt(
            "A message that was handed over has other bytes now, or the ledger names another one for it.",
        );
    }

    /// The digest that the ledger holds for what lies there.
    fn known_by_place(&self, message: &ListedMessage) -> Option<Digest> {
        let (place, digest) = self.places.get(&message.uid)?;
        (place.size == message.size).then_some(*digest)
    }

    fn is_quarantined(&self, uid: Uid) -> bool {
        let mailbox = self.profile.settings.mailbox.as_str();
        let uid_validity = self.uid_validity.map(UidValidity::get);
        self.digests.contains(&Digest::of_place(mailbox, uid_validity, uid.get()))
    }

    /// Whether no poll has passed the message: behind another numbering, no poll has seen the mailbox.
    fn is_above_cursor(&self, uid: Uid) -> bool {
        self.profile.cursor.is_none_or(|Cursor { uid_validity, last_uid, moved_at, .. }| {
            let same =
                uid_validity.is_none() || self.uid_validity.is_none() || uid_validity == self.uid_validity;
            !same || moved_at.is_some() || uid.get() > last_uid
        })
    }

    /// A message waits for a poll: it is missing where it waited at the last audit, and polls had time and no trouble since.
    fn wait(&mut self, message: ListedMessage) {
        let interval = i64::from(self.profile.settings.refresh_interval.seconds());
        let due = self
            .now
            .saturating_sub(WAITING_TIME)
            .saturating_sub(Duration::seconds(interval.saturating_mul(3)));
        let waited = self.profile.audit.as_ref().is_some_and(|last| {
            last.at <= due
                && last.waiting.is_some_and(|mark| {
                    mark.uid_validity == self.uid_validity && message.uid.get() <= mark.up_to
                })
        });
        self.waiting_up_to = self.waiting_up_to.max(message.uid.get());
        if waited && self.profile.status.error.is_none() {
            self.missing.push(message);
        } else {
            self.counts.waiting += 1;
        }
    }

    fn is_deferred(&self, uid: Uid) -> bool {
        let mut deferred = self.profile.deferred.iter();
        deferred.any(|entry| entry.message.uid == uid && entry.uid_validity == self.uid_validity)
    }

    /// Whether the message waits for its owner's answer, or its owner did not want it.
    fn is_held_back(&self, uid: Uid) -> bool {
        [self.profile.held_back, self.profile.declined].into_iter().flatten().any(|held| {
            held.cursor.uid_validity == self.uid_validity
                && (held.cursor.last_uid + 1..=held.up_to).contains(&uid.get())
        })
    }

    /// Whether a poll may have passed the message because it was read. Where read messages count now, they may not have
    /// counted before the last edit.
    fn may_have_been_read(&self, message: &ListedMessage) -> bool {
        !self.profile.settings.include_seen
            || message.arrived.is_none_or(|arrived| arrived < self.profile.updated_at)
                && self.profile.updated_at > self.profile.created_at
    }
}

#[cfg(test)]
mod tests;
