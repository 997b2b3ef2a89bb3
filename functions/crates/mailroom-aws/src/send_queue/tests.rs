//! What is put on the queue, and for how long it rests.

use serde_json::json;

use super::*;
use crate::replay::{ok, service};

#[tokio::test]
async fn a_message_rests_for_twelve_hours_at_most() {
    let (clients, calls) = service([ok(json!({})), ok(json!({}))]);
    let queue = SendQueue::new(&clients, "http://q");
    queue.postpone("r", Duration::from_secs(90)).await.unwrap();
    queue.postpone("r", Duration::from_secs(100 * 3600)).await.unwrap();
    let hidden: Vec<_> = calls.all().iter().map(|call| call.body["VisibilityTimeout"].clone()).collect();
    assert_eq!(hidden, [json!(90), json!(43_200)]);
}

#[tokio::test]
async fn a_request_names_what_is_stored_and_nothing_of_it() {
    let (clients, calls) = service([ok(json!({"MessageId": "1", "MD5OfMessageBody": "x"}))]);
    let queue = SendQueue::new(&clients, "http://q");
    let profile = ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap();
    let _ = queue.request(profile, &OutboundId::parse("order-1").unwrap()).await;
    let body = &calls.all()[0].body;
    assert_eq!(body["MessageBody"], r#"{"profile_id":"01JDCABCDEFGHJKMNPQRSTVWXY","id":"order-1"}"#);
    assert_eq!(body["QueueUrl"], "http://q");
}
