//! One profile's messages, one after the other, each as far as it goes now.

mod bounce;

use std::time::Duration;

use mailroom_contract::message::{MessageView, Outcome};
use mailroom_contract::send_request::{Content, Occasion};
use mailroom_core::outbound::delivery::{
    Attempt, Delivery, DeliveryState, Filing, Next, PROFILE_RECHECK_PAUSE, ReplyClass, SendError,
    SendErrorCode, SendLease, SentSearch, SmtpReply,
};
use mailroom_core::outbound::loop_guard;
use mailroom_core::outbound::message::{EmailAddress, Message, MessageId, Origin, SaveToSent};
use mailroom_core::outbound::ports::{Admission, BeginDelivery, Deliveries as _, SendQueues as _};
use mailroom_core::owner_error::{ErrorClass, ErrorCode, OwnerError};
use mailroom_core::ports::PortError;
use mailroom_core::profile::Profile;
use mailroom_lambda::clock::new_ulid;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::conversation::Noted;
use crate::event::QueuedSend;
use crate::ports::{
    Envelope, Failure, FinalDot, SentMailboxes, SmtpServers, SmtpTransport as _, TransferEnd,
};
use crate::render::{self, RenderError, RenderedMessage, invalid};
use crate::sent_mailbox::{SentMailbox, is_copy_wanted};
use crate::services::{Ack, Ports, Services};
use crate::session_slot::{Slot, busy_pause};
use crate::smtp_session::{SmtpSession, record, record_taken};

/// A step starts only with this much time left.
const MIN_STEP_TIME: Duration = Duration::from_secs(15);

/// The final dot is sent only with this much time left: servers think about a message for a minute and more, and what is
/// cut off then is uncertain.
const MIN_REPLY_TIME: Duration = Duration::from_secs(90);

/// The part of an attempt before [`MIN_REPLY_TIME`] in which it is stored that the dot goes out.
const RECORD_TIME: Duration = Duration::from_secs(5);

/// An attempt starts only with this much time left, so that most transfers end before [`MIN_REPLY_TIME`].
const MIN_ATTEMPT_TIME: Duration = Duration::from_secs(110);

/// How long a lease outlasts its invocation.
const LEASE_MARGIN: time::Duration = time::Duration::seconds(10);

/// The most steps for one message in one invocation: more would be a bug.
const MAX_STEPS: u32 = 12;

/// The pause after [`MAX_STEPS`].
const TOO_MANY_STEPS_PAUSE: Duration = Duration::from_secs(60);

/// One profile's messages.
pub(crate) struct Sender<'a, P: Ports> {
    services: &'a Services<P>,
    profile: Profile,
    end: Instant,
    /// The holder of this run's leases.
    holder: String,
    slot: Slot,
    smtp: SmtpSession<<P::Smtp as SmtpServers>::Transport>,
    sent_mailbox: SentMailbox<<P::Imap as SentMailboxes>::Mailbox>,
}

/// What an invocation has done for a message so far.
#[derive(Default)]
struct Work<'a> {
    prepared: Option<Prepared<'a>>,
    noted: Noted,
}

/// A rendered message, and what it was rendered from.
struct Prepared<'a> {
    message: Message,
    rendered: RenderedMessage<'a>,
}

impl<'a, P: Ports> Sender<'a, P> {
    pub(crate) fn new(services: &'a Services<P>, profile: Profile, end: Instant) -> Self {
        Self {
            services,
            profile,
            end,
            holder: new_ulid().to_string(),
            slot: Slot::Unknown,
            smtp: SmtpSession::new(),
            sent_mailbox: SentMailbox::new(),
        }
    }

    /// Ends the sessions.
    pub(crate) async fn close(self) {
        self.smtp.close().await;
        self.slot.release(&self.services.table, self.profile.id).await;
        self.sent_mailbox.close().await;
    }

    /// Takes a message as far as it goes now.
    pub(crate) async fn drive(&mut self, queued: &QueuedSend) -> Result<Ack, PortError> {
        let Some(mut delivery) = self.delivery(queued).await? else { return Ok(Ack::Done) };
        if queued.is_first_recheck() && !delivery.is_untouched() {
            // The queue has the message otherwise. From its second delivery on, this request is the one that drives it.
            return Ok(Ack::Done);
        }
        if let Occasion::Bounce(failures) = &queued.request.occasion {
            return self.note_bounces(queued, &mut delivery, failures).await;
        }
        let mut work = Work::default();
        for _ in 0..MAX_STEPS {
            let next = delivery.next(self.now());
            let least = if next == Next::Send { MIN_ATTEMPT_TIME } else { MIN_STEP_TIME };
            if !matches!(next, Next::Wait(_) | Next::Done) && self.services.clock.instant() + least > self.end
            {
                return Ok(Ack::Again(Duration::ZERO));
            }
            match next {
                Next::Wait(pause) => return Ok(Ack::Again(pause.try_into().unwrap_or_default())),
                Next::Done => return Ok(Ack::Done),
                Next::Recover => {
                    warn!(message.id = %delivery.id, "the previous attempt crashed");
                    delivery.recover(self.now());
                    self.save(&mut delivery).await?;
                }
                Next::Send if self.is_paused(&mut delivery).await? => {}
                Next::Send => {
                    let SendLease { holder, until } = self.lease();
                    let (table, now) = (&self.services.table, self.now());
                    if !self.slot.take(table, self.profile.id, &holder, until, now).await? {
                        return Ok(Ack::Again(busy_pause(queued.queue_message.deliveries)));
                    }
                    self.send(queued, &mut delivery, &mut work).await?;
                }
                Next::SearchSent => self.search_sent(&mut delivery).await?,
                Next::PublishOutcome => self.publish_outcome(queued, &mut delivery, &mut work).await?,
                Next::FileCopy => self.file_copy(queued, &mut delivery, &mut work).await?,
            }
        }
        Ok(Ack::Again(TOO_MANY_STEPS_PAUSE))
    }

    /// A queue message's delivery: the stored one, or a new one for the message that the queue message carries.
    async fn delivery(&self, queued: &QueuedSend) -> Result<Option<Delivery>, PortError> {
        let (profile, id) = (self.profile.id, &queued.request.id);
        let stored = self.services.table.delivery(profile, id).await?;
        let digest = queued.digest();
        match (stored, &queued.request.content) {
            (Some(stored), Content::Included(_)) if stored.digest != digest => {
                warn!(profile.id = %profile, message.id = %id, "the id belongs to another message; this one goes to the dead-letter queue");
                self.services.queues.dead_letter(&queued.queue_message.body).await?;
                Ok(None)
            }
            (Some(stored), _) => Ok(Some(stored)),
            (None, Content::Stored) => {
                info!(profile.id = %profile, message.id = %id, "the message is no longer stored");
                Ok(None)
            }
            (None, Content::Included(body)) => {
                let mut delivery = self.new_delivery(queued, Value::Object(body.clone())).await?;
                delivery.digest = digest;
                match self.services.table.begin_delivery(&delivery, None).await? {
                    BeginDelivery::Stored => Ok(Some(delivery)),
                    BeginDelivery::Repeated(stored) => Ok(Some(*stored)),
                    BeginDelivery::Conflict => Err(PortError::Lost),
                }
            }
        }
    }

    async fn new_delivery(&self, queued: &QueuedSend, body: Value) -> Result<Delivery, PortError> {
        let now = self.now();
        let (profile, id) = (self.profile.id, queued.request.id.clone());
        let (message, from) = match (render::message(body, profile), self.from()) {
            (Ok(message), Ok(from)) => (message, from),
            (Err(error), _) | (Ok(_), Err(error)) => return self.failed_delivery(queued, error, now),
        };
        let message_id = MessageId::of(profile, &id, &from);
        let mut delivery =
            Delivery::new(profile, id, message_id, &message.recipients(), message.save_to_sent, now);
        if self.profile.settings.imap.is_none() {
            delivery.skip_sent_mailbox();
        }
        if let Some(error) = self.services.table.check_loop_guard(profile, &message).await? {
            delivery.fail(error, now);
        }
        Ok(delivery)
    }

    /// The delivery of a message that cannot be read: it has no recipients, has failed, and goes to the dead-letter
    /// queue.
    fn failed_delivery(
        &self,
        queued: &QueuedSend,
        error: SendError,
        now: OffsetDateTime,
    ) -> Result<Delivery, PortError> {
        let from = EmailAddress::parse("nobody@mailroom.invalid");
        let from = from.map_err(|error| PortError::Corrupt(error.to_string()))?;
        let (profile, id) = (self.profile.id, queued.request.id.clone());
        let message_id = MessageId::of(profile, &id, &from);
        let mut delivery = Delivery::new(profile, id, message_id, &[], SaveToSent::Never, now);
        delivery.exhausted = true;
        delivery.fail(error, now);
        Ok(delivery)
    }

    /// Postpones a message whose profile's sending is paused; whether it is.
    async fn is_paused(&self, delivery: &mut Delivery) -> Result<bool, PortError> {
        let now = self.now();
        let Some(sending) = self.profile.sending_error() else { return Ok(false) };
        let Some(until) = sending.not_before.filter(|until| *until > now) else { return Ok(false) };
        let code = sending.error.code;
        let until = match code.class() {
            // The owner has to act. Their edit ends the pause, so the profile is read often, and the server left alone.
            ErrorClass::Owner | ErrorClass::Authorization => until.min(now + PROFILE_RECHECK_PAUSE),
            ErrorClass::Transient | ErrorClass::Throttled => until,
        };
        let error = SendError::new(SendErrorCode::Profile(code), &sending.error.message);
        delivery.postpone(error, until, now);
        self.save(delivery).await?;
        Ok(true)
    }

    /// Makes one attempt to send a message to the recipients that wait for it, and stores its result.
    async fn send(
        &mut self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        work: &mut Work<'a>,
    ) -> Result<(), PortError> {
        let now = self.now();
        // Before anything is done with the message, so that a crash is counted.
        delivery.claim(self.lease(), now);
        self.save(delivery).await?;
        match self.attempt(queued, delivery, work).await {
            Ok(Some((rejected, attempt))) => {
                self.note_attempt(&rejected, &attempt).await;
                delivery.finish_attempt(&rejected, attempt, self.now());
            }
            Ok(None) => {}
            Err(AttemptError::BeforeDot(error)) => {
                delivery.release(self.now());
                self.save(delivery).await?;
                return Err(error);
            }
            Err(AttemptError::AtDot(error)) => return Err(error),
        }
        self.save(delivery).await?;
        info!(
            profile.id = %self.profile.id, message.id = %delivery.id, state = ?delivery.state(),
            attempts = delivery.attempts, age_s = (self.now() - delivery.created_at).whole_seconds(),
            "an attempt to send a message ended"
        );
        work.noted.reported(&self.services.table, delivery, self.now()).await
    }

    /// The attempt itself. `None`: the message failed before a server was contacted.
    async fn attempt(
        &mut self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        work: &mut Work<'a>,
    ) -> Result<Option<(Rejected, Attempt)>, AttemptError> {
        if work.prepared.is_none() {
            work.prepared = match self.prepare(queued, delivery).await {
                Ok(prepared) => Some(prepared),
                Err(RenderError::Invalid(error)) => {
                    delivery.fail(error, self.now());
                    return Ok(None);
                }
                Err(RenderError::Port(error)) => return Err(AttemptError::BeforeDot(error)),
            };
        }
        let Some(Prepared { message, rendered }) = work.prepared.as_ref() else { return Ok(None) };
        if message.origin == Origin::Automatic && delivery.attempts == 0 {
            self.admit(delivery).await.map_err(AttemptError::BeforeDot)?;
            if delivery.next_recipients().is_empty() {
                return Ok(None);
            }
        }
        let noted = work.noted.own(&self.services.table, delivery, message, self.now()).await;
        noted.map_err(AttemptError::BeforeDot)?;
        self.transact(delivery, &rendered.raw).await.map(Some)
    }

    async fn prepare(&self, queued: &QueuedSend, delivery: &Delivery) -> Result<Prepared<'a>, RenderError> {
        let messages = &self.services.messages;
        let mut message = messages.message(self.profile.id, delivery, &queued.request.content).await?;
        if message.from_name.is_none() {
            message.from_name = self.profile.settings.from.as_ref().and_then(|from| from.name.clone());
        }
        let from = self.from().map_err(RenderError::Invalid)?;
        // Other profiles may hold all of the memory budget for as long as the invocation lasts.
        let rendered = tokio::time::timeout_at(self.end, messages.render(&message, delivery, &from)).await;
        let rendered = rendered.map_err(|_| RenderError::Port(PortError::Lost))??;
        Ok(Prepared { message, rendered })
    }

    /// Counts an automatic message for each of its recipients, and rejects those that have reached the limit.
    async fn admit(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        let limit = self.services.automatic_limit;
        let mut last_error = None;
        for address in delivery.next_recipients() {
            let table = &self.services.table;
            let admission = table.admit_automatic(&address, delivery, limit, self.now()).await?;
            if admission == Admission::LimitReached {
                let error = loop_guard::limit_reached(&address, limit);
                delivery.reject_recipient(&address, error.clone());
                last_error = Some(error);
            }
        }
        if let Some(error) = last_error
            && delivery.next_recipients().is_empty()
        {
            delivery.fail(error, self.now());
        }
        Ok(())
    }

    /// One transaction with the server: its replies to single recipients, and how it ended.
    async fn transact(
        &mut self,
        delivery: &mut Delivery,
        raw: &[u8],
    ) -> Result<(Rejected, Attempt), AttemptError> {
        let from = self.from().map(|from| from.wire().to_owned()).unwrap_or_default();
        let waiting = delivery.next_recipients();
        let lease = self.lease();
        let clock = self.services.clock;
        // Without the time for the dot, there is no use in going on.
        let transferred = self.end.checked_sub(MIN_REPLY_TIME + RECORD_TIME).unwrap_or(self.end);
        let session = match self.smtp.open(self.services, &mut self.profile, transferred).await {
            Ok(session) => session,
            Err(Failure::Owner(error)) => return Ok((Vec::new(), Attempt::Interrupted(error))),
            Err(Failure::Port(error)) => return Err(AttemptError::BeforeDot(error)),
        };
        let transfer = session.transfer(Envelope { from: &from, to: &waiting }, raw, transferred).await;
        let rejected = transfer.rejected;
        match transfer.end {
            TransferEnd::Complete => {}
            TransferEnd::Refused(attempt) => return Ok((rejected, attempt)),
            TransferEnd::Broken(error) => return Ok((rejected, self.interrupted(error))),
        }
        // The last moment at which the server does not have the message. Unless this is stored, the dot is not sent.
        let accepted: Vec<String> =
            waiting.into_iter().filter(|one| !rejected.iter().any(|(address, _)| address == one)).collect();
        delivery.mark_data_sent(&accepted, lease, clock.now());
        if let Err(error) = self.services.table.save_delivery(delivery).await {
            self.smtp.broke(&OwnerError::new(ErrorCode::SmtpConnect, "The session was abandoned."));
            return Err(AttemptError::AtDot(error));
        }
        if clock.instant() + MIN_REPLY_TIME > self.end {
            let error = "Mailroom ran out of time before the message was complete, so the mail server does not have it.";
            return Ok((rejected, self.interrupted(OwnerError::new(ErrorCode::SmtpTimeout, error))));
        }
        let attempt = match session.finish(self.end).await {
            FinalDot::Accepted(reply) => Attempt::Accepted(reply),
            FinalDot::Refused(reply) => Attempt::Refused(reply),
            FinalDot::NotSent(error) => self.interrupted(error),
            FinalDot::NoReply(error) => {
                let error = uncertain(&error);
                self.smtp.broke(&error);
                Attempt::Uncertain(error)
            }
        };
        Ok((rejected, attempt))
    }

    /// Notes in the profile what an attempt says about all of its messages.
    async fn note_attempt(&mut self, rejected: &Rejected, attempt: &Attempt) {
        let limit = match attempt {
            Attempt::Accepted(_) => return record_taken(self.services, &mut self.profile).await,
            Attempt::Refused(reply) => Some(reply),
            // Some servers say it of each recipient.
            Attempt::AllRecipientsRejected => rejected.iter().map(|(_, reply)| reply).next_back(),
            Attempt::Uncertain(_) | Attempt::Interrupted(_) => None,
        };
        if let Some(SmtpReply { class: ReplyClass::Limit, text }) = limit {
            let message = format!("A sending limit of the mail server is reached: \"{text}\".");
            let error = OwnerError::new(ErrorCode::SmtpThrottled, message);
            record(self.services, &mut self.profile, Err(&error)).await;
        }
    }

    fn interrupted(&mut self, error: OwnerError) -> Attempt {
        self.smtp.broke(&error);
        Attempt::Interrupted(error)
    }

    /// Searches for an uncertain message in the sent mailbox.
    async fn search_sent(&mut self, delivery: &mut Delivery) -> Result<(), PortError> {
        let search = self.sent_mailbox.search(self.services, &self.profile, delivery, self.end).await?;
        if search == SentSearch::Found {
            info!(message.id = %delivery.id, "an uncertain message was found in the sent mailbox");
        }
        delivery.finish_search(search, self.now());
        self.save(delivery).await
    }

    /// Publishes a message's final outcome; one that ran out of attempts goes to the dead-letter queue too.
    async fn publish_outcome(
        &self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        work: &mut Work<'a>,
    ) -> Result<(), PortError> {
        // Again, if the invocation that sent it did not get there.
        work.noted.reported(&self.services.table, delivery, self.now()).await?;
        let queues = &self.services.queues;
        if delivery.exhausted && delivery.state() == DeliveryState::Failed {
            queues.dead_letter(&queued.queue_message.body).await?;
        }
        let view = MessageView::from(&*delivery);
        let outcome = serde_json::to_string(&Outcome { version: Outcome::VERSION, message: &view });
        let outcome = outcome.map_err(|error| PortError::Corrupt(error.to_string()))?;
        queues.publish_outcome(&outcome).await?;
        delivery.mark_published(self.now());
        self.save(delivery).await
    }

    /// Files a copy of a sent message in the sent mailbox.
    async fn file_copy(
        &mut self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        work: &mut Work<'a>,
    ) -> Result<(), PortError> {
        if work.prepared.is_none() {
            work.prepared = match self.prepare(queued, delivery).await {
                Ok(prepared) => Some(prepared),
                Err(RenderError::Invalid(_)) => None,
                Err(RenderError::Port(error)) => return Err(error),
            };
        }
        let filing = match &work.prepared {
            Some(Prepared { message, rendered }) if is_copy_wanted(message.save_to_sent, &self.profile) => {
                let (services, profile) = (self.services, &self.profile);
                self.sent_mailbox.file(services, profile, delivery, &rendered.raw, self.end).await?
            }
            Some(_) | None => Filing::NotNeeded,
        };
        delivery.finish_filing(filing, self.now());
        self.save(delivery).await
    }

    /// The address that the profile sends from.
    fn from(&self) -> Result<EmailAddress, SendError> {
        self.profile.settings.sender().map_err(|_| {
            invalid("The profile's login is not an email address that a message could come from: name one in its `from`.")
        })
    }

    async fn save(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        self.services.table.save_delivery(delivery).await
    }

    fn now(&self) -> OffsetDateTime {
        self.services.clock.now()
    }

    /// A lease until shortly after the invocation's end.
    fn lease(&self) -> SendLease {
        let left = self.end.saturating_duration_since(self.services.clock.instant());
        let left = time::Duration::try_from(left).unwrap_or(time::Duration::MINUTE);
        SendLease { holder: self.holder.clone(), until: self.now().saturating_add(left + LEASE_MARGIN) }
    }
}

/// Recipients that the server refused, each with its reply.
type Rejected = Vec<(String, SmtpReply)>;

/// A service failed during an attempt.
enum AttemptError {
    /// Before the dot: the message can be given back.
    BeforeDot(PortError),
    /// When the dot was about to be recorded: what is stored is unknown, and the lease decides.
    AtDot(PortError),
}

/// The error of a connection that was lost after the final dot.
fn uncertain(error: &OwnerError) -> OwnerError {
    let message = format!(
        "{} The server had the complete message by then and may have taken it, so it is not sent again automatically.",
        error.message
    );
    OwnerError::new(error.code, message)
}

#[cfg(test)]
mod tests;
