//! The functions' ports over the world. Conditions are those of the DynamoDB code in mailroom-aws, and what a port may
//! do wrong is decided by the faults.

use std::sync::Arc;
use std::time::Duration;

use mailroom_core::conversation::{KnownMessage, KnownMessages, MessageKey};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::Status;
use mailroom_core::inbound::cursor::Cursor;
use mailroom_core::inbound::deferred::Deferred;
use mailroom_core::inbound::held_back::HeldChange;
use mailroom_core::inbound::job::{Digest, FlowJob, JobId};
use mailroom_core::inbound::ledger::LedgerPlace;
use mailroom_core::inbound::overdue::OverdueChanges;
use mailroom_core::inbound::schedule::{PollRequest, Range, sort_key};
use mailroom_core::oauth2::Authorization;
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::MessageId;
use mailroom_core::ports::{
    Conversations, Credential, Credentials, FlowQueue, Forgotten, Grants, Handover, Hold, Lease, Listening,
    PortError, Profiles, Progress, Schedules,
};
use mailroom_core::profile::{Profile, ProfileId, RefreshInterval};
use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::clock::{self, millis, of_millis};
use crate::faults::{Op, ServiceFault};
use crate::lambda::Run;
use crate::world::{Row, Shared, World, owner_of};

/// How long the ledger remembers a message.
const LEDGER: time::Duration = time::Duration::days(30);

/// The shard that all profiles are in.
const SHARD: u8 = 0;

/// The ports of one invocation.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) world: Shared,
    pub(crate) run: Arc<Run>,
}

impl Ports {
    /// An operation of a service, with what may go wrong about it. An invocation may die before it and after it.
    pub(crate) async fn call<T>(
        &self,
        op: Op,
        effect: impl Fn(&mut World) -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        self.run.passes(&self.world).await;
        let (latency, fault) = {
            let mut world = self.world.lock();
            let latency = world.random.time(Duration::from_millis(30));
            (latency, world.faults.of_service(op, clock::elapsed()))
        };
        if let Some(fault) = fault {
            self.world.lock().log(format!("run {}: {op:?} meets {fault:?}", self.run.id));
        }
        let failed = || unavailable(op);
        let effect = || effect(&mut self.world.lock());
        sleep(latency).await;
        let answer = match fault {
            None => effect(),
            Some(ServiceFault::Fails | ServiceFault::Partial) => Err(failed()),
            Some(ServiceFault::AnswerLost) => effect().and(Err(failed())),
            Some(ServiceFault::Repeated) => {
                let _ = effect();
                sleep(latency).await;
                effect()
            }
            Some(ServiceFault::Slow(time)) => {
                sleep(time).await;
                effect()
            }
            Some(ServiceFault::LateAnswer(time)) => {
                let answer = effect();
                sleep(time).await;
                answer
            }
        };
        self.run.passes(&self.world).await;
        answer
    }

    pub(crate) fn log(&self, world: &mut World, what: &str) {
        world.log(format!("run {}: {what}", self.run.id));
    }
}

fn unavailable(op: Op) -> PortError {
    PortError::Unavailable { operation: "simulated", source: format!("{op:?}").into() }
}

/// The item of the lease's profile, if the fence is still the lease's.
fn fenced<'a>(world: &'a mut World, lease: &Lease) -> Result<&'a mut Row, PortError> {
    let row = &mut world.rows[owner_of(lease.profile)];
    if row.fence == lease.fence { Ok(row) } else { Err(PortError::Lost) }
}

/// A cursor as it is read back from the table.
fn stored_cursor(cursor: &Cursor) -> Cursor {
    let floor = cursor.floor.map(|mut floor| {
        floor.since = of_millis(millis(floor.since));
        floor
    });
    Cursor { newest: of_millis(millis(cursor.newest)), floor, ..*cursor }
}

/// A deferred message as it is read back from the table.
fn stored_deferred(mut entry: Deferred) -> Deferred {
    entry.since = of_millis(millis(entry.since));
    entry.due_at = of_millis(millis(entry.due_at));
    entry
}

/// Changes that failed, as they are read back from the table.
fn stored_overdue(mut overdue: OverdueChanges) -> OverdueChanges {
    overdue.since = of_millis(millis(overdue.since));
    overdue.due_at = of_millis(millis(overdue.due_at));
    overdue
}

/// A status as it is read back from the table.
fn stored_status(status: &Status) -> Status {
    let at = |time: Option<OffsetDateTime>| time.map(|time| of_millis(millis(time)));
    let mut stored = status.clone();
    stored.last_success_at = at(status.last_success_at);
    stored.last_message_at = at(status.last_message_at);
    stored.not_before = at(status.not_before);
    if let Some(error) = &mut stored.error {
        error.since = of_millis(millis(error.since));
    }
    stored
}

impl Conversations for Ports {
    async fn known_messages(
        &self,
        profile: ProfileId,
        messages: &[MessageKey],
    ) -> Result<KnownMessages, PortError> {
        let owner = owner_of(profile);
        self.call(Op::KnownMessages, |world| {
            let known = |key: &MessageKey| world.known.get(&(owner, key.clone())).cloned();
            Ok(messages.iter().filter_map(|key| Some((key.clone(), known(key)?))).collect())
        })
        .await
    }

    async fn note_messages(
        &self,
        profile: ProfileId,
        messages: &[(MessageKey, KnownMessage)],
        _: OffsetDateTime,
    ) -> Result<KnownMessages, PortError> {
        let owner = owner_of(profile);
        self.call(Op::NoteMessages, |world| {
            let noted = messages.iter().map(|(key, message)| {
                let noted = world.known.entry((owner, key.clone())).or_insert_with(|| message.clone());
                (key.clone(), noted.clone())
            });
            Ok(noted.collect())
        })
        .await
    }
}

impl Profiles for Ports {
    async fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        range: Option<&Range>,
    ) -> Result<Listening, PortError> {
        if shard != SHARD {
            return Ok(Listening::default());
        }
        self.call(Op::Listening, |world| {
            // Eventually consistent, and usually within a moment.
            let usual = world.random.time(Duration::from_millis(800));
            let lag = world.faults.index_lag(clock::elapsed()).unwrap_or(usual);
            let wanted = |profile: &&Profile| {
                let key = sort_key(profile);
                let within = range.is_none_or(|range| range.from <= key && key <= range.to);
                profile.settings.listen && profile.settings.refresh_interval == interval && within
            };
            let profiles =
                world.rows.iter().filter_map(|row| row.shown(lag)).filter(wanted).cloned().collect();
            Ok(Listening { profiles, unreadable: 0 })
        })
        .await
    }

    async fn get(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        self.call(Op::Get, |world| Ok(Some(world.rows[owner_of(id)].profile.clone()))).await
    }

    async fn lease(
        &self,
        id: ProfileId,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<Option<(Lease, Profile)>, PortError> {
        self.call(Op::Lease, |world| {
            let row = &mut world.rows[owner_of(id)];
            let free = row.lease_until.is_none_or(|until| until < millis(now));
            if !(row.profile.settings.listen && free) {
                self.log(world, "the lease is another's");
                return Ok(None);
            }
            row.lease_until = Some(millis(expires_at));
            row.fence += 1;
            row.tries += 1;
            let lease = Lease { profile: id, fence: row.fence, tries: row.tries, expires_at };
            let profile = row.profile.clone();
            self.log(world, &format!("leased, fence {}, try {}", lease.fence, lease.tries));
            Ok(Some((lease, profile)))
        })
        .await
    }

    async fn move_cursor(
        &self,
        lease: &Lease,
        Progress { cursor, deferred, held_back, overdue, skipped_seen, unsearched_at, repeats_up_to }: Progress<'_>,
        hold: Hold,
    ) -> Result<(), PortError> {
        self.call(Op::MoveCursor, |world| {
            let cursor = stored_cursor(cursor);
            let row = fenced(world, lease)?;
            let before = row.profile.cursor.replace(cursor);
            row.profile.deferred = deferred.iter().copied().map(stored_deferred).collect();
            row.profile.skipped_seen = skipped_seen;
            row.profile.unsearched_at = unsearched_at;
            row.profile.repeats_up_to = repeats_up_to;
            match held_back {
                HeldChange::Unchanged => {}
                HeldChange::Set(held) => row.profile.held_back = Some(*held),
                HeldChange::Removed => row.profile.held_back = None,
            }
            row.profile.overdue = overdue.cloned().map(stored_overdue);
            match hold {
                Hold::Until(until) => (row.lease_until, row.tries) = (Some(millis(until)), 1),
                Hold::Release => (row.lease_until, row.tries) = (None, 0),
            }
            row.changed();
            let uid_validity = cursor.uid_validity.map(|value| value.get());
            let waiting: Vec<u32> = deferred.iter().map(|entry| entry.message.uid.get()).collect();
            let moved = format!("the cursor moves to {uid_validity:?} {}, {hold:?}", cursor.last_uid);
            let changes = overdue.map_or(0, OverdueChanges::count);
            self.log(world, &format!("{moved}, deferred {waiting:?}, overdue {changes}"));
            world.cursor_moved(owner_of(lease.profile), before.as_ref(), &cursor);
            Ok(())
        })
        .await
    }

    async fn release(&self, lease: &Lease, tries: u32) -> Result<(), PortError> {
        self.call(Op::Release, |world| {
            let row = fenced(world, lease)?;
            (row.lease_until, row.tries) = (None, tries);
            self.log(world, &format!("released with {tries} tries"));
            Ok(())
        })
        .await
    }

    async fn record(&self, id: ProfileId, version: u64, status: &Status) -> Result<(), PortError> {
        self.call(Op::Record, |world| {
            let owner = owner_of(id);
            let row = &mut world.rows[owner];
            if row.profile.version != version {
                return Err(PortError::Lost);
            }
            row.profile.status = stored_status(status);
            row.changed();
            if let Some(error) = &status.error {
                self.log(world, &format!("owner {owner} is {:?}: {}", status.state, error.message));
            }
            world.recorded(owner, status, &self.run);
            Ok(())
        })
        .await
    }

    async fn handed_over(&self, id: ProfileId, messages: &[Digest]) -> Result<Vec<Digest>, PortError> {
        assert!(messages.len() <= 100, "a read of the ledger takes at most 100 keys");
        self.call(Op::ReadLedger, |world| {
            // Items may stay for days after their time: what is expired and still there must not matter, so it is gone
            // at once here, which is the less kind of the two.
            let now = clock::now().unix_timestamp();
            let owner = owner_of(id);
            let known =
                |digest: &&Digest| world.ledger.get(&(owner, digest.to_hex())).is_some_and(|at| *at > now);
            Ok(messages.iter().filter(known).copied().collect())
        })
        .await
    }

    async fn note_handed_over(
        &self,
        id: ProfileId,
        messages: &[(Digest, Option<LedgerPlace>)],
        now: OffsetDateTime,
    ) -> Result<(), PortError> {
        self.call(Op::NoteHandedOver, |world| {
            let expires_at = (now + LEDGER).unix_timestamp();
            for (digest, place) in messages {
                assert!(place.is_some(), "the ledger notes where each message lies");
                world.ledger.insert((owner_of(id), digest.to_hex()), expires_at);
            }
            self.log(world, &format!("the ledger notes {}", messages.len()));
            Ok(())
        })
        .await
    }

    async fn note_automated(
        &self,
        _: ProfileId,
        _: &[(MessageId, AutomatedSender)],
        _: OffsetDateTime,
    ) -> Result<(), PortError> {
        self.call(Op::NoteAutomated, |_| Ok(())).await
    }

    async fn forget(&self, _: ProfileId, _: Duration) -> Result<Forgotten, PortError> {
        Ok(Forgotten::All)
    }

    async fn flow_queue(&self, _: &FlowSchemaId) -> Result<FlowQueue, PortError> {
        self.call(Op::FlowQueue, |_| Ok(FlowQueue::Default)).await
    }
}

impl Credentials for Ports {
    async fn credential(&self, _: ProfileId, _: &str) -> Result<Option<Credential>, PortError> {
        let password = || Credential::password(SecretString::from("secret"));
        self.call(Op::Credential, |_| Ok(Some(password()))).await
    }
}

/// No profile here logs in with a token.
impl Grants for Ports {
    type Claim = ();

    async fn profile(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        self.get(id).await
    }

    async fn claim(&self, _: &Profile, _: OffsetDateTime, _: OffsetDateTime) -> Result<(), PortError> {
        Err(PortError::Lost)
    }

    async fn newest(&self, _: ProfileId) -> Result<Option<Credential>, PortError> {
        Ok(None)
    }

    async fn rotated(
        &self,
        _: &Profile,
        (): &(),
        _: &Credential,
        _: &Authorization,
    ) -> Result<(), PortError> {
        Err(PortError::Lost)
    }

    async fn unclaim(&self, _: ProfileId, (): &(), _: Option<&Authorization>) -> Result<(), PortError> {
        Ok(())
    }
}

impl Handover for Ports {
    fn bucket(&self) -> &'static str {
        "bucket"
    }

    async fn put(&self, key: &str, _: &str, _: Vec<u8>) -> Result<(), PortError> {
        self.call(Op::Put, |world| {
            world.objects.insert(key.to_owned());
            Ok(())
        })
        .await
    }

    async fn send(&self, _: Option<&str>, jobs: &[FlowJob]) -> Result<Vec<JobId>, PortError> {
        // Peeked at, so that a queue can take a part of the jobs: everything else is what all operations meet.
        let partial = {
            let mut world = self.world.lock();
            let most = world.random.index(jobs.len().max(1));
            let now = clock::elapsed();
            world.faults.takes_a_part(now).then_some(most)
        };
        self.call(Op::SendJobs, |world| {
            let taken = &jobs[..partial.unwrap_or(jobs.len())];
            for job in taken {
                let new = world.jobs.send(job.conversation_id.as_str(), job.job_id.as_str());
                let what = if new { "takes" } else { "drops the repeat of" };
                let kind = job.kind;
                self.log(world, &format!("the job queue {what} a {kind:?} of UID {}", job.uid));
                if new {
                    world.announced(job);
                }
            }
            Ok(taken.iter().map(|job| job.job_id.clone()).collect())
        })
        .await
    }

    /// No letter here is a report: see `Outbound::bounces`.
    async fn request_send(&self, _: ProfileId, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn request(&self, requests: &[(PollRequest, Duration)]) -> Result<(), PortError> {
        let asked = self
            .call(Op::Request, |world| {
                for (request, delay) in requests {
                    world.polls.send(request, *delay);
                }
                Ok(())
            })
            .await;
        self.world.queued().notify_one();
        asked
    }
}

impl Schedules for Ports {
    async fn joined(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.call(Op::Schedules, |world| {
            world.schedules.insert(interval.seconds());
            Ok(())
        })
        .await
    }

    /// As `mailroom_aws::intervals` does it, all at once: its races have tests of their own.
    async fn left(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.call(Op::Schedules, |world| {
            let used =
                |row: &Row| row.profile.settings.listen && row.profile.settings.refresh_interval == interval;
            if interval != RefreshInterval::DEFAULT && !world.rows.iter().any(used) {
                world.schedules.remove(&interval.seconds());
            }
            Ok(())
        })
        .await
    }

    async fn repair(&self) -> Result<Vec<RefreshInterval>, PortError> {
        self.call(Op::Schedules, |world| {
            let used: Vec<RefreshInterval> = (world.rows.iter())
                .filter(|row| row.profile.settings.listen)
                .map(|row| row.profile.settings.refresh_interval)
                .filter(|interval| !world.schedules.contains(&interval.seconds()))
                .collect();
            world.schedules.extend(used.iter().map(|interval| interval.seconds()));
            Ok(used)
        })
        .await
    }
}
