//! What all pages have.

use maud::{DOCTYPE, Markup, html};

use crate::console::asset::{SCRIPT, STYLE};
use crate::console::operations::Operations;
use crate::console::visit::{Links, Visit};
use crate::http::response::Response;

/// What a request is answered with.
pub(crate) enum Reply {
    /// A page.
    Page(Page),
    /// Another page, at this address.
    Redirect(String),
}

/// The parts of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The mailboxes.
    Mailboxes,
    /// The flow schemas.
    FlowSchemas,
    /// The connect links.
    ConnectLinks,
    /// No part: its reader may not be signed in.
    Entrance,
}

/// A page.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) title: String,
    pub(crate) part: Part,
    pub(crate) main: Markup,
}

impl Page {
    /// A page that says why something is not done.
    pub(crate) fn sorry(status: u16, heading: &str, words: &str, links: &Links) -> Self {
        let main = html! {
            div class="narrow" {
                h1 { (heading) }
                p { (words) }
                p { a class="button" href=(links.to("")) { "To the mailboxes" } }
            }
        };
        Self { status, title: heading.to_owned(), part: Part::Mailboxes, main }
    }
}

/// A page, as it is sent.
pub(crate) fn response(visit: &Visit<'_, impl Operations>, page: &Page) -> Response {
    Response::console(page.status, document(page, &visit.links, &visit.account()))
}

/// The whole document. `account` says who is signed in.
pub(crate) fn document(page: &Page, links: &Links, account: &Markup) -> String {
    let here = |part: Part| (page.part == part).then_some("page");
    let top = html! {
        a class="brand" href=(links.to("")) { span class="mark" aria-hidden="true" {} "Mailroom" }
        @if page.part != Part::Entrance {
            nav aria-label="Main" {
                a href=(links.to("")) aria-current=[here(Part::Mailboxes)] { "Mailboxes" }
                a href=(links.to("flow-schemas")) aria-current=[here(Part::FlowSchemas)] { "Flow schemas" }
                a href=(links.to("connect-links")) aria-current=[here(Part::ConnectLinks)] { "Connect links" }
            }
        }
        (account)
    };
    framed(&page.title, &top, &page.main, links)
}

/// A document for people who see nothing else of the deployment: without links to its other pages.
pub(crate) fn bare_document(title: &str, main: &Markup, links: &Links) -> String {
    let top = html! { span class="brand" { span class="mark" aria-hidden="true" {} "Mailroom" } };
    framed(title, &top, main, links)
}

fn framed(title: &str, top: &Markup, main: &Markup, links: &Links) -> String {
    let style = links.to(&format!("static/{}", STYLE.name()));
    let script = links.to(&format!("static/{}", SCRIPT.name()));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Mailroom" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(style);
                script src=(script) defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header class="top" { (top) }
                main id="main" tabindex="-1" { (main) }
            }
        }
    }
    .into_string()
}

/// In place of a form's buttons, for those who may not send it.
pub(crate) fn only_to_look_at() -> Markup {
    html! { p class="muted" { "You may look at these settings, and not change them." } }
}

/// What was done, at the top of the page that a change leads to. The address holds its key.
pub(crate) fn notice(done: &str) -> Markup {
    let words = match done {
        "saved" => {
            "Saved. The next poll uses the settings and is due now. Reload the page to see its result."
        }
        "untested" => "Saved untested. The next poll is due now; this page then says whether it worked.",
        "poll" => "The poll starts in a moment. Reload the page to see its result.",
        "listens" => "The mailbox is polled from now on.",
        "paused" => "Paused. New messages wait in the mailbox, and are fetched when it listens again.",
        "deleted" => "Deleted.",
        "schema" => "The flow schema is saved.",
        "signed-out" => "Signed out. Mailroom no longer has access to the mailbox.",
        "resent" => "The message is queued again, for those whom no server has taken it for.",
        "cancelled" => "The message is cancelled.",
        "retried" => "The message is tried in a moment. Reload the page to see whether it could be read.",
        "accepted" => "The messages are handed over, beginning in a moment.",
        "dropped" => "The messages are dropped. New messages go on as before.",
        "withdrawn" => "The link is withdrawn. Its page says that it does not count.",
        _ => return html! {},
    };
    html! { p class="notice" role="status" { (words) } }
}
