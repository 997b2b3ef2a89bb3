//! Where a poll stands: at which step, and with what follows it.

use std::time::Duration;

use time::OffsetDateTime;

use crate::flow::FlowSchemaId;
use crate::health::Status;
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::deferred::Deferred;
use crate::inbound::page::Page;
use crate::inbound::schedule::PollRequest;
use crate::ports::{Hold, Lease};
use crate::server::Server;

/// The step that a poll is at.
#[derive(Debug)]
pub(super) enum State {
    Open(Server),
    List {
        above: u32,
        width: u32,
    },
    ListAgain {
        above: u32,
        through: u32,
    },
    FindLast,
    FindStart(OffsetDateTime),
    Lease {
        until: OffsetDateTime,
    },
    FindQueue(FlowSchemaId),
    Page(Box<Page>),
    /// The changes that failed before are made.
    Change,
    FetchAnother {
        than: Vec<Uid>,
        turn: u64,
    },
    MoveCursor {
        lease: Lease,
        cursor: Cursor,
        hold: Hold,
        then: AfterMove,
    },
    Release {
        lease: Lease,
        tries: u32,
    },
    LogOut,
    PollAgain(Duration),
    /// A poll at the end of the pause that this status names, ahead of its record.
    Retry(PollRequest, Duration, Status),
    Record(Status),
    Finish,
}

/// What follows a move of the cursor.
#[derive(Debug, Clone, Copy)]
pub(super) enum AfterMove {
    /// The next page: this many messages are past.
    Page { passes: usize },
    /// The end of this poll: its first message is deferred.
    Deferred,
    /// The try of a deferred message, which was stored as begun.
    Try(Deferred),
    /// The next deferred message.
    NextTry,
}

/// A step with which a poll ends.
#[derive(Debug)]
pub(super) enum Ending {
    Release { lease: Lease, tries: u32 },
    LogOut,
    PollAgain(Duration),
    Record,
}
