//! Each reason that excuses a message, and each that does not.

use std::num::NonZeroU16;

use mailroom_core::flow::FlowSchemaId;
use mailroom_core::health::{CurrentError, SkippedSeen};
use mailroom_core::inbound::deferred::{Deferred, QuarantineNotice};
use mailroom_core::inbound::held_back::{Answer, HeldBack};
use mailroom_core::inbound::pending::{Extent, PendingMessage};
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::{Auth, ProfileId, Settings};
use mailroom_core::server::{Host, Security, Server};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);
const UID_VALIDITY: Option<UidValidity> = UidValidity::new(9);

/// A profile that has listened for ten days, with the cursor behind UID 100.
fn profile(change: impl FnOnce(&mut Profile)) -> Profile {
    let server = Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: NonZeroU16::new(993).unwrap(),
        security: Security::Tls,
    };
    let auth = Auth::Plain { login: "ann".to_owned() };
    let settings = Settings::listening("Support", server, auth, FlowSchemaId::parse("flow").unwrap());
    let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
    let mut profile = Profile::new(id, settings, NOW - Duration::days(10));
    profile.cursor = Some(Cursor::new(UID_VALIDITY, 100, NOW));
    change(&mut profile);
    profile
}

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

/// The message with this UID: the text of its digest is its number.
fn digest(n: u32) -> Digest {
    Digest::of(n.to_string().as_bytes())
}

/// A message that arrived so many days ago.
fn message(n: u32, days: i64) -> ListedMessage {
    ListedMessage { uid: uid(n), seen: false, arrived: Some(NOW - Duration::days(days)), size: 10 }
}

/// What the ledger holds of the message with this UID.
fn entry(n: u32) -> HandedOver {
    let place = LedgerPlace { uid: uid(n), uid_validity: UID_VALIDITY, size: 10 };
    HandedOver { digest: digest(n), place: Some(place), noted_at: NOW - Duration::days(1) }
}

/// Compares; each message that is asked for has the digest of its UID.
fn compare(profile: &Profile, ledger: &[HandedOver], listed: &[ListedMessage]) -> (AuditStatus, Counts) {
    let mut comparison = Comparison::new(profile, ledger, UID_VALIDITY, NOW);
    for (message, purpose) in comparison.look(listed) {
        let content = Content::Digests(Some(digest(message.uid.get())), None);
        comparison.read(message, purpose, content);
    }
    let (status, counts, _) = comparison.conclude();
    (status, counts)
}

/// The result for one message without a job.
fn of_one(profile: &Profile, message: ListedMessage) -> (AuditResult, Counts) {
    let (status, counts) = compare(profile, &[], &[message]);
    (status.result, Counts { listed: 0, ..counts })
}

#[test]
fn a_message_without_a_job_is_missing() {
    let missing = Counts { missing: 1, ..Counts::default() };
    assert_eq!(of_one(&profile(|_| {}), message(5, 1)), (AuditResult::Missing, missing));
}

#[test]
fn what_the_ledger_has_is_fine_by_place_or_by_digest() {
    let bare = HandedOver { place: None, ..entry(6) };
    let (status, counts) = compare(&profile(|_| {}), &[entry(5), bare], &[message(5, 1), message(6, 1)]);
    assert_eq!((status.result, counts.handed_over), (AuditResult::Fine, 2));
}

#[test]
fn each_reason_excuses_a_message() {
    let fine = |profile: &Profile, message, counts| {
        assert_eq!(of_one(profile, message), (AuditResult::Fine, counts));
    };
    let none = Counts::default();
    fine(&profile(|_| {}), message(5, 11), Counts { not_due: 1, ..none });
    fine(&profile(|_| {}), message(101, 1), Counts { waiting: 1, ..none });
    let skipped = |profile: &mut Profile| profile.skipped_seen = SkippedSeen { count: 1, last_at: Some(NOW) };
    let seen = ListedMessage { seen: true, ..message(5, 1) };
    fine(&profile(skipped), seen, Counts { read_before: 1, ..none });
    let deferred = profile(|profile| {
        let pending = PendingMessage { uid: uid(5), extent: Extent::Whole, size: 10, arrived: None };
        let notice = QuarantineNotice::Pending;
        profile.deferred = vec![Deferred::new(pending, UID_VALIDITY, notice, NOW)];
    });
    fine(&deferred, message(5, 1), Counts { deferred: 1, ..none });
    let held = profile(|profile| {
        profile.held_back = Some(HeldBack {
            cursor: Cursor::new(UID_VALIDITY, 4, NOW),
            up_to: 5,
            count: 1,
            more: false,
            since: NOW,
            answer: Answer::Awaited,
        });
    });
    let declined = Profile { held_back: None, declined: held.held_back, ..held.clone() };
    for profile in [held, declined] {
        fine(&profile, message(5, 1), Counts { held_back: 1, ..none });
        assert_eq!(of_one(&profile, message(4, 1)).0, AuditResult::Missing);
    }
}

#[test]
fn a_quarantined_message_has_a_job() {
    let digest = Digest::of_place("INBOX", UID_VALIDITY.map(UidValidity::get), 5);
    let ledger = [HandedOver { digest, ..entry(5) }];
    let (status, counts) = compare(&profile(|_| {}), &ledger, &[message(5, 1)]);
    assert_eq!((status.result, counts.quarantined), (AuditResult::Fine, 1));
}

#[test]
fn a_message_that_is_moved_in_counts_although_its_date_is_old() {
    // Behind one that arrived while the profile listened, and was handed over.
    let (status, _) =
        compare(&profile(|_| {}), &[entry(5)], &[message(4, 90), message(5, 1), message(6, 90)]);
    assert_eq!((status.result, status.missing), (AuditResult::Missing, 1));
}

#[test]
fn read_messages_that_no_poll_has_counted_are_never_fine() {
    let seen = ListedMessage { seen: true, ..message(5, 1) };
    assert_eq!(of_one(&profile(|_| {}), seen).0, AuditResult::Inconclusive);
    // Handed over before they were read: they are fetched to tell.
    let bare = HandedOver { place: None, ..entry(5) };
    assert_eq!(compare(&profile(|_| {}), &[bare], &[seen]).0.result, AuditResult::Fine);
}

#[test]
fn where_read_messages_count_they_are_missing_unless_that_was_decided_later() {
    let seen = ListedMessage { seen: true, ..message(5, 2) };
    let counting = |edited_at| {
        profile(|profile| {
            profile.settings.include_seen = true;
            profile.updated_at = edited_at;
        })
    };
    assert_eq!(of_one(&counting(NOW - Duration::days(10)), seen).0, AuditResult::Missing);
    assert_eq!(of_one(&counting(NOW - Duration::days(3)), seen).0, AuditResult::Missing);
    assert_eq!(of_one(&counting(NOW - Duration::days(1)), seen).0, AuditResult::Fine);
}

#[test]
fn a_message_that_waits_from_one_audit_to_the_next_is_missing() {
    let audited = |hours: i64, up_to: u32| {
        profile(|profile| {
            profile.audit = Some(AuditStatus {
                at: NOW - Duration::hours(hours),
                result: AuditResult::Fine,
                missing: 0,
                reason: None,
                waiting: Some(WaitingMark { uid_validity: UID_VALIDITY, up_to }),
            });
        })
    };
    assert_eq!(of_one(&audited(24, 101), message(101, 2)).0, AuditResult::Missing);
    assert_eq!(of_one(&audited(24, 101), message(102, 2)).0, AuditResult::Fine);
    // Three polls, and time for them, lie between.
    assert_eq!(of_one(&audited(0, 101), message(101, 2)).0, AuditResult::Fine);
    // Known trouble is no loss, and not fine either.
    let mut failing = audited(24, 101);
    failing.status.error = Some(CurrentError {
        code: ErrorCode::ImapConnect,
        message: "There is no connection.".to_owned(),
        since: NOW,
        count: 1,
    });
    assert_eq!(of_one(&failing, message(101, 2)).0, AuditResult::Inconclusive);
}

#[test]
fn behind_another_numbering_messages_wait() {
    let renumbered = profile(|profile| profile.cursor = Some(Cursor::new(UidValidity::new(8), 100, NOW)));
    let (result, counts) = of_one(&renumbered, message(5, 1));
    assert_eq!((result, counts.waiting), (AuditResult::Fine, 1));
}

#[test]
fn other_bytes_at_a_known_place_are_never_fine() {
    // A false entry that names the place of another message.
    let false_entry = HandedOver { digest: digest(77), ..entry(5) };
    let (status, counts) = compare(&profile(|_| {}), &[false_entry], &[message(5, 1)]);
    assert_eq!((status.result, counts.changed, counts.handed_over), (AuditResult::Inconclusive, 1, 0));
    let resized = ListedMessage { size: 11, ..message(5, 1) };
    let (status, counts) = compare(&profile(|_| {}), &[false_entry], &[resized]);
    assert_eq!((status.result, counts.changed), (AuditResult::Inconclusive, 1));
}

#[test]
fn a_message_that_is_removed_while_it_is_compared_is_not_missing() {
    let profile = profile(|_| {});
    let mut comparison = Comparison::new(&profile, &[], UID_VALIDITY, NOW);
    for (message, purpose) in comparison.look(&[message(5, 1)]) {
        comparison.read(message, purpose, Content::Gone);
    }
    let (status, counts, missing) = comparison.conclude();
    assert_eq!((status.result, counts.removed, missing.len()), (AuditResult::Fine, 1, 0));
}

#[test]
fn the_start_is_the_latest_of_what_was_asked_for_and_what_is_remembered() {
    let start = |profile: &Profile| Comparison::new(profile, &[], UID_VALIDITY, NOW).start();
    let listens_since = NOW - Duration::days(10);
    assert_eq!(start(&profile(|_| {})), listens_since);
    let all = |profile: &mut Profile| profile.settings.start_from = StartFrom::All;
    assert_eq!(start(&profile(all)), NOW - Duration::days(29));
    // What it was at the first poll is no longer known.
    let edited = |profile: &mut Profile| {
        all(profile);
        profile.updated_at = NOW - Duration::days(1);
    };
    assert_eq!(start(&profile(edited)), listens_since);
    let passed = |profile: &mut Profile| {
        let old_until = Some(NOW - Duration::days(5));
        profile.cursor = profile.cursor.map(|cursor| Cursor { old_until, ..cursor });
    };
    assert_eq!(start(&profile(passed)), NOW - Duration::days(5) + Duration::SECOND);
}

#[test]
fn samples_are_few_and_others_at_each_audit() {
    let profile = profile(|_| {});
    let ledger: Vec<HandedOver> = (1..=100).map(entry).collect();
    let listed: Vec<ListedMessage> = (1..=100).map(|n| message(n, 1)).collect();
    let sampled = |now| {
        let asked = Comparison::new(&profile, &ledger, UID_VALIDITY, now).look(&listed);
        asked.into_iter().map(|(message, _)| message.uid.get()).collect::<Vec<_>>()
    };
    let (first, second) = (sampled(NOW), sampled(NOW + Duration::HOUR));
    assert_eq!((first.len(), second.len()), (SAMPLES, SAMPLES));
    assert!(first.iter().all(|uid| !second.contains(uid)), "{first:?} {second:?}");
}
