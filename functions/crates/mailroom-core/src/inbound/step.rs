//! What a poll and its driver say to each other: the next step, and what it led to.

use std::time::Duration;

use time::OffsetDateTime;

use crate::flow::FlowSchemaId;
use crate::health::Status;
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::isolation::Isolation;
use crate::inbound::job::{Digest, JobId};
use crate::inbound::listing::{Listing, Relisted};
use crate::inbound::overdue::ChangeFailure;
use crate::inbound::pending::PendingMessage;
use crate::inbound::plan::MailboxState;
use crate::inbound::schedule::PollRequest;
use crate::outbound::delivery::BouncedMessage;
use crate::outbound::loop_guard::AutomatedSender;
use crate::outbound::message::MessageId;
use crate::owner_error::OwnerError;
use crate::ports::{FlowQueue, Hold, Lease, Progress};
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
    /// Log in to the server, open the mailbox without changing it, and list a window above `list_above` in the same flight, if
    /// that is given: [`Event::Opened`].
    Open {
        /// The IMAP server.
        server: &'a Server,
        /// The UID above which the mailbox is listed.
        list_above: Option<u32>,
    },
    /// List a window of the mailbox: [`Event::Listed`] or [`Event::ListRefused`].
    List {
        /// The UID above which the window begins; 0: with the first message.
        above: u32,
        /// How many UIDs the window has.
        width: u32,
    },
    /// List these UIDs again, and search for them: [`Event::ListedAgain`].
    ListAgain {
        /// The UID above which they begin.
        above: u32,
        /// The last of them.
        through: u32,
    },
    /// Look up the highest UID in use: [`Event::LastFound`].
    FindLast,
    /// Look up the first message that arrived at this time or later: [`Event::StartFound`].
    FindStart(OffsetDateTime),
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
        /// How much is fetched of a message that is quarantined.
        isolation: Isolation,
    },
    /// Fetch the first bytes of another message of the mailbox, or where there is no other, of the header of this one:
    /// [`Event::FetchedAnother`].
    FetchAnother {
        /// The messages that do not count.
        than: Vec<Uid>,
        /// Which of the others: another number, another message.
        turn: u64,
    },
    /// Look up which of these were handed over before: [`Event::LedgerRead`].
    ReadLedger(Vec<Digest>),
    /// Store these of the fetched messages, parsed, and make their jobs: [`Event::Stored`].
    Store(&'a [Uid], &'a JobNotes),
    /// Note that programs wrote these messages, so that nobody answers them: [`Event::Done`].
    NoteAutomated(&'a [(MessageId, AutomatedSender)]),
    /// Tell the send function that these outbound messages did not reach recipients: [`Event::Done`].
    ReportBounces(&'a [BouncedMessage]),
    /// Ask for a check of this profile after a delay, which polls it if its cursor still stands here: [`Event::Done`].
    CheckLater(Option<&'a Cursor>, Duration),
    /// Send the jobs that were made, in order: [`Event::HandedOver`].
    HandOver(&'a FlowQueue),
    /// Note in the ledger that these are handed over: [`Event::Done`].
    NoteHandedOver(&'a [Digest]),
    /// Set `\Seen`: [`Event::Done`] or [`Event::ChangeFailed`].
    MarkSeen(Vec<Uid>),
    /// Move the messages to another mailbox: [`Event::Done`] or [`Event::ChangeFailed`].
    MoveTo(Vec<Uid>, &'a Mailbox),
    /// Remove messages that were copied to another mailbox: [`Event::Done`] or [`Event::ChangeFailed`].
    RemoveCopied(&'a [Uid]),
    /// Move the cursor: [`Event::Done`].
    MoveCursor {
        /// The lease that allows it.
        lease: &'a Lease,
        /// The new cursor, and what is stored with it.
        progress: Progress<'a>,
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
    /// Ask for another poll of this profile after a delay, in an invocation of its own: [`Event::Done`].
    PollAgain(Duration),
    /// Ask for a poll of this profile when its pause ends: [`Event::Done`].
    Retry(&'a PollRequest, Duration),
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
            Self::PollAgain(_) | Self::Retry(..) | Self::Record { .. } => true,
            Self::Open { .. }
            | Self::List { .. }
            | Self::ListAgain { .. }
            | Self::FindLast
            | Self::FindStart(_)
            | Self::Lease { .. }
            | Self::FindQueue(_)
            | Self::Fetch { .. }
            | Self::ReadLedger(_)
            | Self::FetchAnother { .. }
            | Self::Store(..)
            | Self::CheckLater(..)
            | Self::NoteAutomated(_)
            | Self::ReportBounces(_)
            | Self::HandOver(_)
            | Self::NoteHandedOver(_)
            | Self::MarkSeen(_)
            | Self::MoveTo(..)
            | Self::RemoveCopied(_)
            | Self::MoveCursor { .. }
            | Self::Release { .. }
            | Self::LogOut
            | Self::Finish => false,
        }
    }
}

/// What the jobs of a page say of earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobNotes {
    /// The job of kind `quarantined` that was handed over in their place.
    pub supersedes: Option<JobId>,
    /// The highest UID of a message that may have been handed over before, by a run that did not note it.
    pub repeats_up_to: Option<Uid>,
}

impl JobNotes {
    /// Whether the job of the message with this UID may have been sent before.
    #[must_use]
    pub fn may_repeat(&self, uid: Uid) -> bool {
        self.repeats_up_to.is_some_and(|up_to| uid <= up_to)
    }
}

/// What a step led to.
#[derive(Debug)]
pub enum Event {
    /// The mailbox is open, and was listed if that was asked for.
    Opened(MailboxState, Option<Listing>),
    /// The mailbox was listed.
    Listed(Listing),
    /// The server refused to list the window, and the session goes on.
    ListRefused(OwnerError),
    /// A part of the mailbox was listed again.
    ListedAgain(Relisted),
    /// The highest UID in use; `None` where the server does not say.
    LastFound(Option<Uid>),
    /// The lowest UID of a message that arrived late enough; `None` where there is none.
    StartFound(Option<Uid>),
    /// The lease is this poll's, and the profile stands like this.
    Leased(Lease, Box<Profile>),
    /// Another run holds the lease, or the profile no longer exists.
    NotLeased,
    /// The queue of the flow schema.
    QueueFound(FlowQueue),
    /// The page was fetched.
    Fetched {
        /// The messages and their digests, in the order of the page. One that is left out no longer exists.
        messages: Vec<(Uid, Digest)>,
        /// Those of them that are quarantined.
        quarantine: Vec<Uid>,
    },
    /// Whether the server gave something of another message, or of the header.
    FetchedAnother(bool),
    /// The digests that were handed over before.
    LedgerRead(Vec<Digest>),
    /// The jobs are made.
    Stored {
        /// Those of their messages that were written by programs.
        automated: Vec<(MessageId, AutomatedSender)>,
        /// The outbound messages that they report as not delivered.
        bounces: Vec<BouncedMessage>,
    },
    /// The jobs that the queue took.
    HandedOver(Vec<JobId>),
    /// The change in the mailbox failed.
    ChangeFailed(ChangeFailure),
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
