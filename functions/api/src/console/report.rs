//! The result of a connection test: IMAP and SMTP apart, in the servers' words.

use maud::{Markup, html};
use serde_json::Value;

use crate::console::words::{advice, number, text};

/// Shows a result.
pub(crate) fn report(result: &Value, saved: bool) -> Markup {
    html! {
        section id="report" class="card report" tabindex="-1" role="status" aria-labelledby="report-heading" {
            h2 id="report-heading" { "Test" }
            @for (key, name) in [("imap", "IMAP"), ("smtp", "SMTP")] {
                @if let Some(server) = result.get(key).filter(|server| !server.is_null()) {
                    (of_server(name, server))
                } @else {
                    p class="muted" { (name) ": no host, so nothing was tested." }
                }
            }
            p class="muted small" {
                @if saved { "Nothing was changed by the test." } @else { "Nothing is saved yet." }
            }
        }
    }
}

fn of_server(name: &str, server: &Value) -> Markup {
    let works = server.get("ok").and_then(Value::as_bool).unwrap_or_default();
    let seconds = number(server, "/latency_ms").unwrap_or_default();
    let mailboxes = server.get("mailboxes").and_then(Value::as_array).map_or(0, Vec::len);
    html! {
        div class="server" {
            h3 {
                (name) " "
                @if works { span class="badge good" { "Works" } } @else { span class="badge bad" { "Does not work" } }
                " " span class="muted small" { (seconds) " ms" }
            }
            @if !works {
                p { (text(server, "/error/message")) }
                @if let Some(advice) = advice_after_test(text(server, "/error/code")) { p class="muted" { (advice) } }
            } @else if let Some(unseen) = number(server, "/unseen") {
                p { "Logged in. The mailbox has " (unseen) " unread; the login sees " (mailboxes) (if mailboxes == 1 { " mailbox." } else { " mailboxes." }) }
            } @else {
                p { "Logged in." }
            }
        }
    }
}

/// What to do, where the server's words do not say it. A test tries once: nothing goes on by itself.
fn advice_after_test(code: &str) -> Option<&'static str> {
    let is_told = matches!(
        code,
        "imap_auth" | "smtp_auth" | "imap_tls" | "smtp_tls" | "imap_mailbox" | "host_not_allowed"
    );
    is_told.then(|| advice(code))
}

/// The mailboxes that a test has seen.
pub(crate) fn mailboxes(result: &Value) -> Vec<&str> {
    let seen = result.pointer("/imap/mailboxes").and_then(Value::as_array).into_iter().flatten();
    seen.filter_map(Value::as_str).collect()
}

/// The fields that are at fault, by their names in the API, each with what is wrong.
pub(crate) fn faults(result: &Value, kind: &str, has_smtp_login: bool) -> Vec<(String, String)> {
    let mut faults: Vec<(String, String)> = Vec::new();
    for protocol in ["imap", "smtp"] {
        let Some(error) = result.pointer(&format!("/{protocol}/error")).filter(|error| !error.is_null())
        else {
            continue;
        };
        let password = match (protocol, kind) {
            ("smtp", _) if has_smtp_login => "smtp_auth.password".to_owned(),
            (_, "plain") => "auth.password".to_owned(),
            _ => "auth.login".to_owned(),
        };
        let host = format!("{protocol}_host");
        let (field, words) = match text(error, "/code") {
            "imap_auth" | "smtp_auth" => (password, "or the login is not what the server accepts"),
            "imap_mailbox" => ("mailbox".to_owned(), "cannot be opened"),
            "imap_connect" | "smtp_connect" | "imap_timeout" | "smtp_timeout" => {
                (host, "or port: the server cannot be reached")
            }
            "imap_tls" | "smtp_tls" => (host, "or port: the server has no trusted certificate"),
            "imap_protocol" => (host, "or port: the server does not speak IMAP"),
            "host_not_allowed" => (host, "cannot be connected to"),
            "oauth2_discovery" => ("auth.discovery_url".to_owned(), "does not lead to a usable provider"),
            "oauth2_client" => {
                ("auth.client_secret".to_owned(), "or the client id is not what the provider accepts")
            }
            "secret_missing" => (password, "is missing"),
            _ => continue,
        };
        let fault = (field, format!("{words} ({}; see the test).", protocol.to_uppercase()));
        if !faults.iter().any(|(field, _)| *field == fault.0) {
            faults.push(fault);
        }
    }
    faults
}
