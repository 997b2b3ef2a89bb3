//! What a list asks for, where it ends, and what it leaves out.

use serde_json::{Value, json};

use super::*;
use crate::replay::{Calls, Reply, ok, service, stored};

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn text_of(n: usize) -> String {
    format!("01JDCABCDEFGHJKMNPQRSTVW{n:02}")
}

fn id(n: usize) -> ProfileId {
    ProfileId::parse(&text_of(n)).unwrap()
}

/// A page of the index that holds these, and goes on or not after `last`.
fn page(numbers: impl IntoIterator<Item = usize>, last: Option<usize>) -> Reply {
    let key = |n: usize| json!({"list_key": {"S": "PROFILE"}, "list_sort": {"S": text_of(n)}});
    let items: Vec<Value> = numbers.into_iter().map(key).collect();
    match last {
        Some(last) => ok(json!({"Items": items, "LastEvaluatedKey": key(last)})),
        None => ok(json!({"Items": items})),
    }
}

/// The items of these, in the order given.
fn items(numbers: impl IntoIterator<Item = usize>) -> Reply {
    let items: Vec<Value> = numbers.into_iter().map(|n| stored(&text_of(n))).collect();
    ok(json!({"Responses": {"t": items}}))
}

fn ids(listed: &Listed) -> Vec<ProfileId> {
    listed.profiles.iter().map(|profile| profile.id).collect()
}

#[tokio::test]
async fn a_page_is_newest_first_and_names_where_the_next_begins() {
    let (table, calls) = table([page([9, 8, 7], Some(7)), items([8, 9])]);
    let listed = table.list_profiles(2, Some(id(10)), None).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (vec![id(9), id(8)], Some(id(8))));
    let [query, get] = &calls.all()[..] else { panic!("two calls") };
    assert_eq!(query.body["IndexName"], "directory");
    assert_eq!(query.body["ScanIndexForward"], false);
    // The border itself may be gone: it is a condition, and not a place to go on from.
    assert_eq!(query.body["KeyConditionExpression"], "list_key = :list AND list_sort < :before");
    assert_eq!(query.body["ExpressionAttributeValues"][":before"]["S"], text_of(10));
    assert_eq!((&query.body["ExclusiveStartKey"], &query.body["Limit"]), (&Value::Null, &json!(3)));
    assert_eq!(get.body["RequestItems"]["t"]["ConsistentRead"], true);
    assert_eq!(get.body["RequestItems"]["t"]["Keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_last_page_says_so() {
    let (table, calls) = table([page([2, 1], None), items([2, 1]), page([], None)]);
    let listed = table.list_profiles(2, None, None).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (vec![id(2), id(1)], None));
    let listed = table.list_profiles(2, None, None).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (Vec::new(), None));
    assert_eq!(calls.operations(), ["Query", "BatchGetItem", "Query"]);
}

#[tokio::test]
async fn what_is_gone_meanwhile_is_left_out_and_what_cannot_be_read_is_counted() {
    let mut bad = stored(&text_of(2));
    bad["mailbox"] = json!({"S": "a*"});
    let found = ok(json!({"Responses": {"t": [bad, stored(&text_of(1))]}}));
    let (table, _) = table([page([3, 2, 1], None), found]);
    let listed = table.list_profiles(50, None, None).await.unwrap();
    assert_eq!((ids(&listed), listed.unreadable), (vec![id(1)], 1));
}

#[tokio::test]
async fn a_search_goes_on_until_its_page_is_full() {
    let (table, calls) = table([page([9], Some(7)), page([5, 4], Some(3)), items([9, 5])]);
    let listed = table.list_profiles(2, None, Some("M\u{fc}LLER@")).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (vec![id(9), id(5)], Some(id(5))));
    let [first, second, _] = &calls.all()[..] else { panic!("three calls") };
    assert_eq!(first.body["FilterExpression"], "contains(#search, :search)");
    assert_eq!(first.body["ExpressionAttributeNames"]["#search"], "search");
    assert_eq!(first.body["ExpressionAttributeValues"][":search"]["S"], "m\u{fc}ller@");
    // What is filtered out counts towards a limit, so there is none.
    assert_eq!(first.body["Limit"], Value::Null);
    assert_eq!(second.body["ExpressionAttributeValues"][":before"]["S"], text_of(7));
}

#[tokio::test]
async fn a_search_that_finds_nothing_for_long_says_where_to_go_on() {
    let pages = (0..9).map(|n| page([], Some(20 - n)));
    let (table, calls) = table(pages);
    let listed = table.list_profiles(2, None, Some("x")).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (Vec::new(), Some(id(16))));
    assert_eq!(calls.operations(), ["Query"; PAGES_SEARCHED]);
}

#[tokio::test]
async fn profiles_that_were_not_read_are_asked_for_again() {
    let key = json!({"PK": {"S": format!("PROFILE#{}", id(2))}, "SK": {"S": "PROFILE"}});
    let half = ok(json!({
        "Responses": {"t": [stored(&text_of(1))]},
        "UnprocessedKeys": {"t": {"Keys": [key], "ConsistentRead": true}}
    }));
    let (table, _) = table([page([2, 1], None), half, items([2])]);
    assert_eq!(ids(&table.list_profiles(2, None, None).await.unwrap()), [id(2), id(1)]);
}

#[tokio::test]
async fn a_flow_schema_is_used_if_any_profile_names_it() {
    let flow = FlowSchemaId::parse("orders").unwrap();
    let (table, calls) = table([page([], Some(5)), page([4], Some(4)), page([], None)]);
    assert!(table.is_flow_schema_used(&flow).await.unwrap());
    assert!(!table.is_flow_schema_used(&flow).await.unwrap());
    let [first, second, _] = &calls.all()[..] else { panic!("three calls") };
    assert_eq!(first.body["FilterExpression"], "flow_schema_id = :flow");
    assert_eq!(first.body["ExpressionAttributeValues"][":flow"]["S"], "orders");
    assert_eq!(second.body["ExclusiveStartKey"]["list_sort"]["S"], text_of(5));
}
