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
    let listed = table.list_profiles(2, Some(id(10)), &Filter::default()).await.unwrap();
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
    let listed = table.list_profiles(2, None, &Filter::default()).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (vec![id(2), id(1)], None));
    let listed = table.list_profiles(2, None, &Filter::default()).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (Vec::new(), None));
    assert_eq!(calls.operations(), ["Query", "BatchGetItem", "Query"]);
}

#[tokio::test]
async fn what_is_gone_meanwhile_is_left_out_and_what_cannot_be_read_is_counted() {
    let mut bad = stored(&text_of(2));
    bad["mailbox"] = json!({"S": "a*"});
    let found = ok(json!({"Responses": {"t": [bad, stored(&text_of(1))]}}));
    let (table, _) = table([page([3, 2, 1], None), found]);
    let listed = table.list_profiles(50, None, &Filter::default()).await.unwrap();
    assert_eq!((ids(&listed), listed.unreadable), (vec![id(1)], 1));
}

#[tokio::test]
async fn a_search_goes_on_until_its_page_is_full() {
    let (table, calls) = table([page([9], Some(7)), page([5, 4], Some(3)), items([9, 5])]);
    let listed = table
        .list_profiles(2, None, &Filter { search: Some("M\u{fc}LLER@"), ..Filter::default() })
        .await
        .unwrap();
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
async fn a_search_among_the_profiles_of_a_flow_schema_is_one_condition() {
    let flow = FlowSchemaId::parse("orders").unwrap();
    let (table, calls) = table([page([9], None), items([9])]);
    let filter = Filter { search: Some("a"), flow_schema: Some(&flow), ..Filter::default() };
    assert_eq!(ids(&table.list_profiles(2, None, &filter).await.unwrap()), [id(9)]);
    let query = &calls.all()[0];
    assert_eq!(query.body["FilterExpression"], "contains(#search, :search) AND flow_schema_id = :flow");
    assert_eq!(query.body["ExpressionAttributeValues"][":flow"]["S"], "orders");
}

#[tokio::test]
async fn profiles_of_a_state_are_found_among_all_that_are_read() {
    let off = |n: usize| {
        let mut item = stored(&text_of(n));
        item["listen"] = json!({"BOOL": false});
        item
    };
    let found = |items: Vec<Value>| ok(json!({"Responses": {"t": items}}));
    let replies = || {
        let all = vec![off(9), stored(&text_of(8)), stored(&text_of(7)), off(6), off(5)];
        [page([9, 8], Some(8)), page([7, 6, 5], None), found(all)]
    };
    let filter = Filter { state: Some(ProfileState::Off), listen: Some(false), ..Filter::default() };
    let (all, _) = table(replies());
    let listed = all.list_profiles(3, None, &filter).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (vec![id(9), id(6), id(5)], None));
    let (some, _) = table(replies());
    let listed = some.list_profiles(2, None, &filter).await.unwrap();
    assert_eq!((ids(&listed), listed.next), (vec![id(9), id(6)], Some(id(6))));
    // It ends after a while, and says where to go on.
    let (none, calls) = table((0..15).flat_map(|batch| {
        let numbers = (0..PAGES_SEARCHED).map(move |n| 99 - batch * PAGES_SEARCHED - n);
        numbers.clone().map(|n| page([n], Some(n))).chain([items(numbers)])
    }));
    let listed = none.list_profiles(2, None, &filter).await.unwrap();
    let last = 100 - BATCHES_READ * PAGES_SEARCHED;
    assert_eq!((ids(&listed), listed.next), (Vec::new(), Some(id(last))));
    assert_eq!(calls.operations().len(), BATCHES_READ * (PAGES_SEARCHED + 1));
}

#[tokio::test]
async fn a_search_that_finds_nothing_for_long_says_where_to_go_on() {
    let pages = (0..9).map(|n| page([], Some(20 - n)));
    let (table, calls) = table(pages);
    let listed =
        table.list_profiles(2, None, &Filter { search: Some("x"), ..Filter::default() }).await.unwrap();
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
    assert_eq!(ids(&table.list_profiles(2, None, &Filter::default()).await.unwrap()), [id(2), id(1)]);
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
