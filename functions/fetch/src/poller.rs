//! One profile's poll: from its settings to its status.

use std::time::Duration;

use mailroom_auth::error::OauthError;
use mailroom_auth::tokens::Tokens;
use mailroom_core::error_chain::Chain;
use mailroom_core::health::{self, Outcome};
use mailroom_core::inbound::cursor::Cursor;
use mailroom_core::inbound::poll::{self, Isolation, PendingMessage, Plan, Selection};
use mailroom_core::inbound::schedule::PollRequest;
use mailroom_core::owner_error::{ErrorClass, ErrorCode, OwnerError};
use mailroom_core::ports::{Grants, Handover, Hold, Lease, PortError, Profiles};
use mailroom_core::profile::Profile;
use mailroom_core::server::Server;
use mailroom_mail::imap::{Connector, ImapError, Opened};
use mailroom_net::login::{Login, Secret};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::page::{Handled, PageIngest};
use mailroom_lambda::clock;
use mailroom_lambda::memory::MemoryBudget;

/// Bytes of raw messages that all profiles of an invocation may hold at once. Parsed and encoded, a message takes up to
/// three times its size; with 256 MB of memory that leaves room for 100 TLS sessions.
const TOTAL_BYTES: u64 = 48 * 1024 * 1024;

/// What one profile may take of an invocation that it shares.
const PROFILE_TIME: Duration = Duration::from_secs(60);

/// How long a lease lasts without a sign of life. Renewed with each page.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// A page is begun only with this much time left, and twice what the last one took.
const PAGE_TIME: Duration = Duration::from_secs(2);

/// Whether other profiles share the invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// A death of the function would be theirs too.
    Shared,
    /// Whatever happens concerns this profile only.
    Dedicated,
}

/// Polls profiles; shared by all tasks of an invocation, and kept while the function is warm.
pub(crate) struct Poller<P, G, H> {
    profiles: P,
    tokens: Tokens<G>,
    handover: H,
    imap: Connector,
    budget: MemoryBudget,
}

/// Why a poll did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The owner is told.
    Owner(OwnerError),
    /// The owner is told, and the mail that is next counts as tried: it may be what the server stumbles over.
    SuspectMessage(OwnerError),
    /// A service of ours failed, or the profile is no longer this run's.
    Port(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl From<OauthError> for Failure {
    fn from(error: OauthError) -> Self {
        error.into_owner_error().map_or_else(Self::Port, Self::Owner)
    }
}

/// What a poll came to.
enum Done {
    /// The mailbox was read as far as there was time, and these many mails became jobs.
    Read { handed_over: usize, more: bool },
    /// Another run is at it, or the profile is gone.
    NotOurs,
    /// The profile has to be polled once more, soon and in an invocation of its own: it was edited meanwhile, or is
    /// suspected of killing the function.
    Postponed,
}

impl<P: Profiles, G: Grants + 'static, H: Handover> Poller<P, G, H> {
    pub(crate) fn new(profiles: P, tokens: Tokens<G>, handover: H, imap: Connector) -> Self {
        Self { profiles, tokens, handover, imap, budget: MemoryBudget::new(TOTAL_BYTES) }
    }

    pub(crate) const fn profiles(&self) -> &P {
        &self.profiles
    }

    pub(crate) const fn handover(&self) -> &H {
        &self.handover
    }

    /// Polls a profile, and writes what came of it into its status.
    ///
    /// # Errors
    /// When a service of ours failed, so that the status may not say it.
    pub(crate) async fn poll(
        &self,
        mut profile: Profile,
        invocation: Invocation,
        end: Instant,
    ) -> Result<(), PortError> {
        let end = match invocation {
            Invocation::Shared => end.min(clock::instant() + PROFILE_TIME),
            Invocation::Dedicated => end,
        };
        // The deadline of the connection's operations is `end` too; this one is for what has none of its own.
        let attempt = Box::pin(self.attempt(&mut profile, invocation, end));
        let result = match tokio::time::timeout_at(end + Duration::from_secs(1), attempt).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Owner(OwnerError::new(
                ErrorCode::ImapTimeout,
                "The mailbox could not be read in the time there was.",
            ))),
        };
        match result {
            Ok(Done::Read { handed_over, more }) => {
                if handed_over > 0 {
                    info!(profile.id = %profile.id, handed_over, more, "mail was handed over");
                }
                if more {
                    self.poll_again(&profile).await?;
                }
                self.record(&profile, &Outcome::Success { handed_over }).await
            }
            Ok(Done::NotOurs) => {
                info!(profile.id = %profile.id, "another run polls this profile, or it is gone");
                Ok(())
            }
            Ok(Done::Postponed) => self.poll_again(&profile).await,
            Err(Failure::Owner(trouble) | Failure::SuspectMessage(trouble)) => {
                warn!(profile.id = %profile.id, code = ?trouble.code, "the poll failed: {trouble}");
                self.record(&profile, &Outcome::Failure(note_retry(trouble))).await
            }
            Err(Failure::Port(PortError::Lost)) => {
                info!(profile.id = %profile.id, "the profile was taken over, edited or deleted during the poll");
                Ok(())
            }
            Err(Failure::Port(error)) => {
                let trouble = OwnerError::new(
                    ErrorCode::Internal,
                    "Mailroom could not store or hand over this mailbox's mail; it is tried again, and nothing is lost.",
                );
                if let Err(error) = self.record(&profile, &Outcome::Failure(trouble)).await {
                    warn!(profile.id = %profile.id, error = %Chain(&error), "the owner could not be told");
                }
                Err(error)
            }
        }
    }

    /// Tells the owner of a profile whose task panicked. The lease is left to run out, and counts the try.
    pub(crate) async fn panicked(&self, profile: &Profile) -> Result<(), PortError> {
        error!(profile.id = %profile.id, "the profile's task panicked");
        let trouble = OwnerError::new(
            ErrorCode::Internal,
            "Mailroom failed while reading this mailbox; it is tried again.",
        );
        self.record(profile, &Outcome::Failure(trouble)).await
    }

    async fn poll_again(&self, profile: &Profile) -> Result<(), PortError> {
        let request =
            PollRequest::Profile { version: PollRequest::VERSION, profile_id: profile.id.to_string() };
        self.handover.request(&[(request, Duration::ZERO)]).await
    }

    async fn record(&self, profile: &Profile, outcome: &Outcome) -> Result<(), PortError> {
        let Some(status) = health::after(&profile.status, outcome, clock::now()) else { return Ok(()) };
        match self.profiles.record(profile.id, profile.version, &status).await {
            // Edited or deleted meanwhile: what we have seen is no longer about it.
            Ok(()) | Err(PortError::Lost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Opens the mailbox and hands over what is new. `profile` becomes what it is under the lease.
    async fn attempt(
        &self,
        profile: &mut Profile,
        invocation: Invocation,
        end: Instant,
    ) -> Result<Done, Failure> {
        let server = imap_server(profile)?;
        let mut opened = self.open(profile, &server, end).await?;
        if decide(&mut opened, profile, &server).await? == Plan::Idle {
            opened.session.logout().await;
            return Ok(Done::Read { handed_over: 0, more: false });
        }

        let now = clock::now();
        let Some((lease, fresh)) = self.profiles.lease(profile.id, now, lease_until(now, end)).await? else {
            return Ok(Done::NotOurs);
        };
        // A secret of another version alone is a refresh token that was replaced.
        let edited = fresh.version != profile.version;
        *profile = fresh;
        let isolation = Isolation::after(lease.tries);
        if edited || (isolation != Isolation::Pages && invocation == Invocation::Shared) {
            self.profiles.release(&lease, lease.tries.saturating_sub(1)).await?;
            return Ok(Done::Postponed);
        }

        let mut tries = lease.tries;
        let result = self.hand_over(opened, profile, &server, &lease, &mut tries, end).await;
        if let Err(failure) = &result {
            // This try ended with a word, so it does not count, unless the next mail may be the reason.
            let counted = match failure {
                Failure::SuspectMessage(_) => tries,
                Failure::Owner(_) | Failure::Port(_) => tries.saturating_sub(1),
            };
            if let Err(error) = self.profiles.release(&lease, counted).await {
                warn!(profile.id = %profile.id, error = %Chain(&error), "the lease was not given back and has to run out");
            }
        }
        result
    }

    async fn open(&self, profile: &Profile, server: &Server, end: Instant) -> Result<Opened, Failure> {
        let access = self.tokens.login_secret(profile, end).await?;
        let opened = match self.open_with(profile, server, &access, end).await {
            Err(error) if error.is_login_refused() => {
                match self.tokens.other_login_secret(profile, &access, end).await? {
                    Some(access) => self.open_with(profile, server, &access, end).await,
                    None => Err(error),
                }
            }
            opened => opened,
        };
        opened.map_err(|error| Failure::Owner(error.owner_error(server)))
    }

    async fn open_with(
        &self,
        profile: &Profile,
        server: &Server,
        access: &Secret,
        end: Instant,
    ) -> Result<Opened, ImapError> {
        let login = Login { login: profile.auth.login(), secret: access };
        let above = poll::list_above(profile.cursor.as_ref(), profile.start_from);
        self.imap.open(server, login, &profile.mailbox, above, end).await
    }

    /// Hands over page by page, from the cursor as it stands under the lease. `tries` is kept as the table has it.
    async fn hand_over(
        &self,
        mut opened: Opened,
        profile: &Profile,
        server: &Server,
        lease: &Lease,
        tries: &mut u32,
        end: Instant,
    ) -> Result<Done, Failure> {
        let (todo, start, goal, cut) = match decide(&mut opened, profile, server).await? {
            Plan::Work { todo, start, end, more } => (todo, start, end, more),
            // Another run was quicker, and is done.
            Plan::Idle | Plan::ListAbove(_) => {
                self.profiles.release(lease, tries.saturating_sub(1)).await?;
                opened.session.logout().await;
                return Ok(Done::Read { handed_over: 0, more: false });
            }
        };
        let mut isolation = Isolation::after(lease.tries);
        let pages = poll::pages(&todo, isolation);
        let clerk = PageIngest::new(self, profile, server, opened.state.uid_validity).await?;
        let mut cursor = start;
        let mut handed_over = 0;
        let mut slowest = PAGE_TIME;
        let count = pages.len();
        let mut left = count;
        for page in pages {
            let begun = clock::instant();
            if begun + slowest * 2 > end {
                break;
            }
            let Handled { jobs } = match clerk.page(&mut opened.session, page, isolation).await {
                Ok(handled) => handled,
                // Our own time ran out in the middle of a page, and something was achieved: the rest comes next.
                Err(Failure::Owner(_)) if left < count && clock::instant() >= end => break,
                Err(failure) => return Err(failure),
            };
            handed_over += jobs;
            left -= 1;
            let now = clock::now();
            cursor = if left == 0 { goal } else { after_page(cursor, page, now) };
            let hold = if left == 0 { Hold::Release } else { Hold::Until(lease_until(now, end)) };
            self.profiles.move_cursor(lease, &cursor, hold).await?;
            *tries = 1;
            isolation = if isolation == Isolation::Pages { Isolation::Pages } else { Isolation::OneByOne };
            slowest = slowest.max(begun.elapsed());
        }
        if todo.is_empty() {
            self.profiles.move_cursor(lease, &goal, Hold::Release).await?;
        } else if left > 0 {
            self.profiles.release(lease, tries.saturating_sub(1)).await?;
        }
        opened.session.logout().await;
        // Without any progress there is no point in trying at once.
        let progress = count == 0 || left < count;
        let more = progress && (left > 0 || cut);
        Ok(Done::Read { handed_over, more })
    }

    pub(crate) const fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

/// Decides what to do, listing once more where the first listing does not reach far enough.
async fn decide(opened: &mut Opened, profile: &Profile, server: &Server) -> Result<Plan, Failure> {
    let wanted = Selection {
        start_from: profile.start_from,
        created_at: profile.created_at,
        include_seen: profile.include_seen,
        max_message_bytes: profile.max_message_bytes,
    };
    let mut plan =
        poll::plan(profile.cursor.as_ref(), &opened.state, opened.listing.as_ref(), &wanted, clock::now());
    if let Plan::ListAbove(above) = plan {
        let listing = opened.session.list(above).await.map_err(|e| Failure::Owner(e.owner_error(server)))?;
        plan = poll::plan(profile.cursor.as_ref(), &opened.state, Some(&listing), &wanted, clock::now());
        opened.listing = Some(listing);
    }
    if let Plan::ListAbove(_) = plan {
        // The whole mailbox is listed: only a listing cut at its bound can still be too short.
        return Err(Failure::Owner(OwnerError::new(
            ErrorCode::ImapProtocol,
            "The server names no next UID, and the mailbox is too large to find it by listing.",
        )));
    }
    Ok(plan)
}

/// OwnerError that goes away by itself, said to be tried again; the rest waits for its owner.
fn note_retry(mut trouble: OwnerError) -> OwnerError {
    match trouble.code.class() {
        ErrorClass::Transient | ErrorClass::Throttled => {
            trouble.message.push_str(" It is tried again by itself.")
        }
        ErrorClass::Owner | ErrorClass::Authorization => {}
    }
    trouble
}

fn imap_server(profile: &Profile) -> Result<Server, Failure> {
    profile.imap.clone().ok_or_else(|| {
        Failure::Owner(OwnerError::new(
            ErrorCode::HostNotAllowed,
            "The profile listens but names no IMAP host.",
        ))
    })
}

/// The cursor after a page: past its messages. What was not wanted between them needs no place of its own.
fn after_page(cursor: Cursor, page: &[PendingMessage], now: OffsetDateTime) -> Cursor {
    page.iter().fold(cursor, |cursor, message| cursor.advanced(message.uid, message.arrived, now))
}

/// A lease until the run's end, or less: a run that dies must not block the mailbox for long.
fn lease_until(now: OffsetDateTime, end: Instant) -> OffsetDateTime {
    let left = end.saturating_duration_since(clock::instant()) + Duration::from_secs(3);
    now.saturating_add(time::Duration::try_from(left.min(LEASE_TIME)).unwrap_or(time::Duration::MINUTE))
}

/// What an error during the fetch of mail means: the server may stumble over the mail itself.
pub(crate) fn stumbled(error: &ImapError, server: &Server) -> Failure {
    let trouble = error.owner_error(server);
    match trouble.code {
        ErrorCode::ImapProtocol => Failure::SuspectMessage(trouble),
        ErrorCode::ImapConnect
        | ErrorCode::ImapTls
        | ErrorCode::ImapAuth
        | ErrorCode::ImapMailbox
        | ErrorCode::ImapThrottled
        | ErrorCode::ImapTimeout
        | ErrorCode::Oauth2Discovery
        | ErrorCode::Oauth2Grant
        | ErrorCode::Oauth2Client
        | ErrorCode::SmtpConnect
        | ErrorCode::SmtpTls
        | ErrorCode::SmtpAuth
        | ErrorCode::SmtpThrottled
        | ErrorCode::SmtpRejected
        | ErrorCode::SmtpTimeout
        | ErrorCode::HostNotAllowed
        | ErrorCode::SecretMissing
        | ErrorCode::Internal => Failure::Owner(trouble),
    }
}
