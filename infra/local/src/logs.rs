//! The functions' logs, one line an event: level, function, sentence, fields.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::demo::stopped;
use crate::http;
use crate::jobs::Until;
use crate::problem::Problem;
use crate::progress::say;
use crate::stack::Stack;

/// How far back the logs are shown, in milliseconds: half an hour.
const SHOWN_MS: i128 = 30 * 60 * 1000;

/// How often the logs are read.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the logs of all functions, or of one, whose name may be short (`fetch`).
///
/// # Errors
/// When there is no such function, or CloudWatch Logs does not answer.
pub async fn run(
    stack: &Stack,
    function: Option<&str>,
    until: Until,
    print: &impl Fn(&str),
) -> Result<(), Problem> {
    let functions = [
        ("fetch", &stack.functions.fetch.name),
        ("api", &stack.functions.api.name),
        ("send", &stack.functions.send.name),
        ("audit", &stack.functions.audit.name),
    ];
    let chosen: Vec<_> = functions
        .into_iter()
        .filter(|(short, name)| function.is_none_or(|wanted| wanted == *short || wanted == name.as_str()))
        .collect();
    if chosen.is_empty() {
        return Err(Problem::new("there are the functions fetch, api, send and audit"));
    }
    tokio::select! {
        result = show(stack, &chosen, until, print) => result,
        () = stopped() => Ok(()),
    }
}

async fn show(
    stack: &Stack,
    functions: &[(&str, &String)],
    until: Until,
    print: &impl Fn(&str),
) -> Result<(), Problem> {
    let since = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000 - SHOWN_MS;
    let mut shown: HashSet<String> = HashSet::new();
    loop {
        let mut lines = Vec::new();
        for (short, name) in functions {
            for event in events(stack, name, since).await? {
                let at = event.get("timestamp").and_then(Value::as_i64).unwrap_or_default();
                let text = event.get("message").and_then(Value::as_str).unwrap_or_default();
                // Ids of events are not unique on every emulator.
                let id = event.get("eventId").map(Value::to_string).unwrap_or_default();
                if shown.insert(format!("{short} {id} {at} {text}")) {
                    lines.extend(text.lines().filter_map(readable).map(|line| (at, *short, line)));
                }
            }
        }
        lines.sort_by_key(|(at, ..)| *at);
        if lines.is_empty() && shown.is_empty() && until == Until::Shown {
            say("The functions have logged nothing within half an hour.");
        }
        for (at, function, line) in lines {
            print(&format!("{} {function:<5} {line}", clock(at)));
        }
        match until {
            Until::Shown => return Ok(()),
            Until::Stopped => tokio::time::sleep(READ_INTERVAL).await,
        }
    }
}

/// The events of a function's log group; none while the function has not run.
async fn events(stack: &Stack, function: &str, since: i128) -> Result<Vec<Value>, Problem> {
    let mut events = Vec::new();
    let mut request = json!({"logGroupName": format!("/aws/lambda/{function}"), "startTime": since});
    loop {
        let answer =
            http::call_logs(&stack.endpoint, &stack.account, "Logs_20140328.FilterLogEvents", &request)
                .await?;
        if answer.body.to_string().contains("ResourceNotFoundException") {
            return Ok(events);
        }
        if answer.status != 200 {
            return Err(Problem::new(format!("the logs cannot be read: {} {}", answer.status, answer.body)));
        }
        let page = answer.body.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        let last = page.is_empty();
        events.extend(page);
        match answer.body.get("nextToken") {
            Some(token) if !token.is_null() && !last => {
                if let Some(request) = request.as_object_mut() {
                    request.insert("nextToken".to_owned(), token.clone());
                }
            }
            Some(_) | None => return Ok(events),
        }
    }
}

fn clock(at_ms: i64) -> String {
    let format = format_description!("[hour]:[minute]:[second]");
    OffsetDateTime::from_unix_timestamp(at_ms / 1000)
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_default()
}

/// A line of a function's log for people; `None`: it says nothing about what the function did.
fn readable(line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() || ["START ", "END ", "REPORT "].iter().any(|start| line.starts_with(start)) {
        return None;
    }
    let Ok(Value::Object(event)) = serde_json::from_str::<Value>(line) else { return Some(line.to_owned()) };
    let text = |map: &Map<String, Value>, name: &str| {
        map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let Some(Value::Object(fields)) = event.get("fields") else { return Some(line.to_owned()) };
    let mut shown = format!("{:<5} {}", text(&event, "level"), text(fields, "message"));
    let span = event.get("span").and_then(Value::as_object).into_iter().flatten();
    let span = span.filter(|(name, _)| !matches!(name.as_str(), "name" | "xrayTraceId"));
    for (name, value) in fields.iter().filter(|(name, _)| *name != "message").chain(span) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to a string cannot fail.
        let _ = write!(shown, "  {name}={value}");
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_sentence_with_its_fields() {
        let line = r#"{"level":"WARN","fields":{"message":"The poll failed","profile.id":"01A","count":2},"span":{"name":"Lambda runtime invoke","requestId":"7"}}"#;
        assert_eq!(readable(line).unwrap(), "WARN  The poll failed  count=2  profile.id=01A  requestId=7");
    }

    #[test]
    fn what_lambda_itself_says_is_left_out_and_what_is_not_json_stays() {
        assert_eq!(readable("START RequestId: 1 Version: $LATEST"), None);
        assert_eq!(readable("thread 'main' panicked"), Some("thread 'main' panicked".to_owned()));
    }
}
