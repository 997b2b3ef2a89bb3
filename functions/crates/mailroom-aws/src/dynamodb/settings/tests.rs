//! What an edit writes, and what it leaves alone.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use mailroom_core::cursor::Cursor;
use mailroom_core::edit::edit;
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::profile::{AfterFetch, Auth, Host, Mailbox, Security, Server};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::canned::{Calls, Reply, exception, ok, service};

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
        cursor: Some(Cursor { uid_validity: None, last_uid: 7, newest: NOW, floor: None }),
        ..Profile::listening(id, "Support", server("imap.example.com"), auth, flow, NOW)
    }
}

async fn written(change: impl FnOnce(&mut Profile)) -> Value {
    let (table, calls) = table([ok(json!({}))]);
    let mut wanted = profile();
    change(&mut wanted);
    table.update(&profile(), &edit(&profile(), wanted, NOW)).await.unwrap();
    calls.all()[0].body.clone()
}

/// Every attribute of the wire is a setting, which an edit writes, or the polls', which it does not.
#[test]
fn every_attribute_has_one_owner() {
    let full = Profile {
        description: "d".to_owned(),
        smtp: Some(server("smtp.example.com")),
        include_seen: true,
        after_fetch: AfterFetch::MarkSeen,
        secret_version: Some("1".to_owned()),
        ..profile()
    };
    let item = to_item(ProfileItem::from(&full)).unwrap();
    let of_polls = ["PK", "SK", "id", "created_at", "cursor", "status", "fence", "tries"];
    let expected: BTreeSet<&str> = SETTINGS.into_iter().chain(of_polls).collect();
    assert_eq!(item.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn words_leave_status_cursor_and_lease_alone() {
    let body = written(|profile| profile.name = "Sales".to_owned()).await;
    assert_eq!(body["ConditionExpression"], "#version = :expected");
    assert_eq!(body["ExpressionAttributeValues"][":expected"]["N"], "1");
    assert_eq!(body["ExpressionAttributeValues"][":version"]["N"], "2");
    assert_eq!(body["ExpressionAttributeValues"][":search"]["S"], "sales\na@example.com\nimap.example.com");
    let expression = body["UpdateExpression"].as_str().unwrap();
    for kept in ["cursor", "status", "lease", "fence", "tries"] {
        assert!(!expression.contains(kept), "{expression}");
    }
    assert!(expression.contains(" REMOVE #description, #smtp, "), "{expression}");
}

#[tokio::test]
async fn another_mailbox_drops_the_cursor_and_ends_the_run() {
    let body = written(|profile| profile.mailbox = Mailbox::parse("Orders").unwrap()).await;
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.contains("#status = :status, tries = :none"), "{expression}");
    assert!(expression.ends_with(", #cursor, lease_until ADD fence :one"), "{expression}");
}

#[tokio::test]
async fn a_profile_that_stops_listening_leaves_the_index_of_polls() {
    let body = written(|profile| profile.listen = false).await;
    let expression = body["UpdateExpression"].as_str().unwrap();
    assert!(expression.contains(" REMOVE #poll_key, #poll_sort, "), "{expression}");
    assert_eq!(body["ExpressionAttributeValues"][":status"]["M"]["state"]["S"], "off");
}

#[tokio::test]
async fn an_edit_of_another_version_is_lost() {
    let (table, _) = table([exception("ConditionalCheckFailedException")]);
    let result = table.update(&profile(), &edit(&profile(), profile(), NOW)).await;
    assert!(matches!(result, Err(PortError::Lost)));
}

#[tokio::test]
async fn a_profile_appears_as_its_draft_vanishes() {
    let canceled = |code: &str| {
        let reasons = json!([{"Code": code}, {"Code": "None"}]);
        crate::canned::refusal("TransactionCanceledException", &json!({"CancellationReasons": reasons}))
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
