//! Messages to be sent: accepted here, sent by the send function.
//!
//! The order is the guarantee: the content, the delivery with its idempotency key, the queue. A crash in
//! between has accepted nothing; a repeat with the same key continues from there.

use std::sync::Arc;

use futures_util::future::try_join_all;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::objects::Objects;
use mailroom_aws::send_queue::SendQueue;
use mailroom_contract::message::{AcceptedMessage, MessageBody, MessageView};
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::send_request::SendRequest;
use mailroom_core::outbound::delivery::{Delivery, DeliveryState};
use mailroom_core::outbound::message::{
    EmailAddress, MAX_ATTACHMENT_BYTES, Message, MessageId, OutboundId, Source,
};
use mailroom_core::outbound::ports::{BeginDelivery, Deliveries as _, IdempotencyKey, Objects as _};
use mailroom_core::ports::PortError;
use mailroom_core::profile::Profile;
use sha2::{Digest as _, Sha256};

use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::profiles::read::find;
use mailroom_lambda::clock;

/// Accepts messages to send, and says how they are doing.
pub(crate) struct Messages {
    pub(crate) table: Arc<Table>,
    pub(crate) objects: Objects,
    pub(crate) send_queue: SendQueue,
}

impl Messages {
    pub(crate) async fn send(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let body = request.required_large_json()?;
        let key = request.idempotency_key()?;
        let profile = find(&self.table, id).await?;
        let content = serde_json::to_vec(&body).map_err(|error| PortError::Corrupt(error.to_string()))?;
        let message =
            read::<MessageBody>(body).and_then(|body| body.describe(profile.id)).map_err(ApiError::Fields)?;
        let digest = hex::encode(Sha256::digest(&content));
        let key = key.map(|key| IdempotencyKey { key, digest });
        // An accepted message stays accepted, even if the profile changed since.
        if let Some(key) = &key
            && let Some(before) = self.table.begun_before(profile.id, key, clock::now()).await?
        {
            return match before {
                BeginDelivery::Repeated(before) => self.accepted(&before).await,
                BeginDelivery::Stored | BeginDelivery::Conflict => Err(taken()),
            };
        }
        let from = sender(&profile)?;
        self.check_attachments(&message).await?;
        if let Some(held) = self.table.check_loop_guard(profile.id, &message).await? {
            return Err(ApiError::Conflict(held.message, Problems::default()));
        }

        let id = OutboundId::from(clock::new_ulid());
        let message_id = MessageId::of(profile.id, &id, &from);
        let recipients = message.recipients();
        let mut delivery =
            Delivery::new(profile.id, id, message_id, &recipients, message.save_to_sent, clock::now());
        let object = format!("mail/{}/out/{}.json", profile.id, delivery.id);
        delivery.content = Some(object.clone());
        self.objects.put(&object, "application/json", content).await?;
        match self.table.begin_delivery(&delivery, key.as_ref()).await? {
            BeginDelivery::Stored => self.accepted(&delivery).await,
            BeginDelivery::Repeated(before) => self.accepted(&before).await,
            BeginDelivery::Conflict => Err(taken()),
        }
    }

    /// The response to a message that is stored.
    async fn accepted(&self, delivery: &Delivery) -> Result<Response, ApiError> {
        // Again for one that was begun before and never tried: it may not be on the queue. A repeat is harmless.
        if delivery.state() == DeliveryState::Queued && delivery.attempts == 0 {
            let request = SendRequest::stored(delivery.profile, delivery.id.clone());
            self.send_queue.send(&request.to_json()).await?;
        }
        let location = format!("/profiles/{}/messages/{}", delivery.profile, delivery.id);
        let response =
            Response::json(202, &AcceptedMessage::from(delivery)).with_header("location", location);
        Ok(response.after_making(format!("{}/{}", delivery.profile, delivery.id)))
    }

    pub(crate) async fn get(&self, profile: &str, message: &str) -> Result<Response, ApiError> {
        let gone = || ApiError::NotFound("No message has this id.".to_owned());
        let profile = find(&self.table, profile).await?;
        let id = OutboundId::parse(message).map_err(|_| gone())?;
        let delivery = self.table.delivery(profile.id, &id).await?.ok_or_else(gone)?;
        Ok(Response::json(200, &MessageView::from(&delivery)))
    }

    /// Refuses attachments whose object does not exist, and more bytes than a message may carry.
    async fn check_attachments(&self, message: &Message) -> Result<(), ApiError> {
        let sizes = message.attachments.iter().map(|attachment| async move {
            match &attachment.source {
                Source::Bytes(bytes) => Ok::<_, PortError>(u64::try_from(bytes.len()).ok()),
                Source::Object(key) => self.objects.size(key.as_str()).await,
            }
        });
        let mut problems = Problems::default();
        let mut total = 0_u64;
        for (n, size) in try_join_all(sizes).await?.into_iter().enumerate() {
            match size {
                Some(size) => total = total.saturating_add(size),
                None => problems.add(format!("attachments[{n}].key"), "names an object that does not exist"),
            }
        }
        if total > MAX_ATTACHMENT_BYTES {
            problems.add("attachments", "must not exceed 25 MiB together");
        }
        problems.none_or().map_err(ApiError::Fields)
    }
}

fn taken() -> ApiError {
    let problem = "was used for another message in the last 24 hours";
    ApiError::Fields(Problems::one("Idempotency-Key", problem))
}

/// The address that a profile sends from.
fn sender(profile: &Profile) -> Result<EmailAddress, ApiError> {
    let conflict = |field: &str, problem: &str, detail: &str| {
        Err(ApiError::Conflict(detail.to_owned(), Problems::one(field, problem)))
    };
    if profile.settings.smtp.is_none() {
        let detail = "This profile names no SMTP server to send through.";
        return conflict("smtp_host", "is required to send; add it to the profile first", detail);
    }
    match EmailAddress::parse(profile.settings.auth.login()) {
        Ok(address) => Ok(address),
        Err(_) => {
            let detail = "This profile's login is not an address that a message can come from.";
            conflict("auth.login", "must be an email address to send", detail)
        }
    }
}
