use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::state::SEARCH_PAUSES;
use super::transition::{FILING_PAUSE, MAX_CRASHES, RETRY_WINDOW};
use super::*;
use crate::outbound::message::{EmailAddress, MessageId, OutboundId, SaveToSent};
use crate::owner_error::{ErrorCode, OwnerError};
use crate::profile::ProfileId;

mod bounce;

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn delivery(recipients: &[&str]) -> Delivery {
    let profile = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let id = OutboundId::parse("order-1").unwrap();
    let addresses: Vec<_> = recipients.iter().map(|address| EmailAddress::parse(address).unwrap()).collect();
    let from = EmailAddress::parse("support@example.com").unwrap();
    let message_id = MessageId::of(profile, &id, &from);
    Delivery::new(profile, id, message_id, &addresses, SaveToSent::Auto, NOW)
}

fn lease(now: OffsetDateTime) -> SendLease {
    SendLease { holder: "one".to_owned(), until: now + Duration::MINUTE }
}

fn reply(class: ReplyClass) -> SmtpReply {
    SmtpReply { class, text: "450 4.2.0 Greylisted".to_owned() }
}

fn gone() -> OwnerError {
    OwnerError::new(ErrorCode::SmtpConnect, "gone")
}

fn doubt() -> SendError {
    SendError::from(&gone())
}

/// One attempt, up to the final dot.
fn in_flight(delivery: &mut Delivery, refused: &[&str], now: OffsetDateTime) {
    delivery.claim(lease(now), now);
    let accepted: Vec<String> =
        delivery.next_recipients().into_iter().filter(|one| !refused.contains(&one.as_str())).collect();
    delivery.mark_data_sent(&accepted, lease(now), now);
}

#[test]
fn an_accepted_message_is_published_and_filed_and_then_done() {
    let mut message = delivery(&["ann@example.org"]);
    assert_eq!((message.state(), message.next(NOW)), (DeliveryState::Queued, Next::Send));
    in_flight(&mut message, &[], NOW);
    assert_eq!((message.state(), message.next(NOW)), (DeliveryState::Sending, Next::Wait(Duration::MINUTE)));
    message.finish_attempt(&[], Attempt::Accepted("250 OK".to_owned()), NOW);
    assert_eq!(
        (message.state(), message.next(NOW), message.sent_at),
        (DeliveryState::Sent, Next::PublishOutcome, Some(NOW))
    );
    message.mark_published(NOW);
    assert_eq!(message.next(NOW), Next::FileCopy);
    message.finish_filing(Filing::Failed, NOW);
    assert_eq!(message.next(NOW), Next::Wait(FILING_PAUSE));
    message.finish_filing(Filing::Filed, NOW);
    assert_eq!(message.next(NOW), Next::Done);
}

#[test]
fn a_greylisted_recipient_is_retried_alone() {
    let mut message = delivery(&["ann@example.org", "bob@example.org", "eve@example.org"]);
    in_flight(&mut message, &["bob@example.org", "eve@example.org"], NOW);
    let refused = [
        ("bob@example.org".to_owned(), reply(ReplyClass::Transient)),
        ("eve@example.org".to_owned(), reply(ReplyClass::Permanent)),
    ];
    message.finish_attempt(&refused, Attempt::Accepted("250 OK".to_owned()), NOW);
    assert_eq!(
        (message.state(), message.next_recipients()),
        (DeliveryState::Queued, vec!["bob@example.org".to_owned()])
    );
    let later = NOW + Duration::MINUTE;
    assert_eq!(message.next(later), Next::Send);
    in_flight(&mut message, &[], later);
    message.finish_attempt(&[], Attempt::Accepted("250 OK".to_owned()), later);
    assert_eq!((message.state(), message.sent_at), (DeliveryState::Sent, Some(NOW)));
    assert_eq!(message.rejected().collect::<Vec<_>>(), [("eve@example.org", "450 4.2.0 Greylisted")]);
}

#[test]
fn a_crash_before_the_dot_is_retried_and_one_after_it_never() {
    let mut message = delivery(&["ann@example.org"]);
    message.claim(lease(NOW), NOW);
    let later = NOW + Duration::minutes(2);
    assert_eq!(message.next(later), Next::Recover);
    message.recover(later);
    assert_eq!(message.next(later), Next::Send);
    in_flight(&mut message, &[], later);
    let after = later + Duration::minutes(2);
    message.recover(after);
    assert_eq!(
        (message.state(), message.next(after)),
        (DeliveryState::Uncertain, Next::Wait(SEARCH_PAUSES[0]))
    );
    message.finish_search(SentSearch::Found, after);
    assert_eq!(
        (message.state(), message.sent_copy, message.error.is_none()),
        (DeliveryState::Sent, SentCopy::Skipped, true)
    );
}

#[test]
fn a_message_that_crashes_the_function_five_times_is_given_up() {
    let mut message = delivery(&["ann@example.org"]);
    for crash in 1..=MAX_CRASHES {
        message.claim(lease(NOW), NOW);
        message.recover(NOW + Duration::minutes(2));
        assert_eq!(message.state() == DeliveryState::Failed, crash == MAX_CRASHES);
    }
    assert!(message.exhausted && message.next(NOW) == Next::PublishOutcome);
}

#[test]
fn an_uncertain_message_is_searched_for_four_times_and_then_published() {
    let mut message = delivery(&["ann@example.org"]);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Uncertain(gone()), NOW);
    let mut now = NOW;
    for pause in SEARCH_PAUSES {
        assert_eq!(message.next(now), Next::Wait(pause));
        now += pause;
        assert_eq!(message.next(now), Next::SearchSent);
        message.finish_search(SentSearch::NotFound, now);
    }
    assert_eq!((message.state(), message.next(now)), (DeliveryState::Uncertain, Next::PublishOutcome));
    message.mark_published(now);
    assert_eq!(message.next(now), Next::Done);
    let mut nowhere = delivery(&["ann@example.org"]);
    in_flight(&mut nowhere, &[], NOW);
    nowhere.finish_attempt(&[], Attempt::Uncertain(gone()), NOW);
    nowhere.finish_search(SentSearch::NoSentMailbox, NOW);
    assert_eq!(nowhere.next(NOW), Next::PublishOutcome);
}

#[test]
fn retries_end_after_a_day() {
    let mut message = delivery(&["ann@example.org"]);
    let (mut now, mut tries) = (NOW, 0);
    while message.state() == DeliveryState::Queued {
        match message.next(now) {
            Next::Wait(pause) => now += pause,
            Next::Recover
            | Next::Send
            | Next::SearchSent
            | Next::PublishOutcome
            | Next::FileCopy
            | Next::Done => {
                message.claim(lease(now), now);
                message.finish_attempt(&[], Attempt::Refused(reply(ReplyClass::Transient)), now);
                tries += 1;
            }
        }
    }
    assert!(now - NOW <= RETRY_WINDOW && now - NOW > Duration::hours(22), "{}", now - NOW);
    assert!((20..40).contains(&tries), "{tries}");
    assert_eq!(
        (message.state(), message.exhausted, message.sent_copy),
        (DeliveryState::Failed, true, SentCopy::Skipped)
    );
    let error = message.error.unwrap();
    assert!(error.message.starts_with("Given up after 24 hours."), "{}", error.message);
}

#[test]
fn an_error_of_the_owner_waits_without_backoff() {
    let mut message = delivery(&["ann@example.org"]);
    for _ in 0..10 {
        message.claim(lease(NOW), NOW);
        message.finish_attempt(&[], Attempt::Interrupted(OwnerError::new(ErrorCode::SmtpAuth, "no")), NOW);
        assert_eq!(message.next(NOW), Next::Wait(PROFILE_RECHECK_PAUSE));
    }
    assert_eq!(message.error.unwrap().code.name(), "smtp_auth");
}

#[test]
fn delay_and_doubt_of_one_recipient_keep_their_error_whatever_the_others_get() {
    let mut message = delivery(&["ann@example.org", "bob@example.org", "eve@example.org"]);
    in_flight(&mut message, &["bob@example.org", "eve@example.org"], NOW);
    let later =
        ["bob@example.org", "eve@example.org"].map(|one| (one.to_owned(), reply(ReplyClass::Transient)));
    message.finish_attempt(&later, Attempt::Accepted("250 OK".to_owned()), NOW);
    let error = message.error.clone().unwrap();
    assert_eq!(
        (message.state(), error.message.as_str()),
        (
            DeliveryState::Queued,
            "The mail server put the message off for bob@example.org: \"450 4.2.0 Greylisted\"."
        )
    );
    assert_eq!(message.outlook(), Some("Attempts go on for 24 hours."));
    in_flight(&mut message, &["eve@example.org"], NOW);
    message.finish_attempt(&later[1..], Attempt::Uncertain(gone()), NOW);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Accepted("250 OK".to_owned()), NOW);
    assert_eq!((message.state(), message.error.clone()), (DeliveryState::Uncertain, Some(doubt())));
}

#[test]
fn a_recipient_over_whom_the_server_closes_the_session_keeps_nobody_waiting() {
    let closing =
        SmtpReply { class: ReplyClass::Transient, text: "421 4.7.0 Too many recipients".to_owned() };
    let mut message = delivery(&["bob@example.org", "ann@example.org", "eve@example.org"]);
    for (to, pause) in [("bob@example.org", 30), ("ann@example.org", 60)] {
        assert_eq!(message.next_recipients().first().map(String::as_str), Some(to));
        message.claim(lease(NOW), NOW);
        message.finish_attempt(&[(to.to_owned(), closing.clone())], Attempt::Interrupted(gone()), NOW);
        assert!(message.next_at.unwrap() - NOW >= Duration::seconds(pause) * 0.8);
    }
    assert_eq!(message.next_recipients(), ["eve@example.org"]);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Accepted("250 OK".to_owned()), NOW);
    // Both again, one at a time and each in its turn, so that neither keeps the other waiting. The server takes
    // messages, so they come soon.
    assert_eq!(message.next(NOW), Next::Wait(Duration::seconds(30)));
    let mut tried = Vec::new();
    for _ in 0..2 {
        let next = message.next_recipients();
        message.claim(lease(NOW), NOW);
        message.finish_attempt(&[(next[0].clone(), closing.clone())], Attempt::Interrupted(gone()), NOW);
        tried.extend(next);
    }
    tried.sort();
    assert_eq!(tried, ["ann@example.org", "bob@example.org"]);
    assert!(message.error.is_some());
}

#[test]
fn cancelling_ends_what_waits_and_leaves_what_was_sent() {
    let mut message = delivery(&["ann@example.org", "bob@example.org"]);
    message.claim(lease(NOW), NOW);
    assert_eq!(message.cancel(NOW), Err(CancelRefusal::Sending));
    message.release(NOW);
    let mut partly = message.clone();
    message.cancel(NOW).unwrap();
    assert_eq!(
        (message.state(), message.next(NOW), message.sent_copy),
        (DeliveryState::Cancelled, Next::PublishOutcome, SentCopy::Skipped)
    );
    message.cancel(NOW).unwrap();
    message.mark_published(NOW);
    assert_eq!(message.next(NOW), Next::Done);

    in_flight(&mut partly, &["bob@example.org"], NOW);
    let later = [("bob@example.org".to_owned(), reply(ReplyClass::Transient))];
    partly.finish_attempt(&later, Attempt::Accepted("250 OK".to_owned()), NOW);
    partly.cancel(NOW).unwrap();
    assert_eq!(
        (partly.state(), &partly.recipients[1].status, partly.error.as_ref()),
        (DeliveryState::Sent, &RecipientStatus::Cancelled, None)
    );
    assert_eq!(partly.cancel(NOW), Err(CancelRefusal::Done(DeliveryState::Sent)));
}

#[test]
fn resending_goes_to_those_whom_nobody_has_taken_it_for() {
    let mut message = delivery(&["ann@example.org", "bob@example.org", "eve@example.org"]);
    message.content = Some("mail/x/out/order-1.json".to_owned());
    assert_eq!(message.resend(NOW), Err(ResendRefusal::InProgress));
    in_flight(&mut message, &["bob@example.org", "eve@example.org"], NOW);
    let refused = [
        ("bob@example.org".to_owned(), reply(ReplyClass::Permanent)),
        ("eve@example.org".to_owned(), reply(ReplyClass::Transient)),
    ];
    message.finish_attempt(&refused, Attempt::Accepted("250 OK".to_owned()), NOW);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Uncertain(gone()), NOW);
    message.mark_published(NOW);

    let later = NOW + Duration::days(3);
    message.resend(later).unwrap();
    assert_eq!(message.next_recipients(), ["bob@example.org", "eve@example.org"]);
    assert_eq!((message.next(later), message.error.as_ref()), (Next::Send, None));
    in_flight(&mut message, &[], later);
    message.finish_attempt(&[], Attempt::Refused(reply(ReplyClass::Transient)), later);
    // It is tried for another day.
    assert_eq!(message.state(), DeliveryState::Queued);
    in_flight(&mut message, &[], later);
    message.finish_attempt(&[], Attempt::Accepted("250 OK".to_owned()), later);
    assert_eq!(
        (message.state(), message.next(later), message.sent_at),
        (DeliveryState::Sent, Next::PublishOutcome, Some(NOW))
    );
    assert_eq!(message.resend(later), Err(ResendRefusal::TakenForAll));
    let mut queued = delivery(&["ann@example.org"]);
    queued.cancel(NOW).unwrap();
    assert_eq!(queued.resend(NOW), Err(ResendRefusal::NotStored));
}

#[test]
fn a_copy_from_before_the_message_was_resent_proves_nothing() {
    let mut message = delivery(&["ann@example.org"]);
    message.content = Some("mail/x/out/order-1.json".to_owned());
    for _ in 0..2 {
        in_flight(&mut message, &[], NOW);
        message.finish_attempt(&[], Attempt::Uncertain(gone()), NOW);
        if message.resent_at.is_none() {
            message.resend(NOW).unwrap();
        }
    }
    message.finish_search(SentSearch::Found, NOW);
    assert_eq!(
        (message.state(), message.next(NOW), message.sent_copy),
        (DeliveryState::Uncertain, Next::PublishOutcome, SentCopy::Skipped)
    );
}

#[test]
fn without_a_sent_mailbox_no_copy_is_pending() {
    let mut message = delivery(&["ann@example.org"]);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Accepted("250 OK".to_owned()), NOW);
    let mut uncertain = message.clone();
    message.finish_filing(Filing::NoSentMailbox, NOW);
    assert_eq!(message.sent_copy, SentCopy::Nowhere);
    uncertain.finish_search(SentSearch::NoSentMailbox, NOW);
    assert_eq!(uncertain.sent_copy, SentCopy::Nowhere);
}

#[test]
fn every_code_is_read_back_from_its_name() {
    let all = ErrorCode::ALL.into_iter().map(SendErrorCode::Profile).chain(SendErrorCode::OWN);
    for code in all {
        assert_eq!(SendErrorCode::parse(&code.name()), Some(code));
    }
    assert_eq!(SendErrorCode::parse("other"), None);
}

/// What can happen to a delivery between two steps.
#[derive(Debug, Clone)]
enum Event {
    Crash,
    CrashAfterDot,
    Accepted,
    Refused(ReplyClass),
    Uncertain,
    Interrupted(ErrorCode),
    Postponed,
    Recipients(Vec<(u8, ReplyClass)>),
}

fn event() -> impl Strategy<Value = Event> {
    let class = prop_oneof![Just(ReplyClass::Transient), Just(ReplyClass::Permanent)];
    prop_oneof![
        Just(Event::Crash),
        Just(Event::CrashAfterDot),
        Just(Event::Accepted),
        class.clone().prop_map(Event::Refused),
        Just(Event::Uncertain),
        prop::sample::select(ErrorCode::ALL.to_vec()).prop_map(Event::Interrupted),
        Just(Event::Postponed),
        prop::collection::vec((0_u8..4, class), 1..4).prop_map(Event::Recipients),
    ]
}

proptest! {
    /// In any order of events: no recipient is sent to twice, each has a final status, and the delivery ends.
    #[test]
    fn nobody_is_sent_to_twice_and_the_end_comes(events in prop::collection::vec(event(), 1..60)) {
        let names = ["a@example.org", "b@example.org", "c@example.org", "d@example.org"];
        let mut message = delivery(&names);
        let mut now = NOW;
        // How often the dot went out for each, and may have been seen.
        let mut dots = [0_u32; 4];
        let mut events = events.into_iter().cycle();
        for _ in 0..5_000 {
            match message.next(now) {
                Next::Wait(pause) => { prop_assert!(pause.is_positive()); now += pause; }
                Next::Recover => message.recover(now),
                Next::SearchSent => message.finish_search(SentSearch::NotFound, now),
                Next::PublishOutcome | Next::FileCopy => { message.mark_published(now); message.finish_filing(Filing::Failed, now); }
                Next::Done => break,
                Next::Send => {
                    let waiting = message.next_recipients();
                    prop_assert!(!waiting.is_empty());
                    let mut refused = Vec::new();
                    let mut event = events.next().unwrap();
                    if let Event::Recipients(some) = &event {
                        refused = some
                            .iter()
                            .map(|(n, class)| (names[usize::from(*n)].to_owned(), reply(*class)))
                            .filter(|(name, _)| waiting.contains(name))
                            .collect();
                        event = Event::Accepted;
                    }
                    if let Event::Postponed = event {
                        let error = SendError::new(SendErrorCode::MessageInvalid, "later");
                        message.postpone(error, now + Duration::MINUTE, now);
                        continue;
                    }
                    message.claim(lease(now), now);
                    let flying: Vec<String> = waiting
                        .into_iter()
                        .filter(|name| !refused.iter().any(|(refused, _)| refused == name))
                        .collect();
                    let mut dot = |message: &mut Delivery| {
                        for (n, name) in names.iter().enumerate() {
                            dots[n] += u32::from(flying.iter().any(|flying| flying == name));
                        }
                        message.mark_data_sent(&flying, lease(now), now);
                    };
                    match event {
                        Event::Crash => now += Duration::minutes(2),
                        Event::CrashAfterDot => { dot(&mut message); now += Duration::minutes(2); }
                        Event::Accepted if flying.is_empty() => {
                            message.finish_attempt(&refused, Attempt::AllRecipientsRejected, now);
                        }
                        Event::Accepted => {
                            dot(&mut message);
                            message.finish_attempt(&refused, Attempt::Accepted("250".to_owned()), now);
                        }
                        Event::Uncertain => {
                            dot(&mut message);
                            message.finish_attempt(&[], Attempt::Uncertain(OwnerError::new(ErrorCode::SmtpConnect, "x")), now);
                        }
                        // A refusal after the dot was heard, so it does not count as a dot that may have been taken.
                        Event::Refused(class) => {
                            message.finish_attempt(&[], Attempt::Refused(reply(class)), now);
                        }
                        Event::Interrupted(code) => {
                            message.finish_attempt(&[], Attempt::Interrupted(OwnerError::new(code, "x")), now);
                        }
                        Event::Postponed | Event::Recipients(_) => {}
                    }
                }
            }
        }
        prop_assert_eq!(message.next(now), Next::Done);
        prop_assert!(dots.iter().all(|dots| *dots <= 1), "{:?}", dots);
        prop_assert!(message.recipients.iter().all(|one| !one.status.is_waiting() && one.status != RecipientStatus::InFlight));
        for (n, one) in message.recipients.iter().enumerate() {
            prop_assert_eq!(dots[n] == 1, matches!(one.status, RecipientStatus::Accepted(_) | RecipientStatus::Uncertain(_)), "{:?}", one);
        }
        prop_assert!(now - NOW < Duration::hours(30));
    }
}

#[test]
fn the_copy_of_one_attempt_says_nothing_about_a_later_one() {
    let mut message = delivery(&["ann@example.org", "bob@example.org"]);
    in_flight(&mut message, &["bob@example.org"], NOW);
    let later = [("bob@example.org".to_owned(), reply(ReplyClass::Transient))];
    message.finish_attempt(&later, Attempt::Accepted("250 OK".to_owned()), NOW);
    in_flight(&mut message, &[], NOW);
    message.finish_attempt(&[], Attempt::Uncertain(gone()), NOW);
    assert_eq!(message.state(), DeliveryState::Uncertain);
    message.finish_search(SentSearch::Found, NOW);
    assert_eq!(
        (message.state(), &message.recipients[1].status),
        (DeliveryState::Uncertain, &RecipientStatus::Uncertain(Some(doubt())))
    );
    assert_eq!(message.next(NOW), Next::PublishOutcome);
}
