//! What a flow does with a job, done by the demo: it replies by the HTTP API. Then the reply is shown as it arrived.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mailroom_core::inbound::job::{Address, FlowJob, Kind};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::parts::{Demo, logs, refused};
use crate::http;
use crate::problem::{Problem, chain};
use crate::progress::step;

/// How long a reply may take: the function has to start, and to try once.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait for the copy in the sent mailbox, which is filed after the reply is sent.
const COPY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the status of the reply is read.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// The header fields that are shown.
const SHOWN: [&str; 7] =
    ["From", "To", "Subject", "In-Reply-To", "References", "Message-ID", "Auto-Submitted"];

/// Replies to the message of a job; returns what there is to see of it.
///
/// # Errors
/// When the API refuses the reply, it is not sent, or it does not arrive.
pub(super) async fn reply(demo: &Demo, job: &FlowJob) -> Result<String, Problem> {
    let body = match body(job) {
        Ok(body) => body,
        Err(why) => return Ok(format!("\nNo reply: {why}.")),
    };
    let progress = step("replying by the API, as a flow would");
    let messages = format!("{}/profiles/{}/messages", demo.stack.api.url, job.profile_id);
    // The job's id: a flow that handles a job twice replies once.
    let accepted = http::post_once(&messages, job.job_id.as_str(), &body).await?;
    let id = accepted.body.get("id").and_then(Value::as_str).filter(|_| accepted.status == 202);
    let id = id.ok_or_else(|| refused("reply", &accepted))?;
    let status = settled(demo, &format!("{messages}/{id}")).await?;
    progress.done("replied");

    let member = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default();
    let to = body.pointer("/to/0/address").and_then(Value::as_str).unwrap_or_default();
    let message = demo
        .dovecot
        .read(to, member("message_id"))
        .map_err(|error| Problem::new(format!("the reply cannot be read: {}", chain(&error))))?;
    if message.is_empty() {
        return Err(Problem::new(format!("the reply has not arrived at {to}.\n{}", logs(demo))));
    }
    Ok(format!(
        "\nReply\n  {:<13}{}\n  {:<13}{}\n  {:<13}{}\n  {:<13}{}\n  {:<13}curl {messages}/{id}\n\n\
         The reply as {to} has received it\n{}",
        "status",
        member("status"),
        "server said",
        member("smtp_reply"),
        "Message-ID",
        member("message_id"),
        "copy in Sent",
        member("sent_copy"),
        "more",
        shown(&message)
    ))
}

/// The status of a message, once it is sent.
async fn settled(demo: &Demo, url: &str) -> Result<Value, Problem> {
    let begun = Instant::now();
    loop {
        let answer = http::get(url).await?;
        let member = |path: &str| answer.body.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let waited = begun.elapsed();
        let error = member("/error/message");
        match member("/status") {
            "sent" if member("/sent_copy") != "pending" || waited > COPY_TIMEOUT => return Ok(answer.body),
            "sent" => {}
            "queued" | "sending" if waited <= REPLY_TIMEOUT => {}
            status => {
                let seconds = waited.as_secs_f32();
                return Err(Problem::new(format!(
                    "the reply is not sent: {status} after {seconds:.0} s. {error}\n{}",
                    logs(demo)
                )));
            }
        }
        sleep(STATUS_INTERVAL).await;
    }
}

/// The body of `POST /profiles/{id}/messages` that replies to the message of a job; or why there should be no reply.
fn body(job: &FlowJob) -> Result<Value, &'static str> {
    match job.kind {
        Kind::Message | Kind::Oversize => {}
        Kind::AutoReply | Kind::Bounce => {
            return Err("a program has sent this message, and two programs could answer each other for ever");
        }
        Kind::Quarantined => return Err("this message could not be read"),
    }
    let message = &job.message;
    // RFC 5322 §3.6.2: answers go to Reply-To, where there is one.
    let asked_for = if message.reply_to.is_empty() { &message.from } else { &message.reply_to };
    let to: Vec<&Address> = asked_for.iter().filter(|one| one.address.is_some()).collect();
    let first = to.first().ok_or("this message does not say whom an answer would go to")?;
    let name = first.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();

    let subject = message.subject.as_deref().unwrap_or_default();
    let is_reply = subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    let subject = if is_reply { subject.to_owned() } else { format!("Re: {subject}") };
    let mut body = json!({
        "to": to,
        "from_name": job.profile_name,
        "subject": subject,
        "text": format!(
            "Hello{name},\n\nyour message has arrived. We will read it and answer you.\n\nRegards\n{}\n",
            job.profile_name
        ),
        // RFC 3834 §5: no person has written this.
        "auto_submitted": true,
    });
    if let (Some(answered), Some(body)) = (&message.message_id, body.as_object_mut()) {
        // RFC 5322 §3.6.4: the conversation so far, and what is answered at its end.
        let references: Vec<&String> = message.references.iter().chain([answered]).collect();
        body.insert("in_reply_to".to_owned(), json!(answered));
        body.insert("references".to_owned(), json!(references));
    }
    Ok(body)
}

/// A message such as people read it: some of its header, and its text.
fn shown(message: &str) -> String {
    let message = message.replace("\r\n", "\n");
    let (header, text) = message.split_once("\n\n").unwrap_or((&message, ""));
    // A field goes on in lines that begin with a blank (RFC 5322 §2.2.3).
    let header = header.replace("\n ", " ").replace("\n\t", " ");
    let field = |name: &str| {
        header.lines().find(|line| line.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case(name)))
    };
    let fields = SHOWN.iter().filter_map(|name| field(name));
    let mut shown = String::new();
    for line in fields.chain([""]).chain(text.trim_end().lines()) {
        // Writing to a string cannot fail.
        let _ = writeln!(shown, "  {}", format!("│ {line}").trim_end());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(kind: &str) -> FlowJob {
        let ann = json!([{"name": "Ann M\u{fc}ller", "address": "ann@example.org"}]);
        serde_json::from_value(json!({
            "version": 1, "job_id": "4711", "flow_schema_id": "add-to-queue", "profile_id": "p",
            "profile_name": "Support", "login": "support@example.com", "mailbox": "INBOX",
            "uid_validity": 1, "uid": 1, "received_at": null, "fetched_at": "2026-11-01T08:01:00Z",
            "kind": kind, "conversation_id": "c", "raw": null,
            "message": {
                "message_id": "2@example.org", "in_reply_to": [], "references": ["1@example.org"], "date": null,
                "subject": "Where is my order?", "from": ann, "sender": [], "reply_to": [], "to": [], "cc": [],
                "bcc": [], "text": null, "html": null, "truncated": false, "headers": [], "attachments": [],
                "size": 1, "sha256": ""
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_reply_goes_to_whom_it_should_and_stays_in_the_conversation() {
        let mut job = job("message");
        let reply = body(&job).unwrap();
        assert_eq!(reply["to"], json!([{"name": "Ann M\u{fc}ller", "address": "ann@example.org"}]));
        assert_eq!(reply["subject"], "Re: Where is my order?");
        assert_eq!(reply["in_reply_to"], "2@example.org");
        assert_eq!(reply["references"], json!(["1@example.org", "2@example.org"]));
        assert_eq!(reply["auto_submitted"], true);

        job.message.subject = Some("RE: it".to_owned());
        job.message.reply_to = vec![Address { name: None, address: Some("bob@example.org".to_owned()) }];
        job.message.message_id = None;
        let reply = body(&job).unwrap();
        assert_eq!(reply["to"], json!([{"name": null, "address": "bob@example.org"}]));
        assert_eq!(reply["subject"], "RE: it");
        assert!(reply.get("in_reply_to").is_none() && reply.get("references").is_none());
        assert!(reply["text"].as_str().unwrap().starts_with("Hello,\n"));
    }

    #[test]
    fn a_reply_is_a_message_of_the_api() {
        let accepted = mailroom_contract::problem::read::<mailroom_contract::message::MessageBody>(
            body(&job("message")).unwrap(),
        );
        assert!(accepted.is_ok(), "{accepted:?}");
    }

    #[test]
    fn what_a_machine_has_sent_is_not_replied_to() {
        for kind in ["auto_reply", "bounce", "quarantined"] {
            assert!(body(&job(kind)).is_err(), "{kind}");
        }
        let mut nobody = job("message");
        nobody.message.from.clear();
        assert!(body(&nobody).is_err());
    }

    #[test]
    fn a_message_is_shown_by_its_fields_and_its_text() {
        let message = "Received: from a\r\n by b\r\nSubject: Re: a\r\n long one\r\nfrom: s@example.com\r\n\r\nHello\r\n\r\nBye\r\n";
        assert_eq!(
            shown(message),
            "  │ from: s@example.com\n  │ Subject: Re: a long one\n  │\n  │ Hello\n  │\n  │ Bye\n"
        );
    }
}
