//! Flow schemas on the wire.

use serde_json::{Value, json};

use super::*;
use crate::replay::{Calls, Reply, exception, ok, service};

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn id(text: &str) -> FlowSchemaId {
    FlowSchemaId::parse(text).unwrap()
}

fn orders() -> FlowSchema {
    FlowSchema { id: id("orders"), name: "Orders".to_owned(), queue_url: Some("https://queue".to_owned()) }
}

fn stored(id: &str) -> Value {
    json!({"list_sort": {"S": id}, "name": {"S": id.to_uppercase()}})
}

#[tokio::test]
async fn a_flow_schema_comes_back_as_it_was() {
    let (first, calls) = table([ok(json!({}))]);
    first.put_flow_schema(&orders()).await.unwrap();
    let item = calls.all()[0].body["Item"].clone();
    assert_eq!((&item["PK"]["S"], &item["list_key"]["S"]), (&json!("FLOW#orders"), &json!("FLOW")));
    assert_eq!(calls.all()[0].body["ConditionExpression"], Value::Null);
    let (table, calls) = table([ok(json!({"Item": item})), ok(json!({}))]);
    assert_eq!(table.flow_schema(&id("orders")).await.unwrap(), Some(orders()));
    assert_eq!(table.flow_schema(&id("orders")).await.unwrap(), None);
    assert_eq!(calls.all()[0].body["ConsistentRead"], true);
}

#[tokio::test]
async fn an_id_that_is_taken_is_not_taken_again() {
    let (table, calls) = table([exception("ConditionalCheckFailedException"), ok(json!({}))]);
    assert!(matches!(table.create_flow_schema(&orders()).await, Err(PortError::Lost)));
    table.create_flow_schema(&orders()).await.unwrap();
    assert_eq!(calls.all()[0].body["ConditionExpression"], "attribute_not_exists(PK)");
}

#[tokio::test]
async fn a_list_is_by_id_and_names_where_the_next_page_begins() {
    let (table, calls) = table([
        ok(
            json!({"Items": [stored("a"), stored("b"), stored("c")], "LastEvaluatedKey": {"PK": {"S": "FLOW#c"}}}),
        ),
        ok(json!({"Items": [stored("c")]})),
    ]);
    let (schemas, next) = table.list_flow_schemas(2, None).await.unwrap();
    let ids: Vec<&str> = schemas.iter().map(|schema| schema.id.as_str()).collect();
    assert_eq!((ids, next.as_ref()), (vec!["a", "b"], Some(&id("b"))));
    let (schemas, end) = table.list_flow_schemas(2, next.as_ref()).await.unwrap();
    assert_eq!((schemas.len(), end), (1, None));
    let second = &calls.all()[1].body;
    assert_eq!(second["KeyConditionExpression"], "list_key = :list AND list_sort > :after");
    assert_eq!(second["ExpressionAttributeValues"], json!({":list": {"S": "FLOW"}, ":after": {"S": "b"}}));
}
