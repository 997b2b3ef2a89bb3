//! What is written is read back, and stays small.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use mailroom_core::trouble::ErrorCode;
use time::macros::{date, datetime};

use super::*;

fn profile() -> Profile {
    Profile {
        id: ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap(),
        name: "Support".to_owned(),
        description: String::new(),
        listen: true,
        mailbox: Mailbox::parse("INBOX").unwrap(),
        imap: Some(Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        }),
        smtp: None,
        flow_schema_id: Some("add-to-queue".to_owned()),
        refresh_interval: RefreshInterval::DEFAULT,
        auth: Auth::Plain { login: "support@example.com".to_owned() },
        include_seen: false,
        start_from: StartFrom::Now,
        after_fetch: AfterFetch::Keep,
        max_message_bytes: Profile::DEFAULT_MAX_MESSAGE_BYTES,
        version: 7,
        secret_version: Some("8b1c4f0e-0000-4000-8000-000000000000".to_owned()),
        created_at: datetime!(2026-11-01 12:00:00.123 UTC),
        updated_at: datetime!(2026-11-02 12:00 UTC),
        cursor: Some(Cursor {
            uid_validity: UidValidity::new(1_700_000_000),
            last_uid: 4711,
            newest: datetime!(2026-11-03 12:00 UTC),
            floor: None,
        }),
        status: Status {
            state: State::Ok,
            last_success_at: Some(datetime!(2026-11-03 12:00 UTC)),
            ..Status::default()
        },
    }
}

fn there_and_back(profile: &Profile) -> Profile {
    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(ProfileItem::from(profile)).unwrap();
    serde_dynamo::from_item::<_, ProfileItem>(item).unwrap().read().unwrap()
}

#[test]
fn a_profile_comes_back_as_it_was() {
    let plain = profile();
    assert_eq!(there_and_back(&plain), plain);
    let full = Profile {
        description: "notes".to_owned(),
        listen: false,
        imap: None,
        smtp: plain.imap.clone().map(|server| Server { security: Security::StartTls, ..server }),
        flow_schema_id: None,
        auth: Auth::Oauth2 {
            login: "a@b.c".to_owned(),
            client_id: "id".to_owned(),
            discovery_url: "https://issuer.example".to_owned(),
            scopes: vec!["one".to_owned()],
        },
        include_seen: true,
        start_from: StartFrom::Date(date!(2026 - 11 - 01)),
        after_fetch: AfterFetch::Move(Mailbox::parse("Done").unwrap()),
        cursor: Some(Cursor {
            uid_validity: None,
            last_uid: 0,
            newest: OffsetDateTime::UNIX_EPOCH,
            floor: Some(Floor { up_to: Uid::new(9).unwrap(), since: datetime!(2026-10-01 0:00 UTC) }),
        }),
        status: Status {
            state: State::Misconfigured,
            not_before: Some(datetime!(2026-11-04 0:00 UTC)),
            error: Some(StandingError {
                code: ErrorCode::ImapAuth,
                message: "no".to_owned(),
                since: datetime!(2026-11-03 0:00 UTC),
                count: 5,
            }),
            ..Status::default()
        },
        ..plain
    };
    assert_eq!(there_and_back(&full), full);
}

#[test]
fn a_profile_that_does_not_listen_is_not_in_the_index() {
    let item = ProfileItem::from(&Profile { listen: false, ..profile() });
    assert_eq!((item.poll_key, item.poll_sort), (None, None));
}

#[test]
fn an_ordinary_profile_stays_below_a_kilobyte() {
    // As DynamoDB counts: names and texts in full, numbers two digits a byte, 3 bytes for a map, 1 for the rest.
    fn size(value: &AttributeValue) -> usize {
        if let Ok(map) = value.as_m() {
            3 + map.iter().map(|(name, value)| name.len() + 1 + size(value)).sum::<usize>()
        } else if let Ok(number) = value.as_n() {
            number.len() / 2 + 1
        } else {
            value.as_s().map_or(1, String::len)
        }
    }
    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(ProfileItem::from(&profile())).unwrap();
    let bytes: usize = item.iter().map(|(name, value)| name.len() + size(value)).sum();
    assert!(bytes < 1024, "{bytes} bytes");
}

#[test]
fn the_first_version_ever_stored_is_still_read() {
    let stored = serde_json::json!({
        "PK": "PROFILE#01JDCABCDEFGHJKMNPQRSTVWXY", "SK": "PROFILE",
        "id": "01JDCABCDEFGHJKMNPQRSTVWXY", "name": "Support", "listen": true, "mailbox": "INBOX",
        "imap": {"host": "imap.example.com", "port": 993, "security": "tls"},
        "flow_schema_id": "add-to-queue", "refresh_interval": 300,
        "auth": {"type": "plain", "login": "support@example.com"},
        "start_from": "now", "max_message_bytes": 26_214_400, "version": 1,
        "created_at": 1_793_534_400_000_i64, "updated_at": 1_793_534_400_000_i64,
        "status": {"state": "pending"}
    });
    let profile = serde_json::from_value::<ProfileItem>(stored).unwrap().read().unwrap();
    assert_eq!(
        (profile.status, profile.cursor, profile.after_fetch),
        (Status::default(), None, AfterFetch::Keep)
    );
}
