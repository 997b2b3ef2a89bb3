//! What the decisions need from the world, in their own words. No port shows an SDK's types. What sending needs is in
//! [`crate::outbound::ports`].

use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::flow::FlowSchemaId;
use crate::health::Status;
use crate::inbound::cursor::Cursor;
use crate::inbound::job::{Digest, FlowJob, JobId};
use crate::inbound::schedule::PollRequest;
use crate::oauth2::Authorization;
use crate::outbound::loop_guard::AutomatedSender;
use crate::outbound::message::MessageId;
use crate::profile::{Profile, ProfileId, RefreshInterval};

/// Why the world did not do what a port asked for.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A condition did not hold: another run has taken the profile over, or its owner has changed or deleted it.
    #[error("the profile was taken over, changed or deleted meanwhile")]
    Lost,
    /// What is stored cannot be understood.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
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

/// The right to hand over a profile's mail until `expires_at`, held by one run at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The profile.
    pub profile: ProfileId,
    /// Grows with each lease of the profile: a write with an older one fails.
    pub fence: u64,
    /// How many leases in a row, this one included, ended without a word at the present cursor.
    pub tries: u32,
    /// When another run may take it.
    pub expires_at: OffsetDateTime,
}

/// What is done with a lease when the cursor moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Keep it until then.
    Until(OffsetDateTime),
    /// Give it back.
    Release,
}

/// How far a removal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// Nothing is left.
    All,
    /// There may be more: time ran out.
    More,
}

/// A page of profiles, and how to get the next.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The profiles that could be read; one that cannot be is logged and left out.
    pub profiles: Vec<Profile>,
    /// Whether some stored profile could not be read.
    pub unreadable: usize,
}

/// The table of profiles: settings, cursors, leases, health, ledger.
pub trait Profiles: Send + Sync {
    /// The listening profiles of an interval in one of its [`crate::inbound::schedule::SHARDS`] shards, ordered by IMAP host,
    /// then id. May lag behind by a moment: decide to write only on what [`Profiles::lease`] returns.
    fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&crate::inbound::schedule::Range>,
    ) -> impl Future<Output = Result<Page, PortError>> + Send;

    /// One profile as it stands now; `None` when there is none.
    fn get(&self, id: ProfileId) -> impl Future<Output = Result<Option<Profile>, PortError>> + Send;

    /// Takes the lease if it is free or expired at `now`, and returns the profile as it stands with it.
    /// `None` when another run holds it or the profile is gone.
    fn lease(
        &self,
        id: ProfileId,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> impl Future<Output = Result<Option<(Lease, Profile)>, PortError>> + Send;

    /// Moves the cursor, counts `tries` anew, and keeps or gives back the lease.
    ///
    /// Fails with [`PortError::Lost`] when the fence is no longer ours.
    fn move_cursor(
        &self,
        lease: &Lease,
        cursor: &Cursor,
        hold: Hold,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Gives the lease back without moving the cursor, leaving `tries` at the number given.
    fn release(&self, lease: &Lease, tries: u32) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores the health of the profile, unless it was edited since `version`.
    fn record(
        &self,
        id: ProfileId,
        version: u64,
        status: &Status,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Which of these mails (at most 100) were handed over already, within the ledger's 30 days.
    fn handed_over(
        &self,
        id: ProfileId,
        mails: &[Digest],
    ) -> impl Future<Output = Result<Vec<Digest>, PortError>> + Send;

    /// Notes these mails (any number) as handed over at `now`.
    fn note_handed_over(
        &self,
        id: ProfileId,
        mails: &[Digest],
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Notes that these mails came from machines, so that nobody answers them within the ledger's 30 days.
    fn note_automated(
        &self,
        id: ProfileId,
        mails: &[(MessageId, AutomatedSender)],
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes what was noted about a profile's mail, for at most `time`. The profile itself stays.
    fn forget(
        &self,
        id: ProfileId,
        time: Duration,
    ) -> impl Future<Output = Result<Forgotten, PortError>> + Send;

    /// The queue that a flow schema's jobs go to: `Some(None)` is the default queue, `None` an unknown schema.
    fn flow_queue(
        &self,
        flow_schema: &FlowSchemaId,
    ) -> impl Future<Output = Result<Option<Option<String>>, PortError>> + Send;
}

/// What a profile logs in with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password for `Auth::Plain`.
    Password(SecretString),
    /// What an OAuth2 client has for `Auth::Oauth2`.
    Client(ClientCredential),
}

/// What an OAuth2 client proves itself with, and what somebody has granted to it. Access tokens are never stored.
#[derive(Debug, Clone, Default)]
pub struct ClientCredential {
    /// The client's secret or private key; a public client has none (RFC 6749 §2.1).
    pub secret: Option<SecretString>,
    /// The refresh token of a sign-in (§1.5).
    pub refresh_token: Option<SecretString>,
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

    /// Ends the claim, and notes what stands of the sign-in, if something is to be noted.
    fn unclaim(
        &self,
        id: ProfileId,
        claim: &Self::Claim,
        authorization: Option<&Authorization>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Where mail goes: objects first, then the job.
pub trait Handover: Send + Sync {
    /// The bucket that objects are put into.
    fn bucket(&self) -> &str;

    /// Stores an object. A repeat is harmless: the key comes from the content.
    fn put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Sends jobs in order, to the default queue or to `queue`. The ids of those that the queue took: if it is not all,
    /// the rest were refused for now. Never leaves out one and takes a later one of the same conversation.
    fn send(
        &self,
        queue: Option<&str>,
        jobs: &[FlowJob],
    ) -> impl Future<Output = Result<Vec<JobId>, PortError>> + Send;

    /// Asks for polls, each `delay` (whole seconds, at most 900) from now.
    fn request(
        &self,
        polls: &[(PollRequest, Duration)],
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The schedules that start a planner: one for each interval in use, and for no other.
///
/// Changes race: a profile may begin to use an interval while the last other one leaves it. So these are told what has
/// happened to the profiles, after it has been stored, and see to it that no interval in use is ever left without its
/// schedule.
pub trait Schedules: Send + Sync {
    /// A profile that uses the interval has been stored: the schedule has to be there.
    fn joined(&self, interval: RefreshInterval) -> impl Future<Output = Result<(), PortError>> + Send;

    /// A profile has ceased to use the interval, or a plan has found none that does: the schedule goes, unless there
    /// is one. The default interval's always stays.
    fn left(&self, interval: RefreshInterval) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Makes the schedules that are missing although their intervals are in use, after a process that died between two
    /// steps. The intervals that were mended.
    fn repair(&self) -> impl Future<Output = Result<Vec<RefreshInterval>, PortError>> + Send;
}
