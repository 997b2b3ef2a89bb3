//! What a poll and its driver say to each other: the next step, and what it led to.

use std::time::Duration;

use time::OffsetDateTime;

use crate::flow::FlowSchemaId;
use crate::health::Status;
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::isolation::Isolation;
use crate::inbound::job::{Digest, JobId};
use crate::inbound::plan::{Listing, MailboxState, PendingMessage};
use crate::outbound::loop_guard::AutomatedSender;
use crate::outbound::message::MessageId;
use crate::owner_error::OwnerError;
use crate::ports::{FlowQueue, Hold, Lease};
use crate::profile::Profile;
use crate::server::{Mailbox, Server};

/// When a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall-clock time.
    pub now: OffsetDateTime,
    /// What is left of the poll's time, by a monotonic clock.
    pub left: Duration,
}

/// What to do next. Each step is answered with the [`Event`] that it names, or with a
/// [`Failure`](crate::inbound::failure::Failure).
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// Log in to the server, open the mailbox without changing it, and list it above `list_above` in the same flight, if
    /// that is given: [`Event::Opened`].
    Open {
        /// The IMAP server.
        server: &'a Server,
        /// The UID above which the mailbox is listed.
        list_above: Option<u32>,
    },
    /// List the mailbox above this UID: [`Event::Listed`].
    List {
        /// 0: from the beginning.
        above: u32,
    },
    /// Take the profile's lease, and read the profile with it: [`Event::Leased`] or [`Event::NotLeased`].
    Lease {
        /// When the lease ends unless it is renewed.
        until: OffsetDateTime,
    },
    /// Look up the queue of the profile's flow schema: [`Event::QueueFound`].
    FindQueue(&'a FlowSchemaId),
    /// Fetch these messages and keep their bytes: [`Event::Fetched`].
    Fetch {
        /// The messages, in ascending order of their UIDs.
        page: &'a [PendingMessage],
        /// What is announced instead of a message that cannot be read.
        isolation: Isolation,
    },
    /// Look up which of these were handed over before: [`Event::LedgerRead`].
    ReadLedger(Vec<Digest>),
    /// Store these of the fetched messages, parsed, and make their jobs: [`Event::Stored`].
    Store(&'a [Uid]),
    /// Note that programs wrote these messages, so that nobody answers them: [`Event::Done`].
    NoteAutomated(&'a [(MessageId, AutomatedSender)]),
    /// Send the jobs that were made, in order: [`Event::HandedOver`].
    HandOver(&'a FlowQueue),
    /// Note in the ledger that these are handed over: [`Event::Done`].
    NoteHandedOver(&'a [Digest]),
    /// Set `\Seen`: [`Event::Done`], also when it failed.
    MarkSeen(Vec<Uid>),
    /// Move the messages to another mailbox: [`Event::Done`], also when it failed.
    MoveTo(Vec<Uid>, &'a Mailbox),
    /// Move the cursor: [`Event::Done`].
    MoveCursor {
        /// The lease that allows it.
        lease: &'a Lease,
        /// The new cursor.
        cursor: &'a Cursor,
        /// Whether the lease is kept.
        hold: Hold,
    },
    /// Release the lease: [`Event::Done`].
    Release {
        /// The lease.
        lease: &'a Lease,
        /// The tries that count at the present cursor.
        tries: u32,
    },
    /// Log out of the server: [`Event::Done`].
    LogOut,
    /// Ask for another poll of this profile, soon and in an invocation of its own: [`Event::Done`].
    PollAgain,
    /// Record the profile's status, unless it was edited since this version: [`Event::Done`].
    Record {
        /// The version that was polled.
        version: u64,
        /// What its owner is shown.
        status: &'a Status,
    },
    /// The poll has ended: see [`crate::inbound::poll::Poll::finish`].
    Finish,
}

impl Step<'_> {
    /// Whether the step tells others of the poll's outcome: it is done however late it is.
    #[must_use]
    pub const fn is_report(&self) -> bool {
        match self {
            Self::PollAgain | Self::Record { .. } => true,
            Self::Open { .. }
            | Self::List { .. }
            | Self::Lease { .. }
            | Self::FindQueue(_)
            | Self::Fetch { .. }
            | Self::ReadLedger(_)
            | Self::Store(_)
            | Self::NoteAutomated(_)
            | Self::HandOver(_)
            | Self::NoteHandedOver(_)
            | Self::MarkSeen(_)
            | Self::MoveTo(..)
            | Self::MoveCursor { .. }
            | Self::Release { .. }
            | Self::LogOut
            | Self::Finish => false,
        }
    }
}

/// What a step led to.
#[derive(Debug)]
pub enum Event {
    /// The mailbox is open, and was listed if that was asked for.
    Opened(MailboxState, Option<Listing>),
    /// The mailbox was listed.
    Listed(Listing),
    /// The lease is this poll's, and the profile stands like this.
    Leased(Lease, Box<Profile>),
    /// Another run holds the lease, or the profile no longer exists.
    NotLeased,
    /// The queue of the flow schema.
    QueueFound(FlowQueue),
    /// The fetched messages and their digests, in the order of the page. One that is left out no longer exists.
    Fetched(Vec<(Uid, Digest)>),
    /// The digests that were handed over before.
    LedgerRead(Vec<Digest>),
    /// The jobs are made, and these of their messages were written by programs.
    Stored(Vec<(MessageId, AutomatedSender)>),
    /// The jobs that the queue took.
    HandedOver(Vec<JobId>),
    /// The step took effect.
    Done,
}

/// The result of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollOutcome {
    /// The mailbox was read as far as time allowed.
    Read {
        /// How many messages became jobs.
        handed_over: usize,
        /// Whether another poll was asked for, because there is more.
        more: bool,
    },
    /// Another run polls this profile, or it no longer exists.
    NotLeased,
    /// Another poll was asked for: the profile was edited during this one, or has to be polled alone.
    Postponed,
    /// The profile was taken over, edited or deleted during the poll.
    Lost,
    /// The poll failed, and the owner is told.
    Failed(OwnerError),
}
