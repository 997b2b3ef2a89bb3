use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn delivery(recipients: &[&str]) -> Delivery {
    let profile = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let id = OutboundId::parse("order-1").unwrap();
    let addresses: Vec<_> = recipients.iter().map(|address| EmailAddress::parse(address).unwrap()).collect();
    let from = EmailAddress::parse("support@example.com").unwrap();
    let message_id = MessageId::of(profile, &id, &from);
    Delivery::new(profile, id, message_id, &addresses, SaveToSent::Auto, NOW)
}

fn lease(now: OffsetDateTime) -> Lease {
    Lease { holder: "one".to_owned(), until: now + Duration::MINUTE }
}

fn answer(class: ReplyClass) -> Answer {
    Answer { class, words: "450 4.2.0 Greylisted".to_owned() }
}

/// One try, up to where the dot goes out.
fn in_flight(delivery: &mut Delivery, refused: &[&str], now: OffsetDateTime) {
    delivery.claim(lease(now), now);
    let accepted: Vec<String> =
        delivery.waiting().into_iter().filter(|one| !refused.contains(&one.as_str())).collect();
    delivery.commit(&accepted, lease(now), now);
}

#[test]
fn a_message_that_is_taken_is_told_and_filed_and_then_nothing_is_left() {
    let mut mail = delivery(&["ann@example.org"]);
    assert_eq!((mail.state(), mail.next(NOW)), (State::Queued, Next::Send));
    in_flight(&mut mail, &[], NOW);
    assert_eq!((mail.state(), mail.next(NOW)), (State::Sending, Next::Wait(Duration::MINUTE)));
    mail.conclude(&[], Attempt::Accepted("250 OK".to_owned()), NOW);
    assert_eq!((mail.state(), mail.next(NOW), mail.sent_at), (State::Sent, Next::Conclude, Some(NOW)));
    mail.mark_published(NOW);
    assert_eq!(mail.next(NOW), Next::Conclude);
    mail.copied(Copied::Failed, NOW);
    assert_eq!(mail.next(NOW), Next::Wait(COPY_PAUSE));
    mail.copied(Copied::Filed, NOW);
    assert_eq!(mail.next(NOW), Next::Nothing);
}

#[test]
fn a_recipient_that_is_greylisted_is_tried_alone_the_next_time() {
    let mut mail = delivery(&["ann@example.org", "bob@example.org", "eve@example.org"]);
    in_flight(&mut mail, &["bob@example.org", "eve@example.org"], NOW);
    let refused = [
        ("bob@example.org".to_owned(), answer(ReplyClass::Transient)),
        ("eve@example.org".to_owned(), answer(ReplyClass::Permanent)),
    ];
    mail.conclude(&refused, Attempt::Accepted("250 OK".to_owned()), NOW);
    assert_eq!((mail.state(), mail.waiting()), (State::Queued, vec!["bob@example.org".to_owned()]));
    let later = NOW + Duration::MINUTE;
    assert_eq!(mail.next(later), Next::Send);
    in_flight(&mut mail, &[], later);
    mail.conclude(&[], Attempt::Accepted("250 OK".to_owned()), later);
    assert_eq!((mail.state(), mail.sent_at), (State::Sent, Some(NOW)));
    assert_eq!(mail.rejected().collect::<Vec<_>>(), [("eve@example.org", "450 4.2.0 Greylisted")]);
}

#[test]
fn a_death_before_the_dot_is_tried_again_and_one_after_it_never() {
    let mut mail = delivery(&["ann@example.org"]);
    mail.claim(lease(NOW), NOW);
    let later = NOW + Duration::minutes(2);
    assert_eq!(mail.next(later), Next::Recover);
    mail.recover(later);
    assert_eq!(mail.next(later), Next::Send);
    in_flight(&mut mail, &[], later);
    let after = later + Duration::minutes(2);
    mail.recover(after);
    assert_eq!((mail.state(), mail.next(after)), (State::Uncertain, Next::Wait(CHECKS[0])));
    mail.found(after);
    assert_eq!((mail.state(), mail.copy, mail.error.is_none()), (State::Sent, Copy::Skipped, true));
}

#[test]
fn what_kills_the_function_again_and_again_is_given_up() {
    let mut mail = delivery(&["ann@example.org"]);
    for death in 1..=MAX_CRASHES {
        mail.claim(lease(NOW), NOW);
        mail.recover(NOW + Duration::minutes(2));
        assert_eq!(mail.state() == State::Failed, death == MAX_CRASHES);
    }
    assert!(mail.exhausted && mail.next(NOW) == Next::Conclude);
}

#[test]
fn what_is_in_doubt_is_looked_for_a_few_times_and_then_told() {
    let mut mail = delivery(&["ann@example.org"]);
    in_flight(&mut mail, &[], NOW);
    mail.conclude(&[], Attempt::Lost(OwnerError::new(ErrorCode::SmtpConnect, "gone")), NOW);
    let mut now = NOW;
    for pause in CHECKS {
        assert_eq!(mail.next(now), Next::Wait(pause));
        now += pause;
        assert_eq!(mail.next(now), Next::Check);
        mail.not_found(Place::Folder, now);
    }
    assert_eq!((mail.state(), mail.next(now)), (State::Uncertain, Next::Conclude));
    mail.mark_published(now);
    assert_eq!(mail.next(now), Next::Nothing);
    let mut nowhere = delivery(&["ann@example.org"]);
    in_flight(&mut nowhere, &[], NOW);
    nowhere.conclude(&[], Attempt::Lost(OwnerError::new(ErrorCode::SmtpConnect, "gone")), NOW);
    nowhere.not_found(Place::Nowhere, NOW);
    assert_eq!(nowhere.next(NOW), Next::Conclude);
}

#[test]
fn tries_end_after_a_day() {
    let mut mail = delivery(&["ann@example.org"]);
    let (mut now, mut tries) = (NOW, 0);
    while mail.state() == State::Queued {
        match mail.next(now) {
            Next::Wait(pause) => now += pause,
            Next::Recover | Next::Send | Next::Check | Next::Conclude | Next::Nothing => {
                mail.claim(lease(now), now);
                mail.conclude(&[], Attempt::Refused(answer(ReplyClass::Transient)), now);
                tries += 1;
            }
        }
    }
    assert!(now - NOW <= TRY_TIME && now - NOW > Duration::hours(22), "{}", now - NOW);
    assert!((20..40).contains(&tries), "{tries}");
    assert_eq!((mail.state(), mail.exhausted, mail.copy), (State::Failed, true, Copy::Skipped));
    let error = mail.error.unwrap();
    assert!(error.message.starts_with("Given up after 24 hours."), "{}", error.message);
}

#[test]
fn trouble_of_the_owner_waits_without_growing() {
    let mut mail = delivery(&["ann@example.org"]);
    for _ in 0..10 {
        mail.claim(lease(NOW), NOW);
        mail.conclude(&[], Attempt::Interrupted(OwnerError::new(ErrorCode::SmtpAuth, "no")), NOW);
        assert_eq!(mail.next(NOW), Next::Wait(OWNER_PAUSE));
    }
    assert_eq!(mail.error.unwrap().code.name(), "smtp_auth");
}

#[test]
fn every_code_has_a_name_that_is_read_again() {
    let all = ErrorCode::ALL.into_iter().map(SendErrorCode::Profile).chain(SendErrorCode::OWN);
    for code in all {
        assert_eq!(SendErrorCode::parse(&code.name()), Some(code));
    }
    assert_eq!(SendErrorCode::parse("other"), None);
}

/// What can happen to a delivery, in any order that the functions could bring about.
#[derive(Debug, Clone)]
enum Event {
    Death,
    DeathAfterDot,
    Accepted,
    Refused(ReplyClass),
    Lost,
    Interrupted(ErrorCode),
    Postponed,
    Recipients(Vec<(u8, ReplyClass)>),
}

fn event() -> impl Strategy<Value = Event> {
    let class = prop_oneof![Just(ReplyClass::Transient), Just(ReplyClass::Permanent)];
    prop_oneof![
        Just(Event::Death),
        Just(Event::DeathAfterDot),
        Just(Event::Accepted),
        class.clone().prop_map(Event::Refused),
        Just(Event::Lost),
        prop::sample::select(ErrorCode::ALL.to_vec()).prop_map(Event::Interrupted),
        Just(Event::Postponed),
        prop::collection::vec((0_u8..4, class), 1..4).prop_map(Event::Recipients),
    ]
}

proptest! {
    /// Whatever happens: nobody is sent to twice, everybody has a fate in the end, and the end comes.
    #[test]
    fn nobody_is_sent_to_twice_and_the_end_comes(events in prop::collection::vec(event(), 1..60)) {
        let names = ["a@example.org", "b@example.org", "c@example.org", "d@example.org"];
        let mut mail = delivery(&names);
        let mut now = NOW;
        // How often the dot went out for each, and may have been seen.
        let mut dots = [0_u32; 4];
        let mut events = events.into_iter().cycle();
        for _ in 0..5_000 {
            match mail.next(now) {
                Next::Wait(pause) => { prop_assert!(pause.is_positive()); now += pause; }
                Next::Recover => mail.recover(now),
                Next::Check => mail.not_found(Place::Folder, now),
                Next::Conclude => { mail.mark_published(now); mail.copied(Copied::Failed, now); }
                Next::Nothing => break,
                Next::Send => {
                    let waiting = mail.waiting();
                    prop_assert!(!waiting.is_empty());
                    let mut refused = Vec::new();
                    let mut event = events.next().unwrap();
                    if let Event::Recipients(some) = &event {
                        refused = some
                            .iter()
                            .map(|(n, class)| (names[usize::from(*n)].to_owned(), answer(*class)))
                            .filter(|(name, _)| waiting.contains(name))
                            .collect();
                        event = Event::Accepted;
                    }
                    if let Event::Postponed = event {
                        let error = SendError::new(SendErrorCode::MessageInvalid, "later");
                        mail.postpone(error, now + Duration::MINUTE, now);
                        continue;
                    }
                    mail.claim(lease(now), now);
                    let flying: Vec<String> = waiting
                        .into_iter()
                        .filter(|name| !refused.iter().any(|(refused, _)| refused == name))
                        .collect();
                    let mut dot = |mail: &mut Delivery| {
                        for (n, name) in names.iter().enumerate() {
                            dots[n] += u32::from(flying.iter().any(|flying| flying == name));
                        }
                        mail.commit(&flying, lease(now), now);
                    };
                    match event {
                        Event::Death => now += Duration::minutes(2),
                        Event::DeathAfterDot => { dot(&mut mail); now += Duration::minutes(2); }
                        Event::Accepted if flying.is_empty() => {
                            mail.conclude(&refused, Attempt::AllRecipientsRejected, now);
                        }
                        Event::Accepted => {
                            dot(&mut mail);
                            mail.conclude(&refused, Attempt::Accepted("250".to_owned()), now);
                        }
                        Event::Lost => {
                            dot(&mut mail);
                            mail.conclude(&[], Attempt::Lost(OwnerError::new(ErrorCode::SmtpConnect, "x")), now);
                        }
                        // A refusal after the dot is one that was heard: it does not count.
                        Event::Refused(class) => {
                            mail.conclude(&[], Attempt::Refused(answer(class)), now);
                        }
                        Event::Interrupted(code) => {
                            mail.conclude(&[], Attempt::Interrupted(OwnerError::new(code, "x")), now);
                        }
                        Event::Postponed | Event::Recipients(_) => {}
                    }
                }
            }
        }
        prop_assert_eq!(mail.next(now), Next::Nothing);
        prop_assert!(dots.iter().all(|dots| *dots <= 1), "{:?}", dots);
        prop_assert!(mail.recipients.iter().all(|one| !matches!(one.status, RecipientStatus::Waiting(_) | RecipientStatus::InFlight)));
        for (n, one) in mail.recipients.iter().enumerate() {
            prop_assert_eq!(dots[n] == 1, matches!(one.status, RecipientStatus::Accepted | RecipientStatus::Uncertain), "{:?}", one);
        }
        prop_assert!(now - NOW < Duration::hours(30));
    }
}

#[test]
fn a_copy_of_one_try_says_nothing_of_a_later_one() {
    let mut mail = delivery(&["ann@example.org", "bob@example.org"]);
    in_flight(&mut mail, &["bob@example.org"], NOW);
    let later = [("bob@example.org".to_owned(), answer(ReplyClass::Transient))];
    mail.conclude(&later, Attempt::Accepted("250 OK".to_owned()), NOW);
    in_flight(&mut mail, &[], NOW);
    mail.conclude(&[], Attempt::Lost(OwnerError::new(ErrorCode::SmtpConnect, "gone")), NOW);
    assert_eq!(mail.state(), State::Uncertain);
    mail.found(NOW);
    assert_eq!((mail.state(), &mail.recipients[1].status), (State::Uncertain, &RecipientStatus::Uncertain));
    assert_eq!(mail.next(NOW), Next::Conclude);
}
