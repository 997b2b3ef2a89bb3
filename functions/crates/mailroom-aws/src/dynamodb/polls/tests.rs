//! What the table is asked, and what happens when it refuses a request or does only a part of it.

use mailroom_core::error_chain::Chain;
use mailroom_core::health::SkippedSeen;
use mailroom_core::inbound::cursor::{Cursor, Uid, UidValidity};
use mailroom_core::inbound::deferred::{Deferred, QuarantineNotice};
use mailroom_core::inbound::held_back::HeldChange;
use mailroom_core::inbound::overdue::{ChangeFailure, OverdueChanges};
use mailroom_core::inbound::pending::{Extent, PendingMessage};
use mailroom_core::owner_error::{ErrorCode, OwnerError};
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, exception, ok, service, stored};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn id() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

fn lease() -> Lease {
    Lease { profile: id(), fence: 7, tries: 2, expires_at: NOW }
}

const CURSOR: Cursor = Cursor::new(None, 4711, NOW);

fn progress(deferred: &[Deferred]) -> Progress<'_> {
    let (held_back, skipped_seen) = (HeldChange::Unchanged, SkippedSeen::default());
    Progress {
        cursor: &CURSOR,
        deferred,
        held_back,
        overdue: None,
        skipped_seen,
        unsearched_at: None,
        repeats_up_to: None,
    }
}

fn deferred() -> Deferred {
    let message =
        PendingMessage { uid: Uid::new(9).unwrap(), extent: Extent::Whole, size: 10, arrived: Some(NOW) };
    Deferred::new(message, None, QuarantineNotice::Pending, NOW)
}

fn digests(count: usize) -> Vec<Digest> {
    (0..count).map(|n| Digest::of(n.to_string().as_bytes())).collect()
}

fn seen_key(message: &Digest) -> Value {
    json!({"PK": {"S": format!("PROFILE#{}", id())}, "SK": {"S": format!("SEEN#{}", message.to_hex())}})
}

fn flow() -> FlowSchemaId {
    FlowSchemaId::parse("x").unwrap()
}

fn lost(result: Result<(), PortError>) -> bool {
    matches!(result, Err(PortError::Lost))
}

#[tokio::test]
async fn a_page_is_read_to_its_end_and_one_bad_profile_does_not_spoil_it() {
    let good = stored("01JDCABCDEFGHJKMNPQRSTVWXY");
    let mut bad = stored("01JDCABCDEFGHJKMNPQRSTVWXZ");
    bad["mailbox"] = json!({"S": "a*"});
    let (table, calls) = table([
        ok(json!({"Items": [bad, good], "LastEvaluatedKey": {"PK": {"S": "next"}}})),
        ok(json!({"Items": [{"PK": {"S": "nonsense"}}, good]})),
    ]);
    let range = Range { from: "a#1".to_owned(), to: "b#2".to_owned() };
    let page = table.listening(RefreshInterval::DEFAULT, 11, Some(&range)).await.unwrap();
    assert_eq!((page.profiles.len(), page.unreadable), (2, 2));
    let [first, second] = &calls.all()[..] else { panic!("two calls") };
    assert_eq!(first.body["IndexName"], "listening");
    assert_eq!(
        first.body["ExpressionAttributeValues"],
        json!({":key": {"S": "300#b"}, ":from": {"S": "a#1"}, ":to": {"S": "b#2"}})
    );
    assert_eq!(second.body["ExclusiveStartKey"], json!({"PK": {"S": "next"}}));
}

#[tokio::test]
async fn a_lease_carries_the_profile_as_it_stands() {
    let (table, calls) = table([ok(json!({"Attributes": stored("01JDCABCDEFGHJKMNPQRSTVWXY")}))]);
    let until = NOW + Duration::MINUTE;
    let (lease, profile) = table.lease(id(), NOW, until).await.unwrap().unwrap();
    assert_eq!(lease, Lease { profile: id(), fence: 8, tries: 3, expires_at: until });
    assert_eq!(profile.id, id());
    let body = &calls.all()[0].body;
    assert_eq!(body["ReturnValues"], "ALL_NEW");
    assert_eq!(body["ExpressionAttributeValues"][":until"]["N"], millis(until).to_string());
}

#[tokio::test]
async fn a_failed_condition_is_no_error_of_the_service() {
    let failed = || exception("ConditionalCheckFailedException");
    let (table, calls) = table([failed(), failed(), failed(), failed(), failed()]);
    assert!(table.lease(id(), NOW, NOW).await.unwrap().is_none());
    assert!(lost(table.move_cursor(&lease(), progress(&[]), Hold::Release).await));
    assert!(lost(table.move_cursor(&lease(), progress(&[]), Hold::Until(NOW)).await));
    assert!(lost(table.release(&lease(), 1).await));
    assert!(lost(table.record(id(), 3, &Status::default()).await));
    assert_eq!(calls.operations(), ["UpdateItem"; 5]);
}

#[tokio::test]
async fn the_cursor_moves_under_its_fence_alone() {
    let (table, calls) = table([ok(json!({})), ok(json!({})), ok(json!({}))]);
    table.move_cursor(&lease(), progress(&[]), Hold::Until(NOW)).await.unwrap();
    let skipped_seen = SkippedSeen { count: 3, last_at: Some(NOW) };
    let deferred = [deferred()];
    let error = OwnerError::new(ErrorCode::ImapMailbox, "no");
    let failure = ChangeFailure { error, copied: vec![Uid::new(7).unwrap()], session_ended: false };
    let overdue = OverdueChanges::new(None, 3, &failure, NOW);
    let after = Progress { skipped_seen, overdue: Some(&overdue), ..progress(&deferred) };
    table.move_cursor(&lease(), after, Hold::Release).await.unwrap();
    table.release(&lease(), 1).await.unwrap();
    let calls = calls.all();
    assert!(calls.iter().all(|call| {
        call.body["ConditionExpression"] == "fence = :fence"
            && call.body["ExpressionAttributeValues"][":fence"] == json!({"N": "7"})
    }));
    let tries: Vec<_> = calls.iter().map(|c| c.body["ExpressionAttributeValues"][":tries"].clone()).collect();
    assert_eq!(tries, [json!({"N": "1"}), json!({"N": "0"}), json!({"N": "1"})]);
    let updates: Vec<_> = calls.iter().map(|call| call.body["UpdateExpression"].as_str().unwrap()).collect();
    let expected = [
        "SET #cursor = :cursor, tries = :tries, lease_until = :until REMOVE deferred_messages, overdue_changes",
        "SET #cursor = :cursor, tries = :tries, deferred_messages = :deferred, overdue_changes = :overdue, skipped_seen = :skipped REMOVE lease_until",
        "SET tries = :tries REMOVE lease_until",
    ];
    assert_eq!(updates, expected);
    assert_eq!(calls[1].body["ExpressionAttributeValues"][":deferred"]["L"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_throttled_update_is_tried_again() {
    let (table, calls) = table([
        exception("ProvisionedThroughputExceededException"),
        exception("ThrottlingException"),
        ok(json!({})),
    ]);
    table.release(&lease(), 0).await.unwrap();
    assert_eq!(calls.all().len(), 3);
}

#[tokio::test]
async fn tries_are_bounded_and_the_error_names_its_cause() {
    let (table, calls) = table(vec![exception("ThrottlingException"); 10]);
    let error = table.release(&lease(), 0).await.unwrap_err();
    assert!(Chain(&error).to_string().contains("Throttling"), "{error:?}");
    assert_eq!(calls.all().len(), 4);
}

#[tokio::test]
async fn ledger_keys_that_were_not_read_are_asked_for_again() {
    let messages = digests(3);
    let keys: Vec<Value> = messages.iter().map(seen_key).collect();
    let (table, calls) = table([
        ok(json!({
            "Responses": {"t": [{"SK": keys[0]["SK"]}]},
            "UnprocessedKeys": {"t": {"Keys": [keys[1], keys[2]], "ConsistentRead": true, "ProjectionExpression": "SK"}}
        })),
        ok(json!({"Responses": {"t": [{"SK": keys[2]["SK"]}]}, "UnprocessedKeys": {}})),
    ]);
    assert_eq!(table.handed_over(id(), &messages).await.unwrap(), [messages[0], messages[2]]);
    let [first, second] = &calls.all()[..] else { panic!("two calls") };
    assert_eq!(first.body["RequestItems"]["t"]["ConsistentRead"], true);
    assert_eq!(second.body["RequestItems"]["t"]["Keys"], json!([keys[1], keys[2]]));
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_an_error_and_never_an_empty_one() {
    let messages = digests(1);
    let unread = json!({"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [seen_key(&messages[0])]}}});
    let (table, calls) = table(vec![ok(unread); 20]);
    assert!(table.handed_over(id(), &messages).await.is_err());
    assert_eq!(calls.all().len(), usize::try_from(PARTIAL_TRIES).unwrap());
}

#[tokio::test]
async fn the_ledger_is_written_in_batches_and_names_no_message_twice() {
    let put = |message: &Digest| {
        let mut item = seen_key(message);
        item["expires_at"] = json!({"N": (NOW + Duration::days(30)).unix_timestamp().to_string()});
        item["uid"] = json!({"N": "7"});
        item["uid_validity"] = json!({"N": "1700000000"});
        item["rfc822_size"] = json!({"N": "2048"});
        json!({"PutRequest": {"Item": item}})
    };
    let place =
        Uid::new(7).map(|uid| LedgerPlace { uid, uid_validity: UidValidity::new(1_700_000_000), size: 2048 });
    let messages: Vec<_> =
        digests(30).into_iter().chain(digests(5)).map(|message| (message, place)).collect();
    let left = put(&messages[3].0);
    let (table, calls) = table([
        ok(json!({"UnprocessedItems": {"t": [left]}})),
        ok(json!({"UnprocessedItems": {}})),
        ok(json!({})),
    ]);
    table.note_handed_over(id(), &messages, NOW).await.unwrap();
    let batches: Vec<Vec<Value>> =
        calls.all().iter().map(|call| call.body["RequestItems"]["t"].as_array().unwrap().clone()).collect();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [25, 1, 5]);
    assert_eq!(batches[1], [left]);
    let written: Vec<&Value> = batches[0].iter().chain(&batches[2]).collect();
    assert!(digests(30).iter().all(|message| written.contains(&&put(message))));
}

#[tokio::test]
async fn no_messages_are_no_call() {
    let (table, calls) = table([]);
    assert_eq!(table.handed_over(id(), &[]).await.unwrap(), []);
    table.note_handed_over(id(), &[], NOW).await.unwrap();
    assert!(calls.all().is_empty());
}

#[tokio::test]
async fn an_unknown_flow_schema_is_not_the_default_queue() {
    let (table, _) = table([
        ok(json!({})),
        ok(json!({"Item": {"name": {"S": "n"}}})),
        ok(json!({"Item": {"name": {"S": "n"}, "queue_url": {"S": "u"}}})),
    ]);
    assert_eq!(table.flow_queue(&flow()).await.unwrap(), FlowQueue::UnknownSchema);
    assert_eq!(table.flow_queue(&flow()).await.unwrap(), FlowQueue::Default);
    assert_eq!(table.flow_queue(&flow()).await.unwrap(), FlowQueue::Url("u".to_owned()));
}
