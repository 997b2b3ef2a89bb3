//! What the decisions need from the world, in their own words. No port shows an SDK's types. What sending needs is in
//! [`crate::outbound::ports`].

use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::conversation::{KnownMessage, KnownMessages, MessageKey};
use crate::flow::FlowSchemaId;
use crate::health::{SkippedSeen, Status};
use crate::inbound::cursor::{Cursor, Uid};
use crate::inbound::deferred::Deferred;
use crate::inbound::held_back::HeldChange;
use crate::inbound::job::{Digest, FlowJob, JobId};
use crate::inbound::ledger::LedgerPlace;
use crate::inbound::overdue::OverdueChanges;
use crate::inbound::schedule::{PollRequest, Range};
use crate::oauth2::Authorization;
use crate::outbound::loop_guard::AutomatedSender;
use crate::outbound::message::MessageId;
use crate::profile::{Profile, ProfileId, RefreshInterval};

/// Why the world did not do what a port asked for.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A condition did not hold: another run took the profile over, or its owner changed or deleted it.
    #[error("the profile was taken over, changed or deleted by another request")]
    Lost,
    /// What is stored cannot be understood.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// The queue takes no messages from Mailroom: it does not exist, or does not let Mailroom write to it.
    #[error("the queue {queue} takes no messages: {code}")]
    QueueRefused {
        /// The queue's URL.
        queue: String,
        /// The error code of the service, such as `AccessDenied`.
        code: String,
    },
    /// The service failed or refused; the source says how. Worth another try.
    #[error("{operation} failed")]
    Unavailable {
        /// What was asked for, such as `SendMessageBatch`.
        operation: &'static str,
        /// The service's own error, printed once, where it is logged.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The right to hand over a profile's messages until `expires_at`, held by one run at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The profile.
    pub profile: ProfileId,
    /// Grows with each lease of the profile: a write with an older one fails.
    pub fence: u64,
    /// How many leases in a row, this one included, were not released at the present cursor, or were released after a
    /// failure that the next message may have caused.
    pub tries: u32,
    /// When another run may take it.
    pub expires_at: OffsetDateTime,
}

/// How far a poll is in its mailbox: stored as a whole, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The new cursor.
    pub cursor: &'a Cursor,
    /// The messages that it passed although they could not be read.
    pub deferred: &'a [Deferred],
    /// The messages that are held back.
    pub held_back: HeldChange<'a>,
    /// The changes in the mailbox that failed after the hand-over.
    pub overdue: Option<&'a OverdueChanges>,
    /// The messages that it passed because someone had read them, all that there ever were.
    pub skipped_seen: SkippedSeen,
    /// When the cursor last passed UIDs that the server neither lists nor searches for.
    pub unsearched_at: Option<OffsetDateTime>,
    /// The highest UID of a message whose job may have been sent without a note in the ledger.
    pub repeats_up_to: Option<Uid>,
}

/// Whether a lease is kept when the cursor moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The lease is kept, and now ends at this time.
    Until(OffsetDateTime),
    /// The lease is released.
    Release,
}

/// How much a removal removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// Everything.
    All,
    /// Not everything: time ran out.
    More,
}

/// Listening profiles.
#[derive(Debug, Clone, Default)]
pub struct Listening {
    /// The profiles that can be read.
    pub profiles: Vec<Profile>,
    /// How many stored profiles cannot be read. They are logged.
    pub unreadable: usize,
}

/// The queue that a flow schema's jobs go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowQueue {
    /// The default job queue.
    Default,
    /// The queue with this URL.
    Url(String),
    /// The flow schema does not exist: its jobs name it, and go to the default queue.
    UnknownSchema,
}

impl FlowQueue {
    /// The queue's URL; `None` for the default queue.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Default | Self::UnknownSchema => None,
            Self::Url(url) => Some(url),
        }
    }
}

/// What is known of profiles' messages, in and out: which conversation each is part of.
pub trait Conversations: Send + Sync {
    /// What is known of these messages (any number).
    fn known_messages(
        &self,
        profile: ProfileId,
        messages: &[MessageKey],
    ) -> impl Future<Output = Result<KnownMessages, PortError>> + Send;

    /// Notes what is known of these messages, for [`KNOWN_TIME`](crate::conversation::KNOWN_TIME), and returns what is
    /// noted of them then: of one that another request noted first, what that one did.
    fn note_messages(
        &self,
        profile: ProfileId,
        messages: &[(MessageKey, KnownMessage)],
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<KnownMessages, PortError>> + Send;
}

/// The profiles' settings, cursors, leases and health, and the ledger of what was handed over.
pub trait Profiles: Conversations {
    /// The listening profiles of an interval in one of its [`SHARDS`](crate::inbound::schedule::SHARDS) shards, ordered
    /// by IMAP host, then id. May lag behind the table: decide to write only on what [`Profiles::lease`] returns.
    fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&Range>,
    ) -> impl Future<Output = Result<Listening, PortError>> + Send;

    /// The profile as it stands now; `None` if it does not exist.
    fn get(&self, id: ProfileId) -> impl Future<Output = Result<Option<Profile>, PortError>> + Send;

    /// Takes the lease if it is free or expired at `now`, and returns the profile as it stands with it.
    /// `None` when another run holds the lease, or the profile does not listen any more or does not exist.
    fn lease(
        &self,
        id: ProfileId,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> impl Future<Output = Result<Option<(Lease, Profile)>, PortError>> + Send;

    /// Moves the cursor, stores everything else of the progress, counts `tries` from there, and keeps or releases the
    /// lease: all of it, or nothing.
    ///
    /// Fails with [`PortError::Lost`] when another run took the lease.
    fn move_cursor(
        &self,
        lease: &Lease,
        progress: Progress<'_>,
        hold: Hold,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Releases the lease without moving the cursor, and sets `tries`.
    ///
    /// Fails with [`PortError::Lost`] when another run took the lease.
    fn release(&self, lease: &Lease, tries: u32) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores the profile's status.
    ///
    /// Fails with [`PortError::Lost`] when the profile was edited since `version`.
    fn record(
        &self,
        id: ProfileId,
        version: u64,
        status: &Status,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Which of these messages (at most 100) were handed over within the ledger's 30 days.
    fn handed_over(
        &self,
        id: ProfileId,
        messages: &[Digest],
    ) -> impl Future<Output = Result<Vec<Digest>, PortError>> + Send;

    /// Notes that these messages (any number) are handed over at `now`, each with where it lay.
    fn note_handed_over(
        &self,
        id: ProfileId,
        messages: &[(Digest, Option<LedgerPlace>)],
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Notes that programs wrote these messages, so that nobody answers them within the ledger's 30 days.
    fn note_automated(
        &self,
        id: ProfileId,
        messages: &[(MessageId, AutomatedSender)],
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes what was noted of a profile's messages, for at most `time`. The profile itself stays.
    fn forget(
        &self,
        id: ProfileId,
        time: Duration,
    ) -> impl Future<Output = Result<Forgotten, PortError>> + Send;

    /// The queue that a flow schema's jobs go to.
    fn flow_queue(
        &self,
        flow_schema: &FlowSchemaId,
    ) -> impl Future<Output = Result<FlowQueue, PortError>> + Send;
}

/// What a profile logs in with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password for `Auth::Plain`.
    Password {
        /// The password.
        password: SecretString,
        /// The password for the SMTP server alone, if it has one of its own.
        smtp_password: Option<SecretString>,
    },
    /// What an OAuth2 client has for `Auth::Oauth2`.
    Client(ClientCredential),
}

/// What an OAuth2 client proves itself with, and what a person has granted to it. Access tokens are never stored.
#[derive(Debug, Clone, Default)]
pub struct ClientCredential {
    /// The client's secret or private key; a public client has none (RFC 6749 §2.1).
    pub secret: Option<SecretString>,
    /// The refresh token of a sign-in (§1.5).
    pub refresh_token: Option<SecretString>,
    /// The password for the SMTP server alone, if it has one of its own.
    pub smtp_password: Option<SecretString>,
}

impl Credential {
    /// A password for all servers.
    #[must_use]
    pub const fn password(password: SecretString) -> Self {
        Self::Password { password, smtp_password: None }
    }

    /// The password for the SMTP server alone.
    #[must_use]
    pub const fn smtp_password(&self) -> Option<&SecretString> {
        match self {
            Self::Password { smtp_password, .. } | Self::Client(ClientCredential { smtp_password, .. }) => {
                smtp_password.as_ref()
            }
        }
    }

    /// The same with another password for the SMTP server alone, or none.
    #[must_use]
    pub fn with_smtp_password(self, smtp_password: Option<SecretString>) -> Self {
        match self {
            Self::Password { password, .. } => Self::Password { password, smtp_password },
            Self::Client(client) => Self::Client(ClientCredential { smtp_password, ..client }),
        }
    }
}

/// The profiles' secrets.
pub trait Credentials: Send + Sync {
    /// The credential of a profile in this version of its secret; `None` when none is stored.
    /// May answer from memory: a version never changes.
    fn credential(
        &self,
        id: ProfileId,
        version: &str,
    ) -> impl Future<Output = Result<Option<Credential>, PortError>> + Send;
}

/// What profiles have been granted by OAuth2 providers, kept in step by a claim that one process has at a time: the use
/// of a refresh token may be its end, and a second use the end of the whole sign-in (RFC 9700 §4.14.2).
pub trait Grants: Credentials {
    /// The right to use a profile's refresh token.
    type Claim: Send + Sync;

    /// A profile as it stands now.
    fn profile(&self, id: ProfileId) -> impl Future<Output = Result<Option<Profile>, PortError>> + Send;

    /// Claims a profile until `until`. Fails with [`PortError::Lost`] when it was changed since it was read, also in its
    /// secret, or another has a claim at `now`.
    fn claim(
        &self,
        profile: &Profile,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> impl Future<Output = Result<Self::Claim, PortError>> + Send;

    /// The credential that was stored last, whatever the profile names: a process that died between the two has left
    /// one.
    fn newest(&self, id: ProfileId) -> impl Future<Output = Result<Option<Credential>, PortError>> + Send;

    /// Stores a new credential, has the profile name it, and ends the claim.
    fn rotated(
        &self,
        profile: &Profile,
        claim: &Self::Claim,
        credential: &Credential,
        authorization: &Authorization,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Ends the claim, and notes the state of the sign-in, if there is one to note.
    fn unclaim(
        &self,
        id: ProfileId,
        claim: &Self::Claim,
        authorization: Option<&Authorization>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Where messages go: objects first, then the job.
pub trait Handover: Send + Sync {
    /// The bucket that objects are put into.
    fn bucket(&self) -> &str;

    /// Stores an object. A repeat is harmless, because the key comes from the content.
    fn put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Sends jobs in order, to the default queue or to the one with the URL `queue`, and returns the ids of those that
    /// the queue took. It refuses the rest for now. Behind a refused job, no job of the same conversation is sent.
    fn send(
        &self,
        queue: Option<&str>,
        jobs: &[FlowJob],
    ) -> impl Future<Output = Result<Vec<JobId>, PortError>> + Send;

    /// Puts a request about a message of a profile's on the send queue. Its words are the send function's.
    fn request_send(
        &self,
        profile: ProfileId,
        request: &str,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Puts requests on the poll queue, each to be received after its delay (whole seconds, at most 900).
    fn request(
        &self,
        requests: &[(PollRequest, Duration)],
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The schedules that start a plan: one for each interval in use, and for no other.
///
/// Changes race: a profile may begin to use an interval while the last other one leaves it. So this is told of each
/// change after it is stored, and never leaves an interval in use without its schedule.
pub trait Schedules: Send + Sync {
    /// A profile that uses the interval is stored: creates the schedule if it is missing.
    fn joined(&self, interval: RefreshInterval) -> impl Future<Output = Result<(), PortError>> + Send;

    /// A profile no longer uses the interval, or a plan found none that does: removes the schedule, unless another
    /// profile uses the interval. The default interval's schedule always stays.
    fn left(&self, interval: RefreshInterval) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Creates the schedules that are missing although their intervals are in use, because a process crashed between
    /// two steps. Returns the intervals of these schedules.
    fn repair(&self) -> impl Future<Output = Result<Vec<RefreshInterval>, PortError>> + Send;
}
