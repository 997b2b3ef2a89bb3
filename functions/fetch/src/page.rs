//! One page of messages: from the server to objects and jobs.
//!
//! [`mailroom_core::inbound::poll`] decides which of them become jobs, and when they are sent.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use mailroom_core::conversation::{KnownMessages, Thread};
use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::failure::Failure;
use mailroom_core::inbound::isolation::Isolation;
use mailroom_core::inbound::job::{
    Authentication, CalendarEvent, Digest, Encryption, FlowJob, JobId, Kind, MessageContent, ObjectRef,
    Report, Spam,
};
use mailroom_core::inbound::ledger::LedgerPlace;
use mailroom_core::inbound::listing::Listed;
use mailroom_core::inbound::pending::{Extent, PendingMessage};
use mailroom_core::inbound::step::{Event, JobNotes};
use mailroom_core::inbound::truncate::truncate;
use mailroom_core::ports::{Conversations, Handover, PortError};
use mailroom_core::profile::{Profile, Settings};
use mailroom_core::server::Server;
use mailroom_lambda::memory::{Held, MemoryBudget};
use mailroom_mail::imap::{Fetched, Marks, Session};
use mailroom_mime::parse;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use crate::{correspondence, failure};

/// Messages of a page, and parts of a message, that are stored at the same time.
const STORES_AT_ONCE: usize = 8;

/// Parts of a message that are stored by themselves. More are in no mail that people write; the raw message has them.
const STORED_PARTS: usize = 100;

/// The largest message that is fetched, whatever its profile allows: what fits the function's memory once it is parsed.
const MAX_FETCHED_BYTES: u64 = 40 * 1024 * 1024;

/// A mailbox that is open for a poll.
pub(crate) struct OpenMailbox<S> {
    pub(crate) session: Session<S>,
    /// The server, which owners read of in errors.
    pub(crate) server: Server,
    pub(crate) uid_validity: Option<UidValidity>,
    /// EXISTS, when it was opened.
    pub(crate) exists: u32,
}

/// A page of fetched messages, then of jobs, with the memory that it may take.
pub(crate) struct PageIngest<'a> {
    #[expect(dead_code, reason = "held for its drop")]
    memory: Held<'a>,
    uid_validity: Option<UidValidity>,
    messages: Vec<FetchedMessage>,
    /// Where each message lies.
    places: Vec<(Digest, LedgerPlace)>,
    jobs: Vec<FlowJob>,
}

/// A message as far as it was fetched.
struct FetchedMessage {
    pending: PendingMessage,
    body: Body,
    digest: Digest,
    marks: Marks,
}

enum Body {
    Whole(Vec<u8>),
    Header(Vec<u8>),
    /// What could be fetched of a message that is not parsed.
    Quarantined {
        raw: Option<Vec<u8>>,
        header: Option<Vec<u8>>,
    },
}

impl<'a> PageIngest<'a> {
    /// Fetches a page, once there is memory for it. What no longer exists is left out.
    pub(crate) async fn fetch<S>(
        mailbox: &mut OpenMailbox<S>,
        profile: &Profile,
        page: &[PendingMessage],
        isolation: Isolation,
        memory: &'a MemoryBudget,
    ) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = profile.settings.max_message_bytes.min(MAX_FETCHED_BYTES);
        let cost = |message: &PendingMessage| match message.extent {
            Extent::Unlisted => limit,
            Extent::Whole | Extent::Header => message.cost(),
        };
        let bytes = page.iter().map(cost).fold(0, u64::saturating_add);
        let mut memory = memory.take(with_headroom(bytes).min(MAX_FETCHED_BYTES)).await;
        let listed = listed(mailbox, profile, page, isolation).await?;
        let page = listed.as_slice();
        let messages = match isolation {
            Isolation::Pages | Isolation::OneByOne => fetch(mailbox, page, limit, &mut memory).await?,
            Isolation::WholeOrQuarantine => {
                // The header first: a session may not survive the body.
                let headers = headers(mailbox, page, &mut memory).await;
                match fetch(mailbox, page, limit, &mut memory).await {
                    Ok(messages) => messages,
                    Err(_) => quarantine(page, Vec::new(), headers, profile, mailbox.uid_validity),
                }
            }
            Isolation::Quarantine => {
                match fetch(mailbox, page, limit, &mut memory).await {
                    // It no longer exists.
                    Ok(fetched) if fetched.is_empty() => fetched,
                    fetched => {
                        let fetched = fetched.unwrap_or_default();
                        quarantine(page, fetched, HashMap::new(), profile, mailbox.uid_validity)
                    }
                }
            }
            Isolation::QuarantineUnfetched => {
                quarantine(page, Vec::new(), HashMap::new(), profile, mailbox.uid_validity)
            }
        };
        memory.settle();
        let uid_validity = mailbox.uid_validity;
        let places = messages.iter().map(|message: &FetchedMessage| {
            let PendingMessage { uid, size, .. } = message.pending;
            (message.digest, LedgerPlace { uid, uid_validity, size })
        });
        let places = places.collect();
        Ok(Self { memory, uid_validity, messages, places, jobs: Vec::new() })
    }

    /// These of the messages, each with where it lies: of equal ones, the first.
    pub(crate) fn places(&self, digests: &[Digest]) -> Vec<(Digest, Option<LedgerPlace>)> {
        let place = |digest: &Digest| self.places.iter().find(|(one, _)| one == digest).map(|(_, at)| *at);
        digests.iter().map(|digest| (*digest, place(digest))).collect()
    }

    /// The messages that were fetched, in the order of the page.
    pub(crate) fn digests(&self) -> Vec<(Uid, Digest)> {
        self.messages.iter().map(|message| (message.pending.uid, message.digest)).collect()
    }

    /// Those of them that are quarantined.
    pub(crate) fn quarantine(&self) -> Vec<Uid> {
        let is_quarantined = |message: &&FetchedMessage| matches!(message.body, Body::Quarantined { .. });
        self.messages.iter().filter(is_quarantined).map(|message| message.pending.uid).collect()
    }

    /// Stores these of the messages and makes their jobs. Call it once.
    pub(crate) async fn store<C: Conversations, H: Handover>(
        &mut self,
        uids: &[Uid],
        notes: &JobNotes,
        profile: &Profile,
        (conversations, handover): (&C, &H),
        now: OffsetDateTime,
    ) -> Result<Event, PortError> {
        let store = Store { handover, profile, notes, uid_validity: self.uid_validity, now };
        let mut messages = std::mem::take(&mut self.messages);
        messages.retain(|message| uids.contains(&message.pending.uid));
        let stored: Vec<(FlowJob, Thread)> = stream::iter(messages)
            .map(|message| store.message(message))
            .buffered(STORES_AT_ONCE)
            .try_collect()
            .await?;
        let (mut jobs, threads): (Vec<_>, Vec<_>) = stored.into_iter().unzip();
        correspondence::place(conversations, profile.id, &threads, &mut jobs, now).await?;
        self.jobs = jobs;
        let automated = self.jobs.iter().filter_map(FlowJob::automated_sender).collect();
        Ok(Event::Stored {
            automated,
            bounces: self.jobs.iter().filter_map(FlowJob::bounced_message).collect(),
        })
    }

    /// The jobs of what was stored.
    pub(crate) fn jobs(&self) -> &[FlowJob] {
        &self.jobs
    }
}

/// What is set aside for messages with these announced sizes. Some servers estimate, by a few in a hundred; what a server
/// sends beyond that is charged as it arrives.
const fn with_headroom(announced: u64) -> u64 {
    announced.saturating_add(announced / 8)
}

/// The page as the server lists it now, if it did not list all of it before. What is listed and no longer wanted is left
/// out; what is still not listed is fetched as if it were of the largest size.
async fn listed<S>(
    mailbox: &mut OpenMailbox<S>,
    profile: &Profile,
    page: &[PendingMessage],
    isolation: Isolation,
) -> Result<Vec<PendingMessage>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Settings { max_message_bytes, include_seen, .. } = profile.settings;
    let mut messages = Vec::with_capacity(page.len());
    for message in page.iter().copied() {
        if message.extent != Extent::Unlisted || isolation == Isolation::QuarantineUnfetched {
            messages.push(message);
            continue;
        }
        let OpenMailbox { session, server, .. } = mailbox;
        let listing = session.list(message.uid.get() - 1, 1).await;
        let listing = match listing {
            // Its job says at least that it is there.
            Err(error) if isolation.may_quarantine() || error.leaves_session_open() => None,
            listing => Some(listing.map_err(|error| failure::of_mailbox(&error, server))?),
        };
        match listing.and_then(|listing| listing.messages.first().copied()) {
            Some(Listed { seen: true, .. }) if !include_seen => {}
            Some(Listed { size, arrived, .. }) => {
                let extent = if size > max_message_bytes { Extent::Header } else { Extent::Whole };
                messages.push(PendingMessage { extent, size, arrived, ..message });
            }
            None => messages.push(message),
        }
    }
    Ok(messages)
}

/// Fetches what there still is of a page, in its order.
async fn fetch<S>(
    mailbox: &mut OpenMailbox<S>,
    page: &[PendingMessage],
    limit: u64,
    memory: &mut Held<'_>,
) -> Result<Vec<FetchedMessage>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let OpenMailbox { session, server, .. } = mailbox;
    let whole: Vec<(Uid, u64)> = page
        .iter()
        .filter_map(|message| match message.extent {
            Extent::Whole => Some((message.uid, message.size)),
            Extent::Unlisted => Some((message.uid, limit)),
            Extent::Header => None,
        })
        .filter(|(_, size)| *size <= limit)
        .collect();
    let fetched = if whole.is_empty() {
        Vec::new()
    } else {
        let fetched = session.fetch(&whole, limit, &mut |bytes| memory.charge(bytes)).await;
        fetched.map_err(|error| failure::of_mailbox(&error, server))?
    };
    let mut bodies: HashMap<Uid, Fetched> =
        fetched.into_iter().map(|message| (message.uid, message)).collect();

    // Larger than allowed, as the server announced or in fact.
    let large: Vec<Uid> = page
        .iter()
        .map(|message| message.uid)
        .filter(|uid| match bodies.get(uid) {
            Some(message) => !message.complete,
            None => !whole.iter().any(|(asked, _)| asked == uid),
        })
        .collect();
    let mut headers: HashMap<Uid, Fetched> = HashMap::new();
    if !large.is_empty() {
        let fetched = session.fetch_headers(&large, &mut |bytes| memory.charge(bytes)).await;
        let fetched = fetched.map_err(|error| failure::of_mailbox(&error, server))?;
        headers.extend(fetched.into_iter().map(|message| (message.uid, message)));
    }

    let messages = page.iter().filter_map(|pending| {
        if let Some(header) = headers.remove(&pending.uid) {
            let digest = Digest::of_oversize(&header.bytes, pending.size);
            let (body, marks) = (Body::Header(header.bytes), header.marks);
            return Some(FetchedMessage { pending: *pending, body, digest, marks });
        }
        // Missing: deleted since it was listed.
        let message = bodies.remove(&pending.uid).filter(|message| message.complete)?;
        let digest = Digest::of(&message.bytes);
        let (body, marks) = (Body::Whole(message.bytes), message.marks);
        Some(FetchedMessage { pending: *pending, body, digest, marks })
    });
    Ok(messages.collect())
}

/// What header blocks the server still gives.
async fn headers<S>(
    mailbox: &mut OpenMailbox<S>,
    page: &[PendingMessage],
    memory: &mut Held<'_>,
) -> HashMap<Uid, Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let uids: Vec<Uid> = page.iter().map(|message| message.uid).collect();
    let fetched = mailbox.session.fetch_headers(&uids, &mut |bytes| memory.charge(bytes)).await;
    let fetched = fetched.unwrap_or_default();
    fetched.into_iter().map(|message| (message.uid, message.bytes)).collect()
}

/// The page as messages that are not parsed, with what was fetched of them. Their digests come from where they lie: the
/// job that supersedes one has an id of its own.
fn quarantine(
    page: &[PendingMessage],
    fetched: Vec<FetchedMessage>,
    mut headers: HashMap<Uid, Vec<u8>>,
    profile: &Profile,
    uid_validity: Option<UidValidity>,
) -> Vec<FetchedMessage> {
    let mut fetched: HashMap<Uid, FetchedMessage> =
        fetched.into_iter().map(|message| (message.pending.uid, message)).collect();
    page.iter()
        .map(|pending| {
            let (raw, marks) = match fetched.remove(&pending.uid) {
                Some(FetchedMessage { body: Body::Whole(raw), marks, .. }) => (Some(raw), marks),
                Some(_) | None => (None, Marks::default()),
            };
            let digest = Digest::of_place(
                profile.settings.mailbox.as_str(),
                uid_validity.map(UidValidity::get),
                pending.uid.get(),
            );
            let body = Body::Quarantined { raw, header: headers.remove(&pending.uid) };
            FetchedMessage { pending: *pending, body, digest, marks }
        })
        .collect()
}

/// What a job says of a message itself.
struct Described {
    kind: Kind,
    message: MessageContent,
    report: Option<Report>,
    authentication: Option<Authentication>,
    spam: Option<Spam>,
    calendar: Vec<CalendarEvent>,
    encrypted: Option<Encryption>,
}

impl Described {
    /// A message of which nothing else is known.
    const fn new(kind: Kind, message: MessageContent) -> Self {
        Self {
            kind,
            message,
            report: None,
            authentication: None,
            spam: None,
            calendar: Vec::new(),
            encrypted: None,
        }
    }
}

/// Stores messages and makes their jobs.
struct Store<'a, H> {
    handover: &'a H,
    profile: &'a Profile,
    notes: &'a JobNotes,
    uid_validity: Option<UidValidity>,
    now: OffsetDateTime,
}

impl<H: Handover> Store<'_, H> {
    /// Stores what a job points to, and makes the job, all but its place among the profile's conversations.
    async fn message(&self, message: FetchedMessage) -> Result<(FlowJob, Thread), PortError> {
        let FetchedMessage { pending, body, digest, marks } = message;
        let prefix = format!("mail/{}/{}", self.profile.id, digest.to_hex());
        let (mut described, raw) = match body {
            Body::Whole(raw) => (self.parts(&prefix, &raw).await?, Some(raw)),
            Body::Header(header) => {
                (Described::new(Kind::Oversize, parse::parse_header(&header, pending.size)), None)
            }
            Body::Quarantined { raw, header } => {
                warn!(profile.id = %self.profile.id, imap.uid = pending.uid.get(), "a message is quarantined");
                let read = header.map(|header| parse::parse_header(&header, pending.size));
                let message = MessageContent {
                    size: pending.size,
                    sha256: digest.to_hex(),
                    ..read.unwrap_or_default()
                };
                (Described::new(Kind::Quarantined, message), raw)
            }
        };
        (described.message.flags, described.message.gmail) = (marks.flags, marks.gmail);
        let raw = match raw {
            Some(raw) => {
                let key = format!("{prefix}.eml");
                self.handover.put(&key, "message/rfc822", raw).await?;
                Some(ObjectRef { bucket: self.handover.bucket().to_owned(), key })
            }
            None => None,
        };
        Ok(self.job(&pending, digest, described, raw))
    }

    /// Parses a message and stores its attachments.
    async fn parts(&self, prefix: &str, raw: &[u8]) -> Result<Described, PortError> {
        let parsed = parse::parse_message(raw);
        let settings = &self.profile.settings;
        let host = settings.imap.as_ref().map_or("", |server| server.host.as_str());
        let mut described = Described {
            report: parsed.report.map(|report| report.about(self.profile.id)),
            authentication: parsed.trace.authentication(host, &settings.trusted_authserv_ids),
            spam: parsed.trace.spam(host),
            calendar: parsed.calendar,
            encrypted: parsed.encrypted,
            ..Described::new(parsed.kind, parsed.content)
        };
        let omitted = parsed.parts.len().saturating_sub(STORED_PARTS);
        described.message.attachments_omitted = u64::try_from(omitted).unwrap_or(u64::MAX);
        described.message.truncated |= omitted > 0;
        let mut parts = parsed.parts.into_iter().take(STORED_PARTS).enumerate().peekable();
        while parts.peek().is_some() {
            let puts =
                parts.by_ref().take(STORES_AT_ONCE).map(|(n, part)| {
                    let attachment = part.attachment(format!("{prefix}/{n}"));
                    let (content_type, bytes) = (part.content_type.clone(), part.bytes.into_owned());
                    async move {
                        self.handover.put(&attachment.key, &content_type, bytes).await.map(|()| attachment)
                    }
                });
            described.message.attachments.extend(try_join_all(puts).await?);
        }
        Ok(described)
    }

    fn job(
        &self,
        pending: &PendingMessage,
        digest: Digest,
        described: Described,
        raw: Option<ObjectRef>,
    ) -> (FlowJob, Thread) {
        let Described { kind, message, report, authentication, spam, calendar, encrypted } = described;
        let profile = self.profile;
        // By the whole ids, of which a job may have only a part.
        let thread = Thread::of(profile.id, &message, report.as_ref(), digest);
        let job = truncate(FlowJob {
            version: 1,
            job_id: JobId::new(profile.id, digest),
            flow_schema_id: profile
                .settings
                .flow_schema_id
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            profile_id: profile.id.to_string(),
            profile_name: profile.settings.name.clone(),
            login: profile.settings.auth.login().to_owned(),
            mailbox: profile.settings.mailbox.as_str().to_owned(),
            uid_validity: self.uid_validity.map(UidValidity::get),
            uid: pending.uid.get(),
            received_at: pending.arrived,
            fetched_at: self.now,
            kind,
            conversation_id: thread.conversation(&KnownMessages::new()),
            message,
            raw,
            report,
            authentication,
            spam,
            supersedes: self.notes.supersedes.clone(),
            redelivered: self.notes.may_repeat(pending.uid),
            calendar,
            encrypted,
        });
        (job, thread)
    }
}
