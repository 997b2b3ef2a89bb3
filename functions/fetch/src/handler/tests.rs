//! What an invocation does with its profiles, over ports with state. No mail server is needed: these profiles fail before
//! they would connect to one.

use std::num::NonZeroU16;
use std::sync::Mutex;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_core::conversation::{KnownMessage, KnownMessages, MessageKey};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::Status;
use mailroom_core::inbound::job::{Digest, FlowJob, JobId};
use mailroom_core::inbound::ledger::LedgerPlace;
use mailroom_core::oauth2::Authorization;
use mailroom_core::outbound::loop_guard::AutomatedSender;
use mailroom_core::outbound::message::MessageId;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::ports::{
    Conversations, Credential, Credentials, FlowQueue, Forgotten, Hold, Lease, Progress,
};
use mailroom_core::profile::{Auth, Settings};
use mailroom_core::server::{Host, Security, Server};
use mailroom_lambda::clock;
use mailroom_mail::imap::Connector;
use mailroom_net::connect::AllowedHosts;
use mailroom_net::tls::Tls;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;

/// A table of profiles, all of them in shard 0.
#[derive(Default)]
struct Memory {
    profiles: Vec<Profile>,
    recorded: Mutex<Vec<(ProfileId, Status)>>,
    requested: Mutex<Vec<(PollRequest, Duration)>>,
    schedules: Mutex<Vec<String>>,
    /// Requests that it takes to forget a profile.
    noted: Mutex<usize>,
}

#[derive(Clone)]
struct Ports(Arc<Memory>);

/// The login whose credential makes the function panic.
const PANIC: &str = "panic";

impl Conversations for Ports {
    async fn known_messages(&self, _: ProfileId, _: &[MessageKey]) -> Result<KnownMessages, PortError> {
        unreachable!("nothing is handed over here")
    }

    async fn note_messages(
        &self,
        _: ProfileId,
        _: &[(MessageKey, KnownMessage)],
        _: OffsetDateTime,
    ) -> Result<KnownMessages, PortError> {
        unreachable!("nothing is handed over here")
    }
}

impl Profiles for Ports {
    async fn listening(
        &self,
        interval: RefreshInterval,
        shard: u8,
        _: Option<&Range>,
    ) -> Result<Listening, PortError> {
        let there = |profile: &&Profile| shard == 0 && profile.settings.refresh_interval == interval;
        Ok(Listening { profiles: self.0.profiles.iter().filter(there).cloned().collect(), unreadable: 0 })
    }

    async fn get(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        Ok(self.0.profiles.iter().find(|profile| profile.id == id).cloned())
    }

    async fn lease(
        &self,
        _: ProfileId,
        _: OffsetDateTime,
        _: OffsetDateTime,
    ) -> Result<Option<(Lease, Profile)>, PortError> {
        Ok(None)
    }

    async fn move_cursor(&self, _: &Lease, _: Progress<'_>, _: Hold) -> Result<(), PortError> {
        Ok(())
    }

    async fn release(&self, _: &Lease, _: u32) -> Result<(), PortError> {
        Ok(())
    }

    async fn record(&self, id: ProfileId, _: u64, status: &Status) -> Result<(), PortError> {
        self.0.recorded.lock().unwrap().push((id, status.clone()));
        Ok(())
    }

    async fn handed_over(&self, _: ProfileId, _: &[Digest]) -> Result<Vec<Digest>, PortError> {
        Ok(Vec::new())
    }

    async fn note_handed_over(
        &self,
        _: ProfileId,
        _: &[(Digest, Option<LedgerPlace>)],
        _: OffsetDateTime,
    ) -> Result<(), PortError> {
        Ok(())
    }

    async fn note_automated(
        &self,
        _: ProfileId,
        _: &[(MessageId, AutomatedSender)],
        _: OffsetDateTime,
    ) -> Result<(), PortError> {
        unreachable!("nothing is handed over here")
    }

    async fn forget(&self, _: ProfileId, time: Duration) -> Result<Forgotten, PortError> {
        assert!(time > Duration::from_secs(20), "all the time there is");
        let mut noted = self.0.noted.lock().unwrap();
        *noted -= 1;
        Ok(if *noted == 0 { Forgotten::All } else { Forgotten::More })
    }

    async fn flow_queue(&self, _: &FlowSchemaId) -> Result<FlowQueue, PortError> {
        Ok(FlowQueue::Default)
    }
}

impl Credentials for Ports {
    async fn credential(&self, id: ProfileId, _: &str) -> Result<Option<Credential>, PortError> {
        let profile = self.get(id).await?;
        assert!(profile.is_none_or(|profile| profile.settings.auth.login() != PANIC), "for the test");
        Ok(None)
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

fn tokens(ports: &Ports) -> Tokens<Ports> {
    let http = Http::new(Tls::new(None).unwrap(), AllowedHosts::default());
    Tokens::new(Discovery::new(http, clock::SYSTEM), ports.clone())
}

impl Handover for Ports {
    fn bucket(&self) -> &str {
        "bucket"
    }

    async fn put(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(), PortError> {
        Ok(())
    }

    async fn send(&self, _: Option<&str>, _: &[FlowJob]) -> Result<Vec<JobId>, PortError> {
        Ok(Vec::new())
    }

    async fn request_send(&self, _: ProfileId, _: &str) -> Result<(), PortError> {
        unreachable!("nothing is handed over here")
    }

    async fn request(&self, polls: &[(PollRequest, Duration)]) -> Result<(), PortError> {
        self.0.requested.lock().unwrap().extend_from_slice(polls);
        Ok(())
    }
}

impl Schedules for Ports {
    async fn joined(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.0.schedules.lock().unwrap().push(format!("joined {}", interval.seconds()));
        Ok(())
    }

    async fn left(&self, interval: RefreshInterval) -> Result<(), PortError> {
        self.0.schedules.lock().unwrap().push(format!("left {}", interval.seconds()));
        Ok(())
    }

    async fn repair(&self) -> Result<Vec<RefreshInterval>, PortError> {
        self.0.schedules.lock().unwrap().push("repair".to_owned());
        Err(PortError::Corrupt("for the test".to_owned()))
    }
}

fn profile(n: u32, login: &str, seconds: u32) -> Profile {
    let id = ProfileId::parse(&format!("01JDCABCDEFGHJKMNPQ{n:07}")).unwrap();
    let imap = Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: NonZeroU16::new(993).unwrap(),
        security: Security::Tls,
    };
    let auth = Auth::Plain { login: login.to_owned() };
    let settings = Settings {
        refresh_interval: RefreshInterval::from_seconds(seconds).unwrap(),
        ..Settings::listening("Support", imap, auth, FlowSchemaId::parse("flow").unwrap())
    };
    Profile { secret_version: Some("1".to_owned()), ..Profile::new(id, settings, clock::now()) }
}

/// Has the function handle one event, and returns what its ports remember with its answer.
async fn handle(profiles: Vec<Profile>, event: Value) -> (Arc<Memory>, Value) {
    handle_with(Memory { profiles, ..Memory::default() }, event).await
}

async fn handle_with(memory: Memory, event: Value) -> (Arc<Memory>, Value) {
    let memory = Arc::new(memory);
    let ports = Ports(Arc::clone(&memory));
    let imap = Connector::new(Tls::new(None).unwrap(), AllowedHosts::default());
    let deadline = clock::instant() + Duration::from_secs(30);
    let function = Fetch::new(ports.clone(), tokens(&ports), ports.clone(), ports, imap, clock::SYSTEM);
    let answer = function.handle(event, deadline).await.unwrap();
    (memory, serde_json::to_value(answer).unwrap())
}

fn codes(memory: &Memory) -> Vec<ErrorCode> {
    let mut recorded = memory.recorded.lock().unwrap().clone();
    recorded.sort_by_key(|(id, _)| *id);
    recorded.into_iter().map(|(_, status)| status.error.unwrap().code).collect()
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_profile_and_of_no_other() {
    let profiles = vec![profile(1, "ann", 300), profile(2, PANIC, 300), profile(3, "bob", 300)];
    let (memory, answer) = handle(profiles, json!({"refresh_interval": 300})).await;
    assert_eq!(codes(&memory), [ErrorCode::SecretMissing, ErrorCode::Internal, ErrorCode::SecretMissing]);
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn many_profiles_go_to_the_poll_queue_in_batches() {
    let profiles = (0..250).map(|n| profile(n, "ann", 300)).collect();
    let (memory, _) = handle(profiles, json!({"refresh_interval": 300})).await;
    assert_eq!(memory.requested.lock().unwrap().len(), 3);
    assert!(memory.recorded.lock().unwrap().is_empty(), "none was polled here");
}

#[tokio::test]
async fn a_profile_that_has_to_wait_is_left_alone() {
    let mut waiting = profile(1, "ann", 300);
    waiting.status.not_before = Some(clock::now() + time::Duration::MINUTE);
    let (memory, _) = handle(vec![waiting, profile(2, "bob", 300)], json!({"refresh_interval": 300})).await;
    assert_eq!(memory.recorded.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_later_rounds_of_a_short_interval_come_through_the_poll_queue() {
    let (memory, _) = handle(vec![profile(1, "ann", 20)], json!({"refresh_interval": 20})).await;
    let requested = memory.requested.lock().unwrap().clone();
    let rounds: Vec<u64> = requested.iter().map(|(_, delay)| delay.as_secs()).collect();
    assert_eq!(rounds, [20, 40]);
    // A round asks for no rounds of its own.
    let body = requested[0].0.to_json();
    let (memory, _) =
        handle(vec![profile(1, "ann", 20)], json!({"Records": [{"messageId": "1", "body": body}]})).await;
    assert!(memory.requested.lock().unwrap().is_empty());
    assert_eq!(memory.recorded.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_schedule_that_no_profile_uses_is_removed_and_the_default_one_repairs_the_others() {
    let (memory, _) = handle(Vec::new(), json!({"refresh_interval": 600})).await;
    assert_eq!(*memory.schedules.lock().unwrap(), ["left 600"]);
    let (memory, _) = handle(Vec::new(), json!({"refresh_interval": 300})).await;
    assert_eq!(*memory.schedules.lock().unwrap(), ["left 300", "repair"]);
}

#[tokio::test]
async fn a_failed_repair_does_not_fail_the_invocation() {
    let (memory, answer) = handle(vec![profile(1, "ann", 300)], json!({"refresh_interval": 300})).await;
    assert_eq!(*memory.schedules.lock().unwrap(), ["repair"]);
    assert_eq!(codes(&memory), [ErrorCode::SecretMissing]);
    assert_eq!(answer, json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn forgetting_goes_on_through_the_poll_queue_until_nothing_is_left() {
    let request =
        json!({"kind": "forget", "version": 1, "profile_id": profile(1, "ann", 300).id.to_string()});
    let record = json!({"messageId": "1", "body": request.to_string()});
    for (noted, asked_again) in [(2, 1), (1, 0)] {
        let memory = Memory { noted: Mutex::new(noted), ..Memory::default() };
        let (memory, answer) = handle_with(memory, json!({"Records": [record]})).await;
        assert_eq!(answer, json!({"batchItemFailures": []}));
        let requested = memory.requested.lock().unwrap().clone();
        assert_eq!(requested.len(), asked_again);
        assert!(
            requested.iter().all(|(asked, _)| *asked == PollRequest::read(&request.to_string()).unwrap())
        );
    }
}

#[tokio::test]
async fn one_bad_message_never_spoils_its_batch() {
    let good = json!({"kind": "profile", "version": 1, "profile_id": profile(1, "ann", 300).id.to_string()});
    let records = [
        ("bad-json", "{".to_owned()),
        ("good", good.to_string()),
        ("of-the-future", json!({"kind": "profile", "version": 2, "profile_id": "x"}).to_string()),
        ("no-id", json!({"kind": "profile", "version": 1, "profile_id": "x"}).to_string()),
        ("no-interval", json!({"kind": "round", "version": 1, "refresh_interval": 7}).to_string()),
    ]
    .map(|(id, body)| json!({"messageId": id, "body": body}));
    let (memory, answer) = handle(vec![profile(1, "ann", 300)], json!({"Records": records})).await;
    let failed: Vec<&str> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["bad-json", "of-the-future", "no-id", "no-interval"]);
    assert_eq!(codes(&memory), [ErrorCode::SecretMissing]);
}

#[tokio::test]
async fn an_unknown_event_is_refused_by_name() {
    let memory = Ports(Arc::new(Memory::default()));
    let imap = Connector::new(Tls::new(None).unwrap(), AllowedHosts::default());
    let function = Fetch::new(memory.clone(), tokens(&memory), memory.clone(), memory, imap, clock::SYSTEM);
    for event in [json!({}), json!({"refresh_interval": 7}), json!({"refresh_interval": "300"}), json!([1])] {
        let error = function.handle(event, clock::instant() + Duration::from_secs(30)).await.unwrap_err();
        assert!(matches!(error, FetchError::Event(_)), "{error}");
    }
}
