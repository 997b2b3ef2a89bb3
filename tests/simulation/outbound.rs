//! The state of what is sent: the stored deliveries, the send queue, and what the mail servers have taken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mailroom_core::conversation::MessageKey;
use mailroom_core::outbound::delivery::{Delivery, DeliveryState, Next, RecipientStatus};
use mailroom_core::outbound::message::MessageId;
use mailroom_core::outbound::ports::{SESSIONS_PER_PROFILE, SessionSlot};
use mailroom_core::profile::ProfileId;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::clock;
use crate::invariants::Violation;
use crate::world::{World, id, owner_of};

/// The send queue's visibility timeout and batch size (infra/template.yaml).
const VISIBILITY: Duration = Duration::from_secs(1080);
const BATCH: usize = 10;

/// A queue message of the send queue.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) id: u32,
    pub(crate) body: String,
    visible_at: Duration,
    receives: u32,
}

impl Queued {
    /// What names this delivery of the queue message.
    pub(crate) fn receipt(&self) -> String {
        format!("{}-{}", self.id, self.receives)
    }
}

/// What is sent, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// By the message's id.
    pub(crate) deliveries: BTreeMap<String, Delivery>,
    queue: Vec<Queued>,
    /// How many queue messages there were.
    queued: u32,
    /// The messages that came back, with their recipients.
    bounced: BTreeSet<(String, String)>,
    asked: BTreeSet<String>,
    /// How often the servers took a message, by Message-ID and recipient.
    pub(crate) taken: BTreeMap<(String, String), u32>,
    /// The states that were published, by the message's id.
    pub(crate) outcomes: BTreeMap<String, Vec<String>>,
    /// How many recipients the last outcome of a message names as bounced.
    pub(crate) told_bounces: BTreeMap<String, usize>,
    pub(crate) dead: Vec<String>,
    /// How many ids the servers gave to messages.
    reported: u32,
    /// Who holds a profile's sessions, and until when.
    sessions: BTreeMap<(ProfileId, u32), (String, OffsetDateTime)>,
}

impl Outbound {
    /// A flow asks for a message to be sent.
    pub(crate) fn asked(&mut self, owner: usize, message: u32, recipients: u32) {
        let name = format!("message-{message}");
        let to: Vec<Value> = (0..recipients).map(|n| json!({"address": recipient(message, n)})).collect();
        let body = json!({
            "version": 1, "profile_id": id(owner).to_string(), "id": name, "to": to,
            "subject": name, "text": "Hello"
        });
        self.asked.insert(name);
        self.queue_up(body.to_string(), clock::elapsed());
    }

    /// A message that the server has taken comes back for one of its recipients: fetch tells the send function so. Which
    /// ones do, their ids decide.
    pub(crate) fn bounces(&mut self, profile: ProfileId, message_id: &str, recipient: &str) {
        let id = MessageId::parse(message_id).ok().and_then(|id| id.outbound(profile)).expect("one of ours");
        let place = (id.as_str().to_owned(), recipient.to_owned());
        if !id.as_str().ends_with(['1', '4', '8']) || !self.bounced.insert(place) {
            return;
        }
        let failure = json!({
            "addresses": [recipient], "status": "5.1.1", "diagnostic": null, "remote_mta": null,
        });
        let request = json!({
            "version": 1, "profile_id": profile.to_string(), "id": id.as_str(), "bounces": [failure],
        });
        // Soon, so that some come while the message is still being sent to others.
        self.queue_up(request.to_string(), clock::elapsed() + Duration::from_secs(2));
    }

    fn queue_up(&mut self, body: String, visible_at: Duration) {
        self.queued += 1;
        self.queue.push(Queued { id: self.queued, body, visible_at, receives: 0 });
    }

    /// The id that a server gives to the next message that it takes.
    pub(crate) fn next_reported_id(&mut self) -> String {
        self.reported += 1;
        format!("0107018f9a2b3c4d-{:08x}-0000-4a5b-8c6d-7e8f9a0b1c2d-000000", self.reported)
    }

    /// When the next queue message becomes visible.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.queue.iter().map(|message| message.visible_at).min()
    }

    /// A batch of what is visible.
    pub(crate) fn receive(&mut self) -> Vec<Queued> {
        let now = clock::elapsed();
        let visible = self.queue.iter_mut().filter(|message| message.visible_at <= now).take(BATCH);
        visible
            .map(|message| {
                message.receives += 1;
                message.visible_at = now + VISIBILITY;
                message.clone()
            })
            .collect()
    }

    /// Changes when a queue message becomes visible; an old receipt changes nothing.
    pub(crate) fn postpone(&mut self, receipt: &str, pause: Duration) {
        let visible_at = clock::elapsed() + Duration::from_secs(pause.as_secs());
        for message in self.queue.iter_mut().filter(|message| message.receipt() == receipt) {
            message.visible_at = visible_at;
        }
    }

    /// Takes one of a profile's sessions.
    pub(crate) fn take_session(
        &mut self,
        profile: ProfileId,
        holder: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Option<SessionSlot> {
        let number =
            (0..SESSIONS_PER_PROFILE).find(|number| match self.sessions.get(&(profile, *number)) {
                Some((other, until)) => other == holder || *until < now,
                None => true,
            })?;
        self.sessions.insert((profile, number), (holder.to_owned(), until));
        Some(SessionSlot { number, holder: holder.to_owned() })
    }

    /// Gives a session back, if it is still its holder's.
    pub(crate) fn release_session(&mut self, profile: ProfileId, slot: &SessionSlot) {
        let place = (profile, slot.number);
        if self.sessions.get(&place).is_some_and(|(holder, _)| *holder == slot.holder) {
            self.sessions.remove(&place);
        }
    }

    /// Handled: it does not come again.
    pub(crate) fn delete(&mut self, id: u32) {
        self.queue.retain(|message| message.id != id);
    }

    /// Whether every message has its final outcome.
    pub(crate) fn is_done(&self) -> bool {
        let done = |delivery: &Delivery| delivery.next(clock::now()) == Next::Done;
        self.queue.is_empty()
            && self.deliveries.len() == self.asked.len()
            && self.deliveries.values().all(done)
    }
}

/// A recipient of a message; the server does not know some of them.
pub(crate) fn recipient(message: u32, n: u32) -> String {
    let name = if (message + n).is_multiple_of(7) { "nobody" } else { "somebody" };
    format!("{name}-{n}@example.org")
}

impl World {
    /// A server has taken a message for a recipient.
    pub(crate) fn taken(&mut self, message_id: &str, recipient: &str) {
        let times = self.outbound.taken.entry((message_id.to_owned(), recipient.to_owned())).or_default();
        *times += 1;
        if *times > 1 {
            self.violated(Violation::SentTwice { message_id: message_id.to_owned() });
        }
    }

    /// The quiet time is over: every message has one outcome, and it is true.
    pub(crate) fn judge_sends(&mut self) {
        let mut violations = Vec::new();
        for name in &self.outbound.asked {
            let message = name.clone();
            let Some(delivery) = self.outbound.deliveries.get(name) else {
                violations.push(Violation::NeverSent { message });
                continue;
            };
            if delivery.next(clock::now()) != Next::Done {
                violations.push(Violation::NeverSent { message });
                continue;
            }
            for one in &delivery.recipients {
                let place = (delivery.message_id.to_string(), one.address.clone());
                let taken = self.outbound.taken.contains_key(&place);
                let message = name.clone();
                if let RecipientStatus::Accepted(Some(reply)) = &one.status {
                    let conversation = |key: MessageKey| {
                        let known = self.known.get(&(owner_of(delivery.profile), key))?;
                        Some((known.conversation.clone(), known.outbound.clone()?))
                    };
                    let own = conversation(MessageKey::of(delivery.message_id.as_str()));
                    let reported = MessageKey::reported(reply).and_then(conversation);
                    if own.is_none() || own != reported {
                        violations.push(Violation::ReportedIdUnknown { message: name.clone() });
                    }
                }
                let bounced = self.outbound.bounced.contains(&(name.clone(), one.address.clone()));
                if bounced != one.bounce.is_some() {
                    violations.push(Violation::BounceLost { message: name.clone() });
                }
                match one.status {
                    RecipientStatus::Accepted(_) if !taken => {
                        violations.push(Violation::SaysSentUnsent { message });
                    }
                    RecipientStatus::Rejected(_) if taken => {
                        violations.push(Violation::SaysUnsentSent { message });
                    }
                    _ => {}
                }
            }
            let state = match delivery.state() {
                DeliveryState::Sent => "sent",
                DeliveryState::Failed => "failed",
                DeliveryState::Uncertain => "uncertain",
                DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Cancelled => "unfinished",
            };
            let published = self.outbound.outcomes.get(name).and_then(|states| states.last());
            let bounced = delivery.recipients.iter().filter(|one| one.bounce.is_some()).count();
            let told = self.outbound.told_bounces.get(name).copied().unwrap_or_default();
            if published.map(String::as_str) != Some(state) || told != bounced {
                violations.push(Violation::OutcomeUntold { message: name.clone() });
            }
        }
        violations.into_iter().for_each(|violation| self.violated(violation));
    }
}
