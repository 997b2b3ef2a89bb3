use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::state::SEARCH_PAUSES;
use super::transition::{FILING_PAUSE, MAX_CRASHES, RETRY_WINDOW};
use super::*;
use crate::outbound::message::{EmailAddress, MessageId, OutboundId, SaveToSent};
use crate::owner_error::{ErrorCode, OwnerError};
use crate::profile::ProfileId;

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

/// One attempt, up to the final dot.
fn in_flight(delivery: &mut Delivery, refused: &[&str], now: OffsetDateTime) {
    delivery.claim(lease(now), now);
    let accepted: Vec<String> =
        delivery.waiting().into_iter().filter(|one| !refused.contains(&one.as_str())).collect();
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
        (message.state(), message.waiting()),
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
    message.finish_attempt(&[], Attempt::Uncertain(OwnerError::new(ErrorCode::SmtpConnect, "gone")), NOW);
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
    nowhere.finish_attempt(&[], Attempt::Uncertain(OwnerError::new(ErrorCode::SmtpConnect, "gone")), NOW);
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
                    let waiting = message.waiting();
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
        prop_assert!(message.recipients.iter().all(|one| !matches!(one.status, RecipientStatus::Waiting(_) | RecipientStatus::InFlight)));
        for (n, one) in message.recipients.iter().enumerate() {
            prop_assert_eq!(dots[n] == 1, matches!(one.status, RecipientStatus::Accepted | RecipientStatus::Uncertain), "{:?}", one);
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
    message.finish_attempt(&[], Attempt::Uncertain(OwnerError::new(ErrorCode::SmtpConnect, "gone")), NOW);
    assert_eq!(message.state(), DeliveryState::Uncertain);
    message.finish_search(SentSearch::Found, NOW);
    assert_eq!(
        (message.state(), &message.recipients[1].status),
        (DeliveryState::Uncertain, &RecipientStatus::Uncertain)
    );
    assert_eq!(message.next(NOW), Next::PublishOutcome);
}
