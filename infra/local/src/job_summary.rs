//! A job as people read it.

use std::fmt::Write as _;

use mailroom_core::inbound::job::{Address, FlowJob};

use crate::problem::Problem;

/// The most lines of text shown. The JSON that follows has all of them.
const TEXT_LINES: usize = 12;

/// Prints a job from the queue, for people and as it is; returns it.
///
/// # Errors
/// When it does not have the form of a job.
pub(crate) fn show(body: &str, count: u32, print: &impl Fn(&str)) -> Result<FlowJob, Problem> {
    let job: FlowJob =
        serde_json::from_str(body).map_err(Problem::while_("a job does not follow its schema"))?;
    print(&format!("\nJob {count}\n{}", summary(&job)));
    print(&serde_json::to_string_pretty(&job).map_err(Problem::while_("a job cannot be shown"))?);
    Ok(job)
}

/// What a person wants to know about a job.
fn summary(job: &FlowJob) -> String {
    let message = &job.message;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<13}{value}");
    };
    line("job", job.job_id.as_str());
    line("flow", &job.flow_schema_id);
    line("kind", &format!("{:?}", job.kind));
    line("profile", &format!("{} ({})", job.profile_name, job.login));
    line("from", &people(&message.from));
    line("to", &people(&message.to));
    line("subject", message.subject.as_deref().unwrap_or("(none)"));
    for attachment in &message.attachments {
        let name = attachment.filename.as_deref().unwrap_or("(no name)");
        line("attachment", &format!("{name}, {}, {} bytes", attachment.content_type, attachment.size));
        line("", &attachment.key);
    }
    if let Some(raw) = &job.raw {
        line("raw message", &format!("s3://{}/{}", raw.bucket, raw.key));
    }
    let body = message.text.as_deref().unwrap_or("(no text)");
    for part in body.lines().take(TEXT_LINES) {
        let _ = writeln!(text, "  │ {part}");
    }
    text
}

fn people(addresses: &[Address]) -> String {
    let person = |address: &Address| match (&address.name, &address.address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    };
    addresses.iter().map(person).collect::<Vec<_>>().join(", ")
}
