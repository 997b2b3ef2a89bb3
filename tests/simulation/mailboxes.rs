//! The owners' mailboxes as their servers keep them, and what is due for each message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mailroom_core::inbound::job::ConversationId;
use time::OffsetDateTime;

use crate::clock;
use crate::scenario::{Letter, Poison, ServerHabits};

/// A message in a mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) uid: u32,
    pub(crate) letter: Letter,
    pub(crate) raw: Arc<Vec<u8>>,
    pub(crate) seen: bool,
    pub(crate) deleted: bool,
    /// INTERNALDATE, by the server's clock.
    pub(crate) arrived: OffsetDateTime,
}

/// A mailbox as a server keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    pub(crate) messages: Vec<Stored>,
    /// The content of each place that there ever was: UIDVALIDITY and UID.
    places: BTreeMap<(u32, u32), u32>,
}

impl Mailbox {
    fn new(uid_validity: u32) -> Self {
        Self { uid_validity, uid_next: 1, messages: Vec::new(), places: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, letter: Letter, seen: bool, arrived: OffsetDateTime) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.places.insert((self.uid_validity, uid), letter.content);
        let raw = Arc::new(raw(&letter));
        self.messages.push(Stored { uid, letter, raw, seen, deleted: false, arrived });
        uid
    }

    pub(crate) fn get(&self, uid: u32) -> Option<&Stored> {
        self.messages.iter().find(|message| message.uid == uid)
    }

    /// The content that lies, or lay, at a place. A server that says no UIDVALIDITY never renumbers here.
    pub(crate) fn content_at(&self, uid_validity: Option<u32>, uid: u32) -> Option<u32> {
        self.places.get(&(uid_validity.unwrap_or(self.uid_validity), uid)).copied()
    }

    /// All messages get new UIDs, under another UIDVALIDITY.
    fn renumber(&mut self) {
        self.uid_validity += 1;
        self.uid_next = 1;
        for message in std::mem::take(&mut self.messages) {
            let uid = self.add(message.letter, message.seen, message.arrived);
            if let Some(stored) = self.messages.iter_mut().find(|stored| stored.uid == uid) {
                stored.deleted = message.deleted;
            }
        }
    }
}

/// A job that the job queue has taken for a message.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    pub(crate) at: Duration,
    pub(crate) job_id: String,
    pub(crate) conversation: ConversationId,
    /// UIDVALIDITY and UID.
    pub(crate) place: (Option<u32>, u32),
    pub(crate) quarantined: bool,
    pub(crate) redelivered: bool,
    /// The job that it replaces.
    pub(crate) supersedes: Option<String>,
}

/// What is due for a message, and what it became.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) poison: Option<Poison>,
    /// Why no job is due, though one is no fault.
    pub(crate) excused: Option<&'static str>,
    pub(crate) jobs: Vec<Announced>,
}

impl Truth {
    /// How many of its jobs came a second time, and said so.
    pub(crate) fn redelivered(&self) -> usize {
        let again = |pair: &&[Announced]| matches!(pair, [first, second] if second.redelivered && second.job_id == first.job_id);
        self.jobs.windows(2).filter(again).count()
    }
}

/// An owner's account on a mail server.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) habits: ServerHabits,
    pub(crate) inbox: Mailbox,
    pub(crate) done: Mailbox,
    /// By content: equal messages are one.
    pub(crate) truths: BTreeMap<u32, Truth>,
    /// The Message-IDs in the mailbox for sent messages.
    pub(crate) sent: BTreeSet<String>,
    /// Whether the account's messages were renumbered since its first poll.
    pub(crate) renumbered: bool,
}

/// Why no job is due for a message that is older than its profile.
pub(crate) const OLD: &str = "it lay there before the profile was created";

/// The mailbox that is polled, and the one that messages are moved to.
pub(crate) const INBOX: &str = "INBOX";
pub(crate) const DONE: &str = "Done";

impl Account {
    pub(crate) fn new(habits: ServerHabits) -> Self {
        Self {
            habits,
            inbox: Mailbox::new(1_700_000_000),
            done: Mailbox::new(7),
            truths: BTreeMap::new(),
            sent: BTreeSet::new(),
            renumbered: false,
        }
    }

    pub(crate) fn mailbox(&mut self, name: &str) -> Option<&mut Mailbox> {
        match name {
            INBOX => Some(&mut self.inbox),
            DONE => Some(&mut self.done),
            _ => None,
        }
    }

    /// A message arrives in the inbox.
    pub(crate) fn arrives(&mut self, letter: Letter) -> u32 {
        self.arrived(letter, time::Duration::ZERO)
    }

    /// A message has arrived in the inbox so long ago.
    pub(crate) fn arrived(&mut self, letter: Letter, ago: time::Duration) -> u32 {
        // INTERNALDATE has whole seconds.
        let now = clock::now().replace_nanosecond(0).expect("0 is a nanosecond");
        let arrived = now - ago + time::Duration::minutes(self.habits.minutes_ahead);
        let truth = Truth { poison: letter.poison, excused: None, jobs: Vec::new() };
        self.truths.entry(letter.content).or_insert(truth);
        self.inbox.add(letter, false, arrived)
    }

    /// The n-th newest message of the inbox.
    fn newest(&mut self, n: usize) -> Option<&mut Stored> {
        self.inbox.messages.iter_mut().rev().nth(n)
    }

    /// Another program deletes the n-th newest message.
    pub(crate) fn expunge(&mut self, newest: usize) -> Option<u32> {
        let (uid, content) = self.newest(newest).map(|message| (message.uid, message.letter.content))?;
        self.inbox.messages.retain(|message| message.uid != uid);
        self.excuse(content, "another program deleted it");
        Some(uid)
    }

    /// Another program sets `\Seen`.
    pub(crate) fn see(&mut self, newest: usize) -> Option<u32> {
        let message = self.newest(newest)?;
        message.seen = true;
        let (uid, content) = (message.uid, message.letter.content);
        self.excuse(content, "another program read it");
        Some(uid)
    }

    /// The server recreates the inbox; one that says no UIDVALIDITY is left alone, because nothing would show it.
    pub(crate) fn renumber(&mut self) -> bool {
        if self.habits.says_uid_validity {
            self.inbox.renumber();
            self.renumbered = true;
        }
        self.habits.says_uid_validity
    }

    /// No job is due for anything that lies in the inbox now.
    pub(crate) fn excuse_all(&mut self, why: &'static str) {
        let there: Vec<u32> = self.inbox.messages.iter().map(|message| message.letter.content).collect();
        there.into_iter().for_each(|content| self.excuse(content, why));
    }

    pub(crate) fn excuse(&mut self, content: u32, why: &'static str) {
        if let Some(truth) = self.truths.get_mut(&content) {
            truth.excused.get_or_insert(why);
        }
    }
}

/// How many messages a conversation has, each an answer to the one before.
const CONVERSATION: u32 = 4;

/// The content that a message answers.
pub(crate) fn parent(content: u32) -> Option<u32> {
    (!content.is_multiple_of(CONVERSATION)).then(|| content - 1)
}

/// A longer message is a file: its text would take the time that others need.
const LONGEST_TEXT: usize = 1000;

/// The bytes of a message.
fn raw(letter: &Letter) -> Vec<u8> {
    let Letter { content, bytes, .. } = letter;
    let kind = if *bytes > LONGEST_TEXT { "application/octet-stream" } else { "text/plain" };
    let line = "All work and no play makes Jack a dull boy, says the letter again.\r\n";
    let body = line.repeat(bytes / line.len() + 1);
    // As phones do it: no more than the parent.
    let parent = parent(*content).map(|parent| format!("In-Reply-To: <letter-{parent}@example.org>\r\n"));
    let parent = parent.unwrap_or_default();
    format!(
        "From: Ann <ann@example.org>\r\nTo: support@example.com\r\nSubject: letter {content}\r\n\
         Message-ID: <letter-{content}@example.org>\r\n{parent}Date: Sun, 01 Nov 2026 12:00:00 +0000\r\n\
         Content-Type: {kind}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The content that the subject of a message names.
pub(crate) fn content_of_subject(subject: &str) -> Option<u32> {
    subject.strip_prefix("letter ")?.parse().ok()
}
