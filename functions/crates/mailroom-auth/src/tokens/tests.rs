#![expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use mailroom_core::flow::FlowSchemaId;
use mailroom_core::ports::Credentials;
use mailroom_core::profile::Settings;
use mailroom_core::provider::Provider as Kind;
use mailroom_core::server::{Host, Security, Server};
use serde_json::json;

use super::*;
use crate::client::tests::Provider;

/// Every test happens at this time.
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// What was written, and what was noted of the sign-in.
type Write = (&'static str, Option<Authorization>);

/// A store that notes what is written, each after a while.
#[derive(Debug, Clone, Default)]
struct Store {
    writes: Arc<Mutex<Vec<Write>>>,
}

impl Store {
    async fn note(&self, write: &'static str, authorization: Option<&Authorization>) {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        self.writes.lock().unwrap().push((write, authorization.cloned()));
    }

    fn writes(&self) -> Vec<&'static str> {
        self.writes.lock().unwrap().iter().map(|(write, _)| *write).collect()
    }
}

fn stored() -> Credential {
    let (secret, refresh_token) = (Some("s".into()), Some("rt-1".into()));
    Credential::Client(ClientCredential { secret, refresh_token, smtp_password: None })
}

impl Credentials for Store {
    async fn credential(&self, _: ProfileId, _: &str) -> Result<Option<Credential>, PortError> {
        Ok(Some(stored()))
    }
}

impl Grants for Store {
    type Claim = ();

    async fn profile(&self, _: ProfileId) -> Result<Option<Profile>, PortError> {
        Ok(None)
    }

    async fn claim(&self, _: &Profile, _: OffsetDateTime, _: OffsetDateTime) -> Result<(), PortError> {
        Ok(())
    }

    async fn newest(&self, _: ProfileId) -> Result<Option<Credential>, PortError> {
        Ok(Some(stored()))
    }

    async fn rotated(
        &self,
        _: &Profile,
        (): &(),
        _: &Credential,
        authorization: &Authorization,
    ) -> Result<(), PortError> {
        self.note("rotated", Some(authorization)).await;
        Ok(())
    }

    async fn unclaim(
        &self,
        _: ProfileId,
        (): &(),
        authorization: Option<&Authorization>,
    ) -> Result<(), PortError> {
        self.note("unclaimed", authorization).await;
        Ok(())
    }
}

fn profile(settings: Oauth2, stored_at: OffsetDateTime) -> Profile {
    let imap = Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: NonZeroU16::new(993).unwrap(),
        security: Security::Tls,
    };
    let flow = FlowSchemaId::parse("flow").unwrap();
    let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let mut profile =
        Profile::new(id, Settings::listening("Support", imap, Auth::Oauth2(settings), flow), NOW);
    profile.secret_version = Some("1".to_owned());
    profile.authorization =
        Some(Authorization { since: NOW, refreshed_at: NOW, stored_at, expires_at: None });
    profile
}

async fn rotating() -> Provider {
    let granted = json!({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt-2"});
    Provider::answering(&["client_secret_post"], 200, granted).await
}

fn tokens(store: &Store) -> Tokens<Store> {
    Tokens::new(crate::discovery::tests::discovery("127.0.0.1"), store.clone())
}

#[tokio::test]
async fn a_token_that_was_replaced_is_stored_before_the_function_answers() {
    let (provider, store) = (rotating().await, Store::default());
    let tokens = tokens(&store);
    let profile = profile(provider.settings(), NOW);
    // The caller gives up while the new token is stored.
    let soon = Instant::now() + std::time::Duration::from_millis(100);
    let given_up = tokens.access_token(&profile, Acceptable::Any, soon).await;
    assert!(matches!(given_up, Err(OauthError::Busy)), "{given_up:?}");
    assert_eq!(store.writes(), [""; 0]);
    tokens.settle(Instant::now() + std::time::Duration::from_secs(10)).await;
    assert_eq!(store.writes(), ["rotated"]);
}

#[tokio::test]
async fn a_token_that_stays_good_when_it_is_used_is_replaced_in_the_store_once_a_day() {
    let (provider, store) = (rotating().await, Store::default());
    let tokens = tokens(&store);
    let shared = &tokens.shared;
    let settings = provider.settings();
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    let found = shared.discovery.provider(&settings.discovery_url, deadline).await.unwrap();
    for (kind, age, write) in [
        (Kind::Microsoft, Duration::hours(1), "unclaimed"),
        (Kind::Microsoft, Duration::hours(25), "rotated"),
        (Kind::Google, Duration::hours(1), "rotated"),
        (Kind::Other, Duration::hours(1), "rotated"),
    ] {
        let mut provider = (*found).clone();
        provider.kind = kind;
        let profile = profile(settings.clone(), NOW - age);
        let refreshed = shared.refresh_claimed(&profile, &settings, &provider, &settings.scopes, &()).await;
        assert_eq!(refreshed.unwrap().access_token.expose_secret(), "at");
        let (written, authorization) = store.writes.lock().unwrap().pop().unwrap();
        assert_eq!(written, write, "{kind:?} {age}");
        let stored_at = if write == "rotated" { NOW } else { NOW - age };
        assert_eq!(authorization.unwrap().stored_at, stored_at, "{kind:?} {age}");
    }
}
