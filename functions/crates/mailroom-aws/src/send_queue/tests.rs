//! Which queue a message goes to, and for how long it is hidden.

use serde_json::json;

use super::*;
use crate::replay::{ok, service};

#[tokio::test]
async fn a_queue_message_is_hidden_for_twelve_hours_at_most() {
    let (clients, calls) = service([ok(json!({})), ok(json!({}))]);
    let queues = Queues::new(&clients, "http://q", "http://d", None);
    queues.postpone("r", Duration::from_secs(90)).await.unwrap();
    queues.postpone("r", Duration::from_secs(100 * 3600)).await.unwrap();
    let hidden: Vec<_> = calls.all().iter().map(|call| call.body["VisibilityTimeout"].clone()).collect();
    assert_eq!(hidden, [json!(90), json!(43_200)]);
}

#[tokio::test]
async fn each_message_goes_to_its_queue() {
    let taken = || ok(json!({"MessageId": "1", "MD5OfMessageBody": "x"}));
    let (clients, calls) = service([taken(), taken(), taken(), taken()]);
    let queues = Queues::new(&clients, "http://q", "http://d", Some("http://o"));
    // The SDK compares the digests, which the replay does not compute.
    let _ = queues.send.send("p", "{}").await;
    let _ = queues.dead_letter("a").await;
    let _ = queues.publish_outcome("b").await;
    let _ = queues.send.send_later("p", "later", Duration::from_secs(3600)).await;
    let groups: Vec<_> = calls.all().iter().map(|call| call.body["MessageGroupId"].clone()).collect();
    assert_eq!(groups, [json!("p"), json!(null), json!(null), json!("p")]);
    assert_eq!(calls.all()[3].body["DelaySeconds"], 900);
    let sent: Vec<_> = calls
        .all()
        .iter()
        .map(|call| (call.body["QueueUrl"].clone(), call.body["MessageBody"].clone()))
        .collect();
    assert_eq!(
        sent,
        [
            (json!("http://q"), json!("{}")),
            (json!("http://d"), json!("a")),
            (json!("http://o"), json!("b")),
            (json!("http://q"), json!("later")),
        ]
    );
}

#[tokio::test]
async fn without_an_outcome_queue_nothing_is_published() {
    let (clients, calls) = service([]);
    Queues::new(&clients, "http://q", "http://d", None).publish_outcome("b").await.unwrap();
    assert!(calls.all().is_empty());
}
