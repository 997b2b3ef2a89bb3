//! One page of mail, from the server to the job queue.
//!
//! The order is the guarantee: objects, job, ledger, then (by the caller) the cursor. A death between any two of them
//! repeats the page, and the key of an object, the deduplication id of a job and the ledger make the repeat harmless.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::job::{
    Attachment, ConversationId, Digest, FlowJob, JobId, Kind, MessageContent, ObjectRef,
};
use mailroom_core::inbound::poll::{Extent, Isolation, PendingMessage};
use mailroom_core::inbound::truncate::fit;
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::MessageId;
use mailroom_core::ports::{Grants, Handover, PortError, Profiles};
use mailroom_core::profile::{AfterFetch, Profile};
use mailroom_core::server::Server;
use mailroom_mail::imap::{Fetched, Session};
use mailroom_mime::parse;
use tracing::warn;

use crate::poller::{Failure, Poller, stumbled};
use mailroom_lambda::clock;

/// Mails of a page whose objects are stored at the same time.
const STORES_AT_ONCE: usize = 8;

/// The most a mail may take, whatever its profile allows: what fits the function's memory parsed.
const MAX_FETCHED_BYTES: u64 = 40 * 1024 * 1024;

/// What became of a page.
pub(crate) struct Handled {
    /// How many jobs the queue took. The rest of the page had been handed over before, or is gone.
    pub(crate) jobs: usize,
}

/// Hands over the mail of one mailbox.
pub(crate) struct PageIngest<'a, P, G, H> {
    poller: &'a Poller<P, G, H>,
    profile: &'a Profile,
    server: &'a Server,
    uid_validity: Option<UidValidity>,
    flow_schema: &'a FlowSchemaId,
    queue: Option<String>,
}

/// A mail as far as it was fetched.
struct Mail {
    todo: PendingMessage,
    body: Body,
    digest: Digest,
}

enum Body {
    Whole(Vec<u8>),
    Header(Vec<u8>),
    Quarantined(Option<Vec<u8>>),
}

impl<'a, P: Profiles, G: Grants + 'static, H: Handover> PageIngest<'a, P, G, H> {
    pub(crate) async fn new(
        poller: &'a Poller<P, G, H>,
        profile: &'a Profile,
        server: &'a Server,
        uid_validity: Option<UidValidity>,
    ) -> Result<Self, Failure> {
        let flow_schema = profile
            .flow_schema_id
            .as_ref()
            .ok_or_else(|| PortError::Corrupt("a listening profile names no flow schema".to_owned()))?;
        let queue = match poller.profiles().flow_queue(flow_schema).await? {
            Some(queue) => queue,
            None => {
                // No mail waits for a schema that is gone: the job names it, and the default queue takes it.
                warn!(profile.id = %profile.id, flow_schema.id = %flow_schema, "the flow schema does not exist");
                None
            }
        };
        Ok(Self { poller, profile, server, uid_validity, flow_schema, queue })
    }

    /// Hands over one page. The cursor may move past it when this has succeeded, not before.
    pub(crate) async fn page(
        &self,
        session: &mut Session,
        page: &[PendingMessage],
        isolation: Isolation,
    ) -> Result<Handled, Failure> {
        let bytes = page.iter().map(PendingMessage::cost).fold(0, u64::saturating_add);
        let _held = self.poller.budget().take(bytes.min(MAX_FETCHED_BYTES)).await;
        let mails = match isolation {
            Isolation::Pages | Isolation::OneByOne => self.fetch(session, page).await?,
            Isolation::Quarantine => self.quarantine(Some(session), page).await,
            Isolation::QuarantineUnfetched => self.quarantine(None, page).await,
        };

        let digests: Vec<Digest> = mails.iter().map(|mail| mail.digest).collect();
        let mut handled: HashSet<Digest> = if digests.is_empty() {
            HashSet::new()
        } else {
            self.poller.profiles().handed_over(self.profile.id, &digests).await?.into_iter().collect()
        };
        let places: Vec<(Uid, Digest)> = mails.iter().map(|mail| (mail.todo.uid, mail.digest)).collect();
        let mut seen = handled.clone();
        let new: Vec<Mail> = mails.into_iter().filter(|mail| seen.insert(mail.digest)).collect();
        let ids: HashMap<JobId, Digest> =
            new.iter().map(|mail| (JobId::new(self.profile.id, mail.digest), mail.digest)).collect();

        let jobs: Vec<FlowJob> =
            stream::iter(new).map(|mail| self.store(mail)).buffered(STORES_AT_ONCE).try_collect().await?;
        // Ahead of the jobs: a flow may answer at once.
        let machines: Vec<_> = jobs.iter().filter_map(automated_sender).collect();
        if !machines.is_empty() {
            self.poller.profiles().note_automated(self.profile.id, &machines, clock::now()).await?;
        }
        let accepted = if jobs.is_empty() {
            Vec::new()
        } else {
            self.poller.handover().send(self.queue.as_deref(), &jobs).await?
        };
        let noted: Vec<Digest> = accepted.iter().filter_map(|id| ids.get(id).copied()).collect();
        if !noted.is_empty() {
            self.poller.profiles().note_handed_over(self.profile.id, &noted, clock::now()).await?;
        }
        handled.extend(&noted);
        self.after_fetch(session, &places, &handled).await;
        if accepted.len() < jobs.len() {
            return Err(Failure::Port(PortError::Unavailable {
                operation: "SendMessageBatch",
                source: format!("the queue took {} of {} jobs", accepted.len(), jobs.len()).into(),
            }));
        }
        Ok(Handled { jobs: accepted.len() })
    }

    /// Fetches what there still is of a page, in its order.
    async fn fetch(&self, session: &mut Session, page: &[PendingMessage]) -> Result<Vec<Mail>, Failure> {
        let limit = self.profile.max_message_bytes.min(MAX_FETCHED_BYTES);
        let whole: Vec<(Uid, u64)> = page
            .iter()
            .filter(|todo| todo.extent == Extent::Whole && todo.size <= limit)
            .map(|todo| (todo.uid, todo.size))
            .collect();
        let fetched = if whole.is_empty() {
            Vec::new()
        } else {
            session.fetch(&whole, limit).await.map_err(|error| stumbled(&error, self.server))?
        };
        let mut bodies: HashMap<Uid, Fetched> = fetched.into_iter().map(|mail| (mail.uid, mail)).collect();

        // Larger than allowed, by the server's word or in fact.
        let large: Vec<Uid> = page
            .iter()
            .map(|todo| todo.uid)
            .filter(|uid| match bodies.get(uid) {
                Some(mail) => !mail.complete,
                None => !whole.iter().any(|(asked, _)| asked == uid),
            })
            .collect();
        let mut headers: HashMap<Uid, Fetched> = HashMap::new();
        if !large.is_empty() {
            let fetched =
                session.fetch_headers(&large).await.map_err(|error| stumbled(&error, self.server))?;
            headers.extend(fetched.into_iter().map(|mail| (mail.uid, mail)));
        }

        let mails = page.iter().filter_map(|todo| {
            if let Some(header) = headers.remove(&todo.uid) {
                let digest = Digest::of_oversize(&header.bytes, todo.size);
                return Some(Mail { todo: *todo, body: Body::Header(header.bytes), digest });
            }
            // Not there: deleted since it was listed.
            let mail = bodies.remove(&todo.uid).filter(|mail| mail.complete)?;
            let digest = Digest::of(&mail.bytes);
            Some(Mail { todo: *todo, body: Body::Whole(mail.bytes), digest })
        });
        Ok(mails.collect())
    }

    /// The page as a mail that is not read any more: fetched if that still works.
    async fn quarantine(&self, session: Option<&mut Session>, page: &[PendingMessage]) -> Vec<Mail> {
        let fetched = match session {
            Some(session) => self.fetch(session, page).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let mut bodies: HashMap<Uid, Mail> = fetched.into_iter().map(|mail| (mail.todo.uid, mail)).collect();
        page.iter()
            .map(|todo| match bodies.remove(&todo.uid) {
                Some(Mail { body: Body::Whole(raw), digest, .. }) => {
                    Mail { todo: *todo, body: Body::Quarantined(Some(raw)), digest }
                }
                Some(_) | None => {
                    let digest = Digest::of_place(
                        self.profile.mailbox.as_str(),
                        self.uid_validity.map(UidValidity::get),
                        todo.uid.get(),
                    );
                    Mail { todo: *todo, body: Body::Quarantined(None), digest }
                }
            })
            .collect()
    }

    /// Stores what a job points to, and makes the job.
    async fn store(&self, mail: Mail) -> Result<FlowJob, Failure> {
        let folder = format!("mail/{}/{}", self.profile.id, mail.digest.to_hex());
        let (kind, content, raw) = match mail.body {
            Body::Whole(raw) => {
                let (kind, content) = self.store_parts(&folder, &raw).await?;
                (kind, content, Some(raw))
            }
            Body::Header(header) => (Kind::Oversize, parse::parse_header(&header, mail.todo.size), None),
            Body::Quarantined(raw) => {
                warn!(profile.id = %self.profile.id, imap.uid = mail.todo.uid.get(), "a mail is quarantined");
                let content = MessageContent {
                    size: mail.todo.size,
                    sha256: mail.digest.to_hex(),
                    ..MessageContent::default()
                };
                (Kind::Quarantined, content, raw)
            }
        };
        let raw = match raw {
            Some(raw) => {
                let key = format!("{folder}.eml");
                self.poller.handover().put(&key, "message/rfc822", raw).await?;
                Some(ObjectRef { bucket: self.poller.handover().bucket().to_owned(), key })
            }
            None => None,
        };
        Ok(self.job(&mail.todo, mail.digest, kind, content, raw))
    }

    /// Reads a mail and stores its attachments.
    async fn store_parts(&self, folder: &str, raw: &[u8]) -> Result<(Kind, MessageContent), Failure> {
        let parse::ParsedMessage { kind, mut content, parts, defects: _ } = parse::parse_message(raw);
        for (n, part) in parts.into_iter().enumerate() {
            let key = format!("{folder}/{n}");
            let size = u64::try_from(part.bytes.len()).unwrap_or(u64::MAX);
            self.poller.handover().put(&key, &part.content_type, part.bytes.into_owned()).await?;
            content.attachments.push(Attachment {
                filename: part.filename,
                content_type: part.content_type,
                size,
                content_id: part.content_id,
                inline: part.inline,
                key,
            });
        }
        Ok((kind, content))
    }

    fn job(
        &self,
        todo: &PendingMessage,
        digest: Digest,
        kind: Kind,
        message: MessageContent,
        raw: Option<ObjectRef>,
    ) -> FlowJob {
        let id = self.profile.id;
        fit(FlowJob {
            version: 1,
            job_id: JobId::new(id, digest),
            flow_schema_id: self.flow_schema.to_string(),
            profile_id: id.to_string(),
            profile_name: self.profile.name.clone(),
            login: self.profile.auth.login().to_owned(),
            mailbox: self.profile.mailbox.as_str().to_owned(),
            uid_validity: self.uid_validity.map(UidValidity::get),
            uid: todo.uid.get(),
            received_at: todo.arrived,
            fetched_at: clock::now(),
            kind,
            conversation_id: ConversationId::new(
                id,
                &message.references,
                &message.in_reply_to,
                message.message_id.as_deref(),
                digest,
            ),
            message,
            raw,
        })
    }

    /// Does to the mail in the mailbox what the profile wants. The job is out, so a failure here is told in the log and
    /// costs nothing: the mail is handled either way.
    async fn after_fetch(&self, session: &mut Session, places: &[(Uid, Digest)], handled: &HashSet<Digest>) {
        let uids: Vec<Uid> =
            places.iter().filter(|(_, digest)| handled.contains(digest)).map(|(uid, _)| *uid).collect();
        if uids.is_empty() {
            return;
        }
        let result = match &self.profile.after_fetch {
            AfterFetch::Keep => return,
            AfterFetch::MarkSeen => session.mark_seen(&uids).await,
            AfterFetch::Move(mailbox) => session.move_to(&uids, mailbox).await,
        };
        if let Err(error) = result {
            warn!(profile.id = %self.profile.id, "after the hand-over: {}", error.owner_error(self.server));
        }
    }
}

/// The mail's id and what has written it, if that was no person and the mail can be answered.
fn automated_sender(job: &FlowJob) -> Option<(MessageId, AutomatedSender)> {
    let no_return = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("Return-Path") && value.replace([' ', '\t'], "") == "<>"
    };
    let machine = match job.kind {
        Kind::AutoReply => AutomatedSender::AutoReply,
        Kind::Message | Kind::Oversize if job.message.auto_submitted.is_some() => AutomatedSender::AutoReply,
        Kind::Bounce => AutomatedSender::Bounce,
        Kind::Message | Kind::Oversize if job.message.headers.iter().any(no_return) => {
            AutomatedSender::NullSender
        }
        Kind::Message | Kind::Oversize | Kind::Quarantined => return None,
    };
    Some((MessageId::parse(job.message.message_id.as_deref()?).ok()?, machine))
}
