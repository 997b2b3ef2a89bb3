//! What sending needs from the world: the stored messages, the bucket, and the queues.

use std::future::Future;
use std::time::Duration;

use time::OffsetDateTime;

use crate::health::SendingChange;
use crate::outbound::delivery::{Delivery, SendError};
use crate::outbound::loop_guard::{self, AutomatedSender};
use crate::outbound::message::{EmailAddress, LoopGuard, Message, MessageId, Origin, OutboundId};
use crate::ports::{Conversations, PortError};
use crate::profile::{Profile, ProfileId};

/// A request's idempotency key: a second request with the same key and digest is a repeat of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key that the client chose: visible ASCII, at most 255 characters.
    pub key: String,
    /// The digest of the request's body.
    pub digest: String,
}

/// The result of [`Deliveries::begin_delivery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginDelivery {
    /// The new delivery is stored.
    Stored,
    /// The request is a repeat: this is the delivery that the first one stored.
    Repeated(Box<Delivery>),
    /// The key was used for another request, or the id belongs to another message.
    Conflict,
}

/// Whether an automatic message to a recipient stays within the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The message is counted, and may be sent to the recipient.
    WithinLimit,
    /// The recipient has received as many automatic messages as the limit allows.
    LimitReached,
}

/// The most sessions with a profile's SMTP server at once: Exchange Online allows three a mailbox, and one profile's
/// messages leave the other runs to the rest.
pub const SESSIONS_PER_PROFILE: u32 = 3;

/// The right to one of a profile's sessions with its SMTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSlot {
    /// Which of the [`SESSIONS_PER_PROFILE`].
    pub number: u32,
    /// The run that holds it; unique among runs.
    pub holder: String,
}

/// The stored outbound messages, their profiles, and what the loop guard knows.
pub trait Deliveries: Conversations {
    /// A profile as it is stored now; `None` when there is none.
    fn sender_profile(
        &self,
        id: ProfileId,
    ) -> impl Future<Output = Result<Option<Profile>, PortError>> + Send;

    /// A message's delivery as it is stored now; `None` when there is none.
    fn delivery(
        &self,
        profile: ProfileId,
        id: &OutboundId,
    ) -> impl Future<Output = Result<Option<Delivery>, PortError>> + Send;

    /// Stores a new delivery, and for 24 hours the idempotency key of the request for it.
    fn begin_delivery(
        &self,
        delivery: &Delivery,
        key: Option<&IdempotencyKey>,
    ) -> impl Future<Output = Result<BeginDelivery, PortError>> + Send;

    /// Stores a changed delivery, and counts its revision.
    ///
    /// Fails with [`PortError::Lost`] when the stored one was changed since this one was read. A repeat of a write whose
    /// response was lost succeeds.
    fn save_delivery(&self, delivery: &mut Delivery) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Takes one of the profile's sessions until the run ends, or crashes and `until` passes; `None` when other runs hold
    /// all of them.
    fn take_session(
        &self,
        profile: ProfileId,
        holder: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<Option<SessionSlot>, PortError>> + Send;

    /// Gives a session back.
    fn release_session(
        &self,
        profile: ProfileId,
        slot: &SessionSlot,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// The kind of program that wrote one of these messages, which the profile has received; `None` when no program is
    /// known to have written one.
    fn automated_sender(
        &self,
        profile: ProfileId,
        messages: &[&MessageId],
    ) -> impl Future<Output = Result<Option<AutomatedSender>, PortError>> + Send;

    /// The addresses among these that profiles log in with.
    fn own_addresses(
        &self,
        addresses: &[EmailAddress],
    ) -> impl Future<Output = Result<Vec<EmailAddress>, PortError>> + Send;

    /// Counts an automatic message to an address, given as it goes over the wire, and says whether it is among the first
    /// `limit` within [`loop_guard::LIMIT_WINDOW`]. A repeat for the same delivery counts once.
    fn admit_automatic(
        &self,
        address: &str,
        delivery: &Delivery,
        limit: u32,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<Admission, PortError>> + Send;

    /// Why the loop guard holds a profile's message back; `None` when it may be sent.
    fn check_loop_guard(
        &self,
        profile: ProfileId,
        message: &Message,
    ) -> impl Future<Output = Result<Option<SendError>, PortError>> + Send {
        async move {
            if message.loop_guard == LoopGuard::Off {
                return Ok(None);
            }
            let replies_to = self.automated_sender(profile, &message.replies_to()).await?;
            let own = if message.in_reply_to.is_some() || message.origin == Origin::Automatic {
                self.own_addresses(&message.recipients()).await?
            } else {
                Vec::new()
            };
            Ok(loop_guard::check(message, replies_to, &own))
        }
    }

    /// Stores a change of a profile's sending, unless the profile was edited since `version`: then it fails with
    /// [`PortError::Lost`].
    fn record_sending(
        &self,
        id: ProfileId,
        version: u64,
        change: &SendingChange,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What the bucket holds under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The object's bytes.
    Bytes(Vec<u8>),
    /// The object is larger than the limit that was given.
    TooLarge,
    /// The key names no object, or one that was removed.
    Missing,
}

/// The bucket's objects, for reading.
pub trait Objects: Send + Sync {
    /// The object under a key, if it has at most `limit` bytes.
    fn get(&self, key: &str, limit: u64) -> impl Future<Output = Result<Object, PortError>> + Send;

    /// The size of the object under a key, in bytes; `None` when there is none.
    fn size(&self, key: &str) -> impl Future<Output = Result<Option<u64>, PortError>> + Send;
}

/// The queues that outbound messages come from and go to.
pub trait SendQueues: Send + Sync {
    /// Has the send queue deliver a queue message again after `pause`, rounded down to whole seconds, at most 12 hours.
    fn postpone(
        &self,
        receipt_handle: &str,
        pause: Duration,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Puts a queue message's body on the dead-letter queue, where operators look for what went wrong.
    fn dead_letter(&self, body: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Publishes an outcome to the outcome queue. Does nothing where the deployment has none.
    fn publish_outcome(&self, body: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}
