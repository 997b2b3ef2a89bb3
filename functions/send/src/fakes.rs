//! The world of the unit tests: fakes that remember, and servers that do what a test scripts.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mailroom_core::conversation::{KnownMessage, KnownMessages, MessageKey};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::SendingChange;
use mailroom_core::outbound::delivery::{Delivery, SmtpReply};
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::{EmailAddress, MessageId, OutboundId};
use mailroom_core::outbound::ports::{
    Admission, BeginDelivery, Deliveries, IdempotencyKey, Object, Objects, SESSIONS_PER_PROFILE, SendQueues,
    SessionSlot,
};
use mailroom_core::owner_error::OwnerError;
use mailroom_core::ports::{Conversations, PortError};
use mailroom_core::profile::{Auth, Profile, ProfileId, Settings};
use mailroom_core::server::{Host, Security, Server};
use mailroom_lambda::clock;
use mailroom_net::clock::Clock;
use mailroom_net::login::Login;
use mailroom_net::login::Secret;
use secrecy::ExposeSecret as _;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::Instant;

use crate::ports::{
    Envelope, Failure, FinalDot, LoginSecrets, OpenError, SentMailboxSession, SentMailboxes, SmtpServers,
    SmtpTransport, Transfer, TransferEnd,
};
use crate::render::MessageStore;
use crate::services::{Ports, Services};

/// The profile that sends.
pub(crate) const PROFILE: &str = "01JDCABCDEFGHJKMNPQRSTVWXY";

/// The login whose access panics.
pub(crate) const PANIC: &str = "panic@example.com";

thread_local! {
    static NOW: Cell<OffsetDateTime> = const { Cell::new(datetime!(2026-11-01 12:00 UTC)) };
}

/// Time passes.
pub(crate) fn pass(time: time::Duration) {
    NOW.set(NOW.get() + time);
}

pub(crate) fn now() -> OffsetDateTime {
    NOW.get()
}

/// What all fakes of a test share.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) profiles: HashMap<ProfileId, Profile>,
    pub(crate) deliveries: HashMap<OutboundId, Delivery>,
    /// What is noted of messages.
    pub(crate) known: KnownMessages,
    pub(crate) objects: HashMap<String, Vec<u8>>,
    /// Automatic messages by recipient.
    pub(crate) automatic: HashMap<String, Vec<OutboundId>>,
    pub(crate) postponed: Vec<(String, Duration)>,
    pub(crate) dead_letters: Vec<String>,
    pub(crate) outcomes: Vec<serde_json::Value>,
    /// What happened outside of the table, in order.
    pub(crate) events: Vec<String>,
    /// Results of the next transfers; complete when there is none.
    pub(crate) transfers: VecDeque<Transfer>,
    /// With what address, login and secret sessions were opened.
    pub(crate) introductions: Vec<[String; 3]>,
    /// The return paths and `From` fields of what was transferred.
    pub(crate) senders: Vec<(String, String)>,
    /// The runs that hold a session of the profile.
    pub(crate) sessions: Vec<String>,
    /// How long a transfer takes.
    pub(crate) transfer_time: Duration,
    /// Results of the next final dots; accepted when there is none.
    pub(crate) dots: VecDeque<FinalDot>,
    /// Results of the next attempts to open a session; opened when there is none.
    pub(crate) opens: VecDeque<OpenError>,
    /// The messages that the SMTP server took: its recipients.
    pub(crate) sent_to: Vec<Vec<String>>,
    /// The Message-IDs in the sent mailbox.
    pub(crate) sent_mailbox: Vec<String>,
    /// The save that fails, counted from the next one: 0 fails at once.
    pub(crate) failing_save: Option<usize>,
}

/// All fakes in one.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

impl World {
    /// A world with one profile.
    pub(crate) fn new() -> Self {
        let world = Self::default();
        let profile = profile();
        world.state().profiles.insert(profile.id, profile);
        world
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn services(&self) -> Services<Fakes> {
        Services {
            table: self.clone(),
            messages: MessageStore::new(self.clone()),
            queues: self.clone(),
            tokens: self.clone(),
            smtp: self.clone(),
            imap: self.clone(),
            automatic_limit: 1,
            clock: Clock::new(now, clock::instant),
        }
    }

    pub(crate) fn delivery(&self, id: &str) -> Delivery {
        self.state().deliveries[&OutboundId::parse(id).unwrap()].clone()
    }
}

pub(crate) struct Fakes;

impl Ports for Fakes {
    type Table = World;
    type Objects = World;
    type Queues = World;
    type Tokens = World;
    type Smtp = World;
    type Imap = World;
}

fn server(host: &str, port: u16) -> Server {
    Server {
        host: Host::parse(host).unwrap(),
        port: std::num::NonZeroU16::new(port).unwrap(),
        security: Security::Tls,
    }
}

pub(crate) fn profile() -> Profile {
    let auth = Auth::Plain { login: "support@example.com".to_owned() };
    let flow = FlowSchemaId::parse("add-to-queue").unwrap();
    let settings = Settings {
        listen: false,
        smtp: Some(server("smtp.example.com", 465)),
        flow_schema_id: None,
        ..Settings::listening("Support", server("imap.example.com", 993), auth, flow)
    };
    Profile::new(ProfileId::parse(PROFILE).unwrap(), settings, now())
}

impl Conversations for World {
    async fn known_messages(
        &self,
        _: ProfileId,
        messages: &[MessageKey],
    ) -> Result<KnownMessages, PortError> {
        let known = &self.state().known;
        Ok(messages.iter().filter_map(|key| Some((key.clone(), known.get(key)?.clone()))).collect())
    }

    async fn note_messages(
        &self,
        _: ProfileId,
        messages: &[(MessageKey, KnownMessage)],
        _: OffsetDateTime,
    ) -> Result<KnownMessages, PortError> {
        let known = &mut self.state().known;
        let noted = messages.iter().cloned();
        Ok(noted.map(|(key, message)| (key.clone(), known.entry(key).or_insert(message).clone())).collect())
    }
}

impl Deliveries for World {
    async fn sender_profile(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        Ok(self.state().profiles.get(&id).cloned())
    }

    async fn delivery(&self, _: ProfileId, id: &OutboundId) -> Result<Option<Delivery>, PortError> {
        Ok(self.state().deliveries.get(id).cloned())
    }

    async fn begin_delivery(
        &self,
        delivery: &Delivery,
        _: Option<&IdempotencyKey>,
    ) -> Result<BeginDelivery, PortError> {
        let mut state = self.state();
        if let Some(stored) = state.deliveries.get(&delivery.id) {
            return Ok(BeginDelivery::Repeated(Box::new(stored.clone())));
        }
        state.deliveries.insert(delivery.id.clone(), delivery.clone());
        Ok(BeginDelivery::Stored)
    }

    async fn save_delivery(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        let mut state = self.state();
        match state.failing_save {
            Some(0) => {
                state.failing_save = None;
                return Err(PortError::Corrupt("the table fails".to_owned()));
            }
            Some(saves) => state.failing_save = Some(saves - 1),
            None => {}
        }
        let stored = state.deliveries.get_mut(&delivery.id).ok_or(PortError::Lost)?;
        if stored.revision != delivery.revision {
            return Err(PortError::Lost);
        }
        delivery.revision += 1;
        stored.clone_from(delivery);
        Ok(())
    }

    async fn take_session(
        &self,
        _: ProfileId,
        holder: &str,
        _: OffsetDateTime,
        _: OffsetDateTime,
    ) -> Result<Option<SessionSlot>, PortError> {
        let sessions = &mut self.state().sessions;
        if sessions.len() >= SESSIONS_PER_PROFILE as usize {
            return Ok(None);
        }
        sessions.push(holder.to_owned());
        Ok(Some(SessionSlot { number: 0, holder: holder.to_owned() }))
    }

    async fn release_session(&self, _: ProfileId, slot: &SessionSlot) -> Result<(), PortError> {
        self.state().sessions.retain(|holder| *holder != slot.holder);
        Ok(())
    }

    async fn automated_sender(
        &self,
        _: ProfileId,
        _: &[&MessageId],
    ) -> Result<Option<AutomatedSender>, PortError> {
        Ok(None)
    }

    async fn own_addresses(&self, _: &[EmailAddress]) -> Result<Vec<EmailAddress>, PortError> {
        Ok(Vec::new())
    }

    async fn admit_automatic(
        &self,
        address: &str,
        delivery: &Delivery,
        limit: u32,
        _: OffsetDateTime,
    ) -> Result<Admission, PortError> {
        let mut state = self.state();
        let counted = state.automatic.entry(address.to_owned()).or_default();
        if counted.contains(&delivery.id) {
            return Ok(Admission::WithinLimit);
        }
        if counted.len() >= limit as usize {
            return Ok(Admission::LimitReached);
        }
        counted.push(delivery.id.clone());
        Ok(Admission::WithinLimit)
    }

    async fn record_sending(
        &self,
        id: ProfileId,
        version: u64,
        change: &SendingChange,
    ) -> Result<(), PortError> {
        let mut state = self.state();
        let profile = state.profiles.get_mut(&id).filter(|profile| profile.version == version);
        let profile = profile.ok_or(PortError::Lost)?;
        profile.note_sending(change.clone());
        Ok(())
    }
}

impl Objects for World {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, PortError> {
        Ok(match self.state().objects.get(key) {
            Some(bytes) if bytes.len() as u64 > limit => Object::TooLarge,
            Some(bytes) => Object::Bytes(bytes.clone()),
            None => Object::Missing,
        })
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, PortError> {
        Ok(self.state().objects.get(key).map(|bytes| bytes.len() as u64))
    }
}

impl SendQueues for World {
    async fn postpone(&self, receipt_handle: &str, pause: Duration) -> Result<(), PortError> {
        self.state().postponed.push((receipt_handle.to_owned(), pause));
        Ok(())
    }

    async fn dead_letter(&self, body: &str) -> Result<(), PortError> {
        self.state().dead_letters.push(body.to_owned());
        Ok(())
    }

    async fn publish_outcome(&self, body: &str) -> Result<(), PortError> {
        let mut state = self.state();
        state.outcomes.push(serde_json::from_str(body).unwrap());
        state.events.push("publish".to_owned());
        Ok(())
    }
}

impl LoginSecrets for World {
    async fn login_secret(&self, profile: &Profile, _: Instant) -> Result<Secret, Failure> {
        assert_ne!(profile.settings.auth.login(), PANIC, "a scripted panic");
        Ok(Secret::AccessToken("first".to_owned().into()))
    }

    async fn smtp_login_secret(&self, profile: &Profile, deadline: Instant) -> Result<Secret, Failure> {
        if profile.settings.smtp_auth.is_some() {
            return Ok(Secret::Password("of the relay".to_owned().into()));
        }
        self.login_secret(profile, deadline).await
    }

    async fn other_login_secret(
        &self,
        _: &Profile,
        _: &Secret,
        _: Instant,
    ) -> Result<Option<Secret>, Failure> {
        self.state().events.push("refresh".to_owned());
        Ok(Some(Secret::AccessToken("second".to_owned().into())))
    }

    async fn settle(&self, _: Instant) {}
}

impl SmtpServers for World {
    type Transport = Transport;

    async fn open(
        &self,
        _: &Server,
        sender: &str,
        login: Login<'_>,
        _: Instant,
    ) -> Result<Transport, OpenError> {
        let mut state = self.state();
        state.events.push("open".to_owned());
        let secret = match login.secret {
            Secret::Password(secret) | Secret::AccessToken(secret) => secret.expose_secret().to_owned(),
        };
        state.introductions.push([sender.to_owned(), login.login.to_owned(), secret]);
        match state.opens.pop_front() {
            Some(error) => Err(error),
            None => Ok(Transport { world: self.clone(), in_flight: Vec::new() }),
        }
    }
}

/// A session with the scripted SMTP server.
pub(crate) struct Transport {
    world: World,
    in_flight: Vec<String>,
}

impl SmtpTransport for Transport {
    fn is_spent(&self) -> bool {
        false
    }

    async fn transfer(&mut self, envelope: Envelope<'_>, raw: &[u8], _: Instant) -> Transfer {
        assert!(raw.starts_with(b"Message-ID:") || raw.windows(12).any(|some| some == b"\r\nMessage-ID"));
        let text = String::from_utf8_lossy(raw);
        let from = text.lines().find_map(|line| line.strip_prefix("From: ")).unwrap_or_default().to_owned();
        let (scripted, time) = {
            let mut state = self.world.state();
            state.senders.push((envelope.from.to_owned(), from));
            (state.transfers.pop_front(), state.transfer_time)
        };
        tokio::time::sleep(time).await;
        let transfer = scripted.unwrap_or(Transfer { rejected: Vec::new(), end: TransferEnd::Complete });
        let rejected = |address: &String| transfer.rejected.iter().any(|(one, _)| one == address);
        self.in_flight = envelope.to.iter().filter(|address| !rejected(address)).cloned().collect();
        transfer
    }

    async fn finish(&mut self, _: Instant) -> FinalDot {
        let mut state = self.world.state();
        state.events.push("dot".to_owned());
        let dot = state.dots.pop_front().unwrap_or_else(|| FinalDot::Accepted("250 OK".to_owned()));
        if let FinalDot::Accepted(_) = dot {
            state.sent_to.push(std::mem::take(&mut self.in_flight));
        }
        dot
    }

    async fn quit(self) {}
}

impl SentMailboxes for World {
    type Mailbox = Self;

    async fn open(&self, _: &Server, _: Login<'_>, _: Instant) -> Result<Option<Self>, OwnerError> {
        Ok(Some(self.clone()))
    }
}

impl SentMailboxSession for World {
    async fn holds(&mut self, message_id: &str, _: Instant) -> Result<bool, OwnerError> {
        Ok(self.state().sent_mailbox.iter().any(|one| one == message_id))
    }

    async fn file(&mut self, _: &[u8], _: OffsetDateTime, _: Instant) -> Result<(), OwnerError> {
        self.state().events.push("file".to_owned());
        Ok(())
    }

    async fn logout(self) {}
}

/// A reply to one recipient.
pub(crate) fn reply(class: mailroom_core::outbound::delivery::ReplyClass, text: &str) -> SmtpReply {
    SmtpReply { class, text: text.to_owned() }
}
