//! One profile's messages, one after the other, each as far as it goes now.

use std::time::Duration;

use mailroom_contract::message::{MessageView, Outcome};
use mailroom_core::outbound::delivery::{
    Answer, Attempt, Copied, Copy, Delivery, Lease, Next, OWNER_PAUSE, OutcomeEvent, Place, ReplyClass,
    SendError, SendErrorCode, State,
};
use mailroom_core::outbound::loop_guard;
use mailroom_core::outbound::message::{EmailAddress, Message, MessageId, Origin};
use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::{Admission, Begun, Deliveries as _, PortError};
use mailroom_core::profile::Profile;
use mailroom_mail::smtp::{self, Content, Envelope, Reply, SmtpError, Unsupported};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::event::QueuedSend;
use crate::handler::{Ack, Services};
use crate::render::{self, RenderError, RenderedMessage, invalid};
use crate::sent_mailbox::{SentMailbox, Sight, is_ours};
use crate::smtp_session::{SmtpSession, words_of};
use mailroom_lambda::clock;

/// A step is begun only with this much time left.
const LEAST_TIME: Duration = Duration::from_secs(15);

/// A try is begun only with this much time left, unless it is the first of a round: what is cut off may be in doubt.
const TRY_TIME: Duration = Duration::from_secs(40);

/// The final dot goes out only with this much time left for the server to think.
const DOT_TIME: Duration = Duration::from_secs(15);

/// How long after an invocation's end its leases last.
const LEASE_MARGIN: time::Duration = time::Duration::seconds(10);

/// Steps of one message in one invocation: more is a fault of ours.
const MAX_STEPS: u32 = 12;

/// One profile's messages.
pub(crate) struct Sender<'a> {
    services: &'a Services,
    profile: Profile,
    end: Instant,
    /// Who we are, for leases.
    holder: String,
    line: SmtpSession,
    sent_mailbox: SentMailbox,
    tries: u32,
}

/// A mail that is made, and what it was made from.
struct Made<'a> {
    message: Message,
    rendered: RenderedMessage<'a>,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(services: &'a Services, profile: Profile, end: Instant) -> Self {
        let holder = clock::new_ulid().to_string();
        Self {
            services,
            profile,
            end,
            holder,
            line: SmtpSession::new(),
            sent_mailbox: SentMailbox::new(),
            tries: 0,
        }
    }

    /// Ends the sessions.
    pub(crate) async fn close(self) {
        self.line.close().await;
        self.sent_mailbox.close().await;
    }

    /// Takes a message as far as it goes now.
    pub(crate) async fn drive(&mut self, queued: &QueuedSend) -> Result<Ack, PortError> {
        let Some(mut delivery) = self.delivery(queued).await? else { return Ok(Ack::Done) };
        let mut made = None;
        for _ in 0..MAX_STEPS {
            let next = delivery.next(clock::now());
            let least = if next == Next::Send && self.tries > 0 { TRY_TIME } else { LEAST_TIME };
            if !matches!(next, Next::Wait(_) | Next::Nothing) && clock::instant() + least > self.end {
                return Ok(Ack::Again(Duration::ZERO));
            }
            match next {
                Next::Wait(pause) => return Ok(Ack::Again(pause.try_into().unwrap_or_default())),
                Next::Nothing => return Ok(Ack::Done),
                Next::Recover => {
                    warn!(message.id = %delivery.id, "somebody died over this message");
                    delivery.recover(clock::now());
                    self.save(&mut delivery).await?;
                }
                Next::Send => self.send(queued, &mut delivery, &mut made).await?,
                Next::Check => self.check(&mut delivery).await?,
                Next::Conclude => self.conclude(queued, &mut delivery, &mut made).await?,
            }
        }
        Ok(Ack::Again(Duration::from_secs(60)))
    }

    /// The delivery of a queue message: as it is stored, or begun with the message that the queue itself has brought.
    async fn delivery(&self, queued: &QueuedSend) -> Result<Option<Delivery>, PortError> {
        let known = self.services.table.delivery(self.profile.id, &queued.id).await?;
        let digest = queued.digest();
        if let (Some(known), Some(digest)) = (&known, &digest)
            && known.digest.as_ref() != Some(digest)
        {
            warn!(profile.id = %self.profile.id, message.id = %queued.id, "another message had this id before; this one goes to the dead letters");
            let queues = &self.services.queues;
            queues.send.pass_on(&queues.dead_letters, &queued.record.body).await?;
            return Ok(None);
        }
        let Some(body) = known.is_none().then_some(queued.message.as_ref()).flatten() else {
            if known.is_none() {
                info!(profile.id = %self.profile.id, message.id = %queued.id, "there is no such message any more");
            }
            return Ok(known);
        };
        let now = clock::now();
        let from = EmailAddress::parse(self.profile.auth.login()).ok();
        let (id, profile) = (queued.id.clone(), self.profile.id);
        let mut begun = match (render::message(body.clone(), profile), from) {
            (Ok(message), Some(from)) => {
                let message_id = MessageId::of(profile, &id, &from);
                let (recipients, copy) = (message.recipients(), message.save_to_sent);
                let mut delivery = Delivery::new(profile, id, message_id, &recipients, copy, now);
                if let Some(held) = self.services.table.held_back(profile, &message).await? {
                    delivery.fail(held, now);
                }
                delivery
            }
            (Ok(_), None) => {
                let error = invalid("The profile's login is no address that mail could come from.");
                self.failed_delivery(queued, error, now)?
            }
            (Err(error), _) => self.failed_delivery(queued, error, now)?,
        };
        begun.digest = digest;
        match self.services.table.begin_delivery(&begun, None).await? {
            Begun::Stored => Ok(Some(begun)),
            Begun::Before(before) => Ok(Some(*before)),
            Begun::Taken => Err(PortError::Lost),
        }
    }

    /// The delivery of what cannot be sent: for nobody, and failed. It is looked for among the dead letters.
    fn failed_delivery(
        &self,
        queued: &QueuedSend,
        error: SendError,
        now: OffsetDateTime,
    ) -> Result<Delivery, PortError> {
        let nobody = EmailAddress::parse("nobody@mailroom.invalid");
        let nobody = nobody.map_err(|error| PortError::Corrupt(error.to_string()))?;
        let message_id = MessageId::of(self.profile.id, &queued.id, &nobody);
        let save = mailroom_core::outbound::message::SaveToSent::Never;
        let mut delivery = Delivery::new(self.profile.id, queued.id.clone(), message_id, &[], save, now);
        delivery.exhausted = true;
        delivery.fail(error, now);
        Ok(delivery)
    }

    /// Tries to send a message to those who wait for it. Whatever comes of it is stored.
    async fn send(
        &mut self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        made: &mut Option<Made<'a>>,
    ) -> Result<(), PortError> {
        let now = clock::now();
        if let Some(sending) = self.profile.sending_error()
            && let Some(until) = sending.not_before.filter(|until| *until > now)
        {
            // The owner has to act. Their edit ends the pause, so it is looked for often, without asking the server.
            let code = SendErrorCode::Profile(sending.error.code);
            let error = SendError::new(code, &sending.error.message);
            delivery.postpone(error, until.min(now + OWNER_PAUSE), now);
            return self.save(delivery).await;
        }
        self.tries += 1;
        // Before anything is done with it: whatever kills the function over it is counted.
        delivery.claim(self.lease(), now);
        self.save(delivery).await?;
        if made.is_none() {
            *made = match self.make(queued, delivery).await {
                Ok(made) => Some(made),
                Err(RenderError::Never(error)) => {
                    delivery.fail(error, now);
                    return self.save(delivery).await;
                }
                Err(RenderError::Port(error)) => {
                    delivery.release(clock::now());
                    self.save(delivery).await?;
                    return Err(error);
                }
            };
        }
        let Some(Made { message, rendered }) = made.as_ref() else { return Ok(()) };
        if message.origin == Origin::Automatic && delivery.attempts == 0 {
            if let Err(error) = self.admit(delivery).await {
                delivery.release(clock::now());
                self.save(delivery).await?;
                return Err(error);
            }
            if delivery.waiting().is_empty() {
                return self.save(delivery).await;
            }
        }
        match self.line.session(self.services, &mut self.profile, self.end).await {
            Ok(Ok(_)) => {}
            Ok(Err(trouble)) => {
                delivery.conclude(&[], Attempt::Interrupted(trouble), clock::now());
                return self.save(delivery).await;
            }
            Err(error) => {
                delivery.release(clock::now());
                self.save(delivery).await?;
                return Err(error);
            }
        }
        let (refused, attempt) = self.transact(delivery, &rendered.raw).await?;
        delivery.conclude(&refused, attempt, clock::now());
        self.save(delivery).await?;
        info!(
            profile.id = %self.profile.id, message.id = %delivery.id, state = ?delivery.state(),
            attempts = delivery.attempts, "a message was tried"
        );
        Ok(())
    }

    async fn make(&self, queued: &QueuedSend, delivery: &Delivery) -> Result<Made<'a>, RenderError> {
        let message = self.services.store.message(self.profile.id, delivery, queued.message.as_ref()).await?;
        let from = EmailAddress::parse(self.profile.auth.login()).map_err(|_| {
            RenderError::Never(invalid("The profile's login is no address that mail could come from."))
        })?;
        // Others may have all the room for as long as we run.
        let packed = tokio::time::timeout_at(self.end, self.services.store.pack(&message, delivery, &from));
        let rendered = packed.await.map_err(|_| RenderError::Port(PortError::Lost))??;
        Ok(Made { message, rendered })
    }

    /// Counts an automatic mail for each of its recipients; those who have had too many do not get it.
    async fn admit(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        let limit = self.services.automatic_limit;
        let mut too_many = None;
        for address in delivery.waiting() {
            let admitted =
                self.services.table.admit_automatic(&address, delivery, limit, clock::now()).await?;
            if admitted == Admission::TooMany {
                let error = loop_guard::too_many(&address, limit);
                delivery.refuse(&address, error.clone());
                too_many = Some(error);
            }
        }
        if let Some(error) = too_many
            && delivery.waiting().is_empty()
        {
            delivery.fail(error, clock::now());
        }
        Ok(())
    }

    /// One transaction with the server. What it said to single recipients, and how it ended.
    async fn transact(
        &mut self,
        delivery: &mut Delivery,
        raw: &[u8],
    ) -> Result<(Vec<(String, Answer)>, Attempt), PortError> {
        let server = self.profile.smtp.clone();
        let from = EmailAddress::parse(self.profile.auth.login()).map(|from| from.wire().to_owned());
        let from = from.unwrap_or_default();
        let waiting = delivery.waiting();
        let lease = self.lease();
        let services = self.services;
        let session = match self.line.session(services, &mut self.profile, self.end).await? {
            Ok(session) => session,
            Err(trouble) => return Ok((Vec::new(), Attempt::Interrupted(trouble))),
        };
        let content = if raw.is_ascii() { Content::Ascii } else { Content::EightBit };
        let bytes = u64::try_from(raw.len()).unwrap_or(u64::MAX);
        let envelope = Envelope { from: &from, to: &waiting, bytes, content };
        let trouble = |error: &SmtpError| match &server {
            Some(server) => error.owner_error(server),
            None => OwnerError::new(ErrorCode::SmtpConnect, error.to_string()),
        };
        let refused = match session.begin(&envelope).await {
            smtp::TransactionStart::Ready { refused } => refused,
            smtp::TransactionStart::AllRecipientsRejected { refused } => {
                return Ok((answers(refused), Attempt::AllRecipientsRejected));
            }
            smtp::TransactionStart::Refused { reply, refused } => {
                return Ok((answers(refused), Attempt::Refused(answer(&reply))));
            }
            smtp::TransactionStart::Unsupported(unable) => {
                let words = unable_words(unable, bytes, server.as_ref());
                let answer = Answer { class: ReplyClass::Permanent, words };
                return Ok((Vec::new(), Attempt::Refused(answer)));
            }
            smtp::TransactionStart::Broken { error, refused } => {
                return Ok((answers(refused), self.interrupted(trouble(&error))));
            }
        };
        if let Err(error) = session.content(raw).await {
            return Ok((Vec::new(), self.interrupted(trouble(&error))));
        }
        if clock::instant() + DOT_TIME > self.end {
            let late = "The mail server was too slow for this run; the mail is tried again.";
            return Ok((answers(refused), self.interrupted(OwnerError::new(ErrorCode::SmtpTimeout, late))));
        }
        // The last moment at which the server has nothing yet. Unless this is stored, the dot does not go out.
        let accepted: Vec<String> =
            waiting.iter().filter(|one| !refused.iter().any(|(no, _)| no == *one)).cloned().collect();
        delivery.commit(&accepted, lease, clock::now());
        if let Err(error) = services.table.save_delivery(delivery).await {
            self.line.broke(&OwnerError::new(ErrorCode::SmtpConnect, "The session was given up."));
            return Err(error);
        }
        // While that was stored, the server may have left; then it has nothing, and there is no doubt.
        if let Err(error) = session.check_alive().await {
            return Ok((Vec::new(), self.interrupted(trouble(&error))));
        }
        let attempt = match session.finish().await {
            Ok(reply) if reply.is_done() => Attempt::Accepted(words(&reply)),
            Ok(reply) => Attempt::Refused(answer(&reply)),
            Err(error) => {
                let trouble = lost(&trouble(&error));
                self.line.broke(&trouble);
                Attempt::Lost(trouble)
            }
        };
        Ok((answers(refused), attempt))
    }

    fn interrupted(&mut self, trouble: OwnerError) -> Attempt {
        self.line.broke(&trouble);
        Attempt::Interrupted(trouble)
    }

    /// Looks for a message in doubt.
    async fn check(&mut self, delivery: &mut Delivery) -> Result<(), PortError> {
        let sight = self.sent_mailbox.look(self.services, &self.profile, delivery, self.end).await?;
        let now = clock::now();
        match sight {
            Sight::There => {
                info!(message.id = %delivery.id, "a message in doubt was found among the sent mail");
                delivery.found(now);
            }
            Sight::NotThere(place) => delivery.not_found(place, now),
            Sight::Unknown => delivery.not_found(Place::Folder, now),
        }
        self.save(delivery).await
    }

    /// Tells the outcome of a message, and files its copy.
    async fn conclude(
        &mut self,
        queued: &QueuedSend,
        delivery: &mut Delivery,
        made: &mut Option<Made<'a>>,
    ) -> Result<(), PortError> {
        let queues = &self.services.queues;
        if delivery.outcome_event == OutcomeEvent::Due {
            if delivery.exhausted && delivery.state() == State::Failed {
                queues.send.pass_on(&queues.dead_letters, &queued.record.body).await?;
            }
            if let Some(outcomes) = &queues.outcomes {
                let view = MessageView::from(&*delivery);
                let outcome = Outcome { version: Outcome::VERSION, message: &view };
                queues.send.tell(outcomes, &outcome).await?;
            }
            delivery.mark_published(clock::now());
            return self.save(delivery).await;
        }
        if !matches!(delivery.copy, Copy::Due(_)) {
            return Ok(());
        }
        if made.is_none() {
            *made = match self.make(queued, delivery).await {
                Ok(made) => Some(made),
                Err(RenderError::Never(_)) => None,
                Err(RenderError::Port(error)) => return Err(error),
            };
        }
        let copied = match made {
            Some(Made { message, rendered }) if is_ours(message.save_to_sent, &self.profile) => {
                let at = delivery.sent_at.unwrap_or_else(clock::now);
                self.sent_mailbox
                    .file(self.services, &self.profile, delivery, &rendered.raw, at, self.end)
                    .await?
            }
            Some(_) | None => Copied::NotNeeded,
        };
        delivery.copied(copied, clock::now());
        self.save(delivery).await
    }

    async fn save(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        self.services.table.save_delivery(delivery).await
    }

    /// The right to a message until a moment after the invocation's end.
    fn lease(&self) -> Lease {
        let left = self.end.saturating_duration_since(clock::instant());
        let left = time::Duration::try_from(left).unwrap_or(time::Duration::MINUTE);
        Lease { holder: self.holder.clone(), until: clock::now().saturating_add(left + LEASE_MARGIN) }
    }
}

/// What is lost after the dot is not known to have failed.
fn lost(trouble: &OwnerError) -> OwnerError {
    let message = format!(
        "{} The mail was complete by then: the server may have taken it, so it is not sent again by itself.",
        trouble.message
    );
    OwnerError::new(trouble.code, message)
}

fn unable_words(unable: Unsupported, bytes: u64, server: Option<&mailroom_core::server::Server>) -> String {
    let at = words_of(server);
    match unable {
        Unsupported::TooLarge(most) => {
            format!("{at} takes mail of {most} bytes at most; this one has {bytes}.")
        }
        Unsupported::International => {
            format!("{at} takes no addresses in other scripts than ASCII (it does not offer SMTPUTF8).")
        }
    }
}

fn answers(refused: Vec<(String, Reply)>) -> Vec<(String, Answer)> {
    refused.into_iter().map(|(address, reply)| (address, answer(&reply))).collect()
}

fn answer(reply: &Reply) -> Answer {
    let class = if reply.is_transient() { ReplyClass::Transient } else { ReplyClass::Permanent };
    Answer { class, words: words(reply) }
}

/// A reply as it is shown: `550 5.1.1 No such user`.
fn words(reply: &Reply) -> String {
    let enhanced = reply.enhanced.map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}"));
    format!("{}{} {}", reply.code, enhanced.unwrap_or_default(), reply.words).trim().to_owned()
}
