//! Connect links: with one, the owner of a mailbox connects it, and nobody else sees the password.

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::console::draft::Draft;
use crate::console::form::Form;
use crate::console::layout::{Page, Part, Reply, notice};
use crate::console::lists::schema_names;
use crate::console::operations::{Call, Operations, Refusal};
use crate::console::visit::Visit;
use crate::console::words::{text, when};

/// The page of all links.
const PAGE: &str = "connect-links";

/// The links that the page shows.
const SHOWN: &str = "50";

/// The fields of the form that are settings of the new profile, but for its OAuth2 client.
const PRESET: [&str; 3] = ["name", "flow_schema_id", "refresh_interval"];

/// The fields of the OAuth2 client that owners sign in with.
const CLIENT: [&str; 4] =
    ["oauth2.client_id", "oauth2.client_secret", "oauth2.discovery_url", "oauth2.scopes"];

/// Shows the links, and the form for a new one.
pub(crate) async fn list(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let mut form = Form { draft: Draft::fresh(), schemas: schema_names(visit).await?, ..Form::default() };
    if let [(id, _)] = form.schemas.as_slice() {
        form.draft.set("flow_schema_id", id);
    }
    show(visit, 200, &form).await
}

/// Takes the form for a new one.
pub(crate) async fn create(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let mut draft = Draft::typed(&visit.fields);
    let signs_in = CLIENT.iter().any(|input| !draft.get(input).is_empty());
    draft.set("auth.type", if signs_in { "oauth2" } else { "plain" });
    let mut settings = Map::new();
    if let Value::Object(typed) = draft.settings(true) {
        let is_preset = |name: &String| PRESET.contains(&name.as_str()) || signs_in && name == "auth";
        settings.extend(typed.into_iter().filter(|(name, _)| is_preset(name)));
    }
    if let Some(auth) = settings.get_mut("auth").and_then(Value::as_object_mut) {
        auth.insert("type".to_owned(), json!("oauth2"));
    }
    let mut body = Map::from_iter([("settings".to_owned(), Value::Object(settings))]);
    let contact = visit.field("contact").trim();
    if !contact.is_empty() {
        body.insert("contact".to_owned(), json!(contact));
    }
    let made = visit.ask(Call::new(Operation::CreateConnectLink).body(Value::Object(body))).await;
    match made.ok() {
        Ok(link) => Ok(made_page(visit, &link)),
        Err(refusal) if matches!(refusal.status, 409 | 422) => {
            let (retype, draft) = (draft.has_secrets(), draft.without_secrets());
            let problems = refusal.problems.into_iter().map(|(field, problem)| {
                (field.strip_prefix("settings.").unwrap_or(&field).to_owned(), problem)
            });
            let problems = problems.collect();
            let schemas = schema_names(visit).await?;
            let form = Form { draft, retype, problems, schemas, ..Form::default() };
            show(visit, refusal.status, &form).await
        }
        Err(refusal) => Err(refusal),
    }
}

/// Makes a link for a profile that there is.
pub(crate) async fn create_for_profile(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let call = Call::new(Operation::CreateConnectLink).body(json!({"profile_id": visit.id()}));
    let link = visit.ask(call).await.ok()?;
    Ok(made_page(visit, &link))
}

/// Withdraws a link.
pub(crate) async fn withdraw(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let answer = visit.ask(Call::on(Operation::DeleteConnectLink, visit.id())).await;
    // Gone already is gone.
    if answer.status != 404 {
        answer.ok()?;
    }
    Ok(Reply::Redirect(visit.links.to(&format!("{PAGE}?done=withdrawn"))))
}

fn page(status: u16, title: &str, main: Markup) -> Reply {
    Reply::Page(Page { status, title: title.to_owned(), part: Part::ConnectLinks, main })
}

/// The link, which is shown once.
fn made_page(visit: &Visit<'_, impl Operations>, link: &Value) -> Reply {
    let main = html! {
        div class="narrow" {
            h1 { "Your connect link" }
            div class="card" {
                div class="field" {
                    label for="link" { "Link" }
                    input id="link" type="text" readonly value=(text(link, "/url")) aria-describedby="link-hint";
                    p class="hint" id="link-hint" {
                        "Copy it now: it is not stored, and is not shown again. Send it to the owner of the mailbox in a way "
                        "that nobody else reads."
                    }
                }
            }
            p { "It counts once, and ends " (when(link.get("expires_at"))) ". A try that fails does not use it up." }
            p { a class="button" href=(visit.links.to(PAGE)) { "All connect links" } }
        }
    };
    page(200, "Your connect link", main)
}

async fn show(visit: &Visit<'_, impl Operations>, status: u16, form: &Form) -> Result<Reply, Refusal> {
    let links = visit.ask(Call::new(Operation::ListConnectLinks).with("limit", SHOWN)).await.ok()?;
    let items = links.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let main = html! {
        h1 { "Connect links" }
        (notice(&visit.parameter("done")))
        p class="muted" {
            "With a connect link, the owner of a mailbox connects it: by password, which nobody here sees, or by signing in at "
            "the provider."
        }
        @if !form.problems.is_empty() { (form.summary()) }
        @if visit.may(Operation::CreateConnectLink) { (new_link(visit, form)) }
        @if items.is_empty() {
            p class="card empty" { "No link yet." }
        } @else {
            (table(visit, &items))
            @if !links.get("next").is_none_or(Value::is_null) {
                p class="muted small" { "These are the latest " (items.len()) "; the API lists all." }
            }
        }
    };
    Ok(page(status, "Connect links", main))
}

fn new_link(visit: &Visit<'_, impl Operations>, form: &Form) -> Markup {
    let contact = visit.field("contact");
    let problem = form.problems.iter().find(|(field, _)| field == "contact").map(|(_, problem)| problem);
    let more = CLIENT.iter().any(|input| form.has_problem(input) || !form.draft.get(input).is_empty());
    html! {
        form method="post" action=(visit.links.to(PAGE)) class="card profile" novalidate autocomplete="off" {
            (visit.proof())
            h2 { "For a new mailbox" }
            div class="grid" {
                @for input in PRESET { (form.input(input)) }
                div class="field" {
                    label for="contact" { "Whom to ask" }
                    input id="contact" name="contact" type="text" value=(contact) autocomplete="off" aria-describedby="contact-hint"
                        aria-invalid=[problem.map(|_| "true")];
                    @if let Some(problem) = problem { p class="problem" { "Whom to ask " (problem) } }
                    p class="hint" id="contact-hint" { "The page names them, such as Ann, ann@example.org." }
                }
            }
            details open[more] {
                summary { "Owners sign in with OAuth2" }
                div class="grid" { @for input in CLIENT { (form.input(input)) } }
            }
            div class="buttons" {
                button class="primary" { "Make a link" }
                p class="hint" { "For a mailbox that is here already, make one on its Status page." }
            }
        }
    }
}

fn table(visit: &Visit<'_, impl Operations>, items: &[Value]) -> Markup {
    html! {
        table class="cards" role="table" {
            caption class="hidden" { "Connect links" }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in ["Made", "State", "For", "Whom to ask", "Actions"] {
                        th scope="col" role="columnheader" { (column) }
                    }
                }
            }
            tbody role="rowgroup" { @for link in items { (row(visit, link)) } }
        }
    }
}

fn row(visit: &Visit<'_, impl Operations>, link: &Value) -> Markup {
    let (id, profile, state) = (text(link, "/id"), text(link, "/profile_id"), text(link, "/state"));
    let (tone, words) = match state {
        "open" => ("warn", "Open"),
        "used" => ("good", "Used"),
        "exhausted" => ("bad", "Tried too often"),
        _ => ("quiet", "Expired"),
    };
    let name = text(link, "/settings/name");
    html! {
        tr role="row" {
            th scope="row" role="rowheader" class="nowrap" { (when(link.get("created_at"))) }
            td role="cell" data-label="State" {
                span class={ "badge " (tone) } { (words) }
                @if state == "open" { span class="small muted" { " ends " (when(link.get("expires_at"))) } }
            }
            td role="cell" data-label="For" {
                @if profile.is_empty() { (if name.is_empty() { "a new mailbox" } else { name }) }
                @else { a href=(visit.links.to(&format!("profiles/{profile}"))) { "its mailbox" } }
            }
            td role="cell" data-label="Whom to ask" class="wrap" { (text(link, "/contact")) }
            td role="cell" data-label="Actions" class="actions" {
                @if state == "open" {
                    (visit.button(&format!("{PAGE}/{id}/withdraw"), "small", &html! {
                        "Withdraw" span class="hidden" { " the link made " (when(link.get("created_at"))) }
                    }))
                }
            }
        }
    }
}
