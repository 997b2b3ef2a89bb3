//! What a flow does with a job: the one in `infra/examples/rust` replies by the HTTP API, and its reply is shown as it
//! arrived.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use example_flow::Outcome;
use serde_json::Value;
use tokio::time::sleep;

use super::parts::{Demo, logs};
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

/// Hands a job to the flow; returns what there is to see of its reply.
///
/// # Errors
/// When the API refuses the reply, it is not sent, or it does not arrive.
pub(super) async fn reply(demo: &Demo, body: &str, profile: &str) -> Result<String, Problem> {
    let progress = step("handing the job to the flow, which replies by the API");
    let outcome = demo.flow.handle(body).await;
    let outcome = outcome.map_err(|error| Problem::new(format!("the flow failed: {}", chain(&error))))?;
    let id = match outcome {
        Outcome::Answered { message } => message,
        Outcome::LeftAlone => {
            return Ok("\nNo reply: the flow answers people who can be answered, and no programs.".to_owned());
        }
        Outcome::HeldBack => {
            return Ok(
                "\nNo reply: Mailroom holds it back, because two programs may answer each other.".to_owned()
            );
        }
    };
    let url = format!("{}/profiles/{profile}/messages/{id}", demo.stack.api.url);
    let status = settled(demo, &url).await?;
    progress.done("replied");

    let member = |path: &str| status.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let to = member("/recipients/0/address");
    let message = demo
        .dovecot
        .read(to, member("/message_id"))
        .map_err(|error| Problem::new(format!("the reply cannot be read: {}", chain(&error))))?;
    if message.is_empty() {
        return Err(Problem::new(format!("the reply has not arrived at {to}.\n{}", logs(demo))));
    }
    Ok(format!(
        "\nReply\n  {:<13}{}\n  {:<13}{}\n  {:<13}{}\n  {:<13}{}\n  {:<13}curl {url}\n\n\
         The reply as {to} has received it\n{}",
        "status",
        member("/status"),
        "server said",
        member("/smtp_reply"),
        "Message-ID",
        member("/message_id"),
        "copy in Sent",
        member("/sent_copy"),
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

    #[test]
    fn a_message_is_shown_by_its_fields_and_its_text() {
        let message = "Received: from a\r\n by b\r\nSubject: Re: a\r\n long one\r\nfrom: s@example.com\r\n\r\nHello\r\n\r\nBye\r\n";
        assert_eq!(
            shown(message),
            "  │ from: s@example.com\n  │ Subject: Re: a long one\n  │\n  │ Hello\n  │\n  │ Bye\n"
        );
    }
}
