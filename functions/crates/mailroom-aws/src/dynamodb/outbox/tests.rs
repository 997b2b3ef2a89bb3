//! What a list of messages asks for, where it ends, and what it leaves out.

use mailroom_core::outbound::message::{EmailAddress, MessageId, SaveToSent};
use serde_json::{Value, json};
use time::macros::datetime;

use super::super::deliveries::tests::stored;
use super::super::delivery_item::DeliveryItem;
use super::*;
use crate::replay::{Calls, Reply, ok, service};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn profile() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

/// The `n`th message, which was accepted `n` seconds after the first.
fn delivery(n: u32) -> Delivery {
    let id = OutboundId::parse(&format!("order-{n}")).unwrap();
    let from = EmailAddress::parse("support@example.com").unwrap();
    let to = [EmailAddress::parse("ann@example.org").unwrap()];
    let message_id = MessageId::of(profile(), &id, &from);
    Delivery::new(profile(), id, message_id, &to, SaveToSent::Auto, NOW + time::Duration::seconds(n.into()))
}

fn place(n: u32) -> OutboxPlace {
    let delivery = delivery(n);
    OutboxPlace(list_sort(millis(delivery.created_at), delivery.id.as_str()))
}

/// A page of the index that holds these, and goes on or not after `last`.
fn page(numbers: impl IntoIterator<Item = u32>, last: Option<u32>) -> Reply {
    let key = |n: u32| json!({"list_key": {"S": "OUT#p"}, "list_sort": {"S": place(n).as_str()}});
    let items: Vec<Value> = numbers.into_iter().map(key).collect();
    match last {
        Some(last) => ok(json!({"Items": items, "LastEvaluatedKey": key(last)})),
        None => ok(json!({"Items": items})),
    }
}

fn items(deliveries: &[Delivery]) -> Reply {
    let items: Vec<Value> = deliveries.iter().map(stored).collect();
    ok(json!({"Responses": {"t": items}}))
}

fn ids(outbox: &Outbox) -> Vec<&str> {
    outbox.deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
}

#[tokio::test]
async fn a_page_is_newest_first_and_the_next_one_begins_where_it_ends() {
    let (table, calls) = table([
        page([9, 8, 7, 6], Some(6)),
        items(&[delivery(8), delivery(7)]),
        page([7, 6], None),
        items(&[]),
    ]);
    let filter = OutboxFilter { state: None, since: Some(NOW) };
    let first = table.list_deliveries(profile(), filter, 2, Some(place(9))).await.unwrap();
    assert_eq!((ids(&first), &first.next), (vec!["order-8", "order-7"], &Some(place(7))));
    let last = table.list_deliveries(profile(), filter, 2, first.next).await.unwrap();
    assert_eq!((ids(&last), &last.next), (vec![], &None), "a message may be gone");
    let query = &calls.all()[0].body;
    assert_eq!((&query["IndexName"], &query["Limit"]), (&json!("directory"), &json!(4)));
    let values = &query["ExpressionAttributeValues"];
    assert_eq!(values[":list"]["S"], format!("OUT#{}", profile()));
    assert_eq!(
        (&values[":since"]["S"], &values[":before"]["S"]),
        (&json!("1793534400000"), &json!(place(9).as_str()))
    );
}

#[tokio::test]
async fn a_state_is_filtered_by_the_directory_and_then_by_the_table() {
    let mut sending = delivery(8);
    let until = NOW + time::Duration::HOUR;
    sending.claim(mailroom_core::outbound::delivery::SendLease { holder: "one".to_owned(), until }, NOW);
    let (table, calls) = table([page([8, 7], None), items(&[sending, delivery(7)])]);
    let filter = OutboxFilter { state: Some(DeliveryState::Sending), since: None };
    let outbox = table.list_deliveries(profile(), filter, 50, None).await.unwrap();
    assert_eq!((ids(&outbox), &outbox.next), (vec!["order-8"], &None));
    let query = &calls.all()[0].body;
    assert_eq!((&query["FilterExpression"], &query["Limit"]), (&json!("#search = :state"), &Value::Null));
    assert_eq!(query["ExpressionAttributeValues"][":state"]["S"], "open");
}

#[tokio::test]
async fn a_search_that_finds_nothing_says_where_to_go_on_and_ends_at_the_time() {
    let far = |n| page([], Some(n));
    let (table, calls) = table([far(60), far(50), far(40), far(30), far(20), far(5)]);
    let filter =
        OutboxFilter { state: Some(DeliveryState::Failed), since: Some(NOW + time::Duration::seconds(10)) };
    let first = table.list_deliveries(profile(), filter, 50, None).await.unwrap();
    assert_eq!((ids(&first), &first.next), (vec![], &Some(place(20))));
    let last = table.list_deliveries(profile(), filter, 50, first.next).await.unwrap();
    assert_eq!(last.next, None, "what is older is not asked for");
    assert_eq!(calls.all().len(), 6);
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_for_a_response() {
    let large = |n: u32| {
        let mut delivery = delivery(n);
        let one = delivery.recipients[0].clone();
        delivery.recipients = vec![one; 100];
        delivery
    };
    let all: Vec<Delivery> = (0..20).rev().map(large).collect();
    let (table, _) = table([page((0..20).rev(), None), items(&all)]);
    let outbox = table.list_deliveries(profile(), OutboxFilter::default(), 50, None).await.unwrap();
    assert_eq!((outbox.deliveries.len(), outbox.next), (10, Some(place(10))));
}

#[test]
fn a_place_is_read_back_and_nothing_else_is() {
    assert_eq!(OutboxPlace::parse(place(3).as_str()), Some(place(3)));
    for wrong in [
        "",
        "order-1",
        "1793534400000",
        "1793534400000.",
        "1793534400000.a b",
        "179353440000.a",
        "179353440000x.a",
    ] {
        assert_eq!(OutboxPlace::parse(wrong), None, "{wrong}");
    }
    let item = serde_json::to_value(DeliveryItem::from(&delivery(3))).unwrap();
    assert_eq!(item["list_sort"], place(3).as_str());
}
