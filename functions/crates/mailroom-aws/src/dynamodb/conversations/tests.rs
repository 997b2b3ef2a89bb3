//! What the table is asked about messages, and how its answers are read.

use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, ok, service};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn id() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

fn conversation(digit: char) -> ConversationId {
    ConversationId::parse(&digit.to_string().repeat(32)).unwrap()
}

fn keys(count: usize) -> Vec<MessageKey> {
    (0..count).map(|n| MessageKey::of(&format!("{n}@example.org"))).collect()
}

#[tokio::test]
async fn what_is_known_is_read_and_what_is_left_over_is_asked_for_again() {
    let keys = keys(3);
    let item = |key: &MessageKey, digit: char| {
        json!({
            "PK": {"S": format!("PROFILE#{}", id())}, "SK": {"S": sort_key(key)},
            "conversation": {"S": conversation(digit).as_str()}, "expires_at": {"N": "1"},
        })
    };
    let mut ours = item(&keys[1], 'b');
    ours["message"] = json!({"S": "order-4711"});
    let mut spoiled = item(&keys[2], 'c');
    spoiled["conversation"] = json!({"S": "?"});
    let left = json!({"t": {"Keys": [{"PK": {"S": "p"}, "SK": {"S": "s"}}]}});
    let (table, calls) = table([
        ok(json!({"Responses": {"t": [item(&keys[0], 'a')]}, "UnprocessedKeys": left})),
        ok(json!({"Responses": {"t": [ours, spoiled]}})),
    ]);
    // One is named twice.
    let asked = [keys.clone(), keys[..1].to_vec()].concat();
    let known = table.known_messages(id(), &asked).await.unwrap();
    let expected = KnownMessages::from([
        (keys[0].clone(), KnownMessage { conversation: conversation('a'), outbound: None }),
        (
            keys[1].clone(),
            KnownMessage {
                conversation: conversation('b'),
                outbound: Some(OutboundId::parse("order-4711").unwrap()),
            },
        ),
    ]);
    assert_eq!(known, expected);
    let [first, second] = &calls.all()[..] else { panic!("two calls") };
    assert_eq!(first.body["RequestItems"]["t"]["Keys"].as_array().unwrap().len(), 3);
    assert_eq!(first.body["RequestItems"]["t"]["ConsistentRead"], true);
    assert_eq!(second.body["RequestItems"]["t"]["Keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_are_asked_for_in_batches_and_none_not_at_all() {
    let (table, calls) = table((0..2).map(|_| ok(json!({"Responses": {}}))));
    assert_eq!(table.known_messages(id(), &keys(101)).await.unwrap(), KnownMessages::new());
    assert_eq!(table.known_messages(id(), &[]).await.unwrap(), KnownMessages::new());
    let lengths = calls
        .all()
        .iter()
        .map(|call| call.body["RequestItems"]["t"]["Keys"].as_array().unwrap().len())
        .sum::<usize>();
    assert_eq!((calls.all().len(), lengths), (2, 101));
}

#[tokio::test]
async fn a_message_is_noted_once_and_the_first_note_counts() {
    let key = keys(1).remove(0);
    let first = json!({"conversation": {"S": conversation('a').as_str()}, "message": {"S": "order-4711"}});
    let (table, calls) = table([ok(json!({"Attributes": first}))]);
    let outbound = OutboundId::parse("order-4711").unwrap();
    let message = KnownMessage { conversation: conversation('b'), outbound: Some(outbound.clone()) };
    let noted = table.note_messages(id(), &[(key.clone(), message)], NOW).await.unwrap();
    let expected = KnownMessage { conversation: conversation('a'), outbound: Some(outbound) };
    assert_eq!(noted, KnownMessages::from([(key.clone(), expected)]));
    let body = &calls.all()[0].body;
    assert_eq!(body["Key"], json!({"PK": {"S": format!("PROFILE#{}", id())}, "SK": {"S": sort_key(&key)}}));
    assert_eq!(body["ReturnValues"], "ALL_NEW");
    assert_eq!(body["ExpressionAttributeValues"][":conversation"]["S"], conversation('b').as_str());
    // A year later.
    assert_eq!(body["ExpressionAttributeValues"][":expires"]["N"], "1825070400");
    let set = body["UpdateExpression"].as_str().unwrap();
    assert_eq!(set.matches("if_not_exists").count(), 3, "{set}");
}
