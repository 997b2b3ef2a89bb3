//! Messages to be sent: accepted here, sent by the send function.
//!
//! The order is the guarantee: the content and a queue message that looks again in a quarter of an hour; then the
//! delivery with its idempotency key; then the queue. Before the delivery is stored nothing is accepted, and the later
//! look finds nothing; once it is stored the message is accepted, whatever happens: what does not get to the queue now is
//! found and sent by the later look.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use mailroom_aws::dynamodb::{OutboxFilter, OutboxPlace, Table};
use mailroom_aws::objects::Objects;
use mailroom_aws::send_queue::{LONGEST_DELAY, SendQueue};
use mailroom_contract::message::{AcceptedMessage, MessageBody, MessagePage, MessageState, MessageView};
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::send_request::SendRequest;
use mailroom_core::error_chain::Chain;
use mailroom_core::outbound::delivery::{CancelRefusal, Delivery, DeliveryState, ResendRefusal};
use mailroom_core::outbound::message::{
    EmailAddress, MAX_ATTACHMENT_BYTES, Message, MessageId, OutboundId, Source,
};
use mailroom_core::outbound::ports::{BeginDelivery, Deliveries as _, IdempotencyKey, Objects as _};
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;
use tokio::try_join;
use tracing::warn;

use crate::http::problem::ApiError;
use crate::http::request::{Request, page_size};
use crate::http::response::Response;
use crate::profiles::read::find;
use mailroom_lambda::clock;

/// How long a response waits for the queue: what it takes longer for is found later.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// How often a change is decided again after another one was quicker.
const CHANGE_TRIES: u32 = 3;

/// Accepts messages to send, says how they are doing, and cancels and resends them.
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
        if profile.settings.imap.is_none() {
            delivery.skip_sent_mailbox();
        }
        try_join!(self.objects.put(&object, "application/json", content), self.look_again_later(&delivery))?;
        match self.begin(&delivery, key.as_ref()).await? {
            BeginDelivery::Stored => self.accepted(&delivery).await,
            BeginDelivery::Repeated(before) => self.accepted(&before).await,
            BeginDelivery::Conflict => Err(taken()),
        }
    }

    /// Stores a new delivery. A failure says that it is not stored, if that can be found out.
    async fn begin(
        &self,
        delivery: &Delivery,
        key: Option<&IdempotencyKey>,
    ) -> Result<BeginDelivery, PortError> {
        let error = match self.table.begin_delivery(delivery, key).await {
            Ok(begun) => return Ok(begun),
            Err(error) => error,
        };
        // The write may have succeeded and its response been lost.
        match self.table.delivery(delivery.profile, &delivery.id).await {
            Ok(Some(_)) => Ok(BeginDelivery::Stored),
            Ok(None) | Err(_) => Err(error),
        }
    }

    /// Has the queue deliver a request later that finds the message if it was stored and not queued.
    async fn look_again_later(&self, delivery: &Delivery) -> Result<(), PortError> {
        let request = SendRequest::recheck(delivery.profile, delivery.id.clone());
        self.send_queue.send_later(&delivery.profile.to_string(), &request.to_json(), LONGEST_DELAY).await
    }

    /// Puts a stored message on the queue now. It need not succeed: the queue looks at the message again later.
    async fn queue(&self, delivery: &Delivery) {
        let request = SendRequest::stored(delivery.profile, delivery.id.clone()).to_json();
        let group = delivery.profile.to_string();
        match timeout(QUEUE_PATIENCE, self.send_queue.send(&group, &request)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(message.id = %delivery.id, error = %Chain(&error), "a stored message is not on the queue yet; it is looked at later");
            }
            Err(_) => {
                warn!(message.id = %delivery.id, "a stored message is not on the queue yet: the queue takes too long; it is looked at later");
            }
        }
    }

    /// The response to a message that is stored.
    async fn accepted(&self, delivery: &Delivery) -> Result<Response, ApiError> {
        // Again for one that was begun before and never tried: it may not be on the queue. A repeat is harmless.
        if delivery.is_untouched() {
            self.queue(delivery).await;
        }
        let location = format!("/profiles/{}/messages/{}", delivery.profile, delivery.id);
        let response =
            Response::json(202, &AcceptedMessage::from(delivery)).with_header("location", location);
        Ok(response.after_making(format!("{}/{}", delivery.profile, delivery.id)))
    }

    pub(crate) async fn get(&self, profile: &str, message: &str) -> Result<Response, ApiError> {
        let profile = find(&self.table, profile).await?;
        let delivery = self.find(profile.id, message).await?;
        Ok(Response::json(200, &MessageView::from(&delivery)))
    }

    pub(crate) async fn list(&self, request: &Request, profile: &str) -> Result<Response, ApiError> {
        let query = request.query(&["limit", "cursor", "status", "since"])?;
        let mut problems = Problems::default();
        let limit = page_size(query.get("limit"), &mut problems);
        let before = query.get("cursor").and_then(|cursor| {
            let place = OutboxPlace::parse(cursor);
            if place.is_none() {
                problems.add("cursor", "must be the `next` of the previous page");
            }
            place
        });
        let state = query.get("status").and_then(|status| {
            let state = MessageState::parse(status);
            if state.is_none() {
                let all = MessageState::ALL.map(MessageState::name).join(", ");
                problems.add("status", format!("must be one of {all}"));
            }
            state.map(DeliveryState::from)
        });
        let since = query.get("since").and_then(|since| {
            let time = OffsetDateTime::parse(since, &Rfc3339).ok();
            if time.is_none() {
                problems.add("since", "must be a time such as 2026-11-01T12:00:00Z");
            }
            time
        });
        problems.none_or().map_err(ApiError::Parameters)?;
        let profile = find(&self.table, profile).await?;
        let filter = OutboxFilter { state, since };
        let outbox = self.table.list_deliveries(profile.id, filter, limit, before).await?;
        let page = MessagePage {
            items: outbox.deliveries.iter().map(MessageView::from).collect(),
            next: outbox.next.map(|place| place.as_str().to_owned()),
        };
        Ok(Response::json(200, &page))
    }

    pub(crate) async fn cancel(&self, profile: &str, message: &str) -> Result<Response, ApiError> {
        let profile = find(&self.table, profile).await?;
        let cancel = |delivery: &mut Delivery| delivery.cancel(clock::now()).map_err(not_cancelled);
        let delivery = self.change(profile.id, message, cancel).await?;
        // So that the outcome is published now, rather than when the queue delivers the message anyway.
        self.queue(&delivery).await;
        Ok(Response::json(200, &MessageView::from(&delivery)))
    }

    pub(crate) async fn resend(&self, profile: &str, message: &str) -> Result<Response, ApiError> {
        let profile = find(&self.table, profile).await?;
        sender(&profile)?;
        let resend = |delivery: &mut Delivery| delivery.resend(clock::now()).map_err(not_resent);
        let mut before = self.find(profile.id, message).await?;
        resend(&mut before)?;
        self.look_again_later(&before).await?;
        let delivery = self.change(profile.id, message, resend).await?;
        self.queue(&delivery).await;
        Ok(Response::json(202, &MessageView::from(&delivery)))
    }

    async fn find(&self, profile: ProfileId, message: &str) -> Result<Delivery, ApiError> {
        let gone = || ApiError::NotFound("No message has this id.".to_owned());
        let id = OutboundId::parse(message).map_err(|_| gone())?;
        self.table.delivery(profile, &id).await?.ok_or_else(gone)
    }

    /// Changes a message as it is stored now, however often others change it.
    async fn change(
        &self,
        profile: ProfileId,
        message: &str,
        change: impl Fn(&mut Delivery) -> Result<(), ApiError> + Send + Sync,
    ) -> Result<Delivery, ApiError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut delivery = self.find(profile, message).await?;
            change(&mut delivery)?;
            match self.table.save_delivery(&mut delivery).await {
                Ok(()) => return Ok(delivery),
                Err(PortError::Lost) if tries < CHANGE_TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
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

fn not_cancelled(refusal: CancelRefusal) -> ApiError {
    let detail = match refusal {
        CancelRefusal::Sending => {
            "The message is being sent at this moment; read its status again in a few minutes.".to_owned()
        }
        CancelRefusal::Done(state) => {
            let state = MessageState::from(state).name();
            format!("Only a queued message can be cancelled; this one is {state}.")
        }
    };
    ApiError::Conflict(detail, Problems::default())
}

fn not_resent(refusal: ResendRefusal) -> ApiError {
    let detail = match refusal {
        ResendRefusal::InProgress => "The message is queued or being sent already.",
        ResendRefusal::TakenForAll => "Mail servers have accepted the message for every recipient.",
        ResendRefusal::NotStored => {
            "The message came by the send queue and is not stored: put it there again, with another id and only the recipients who need it."
        }
    };
    ApiError::Conflict(detail.to_owned(), Problems::default())
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
    match profile.settings.sender() {
        Ok(address) => Ok(address),
        Err(_) => {
            let detail =
                "This profile's login is not an address that a message can come from: name one in `from`.";
            conflict("auth.login", "must be an email address to send, unless from names one", detail)
        }
    }
}
