//! Every job fits, and no more is cut than has to be.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use time::macros::datetime;
use ulid::Ulid;

use super::*;
use crate::inbound::job::{
    Attendee, CalendarEvent, ConversationId, Digest, EnclosedMessage, EnclosedPart, JobId, Kind, MailingList,
    ObjectRef, OriginalMessage, Report, ReportedRecipient,
};
use crate::profile::ProfileId;

fn small() -> FlowJob {
    let profile = ProfileId::new(Ulid::from(7));
    let digest = Digest::of(b"raw");
    FlowJob {
        version: 1,
        job_id: JobId::new(profile, digest),
        flow_schema_id: "add-to-queue".to_owned(),
        profile_id: profile.to_string(),
        profile_name: "Support".to_owned(),
        login: "support@example.com".to_owned(),
        mailbox: "INBOX".to_owned(),
        uid_validity: Some(1),
        uid: 1,
        received_at: None,
        fetched_at: datetime!(2026-11-01 08:01:00 UTC),
        kind: Kind::Message,
        conversation_id: ConversationId::new(profile, &[], &[], None, digest),
        message: MessageContent { sha256: digest.to_hex(), ..MessageContent::default() },
        raw: Some(ObjectRef { bucket: "b".to_owned(), key: "k".to_owned() }),
        report: None,
        authentication: None,
        spam: None,
        supersedes: None,
        redelivered: false,
        calendar: vec![],
        encrypted: None,
    }
}

/// A report that returns this subject, about many recipients.
fn report(subject: Option<String>) -> Report {
    let word = "x".repeat(1000);
    let recipient = ReportedRecipient { diagnostic: Some(word), ..ReportedRecipient::default() };
    Report {
        delivery: Some(vec![recipient; 100]),
        original: Some(OriginalMessage { subject, ..OriginalMessage::default() }),
        ..Report::default()
    }
}

fn size(job: &FlowJob) -> usize {
    serde_json::to_string(job).unwrap().len()
}

/// The job fits, is still a job, says that it was cut, and is not cut again.
fn assert_fits(job: FlowJob) -> FlowJob {
    let before = size(&job);
    let fitted = truncate(job.clone());
    let json = serde_json::to_string(&fitted).unwrap();
    assert!(json.len() <= FlowJob::MAX_BYTES, "{} bytes", json.len());
    assert_eq!(serde_json::from_str::<FlowJob>(&json).unwrap(), fitted);
    if before <= FlowJob::MAX_BYTES {
        assert_eq!(fitted, job);
    } else {
        assert!(fitted.message.truncated);
    }
    assert_eq!(truncate(fitted.clone()), fitted);
    fitted
}

#[test]
fn html_goes_before_text() {
    let mut job = small();
    job.message.text = Some("t".repeat(100_000));
    job.message.html = Some("\"é".repeat(100_000));
    let fitted = assert_fits(job.clone());
    assert_eq!(fitted.message.text, job.message.text);
    assert!(job.message.html.unwrap().starts_with(fitted.message.html.as_deref().unwrap()));
    assert!(size(&fitted) > FlowJob::MAX_BYTES - 10, "too much was cut");
}

#[test]
fn control_characters_count_six_bytes() {
    let mut job = small();
    job.message.text = Some("\u{1}".repeat(200_000));
    let fitted = assert_fits(job);
    assert!(size(&fitted) > FlowJob::MAX_BYTES - 10, "too much was cut");
}

#[test]
fn a_text_outlives_a_flood_of_header_fields_and_recipients() {
    let mut job = small();
    job.message.text = Some("t".repeat(50_000));
    job.message.headers = vec![("X-Flood".to_owned(), "x".repeat(500)); 1000];
    job.message.bcc = vec![Address { name: None, address: Some("a@b.example".to_owned()) }; 20_000];
    let fitted = assert_fits(job);
    assert_eq!(fitted.message.text.unwrap().len(), 50_000);
    assert_eq!(fitted.message.headers.len(), HEADERS_KEPT);
    assert!(fitted.message.bcc.len() >= ADDRESSES_KEPT);
}

#[test]
fn a_date_that_rfc_3339_cannot_say_is_left_out() {
    let mut job = small();
    job.message.date = Some(datetime!(-0044-03-15 12:00 UTC));
    job.received_at = Some(datetime!(2026-01-01 12:00 +01:02:03));
    let fitted = truncate(job);
    assert_eq!((fitted.message.date, fitted.received_at), (None, None));
    assert!(fitted.message.truncated);
    serde_json::to_string(&fitted).unwrap();
}

/// A text of up to `max` characters, all alike: what counts is length and escaping.
fn text(max: usize) -> impl Strategy<Value = String> {
    let c = prop_oneof![Just('a'), Just('"'), Just('\0'), Just('\n'), Just('é'), Just('😀'), Just('\u{7f}')];
    let length = prop_oneof![4 => 0..40_usize, 1 => 0..max];
    (c, length).prop_map(|(c, length)| c.to_string().repeat(length))
}

fn list<T: std::fmt::Debug + Clone>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    // Few different items, repeated: thousands of strategies would take the test's time.
    (vec(item, 0..3), prop_oneof![3 => 1..3_usize, 1 => 1..400_usize])
        .prop_map(|(items, times)| items.iter().cycle().take(items.len() * times).cloned().collect())
}

fn people() -> impl Strategy<Value = Vec<Address>> {
    list(
        (option::of(text(1000)), option::of(text(1000)))
            .prop_map(|(name, address)| Address { name, address }),
    )
}

prop_compose! {
    fn attachment()(filename in option::of(text(500)), content_type in text(500), content_id in option::of(text(500)),
                    key in text(500), size: u64, inline: bool) -> Attachment {
        let message = content_id.clone().map(|subject| EnclosedMessage {
            subject: Some(subject.clone()),
            message_id: Some(subject.clone()),
            from: vec![Address { name: Some(subject.clone()), address: None }; 20],
            attachments: vec![EnclosedPart { content_type: subject, ..EnclosedPart::default() }; 20],
            date: None,
        });
        Attachment {
            charset: filename.clone(), disposition: filename.clone(), sha256: filename.clone(),
            parameters: [("method".to_owned(), key.clone())].into(),
            filename, content_type, size, content_id, inline, key, message,
        }
    }
}

prop_compose! {
    fn content()(ids in (option::of(text(300_000)), list(text(500)), list(text(500))), subject in option::of(text(300_000)),
                 people in vec(people(), 6), bodies in (option::of(text(400_000)), option::of(text(400_000)), option::of(text(400_000))),
                 list in option::of((option::of(text(300_000)), list(text(500)))), delivered in option::of(text(300_000)),
                 headers in list((text(500), text(500))), attachments in list(attachment()), sha256 in text(300_000))
                 -> MessageContent {
        let mut people = people.into_iter();
        let mut next = || people.next().unwrap_or_default();
        MessageContent {
            message_id: ids.0, in_reply_to: ids.1, references: ids.2, date: None, subject,
            from: next(), sender: next(), reply_to: next(), to: next(), cc: next(), bcc: next(),
            text: bodies.0, html: bodies.1, truncated: false, headers, attachments, size: 1, sha256,
            reply_text: bodies.2, subaddress: delivered.clone(), delivered_to: delivered,
            list: list.map(|(id, unsubscribe)| MailingList { post: id.clone(), id, unsubscribe, one_click: true }),
            ..MessageContent::default()
        }
    }
}

prop_compose! {
    fn job()(message in content(), names in vec(text(300_000), 8)) -> FlowJob {
        let mut names = names.into_iter();
        let mut next = || names.next().unwrap_or_default();
        let id = |text: String| serde_json::from_value(serde_json::Value::String(text)).unwrap();
        let conversation = |text: String| serde_json::from_value(serde_json::Value::String(text)).unwrap();
        FlowJob {
            job_id: id(next()), conversation_id: conversation(next()), flow_schema_id: next(), profile_id: next(),
            profile_name: next(), login: next(), mailbox: next(), raw: Some(ObjectRef { bucket: next(), key: String::new() }),
            calendar: vec![CalendarEvent {
                attendees: vec![Attendee { name: Some("n".repeat(500)), ..Attendee::default() }; message.in_reply_to.len()],
                ..CalendarEvent::default()
            }],
            report: message.delivered_to.clone().map(|subject| report(Some(subject))), message, ..small()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn every_job_fits(job in job()) {
        assert_fits(job);
    }
}
