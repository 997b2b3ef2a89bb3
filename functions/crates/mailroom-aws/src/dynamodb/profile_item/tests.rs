//! What is written is read back, and stays small.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use mailroom_core::audit::{AuditResult, AuditStatus, WaitingMark};
use mailroom_core::health::{CurrentError, ProfileState, SendingStatus, SkippedSeen, Status};
use mailroom_core::inbound::cursor::{Cursor, Floor, MailboxId, Uid, UidValidity};
use mailroom_core::inbound::deferred::{Deferred, QuarantineNotice};
use mailroom_core::inbound::held_back::{Answer, HeldBack};
use mailroom_core::inbound::overdue::OverdueChanges;
use mailroom_core::inbound::pending::{Extent, PendingMessage};
use mailroom_core::oauth2::Authorization;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::Settings;
use proptest::option;
use proptest::prelude::*;
use time::macros::{date, datetime};

use time::OffsetDateTime;

use super::*;

fn profile() -> Profile {
    Profile {
        id: ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap(),
        settings: Settings {
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
            flow_schema_id: Some(FlowSchemaId::parse("add-to-queue").unwrap()),
            refresh_interval: RefreshInterval::DEFAULT,
            auth: Auth::Plain { login: "support@example.com".to_owned() },
            smtp_auth: None,
            from: None,
            include_seen: false,
            start_from: StartFrom::Now,
            after_fetch: AfterFetch::Keep,
            max_message_bytes: Settings::DEFAULT_MAX_MESSAGE_BYTES,
            trusted_authserv_ids: Vec::new(),
        },
        version: 7,
        secret_version: Some("8b1c4f0e-0000-4000-8000-000000000000".to_owned()),
        authorization: None,
        created_at: datetime!(2026-11-01 12:00:00.123 UTC),
        updated_at: datetime!(2026-11-02 12:00 UTC),
        listens_since: Some(datetime!(2026-11-01 12:00:00.123 UTC)),
        cursor: Some(Cursor::new(UidValidity::new(1_700_000_000), 4711, datetime!(2026-11-03 12:00 UTC))),
        deferred: vec![Deferred::new(
            PendingMessage { uid: Uid::new(4700).unwrap(), extent: Extent::Unlisted, size: 0, arrived: None },
            UidValidity::new(1_700_000_000),
            QuarantineNotice::Sent,
            datetime!(2026-11-03 12:00 UTC),
        )],
        held_back: None,
        declined: None,
        overdue: None,
        skipped_seen: SkippedSeen::default(),
        unsearched_at: None,
        repeats_up_to: None,
        audit: None,
        status: Status {
            state: ProfileState::Ok,
            last_success_at: Some(datetime!(2026-11-03 12:00 UTC)),
            ..Status::default()
        },
        sending: None,
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
        settings: Settings {
            description: "notes".to_owned(),
            listen: false,
            imap: None,
            smtp: plain.settings.imap.clone().map(|server| Server { security: Security::StartTls, ..server }),
            flow_schema_id: None,
            auth: Auth::Oauth2(Oauth2 {
                grant: Grant::JwtBearer,
                login: "a@b.c".to_owned(),
                client_id: "id".to_owned(),
                discovery_url: "https://issuer.example".to_owned(),
                scopes: vec!["one".to_owned()],
                confidential: false,
                client_secret_expires_on: Some(date!(2027 - 11 - 01)),
            }),
            smtp_auth: Some(SmtpAuth { login: "DOMAIN\\user".to_owned() }),
            from: Some(SenderIdentity {
                address: EmailAddress::parse("sales@example.com").unwrap(),
                name: Some(HeaderText::parse("Sales", 200).unwrap()),
            }),
            include_seen: true,
            start_from: StartFrom::Date(date!(2026 - 11 - 01)),
            after_fetch: AfterFetch::Move(Mailbox::parse("Done").unwrap()),
            trusted_authserv_ids: vec![AuthservId::parse("mx.example.com").unwrap()],
            ..plain.settings.clone()
        },
        authorization: Some(Authorization {
            since: datetime!(2026-10-01 0:00 UTC),
            refreshed_at: datetime!(2026-11-01 0:00 UTC),
            stored_at: datetime!(2026-10-31 6:00 UTC),
            expires_at: Some(datetime!(2027-11-01 0:00 UTC)),
        }),
        cursor: Some(Cursor {
            mailbox_id: Some(MailboxId::new(u64::MAX)),
            old_until: Some(datetime!(2026-09-01 0:00 UTC)),
            moved_at: Some(datetime!(2026-10-02 0:00 UTC)),
            floor: Some(Floor {
                up_to: Uid::new(9).unwrap(),
                since: datetime!(2026-10-01 0:00 UTC),
                renumbered: true,
            }),
            ..Cursor::new(None, 0, OffsetDateTime::UNIX_EPOCH)
        }),
        deferred: Vec::new(),
        held_back: Some(HeldBack {
            cursor: Cursor::new(UidValidity::new(9), 70, datetime!(2026-11-01 0:00 UTC)),
            up_to: 5000,
            count: 4930,
            more: true,
            since: datetime!(2026-11-03 0:00 UTC),
            answer: Answer::Accepted,
        }),
        declined: Some(HeldBack {
            cursor: Cursor::new(UidValidity::new(9), 7, datetime!(2026-11-01 0:00 UTC)),
            up_to: 60,
            count: 1053,
            more: false,
            since: datetime!(2026-11-02 0:00 UTC),
            answer: Answer::Awaited,
        }),
        overdue: Some(OverdueChanges {
            uid_validity: UidValidity::new(9),
            untouched: vec![Uid::new(4).unwrap(), Uid::new(5).unwrap()],
            copied: vec![Uid::new(6).unwrap()],
            left_out: 3,
            error: "There is no such mailbox.".to_owned(),
            since: datetime!(2026-11-03 0:00 UTC),
            tries: 2,
            due_at: datetime!(2026-11-03 1:00 UTC),
            version: 7,
        }),
        skipped_seen: SkippedSeen { count: 12, last_at: Some(datetime!(2026-11-03 12:00 UTC)) },
        unsearched_at: Some(datetime!(2026-11-03 12:00 UTC)),
        repeats_up_to: Uid::new(4711),
        audit: Some(AuditStatus {
            at: datetime!(2026-11-03 6:00 UTC),
            result: AuditResult::Inconclusive,
            missing: 0,
            reason: Some("There is no connection.".to_owned()),
            waiting: Some(WaitingMark { uid_validity: UidValidity::new(9), up_to: 80 }),
        }),
        status: Status {
            state: ProfileState::Misconfigured,
            not_before: Some(datetime!(2026-11-04 0:00 UTC)),
            error: Some(CurrentError {
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
    let item = ProfileItem::from(&Profile {
        settings: Settings { listen: false, ..profile().settings },
        ..profile()
    });
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
        (profile.status, profile.cursor, profile.settings.after_fetch),
        (Status::default(), None, AfterFetch::Keep)
    );
}

#[test]
fn a_profile_stays_in_its_shard_for_ever() {
    let shard_of = |id: &str| shard(ProfileId::parse(id).unwrap());
    assert_eq!(shard_of("01JDCABCDEFGHJKMNPQRSTVWXY"), 14);
    assert_eq!(shard_of("01JDCABCDEFGHJKMNPQRSTVWXZ"), 13);
    let mut counts = [0_u32; 16];
    for n in 0..16_000_u128 {
        let id = ProfileId::new(ulid::Ulid::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)));
        counts[usize::from(shard(id))] += 1;
    }
    assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
}

fn text(max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..=max).prop_map(String::from_iter)
}

/// Any time of the years 1 to 9999, in whole milliseconds.
fn moment() -> impl Strategy<Value = OffsetDateTime> {
    (-62_135_596_800_000_i64..=253_402_300_799_999).prop_map(|millis| time_of("test", millis).unwrap())
}

fn server() -> impl Strategy<Value = Server> {
    let host = prop::sample::select(vec!["imap.example.com", "127.0.0.1", "::1", "a"]);
    let security = prop::sample::select(vec![Security::Tls, Security::StartTls]);
    (host, 1..=u16::MAX, security).prop_map(|(host, port, security)| Server {
        host: Host::parse(host).unwrap(),
        port: NonZeroU16::new(port).unwrap(),
        security,
    })
}

fn mailbox() -> impl Strategy<Value = Mailbox> {
    text(20).prop_map(|name| Mailbox::parse(&name).unwrap_or_else(|_| Mailbox::parse("INBOX").unwrap()))
}

fn flow_schema_id() -> impl Strategy<Value = FlowSchemaId> {
    "[a-z0-9][A-Za-z0-9._-]{0,9}".prop_map(|id| FlowSchemaId::parse(&id).unwrap())
}

fn auth() -> impl Strategy<Value = Auth> {
    let scopes = prop::collection::vec(text(9), 0..3);
    prop_oneof![
        text(20).prop_map(|login| Auth::Plain { login }),
        (any::<bool>(), text(20), text(9), text(9), scopes).prop_map(
            |(signed_in, login, client_id, discovery_url, scopes)| {
                let grant = if signed_in { Grant::AuthorizationCode } else { Grant::ClientCredentials };
                Auth::Oauth2(Oauth2 {
                    grant,
                    login,
                    client_id,
                    discovery_url,
                    scopes,
                    confidential: signed_in,
                    client_secret_expires_on: None,
                })
            }
        ),
    ]
}

fn any_cursor() -> impl Strategy<Value = Cursor> {
    let floor = (1..=u32::MAX, moment(), any::<bool>()).prop_map(|(n, since, renumbered)| Floor {
        up_to: Uid::new(n).unwrap(),
        since,
        renumbered,
    });
    let rare = (option::of(any::<u64>()), option::of(moment()), option::of(moment()));
    (any::<u32>(), any::<u32>(), moment(), option::of(floor), rare).prop_map(
        |(uid_validity, last_uid, newest, floor, (mailbox_id, old_until, moved_at))| Cursor {
            uid_validity: UidValidity::new(uid_validity),
            mailbox_id: mailbox_id.map(MailboxId::new),
            last_uid,
            newest,
            old_until,
            floor,
            moved_at,
        },
    )
}

fn any_status() -> impl Strategy<Value = Status> {
    let states = vec![
        ProfileState::Pending,
        ProfileState::Ok,
        ProfileState::Failing,
        ProfileState::Throttled,
        ProfileState::Misconfigured,
        ProfileState::ReauthorizationRequired,
        ProfileState::Off,
    ];
    let codes =
        vec![ErrorCode::ImapAuth, ErrorCode::Oauth2Grant, ErrorCode::HostNotAllowed, ErrorCode::Internal];
    let error = (prop::sample::select(codes), text(20), moment(), any::<u32>())
        .prop_map(|(code, message, since, count)| CurrentError { code, message, since, count });
    let times = (option::of(moment()), option::of(moment()), option::of(moment()));
    (prop::sample::select(states), times, option::of(error)).prop_map(
        |(state, (last_success_at, last_message_at, not_before), error)| Status {
            state,
            last_success_at,
            last_message_at,
            not_before,
            error,
        },
    )
}

prop_compose! {
    fn any_profile()(
        id in any::<u128>(),
        (name, description) in (text(20), text(20)),
        (listen, include_seen) in any::<(bool, bool)>(),
        (mailbox, done) in (mailbox(), mailbox()),
        (imap, smtp) in (option::of(server()), option::of(server())),
        (flow_schema_id, secret_version) in (option::of(flow_schema_id()), option::of(text(9))),
        seconds in prop::sample::select(vec![10, 15, 20, 30, 60, 300, 86_400]),
        auth in auth(),
        start_from in prop_oneof![
            Just(StartFrom::Now),
            Just(StartFrom::All),
            moment().prop_map(|at| StartFrom::Date(at.date())),
        ],
        after_fetch in prop::sample::select(vec![AfterFetch::Keep, AfterFetch::MarkSeen]),
        moves in any::<bool>(),
        (max_message_bytes, version) in any::<(u64, u64)>(),
        (created_at, updated_at, listens_since) in (moment(), moment(), moment()),
        cursor in option::of(any_cursor()),
        (status, sent) in (any_status(), any_status()),
    ) -> Profile {
        Profile {
            id: ProfileId::new(ulid::Ulid::from(id)),
            settings: Settings {
            name, description, listen, mailbox, imap, smtp, flow_schema_id,
            refresh_interval: RefreshInterval::from_seconds(seconds).unwrap(),
            auth, smtp_auth: None, from: None, include_seen, start_from,
            after_fetch: if moves { AfterFetch::Move(done) } else { after_fetch },
            max_message_bytes, trusted_authserv_ids: Vec::new(),
            },
            version, secret_version, authorization: None, created_at, updated_at,
            listens_since: Some(listens_since), cursor, deferred: Vec::new(),
            held_back: None, declined: None, overdue: None, skipped_seen: SkippedSeen::default(), unsearched_at: None, repeats_up_to: None, audit: None, status,
            sending: sent.error.map(|error| SendingStatus { error, not_before: sent.not_before, version }),
        }
    }
}

proptest! {
    #[test]
    fn any_profile_comes_back_as_it_was(profile in any_profile()) {
        prop_assert_eq!(there_and_back(&profile), profile);
    }

    #[test]
    fn any_profile_is_listed_and_found_by_its_words(profile in any_profile()) {
        let item = ProfileItem::from(&profile);
        prop_assert_eq!(item.list_key.as_deref(), Some("PROFILE"));
        prop_assert_eq!(item.list_sort, Some(profile.id.to_string()));
        prop_assert_eq!(item.poll_key.is_some(), profile.settings.listen);
        let search = item.search.unwrap();
        let half: String = profile.settings.name.chars().take(profile.settings.name.chars().count() / 2).collect();
        prop_assert!(search.contains(&lower_case(&half)));
        prop_assert!(search.contains(&lower_case(profile.settings.auth.login())));
        for server in profile.settings.imap.iter().chain(&profile.settings.smtp) {
            prop_assert!(search.contains(server.host.as_str()));
        }
    }
}
