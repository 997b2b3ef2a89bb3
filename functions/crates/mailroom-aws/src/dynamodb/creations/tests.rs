use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::replay::{ok, service};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
const ID: &str = "01JDCABCDEFGHJKMNPQRSTVWXY";

fn key() -> IdempotencyKey {
    IdempotencyKey { key: "form-7".to_owned(), digest: "d".to_owned() }
}

async fn found(item: Value) -> Result<Option<Created>, PortError> {
    let (clients, calls) = service([ok(item)]);
    let found = Table::new(&clients, "t").created_before(&key(), NOW).await;
    let body = &calls.all()[0].body;
    assert_eq!((&body["ConsistentRead"], &body["Key"]["SK"]["S"]), (&json!(true), &json!("CREATION")));
    // The table's keys hold a digest of what a client chooses, never the text itself.
    assert!(!body.to_string().contains("form-7"));
    found
}

fn stored(digest: &str, expires_at: OffsetDateTime) -> Value {
    json!({"Item": {
        "digest": {"S": digest}, "profile_id": {"S": ID}, "expires_at": {"N": expires_at.unix_timestamp().to_string()},
    }})
}

#[tokio::test]
async fn a_key_counts_for_its_request_and_for_a_day() {
    let later = NOW + Duration::SECOND;
    assert_eq!(found(json!({})).await.unwrap(), None);
    let created = Created::Profile(ProfileId::parse(ID).unwrap());
    assert_eq!(found(stored("d", later)).await.unwrap(), Some(created));
    assert_eq!(found(stored("e", later)).await.unwrap(), Some(Created::Another));
    assert_eq!(found(stored("d", NOW)).await.unwrap(), None);
}
