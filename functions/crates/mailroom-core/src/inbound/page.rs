//! The hand-over of one page of messages, step by step.
//!
//! The order is the guarantee: objects, job, ledger, and only then the cursor. A crash between any two of them repeats
//! the page, and the keys of objects, the deduplication ids of jobs and the ledger make the repeat harmless.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::isolation::Isolation;
use crate::inbound::job::{Digest, JobId};
use crate::inbound::overdue::ChangeFailure;
use crate::inbound::pending::PendingMessage;
use crate::inbound::step::{JobNotes, Step};
use crate::outbound::delivery::BouncedMessage;
use crate::outbound::loop_guard::AutomatedSender;
use crate::outbound::message::MessageId;
use crate::ports::FlowQueue;
use crate::profile::{AfterFetch, Profile, ProfileId};
use crate::server::Mailbox;

/// A page on its way to the queue.
#[derive(Debug)]
pub(crate) struct Page {
    profile: ProfileId,
    after_fetch: AfterFetch,
    /// Whether the changes of its messages wait for others that failed.
    postpones: bool,
    change_failure: Option<ChangeFailure>,
    messages: Vec<PendingMessage>,
    /// The messages whose jobs say only that they are quarantined: nothing is done to them, because they are still to be
    /// read.
    quarantine: Vec<Uid>,
    isolation: Isolation,
    notes: JobNotes,
    /// The check to ask for before the first job is sent: where the cursor stands, and the delay.
    check: (Option<Cursor>, Duration),
    /// What was fetched, in the order of the page.
    fetched: Vec<(Uid, Digest)>,
    /// The digests that the ledger holds, or that the queue has just taken.
    handed_over: HashSet<Digest>,
    /// The messages that become jobs: the first of each digest that was not handed over.
    new: Vec<Uid>,
    automated: Vec<(MessageId, AutomatedSender)>,
    bounces: Vec<BouncedMessage>,
    accepted: Vec<Digest>,
    /// Whether the queue said which jobs it took.
    answered: bool,
    next: Next,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Fetch,
    ReadLedger,
    Store,
    NoteAutomated,
    ReportBounces,
    CheckLater,
    HandOver,
    NoteHandedOver,
    MarkSeen,
    MoveTo(Mailbox),
}

/// How a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PageResult {
    /// Every message is handed over, or no longer exists; this many are new.
    HandedOver(usize),
    /// The queue took this many of the jobs, and refused the rest for now.
    Refused {
        /// Jobs that the queue took.
        accepted: usize,
        /// Jobs that were sent to it.
        jobs: usize,
    },
}

impl Page {
    pub(crate) fn new(
        profile: &Profile,
        messages: Vec<PendingMessage>,
        isolation: Isolation,
        notes: JobNotes,
        check: (Option<Cursor>, Duration),
    ) -> Self {
        Self {
            profile: profile.id,
            after_fetch: profile.settings.after_fetch.clone(),
            postpones: profile.overdue.is_some(),
            change_failure: None,
            quarantine: Vec::new(),
            messages,
            isolation,
            notes,
            check,
            fetched: Vec::new(),
            handed_over: HashSet::new(),
            new: Vec::new(),
            automated: Vec::new(),
            bounces: Vec::new(),
            accepted: Vec::new(),
            answered: false,
            next: Next::Fetch,
        }
    }

    /// The messages of the page, fetched or not.
    pub(crate) fn messages(&self) -> &[PendingMessage] {
        &self.messages
    }

    /// Whether a job of it says that its message is quarantined.
    pub(crate) fn quarantines(&self) -> bool {
        !self.quarantine.is_empty()
    }

    /// Whether jobs may have been sent that are not in the ledger yet: a queue may take them, and its answer be lost.
    pub(crate) fn may_have_sent(&self) -> bool {
        self.next == Next::NoteHandedOver || (self.next == Next::HandOver && !self.answered)
    }

    /// Whether the next step asks the mail server for the messages.
    pub(crate) fn is_fetching(&self) -> bool {
        self.next == Next::Fetch
    }

    pub(crate) fn step<'a>(&'a self, queue: &'a FlowQueue) -> Step<'a> {
        match &self.next {
            Next::Fetch => Step::Fetch { page: &self.messages, isolation: self.isolation },
            Next::ReadLedger => Step::ReadLedger(self.fetched.iter().map(|(_, digest)| *digest).collect()),
            Next::Store => Step::Store(&self.new, &self.notes),
            // Ahead of the jobs: a flow may answer at once.
            Next::NoteAutomated => Step::NoteAutomated(&self.automated),
            Next::ReportBounces => Step::ReportBounces(&self.bounces),
            Next::CheckLater => Step::CheckLater(self.check.0.as_ref(), self.check.1),
            Next::HandOver => Step::HandOver(queue),
            Next::NoteHandedOver => Step::NoteHandedOver(&self.accepted),
            Next::MarkSeen => Step::MarkSeen(self.handed_over_uids()),
            Next::MoveTo(mailbox) => Step::MoveTo(self.handed_over_uids(), mailbox),
        }
    }

    /// The messages that were fetched. Those that are left out no longer exist.
    pub(crate) fn fetched(
        &mut self,
        fetched: Vec<(Uid, Digest)>,
        quarantine: Vec<Uid>,
    ) -> Option<PageResult> {
        self.fetched = fetched;
        self.quarantine = quarantine;
        if self.fetched.is_empty() { self.result() } else { self.then(Next::ReadLedger) }
    }

    /// The digests that the ledger holds. Of equal messages, only the first becomes a job.
    pub(crate) fn ledger_read(&mut self, handed_over: Vec<Digest>) -> Option<PageResult> {
        self.handed_over = handed_over.into_iter().collect();
        let mut known = self.handed_over.clone();
        let new = self.fetched.iter().filter(|(_, digest)| known.insert(*digest));
        self.new = new.map(|(uid, _)| *uid).collect();
        if self.new.is_empty() { self.act() } else { self.then(Next::Store) }
    }

    /// The messages are stored; these of them were written by programs, and report these as not delivered.
    pub(crate) fn stored(
        &mut self,
        automated: Vec<(MessageId, AutomatedSender)>,
        bounces: Vec<BouncedMessage>,
    ) -> Option<PageResult> {
        (self.automated, self.bounces) = (automated, bounces);
        if self.automated.is_empty() { self.report_bounces() } else { self.then(Next::NoteAutomated) }
    }

    /// The jobs that the queue took. Only their messages are noted, and changed in the mailbox.
    pub(crate) fn jobs_taken(&mut self, taken: &[JobId]) -> Option<PageResult> {
        self.answered = true;
        let digests: HashMap<JobId, Digest> =
            self.fetched.iter().map(|(_, digest)| (JobId::new(self.profile, *digest), *digest)).collect();
        self.accepted = taken.iter().filter_map(|id| digests.get(id).copied()).collect();
        if self.accepted.is_empty() { self.act() } else { self.then(Next::NoteHandedOver) }
    }

    /// The step took effect.
    pub(crate) fn done(&mut self) -> Option<PageResult> {
        match self.next {
            Next::NoteAutomated => self.report_bounces(),
            Next::ReportBounces => self.then(Next::CheckLater),
            Next::CheckLater => self.then(Next::HandOver),
            Next::NoteHandedOver => {
                self.handed_over.extend(&self.accepted);
                self.act()
            }
            Next::MarkSeen | Next::MoveTo(_) => self.result(),
            // These have events of their own.
            Next::Fetch | Next::ReadLedger | Next::Store | Next::HandOver => None,
        }
    }

    /// Ahead of the jobs: a crash repeats the page, and with it the reports.
    fn report_bounces(&mut self) -> Option<PageResult> {
        self.then(if self.bounces.is_empty() { Next::CheckLater } else { Next::ReportBounces })
    }

    /// The change in the mailbox failed: the jobs are out, so the page goes on.
    pub(crate) fn change_failed(&mut self, failure: ChangeFailure) -> Option<PageResult> {
        self.change_failure = Some(failure);
        self.result()
    }

    /// The messages that are still to be changed in the mailbox, and why, if that was tried.
    pub(crate) fn unchanged(&self) -> (Vec<Uid>, Option<&ChangeFailure>) {
        let waits = self.postpones && self.after_fetch != AfterFetch::Keep;
        let uids = if waits || self.change_failure.is_some() { self.handed_over_uids() } else { Vec::new() };
        (uids, self.change_failure.as_ref())
    }

    fn then(&mut self, next: Next) -> Option<PageResult> {
        self.next = next;
        None
    }

    /// Does in the mailbox what the profile wants, to what is handed over now or was before.
    fn act(&mut self) -> Option<PageResult> {
        if self.postpones || self.handed_over_uids().is_empty() {
            return self.result();
        }
        match &self.after_fetch {
            AfterFetch::Keep => self.result(),
            AfterFetch::MarkSeen => self.then(Next::MarkSeen),
            AfterFetch::Move(mailbox) => self.then(Next::MoveTo(mailbox.clone())),
        }
    }

    fn result(&self) -> Option<PageResult> {
        let (accepted, jobs) = (self.accepted.len(), self.new.len());
        Some(if accepted < jobs {
            PageResult::Refused { accepted, jobs }
        } else {
            PageResult::HandedOver(accepted)
        })
    }

    fn handed_over_uids(&self) -> Vec<Uid> {
        let is_read = |(uid, digest): &&(Uid, Digest)| {
            self.handed_over.contains(digest) && !self.quarantine.contains(uid)
        };
        let handed_over = self.fetched.iter().filter(is_read);
        handed_over.map(|(uid, _)| *uid).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use time::macros::datetime;
    use ulid::Ulid;

    use super::*;
    use crate::flow::FlowSchemaId;
    use crate::inbound::pending::Extent;
    use crate::outbound::delivery::ReportedFailure;
    use crate::outbound::message::OutboundId;
    use crate::profile::{Auth, Settings};
    use crate::server::{Host, Security, Server};

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    /// The digest of the message with this text.
    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn id() -> ProfileId {
        ProfileId::new(Ulid::from(7))
    }

    fn job(text: &str) -> JobId {
        JobId::new(id(), digest(text))
    }

    /// A page of this many messages that are marked as seen, fetched with these texts.
    fn fetched(texts: &[&str]) -> Page {
        let server = Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        };
        let auth = Auth::Plain { login: "ann".to_owned() };
        let flow = FlowSchemaId::parse("flow").unwrap();
        let settings = Settings {
            after_fetch: AfterFetch::MarkSeen,
            ..Settings::listening("Support", server, auth, flow)
        };
        let profile = Profile::new(id(), settings, datetime!(2026-11-01 12:00 UTC));
        let pending = |n| PendingMessage { uid: uid(n), extent: Extent::Whole, size: 10, arrived: None };
        let uids = || (1..).take(texts.len());
        let check = (None, Duration::from_secs(90));
        let messages = uids().map(pending).collect();
        let mut page = Page::new(&profile, messages, Isolation::Pages, JobNotes::default(), check);
        let fetched = uids().map(uid).zip(texts.iter().map(|text| digest(text))).collect();
        assert_eq!(page.fetched(fetched, Vec::new()), None);
        page
    }

    fn step(page: &Page) -> Step<'_> {
        page.step(&FlowQueue::Default)
    }

    #[test]
    fn the_ledger_is_written_after_the_jobs_and_the_mailbox_changed_after_the_ledger() {
        let mut page = fetched(&["a", "b"]);
        assert_eq!(step(&page), Step::ReadLedger(vec![digest("a"), digest("b")]));
        page.ledger_read(Vec::new());
        assert_eq!(step(&page), Step::Store(&[uid(1), uid(2)], &JobNotes::default()));
        let automated = vec![(MessageId::parse("a@b.example").unwrap(), AutomatedSender::AutoReply)];
        let message = OutboundId::parse("order-4711").unwrap();
        let bounces = vec![BouncedMessage { message, failures: vec![ReportedFailure::default()] }];
        page.stored(automated.clone(), bounces.clone());
        assert_eq!(step(&page), Step::NoteAutomated(&automated));
        page.done();
        assert_eq!(step(&page), Step::ReportBounces(&bounces));
        page.done();
        assert!(matches!(step(&page), Step::CheckLater(..)));
        page.done();
        assert_eq!(step(&page), Step::HandOver(&FlowQueue::Default));
        page.jobs_taken(&[job("b"), job("a")]);
        assert_eq!(step(&page), Step::NoteHandedOver(&[digest("b"), digest("a")]));
        page.done();
        assert_eq!(step(&page), Step::MarkSeen(vec![uid(1), uid(2)]));
        assert_eq!(page.done(), Some(PageResult::HandedOver(2)));
    }

    #[test]
    fn of_equal_messages_one_becomes_a_job_and_all_are_changed_in_the_mailbox() {
        let mut page = fetched(&["a", "a", "b"]);
        page.ledger_read(vec![digest("b")]);
        assert_eq!(step(&page), Step::Store(&[uid(1)], &JobNotes::default()));
        page.stored(Vec::new(), Vec::new());
        page.jobs_taken(&[job("a")]);
        page.done();
        assert_eq!(step(&page), Step::MarkSeen(vec![uid(1), uid(2), uid(3)]));
        assert_eq!(page.done(), Some(PageResult::HandedOver(1)));
    }

    #[test]
    fn a_message_that_was_handed_over_before_is_changed_in_the_mailbox_without_another_job() {
        let mut page = fetched(&["a"]);
        assert_eq!(page.ledger_read(vec![digest("a")]), None);
        assert_eq!(step(&page), Step::MarkSeen(vec![uid(1)]));
        assert_eq!(page.done(), Some(PageResult::HandedOver(0)));
    }

    #[test]
    fn only_jobs_that_the_queue_took_are_noted() {
        let mut page = fetched(&["a", "b"]);
        page.ledger_read(Vec::new());
        page.stored(Vec::new(), Vec::new());
        page.jobs_taken(&[job("b")]);
        assert_eq!(step(&page), Step::NoteHandedOver(&[digest("b")]));
        page.done();
        assert_eq!(step(&page), Step::MarkSeen(vec![uid(2)]));
        assert_eq!(page.done(), Some(PageResult::Refused { accepted: 1, jobs: 2 }));

        let mut page = fetched(&["a"]);
        page.ledger_read(Vec::new());
        page.stored(Vec::new(), Vec::new());
        assert_eq!(page.jobs_taken(&[]), Some(PageResult::Refused { accepted: 0, jobs: 1 }));
    }

    #[test]
    fn a_quarantined_message_is_left_in_the_mailbox_as_it_is() {
        let mut page = fetched(&["a"]);
        page.quarantine = vec![uid(1)];
        page.ledger_read(Vec::new());
        page.stored(Vec::new(), Vec::new());
        page.jobs_taken(&[job("a")]);
        assert_eq!(page.done(), Some(PageResult::HandedOver(1)));
        assert!(page.quarantines());
    }

    #[test]
    fn a_page_of_deleted_messages_is_handed_over() {
        let mut page = fetched(&["a"]);
        assert_eq!(page.fetched(Vec::new(), Vec::new()), Some(PageResult::HandedOver(0)));
    }
}
