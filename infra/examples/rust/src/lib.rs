//! Tells everybody who writes that the message has arrived: a Lambda function on Mailroom's job queue.

pub mod api;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use mailroom_core::inbound::job::{Address, FlowJob, Kind, MessageContent};
use serde_json::{Value, json};

use crate::api::{Accepted, Api, ApiError};

/// The flow, with what it answers by.
#[derive(Debug)]
pub struct Flow {
    api: Api,
}

/// What the flow has done with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has answered, by the message that has this id: `GET /profiles/{profile_id}/messages/{message}`.
    Answered {
        /// The id.
        message: String,
    },
    /// It has not answered: a program wrote the message, it asks for no answer, or it tells nobody to answer.
    LeftAlone,
    /// Mailroom holds the answer back: it has seen too many automatic ones to the same address.
    HeldBack,
}

/// Why a job was not handled. It comes again.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// It is no job, or one of a later version.
    #[error("the body is not one of a job that this flow can read")]
    NotAJob,
    /// The answer was not accepted.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Flow {
    /// A flow that answers by this API.
    #[must_use]
    pub const fn new(api: Api) -> Self {
        Self { api }
    }

    /// Handles a batch of queue messages, and tells which of them come again; the event source mapping needs
    /// `ReportBatchItemFailures`.
    pub async fn batch(&self, batch: SqsEvent) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for record in batch.records {
            let id = record.message_id.unwrap_or_default();
            // What follows a failure comes again with it: so the jobs of a conversation stay in order.
            if response.batch_item_failures.is_empty() {
                match self.handle(&record.body.unwrap_or_default()).await {
                    Ok(_) => continue,
                    // The queue's id and what failed: nothing of the job, which holds what people write.
                    Err(error) => eprintln!("queue message {id} failed: {error}"),
                }
            }
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// Handles one job. A repeat of it has the outcome of the first time.
    ///
    /// # Errors
    /// When the body of the queue message is no job, or the answer is not accepted.
    pub async fn handle(&self, body: &str) -> Result<Outcome, FlowError> {
        // serde's words would quote the job.
        let job: FlowJob = serde_json::from_str(body).map_err(|_| FlowError::NotAJob)?;
        if job.version != 1 {
            return Err(FlowError::NotAJob);
        }
        let Some(answer) = answer(&job) else { return Ok(Outcome::LeftAlone) };
        let path = format!("/profiles/{}/messages", job.profile_id);
        // The job's id: a flow that handles a job twice answers once.
        match self.api.post_once(&path, job.job_id.as_str(), &answer).await? {
            Accepted::Message(message) => Ok(Outcome::Answered { message }),
            Accepted::HeldBack => Ok(Outcome::HeldBack),
        }
    }
}

/// The body of `POST /profiles/{id}/messages` that answers a job's message; `None` where there should be no answer.
#[must_use]
pub fn answer(job: &FlowJob) -> Option<Value> {
    let message = &job.message;
    // A person wrote it, and no field of it forbids an answer.
    if job.kind != Kind::Message || message.answerable != Some(true) {
        return None;
    }
    let asked_for = if message.reply_to.is_empty() { &message.from } else { &message.reply_to };
    let to: Vec<&Address> = asked_for.iter().filter(|one| one.address.is_some()).collect();
    if to.is_empty() {
        return None;
    }
    let mut answer = json!({
        "to": to,
        "from_name": job.profile_name,
        "subject": answered_subject(message.subject.as_deref().unwrap_or_default()),
        "text": format!("Thank you, your message has arrived:\n\n{}\n", quoted(written(message))),
        // RFC 3834 §5: a program wrote this.
        "auto_submitted": true,
    });
    if let (Some(id), Some(answer)) = (&message.message_id, answer.as_object_mut()) {
        // RFC 5322 §3.6.4: the conversation so far, and what is answered at its end.
        let references: Vec<&String> = message.references.iter().chain([id]).collect();
        answer.insert("in_reply_to".to_owned(), json!(id));
        answer.insert("references".to_owned(), json!(references));
    }
    Some(answer)
}

fn answered_subject(subject: &str) -> String {
    let is_answer = subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    if is_answer { subject.to_owned() } else { format!("Re: {subject}") }
}

/// What was written in this message, without what it quotes where that can be told.
fn written(message: &MessageContent) -> &str {
    message.reply_text.as_deref().or(message.text.as_deref()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    let lines = text.trim_end().split('\n').map(|line| format!("> {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use mailroom_contract::message::MessageBody;

    use super::*;

    fn job() -> FlowJob {
        let ann = json!([{"name": "Ann M\u{fc}ller", "address": "ann@example.org"}]);
        serde_json::from_value(json!({
            "version": 1, "job_id": "4711", "flow_schema_id": "add-to-queue", "profile_id": "p",
            "profile_name": "Support", "login": "support@example.com", "mailbox": "INBOX",
            "uid_validity": 1, "uid": 1, "received_at": null, "fetched_at": "2026-11-01T08:01:00Z",
            "kind": "message", "conversation_id": "c", "raw": null,
            "message": {
                "message_id": "2@example.org", "in_reply_to": [], "references": ["1@example.org"], "date": null,
                "subject": "Where is my order?", "from": ann, "sender": [], "reply_to": [], "to": [], "cc": [],
                "bcc": [], "text": "Hello\n\n> quoted", "html": null, "truncated": false, "headers": [],
                "attachments": [], "size": 1, "sha256": "", "answerable": true, "reply_text": "Hello",
            }
        }))
        .unwrap()
    }

    #[test]
    fn an_answer_goes_to_whom_it_should_and_stays_in_the_conversation() {
        let mut job = job();
        let written = answer(&job).unwrap();
        assert_eq!(written["to"], json!([{"name": "Ann M\u{fc}ller", "address": "ann@example.org"}]));
        assert_eq!(written["subject"], "Re: Where is my order?");
        assert_eq!(written["text"], "Thank you, your message has arrived:\n\n> Hello\n");
        assert_eq!(written["in_reply_to"], "2@example.org");
        assert_eq!(written["references"], json!(["1@example.org", "2@example.org"]));
        assert_eq!(written["auto_submitted"], true);

        job.message.subject = Some("RE: it".to_owned());
        job.message.reply_to = vec![Address { name: None, address: Some("bob@example.org".to_owned()) }];
        (job.message.message_id, job.message.reply_text) = (None, None);
        let written = answer(&job).unwrap();
        assert_eq!(written["to"], json!([{"name": null, "address": "bob@example.org"}]));
        assert_eq!(written["subject"], "RE: it");
        assert_eq!(written["text"], "Thank you, your message has arrived:\n\n> Hello\n>\n> > quoted\n");
        assert!(written.get("in_reply_to").is_none() && written.get("references").is_none());
    }

    #[test]
    fn an_answer_is_a_message_of_the_api() {
        let accepted = mailroom_contract::problem::read::<MessageBody>(answer(&job()).unwrap());
        assert!(accepted.is_ok(), "{accepted:?}");
    }

    #[test]
    fn what_a_program_sent_or_nobody_can_be_answered_for_has_no_answer() {
        for kind in [Kind::AutoReply, Kind::Bounce, Kind::Oversize, Kind::Quarantined] {
            assert_eq!(answer(&FlowJob { kind, ..job() }), None, "{kind:?}");
        }
        for answerable in [None, Some(false)] {
            let mut quiet = job();
            quiet.message.answerable = answerable;
            assert_eq!(answer(&quiet), None, "{answerable:?}");
        }
        let mut nobody = job();
        nobody.message.from.clear();
        assert_eq!(answer(&nobody), None);
    }
}
