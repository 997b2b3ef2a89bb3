//! The page of all mailboxes: those that need action first.

use std::cmp::Reverse;

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::layout::{Page, Part, Reply, notice};
use crate::console::lists::{Loaded, Wanted, load, schema_names};
use crate::console::operations::{Call, Operations, Refusal, encoded};
use crate::console::visit::Visit;
use crate::console::words::{STATES, badge, interval, is, number, text, time_of, when};

/// The rows of a page.
const ROWS: usize = 50;

/// The orders of the rows, each with its words.
const ORDERS: [(&str, &str); 4] =
    [("", "Need action first"), ("name", "Name"), ("message", "Last message"), ("newest", "Newest")];

/// What the address asks for.
struct Choice {
    search: String,
    state: String,
    flow: String,
    sort: String,
    after: String,
    page: usize,
}

impl Choice {
    fn of(visit: &Visit<'_, impl Operations>) -> Self {
        let page = visit.parameter("page").parse().unwrap_or(1).max(1);
        Self {
            search: visit.parameter("q").trim().to_owned(),
            state: visit.parameter("state"),
            flow: visit.parameter("flow"),
            sort: visit.parameter("sort"),
            after: visit.parameter("after"),
            page,
        }
    }

    /// The address of the same with one thing changed.
    fn with(&self, name: &str, value: &str) -> String {
        let page = self.page.to_string();
        let all = [
            ("q", self.search.as_str()),
            ("state", &self.state),
            ("flow", &self.flow),
            ("sort", &self.sort),
            ("after", &self.after),
            ("page", if name == "page" { &page } else { "" }),
        ];
        let kept = all.map(|(key, kept)| (key, if key == name { value } else { kept }));
        let pairs = kept.iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<String> = pairs.map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        format!("?{}", query.join("&"))
    }
}

/// Shows the page.
pub(crate) async fn show(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let choice = Choice::of(visit);
    let schemas = schema_names(visit).await?;
    let wanted =
        Wanted { search: &choice.search, flow: &choice.flow, after: &choice.after, ..Wanted::default() };
    let loaded = load(visit, wanted).await?;
    // Of more than are counted, those in one state are looked for among all.
    let in_state = if loaded.next.is_some() && !choice.state.is_empty() {
        Some(load(visit, Wanted { state: &choice.state, ..wanted }).await?)
    } else {
        None
    };
    let nothing = choice.search.is_empty() && choice.flow.is_empty() && choice.after.is_empty();
    let main = html! {
        div class="heading" {
            h1 { "Mailboxes" }
            @if visit.may(Operation::CreateProfile) {
                a class="button primary" href=(visit.links.to("profiles/new")) { "Add a mailbox" }
            }
        }
        (notice(&visit.parameter("done")))
        @if loaded.items.is_empty() && nothing {
            (beginning(visit, schemas.is_empty()))
        } @else {
            (counts(visit, &choice, &loaded))
            (filters(visit, &choice, &schemas))
            (rows(visit, &choice, in_state.as_ref().unwrap_or(&loaded)))
        }
    };
    let title = "Mailboxes".to_owned();
    Ok(Reply::Page(Page { status: 200, title, part: Part::Mailboxes, main }))
}

/// How to begin.
fn beginning(visit: &Visit<'_, impl Operations>, without_schemas: bool) -> Markup {
    html! {
        section class="card empty" {
            h2 { "No mailbox yet" }
            p { "Mailroom looks into the mailboxes that are added here, and starts a flow for each new message." }
            @if visit.may(Operation::CreateProfile) { ol {
                @if without_schemas {
                    li { a href=(visit.links.to("new-flow-schema")) { "Add a flow schema" } ": it says where the messages go." }
                }
                li {
                    a href=(visit.links.to("profiles/new")) { "Add a mailbox" }
                    ": you need its mail server, its login and its password. A test tells at once whether they are right."
                }
                li { "That is all: from then on each message that arrives starts its flow." }
            } }
        }
    }
}

/// How many mailboxes are in each state.
fn counts(visit: &Visit<'_, impl Operations>, choice: &Choice, loaded: &Loaded) -> Markup {
    let of = |state: &str| loaded.items.iter().filter(|item| text(item, "/status/state") == state).count();
    let here = |state: &str| (choice.state == state).then_some("true");
    html! {
        nav class="counts" aria-label="By state" {
            a href=(visit.links.to(&choice.with("state", ""))) aria-current=[here("")] {
                span class="count" { (loaded.items.len()) } " All"
            }
            @for state in &STATES {
                @let count = of(state.name);
                @if count > 0 || choice.state == state.name {
                    a class=(state.tone) href=(visit.links.to(&choice.with("state", state.name))) aria-current=[here(state.name)] {
                        span class="count" { (count) } " " (state.label)
                    }
                }
            }
        }
        @if loaded.next.is_some() || !choice.after.is_empty() {
            p class="muted small" {
                "These counts are of " (loaded.items.len()) " mailboxes"
                @if choice.after.is_empty() { ", the newest" } @else { ", after newer ones" }
                "; the search, and a chosen state, look at all. "
                @if let Some(next) = &loaded.next {
                    a href=(visit.links.to(&choice.with("after", next))) { "Show older ones" }
                }
                @if !choice.after.is_empty() {
                    " " a href=(visit.links.to(&choice.with("after", ""))) { "Back to the newest" }
                }
            }
        }
    }
}

fn filters(visit: &Visit<'_, impl Operations>, choice: &Choice, schemas: &[(String, String)]) -> Markup {
    html! {
        form class="filters" method="get" action=(visit.links.to("")) role="search" data-auto {
            div {
                label for="q" { "Search" }
                input id="q" name="q" type="search" value=(choice.search) maxlength="100"
                    placeholder="Name, login or host";
            }
            div {
                label for="state" { "State" }
                select id="state" name="state" {
                    option value="" { "Any" }
                    @for state in &STATES {
                        option value=(state.name) selected[choice.state == state.name] { (state.label) }
                    }
                }
            }
            div {
                label for="flow" { "Flow" }
                select id="flow" name="flow" {
                    option value="" { "Any" }
                    @for (id, name) in schemas { option value=(id) selected[choice.flow == *id] { (name) } }
                }
            }
            div {
                label for="sort" { "Order" }
                select id="sort" name="sort" {
                    @for (order, words) in ORDERS { option value=(order) selected[choice.sort == order] { (words) } }
                }
            }
            button { "Apply" }
        }
    }
}

/// The profiles of a choice, in their order.
fn chosen<'a>(choice: &Choice, loaded: &'a Loaded) -> Vec<&'a Value> {
    let fits = |item: &&Value| choice.state.is_empty() || text(item, "/status/state") == choice.state;
    let mut items: Vec<&Value> = loaded.items.iter().filter(fits).collect();
    let name = |item: &&Value| text(item, "/name").to_lowercase();
    match choice.sort.as_str() {
        "name" => items.sort_by_key(name),
        "message" => items.sort_by_key(|item| Reverse(time_of(item.pointer("/status/last_message_at")))),
        "newest" => {}
        _ => {
            let urgency = |item: &&Value| {
                let state = text(item, "/status/state");
                STATES.iter().position(|known| known.name == state)
            };
            items.sort_by_key(|item| (urgency(item), name(item)));
        }
    }
    items
}

fn rows(visit: &Visit<'_, impl Operations>, choice: &Choice, loaded: &Loaded) -> Markup {
    let items = chosen(choice, loaded);
    let pages = items.len().div_ceil(ROWS).max(1);
    let page = choice.page.min(pages);
    let back = choice.with("page", &page.to_string());
    html! {
        @if items.is_empty() {
            p class="card empty" { "No mailbox is like this. " a href=(visit.links.to("")) { "Show all" } }
        } @else {
            table class="cards" role="table" {
                caption class="hidden" { "Mailboxes" }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in ["Mailbox", "State", "Flow", "Interval", "Last success", "Last message", "Listen", "Actions"] {
                            th scope="col" role="columnheader" { (column) }
                        }
                    }
                }
                tbody role="rowgroup" {
                    @for item in items.iter().skip((page - 1) * ROWS).take(ROWS) { (row(visit, item, &back)) }
                }
            }
            @if pages > 1 {
                nav class="pages" aria-label="Pages" {
                    @if page > 1 {
                        a href=(visit.links.to(&choice.with("page", &(page - 1).to_string()))) rel="prev" { "Previous" }
                    }
                    span { "Page " (page) " of " (pages) }
                    @if page < pages {
                        a href=(visit.links.to(&choice.with("page", &(page + 1).to_string()))) rel="next" { "Next" }
                    }
                }
            }
        }
    }
}

fn row(visit: &Visit<'_, impl Operations>, item: &Value, back: &str) -> Markup {
    let (id, name) = (text(item, "/id"), text(item, "/name"));
    let listens = is(item, "/listen");
    let reason = text(item, "/status/error/message");
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                a href=(visit.links.to(&format!("profiles/{id}"))) { (name) }
                span class="muted small" { (text(item, "/auth/login")) }
                span class="muted small" { (text(item, "/mailbox")) }
            }
            td role="cell" data-label="State" {
                (badge(text(item, "/status/state")))
                @if !reason.is_empty() { span class="small reason" title=(reason) { (reason) } }
            }
            td role="cell" data-label="Flow" { (text(item, "/flow_schema_id")) }
            td role="cell" data-label="Interval" class="nowrap" { (interval(number(item, "/refresh_interval").unwrap_or_default())) }
            td role="cell" data-label="Last success" class="nowrap" { (when(item.pointer("/status/last_success_at"))) }
            td role="cell" data-label="Last message" class="nowrap" { (when(item.pointer("/status/last_message_at"))) }
            td role="cell" data-label="Listen" { (listen_switch(visit, id, name, listens, back)) }
            td role="cell" data-label="Actions" class="actions" {
                @if listens && visit.may(Operation::FetchProfile) {
                    form method="post" action=(visit.links.to(&format!("profiles/{id}/fetch"))) class="inline" {
                        (visit.proof())
                        input type="hidden" name="back" value=(back);
                        button class="small" { "Poll now" span class="hidden" { ": " (name) } }
                    }
                }
                a class="button small" href=(visit.links.to(&format!("profiles/{id}/general"))) {
                    (if visit.may(Operation::PatchProfile) { "Edit" } else { "Settings" }) span class="hidden" { ": " (name) }
                }
                @if visit.may(Operation::DeleteProfile) {
                    a class="button small danger" href=(visit.links.to(&format!("profiles/{id}/delete"))) { "Delete" span class="hidden" { ": " (name) } }
                }
            }
        }
    }
}

/// The switch that has a mailbox polled, or not; for those who may only look, how it stands.
pub(crate) fn listen_switch(
    visit: &Visit<'_, impl Operations>,
    id: &str,
    name: &str,
    listens: bool,
    back: &str,
) -> Markup {
    if !visit.may(Operation::PatchProfile) {
        return html! { (if listens { "On" } else { "Off" }) };
    }
    html! {
        form method="post" action=(visit.links.to(&format!("profiles/{id}/listen"))) class="inline" {
            (visit.proof())
            input type="hidden" name="back" value=(back);
            input type="hidden" name="listen" value=(!listens);
            button class="switch" role="switch" aria-checked=(listens) aria-label={ "Listen: " (name) } {
                span aria-hidden="true" { (if listens { "On" } else { "Off" }) }
            }
        }
    }
}

/// Has a mailbox polled now.
pub(crate) async fn poll(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    visit.ask(Call::on(Operation::FetchProfile, visit.id())).await.ok()?;
    Ok(back(visit, "poll"))
}

/// Has a mailbox listen, or not.
pub(crate) async fn set_listen(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let listens = visit.field("listen") == "true";
    let change = Call::on(Operation::PatchProfile, visit.id()).body(json!({ "listen": listens }));
    visit.ask(change).await.ok()?;
    Ok(back(visit, if listens { "listens" } else { "paused" }))
}

/// Back to where a button was: the page of all mailboxes as it was, or that of the one.
fn back(visit: &Visit<'_, impl Operations>, done: &str) -> Reply {
    let back = visit.field("back");
    let is_query = |byte: u8| byte.is_ascii_alphanumeric() || b"?=&%._~-".contains(&byte);
    let to = if back.starts_with('?') && back.bytes().all(is_query) {
        let and = if back.len() > 1 { "&" } else { "" };
        format!("{back}{and}done={done}")
    } else {
        format!("profiles/{}?done={done}", visit.id())
    };
    Reply::Redirect(visit.links.to(&to))
}
