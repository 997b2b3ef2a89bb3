//! Reports about messages that a server had taken.

use super::*;

/// What a report says that failed for this address.
fn failure(address: &str) -> ReportedFailure {
    ReportedFailure {
        addresses: vec!["inner@example.net".to_owned(), address.to_owned()],
        status: Some("5.1.1".to_owned()),
        diagnostic: Some("550 5.1.1 No such user \u{e9}".repeat(40)),
        remote_mta: None,
    }
}

#[test]
fn a_bounce_is_noted_once_for_a_recipient_that_the_message_was_taken_for() {
    let mut message = delivery(&["ann@example.org", "bob@example.org", "eve@example.org"]);
    assert!(!message.note_bounces(&[failure("ann@example.org")], NOW), "nobody has it");
    in_flight(&mut message, &["eve@example.org"], NOW);
    let sending = message.clone();
    assert!(!message.note_bounces(&[failure("ann@example.org")], NOW));
    assert_eq!(message, sending, "a run has it to itself");
    let refused = [("eve@example.org".to_owned(), reply(ReplyClass::Permanent))];
    message.finish_attempt(&refused, Attempt::Accepted("250 OK".to_owned()), NOW);
    message.mark_published(NOW);
    let before = message.clone();
    assert!(!message.note_bounces(&[failure("eve@example.org"), failure("mallory@example.org")], NOW));
    assert_eq!(message, before, "refused before, or no recipient");

    let later = NOW + Duration::HOUR;
    assert!(message.note_bounces(&[failure("Ann@Example.org")], later));
    let bounced: Vec<bool> = message.recipients.iter().map(|one| one.bounce.is_some()).collect();
    assert_eq!(bounced, [true, false, false]);
    let bounce = message.recipients[0].bounce.clone().unwrap();
    assert_eq!((bounce.status.as_deref(), bounce.reported_at), (Some("5.1.1"), later));
    assert_eq!(bounce.diagnostic.unwrap().len(), 500);
    assert_eq!((message.state(), message.next(later)), (DeliveryState::Sent, Next::PublishOutcome));
    message.mark_published(later);
    let before = message.clone();
    assert!(!message.note_bounces(&[failure("ann@example.org")], later + Duration::HOUR), "the first counts");
    assert_eq!(message, before);
    assert!(message.resend(later).is_err(), "a server had it for all who are left");
}

#[test]
fn a_bounce_shows_that_an_uncertain_message_was_taken() {
    let mut message = delivery(&["ann@example.org"]);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Uncertain(gone()), NOW);
    assert_eq!(message.state(), DeliveryState::Uncertain);
    assert!(message.note_bounces(&[failure("ann@example.org")], NOW));
    assert_eq!((message.state(), message.sent_at, &message.error), (DeliveryState::Sent, Some(NOW), &None));
    assert_eq!(message.next(NOW), Next::PublishOutcome);
}
