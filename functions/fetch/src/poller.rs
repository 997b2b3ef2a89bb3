//! One profile's poll: does the steps that [`mailroom_core::inbound::poll::Poll`] names, and tells it what they led to.
//!
//! What is decided is decided there. This file knows how: which port, which IMAP command, which deadline.

use std::future::Future;
use std::time::Duration;

use mailroom_auth::tokens::Tokens;
use mailroom_contract::send_request::SendRequest;
use mailroom_core::error_chain::Chain;
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::{self, Outcome};
use mailroom_core::inbound::cursor::Uid;
use mailroom_core::inbound::failure::Failure;
use mailroom_core::inbound::overdue::ChangeFailure;
use mailroom_core::inbound::poll::{Invocation, Poll};
use mailroom_core::inbound::schedule::{self, PollRequest, Position};
use mailroom_core::inbound::step::{Event, Moment, PollOutcome, Step};
use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::ports::{FlowQueue, Grants, Handover, PortError, Profiles};
use mailroom_core::profile::{Profile, ProfileId};
use mailroom_core::server::{Mailbox, Server};
use mailroom_lambda::memory::MemoryBudget;
use mailroom_mail::imap::{Connector, ImapError, Opened, Stream};
use mailroom_net::clock::Clock;
use mailroom_net::login::{Login, Secret};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use crate::failure;
use crate::page::{OpenMailbox, PageIngest};

/// Bytes of raw messages that all profiles of an invocation may hold at once. Parsed and encoded, a message takes up to
/// three times its size; with 256 MB of memory that leaves room for 100 TLS sessions.
const TOTAL_BYTES: u64 = 48 * 1024 * 1024;

/// What one profile may take of an invocation that it shares.
const PROFILE_TIME: Duration = Duration::from_secs(60);

/// What opening and listing a mailbox may take of it: a server that drips must not hold up the others for longer.
const OPEN_TIME: Duration = Duration::from_secs(30);

/// What is left of a poll's time after a change in the mailbox, to move the cursor.
const CHANGE_MARGIN: Duration = Duration::from_secs(3);

/// How late a step may be. A session ends its operations at the poll's deadline; this is for steps without one.
const GRACE: Duration = Duration::from_secs(1);

/// Opens mailboxes: the IMAP client, as far as a poll needs it.
pub trait Mailboxes: Send + Sync {
    /// What its sessions run over.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Connects, logs in, opens `mailbox` without changing it, and lists it above `list_above` if that is given.
    fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        mailbox: &Mailbox,
        list_above: Option<u32>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Opened<Self::Stream>, ImapError>> + Send;
}

impl Mailboxes for Connector {
    type Stream = Stream;

    async fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        mailbox: &Mailbox,
        list_above: Option<u32>,
        deadline: Instant,
    ) -> Result<Opened, ImapError> {
        self.open(server, login, mailbox, list_above, deadline).await
    }
}

/// Polls profiles; shared by all tasks of an invocation, and kept while the function is warm.
pub(crate) struct Poller<P, G, H, M> {
    pub(crate) profiles: P,
    pub(crate) tokens: Tokens<G>,
    pub(crate) handover: H,
    pub(crate) mailboxes: M,
    pub(crate) clock: Clock,
    memory: MemoryBudget,
}

/// What a poll keeps between its steps.
struct Kept<'a, S> {
    mailbox: Option<OpenMailbox<S>>,
    page: Option<PageIngest<'a>>,
}

/// What is done to messages in the mailbox once they are handed over.
enum Change<'a> {
    MarkSeen,
    MoveTo(&'a Mailbox),
    RemoveCopied,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Kept<'a, S> {
    fn mailbox(&mut self) -> Result<&mut OpenMailbox<S>, PortError> {
        self.mailbox.as_mut().ok_or_else(|| PortError::Corrupt("no mailbox is open".to_owned()))
    }

    fn page(&mut self) -> Result<&mut PageIngest<'a>, PortError> {
        self.page.as_mut().ok_or_else(|| PortError::Corrupt("no page is fetched".to_owned()))
    }

    fn opened(&mut self, opened: Opened<S>, server: &Server) -> Event {
        let Opened { session, state, listing } = opened;
        let server = server.clone();
        let (uid_validity, exists) = (state.uid_validity, state.exists);
        self.mailbox = Some(OpenMailbox { session, server, uid_validity, exists });
        Event::Opened(state, listing)
    }

    async fn list(&mut self, above: u32, width: u32) -> Result<Event, Failure> {
        let OpenMailbox { session, server, .. } = self.mailbox()?;
        match session.list(above, width).await {
            Ok(listing) => Ok(Event::Listed(listing)),
            Err(error) if error.leaves_session_open() => Ok(Event::ListRefused(error.owner_error(server))),
            Err(error) => Err(failure::of_mailbox(&error, server)),
        }
    }

    async fn list_again(&mut self, id: ProfileId, above: u32, through: u32) -> Result<Event, Failure> {
        let OpenMailbox { session, server, .. } = self.mailbox()?;
        let relisted = session.list_again(above, through).await;
        let relisted = relisted.map_err(|error| failure::of_mailbox(&error, server))?;
        let (listed, found) = (relisted.messages.len(), relisted.found.len());
        if listed < found {
            warn!(profile.id = %id, listed, found, "the server does not list all the messages that it has");
        }
        if relisted.unsearched {
            warn!(profile.id = %id, listed, "the server refuses to search for what it may leave out of its list");
        }
        Ok(Event::ListedAgain(relisted))
    }

    async fn find_last(&mut self) -> Result<Event, Failure> {
        let OpenMailbox { session, server, .. } = self.mailbox()?;
        session.find_last().await.map(Event::LastFound).map_err(|error| failure::of_mailbox(&error, server))
    }

    async fn find_start(&mut self, since: OffsetDateTime) -> Result<Event, Failure> {
        let OpenMailbox { session, server, exists, .. } = self.mailbox()?;
        let first = session.find_start(since, *exists).await;
        first.map(Event::StartFound).map_err(|error| failure::of_mailbox(&error, server))
    }

    async fn fetch_another(&mut self, than: &[Uid], turn: u64) -> Result<Event, Failure> {
        let OpenMailbox { session, server, exists, .. } = self.mailbox()?;
        let given = session.fetch_another(than, *exists, turn).await;
        given.map(Event::FetchedAnother).map_err(|error| failure::of_mailbox(&error, server))
    }

    /// The jobs are out, so a failure costs nothing but the change. It leaves time to move the cursor.
    async fn change(
        &mut self,
        id: ProfileId,
        change: Change<'_>,
        uids: &[Uid],
        end: Instant,
    ) -> Result<Event, Failure> {
        let OpenMailbox { session, server, .. } = self.mailbox()?;
        session.set_deadline(end.checked_sub(CHANGE_MARGIN).unwrap_or(end));
        let result = match change {
            Change::MarkSeen => session.mark_seen(uids).await,
            Change::MoveTo(target) => session.move_to(uids, target).await,
            Change::RemoveCopied => session.remove_copied(uids).await,
        };
        session.set_deadline(end);
        let Err(error) = result else { return Ok(Event::Done) };
        let (copied, session_ended) = (session.take_copied(), error.ends_session());
        let error = error.owner_error(server);
        warn!(profile.id = %id, "after the hand-over: {error}");
        Ok(Event::ChangeFailed(ChangeFailure { error, copied, session_ended }))
    }
}

impl<P, G, H, M> Poller<P, G, H, M>
where
    P: Profiles,
    G: Grants + 'static,
    H: Handover,
    M: Mailboxes,
{
    pub(crate) fn new(profiles: P, tokens: Tokens<G>, handover: H, mailboxes: M, clock: Clock) -> Self {
        Self { profiles, tokens, handover, mailboxes, clock, memory: MemoryBudget::new(TOTAL_BYTES) }
    }

    /// Polls a profile, and records the outcome in its status.
    ///
    /// # Errors
    /// When a service that Mailroom depends on failed, so that the status may not tell the outcome.
    pub(crate) async fn poll(
        &self,
        profile: Profile,
        invocation: Invocation,
        end: Instant,
    ) -> Result<PollOutcome, PortError> {
        let end = match invocation {
            Invocation::Shared => end.min(self.clock.instant() + PROFILE_TIME),
            Invocation::Dedicated => end,
        };
        let id = profile.id;
        let mut poll = Poll::new(profile, invocation, self.moment(end));
        let mut kept = Kept { mailbox: None, page: None };
        loop {
            let step = poll.next();
            let told = if step == Step::Finish {
                break;
            } else if step.is_report() {
                self.perform(step, &poll, &mut kept, end).await
            } else {
                // Boxed: it holds the futures of all steps.
                let performed = Box::pin(self.perform(step, &poll, &mut kept, end));
                timeout_at(end + GRACE, performed).await.unwrap_or(Err(Failure::OutOfTime))
            };
            poll.tell(told, self.moment(end));
        }
        let outcome = poll.finish()?;
        log(id, &outcome);
        Ok(outcome)
    }

    /// Records the outcome of a poll whose task panicked. Its lease is left to run out, and the try counts.
    pub(crate) async fn panicked(&self, profile: &Profile) -> Result<(), PortError> {
        error!(profile.id = %profile.id, "the profile's task panicked");
        let why = "Mailroom failed while it read this mailbox, and tries again by itself.";
        let outcome = Outcome::Failure(OwnerError::new(ErrorCode::Internal, why));
        let now = self.clock.now();
        let Some(status) = health::after_poll(&profile.status, &outcome, now) else { return Ok(()) };
        if let Some(retry) = schedule::retry(profile, &status, now) {
            self.handover.request(&[retry]).await?;
        }
        match self.profiles.record(profile.id, profile.version, &status).await {
            Ok(()) | Err(PortError::Lost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn moment(&self, end: Instant) -> Moment {
        Moment { now: self.clock.now(), left: end.saturating_duration_since(self.clock.instant()) }
    }

    /// Does one step.
    async fn perform<'a>(
        &'a self,
        step: Step<'_>,
        poll: &Poll,
        kept: &mut Kept<'a, M::Stream>,
        end: Instant,
    ) -> Result<Event, Failure> {
        let profile = poll.profile();
        let id = profile.id;
        let now = self.clock.now();
        let event = match step {
            Step::Open { server, list_above } => {
                let opened = self.open(profile, server, list_above, end).await?;
                return Ok(kept.opened(opened, server));
            }
            Step::List { above, width } => kept.list(above, width).await?,
            Step::ListAgain { above, through } => kept.list_again(id, above, through).await?,
            Step::FindLast => kept.find_last().await?,
            Step::FindStart(since) => kept.find_start(since).await?,
            Step::Lease { until } => match self.profiles.lease(id, now, until).await? {
                Some((lease, profile)) => Event::Leased(lease, Box::new(profile)),
                None => Event::NotLeased,
            },
            Step::FindQueue(flow_schema) => Event::QueueFound(self.queue(id, flow_schema).await?),
            Step::Fetch { page, isolation } => {
                let mailbox = kept.mailbox()?;
                let page = PageIngest::fetch(mailbox, profile, page, isolation, &self.memory).await?;
                let page = kept.page.insert(page);
                Event::Fetched { messages: page.digests(), quarantine: page.quarantine() }
            }
            Step::ReadLedger(digests) => Event::LedgerRead(self.profiles.handed_over(id, &digests).await?),
            Step::FetchAnother { than, turn } => kept.fetch_another(&than, turn).await?,
            Step::Store(uids, notes) => {
                let ports = (&self.profiles, &self.handover);
                kept.page()?.store(uids, notes, profile, ports, now).await?
            }
            Step::NoteAutomated(messages) => done(self.profiles.note_automated(id, messages, now).await)?,
            Step::ReportBounces(bounces) => {
                for bounced in bounces {
                    let request = SendRequest::bounce(id, bounced).to_json();
                    self.handover.request_send(id, &request).await?;
                    info!(profile.id = %id, message.id = %bounced.message, "a message bounced");
                }
                Event::Done
            }
            Step::CheckLater(cursor, delay) => {
                let position = cursor.map(Position::from);
                done(self.handover.request(&[(PollRequest::Check { profile: id, position }, delay)]).await)?
            }
            Step::HandOver(queue) => {
                Event::HandedOver(self.handover.send(queue.url(), kept.page()?.jobs()).await?)
            }
            Step::NoteHandedOver(digests) => {
                let entries = kept.page()?.places(digests);
                done(self.profiles.note_handed_over(id, &entries, now).await)?
            }
            Step::MarkSeen(uids) => kept.change(id, Change::MarkSeen, &uids, end).await?,
            Step::MoveTo(uids, target) => kept.change(id, Change::MoveTo(target), &uids, end).await?,
            Step::RemoveCopied(uids) => kept.change(id, Change::RemoveCopied, uids, end).await?,
            Step::MoveCursor { lease, progress, hold } => {
                kept.page = None;
                done(self.profiles.move_cursor(lease, progress, hold).await)?
            }
            Step::Release { lease, tries } => {
                kept.page = None;
                let released = self.profiles.release(lease, tries).await;
                done(released.inspect_err(|error| {
                    warn!(profile.id = %id, error = %Chain(error), "the lease was not released and has to run out");
                }))?
            }
            Step::LogOut => {
                if let Some(mailbox) = kept.mailbox.take() {
                    mailbox.session.logout().await;
                }
                Event::Done
            }
            Step::PollAgain(delay) => {
                let delay = delay.min(schedule::MAX_DELAY);
                done(self.handover.request(&[(PollRequest::Profile(id), delay)]).await)?
            }
            Step::Retry(request, delay) => done(self.handover.request(&[(request.clone(), delay)]).await)?,
            Step::Record { version, status } => {
                // The memory and the connection are free while the status is written.
                (kept.page, kept.mailbox) = (None, None);
                done(self.profiles.record(id, version, status).await)?
            }
            Step::Finish => Event::Done,
        };
        Ok(event)
    }

    async fn queue(&self, id: ProfileId, flow_schema: &FlowSchemaId) -> Result<FlowQueue, PortError> {
        let queue = self.profiles.flow_queue(flow_schema).await?;
        if queue == FlowQueue::UnknownSchema {
            warn!(profile.id = %id, flow_schema.id = %flow_schema, "the flow schema does not exist");
        }
        Ok(queue)
    }

    /// Opens the mailbox, with another credential where the server refuses the first.
    async fn open(
        &self,
        profile: &Profile,
        server: &Server,
        list_above: Option<u32>,
        end: Instant,
    ) -> Result<Opened<M::Stream>, Failure> {
        let whole = end;
        let end = whole.min(self.clock.instant() + time_to_open(profile));
        let secret = self.tokens.login_secret(profile, end).await.map_err(failure::of_credential)?;
        let mut opened = match self.open_with(profile, server, &secret, list_above, end).await {
            Err(error) if error.is_login_refused() => {
                let other = self.tokens.other_login_secret(profile, &secret, end).await;
                match other.map_err(failure::of_credential)? {
                    Some(secret) => self.open_with(profile, server, &secret, list_above, end).await,
                    None => Err(error),
                }
            }
            opened => opened,
        };
        if let Ok(opened) = &mut opened {
            opened.session.set_deadline(whole);
        }
        opened.map_err(|error| failure::of_mailbox(&error, server))
    }

    async fn open_with(
        &self,
        profile: &Profile,
        server: &Server,
        secret: &Secret,
        list_above: Option<u32>,
        end: Instant,
    ) -> Result<Opened<M::Stream>, ImapError> {
        let login = Login { login: profile.settings.auth.login(), secret };
        self.mailboxes.open(server, login, &profile.settings.mailbox, list_above, end).await
    }
}

/// How long the check may take that shows whether anything is new. A mailbox that took longer at the last poll has more.
fn time_to_open(profile: &Profile) -> Duration {
    match &profile.status.error {
        Some(error) if error.code == ErrorCode::ImapTimeout => PROFILE_TIME,
        Some(_) | None => OPEN_TIME,
    }
}

fn done(result: Result<(), PortError>) -> Result<Event, PortError> {
    result.map(|()| Event::Done)
}

fn log(id: ProfileId, outcome: &PollOutcome) {
    match outcome {
        PollOutcome::Read { handed_over: 0, .. } | PollOutcome::Postponed => {}
        PollOutcome::Read { handed_over, more } => {
            info!(profile.id = %id, handed_over, more, "messages were handed over");
        }
        PollOutcome::NotLeased => {
            info!(profile.id = %id, "another run polls this profile, or it no longer exists");
        }
        PollOutcome::Lost => {
            info!(profile.id = %id, "the profile was taken over, edited or deleted during the poll");
        }
        PollOutcome::Failed(error) => {
            warn!(profile.id = %id, code = ?error.code, "the poll failed: {error}");
        }
    }
}
