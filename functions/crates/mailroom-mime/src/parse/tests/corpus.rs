//! All messages of the folder that `MAILROOM_CORPUS` names: read, and held against the job's schema.

use std::path::PathBuf;

use mailroom_core::inbound::job::{ConversationId, Digest, FLOW_JOB_SCHEMA, FlowJob, JobId, ObjectRef};
use mailroom_core::inbound::truncate::truncate;
use mailroom_core::profile::ProfileId;
use time::macros::datetime;

use super::super::{Defect, parse_message};

/// The folder that the environment names.
#[expect(clippy::disallowed_methods, reason = "names a folder of the machine that tests")]
pub(super) fn folder() -> Option<PathBuf> {
    std::env::var_os("MAILROOM_CORPUS").map(PathBuf::from)
}

fn corpus() -> Vec<PathBuf> {
    let own = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/parse/tests/fixtures"));
    let folder = folder().unwrap_or_else(own);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    files.sort();
    files
}

/// The job of a message as the fetch function would make it, and what of the message was not understood.
fn job(raw: &[u8]) -> (FlowJob, Vec<Defect>) {
    let mail = parse_message(raw);
    let profile = ProfileId::parse("01JDC0000000000000000000ZZ").unwrap();
    let digest = Digest::of(raw);
    let mut message = mail.content;
    message.attachments =
        (0..).zip(&mail.parts).map(|(n, part)| part.attachment(format!("mail/{n}"))).collect();
    let id = message.message_id.as_deref();
    let conversation_id = ConversationId::new(profile, &message.references, &message.in_reply_to, id, digest);
    let job = FlowJob {
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
        fetched_at: datetime!(2026-11-01 08:00 UTC),
        kind: mail.kind,
        conversation_id,
        message,
        raw: Some(ObjectRef { bucket: "b".to_owned(), key: "k".to_owned() }),
        report: mail.report,
        authentication: mail.trace.authentication("imap.gmail.com", &[]),
        spam: mail.trace.spam("imap.gmail.com"),
        supersedes: None,
        redelivered: false,
        calendar: mail.calendar,
        encrypted: mail.encrypted,
    };
    (truncate(job), mail.defects)
}

/// A message with defects is a job all the same.
#[test]
fn every_message_of_the_corpus_is_a_job() {
    let schema = serde_json::from_str(FLOW_JOB_SCHEMA).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let files = corpus();
    assert!(!files.is_empty());
    let mut fully = 0;
    for file in &files {
        let raw = std::fs::read(file).unwrap();
        let (job, defects) = job(&raw);
        let name = file.file_name().unwrap().to_string_lossy();
        let json = serde_json::to_string(&job).unwrap();
        assert!(json.len() <= FlowJob::MAX_BYTES, "{name}: {} bytes", json.len());
        let value = serde_json::from_str(&json).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
        fully += usize::from(defects.is_empty());
        if !defects.is_empty() {
            eprintln!("{name}: {defects:?}");
        }
    }
    eprintln!("parsed fully {fully} of {}", files.len());
}
