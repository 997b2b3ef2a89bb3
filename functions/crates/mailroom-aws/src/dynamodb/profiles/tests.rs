//! What an edit writes, and what it leaves alone.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use mailroom_core::edit::edit;
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::inbound::cursor::Cursor;
use mailroom_core::oauth2::Authorization;
use mailroom_core::ports::{Forgotten, Profiles as _};
use mailroom_core::profile::{AfterFetch, Auth, Settings};
use mailroom_core::server::{Host, Mailbox, Security, Server};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, exception, ok, service};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn server(host: &str) -> Server {
    let port = NonZeroU16::new(993).unwrap();
    Server { host: Host::parse(host).unwrap(), port, security: Security::Tls }
}

fn profile() -> Profile {
    let id = ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap();
    let flow = FlowSchemaId::parse("flow").unwrap();
    let auth = Auth::Plain { login: "A@example.com".to_owned() };
    Profile {
        cursor: Some(Cursor::new(None, 7, NOW)),
        ..Profile::new(id, Settings::listening("Support", server("imap.example.com"), auth, flow), NOW)
    }
}

async fn written(change: impl FnOnce(&mut Profile)) -> Value {
    let (table, calls) = table([ok(json!({}))]);
    let mut wanted = profile();
    change(&mut wanted);
    table.update(&profile(), &edit(&profile(), wanted, NOW), Editor::Anyone(NOW)).await.unwrap();
    calls.all()[0].body.clone()
}

/// Every attribute of the wire is a setting, which an edit writes, or the polls', which it does not.
#[test]
fn every_attribute_has_one_owner() {
    let full = Profile {
        settings: Settings {
            description: "d".to_owned(),
            smtp: Some(server("smtp.example.com")),
            include_seen: true,
            after_fetch: AfterFetch::MarkSeen,
            ..profile().settings
        },
        secret_version: Some("1".to_owned()),
        authorization: Some(Authorization {
            since: NOW,
            refreshed_at: NOW,
            stored_at: NOW,
            expires_at: None,
        }),
        ..profile()
    };
    let item = to_item(ProfileItem::from(&full)).unwrap();
    let of_polls = ["PK", "SK", "id", "created_at", "cursor", "status", "fence", "tries"];
    let mut owned = settings(&item, &item);
    assert!(owned.contains("include_seen") && owned.contains("authorization"));
    for name in of_polls {
        assert!(owned.insert(name), "{name} is not a setting");
    }
    assert_eq!(item.keys().map(String::as_str).collect::<BTreeSet<_>>(), owned);
}

#[tokio::test]
async fn words_leave_status_cursor_and_lease_alone() {
    let body = written(|profile| profile.settings.name = "Sales".to_owned()).await;
    assert_eq!(
        body["ConditionExpression"],
        "#version = :expected AND attribute_not_exists(#secret_version) AND (attribute_not_exists(claimed_until) OR claimed_until < :claim)"
    );
    assert_eq!(body["ExpressionAttributeValues"][":expected"]["N"], "1");
    assert_eq!(body["ExpressionAttributeValues"][":version"]["N"], "2");
    assert_eq!(body["ExpressionAttributeValues"][":search"]["S"], "sales\na@example.com\nimap.example.com");
    let expression = body["UpdateExpression"].as_str().unwrap();
    for kept in ["cursor", "status", "lease", "fence", "tries"] {
        assert!(!expression.contains(kept), "{expression}");
    }
    assert!(expression.ends_with(" REMOVE claimed_until"), "{expression}");
}

#[tokio::test]
async fn another_mailbox_drops_the_cursor_and_ends_the_run() {
    let body = written(|profile| profile.settings.mailbox = Mailbox::parse("Orders").unwrap()).await;
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.contains("#status = :status, tries = :none"), "{expression}");
    assert!(
        expression.ends_with(", lease_until, #cursor, deferred_messages, held_back, declined, overdue_changes, skipped_seen, unsearched_at, repeats_up_to, audit ADD fence :one"),
        "{expression}"
    );
}

#[tokio::test]
async fn another_name_of_the_server_ends_the_run_and_keeps_the_cursor() {
    let body = written(|profile| profile.settings.imap = Some(server("mail.example.com"))).await;
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.contains(", tries = :none, #cursor.moved_at = :moved_at REMOVE "), "{expression}");
    assert!(expression.ends_with(", lease_until ADD fence :one"), "{expression}");
}

#[tokio::test]
async fn a_profile_that_stops_listening_leaves_the_index_of_polls() {
    let body = written(|profile| profile.settings.listen = false).await;
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.ends_with(" REMOVE claimed_until, #poll_key, #poll_sort"), "{expression}");
    assert_eq!(body["ExpressionAttributeValues"][":status"]["M"]["state"]["S"], "off");
}

#[tokio::test]
async fn an_edit_of_another_version_is_lost() {
    let (table, _) = table([exception("ConditionalCheckFailedException")]);
    let result = table.update(&profile(), &edit(&profile(), profile(), NOW), Editor::Anyone(NOW)).await;
    assert!(matches!(result, Err(PortError::Lost)));
}

#[tokio::test]
async fn a_profile_appears_as_its_draft_vanishes() {
    let canceled = |code: &str| {
        let reasons = json!([{"Code": code}, {"Code": "None"}]);
        crate::replay::refusal("TransactionCanceledException", &json!({"CancellationReasons": reasons}))
    };
    let (table, calls) =
        table([canceled("ConditionalCheckFailed"), canceled("ThrottlingError"), ok(json!({}))]);
    assert!(matches!(table.create(&profile()).await, Err(PortError::Lost)));
    assert!(matches!(table.create(&profile()).await, Err(PortError::Unavailable { .. })));
    table.create(&profile()).await.unwrap();
    let items = &calls.all()[0].body["TransactItems"];
    assert_eq!(items[0]["Put"]["ConditionExpression"], "attribute_not_exists(PK)");
    assert_eq!(items[0]["Put"]["Item"].get("lease_until"), None);
    assert_eq!(items[1]["Delete"]["Key"]["PK"]["S"], "DRAFTS");
}

#[tokio::test]
async fn only_an_interval_that_is_joined_is_registered_first() {
    let every = |seconds| Profile {
        settings: Settings {
            refresh_interval: RefreshInterval::from_seconds(seconds).unwrap(),
            ..profile().settings
        },
        ..profile()
    };
    let cases = [
        (every(300), every(600), true),
        (
            Profile { settings: Settings { listen: false, ..every(600).settings }, ..every(600) },
            every(600),
            true,
        ),
        (
            every(600),
            Profile { settings: Settings { name: "Sales".to_owned(), ..every(600).settings }, ..every(600) },
            false,
        ),
        (
            every(600),
            Profile { settings: Settings { listen: false, ..every(900).settings }, ..every(900) },
            false,
        ),
        (every(600), every(300), false),
    ];
    for (current, wanted, registers) in cases {
        let (table, calls) = table([ok(json!({})), ok(json!({}))]);
        table.update(&current, &edit(&current, wanted, NOW), Editor::Anyone(NOW)).await.unwrap();
        let calls = calls.all();
        assert_eq!(calls.len(), 1 + usize::from(registers));
        let registered = calls[0].body["Key"] == json!({"PK": {"S": "INTERVALS"}, "SK": {"S": "000600"}});
        assert_eq!(registered, registers);
    }
}

#[tokio::test]
async fn a_poll_s_status_outlives_words_and_nothing_else() {
    type Change = fn(&mut Profile);
    let words: [Change; 2] =
        [|p| p.settings.name = "Sales".to_owned(), |p| p.settings.description = "notes".to_owned()];
    let more: [Change; 3] = [
        |p| p.secret_version = Some("2".to_owned()),
        |p| p.settings.max_message_bytes = 1,
        |p| p.settings.include_seen = true,
    ];
    let sets_status = |body: &Value| body["UpdateExpression"].as_str().unwrap().contains("#status");
    for change in words {
        assert!(!sets_status(&written(change).await));
    }
    for change in more {
        assert!(sets_status(&written(change).await));
    }
}

#[tokio::test]
async fn a_pause_ends_and_nothing_else_changes() {
    let (table, calls) = table([ok(json!({})), exception("ConditionalCheckFailedException")]);
    table.clear_pause(profile().id, 7).await.unwrap();
    assert!(matches!(table.clear_pause(profile().id, 7).await, Err(PortError::Lost)));
    let body = &calls.all()[0].body;
    assert_eq!(body["UpdateExpression"], "REMOVE #status.not_before");
    assert_eq!(body["ConditionExpression"], "#version = :version");
}

#[tokio::test]
async fn an_answer_is_stored_only_where_messages_are_held_back() {
    let (table, calls) = table([ok(json!({})), ok(json!({})), exception("ConditionalCheckFailedException")]);
    table.answer_held_back(profile().id, Accept::HandOver).await.unwrap();
    table.answer_held_back(profile().id, Accept::Drop).await.unwrap();
    let again = table.answer_held_back(profile().id, Accept::Drop).await;
    assert!(matches!(again, Err(PortError::Lost)));
    let calls = calls.all();
    assert!(calls.iter().all(|call| call.body["ConditionExpression"] == "attribute_exists(held_back)"));
    assert_eq!(calls[0].body["UpdateExpression"], "SET held_back.accepted = :yes");
    // A run that hands them over must not write them again.
    assert_eq!(
        calls[1].body["UpdateExpression"],
        "SET declined = held_back REMOVE held_back, lease_until ADD fence :one"
    );
}

#[tokio::test]
async fn a_retired_profile_can_be_polled_by_nobody() {
    let (table, calls) = table([ok(json!({}))]);
    table.retire(profile().id, 7, NOW).await.unwrap();
    let body = &calls.all()[0].body;
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.contains("listen = :no"), "{expression}");
    assert!(expression.ends_with("REMOVE poll_key, poll_sort, lease_until ADD #version :one, fence :one"));
    assert_eq!(body["ExpressionAttributeValues"][":expected"]["N"], "7");
    assert_eq!(body["ExpressionAttributeValues"][":off"]["M"]["state"]["S"], "off");
}

#[tokio::test]
async fn a_secret_of_another_version_is_another_profile() {
    let (table, calls) = table([ok(json!({})), ok(json!({}))]);
    let current = Profile { secret_version: Some("v1".to_owned()), ..profile() };
    table.update(&current, &edit(&current, current.clone(), NOW), Editor::Anyone(NOW)).await.unwrap();
    let _ = table.claim(&current, NOW, NOW).await.unwrap();
    for call in calls.all() {
        assert!(call.body["ConditionExpression"].as_str().unwrap().contains("#secret_version = :secret AND"));
        assert_eq!(call.body["ExpressionAttributeValues"][":secret"]["S"], "v1");
    }
}

#[tokio::test]
async fn under_a_claim_only_its_holder_edits() {
    let (table, calls) = table([ok(json!({})), ok(json!({})), exception("ConditionalCheckFailedException")]);
    let later = NOW + time::Duration::SECOND;
    let claim = table.claim(&profile(), NOW, later).await.unwrap();
    let edited = edit(&profile(), profile(), NOW);
    table.update(&profile(), &edited, Editor::Claimant(&claim)).await.unwrap();
    assert!(matches!(table.give_up(profile().id, &claim).await, Err(PortError::Lost)));
    let [taken, used, _] = &calls.all()[..] else { panic!("three calls") };
    let until = later.unix_timestamp() * 1000;
    assert_eq!(taken.body["ExpressionAttributeValues"][":until"]["N"], until.to_string());
    assert_eq!(taken.body["ExpressionAttributeValues"][":claim"]["N"], (until - 1000).to_string());
    let condition =
        "#version = :expected AND attribute_not_exists(#secret_version) AND claimed_until = :claim";
    assert_eq!(used.body["ConditionExpression"], condition);
    assert_eq!(used.body["ExpressionAttributeValues"][":claim"]["N"], until.to_string());
    assert!(used.body["UpdateExpression"].as_str().unwrap().contains(" REMOVE claimed_until"));
}

#[tokio::test]
async fn drafts_are_found_by_their_age() {
    let draft = |id: &str| json!({"PK": {"S": "DRAFTS"}, "SK": {"S": id}, "begun_at": {"N": "1"}});
    let found = json!({"Items": [draft("01JDCABCDEFGHJKMNPQRSTVWXY"), draft("nonsense")]});
    let (table, calls) = table([ok(json!({})), ok(found), ok(json!({}))]);
    table.begin(profile().id, NOW).await.unwrap();
    assert_eq!(table.stale_drafts(NOW).await.unwrap(), [profile().id]);
    table.abandon(profile().id).await.unwrap();
    let [begin, stale, abandon] = &calls.all()[..] else { panic!("three calls") };
    assert_eq!(begin.body["Item"]["begun_at"]["N"], millis(NOW).to_string());
    assert_eq!(stale.body["ExpressionAttributeValues"][":before"]["N"], millis(NOW).to_string());
    let key = json!({"PK": {"S": "DRAFTS"}, "SK": {"S": profile().id.to_string()}});
    assert_eq!(abandon.body["Key"], key);
}

#[tokio::test]
async fn forgetting_leaves_the_profile_and_nothing_else() {
    let key = |sort: &str| json!({"PK": {"S": format!("PROFILE#{}", profile().id)}, "SK": {"S": sort}});
    let noted: Vec<Value> = (0..30).map(|n| key(&format!("SEEN#{n}"))).collect();
    let first: Vec<Value> = noted.iter().cloned().chain([key("PROFILE")]).collect();
    let (table, calls) = table([
        ok(json!({"Items": first, "LastEvaluatedKey": key("SEEN#29")})),
        ok(json!({})),
        ok(json!({})),
        ok(json!({"Items": [key("SENT#1")]})),
        ok(json!({"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": key("SENT#1")}}]}})),
        ok(json!({})),
    ]);
    let forgotten = table.forget(profile().id, Duration::from_secs(5)).await.unwrap();
    assert_eq!(forgotten, Forgotten::All);
    let writes: Vec<Value> = calls
        .all()
        .iter()
        .filter_map(|call| call.body["RequestItems"]["t"].as_array().cloned())
        .flatten()
        .map(|write| write["DeleteRequest"]["Key"].clone())
        .collect();
    let expected: Vec<Value> = noted.into_iter().chain([key("SENT#1"), key("SENT#1")]).collect();
    assert_eq!(writes, expected);
}

#[tokio::test]
async fn forgetting_ends_with_its_time_and_says_so() {
    let key = json!({"PK": {"S": "PROFILE#x"}, "SK": {"S": "SEEN#1"}});
    let unprocessed = json!({"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": key}}]}});
    let (table, _) = table([ok(json!({"Items": [key]})), ok(unprocessed)]);
    let forgotten = table.forget(profile().id, Duration::ZERO).await.unwrap();
    assert_eq!(forgotten, Forgotten::More);
}
