//! One profile's audit: read the profile, then the ledger, then the mailbox, and keep the result with the profile.
//!
//! In this order: everything that the cursor has passed when the profile is read is in the ledger when that is read.

use std::sync::Arc;
use std::time::Duration;

use mailroom_auth::tokens::Tokens;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_core::audit::{AuditResult, AuditStatus};
use mailroom_core::health::ProfileState;
use mailroom_core::inbound::ledger::HandedOver;
use mailroom_core::ports::{PortError, Profiles as _};
use mailroom_core::profile::{Profile, ProfileId};
use mailroom_core::server::Server;
use mailroom_net::clock::Clock;
use mailroom_net::connect::AllowedHosts;
use mailroom_net::login::{Login, Secret};
use mailroom_net::tls::Tls;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::compare::{Comparison, Content, Counts, Purpose};
use crate::error::{ReadError, Step};
use crate::repair::Repair;
use crate::session::{Greeting, ListedMessage, Session, Transport, connect_to};

/// How long one audit may take.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(150);

/// How many messages are listed by one command.
const WINDOW: u32 = 500;

/// How many messages one audit lists.
const MAX_LISTED: usize = 200_000;

/// How many messages in a row have to be too old for the list to end there.
const OLD_RUN: usize = 2_000;

/// How often the list is begun again, when messages are removed while it is made.
const LIST_TRIES: u32 = 3;

/// How many messages one audit fetches, and how many bytes of them. Providers limit what is fetched in a day.
const MAX_FETCHED: usize = 2_000;
const MAX_FETCHED_BYTES: u64 = 200 * 1024 * 1024;

/// Of a larger message, only the header is fetched: no poll fetches it whole.
const MAX_WHOLE_BYTES: u64 = 40 * 1024 * 1024;

/// The UIDs of missing messages that the log names.
const LOGGED_UIDS: usize = 50;

/// Audits profiles; kept while the function is warm.
pub(crate) struct Auditor {
    pub(crate) table: Table,
    pub(crate) tokens: Tokens<GrantStore>,
    pub(crate) tls: Tls,
    pub(crate) allowed: AllowedHosts,
    pub(crate) repair: Option<Repair>,
    pub(crate) clock: Clock,
}

/// An audit that was made.
pub(crate) struct Audited {
    pub(crate) status: AuditStatus,
    pub(crate) counts: Counts,
}

impl Auditor {
    /// Audits a profile, and stores the result; `None` for one that does not listen, or does not exist.
    ///
    /// # Errors
    /// When a service that Mailroom depends on fails. A mail server that fails is a result.
    pub(crate) async fn audit(
        self: &Arc<Self>,
        id: ProfileId,
        end: Instant,
    ) -> Result<Option<Audited>, PortError> {
        let Some(profile) = self.table.get(id).await?.filter(|profile| profile.settings.listen) else {
            info!(profile.id = %id, "the profile does not listen, or does not exist: there is nothing to audit");
            return Ok(None);
        };
        let Some(server) = profile.settings.imap.clone() else { return Ok(None) };
        let ledger = self.table.ledger(id, self.clock.now()).await?;
        let end = end.min(self.clock.instant() + AUDIT_TIMEOUT);
        let (status, counts, missing) = match self.unavailable(&profile) {
            Some(reason) => (self.inconclusive(&profile, reason), Counts::default(), Vec::new()),
            None => {
                let (auditor, read, at) = (Arc::clone(self), profile.clone(), server.clone());
                // A task of its own: a panic of a parser is a doubtful answer of the server.
                let task = tokio::spawn(async move { auditor.compare(&read, &at, &ledger, end).await });
                match task.await {
                    Ok(Ok(compared)) => compared,
                    Ok(Err(error)) => {
                        warn!(profile.id = %id, error = error.chain(), "the mailbox could not be audited");
                        (self.inconclusive(&profile, error.reason(&server)), Counts::default(), Vec::new())
                    }
                    Err(_) => {
                        error!(profile.id = %id, "the audit panicked");
                        let reason = "The server sent what the audit cannot read.".to_owned();
                        (self.inconclusive(&profile, reason), Counts::default(), Vec::new())
                    }
                }
            }
        };
        self.report(&profile, &status, &counts, &missing);
        match self.table.record_audit(id, profile.version, &status).await {
            Ok(()) => {}
            Err(PortError::Lost) => {
                info!(profile.id = %id, "the profile was edited or deleted during its audit");
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        if let (Some(repair), false) = (&self.repair, missing.is_empty()) {
            repair.repair(&self.table, &profile, &missing, self.clock).await?;
        }
        Ok(Some(Audited { status, counts }))
    }

    /// Why the mailbox is not opened now: its owner has to act, or its server asked for a pause.
    fn unavailable(&self, profile: &Profile) -> Option<String> {
        let error = profile.status.error.as_ref()?;
        let paused = profile.status.not_before.is_some_and(|until| until > self.clock.now());
        let waits = profile.status.state == ProfileState::ReauthorizationRequired;
        (paused || waits).then(|| format!("Polls are paused: {}", error.message))
    }

    fn inconclusive(&self, profile: &Profile, reason: String) -> AuditStatus {
        AuditStatus {
            at: self.clock.now(),
            result: AuditResult::Inconclusive,
            missing: 0,
            reason: Some(reason),
            waiting: profile.audit.as_ref().and_then(|last| last.waiting),
        }
    }

    async fn compare(
        &self,
        profile: &Profile,
        server: &Server,
        ledger: &[HandedOver],
        end: Instant,
    ) -> Result<(AuditStatus, Counts, Vec<ListedMessage>), ReadError> {
        let secret = self.tokens.login_secret(profile, end).await.map_err(ReadError::Credential)?;
        let mut session = match self.open(profile, server, &secret, end).await {
            Err(ReadError::Refused(Step::LogIn, words)) => {
                let other = self.tokens.other_login_secret(profile, &secret, end).await;
                match other.map_err(ReadError::Credential)? {
                    Some(secret) => self.open(profile, server, &secret, end).await?,
                    None => return Err(ReadError::Refused(Step::LogIn, words)),
                }
            }
            opened => opened?,
        };
        let state = session.examine(profile.settings.mailbox.as_str()).await?;
        let mut comparison = Comparison::new(profile, ledger, state.uid_validity, self.clock.now());
        let listed = list(&mut session, profile, state.exists, &mut comparison).await?;
        let asked = comparison.look(&listed);
        fetch(&mut session, asked, &mut comparison).await?;
        session.log_out().await;
        Ok(comparison.conclude())
    }

    async fn open(
        &self,
        profile: &Profile,
        server: &Server,
        secret: &Secret,
        end: Instant,
    ) -> Result<Session<impl Transport + use<>>, ReadError> {
        let (mut session, greeting) = connect_to(server, (&self.tls, &self.allowed), end, self.clock).await?;
        if greeting == Greeting::NotAuthenticated {
            let login = Login { login: profile.settings.auth.login(), secret };
            session.log_in(login, server).await?;
        }
        Ok(session)
    }

    fn report(&self, profile: &Profile, status: &AuditStatus, counts: &Counts, missing: &[ListedMessage]) {
        let id = profile.id;
        info!(
            profile.id = %id, result = ?status.result, reason = status.reason, counts = ?counts, "audited",
        );
        if !missing.is_empty() {
            let uids: Vec<u32> = missing.iter().take(LOGGED_UIDS).map(|message| message.uid.get()).collect();
            error!(profile.id = %id, missing = missing.len(), imap.uids = ?uids, "messages have no job");
        }
    }
}

/// Lists the mailbox from its end, down to where all is old and nothing was handed over, in ascending order of UIDs.
async fn list<S: Transport>(
    session: &mut Session<S>,
    profile: &Profile,
    mut exists: u32,
    comparison: &mut Comparison<'_>,
) -> Result<Vec<ListedMessage>, ReadError> {
    for _ in 0..LIST_TRIES {
        if let Some(listed) = list_once(session, exists, comparison).await? {
            return Ok(listed);
        }
        // Messages that were removed are holes: with the numbers of now, there are none.
        exists = session.examine(profile.settings.mailbox.as_str()).await?.exists;
    }
    comparison.doubt("The server does not list all the messages that it has.");
    Ok(Vec::new())
}

/// The same; `None` where the server leaves messages out.
async fn list_once<S: Transport>(
    session: &mut Session<S>,
    exists: u32,
    comparison: &mut Comparison<'_>,
) -> Result<Option<Vec<ListedMessage>>, ReadError> {
    let (start, known) = (comparison.start(), comparison.lowest_known());
    let (mut listed, mut last, mut old) = (Vec::new(), exists, 0);
    while last > 0 {
        let first = last.saturating_sub(WINDOW - 1).max(1);
        let window = session.list(first, last).await?;
        if window.len() < usize::try_from(last - first + 1).unwrap_or(usize::MAX) {
            return Ok(None);
        }
        let recent = window.iter().any(|message| message.arrived.is_some_and(|at| at >= start));
        old = if recent { 0 } else { old + window.len() };
        listed.extend(window);
        let below_known =
            known.is_none_or(|known| listed.iter().rev().take(1).all(|lowest| lowest.uid < known));
        if old >= OLD_RUN && below_known {
            break;
        }
        if listed.len() >= MAX_LISTED {
            comparison.doubt("The mailbox has more messages than one audit lists.");
            break;
        }
        last = first - 1;
    }
    listed.sort_unstable_by_key(|message| message.uid);
    Ok(Some(listed))
}

/// Fetches what is asked for, and tells the comparison.
async fn fetch<S: Transport>(
    session: &mut Session<S>,
    asked: Vec<(ListedMessage, Purpose)>,
    comparison: &mut Comparison<'_>,
) -> Result<(), ReadError> {
    let mut bytes: u64 = 0;
    for (count, (message, purpose)) in asked.into_iter().enumerate() {
        bytes = bytes.saturating_add(message.size.min(MAX_WHOLE_BYTES));
        if count >= MAX_FETCHED || bytes > MAX_FETCHED_BYTES {
            if purpose == Purpose::Unknown {
                comparison.doubt("More messages have to be compared byte by byte than one audit fetches.");
            }
            break;
        }
        let whole = match message.size <= MAX_WHOLE_BYTES {
            true => match session.digest(message.uid, message.size).await? {
                Some(digest) => Some(digest),
                None => {
                    comparison.read(message, purpose, Content::Gone);
                    continue;
                }
            },
            false => None,
        };
        let oversize = match comparison.wants_oversize(purpose, whole) {
            true => session.oversize_digest(message.uid, message.size).await?,
            false => None,
        };
        comparison.read(message, purpose, Content::Digests(whole, oversize));
    }
    Ok(())
}
