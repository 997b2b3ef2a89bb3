use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::macros::datetime;
use ulid::Ulid;

use super::*;
use crate::outbound::message::{EmailAddress, OutboundId};

fn profile(n: u128) -> ProfileId {
    ProfileId::new(Ulid::from(n))
}

/// The schema as it is published, which allows the fields that later jobs have.
fn validator() -> jsonschema::Validator {
    validator_of(&serde_json::from_str(FLOW_JOB_SCHEMA).unwrap())
}

/// The same without such fields: what is written has to be in the schema.
fn closed_validator() -> jsonschema::Validator {
    let mut schema = serde_json::from_str(FLOW_JOB_SCHEMA).unwrap();
    close(&mut schema);
    validator_of(&schema)
}

fn validator_of(schema: &Value) -> jsonschema::Validator {
    jsonschema::meta::validate(schema).expect("the schema is a schema");
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("type") == Some(&json!("object")) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn full() -> FlowJob {
    let person = |name: &str, address: &str| Address {
        name: Some(name.to_owned()),
        address: Some(address.to_owned()),
    };
    let digest = Digest::of(b"raw");
    FlowJob {
        version: 1,
        job_id: JobId::new(profile(7), digest),
        flow_schema_id: "add-to-queue".to_owned(),
        profile_id: profile(7).to_string(),
        profile_name: "Support".to_owned(),
        login: "support@example.com".to_owned(),
        mailbox: "INBOX".to_owned(),
        uid_validity: Some(1_700_000_000),
        uid: 4712,
        received_at: Some(datetime!(2026-11-01 08:00:00.123 UTC)),
        fetched_at: datetime!(2026-11-01 08:01:00 UTC),
        kind: Kind::Message,
        conversation_id: ConversationId::new(profile(7), &[], &[], Some("a@b"), digest),
        message: MessageContent {
            message_id: Some("a@b".to_owned()),
            in_reply_to: vec!["b@c".to_owned()],
            references: vec!["c@d".to_owned()],
            date: Some(datetime!(2026-11-01 09:00:00 +01:00)),
            subject: Some("Grüße".to_owned()),
            from: vec![person("Ann", "ann@example.org")],
            sender: vec![],
            reply_to: vec![],
            to: vec![Address { name: None, address: Some("support@example.com".to_owned()) }],
            cc: vec![Address { name: Some("nobody".to_owned()), address: None }],
            bcc: vec![],
            text: Some("Hello\n".to_owned()),
            html: Some("<p>Hello".to_owned()),
            auto_submitted: Some("auto-generated".to_owned()),
            truncated: false,
            headers: vec![("Received".to_owned(), "from a by b".to_owned())],
            attachments: vec![Attachment {
                filename: Some("a.pdf".to_owned()),
                content_type: "application/pdf".to_owned(),
                size: 1,
                content_id: None,
                inline: false,
                key: "mail/a/0".to_owned(),
                charset: Some("utf-8".to_owned()),
                parameters: [("method".to_owned(), "REQUEST".to_owned())].into(),
                sha256: Some(digest.to_hex()),
                disposition: Some("attachment".to_owned()),
                message: Some(EnclosedMessage {
                    subject: Some("Re: Grüße".to_owned()),
                    from: vec![person("Bob", "bob@example.org")],
                    date: Some(datetime!(2026-11-01 07:00:00 UTC)),
                    message_id: Some("d@e".to_owned()),
                    attachments: vec![EnclosedPart {
                        filename: Some("b.pdf".to_owned()),
                        content_type: "application/pdf".to_owned(),
                        size: 2,
                        content_id: Some("f@g".to_owned()),
                        inline: true,
                    }],
                }),
            }],
            size: 20480,
            sha256: digest.to_hex(),
            text_source: Some(TextSource::Plain),
            reply_text: Some("Hello".to_owned()),
            automatic: Some(Automatic { reason: AutomaticReason::List }),
            answerable: Some(false),
            delivered_to: Some("support+sales@example.com".to_owned()),
            subaddress: Some("sales".to_owned()),
            list: Some(MailingList {
                id: Some("news.example.org".to_owned()),
                post: None,
                unsubscribe: vec!["https://example.org/u".to_owned()],
                one_click: true,
            }),
            importance: Some(Importance::High),
            flags: Some(vec!["\\Seen".to_owned(), "$Forwarded".to_owned()]),
            gmail: Some(Gmail {
                thread_id: Some("1278455344230334865".to_owned()),
                message_id: Some("1278455344230334866".to_owned()),
                labels: vec!["\\Inbox".to_owned(), "Entwürfe".to_owned()],
            }),
            attachments_omitted: 3,
        },
        raw: Some(ObjectRef { bucket: "b".to_owned(), key: "mail/a.eml".to_owned() }),
        report: Some(Report {
            delivery: Some(vec![ReportedRecipient {
                recipient: Some("ann@example.org".to_owned()),
                original_recipient: Some("a@example.org".to_owned()),
                action: Some(ReportedAction::Failed),
                status: Some("5.1.1".to_owned()),
                diagnostic: Some("550 5.1.1 No such user".to_owned()),
                remote_mta: Some("mx.example.org".to_owned()),
            }]),
            complaint: Some(Complaint {
                feedback_type: Some("abuse".to_owned()),
                recipients: vec!["ann@example.org".to_owned()],
                source_ip: Some("192.0.2.1".to_owned()),
                arrived_at: Some(datetime!(2026-11-01 07:00:00 UTC)),
            }),
            receipt: Some(Receipt {
                recipient: Some("ann@example.org".to_owned()),
                original_recipient: None,
                disposition: Some("displayed".to_owned()),
                automatic: true,
            }),
            original: Some(OriginalMessage {
                message_id: Some("1@a".to_owned()),
                subject: Some("Offer".to_owned()),
                to: vec![person("Ann", "ann@example.org")],
            }),
            outbound: Some(ReportedOutbound { message: "order-4711".to_owned() }),
        }),
        authentication: Some(Authentication {
            spf: Some("softfail".to_owned()),
            dkim: Some("pass".to_owned()),
            dmarc: Some("pass".to_owned()),
            arc: None,
        }),
        spam: Some(Spam { verdict: SpamVerdict::NotSpam, score: Some(1.5) }),
        supersedes: Some(JobId::new(profile(1), Digest::of_place("INBOX", Some(7), 9))),
        redelivered: true,
        encrypted: Some(Encryption::Smime),
        calendar: vec![CalendarEvent {
            method: Some("REQUEST".to_owned()),
            uid: Some("1@a".to_owned()),
            sequence: Some(2),
            summary: Some("Call".to_owned()),
            starts_at: Some("2026-11-02T09:00:00+01:00".to_owned()),
            ends_at: Some("2026-11-02T10:00:00".to_owned()),
            time_zone: Some("Europe/Berlin".to_owned()),
            organizer: Some(person("Ann", "ann@example.org")),
            attendees: vec![Attendee {
                name: None,
                address: Some("support@example.com".to_owned()),
                status: Some("NEEDS-ACTION".to_owned()),
            }],
            status: Some("CONFIRMED".to_owned()),
            recurrence: Some("FREQ=DAILY".to_owned()),
            recurrence_id: Some("2026-11-02".to_owned()),
            location: Some("Room 1".to_owned()),
        }],
    }
}

/// A mail that could not be read: next to nothing is known.
fn bare() -> FlowJob {
    FlowJob {
        uid_validity: None,
        received_at: None,
        kind: Kind::Quarantined,
        message: MessageContent { sha256: Digest::of(b"").to_hex(), ..MessageContent::default() },
        raw: None,
        report: None,
        authentication: None,
        spam: None,
        supersedes: None,
        redelivered: false,
        calendar: vec![],
        encrypted: None,
        ..full()
    }
}

#[test]
fn jobs_are_what_the_schema_says() {
    let validator = closed_validator();
    for job in [full(), bare()] {
        let value = serde_json::to_value(&job).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(serde_json::from_value::<FlowJob>(value).unwrap(), job);
    }
}

/// The fields in a value that are not null, each with those that it is in.
fn fields(value: &Value, within: &str, found: &mut BTreeSet<String>) {
    match value {
        // The names of parameters are the sender's.
        Value::Object(members) if !within.ends_with("/parameters") => {
            for (name, value) in members {
                fields(value, &format!("{within}/{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, within, found)),
        Value::Null => return,
        Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found.insert(within.to_owned());
}

#[test]
fn the_examples_are_jobs_and_show_every_field() {
    let schema: Value = serde_json::from_str(FLOW_JOB_SCHEMA).unwrap();
    let validator = closed_validator();
    let (mut shown, mut all) = (BTreeSet::new(), BTreeSet::new());
    for example in schema["examples"].as_array().unwrap() {
        let errors: Vec<String> =
            validator.iter_errors(example).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{example}");
        let job: FlowJob = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(&serde_json::to_value(job).unwrap(), example);
        fields(example, "", &mut shown);
    }
    fields(&serde_json::to_value(full()).unwrap(), "", &mut all);
    assert_eq!(all.difference(&shown).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Fields that jobs of version 1 have had for some of its time only: of the job, and of its message.
const ADDED: [&str; 12] = [
    "auto_submitted",
    "text_source",
    "reply_text",
    "automatic",
    "answerable",
    "delivered_to",
    "subaddress",
    "list",
    "importance",
    "flags",
    "gmail",
    "attachments_omitted",
];

/// The same, of the job itself.
const ADDED_TO_JOBS: [&str; 7] =
    ["report", "authentication", "spam", "supersedes", "redelivered", "calendar", "encrypted"];

/// The same, of an attachment.
const ADDED_TO_ATTACHMENTS: [&str; 5] = ["charset", "parameters", "sha256", "disposition", "message"];

#[test]
fn jobs_from_before_a_field_was_added_stay_jobs() {
    let mut value = serde_json::to_value(full()).unwrap();
    let message = value.pointer_mut("/message").unwrap().as_object_mut().unwrap();
    for name in ADDED {
        message.remove(name).unwrap();
    }
    for name in ADDED_TO_JOBS {
        value.as_object_mut().unwrap().remove(name).unwrap();
    }
    let attachment = value.pointer_mut("/message/attachments/0").unwrap().as_object_mut().unwrap();
    for name in ADDED_TO_ATTACHMENTS {
        attachment.remove(name).unwrap();
    }
    assert!(validator().is_valid(&value));
    let job = serde_json::from_value::<FlowJob>(value).unwrap();
    assert_eq!((job.message.reply_text, job.supersedes, job.redelivered), (None, None, false));
}

#[test]
fn every_other_field_is_required_and_what_is_added_later_is_passed_over() {
    let (validator, closed) = (validator(), closed_validator());
    for path in [
        "",
        "/message",
        "/raw",
        "/message/attachments/0",
        "/message/from/0",
        "/message/automatic",
        "/message/list",
        "/message/gmail",
        "/message/attachments/0/message",
        "/message/attachments/0/message/attachments/0",
        "/report",
        "/report/delivery/0",
        "/report/complaint",
        "/report/receipt",
        "/report/original",
        "/report/outbound",
        "/authentication",
        "/spam",
        "/calendar/0",
        "/calendar/0/attendees/0",
    ] {
        let added: &[&str] = match path {
            "" => &ADDED_TO_JOBS,
            "/message" => &ADDED,
            "/message/attachments/0" => &ADDED_TO_ATTACHMENTS,
            _ => &[],
        };
        let whole = serde_json::to_value(full()).unwrap();
        let names: Vec<String> = whole.pointer(path).unwrap().as_object().unwrap().keys().cloned().collect();
        for name in names.into_iter().filter(|name| !added.contains(&name.as_str())) {
            let mut without = whole.clone();
            without.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(&name);
            assert!(!validator.is_valid(&without), "{path}/{name} is not required");
        }
        let mut more = whole.clone();
        more.pointer_mut(path).unwrap().as_object_mut().unwrap().insert("more".to_owned(), json!(1));
        assert!(!closed.is_valid(&more), "{path} is not closed");
        assert!(validator.is_valid(&more), "{path} allows no other fields");
        assert_eq!(serde_json::from_value::<FlowJob>(more).unwrap(), full(), "{path}");
    }
}

#[test]
fn the_schema_refuses_what_no_job_holds() {
    let validator = validator();
    for (path, value) in [
        ("/version", json!(2)),
        ("/uid", json!(0)),
        ("/uid_validity", json!(0)),
        ("/kind", json!("other")),
        ("/job_id", json!("x")),
        ("/fetched_at", json!("yesterday")),
        ("/message/date", json!("Sun, 1 Nov 2026 09:00:00 +0100")),
        ("/message/headers/0", json!(["Received"])),
        ("/message/headers/0", json!(["Received", "a", "b"])),
        ("/message/attachments/0/filename", json!("../a.pdf")),
        ("/message/attachments/0/content_type", json!("Application/PDF")),
        ("/message/attachments/0/parameters", json!({"method": 1})),
        ("/report/delivery/0/status", json!("5.1")),
        ("/calendar/0/starts_at", json!("tomorrow")),
        ("/report/delivery/0/action", json!("who-knows")),
        ("/message/attachments/0/message/attachments/0/filename", json!("../b.pdf")),
    ] {
        let mut job = serde_json::to_value(full()).unwrap();
        *job.pointer_mut(path).unwrap() = value.clone();
        assert!(!validator.is_valid(&job), "{path} may be {value}");
    }
}

#[test]
fn a_report_names_the_outbound_message_that_it_is_about() {
    let id = OutboundId::parse("order-4711").unwrap();
    let from = EmailAddress::parse("support@example.com").unwrap();
    let about = |message_id: &str| {
        let original =
            OriginalMessage { message_id: Some(message_id.to_owned()), ..OriginalMessage::default() };
        Report { original: Some(original), ..Report::default() }.about(profile(7)).outbound
    };
    let ours = MessageId::of(profile(7), &id, &from);
    assert_eq!(about(ours.as_str()), Some(ReportedOutbound { message: "order-4711".to_owned() }));
    assert_eq!(about(MessageId::of(profile(8), &id, &from).as_str()), None);
    assert_eq!(about("4711@example.org"), None);
    assert_eq!(Report::default().about(profile(7)), Report::default());
}

#[test]
fn every_kind_is_in_the_schema() {
    let schema: Value = serde_json::from_str(FLOW_JOB_SCHEMA).unwrap();
    let kinds = [Kind::Message, Kind::AutoReply, Kind::Bounce, Kind::Oversize, Kind::Quarantined];
    assert_eq!(schema.pointer("/properties/kind/enum").unwrap(), &serde_json::to_value(kinds).unwrap());
}

fn conversation(references: &[&str], in_reply_to: &[&str], id: Option<&str>) -> ConversationId {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    ConversationId::new(profile(1), &owned(references), &owned(in_reply_to), id, Digest::of(b"mail"))
}

/// RFC 5322 §3.6.4: a reply's References are its parent's and the parent's Message-ID.
#[test]
fn a_thread_is_one_conversation() {
    let first = conversation(&[], &[], Some("1@a"));
    let reply = conversation(&["1@a"], &["1@a"], Some("2@b"));
    let reply_to_reply = conversation(&["1@a", "2@b"], &["2@b"], Some("3@a"));
    assert_eq!(first, reply);
    assert_eq!(first, reply_to_reply);
}

/// A client that writes no References still names the mail it answers: right for the first answer.
#[test]
fn an_answer_without_references_joins_the_mail_it_answers() {
    assert_eq!(conversation(&[], &["1@a"], Some("2@b")), conversation(&[], &[], Some("1@a")));
}

#[test]
fn mail_without_any_id_is_a_conversation_of_its_own() {
    let of = |raw: &[u8]| ConversationId::new(profile(1), &[], &[], None, Digest::of(raw));
    assert_ne!(of(b"a"), of(b"b"));
    assert_eq!(of(b"a"), of(b"a"));
}

#[test]
fn profiles_do_not_share_conversations() {
    let of = |n| ConversationId::new(profile(n), &[], &[], Some("1@a"), Digest::of(b"mail"));
    assert_ne!(of(1), of(2));
    assert_eq!(of(1).as_str().len(), 32);
}

#[test]
fn a_job_older_than_auto_submitted_is_read_and_valid() {
    let mut value = serde_json::to_value(bare()).unwrap();
    value["message"].as_object_mut().unwrap().remove("auto_submitted").unwrap();
    assert!(validator().is_valid(&value));
    assert_eq!(serde_json::from_value::<FlowJob>(value).unwrap(), bare());
}

#[test]
fn a_report_of_failure_names_what_bounced_and_a_notice_of_delay_nothing() {
    let mut job = full();
    let report = job.report.as_mut().unwrap();
    report.outbound = Some(ReportedOutbound { message: "order-4711".to_owned() });
    let recipient = |action, address: &str| ReportedRecipient {
        recipient: Some(address.to_owned()),
        original_recipient: Some(format!("alias-of-{address}")),
        action,
        status: Some("5.1.1".to_owned()),
        diagnostic: Some("550 No such user".to_owned()),
        remote_mta: Some("mx.example.org".to_owned()),
    };
    let failed = recipient(Some(ReportedAction::Failed), "ann@example.org");
    let others = [Some(ReportedAction::Delayed), Some(ReportedAction::Delivered), None];
    let others = others.map(|action| recipient(action, "bob@example.org"));
    report.delivery = Some([&others[..], &[failed]].concat());
    let bounced = job.bounced_message().unwrap();
    assert_eq!(bounced.message.as_str(), "order-4711");
    let [failure] = &bounced.failures[..] else { panic!("one: {bounced:?}") };
    assert_eq!(failure.addresses, ["alias-of-ann@example.org", "ann@example.org"]);
    assert_eq!(failure.diagnostic.as_deref(), Some("550 No such user"));

    job.report.as_mut().unwrap().delivery = Some(others.to_vec());
    assert_eq!(job.bounced_message(), None);
    let mut job = full();
    job.report.as_mut().unwrap().outbound = None;
    assert_eq!(job.bounced_message(), None);
}
