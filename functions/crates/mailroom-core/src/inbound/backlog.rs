//! What a leased poll has to hand over, and how far it is.

use std::time::Duration;

use time::OffsetDateTime;

use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::isolation::Isolation;
use crate::inbound::pending::PendingMessage;
use crate::inbound::plan::Work;
use crate::inbound::step::Moment;

/// What a page is expected to take before one has been timed.
const PAGE_TIME: Duration = Duration::from_secs(2);

/// What a leased poll has to hand over.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) pending: Vec<PendingMessage>,
    /// The messages that someone has read, as far as the cursor has not passed them.
    skipped_seen: Vec<Uid>,
    /// How many of them the cursor has passed.
    pub(crate) passed: usize,
    /// Where the cursor stands, or `end` after the last of them.
    pub(crate) cursor: Cursor,
    pub(crate) end: Cursor,
    /// Whether the mailbox holds more than was listed.
    pub(crate) unlisted: bool,
    pub(crate) isolation: Isolation,
    pub(crate) handed_over: usize,
    /// What was left of the poll's time when the present page began.
    pub(crate) page_began: Duration,
    pub(crate) slowest_page: Duration,
}

impl Backlog {
    pub(crate) fn new(work: Work, isolation: Isolation) -> Self {
        Self {
            pending: work.pending,
            skipped_seen: work.skipped_seen,
            passed: 0,
            cursor: work.start,
            end: work.end,
            unlisted: work.more,
            isolation,
            handed_over: 0,
            page_began: Duration::ZERO,
            slowest_page: PAGE_TIME,
        }
    }

    /// What follows in the next window, by the same poll.
    pub(crate) fn next(&self, work: Work, isolation: Isolation) -> Self {
        let (handed_over, slowest_page) = (self.handed_over, self.slowest_page);
        Self { handed_over, slowest_page, ..Self::new(work, isolation) }
    }

    /// The messages that are not handed over yet.
    pub(crate) fn left(&self) -> &[PendingMessage] {
        self.pending.get(self.passed..).unwrap_or_default()
    }

    /// The cursor after a page: past its messages. What is not wanted between them needs no cursor of its own.
    pub(crate) fn after(&self, page: &[PendingMessage], now: OffsetDateTime) -> Cursor {
        page.iter().fold(self.cursor, |cursor, message| cursor.advanced(message.uid, message.arrived, now))
    }

    /// The cursor past a message that is not handed over.
    pub(crate) fn past(&self, uid: Uid) -> Cursor {
        Cursor { last_uid: self.cursor.last_uid.max(uid.get()), ..self.cursor }
    }

    /// How many messages up to this UID someone has read. They are counted once.
    pub(crate) fn take_skipped(&mut self, last_uid: u32) -> usize {
        let before = self.skipped_seen.len();
        self.skipped_seen.retain(|uid| uid.get() > last_uid);
        before - self.skipped_seen.len()
    }

    /// Whether a failure of the server is only that time ran out in the middle of a page, and something was achieved.
    pub(crate) const fn may_stop(&self, moment: Moment) -> bool {
        self.passed > 0 && moment.left.is_zero()
    }

    /// Whether to poll again at once. Without any progress there is no point in it.
    pub(crate) fn wants_another_poll(&self) -> bool {
        let progress = self.pending.is_empty() || self.passed > 0;
        progress && (!self.left().is_empty() || self.unlisted)
    }
}
