//! What an audit asks the table, and how its answers are read.

use mailroom_core::audit::{AuditResult, WaitingMark};
use mailroom_core::inbound::cursor::{Uid, UidValidity};
use mailroom_core::inbound::job::Digest;
use mailroom_core::inbound::ledger::LedgerPlace;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, exception, ok, service};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn id() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

fn entry(digest: Digest, noted_at: OffsetDateTime, more: Value) -> Value {
    let expires_at = (noted_at + Duration::days(30)).unix_timestamp().to_string();
    let mut item = json!({"SK": {"S": format!("SEEN#{}", digest.to_hex())}, "expires_at": {"N": expires_at}});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

#[tokio::test]
async fn a_ledger_is_read_to_its_end_without_what_has_expired() {
    let [old, plain, placed] = ["old", "plain", "placed"].map(|text| Digest::of(text.as_bytes()));
    let yesterday = NOW - Duration::DAY;
    let key = json!({"PK": {"S": "p"}, "SK": {"S": "s"}});
    let place = json!({"uid": {"N": "7"}, "uid_validity": {"N": "9"}, "rfc822_size": {"N": "2048"}});
    let (table, calls) = table([
        ok(json!({
            "Items": [entry(old, NOW - Duration::days(31), json!({})), entry(plain, yesterday, json!({}))],
            "LastEvaluatedKey": key,
        })),
        ok(json!({"Items": [entry(placed, yesterday, place)]})),
    ]);
    let expected = [
        HandedOver { digest: plain, place: None, noted_at: yesterday },
        HandedOver {
            digest: placed,
            place: Uid::new(7).map(|uid| LedgerPlace { uid, uid_validity: UidValidity::new(9), size: 2048 }),
            noted_at: yesterday,
        },
    ];
    assert_eq!(table.ledger(id(), NOW).await.unwrap(), expected);
    let [first, second] = &calls.all()[..] else { panic!("two calls") };
    assert_eq!(first.body["ConsistentRead"], true);
    assert_eq!(second.body["ExclusiveStartKey"], key);
}

#[tokio::test]
async fn a_result_is_stored_beside_the_version_that_was_audited() {
    let (table, calls) = table([ok(json!({})), exception("ConditionalCheckFailedException")]);
    let audit = AuditStatus {
        at: NOW,
        result: AuditResult::Missing,
        missing: 2,
        reason: None,
        waiting: Some(WaitingMark { uid_validity: UidValidity::new(9), up_to: 5 }),
    };
    table.record_audit(id(), 3, &audit).await.unwrap();
    assert!(matches!(table.record_audit(id(), 3, &audit).await, Err(PortError::Lost)));
    let body = &calls.all()[0].body;
    assert_eq!(body["ConditionExpression"], "#version = :version");
    assert_eq!(body["ExpressionAttributeValues"][":version"], json!({"N": "3"}));
    let stored = &body["ExpressionAttributeValues"][":audit"]["M"];
    assert_eq!((&stored["result"]["S"], &stored["missing"]["N"]), (&json!("missing"), &json!("2")));
    assert_eq!(stored["waiting"]["M"]["up_to"]["N"], "5");
}
