//! One message at a time, over fakes that remember.

use mailroom_core::address::HeaderText;
use mailroom_core::health::CurrentError;
use mailroom_core::outbound::delivery::{OutcomeEvent, RecipientStatus, ReplyClass, SentCopy};
use mailroom_core::profile::{Auth, SenderIdentity, SmtpAuth};
use mailroom_lambda::batch::QueueMessage;
use mailroom_lambda::clock;
use serde_json::json;

use super::*;
use crate::fakes::{Fakes, World, now, pass, reply};
use crate::ports::{OpenError, Transfer};

mod bounce;
mod conversation;

/// A queue message that carries a message to Ann and Bob.
fn queued(id: &str, change: serde_json::Value) -> QueuedSend {
    let mut body = json!({
        "version": 1, "profile_id": crate::fakes::PROFILE, "id": id, "text": "Hello",
        "to": [{"address": "ann@example.org"}, {"address": "bob@example.org"}],
    });
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    let body = body.to_string();
    let queue_message =
        QueueMessage { id: "1".to_owned(), receipt_handle: "r".to_owned(), body, deliveries: Some(1) };
    QueuedSend::read(queue_message).unwrap()
}

/// One invocation with this message, with ten minutes.
async fn run(world: &World, queued: &QueuedSend) -> Result<Ack, PortError> {
    run_for(world, queued, Duration::from_secs(600)).await
}

async fn run_for(world: &World, queued: &QueuedSend, time: Duration) -> Result<Ack, PortError> {
    let services = world.services();
    let profile = world.state().profiles.values().next().unwrap().clone();
    let mut sender: Sender<'_, Fakes> = Sender::new(&services, profile, clock::instant() + time);
    let ack = sender.drive(queued).await;
    sender.close().await;
    ack
}

fn connection_lost() -> OwnerError {
    OwnerError::new(ErrorCode::SmtpConnect, "The connection was lost.")
}

fn broken() -> Transfer {
    Transfer { rejected: Vec::new(), end: TransferEnd::Broken(connection_lost()) }
}

#[tokio::test]
async fn a_message_is_sent_once_and_its_outcome_is_published_before_the_copy_is_filed() {
    let world = World::new();
    let message = queued("a", json!({}));
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    let state = world.state();
    assert_eq!(state.sent_to, [["ann@example.org", "bob@example.org"]]);
    assert_eq!(state.events, ["open", "dot", "publish", "file"]);
    assert_eq!((&state.outcomes[0]["status"], &state.outcomes[0]["version"]), (&json!("sent"), &json!(1)));
    drop(state);
    assert_eq!(world.delivery("a").sent_copy, SentCopy::Filed);
}

#[tokio::test]
async fn a_relay_has_a_login_of_its_own_and_sends_for_another_address() {
    let world = World::new();
    for profile in world.state().profiles.values_mut() {
        profile.settings.auth = Auth::Plain { login: "DOMAIN\\user".to_owned() };
        profile.settings.smtp_auth = Some(SmtpAuth { login: "apikey".to_owned() });
        profile.settings.from = Some(SenderIdentity {
            address: EmailAddress::parse("sales@m\u{fc}ller.example").unwrap(),
            name: Some(HeaderText::parse("Sales", 200).unwrap()),
        });
    }
    assert_eq!(run(&world, &queued("a", json!({}))).await.unwrap(), Ack::Done);
    assert_eq!(run(&world, &queued("b", json!({"from_name": "Ben"}))).await.unwrap(), Ack::Done);
    let state = world.state();
    let address = "sales@xn--mller-kva.example".to_owned();
    assert_eq!(state.introductions[0], [&address, "apikey", "of the relay"]);
    assert_eq!(
        state.senders,
        [(address.clone(), format!("Sales <{address}>")), (address.clone(), format!("Ben <{address}>"))]
    );
    drop(state);
    assert!(world.delivery("a").message_id.to_string().ends_with("@xn--mller-kva.example>"));
}

#[tokio::test]
async fn each_recipient_is_refused_on_its_own() {
    let world = World::new();
    let rejected = vec![
        ("ann@example.org".to_owned(), reply(ReplyClass::Permanent, "550 no such user")),
        ("bob@example.org".to_owned(), reply(ReplyClass::Transient, "450 later")),
    ];
    let end = TransferEnd::Refused(Attempt::AllRecipientsRejected);
    world.state().transfers.push_back(Transfer { rejected, end });
    let message = queued("a", json!({}));
    assert!(matches!(run(&world, &message).await.unwrap(), Ack::Again(_)));
    pass(time::Duration::MINUTE);
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    assert_eq!(world.state().sent_to, [["bob@example.org"]]);
    let delivery = world.delivery("a");
    assert_eq!(delivery.rejected().collect::<Vec<_>>(), [("ann@example.org", "550 no such user")]);
    assert_eq!(delivery.state(), DeliveryState::Sent);
}

#[tokio::test]
async fn a_connection_lost_before_the_dot_is_retried() {
    let world = World::new();
    world.state().transfers.push_back(broken());
    world.state().dots.push_back(FinalDot::NotSent(connection_lost()));
    let message = queued("a", json!({}));
    for _ in 0..2 {
        assert!(matches!(run(&world, &message).await.unwrap(), Ack::Again(_)));
        assert_eq!(world.delivery("a").state(), DeliveryState::Queued);
        pass(time::Duration::minutes(2));
    }
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    assert_eq!(world.state().sent_to.len(), 1);
}

#[tokio::test]
async fn a_connection_lost_after_the_dot_is_uncertain_and_never_sent_again() {
    let world = World::new();
    world.state().dots.push_back(FinalDot::NoReply(connection_lost()));
    let message = queued("a", json!({}));
    let mut runs = 0;
    while run(&world, &message).await.unwrap() != Ack::Done {
        assert_eq!(world.delivery("a").state(), DeliveryState::Uncertain);
        pass(time::Duration::HOUR);
        runs += 1;
        assert!(runs < 10);
    }
    let state = world.state();
    assert_eq!((state.sent_to.len(), state.outcomes.len()), (0, 1));
    assert_eq!(state.outcomes[0]["status"], "uncertain");
    assert_eq!(state.events, ["open", "dot", "publish"], "one dot, and no copy");
}

#[tokio::test]
async fn an_uncertain_message_that_the_sent_mailbox_holds_is_sent() {
    let world = World::new();
    world.state().dots.push_back(FinalDot::NoReply(connection_lost()));
    let message = queued("a", json!({}));
    assert!(matches!(run(&world, &message).await.unwrap(), Ack::Again(_)));
    let message_id = world.delivery("a").message_id.to_string();
    world.state().sent_mailbox.push(message_id);
    pass(time::Duration::MINUTE);
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    let state = world.state();
    assert_eq!(state.outcomes[0]["status"], "sent");
    assert_eq!(state.events, ["open", "dot", "publish"], "no second copy");
}

#[tokio::test]
async fn without_a_stored_record_the_dot_is_not_sent() {
    let world = World::new();
    // The claim is stored, the record before the dot is not.
    world.state().failing_save = Some(1);
    let message = queued("a", json!({}));
    assert!(matches!(run(&world, &message).await, Err(PortError::Corrupt(_))));
    assert_eq!(world.state().events, ["open"]);
    // The lease expires, and the next run sends the message.
    pass(time::Duration::minutes(20));
    assert!(matches!(run(&world, &message).await.unwrap(), Ack::Done));
    assert_eq!(world.delivery("a").crashes, 0);
    assert_eq!(world.state().sent_to.len(), 1);
}

#[tokio::test]
async fn another_runs_lease_is_waited_for() {
    let world = World::new();
    let message = queued("a", json!({}));
    world.state().failing_save = Some(1);
    assert!(run(&world, &message).await.is_err());
    assert!(
        matches!(run(&world, &message).await.unwrap(), Ack::Again(pause) if pause > Duration::from_secs(500))
    );
    assert_eq!(world.state().events, ["open"]);
}

#[tokio::test]
async fn no_attempt_starts_without_time_for_it() {
    let world = World::new();
    let message = queued("a", json!({}));
    let ack = run_for(&world, &message, Duration::from_secs(109)).await.unwrap();
    assert_eq!(ack, Ack::Again(Duration::ZERO));
    assert!(world.state().events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_less_than_90_seconds_left_the_dot_is_not_sent() {
    let world = World::new();
    world.state().transfer_time = Duration::from_secs(31);
    let message = queued("a", json!({}));
    let ack = run_for(&world, &message, Duration::from_secs(120)).await.unwrap();
    assert!(matches!(ack, Ack::Again(pause) if pause > Duration::from_secs(20)), "{ack:?}");
    let delivery = world.delivery("a");
    assert_eq!(
        (delivery.state(), delivery.error.unwrap().code.name().as_str()),
        (DeliveryState::Queued, "smtp_timeout")
    );
    assert_eq!(world.state().events, ["open"]);
    pass(time::Duration::HOUR);
    world.state().transfer_time = Duration::from_secs(29);
    assert_eq!(run_for(&world, &message, Duration::from_secs(120)).await.unwrap(), Ack::Done);
    assert_eq!(world.state().sent_to.len(), 1);
}

#[tokio::test]
async fn a_few_runs_at_once_send_for_a_profile_and_the_others_leave_its_messages() {
    let world = World::new();
    world.state().sessions = ["one", "two", "three"].map(str::to_owned).to_vec();
    let mut message = queued("a", json!({}));
    for (deliveries, pause) in [(1, 10), (3, 30), (900, 300)] {
        message.queue_message.deliveries = Some(deliveries);
        assert_eq!(run(&world, &message).await.unwrap(), Ack::Again(Duration::from_secs(pause)));
    }
    assert_eq!(
        (world.delivery("a").revision, world.state().events.len()),
        (0, 0),
        "nothing is written for it"
    );
    world.state().sessions.pop();
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    assert_eq!(world.state().sessions.len(), 2, "the session is given back");
}

#[tokio::test]
async fn a_limit_of_the_server_pauses_the_profile_until_a_message_is_taken() {
    let world = World::new();
    let limit = reply(ReplyClass::Limit, "550 5.4.5 Daily sending limit exceeded");
    world.state().dots.push_back(FinalDot::Refused(limit));
    for id in ["a", "b", "c"] {
        assert!(matches!(run(&world, &queued(id, json!({}))).await.unwrap(), Ack::Again(_)));
        assert_eq!(world.delivery(id).error.unwrap().code.name(), "smtp_throttled");
    }
    assert_eq!(world.state().events, ["open", "dot"], "only the first is tried");
    pass(time::Duration::MINUTE);
    assert_eq!(run(&world, &queued("b", json!({}))).await.unwrap(), Ack::Done);
    assert!(world.state().profiles.values().all(|profile| profile.sending.is_none()));
}

#[tokio::test]
async fn a_limit_that_the_server_names_at_each_recipient_pauses_the_profile_too() {
    let world = World::new();
    let limit = || reply(ReplyClass::Limit, "450 4.7.1 Rate limit exceeded");
    let rejected = ["ann@example.org", "bob@example.org"].map(|one| (one.to_owned(), limit())).to_vec();
    let end = TransferEnd::Refused(Attempt::AllRecipientsRejected);
    world.state().transfers.push_back(Transfer { rejected, end });
    for id in ["a", "b"] {
        assert!(matches!(run(&world, &queued(id, json!({}))).await.unwrap(), Ack::Again(_)));
    }
    assert_eq!(world.delivery("b").error.unwrap().code.name(), "smtp_throttled");
    assert_eq!(world.state().senders.len(), 1, "only the first is tried");
}

#[tokio::test]
async fn without_an_imap_server_there_is_no_copy() {
    let world = World::new();
    world.state().profiles.values_mut().for_each(|profile| profile.settings.imap = None);
    assert_eq!(run(&world, &queued("a", json!({}))).await.unwrap(), Ack::Done);
    assert_eq!(world.delivery("a").sent_copy, SentCopy::Nowhere);
    let state = world.state();
    assert_eq!((&state.outcomes[0]["sent_copy"], state.events.len()), (&json!("none"), 3));
}

#[tokio::test]
async fn a_later_look_sends_what_nobody_has_touched_and_nothing_else() {
    let world = World::new();
    let message = queued("a", json!({}));
    // Stored, and never put on the queue.
    run_for(&world, &message, Duration::ZERO).await.unwrap();
    let mut recheck = queued("a", json!({"recheck": true}));
    world.state().transfers.push_back(broken());
    assert!(matches!(run(&world, &recheck).await.unwrap(), Ack::Again(_)));
    // The next delivery of that request, which has the message's retries now.
    pass(time::Duration::HOUR);
    recheck.queue_message.deliveries = Some(2);
    assert_eq!(run(&world, &recheck).await.unwrap(), Ack::Done);
    assert_eq!(world.state().sent_to.len(), 1);

    world.state().transfers.push_back(broken());
    assert!(matches!(run(&world, &queued("b", json!({}))).await.unwrap(), Ack::Again(_)));
    assert_eq!(run(&world, &queued("b", json!({"recheck": true}))).await.unwrap(), Ack::Done);
    assert_eq!(world.delivery("b").attempts, 1);
}

#[tokio::test]
async fn a_message_that_is_no_longer_stored_fails() {
    let world = World::new();
    let message = queued("a", json!({}));
    run_for(&world, &message, Duration::ZERO).await.unwrap();
    {
        let mut state = world.state();
        state.deliveries.values_mut().for_each(|one| one.content = Some("mail/x/out/a.json".to_owned()));
    }
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    let delivery = world.delivery("a");
    assert_eq!((delivery.state(), delivery.sent_copy), (DeliveryState::Failed, SentCopy::Skipped));
    assert_eq!(delivery.error.unwrap().code, SendErrorCode::MessageInvalid);
    assert_eq!(world.state().events, ["publish"]);
}

#[tokio::test]
async fn a_paused_profile_is_not_sent_through() {
    let world = World::new();
    let sending = mailroom_core::health::SendingStatus {
        error: CurrentError {
            code: ErrorCode::SmtpAuth,
            message: "The login was refused.".to_owned(),
            since: now(),
            count: 5,
        },
        not_before: Some(now() + time::Duration::HOUR),
        version: 1,
    };
    world.state().profiles.values_mut().for_each(|profile| profile.sending = Some(sending.clone()));
    let message = queued("a", json!({}));
    let pause = PROFILE_RECHECK_PAUSE.unsigned_abs();
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Again(pause));
    let delivery = world.delivery("a");
    assert_eq!((delivery.attempts, delivery.error.unwrap().code.name().as_str()), (0, "smtp_auth"));
    assert!(world.state().events.is_empty());
}

#[tokio::test]
async fn a_refused_login_is_retried_once_with_another_token_and_then_recorded() {
    let world = World::new();
    let refused = || OpenError::LoginRefused(OwnerError::new(ErrorCode::SmtpAuth, "The login was refused."));
    world.state().opens.push_back(refused());
    let first = queued("a", json!({}));
    assert_eq!(run(&world, &first).await.unwrap(), Ack::Done);
    assert_eq!(world.state().events[..4], ["open", "refresh", "open", "dot"]);
    world.state().opens.extend([refused(), refused()]);
    let second = queued("b", json!({}));
    assert!(matches!(run(&world, &second).await.unwrap(), Ack::Again(_)));
    let sending = world.state().profiles.values().next().unwrap().sending.clone();
    assert_eq!(sending.unwrap().error.code, ErrorCode::SmtpAuth);
}

#[tokio::test]
async fn an_automatic_message_over_the_limit_is_rejected_for_that_recipient() {
    let world = World::new();
    let automatic = |id, to: &[&str]| {
        let to: Vec<_> = to.iter().map(|address| json!({"address": address})).collect();
        queued(id, json!({"auto_submitted": true, "to": to}))
    };
    run(&world, &automatic("a", &["ann@example.org"])).await.unwrap();
    run(&world, &automatic("b", &["ann@example.org", "bob@example.org"])).await.unwrap();
    run(&world, &automatic("c", &["ann@example.org"])).await.unwrap();
    assert_eq!(world.state().sent_to, [["ann@example.org"], ["bob@example.org"]]);
    let status = &world.delivery("b").recipients[0].status;
    assert!(matches!(status, RecipientStatus::Rejected(why) if why.contains("automatic")));
    assert_eq!(world.delivery("c").error.unwrap().code, SendErrorCode::LoopGuard);
}

#[tokio::test]
async fn a_message_that_runs_out_of_attempts_goes_to_the_dead_letter_queue() {
    let world = World::new();
    let message = queued("a", json!({}));
    let mut runs = 0;
    loop {
        world.state().transfers.push_back(broken());
        if run(&world, &message).await.unwrap() == Ack::Done {
            break;
        }
        pass(time::Duration::minutes(80));
        runs += 1;
        assert!(runs < 60);
    }
    let state = world.state();
    assert_eq!(state.dead_letters, [message.queue_message.body.as_str()]);
    assert_eq!((state.outcomes.len(), &state.outcomes[0]["status"]), (1, &json!("failed")));
}

#[tokio::test]
async fn another_message_with_a_used_id_goes_to_the_dead_letter_queue() {
    let world = World::new();
    run(&world, &queued("a", json!({}))).await.unwrap();
    let other = queued("a", json!({"text": "Something else"}));
    assert_eq!(run(&world, &other).await.unwrap(), Ack::Done);
    let state = world.state();
    assert_eq!(state.dead_letters, [other.queue_message.body.as_str()]);
    assert_eq!((state.sent_to.len(), state.outcomes.len()), (1, 1));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_fails_with_every_reason() {
    let world = World::new();
    let message = queued("a", json!({"subject": "a\nb", "colour": "red"}));
    assert_eq!(run(&world, &message).await.unwrap(), Ack::Done);
    let delivery = world.delivery("a");
    let error = delivery.error.unwrap().message;
    assert!(error.contains("subject") && error.contains("colour"), "{error}");
    assert_eq!(delivery.outcome_event, OutcomeEvent::Published);
    assert_eq!(world.state().dead_letters.len(), 1);
}
