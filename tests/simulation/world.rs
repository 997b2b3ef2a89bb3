//! The state of everything that the functions meet: table, bucket, queues, schedules, mailboxes, and what has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailroom_core::conversation::{KnownMessage, MessageKey};
use mailroom_core::edit::{self, Place};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::inbound::held_back::Answer;
use mailroom_core::profile::{AfterFetch, Auth, Profile, ProfileId, RefreshInterval, Settings, StartFrom};
use mailroom_core::server::{Host, Mailbox, Security, Server};
use tokio::sync::Notify;
use ulid::Ulid;

use crate::clock;
use crate::faults::Faults;
use crate::invariants::{Violation, Watch};
use crate::mailboxes::{Account, DONE, OLD};
use crate::outbound::Outbound;
use crate::queues::{JobQueue, PollQueue};
use crate::random::Random;
use crate::scenario::{After, Happening, Letter, Owner, Scenario, Start};

/// How old a state of the index may be before it is forgotten.
const INDEX_HISTORY: Duration = Duration::from_secs(300);

/// A profile's item in the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) profile: Profile,
    pub(crate) fence: u64,
    pub(crate) tries: u32,
    /// In milliseconds.
    pub(crate) lease_until: Option<i64>,
    /// What the index showed, since when.
    shown: Vec<(Duration, Profile)>,
}

impl Row {
    fn new(profile: Profile) -> Self {
        let shown = vec![(clock::elapsed(), profile.clone())];
        Self { profile, fence: 0, tries: 0, lease_until: None, shown }
    }

    /// Takes note of a change for the index.
    pub(crate) fn changed(&mut self) {
        let now = clock::elapsed();
        self.shown.push((now, self.profile.clone()));
        let old = self.shown.iter().rposition(|(at, _)| *at + INDEX_HISTORY < now).unwrap_or(0);
        self.shown.drain(..old);
    }

    /// The profile as the index shows it.
    pub(crate) fn shown(&self, lag: Duration) -> Option<&Profile> {
        let now = clock::elapsed();
        self.shown.iter().rev().find(|(at, _)| *at + lag <= now).map(|(_, profile)| profile)
    }
}

/// The state of everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rows: Vec<Row>,
    /// Until when (Unix time) the ledger knows a message of an owner, by its digest.
    pub(crate) ledger: BTreeMap<(usize, String), i64>,
    /// What is noted of an owner's messages.
    pub(crate) known: BTreeMap<(usize, MessageKey), KnownMessage>,
    pub(crate) objects: BTreeSet<String>,
    pub(crate) jobs: JobQueue,
    pub(crate) polls: PollQueue,
    /// The intervals that have a schedule, in seconds.
    pub(crate) schedules: BTreeSet<u32>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) faults: Faults,
    pub(crate) random: Random,
    pub(crate) watch: Watch,
    pub(crate) outbound: Outbound,
    pub(crate) violations: Vec<Violation>,
    transcript: Vec<(Duration, String)>,
    /// How many invocations there were.
    pub(crate) runs: u32,
}

/// The world, shared by everything that is in it.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>, Arc<Notify>);

impl Shared {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self(Arc::new(Mutex::new(World::new(scenario))), Arc::default())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when the poll queue got a message.
    pub(crate) fn queued(&self) -> &Notify {
        &self.1
    }
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let mut accounts = Vec::new();
        let mut content = 1_000_000;
        for owner in &scenario.owners {
            let mut account = Account::new(owner.server);
            for n in 0..owner.old {
                content += 1;
                // Longer ago than any server's clock is wrong.
                let ago = time::Duration::hours(3 + 7 * i64::from(owner.old - n - 1));
                account.arrived(Letter { content, bytes: 100, poison: None }, ago);
                if owner.start == Start::Now {
                    account.excuse(content, OLD);
                }
            }
            accounts.push(account);
        }
        let rows: Vec<Row> =
            scenario.owners.iter().enumerate().map(|(n, owner)| Row::new(profile(n, owner))).collect();
        Self {
            ledger: BTreeMap::new(),
            known: BTreeMap::new(),
            objects: BTreeSet::new(),
            jobs: JobQueue::default(),
            polls: PollQueue::default(),
            schedules: scenario.owners.iter().map(|owner| owner.interval).chain([300]).collect(),
            accounts,
            faults: Faults::new(&scenario.faults, scenario.end),
            random: Random::new(scenario.seed ^ 0x5eed),
            watch: Watch::new(rows.len()),
            outbound: Outbound::default(),
            violations: Vec::new(),
            transcript: Vec::new(),
            runs: 0,
            rows,
        }
    }

    /// Notes what happened.
    pub(crate) fn log(&mut self, what: impl Into<String>) {
        self.transcript.push((clock::elapsed(), what.into()));
    }

    pub(crate) fn transcript(&self) -> &[(Duration, String)] {
        &self.transcript
    }

    /// Something is not as it is promised.
    pub(crate) fn violated(&mut self, violation: Violation) {
        self.log(format!("VIOLATED: {violation:?}"));
        self.violations.push(violation);
    }

    /// Something happens beside the functions. Returns the interval whose schedule fires once more, if one does.
    pub(crate) fn happens(&mut self, happening: Happening) -> Option<u32> {
        let mut fires = None;
        let what = match happening {
            Happening::Arrives { owner, letter } => {
                let uid = self.accounts[owner].arrives(letter);
                let poison = letter.poison.map_or_else(String::new, |poison| format!(", which {poison:?}"));
                format!("owner {owner}: letter {} arrives as UID {uid}{poison}", letter.content)
            }
            Happening::Expunged { owner, newest } => {
                format!("owner {owner}: UID {:?} is expunged", self.accounts[owner].expunge(newest))
            }
            Happening::Seen { owner, newest } => {
                format!("owner {owner}: UID {:?} is read elsewhere", self.accounts[owner].see(newest))
            }
            Happening::Renumbered { owner } => {
                if !self.accounts[owner].renumber() {
                    return None;
                }
                if self.rows[owner].profile.cursor.is_some_and(|cursor| cursor.moved_at.is_some()) {
                    self.unless_confirmed(owner);
                }
                format!("owner {owner}: the mailbox is renumbered")
            }
            Happening::Renamed { owner } => {
                self.edit(owner, |settings| settings.name.push('!'));
                format!("owner {owner}: the profile is renamed")
            }
            Happening::ServerRenamed { owner } => {
                let name = format!("imap-{}.example.com", clock::elapsed().as_secs());
                self.edit(owner, |settings| {
                    let server = settings.imap.as_mut().expect("it listens");
                    server.host = Host::parse(&name).expect("a host");
                });
                self.unless_confirmed(owner);
                format!("owner {owner}: the server is now called {name}")
            }
            Happening::Toggled { owner } => {
                self.edit(owner, |settings| settings.listen = !settings.listen);
                format!("owner {owner}: listening is now {}", self.rows[owner].profile.settings.listen)
            }
            Happening::FetchAsked { owner } => {
                let row = &mut self.rows[owner];
                row.profile.status.not_before = None;
                row.changed();
                let request = mailroom_core::inbound::schedule::PollRequest::Profile(id(owner));
                self.polls.send(&request, Duration::ZERO);
                format!("owner {owner}: a poll is asked for")
            }
            Happening::Accepted { owner } => {
                let row = &mut self.rows[owner];
                let held = row.profile.held_back.as_mut().expect("messages are held back");
                held.answer = Answer::Accepted;
                row.changed();
                let request = mailroom_core::inbound::schedule::PollRequest::Profile(id(owner));
                self.polls.send(&request, Duration::ZERO);
                format!("owner {owner}: what is held back is accepted")
            }
            Happening::SendAsked { owner, message, recipients } => {
                self.outbound.asked(owner, message, recipients);
                format!("owner {owner}: message {message} is to be sent to {recipients}")
            }
            Happening::FiresAgain { owner } => {
                let interval = self.rows[owner].profile.settings.refresh_interval.seconds();
                fires = Some(interval);
                format!("the schedule of {interval} s fires once more")
            }
        };
        self.log(what);
        fires
    }

    /// Where nothing shows that a server of another name has the same mailbox, what lies there is old.
    fn unless_confirmed(&mut self, owner: usize) {
        let account = &mut self.accounts[owner];
        let says = account.habits.says_uid_validity.then_some(account.inbox.uid_validity);
        let known = self.rows[owner].profile.cursor.and_then(|cursor| cursor.uid_validity);
        if says.is_none() || says != known.map(|value| value.get()) {
            account.excuse_all("it lay there before the server had another name");
        }
    }

    /// Whatever the owners did, they listen again.
    pub(crate) fn all_listen(&mut self) {
        for owner in 0..self.rows.len() {
            if !self.rows[owner].profile.settings.listen {
                self.happens(Happening::Toggled { owner });
            }
        }
    }

    /// An owner's edit, as the API stores it.
    fn edit(&mut self, owner: usize, change: impl FnOnce(&mut Settings)) {
        let row = &mut self.rows[owner];
        let mut wanted = row.profile.clone();
        change(&mut wanted.settings);
        let edit = edit::edit(&row.profile, wanted, clock::now());
        row.profile = edit.profile;
        if edit.place != Place::Same {
            (row.lease_until, row.tries, row.fence) = (None, 0, row.fence + 1);
        }
        row.changed();
        let interval = row.profile.settings.refresh_interval.seconds();
        if row.profile.settings.listen {
            self.schedules.insert(interval);
        }
    }
}

/// The profile's id of an owner.
pub(crate) fn id(owner: usize) -> ProfileId {
    ProfileId::new(Ulid::from(owner as u128 + 1))
}

/// The owner of a profile.
pub(crate) fn owner_of(id: ProfileId) -> usize {
    (0..).find(|owner| self::id(*owner) == id).expect("a profile of the scenario")
}

/// The owner whose login this is.
pub(crate) fn owner_of_login(login: &str) -> usize {
    login.trim_start_matches("owner-").split('@').next().and_then(|n| n.parse().ok()).expect("a login")
}

fn profile(n: usize, owner: &Owner) -> Profile {
    let imap = Server {
        host: Host::parse("imap.example.com").expect("a host"),
        port: 993.try_into().expect("a port"),
        security: Security::Tls,
    };
    let auth = Auth::Plain { login: format!("owner-{n}@example.com") };
    let settings = Settings {
        refresh_interval: RefreshInterval::from_seconds(owner.interval).expect("an interval"),
        include_seen: owner.include_seen,
        smtp: Some(Server {
            host: Host::parse("smtp.example.com").expect("a host"),
            port: 465.try_into().expect("a port"),
            security: Security::Tls,
        }),
        start_from: match owner.start {
            Start::Now => StartFrom::Now,
            Start::All => StartFrom::All,
        },
        after_fetch: match owner.after_fetch {
            After::Keep => AfterFetch::Keep,
            After::MarkSeen => AfterFetch::MarkSeen,
            After::Move => AfterFetch::Move(Mailbox::parse(DONE).expect("a mailbox")),
        },
        ..Settings::listening("Support", imap, auth, FlowSchemaId::parse("flow").expect("an id"))
    };
    Profile { secret_version: Some("1".to_owned()), ..Profile::new(id(n), settings, clock::now()) }
}
