//! What people read in place of codes and times.

use mailroom_lambda::clock;
use maud::{Markup, html};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A state of a profile, as people read it.
pub(crate) struct State {
    /// Its name in the API.
    pub(crate) name: &'static str,
    /// What it is called.
    pub(crate) label: &'static str,
    /// How it looks: `bad`, `warn`, `good` or `quiet`.
    pub(crate) tone: &'static str,
}

const fn state(name: &'static str, label: &'static str, tone: &'static str) -> State {
    State { name, label, tone }
}

/// The states, in the order in which mailboxes are listed: those that need action first.
pub(crate) const STATES: [State; 7] = [
    state("misconfigured", "Needs settings", "bad"),
    state("reauthorization_required", "Needs a sign-in", "bad"),
    state("failing", "Failing", "warn"),
    state("throttled", "Told to wait", "warn"),
    state("pending", "Not polled yet", "quiet"),
    state("ok", "Working", "good"),
    state("off", "Not listening", "quiet"),
];

/// How a state is shown.
pub(crate) fn badge(name: &str) -> Markup {
    let known = STATES.iter().find(|state| state.name == name);
    let (label, tone) = known.map_or((name, "quiet"), |state| (state.label, state.tone));
    html! { span class={ "badge " (tone) } { (label) } }
}

/// A time as it is in JSON.
pub(crate) fn time_of(value: Option<&Value>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value?.as_str()?, &Rfc3339).ok()
}

/// A time, as long ago or ahead as it is.
pub(crate) fn when(value: Option<&Value>) -> Markup {
    let Some(at) = time_of(value) else { return html! { span class="muted" { "never" } } };
    let machine = at.format(&Rfc3339).unwrap_or_default();
    html! { time datetime=(machine) title=(exact(at)) { (distance(at - clock::now())) } }
}

/// A time to the minute.
fn exact(at: OffsetDateTime) -> String {
    let (hour, minute) = (at.hour(), at.minute());
    format!("{} {hour:02}:{minute:02} UTC", at.date())
}

/// `5 minutes ago`, `in 2 hours`.
fn distance(to: time::Duration) -> String {
    let seconds = to.whole_seconds();
    let size = seconds.unsigned_abs();
    let text = match size {
        0..10 => return "just now".to_owned(),
        10..60 => counted(size, "second"),
        60..3_600 => counted(size / 60, "minute"),
        3_600..86_400 => counted(size / 3_600, "hour"),
        _ => counted(size / 86_400, "day"),
    };
    if seconds < 0 { format!("{text} ago") } else { format!("in {text}") }
}

/// `1 minute`, `2 minutes`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A number of seconds, in the largest unit that it is a whole number of.
pub(crate) fn interval(seconds: u64) -> String {
    match seconds {
        0..60 => counted(seconds, "second"),
        _ if seconds.is_multiple_of(86_400) => counted(seconds / 86_400, "day"),
        _ if seconds.is_multiple_of(3_600) => counted(seconds / 3_600, "hour"),
        _ if seconds.is_multiple_of(60) => counted(seconds / 60, "minute"),
        _ => counted(seconds, "second"),
    }
}

/// What the owner of a mailbox can do about an error.
pub(crate) fn advice(code: &str) -> &'static str {
    match code {
        "imap_auth" | "smtp_auth" => {
            "Check the login and type the password again. Many providers want an app password in place of the one for \
             their website, and have to be told to allow IMAP."
        }
        "imap_connect" | "smtp_connect" => {
            "Check the host and the port. If they are right, the server is down or unreachable; Mailroom keeps trying."
        }
        "imap_tls" | "smtp_tls" => {
            "Check that the host is the name in the server's certificate, and that the port fits the encryption."
        }
        "imap_mailbox" => "Choose a mailbox that exists; a test lists them.",
        "host_not_allowed" => "Enter a mail server on the internet: this one is in a private network.",
        "oauth2_grant" => "Sign in.",
        "oauth2_client" => "Check the client id and the client secret at the provider.",
        "oauth2_discovery" => {
            "Check the discovery URL. If it is right, the provider is down; Mailroom keeps trying."
        }
        "secret_missing" => "Type the password again, or sign in.",
        "imap_throttled" | "smtp_throttled" => "Nothing: Mailroom goes on when the server allows it.",
        "job_queue" => "Check the queue of the flow schema.",
        _ => "Nothing for now: Mailroom keeps trying. If it stays, ask who runs the mail server.",
    }
}

/// A text of a JSON document; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A truth of a JSON document; false where there is none.
pub(crate) fn is(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// A number of a JSON document.
pub(crate) fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        for (to, told) in [
            (Duration::seconds(-5), "just now"),
            (Duration::seconds(-59), "59 seconds ago"),
            (Duration::seconds(61), "in 1 minute"),
            (Duration::hours(-47), "1 day ago"),
        ] {
            assert_eq!(distance(to), told);
        }
        for (seconds, told) in
            [(10, "10 seconds"), (300, "5 minutes"), (86_400, "1 day"), (5_400, "90 minutes")]
        {
            assert_eq!(interval(seconds), told);
        }
    }

    #[test]
    fn every_state_has_words() {
        for state in STATES {
            assert!(mailroom_contract::profile_view::state_named(state.name).is_some(), "{}", state.name);
        }
    }
}
