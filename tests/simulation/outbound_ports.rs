//! The ports of sending over the world. Conditions are those of the DynamoDB code in mailroom-aws.

use std::time::Duration;

use mailroom_core::health::SendingChange;
use mailroom_core::outbound::delivery::{Delivery, Phase};
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::{EmailAddress, MessageId, OutboundId};
use mailroom_core::outbound::ports::{
    Admission, BeginDelivery, Deliveries, IdempotencyKey, Object, Objects, SendQueues, SessionSlot,
};
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};
use serde_json::Value;
use time::OffsetDateTime;

use crate::faults::Op;
use crate::ports::Ports;
use crate::world::owner_of;

impl Deliveries for Ports {
    async fn sender_profile(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        self.call(Op::ReadSender, |world| Ok(Some(world.rows[owner_of(id)].profile.clone()))).await
    }

    async fn delivery(&self, _: ProfileId, id: &OutboundId) -> Result<Option<Delivery>, PortError> {
        self.call(Op::ReadDelivery, |world| Ok(world.outbound.deliveries.get(id.as_str()).cloned())).await
    }

    async fn begin_delivery(
        &self,
        delivery: &Delivery,
        _: Option<&IdempotencyKey>,
    ) -> Result<BeginDelivery, PortError> {
        self.call(Op::BeginDelivery, |world| {
            let deliveries = &mut world.outbound.deliveries;
            if let Some(stored) = deliveries.get(delivery.id.as_str()) {
                return Ok(BeginDelivery::Repeated(Box::new(stored.clone())));
            }
            deliveries.insert(delivery.id.as_str().to_owned(), delivery.clone());
            Ok(BeginDelivery::Stored)
        })
        .await
    }

    async fn save_delivery(&self, delivery: &mut Delivery) -> Result<(), PortError> {
        let read_at = delivery.revision;
        // Counted at once, whatever becomes of the write.
        delivery.revision += 1;
        let ours = &*delivery;
        self.call(Op::SaveDelivery, |world| {
            let Some(stored) = world.outbound.deliveries.get_mut(ours.id.as_str()) else {
                return Err(PortError::Lost);
            };
            if stored.revision != read_at {
                // A repeat of a write whose answer was lost.
                return if stored == ours { Ok(()) } else { Err(PortError::Lost) };
            }
            stored.clone_from(ours);
            let phase = match ours.phase {
                Phase::Idle => "",
                Phase::Claimed(_) => ", claimed",
                Phase::DataSent(_) => ", before the dot",
            };
            self.log(world, &format!("{} is stored as {:?}{phase}", ours.id, ours.state()));
            Ok(())
        })
        .await
    }

    async fn take_session(
        &self,
        profile: ProfileId,
        holder: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Option<SessionSlot>, PortError> {
        self.call(Op::TakeSession, |world| Ok(world.outbound.take_session(profile, holder, until, now))).await
    }

    async fn release_session(&self, profile: ProfileId, slot: &SessionSlot) -> Result<(), PortError> {
        self.call(Op::ReleaseSession, |world| {
            world.outbound.release_session(profile, slot);
            Ok(())
        })
        .await
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
        _: &str,
        _: &Delivery,
        _: u32,
        _: OffsetDateTime,
    ) -> Result<Admission, PortError> {
        Ok(Admission::WithinLimit)
    }

    async fn record_sending(
        &self,
        id: ProfileId,
        version: u64,
        change: &SendingChange,
    ) -> Result<(), PortError> {
        self.call(Op::RecordSending, |world| {
            let row = &mut world.rows[owner_of(id)];
            if row.profile.version != version {
                return Err(PortError::Lost);
            }
            row.profile.note_sending(change.clone());
            Ok(())
        })
        .await
    }
}

/// Nothing is attached here.
impl Objects for Ports {
    async fn get(&self, _: &str, _: u64) -> Result<Object, PortError> {
        Ok(Object::Missing)
    }

    async fn size(&self, _: &str) -> Result<Option<u64>, PortError> {
        Ok(None)
    }
}

impl SendQueues for Ports {
    async fn postpone(&self, receipt_handle: &str, pause: Duration) -> Result<(), PortError> {
        let postponed = self
            .call(Op::Postpone, |world| {
                world.outbound.postpone(receipt_handle, pause);
                Ok(())
            })
            .await;
        self.world.queued().notify_one();
        postponed
    }

    async fn dead_letter(&self, body: &str) -> Result<(), PortError> {
        self.call(Op::DeadLetter, |world| {
            world.outbound.dead.push(body.to_owned());
            Ok(())
        })
        .await
    }

    async fn publish_outcome(&self, body: &str) -> Result<(), PortError> {
        self.call(Op::PublishOutcome, |world| {
            let outcome: Value = serde_json::from_str(body).expect("JSON");
            let text = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
            self.log(world, &format!("published: {}", text("status")));
            let recipients = outcome["recipients"].as_array().into_iter().flatten();
            let bounced = recipients.filter(|one| one["status"] == "bounced").count();
            world.outbound.told_bounces.insert(text("id"), bounced);
            world.outbound.outcomes.entry(text("id")).or_default().push(text("status"));
            Ok(())
        })
        .await
    }
}
