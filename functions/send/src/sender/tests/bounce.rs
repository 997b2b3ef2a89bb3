//! Reports about messages that were sent.

use super::*;

/// What fetch puts on the send queue when a report comes for Ann.
fn bounce(id: &str) -> QueuedSend {
    let failure = json!({"addresses": ["ann@example.org"], "status": "5.1.1", "diagnostic": "550 No", "remote_mta": null});
    let body = json!({"version": 1, "profile_id": crate::fakes::PROFILE, "id": id, "bounces": [failure]});
    let queue_message = QueueMessage {
        id: "2".to_owned(),
        receipt_handle: "s".to_owned(),
        body: body.to_string(),
        deliveries: Some(1),
    };
    QueuedSend::read(queue_message).unwrap()
}

#[tokio::test]
async fn a_bounce_is_published_once_and_sends_nothing() {
    let world = World::new();
    assert_eq!(run(&world, &bounce("a")).await.unwrap(), Ack::Done, "no such message");
    assert_eq!(run(&world, &queued("a", json!({}))).await.unwrap(), Ack::Done);
    for _ in 0..2 {
        assert_eq!(run(&world, &bounce("a")).await.unwrap(), Ack::Done);
    }
    let state = world.state();
    assert_eq!(state.events, ["open", "dot", "publish", "file", "publish"]);
    let outcome = &state.outcomes[1];
    let told: Vec<_> = outcome["recipients"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!((&outcome["status"], told), (&json!("sent"), vec![&json!("bounced"), &json!("sent")]));
    assert_eq!(outcome["recipients"][0]["bounce"]["diagnostic"], "550 No");
}

#[tokio::test]
async fn a_bounce_waits_for_the_run_that_sends_the_message() {
    let world = World::new();
    // Bob is put off, so that the message is sent again later.
    let rejected = vec![("bob@example.org".to_owned(), reply(ReplyClass::Transient, "450 4.2.0 Later"))];
    world.state().transfers.push_back(Transfer { rejected, end: TransferEnd::Complete });
    let message = queued("a", json!({}));
    assert!(matches!(run(&world, &message).await.unwrap(), Ack::Again(_)));
    pass(time::Duration::MINUTE);
    let mut claimed = world.delivery("a");
    let lease = SendLease { holder: "other".to_owned(), until: now() + time::Duration::MINUTE };
    claimed.claim(lease, now());
    world.state().deliveries.insert(claimed.id.clone(), claimed.clone());
    assert_eq!(run(&world, &bounce("a")).await.unwrap(), Ack::Again(Duration::from_secs(60)));
    assert_eq!(world.delivery("a"), claimed);
    claimed.release(now());
    world.state().deliveries.insert(claimed.id.clone(), claimed);
    assert_eq!(run(&world, &bounce("a")).await.unwrap(), Ack::Done);
    assert_eq!(world.state().outcomes.len(), 0, "it is not done yet");
    assert!(world.delivery("a").recipients[0].bounce.is_some());
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    let outcomes = world.state().outcomes.clone();
    assert_eq!((outcomes.len(), &outcomes[0]["recipients"][0]["status"]), (1, &json!("bounced")));
}
