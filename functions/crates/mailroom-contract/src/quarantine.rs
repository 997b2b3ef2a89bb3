//! Messages that cannot be read: which there are, and when they are tried again.

use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::deferred::{Deferred, KEPT, QuarantineNotice};
use mailroom_core::inbound::job::{Digest, JobId};
use mailroom_core::profile::Profile;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::time_text::{rfc3339, rfc3339_or_null};

/// The messages of a profile that cannot be read, oldest UID first: at most 50.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub struct QuarantineView {
    /// The messages.
    pub items: Vec<QuarantinedView>,
}

/// A message that the server lists and does not give, or that crashes the function. Mailroom passed it, so that those behind
/// it go on, and tries it again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantinedMessage)]
pub struct QuarantinedView {
    /// The message's id here: its UIDVALIDITY (0 where the server has none) and its UID.
    #[schema(example = "1700000000-4712")]
    pub id: String,
    /// The message's UID.
    pub uid: u32,
    /// The UIDVALIDITY that the UID belongs to.
    pub uid_validity: Option<u32>,
    /// The size that the server says (bytes).
    pub size: u64,
    /// When it arrived, if the server says so.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<OffsetDateTime>,
    /// When it was passed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: OffsetDateTime,
    /// How often it was tried since then.
    pub tries: u32,
    /// How many of the last tries crashed the function.
    pub crashes: u32,
    /// When it is tried next, if its mailbox is polled then.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub next_try_at: OffsetDateTime,
    /// Until when it is tried.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub kept_until: OffsetDateTime,
    /// The `job_id` of the job of kind `quarantined` that its flow was given; null: not yet.
    pub job_id: Option<String>,
}

impl QuarantineView {
    /// The messages of a profile.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self { items: profile.deferred.iter().map(|entry| QuarantinedView::of(profile, entry)).collect() }
    }
}

impl QuarantinedView {
    fn of(profile: &Profile, entry: &Deferred) -> Self {
        let (uid, uid_validity) = (entry.message.uid.get(), entry.uid_validity.map(UidValidity::get));
        let job_id = || {
            let digest = Digest::of_place(profile.settings.mailbox.as_str(), uid_validity, uid);
            JobId::new(profile.id, digest).as_str().to_owned()
        };
        Self {
            id: quarantine_id(entry),
            uid,
            uid_validity,
            size: entry.message.size,
            received_at: entry.message.arrived,
            since: entry.since,
            tries: entry.tries,
            crashes: entry.crashes,
            next_try_at: entry.due_at,
            kept_until: entry.since.saturating_add(KEPT),
            job_id: match entry.notice {
                QuarantineNotice::Sent => Some(job_id()),
                QuarantineNotice::Pending | QuarantineNotice::Never => None,
            },
        }
    }
}

/// The id of a message that cannot be read.
#[must_use]
pub fn quarantine_id(entry: &Deferred) -> String {
    let uid: Uid = entry.message.uid;
    format!("{}-{}", entry.uid_validity.map_or(0, UidValidity::get), uid.get())
}
