//! What holds at each step, and after a quiet time: the promises of the README, as a third party would check them.

use std::time::Duration;

use mailroom_core::health::{ProfileState, Status};
use mailroom_core::inbound::cursor::Cursor;
use mailroom_core::inbound::deferred::QuarantineNotice;
use mailroom_core::inbound::job::{FlowJob, Kind};
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::AfterFetch;

use crate::clock;
use crate::lambda::Run;
use crate::mailboxes::{Announced, OLD, Truth, content_of_subject, parent};
use crate::scenario::Poison;
use crate::world::{Row, World, owner_of};

/// How long a FIFO queue drops repeats.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(300);

/// Longer than any invocation of fetch lasts.
const LONGEST_RUN: Duration = Duration::from_secs(180);

/// By how many minutes a server's clock may be behind.
const CLOCK_SKEW: i64 = 5;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A message has a second job, so long after the first.
    Twice { owner: usize, content: u32, after: Duration, of_quarantined: bool, renumbered: bool },
    /// The cursor passed a message that has no job and no excuse.
    Passed { owner: usize, content: u32 },
    /// A message that is older than its profile has a job.
    OldAnnounced { owner: usize, content: u32 },
    /// The cursor went back although the mailbox was not renumbered.
    WentBack { owner: usize },
    /// A message that the server can give was quarantined.
    QuarantinedWithoutCause { owner: usize, content: u32 },
    /// A message has no job after the quiet time; `stuck`: one over which the server falls silent lies there.
    NeverAnnounced { owner: usize, content: u32, stuck: bool },
    /// A job names a message that was never there.
    Unknown { owner: usize },
    /// The status says that all is well, and the server was not read.
    SaysOkUnread { owner: usize },
    /// The status says after the quiet time that all is not well.
    NeverWell { owner: usize, code: ErrorCode, stuck: bool },
    /// A job's message is not in the ledger after the quiet time.
    NotInLedger { owner: usize, content: u32, quarantined_later: bool },
    /// A message that has its job is still as it was, although its profile wants it marked or moved.
    Unchanged { owner: usize, content: u32 },
    /// A server took a message for a recipient a second time.
    SentTwice { message_id: String },
    /// A message has no final outcome after the quiet time.
    NeverSent { message: String },
    /// A recipient is shown as reached, and no server took the message for it.
    SaysSentUnsent { message: String },
    /// A recipient is shown as not reached, and a server took the message for it.
    SaysUnsentSent { message: String },
    /// The last published outcome is not the message's state.
    OutcomeUntold { message: String },
    /// A message's second job is in another conversation than its first.
    ConversationChanged { owner: usize, content: u32 },
    /// A message is not in the conversation of the message that it answers.
    ConversationLost { owner: usize, content: u32 },
    /// What a report said of a message is not in its status.
    BounceLost { message: String },
    /// A message cannot be found by the id that its server reported for it.
    ReportedIdUnknown { message: String },
    /// The function panicked.
    Panicked { owner: usize },
}

impl Violation {
    /// Whether both are the same promise.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What is remembered to judge by.
#[derive(Debug)]
pub(crate) struct Watch {
    /// For each owner, the contents of the jobs with the messages' digests.
    digests: Vec<Vec<(u32, String)>>,
}

impl Watch {
    pub(crate) fn new(owners: usize) -> Self {
        Self { digests: vec![Vec::new(); owners] }
    }
}

impl World {
    /// The job queue has taken a job that flows will see.
    pub(crate) fn announced(&mut self, job: &FlowJob) {
        let profile = mailroom_core::profile::ProfileId::parse(&job.profile_id).expect("a profile's id");
        let owner = owner_of(profile);
        let account = &mut self.accounts[owner];
        let content = (job.message.subject.as_deref().and_then(content_of_subject))
            .or_else(|| account.inbox.content_at(job.uid_validity, job.uid));
        let Some((content, truth)) =
            content.and_then(|content| Some((content, account.truths.get_mut(&content)?)))
        else {
            return self.violated(Violation::Unknown { owner });
        };
        let now = clock::elapsed();
        let json = serde_json::to_value(job).expect("JSON");
        let new = Announced {
            at: now,
            job_id: job.job_id.as_str().to_owned(),
            conversation: job.conversation_id.clone(),
            place: (job.uid_validity, job.uid),
            quarantined: job.kind == Kind::Quarantined,
            redelivered: job.redelivered,
            supersedes: json["supersedes"].as_str().map(str::to_owned),
        };
        let before = truth.jobs.last().cloned();
        let is_read = |job: &&Announced| !job.quarantined;
        let first = truth.jobs.iter().find(is_read).map(|job| job.conversation.clone());
        let changed = !new.quarantined && first.as_ref().is_some_and(|first| *first != new.conversation);
        truth.jobs.push(new.clone());
        let (poisoned, old) = (truth.poison.is_some(), truth.excused == Some(OLD));
        let renumbered = account.renumbered;
        // What was handed over before the run began that hands this over.
        let known = parent(content).and_then(|parent| account.truths.get(&parent)).and_then(|parent| {
            let earlier = |job: &&Announced| job.at + LONGEST_RUN < now;
            parent.jobs.iter().filter(is_read).find(earlier)
        });
        let lost = !new.quarantined
            && first.is_none()
            && known.is_some_and(|parent| parent.conversation != new.conversation);
        if changed {
            self.violated(Violation::ConversationChanged { owner, content });
        }
        if lost {
            self.violated(Violation::ConversationLost { owner, content });
        }
        if let Some(before) = before
            && !(before.quarantined && new.supersedes.as_ref() == Some(&before.job_id))
            // Of equal messages that cannot be read nobody knows that they are equal.
            && !(before.quarantined && new.quarantined && before.place != new.place)
            // Jobs that cannot be noted are sent again, and say so once the queue has forgotten them.
            && !(new.redelivered && new.at - before.at >= REMEMBERED)
        {
            let of_quarantined = before.quarantined || new.quarantined;
            let after = now - before.at;
            self.violated(Violation::Twice { owner, content, after, of_quarantined, renumbered });
        }
        if old {
            self.violated(Violation::OldAnnounced { owner, content });
        }
        if new.quarantined && !poisoned {
            self.violated(Violation::QuarantinedWithoutCause { owner, content });
        }
        self.watch.digests[owner].push((content, job.message.sha256.clone()));
    }

    /// A cursor was moved.
    pub(crate) fn cursor_moved(&mut self, owner: usize, before: Option<&Cursor>, after: &Cursor) {
        let account = &mut self.accounts[owner];
        let same = account.habits.says_uid_validity.then_some(account.inbox.uid_validity)
            == after.uid_validity.map(|value| value.get());
        if !same {
            // It was renumbered again since: these UIDs mean nothing any more.
            return;
        }
        // It is tried again: after the quiet time it has its job.
        let deferred = &self.rows[owner].profile.deferred;
        let held = self.rows[owner].profile.held_back;
        let is_held = |uid| held.is_some_and(|held| (held.cursor.last_uid + 1..=held.up_to).contains(&uid));
        let is_deferred = |uid| is_held(uid) || deferred.iter().any(|entry| entry.message.uid.get() == uid);
        let never = deferred.iter().filter(|entry| entry.notice == QuarantineNotice::Never);
        let never = never.filter_map(|entry| account.inbox.content_at(None, entry.message.uid.get()));
        for content in never.collect::<Vec<u32>>() {
            account.excuse(content, "it may have been handed over before the mailbox was renumbered");
        }
        let passed: Vec<u32> = (account.inbox.messages.iter())
            .filter(|message| message.uid <= after.last_uid && !is_deferred(message.uid))
            .map(|message| message.letter.content)
            .collect();
        let begins = before.is_none_or(|before| {
            before.moved_at.is_some()
                && (after.uid_validity.is_none() || before.uid_validity != after.uid_validity)
        });
        if begins && account.habits.minutes_ahead < -CLOCK_SKEW {
            account.excuse_all("its server's clock dates it before the beginning");
        }
        let mut violations = Vec::new();
        let renumbered = before
            .is_some_and(|before| before.uid_validity != after.uid_validity || before.moved_at.is_some());
        if let Some(before) = before
            && !renumbered
            && after.last_uid < before.last_uid
        {
            violations.push(Violation::WentBack { owner });
        }
        for content in passed {
            let Some(truth) = account.truths.get(&content) else { continue };
            if truth.excused.is_some() || !truth.jobs.is_empty() {
                continue;
            }
            violations.push(Violation::Passed { owner, content });
        }
        violations.into_iter().for_each(|violation| self.violated(violation));
    }

    /// A run has recorded a status.
    pub(crate) fn recorded(&mut self, owner: usize, status: &Status, run: &Run) {
        if status.state == ProfileState::Ok && !run.read(owner) {
            self.violated(Violation::SaysOkUnread { owner });
        }
        let panicked = |message: &str| message.starts_with("Mailroom failed while it read this mailbox");
        if status.error.as_ref().is_some_and(|error| panicked(&error.message)) {
            self.violated(Violation::Panicked { owner });
        }
    }

    /// Whether every message that is due has its job, and every profile is well.
    pub(crate) fn is_well(&self) -> bool {
        let due = |truth: &Truth| truth.jobs.is_empty() && truth.excused.is_none();
        let announced = !self.accounts.iter().flat_map(|account| account.truths.values()).any(due);
        let well = |row: &Row| row.profile.status.error.is_none() && row.profile.overdue.is_none();
        announced && self.rows.iter().all(well)
    }

    /// The quiet time is over.
    pub(crate) fn judge(&mut self) {
        let mut violations = Vec::new();
        for (owner, account) in self.accounts.iter().enumerate() {
            let stuck = account.inbox.messages.iter().any(|message| {
                let truth = &account.truths[&message.letter.content];
                truth.poison == Some(Poison::Hangs) && truth.jobs.is_empty()
            });
            // Nothing shows that it is the messages and not the server: their owner reads why they wait.
            let alone = account.inbox.messages.iter().all(|message| message.letter.poison.is_some());
            let deferred = &self.rows[owner].profile.deferred;
            let is_never_announced = |content: u32| {
                let never = deferred.iter().filter(|entry| entry.notice == QuarantineNotice::Never);
                let mut uids = never.map(|entry| entry.message.uid.get());
                uids.any(|uid| {
                    account.inbox.get(uid).is_some_and(|message| message.letter.content == content)
                })
            };
            for (content, truth) in &account.truths {
                let waits = truth.poison.is_some() && (alone || is_never_announced(*content));
                if truth.jobs.is_empty() && truth.excused.is_none() && !waits {
                    let content = *content;
                    violations.push(Violation::NeverAnnounced { owner, content, stuck });
                }
            }
            if let Some(error) = self.rows[owner].profile.status.error.as_ref().filter(|_| !alone) {
                violations.push(Violation::NeverWell { owner, code: error.code, stuck });
            }
            let wanted = &self.rows[owner].profile.settings.after_fetch;
            for message in account.inbox.messages.iter().filter(|_| !account.renumbered) {
                let content = message.letter.content;
                let truth = &account.truths[&content];
                let whole = truth.jobs.last().is_some_and(|job| !job.quarantined);
                let changed = match wanted {
                    AfterFetch::Keep => true,
                    AfterFetch::MarkSeen => message.seen,
                    AfterFetch::Move(_) => false,
                };
                if whole && truth.excused.is_none() && !changed {
                    violations.push(Violation::Unchanged { owner, content });
                }
            }
            for (content, digest) in &self.watch.digests[owner] {
                let (content, truth) = (*content, &account.truths[content]);
                // One that is gone, or was read elsewhere before its job could be noted, does not show again.
                // After a renumbering, one that was quarantined is not announced again, so that it is not noted either.
                let quarantined_later = truth.jobs.last().is_some_and(|job| job.quarantined);
                let never_again = quarantined_later && account.renumbered;
                let is_noted = never_again || self.ledger.contains_key(&(owner, digest.clone()));
                if truth.excused.is_none() && !is_noted {
                    violations.push(Violation::NotInLedger { owner, content, quarantined_later });
                }
            }
        }
        violations.into_iter().for_each(|violation| self.violated(violation));
    }
}
