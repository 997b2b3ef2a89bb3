//! The messages of a profile that cannot be read, on the page that says how it is doing.

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::layout::Reply;
use crate::console::operations::{Call, Operations, Refusal};
use crate::console::visit::Visit;
use crate::console::words::{number, text, when};

/// Reads them.
pub(crate) async fn load(visit: &Visit<'_, impl Operations>) -> Result<Vec<Value>, Refusal> {
    let listed = visit.ask(Call::on(Operation::ListQuarantine, visit.id())).await.ok()?;
    Ok(listed.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Shows them, if there are any.
pub(crate) fn section(visit: &Visit<'_, impl Operations>, items: &[Value]) -> Markup {
    html! {
        @if !items.is_empty() {
            section aria-labelledby="quarantine" {
                h2 id="quarantine" { "Messages that cannot be read" }
                p class="muted" {
                    "The server lists them and does not give them, so that Mailroom passed them and goes on. Each is tried again "
                    "for seven days."
                }
                table class="cards" role="table" {
                    caption class="hidden" { "Messages that cannot be read" }
                    thead role="rowgroup" {
                        tr role="row" {
                            @for column in ["Message", "Since", "Tries", "Next try", "Flow", "Actions"] {
                                th scope="col" role="columnheader" { (column) }
                            }
                        }
                    }
                    tbody role="rowgroup" { @for message in items { (row(visit, message)) } }
                }
            }
        }
    }
}

fn row(visit: &Visit<'_, impl Operations>, message: &Value) -> Markup {
    let uid = number(message, "/uid").unwrap_or_default();
    let count = |pointer: &str| number(message, pointer).unwrap_or_default();
    let action = format!("profiles/{}/quarantine/{}/retry", visit.id(), text(message, "/id"));
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                "UID " (uid)
                span class="small muted" {
                    (count("/size")) " bytes"
                    @if message.get("received_at").is_some_and(|at| !at.is_null()) { ", arrived " (when(message.get("received_at"))) }
                }
            }
            td role="cell" data-label="Since" { (when(message.get("since"))) }
            td role="cell" data-label="Tries" {
                (count("/tries"))
                @if count("/crashes") > 0 { span class="small muted" { " the last " (count("/crashes")) " crashed" } }
            }
            td role="cell" data-label="Next try" { (when(message.get("next_try_at"))) }
            td role="cell" data-label="Flow" {
                @if text(message, "/job_id").is_empty() { span class="badge quiet" { "not told" } }
                @else { span class="badge warn" { "told: quarantined" } }
            }
            td role="cell" data-label="Actions" class="actions" {
                (visit.button(&action, "small", &html! { "Retry" span class="hidden" { " the message with UID " (uid) } }))
            }
        }
    }
}

/// Tries one now.
pub(crate) async fn retry(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let call = Call::on(Operation::RetryQuarantined, visit.id()).message(&visit.segments.message);
    visit.ask(call).await.ok()?;
    Ok(Reply::Redirect(visit.links.to(&format!("profiles/{}?done=retried", visit.id()))))
}
