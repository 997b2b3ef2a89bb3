//! What is sent, and what happens when a queue takes only a part of it.

use mailroom_core::error_chain::Chain;
use mailroom_core::inbound::job::{ConversationId, Digest, Kind, MessageContent};
use mailroom_core::profile::{ProfileId, RefreshInterval};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, exception, ok, out_of_order, service};

const FIFO: &str = "https://sqs.invalid/1/jobs.fifo";
const STANDARD: &str = "https://sqs.invalid/1/polls";

fn handover(script: impl IntoIterator<Item = Reply>) -> (HandoverQueue, Calls) {
    let (clients, calls) = service(script);
    let queues = QueueUrls { job: FIFO, poll: STANDARD, send: STANDARD };
    (HandoverQueue::new(&clients, "mail", queues), calls)
}

/// A job of the message `message` in `conversation`.
fn job(message: &str, conversation: &str) -> FlowJob {
    let id = ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap();
    let digest = Digest::of(message.as_bytes());
    FlowJob {
        version: 1,
        job_id: JobId::new(id, digest),
        flow_schema_id: "add-to-queue".to_owned(),
        profile_id: id.to_string(),
        profile_name: "Support".to_owned(),
        login: "support@example.com".to_owned(),
        mailbox: "INBOX".to_owned(),
        uid_validity: None,
        uid: 1,
        received_at: None,
        fetched_at: datetime!(2026-11-01 12:00 UTC),
        kind: Kind::Message,
        conversation_id: ConversationId::new(id, &[], &[], Some(conversation), digest),
        message: MessageContent { subject: Some(message.to_owned()), ..MessageContent::default() },
        raw: None,
        report: None,
        authentication: None,
        spam: None,
        supersedes: None,
        redelivered: false,
        calendar: vec![],
        encrypted: None,
    }
}

/// A reply that takes the entries `taken`, and says of the entries `failed` whose fault it is.
fn batch_reply(taken: &[usize], failed: &[(usize, bool)]) -> Reply {
    let successful: Vec<Value> = taken
        .iter()
        .map(|n| json!({"Id": n.to_string(), "MessageId": "m", "MD5OfMessageBody": "unused"}))
        .collect();
    let failed: Vec<Value> = failed
        .iter()
        .map(|(n, sender)| json!({"Id": n.to_string(), "SenderFault": sender, "Code": "canned"}))
        .collect();
    ok(json!({"Successful": successful, "Failed": failed}))
}

/// The subjects of the jobs of each batch that was sent.
fn subjects(calls: &Calls) -> Vec<Vec<String>> {
    let subject = |entry: &Value| {
        let job: FlowJob = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
        job.message.subject.unwrap()
    };
    calls
        .all()
        .iter()
        .map(|call| call.body["Entries"].as_array().unwrap().iter().map(subject).collect())
        .collect()
}

fn ids(jobs: &[&FlowJob]) -> Vec<JobId> {
    jobs.iter().map(|job| job.job_id.clone()).collect()
}

#[tokio::test]
async fn a_fifo_queue_gets_group_and_deduplication_id_and_a_standard_queue_gets_none() {
    let (handover, calls) = handover([batch_reply(&[0], &[]), batch_reply(&[0], &[])]);
    let job = job("one", "a");
    assert_eq!(handover.send(None, std::slice::from_ref(&job)).await.unwrap(), ids(&[&job]));
    handover.send(Some("https://sqs.invalid/1/other"), std::slice::from_ref(&job)).await.unwrap();
    let [first, second] = &calls.all()[..] else { panic!("two calls") };
    assert_eq!(first.body["QueueUrl"], FIFO);
    assert_eq!(first.body["Entries"][0]["MessageGroupId"], job.conversation_id.as_str());
    assert_eq!(first.body["Entries"][0]["MessageDeduplicationId"], job.job_id.as_str());
    assert_eq!(second.body["QueueUrl"], "https://sqs.invalid/1/other");
    assert_eq!(second.body["Entries"][0].get("MessageGroupId"), None);
    assert_eq!(second.body["Entries"][0].get("MessageDeduplicationId"), None);
}

#[tokio::test]
async fn what_the_queue_had_no_room_for_is_sent_again_ahead_of_its_conversation() {
    let (handover, calls) =
        handover([batch_reply(&[1], &[(0, false)]), batch_reply(&[0], &[]), batch_reply(&[0], &[])]);
    let jobs = [job("a1", "a"), job("b1", "b"), job("a2", "a")];
    let taken = handover.send(None, &jobs).await.unwrap();
    assert_eq!(taken, ids(&[&jobs[1], &jobs[0], &jobs[2]]));
    assert_eq!(subjects(&calls), [vec!["a1", "b1"], vec!["a1"], vec!["a2"]]);
}

#[tokio::test]
async fn behind_a_refused_job_its_conversation_stays_and_others_go_on() {
    let (handover, calls) = handover([batch_reply(&[1], &[(0, true)]), batch_reply(&[0], &[])]);
    let jobs = [job("a1", "a"), job("b1", "b"), job("a2", "a"), job("b2", "b")];
    let taken = handover.send(None, &jobs).await.unwrap();
    assert_eq!(taken, ids(&[&jobs[1], &jobs[3]]));
    assert_eq!(subjects(&calls), [vec!["a1", "b1"], vec!["b2"]]);
}

#[tokio::test]
async fn a_queue_that_never_has_room_is_given_up() {
    let (handover, calls) = handover(vec![batch_reply(&[], &[(0, false)]); 20]);
    assert_eq!(handover.send(None, &[job("a1", "a"), job("a2", "a")]).await.unwrap(), []);
    assert_eq!(calls.all().len(), usize::try_from(PARTIAL_TRIES).unwrap());
}

#[tokio::test]
async fn an_entry_that_the_reply_forgets_was_not_taken() {
    let (handover, _) = handover([batch_reply(&[0], &[]), batch_reply(&[0], &[])]);
    let jobs = [job("a1", "a"), job("b1", "b")];
    assert_eq!(handover.send(None, &jobs).await.unwrap(), ids(&[&jobs[0], &jobs[1]]));
}

#[tokio::test]
async fn a_failure_after_some_were_taken_returns_those() {
    let (handover, _) =
        handover([batch_reply(&[0], &[]), exception("AWS.SimpleQueueService.NonExistentQueue")]);
    let jobs = [job("a1", "a"), job("a2", "a")];
    assert_eq!(handover.send(None, &jobs).await.unwrap(), ids(&[&jobs[0]]));
}

#[tokio::test]
async fn a_failure_before_anything_was_taken_is_an_error() {
    let (handover, calls) = handover([exception("InvalidSecurity")]);
    let error = handover.send(None, &[job("a1", "a")]).await.unwrap_err();
    assert!(matches!(error, PortError::Unavailable { operation: "SendMessageBatch", .. }), "{error:?}");
    assert!(Chain(&error).to_string().contains("InvalidSecurity"), "{}", Chain(&error));
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test]
async fn a_job_queue_that_is_gone_or_closed_to_us_is_told_from_an_outage() {
    for code in ["AccessDenied", "QueueDoesNotExist", "KMS.AccessDeniedException"] {
        let (handover, _) = handover([exception(code), exception(code)]);
        let error = handover.send(None, &[job("a1", "a")]).await.unwrap_err();
        assert!(
            matches!(&error, PortError::QueueRefused { queue, .. } if queue == FIFO),
            "{code}: {error:?}"
        );
        // The poll queue is Mailroom's own.
        let request = (PollRequest::Round(RefreshInterval::DEFAULT), Duration::ZERO);
        let error = handover.request(&[request]).await.unwrap_err();
        assert!(matches!(error, PortError::Unavailable { .. }), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn throttling_and_outages_are_tried_again() {
    let (handover, calls) =
        handover([exception("ThrottlingException"), out_of_order(), batch_reply(&[0], &[])]);
    assert_eq!(handover.send(None, &[job("a1", "a")]).await.unwrap().len(), 1);
    assert_eq!(calls.all().len(), 3);
}

#[tokio::test]
async fn no_jobs_are_no_call() {
    let (handover, calls) = handover([]);
    assert_eq!(handover.send(None, &[]).await.unwrap(), []);
    handover.request(&[]).await.unwrap();
    assert!(calls.all().is_empty());
}

#[tokio::test]
async fn characters_that_sqs_refuses_are_replaced() {
    let (handover, calls) = handover([batch_reply(&[0], &[])]);
    handover.send(None, &[job("a\u{fffe}b\u{ffff}c\u{0}d\u{1f600}", "a")]).await.unwrap();
    assert_eq!(subjects(&calls), [["a\u{fffd}b\u{fffd}c\u{0}d\u{1f600}"]]);
    let body = calls.all()[0].body["Entries"][0]["MessageBody"].as_str().unwrap().to_owned();
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(body.chars().all(allowed), "{body:?}");
}

#[tokio::test]
async fn all_requests_have_to_be_taken_and_carry_their_delay() {
    let poll = |n: u32| PollRequest::Round(RefreshInterval::from_seconds(n).unwrap());
    let polls = [
        (poll(10), Duration::from_secs(10)),
        (poll(20), Duration::ZERO),
        (poll(30), Duration::from_secs(10_000)),
    ];
    let (handover, calls) = handover([batch_reply(&[0, 2], &[(1, false)]), batch_reply(&[0], &[])]);
    handover.request(&polls).await.unwrap();
    let [first, second] = &calls.all()[..] else { panic!("two calls") };
    let delays = |call: &crate::replay::Call| -> Vec<i64> {
        let entries = call.body["Entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["DelaySeconds"].as_i64().unwrap()).collect()
    };
    assert_eq!((delays(first), delays(second)), (vec![10, 0, 900], vec![0]));
}

#[tokio::test]
async fn a_request_that_is_refused_is_an_error() {
    let (handover, _) = handover([batch_reply(&[], &[(0, true)])]);
    let poll = PollRequest::Round(RefreshInterval::DEFAULT);
    let error = handover.request(&[(poll, Duration::ZERO)]).await.unwrap_err();
    assert_eq!(Chain(&error).to_string(), "SendMessageBatch failed: 1 entries were not taken");
}

#[tokio::test]
async fn an_object_has_a_key_and_a_content_type_that_a_header_can_hold() {
    let (handover, calls) = handover(vec![ok(Value::Null); 3]);
    handover.put("mail/1.eml", "message/rfc822", vec![1]).await.unwrap();
    handover.put("mail/1/0", "text/\r\nx-amz-acl: public", vec![1]).await.unwrap();
    handover.put("mail/1/1", "", Vec::new()).await.unwrap();
    let seen: Vec<_> = calls.all().into_iter().map(|call| (call.operation, call.content_type)).collect();
    let expected = [
        ("PUT /mail/mail/1.eml", "message/rfc822"),
        ("PUT /mail/mail/1/0", UNKNOWN_CONTENT_TYPE),
        ("PUT /mail/mail/1/1", UNKNOWN_CONTENT_TYPE),
    ];
    assert_eq!(seen, expected.map(|(operation, kind)| (operation.to_owned(), kind.to_owned())));
    assert!(matches!(handover.put("", "text/plain", vec![1]).await, Err(PortError::Corrupt(_))));
}

#[tokio::test]
async fn a_request_to_the_send_queue_is_fair_and_free_of_what_sqs_refuses() {
    let (queue, calls) = handover([ok(json!({"MessageId": "1"}))]);
    let profile = ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap();
    queue.request_send(profile, "{\"diagnostic\":\"\u{ffff}no\"}").await.unwrap();
    let body = &calls.all()[0].body;
    assert_eq!(body["MessageBody"], "{\"diagnostic\":\"\u{fffd}no\"}");
    assert_eq!((&body["QueueUrl"], &body["MessageGroupId"]), (&json!(STANDARD), &json!(profile.to_string())));
}
