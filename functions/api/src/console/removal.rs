//! The question before a profile goes, and its end.

use mailroom_contract::route::Operation;
use maud::html;

use crate::console::layout::{Page, Part, Reply};
use crate::console::operations::{Call, Operations, Refusal};
use crate::console::visit::Visit;
use crate::console::words::text;

/// Asks, and says what goes.
pub(crate) async fn ask(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let profile = visit.ask(Call::on(Operation::GetProfile, visit.id())).await.ok()?;
    let (name, login) = (text(&profile, "/name"), text(&profile, "/auth/login"));
    let main = html! {
        div class="narrow" {
            h1 { "Delete " (name) "?" }
            p {
                "Mailroom forgets " strong { (login) } ": its settings, its stored password or sign-in, which messages it has "
                "handled, and the status of messages that it has sent. It is not polled again, and flows can no longer "
                "answer through it."
            }
            p { "The mailbox itself stays as it is: no message in it is deleted or changed." }
            form method="post" action=(visit.links.to(&format!("profiles/{}/delete", visit.id()))) class="card" {
                (visit.proof())
                div class="check" {
                    input id="purge" name="purge" type="checkbox" value="true" aria-describedby="purge-hint";
                    label for="purge" { "Delete the stored copies of its messages too" }
                    p id="purge-hint" class="hint" {
                        "Otherwise they are kept as long as any message is, for flows that still work with them."
                    }
                }
                div class="buttons" {
                    button class="danger solid" { "Delete" }
                    a class="button" href=(visit.links.to(&format!("profiles/{}", visit.id()))) { "Keep it" }
                }
            }
        }
    };
    let title = format!("Delete {name}?");
    Ok(Reply::Page(Page { status: 200, title, part: Part::Mailboxes, main }))
}

/// Removes the profile.
pub(crate) async fn remove(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let purge = if visit.field("purge") == "true" { "true" } else { "" };
    let answer = visit.ask(Call::on(Operation::DeleteProfile, visit.id()).with("purge", purge)).await;
    // Gone already is gone.
    if answer.status != 404 {
        answer.ok()?;
    }
    Ok(Reply::Redirect(visit.links.to("?done=deleted")))
}
