//! The pages of flow schemas.

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::console::layout::{Page, Part, Reply, notice, only_to_look_at};
use crate::console::lists::{Wanted, load, schemas};
use crate::console::operations::{Call, Operations, Refusal, encoded};
use crate::console::visit::Visit;
use crate::console::words::text;

/// Shows all.
pub(crate) async fn list(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let schemas = schemas(visit).await?;
    let used = load(visit, Wanted::default()).await?;
    let more = if used.next.is_some() { " or more" } else { "" };
    let count = |id: &str| used.items.iter().filter(|item| text(item, "/flow_schema_id") == id).count();
    let main = html! {
        div class="heading" {
            h1 { "Flow schemas" }
            @if visit.may(Operation::CreateFlowSchema) {
                a class="button primary" href=(visit.links.to("new-flow-schema")) { "Add a flow schema" }
            }
        }
        (notice(&visit.parameter("done")))
        p class="muted" { "A flow schema says which queue the messages of a mailbox go to. The flow reads them there." }
        @if schemas.is_empty() {
            p class="card empty" { "No flow schema yet. A mailbox needs one to be polled." }
        } @else {
            table class="cards" role="table" {
                caption class="hidden" { "Flow schemas" }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in ["Flow schema", "Queue", "Used by", "Actions"] {
                            th scope="col" role="columnheader" { (column) }
                        }
                    }
                }
                tbody role="rowgroup" {
                    @for schema in &schemas {
                        @let (id, name) = (text(schema, "/id"), text(schema, "/name"));
                        @let count = count(id);
                        tr role="row" {
                            th scope="row" role="rowheader" {
                                a href=(visit.links.to(&page_of(id))) { (name) }
                                span class="muted small" { (id) }
                            }
                            td role="cell" data-label="Queue" class="wrap" { (queue(schema)) }
                            td role="cell" data-label="Used by" {
                                a href=(visit.links.to(&format!("?flow={}", encoded(id)))) {
                                    (count) (more) (if count == 1 { " mailbox" } else { " mailboxes" })
                                }
                            }
                            td role="cell" data-label="Actions" class="actions" {
                                a class="button small" href=(visit.links.to(&page_of(id))) {
                                    (if visit.may(Operation::PutFlowSchema) { "Edit" } else { "Details" }) span class="hidden" { ": " (name) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(page(200, "Flow schemas", main))
}

fn queue(schema: &Value) -> Markup {
    let url = text(schema, "/queue_url");
    html! { @if url.is_empty() { "The default job queue" } @else { code { (url) } } }
}

fn page_of(id: &str) -> String {
    format!("flow-schemas/{}", encoded(id))
}

/// Shows the form for a new one.
pub(crate) fn show_new(visit: &Visit<'_, impl Operations>) -> Reply {
    page(200, "Add a flow schema", form(visit, None, &Value::Null, &[]))
}

/// Takes the form for a new one.
pub(crate) async fn create(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let mut body = typed(visit);
    body.insert("id".to_owned(), json!(visit.field("id").trim()));
    let body = Value::Object(body);
    let answer = visit.ask(Call::new(Operation::CreateFlowSchema).body(body.clone())).await;
    finished(visit, "Add a flow schema", None, answer.ok(), &body)
}

/// Shows the form of one.
pub(crate) async fn show(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let schema = visit.ask(Call::on(Operation::GetFlowSchema, visit.id())).await.ok()?;
    let used = load(visit, Wanted { flow: visit.id(), ..Wanted::default() }).await?;
    let main = html! {
        (form(visit, Some(visit.id()), &schema, &[]))
        section class="narrow card" {
            h2 { "Where it is used" }
            @if used.items.is_empty() {
                p { "By no mailbox." }
                (visit.button(&format!("{}/delete", page_of(visit.id())), "danger", &html! { "Delete this flow schema" }))
            } @else {
                p {
                    "By " (used.items.len())
                    @if used.next.is_some() { " or more" }
                    (if used.items.len() == 1 { " mailbox" } else { " mailboxes" })
                    ". Give them another one before you delete it."
                }
                ul {
                    @for item in used.items.iter().take(10) {
                        li { a href=(visit.links.to(&format!("profiles/{}", text(item, "/id")))) { (text(item, "/name")) } }
                    }
                }
                @if used.items.len() > 10 {
                    p { a href=(visit.links.to(&format!("?flow={}", encoded(visit.id())))) { "Show all" } }
                }
            }
        }
    };
    Ok(page(200, text(&schema, "/name"), main))
}

/// Takes the form of one.
pub(crate) async fn save(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let body = Value::Object(typed(visit));
    let answer = visit.ask(Call::on(Operation::PutFlowSchema, visit.id()).body(body.clone())).await;
    finished(visit, "Flow schema", Some(visit.id()), answer.ok(), &body)
}

/// Removes one.
pub(crate) async fn remove(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    visit.ask(Call::on(Operation::DeleteFlowSchema, visit.id())).await.ok()?;
    Ok(Reply::Redirect(visit.links.to("flow-schemas?done=deleted")))
}

/// Name and queue, as they were typed.
fn typed(visit: &Visit<'_, impl Operations>) -> Map<String, Value> {
    let mut body = Map::from_iter([("name".to_owned(), json!(visit.field("name").trim()))]);
    let queue = visit.field("queue_url").trim();
    if !queue.is_empty() {
        body.insert("queue_url".to_owned(), json!(queue));
    }
    body
}

/// Back to all, or the form again with what is wrong with it.
fn finished(
    visit: &Visit<'_, impl Operations>,
    title: &str,
    id: Option<&str>,
    stored: Result<Value, Refusal>,
    body: &Value,
) -> Result<Reply, Refusal> {
    match stored {
        Ok(_) => Ok(Reply::Redirect(visit.links.to("flow-schemas?done=schema"))),
        Err(refusal) if matches!(refusal.status, 409 | 422) => {
            Ok(page(refusal.status, title, form(visit, id, body, &refusal.problems)))
        }
        Err(refusal) => Err(refusal),
    }
}

fn form(
    visit: &Visit<'_, impl Operations>,
    id: Option<&str>,
    schema: &Value,
    problems: &[(String, String)],
) -> Markup {
    let action = id.map_or_else(|| "new-flow-schema".to_owned(), page_of);
    html! {
        div class="narrow" {
            h1 { @if id.is_some() { "Flow schema" } @else { "Add a flow schema" } }
            @if !problems.is_empty() {
                div class="summary" role="alert" tabindex="-1" autofocus {
                    h2 { "This is not saved yet" }
                    ul { @for (field, problem) in problems { li { a href={ "#" (field) } { (label(field)) " " (problem) } } } }
                }
            }
            form method="post" action=(visit.links.to(&action)) class="card" {
                (visit.proof())
                fieldset class="bare" disabled[!visit.takes(&action)] {
                @if let Some(id) = id {
                    p { span class="muted" { "Id" } " " code { (id) } }
                } @else {
                    (line("id", schema, problems, "Jobs carry it, so a flow knows them by it. It cannot be changed later."))
                }
                (line("name", schema, problems, "For people."))
                (line("queue_url", schema, problems, "The address of an SQS queue that this deployment may write to. Empty: the default job queue."))
                }
                @if visit.takes(&action) {
                    div class="buttons" {
                        button class="primary" { "Save" }
                        a class="button" href=(visit.links.to("flow-schemas")) { "Cancel" }
                    }
                } @else { (only_to_look_at()) }
            }
        }
    }
}

fn label(name: &str) -> &str {
    match name {
        "id" => "Id",
        "name" => "Name",
        "queue_url" => "Queue",
        other => other,
    }
}

fn line(name: &str, schema: &Value, problems: &[(String, String)], hint: &str) -> Markup {
    let problem = problems.iter().find(|(field, _)| field == name).map(|(_, problem)| problem);
    let described =
        format!("{name}-hint{}", problem.map_or_else(String::new, |_| format!(" {name}-problem")));
    html! {
        div class="field" {
            label for=(name) { (label(name)) }
            input id=(name) name=(name) value=(text(schema, &format!("/{name}"))) autocomplete="off" spellcheck="false"
                aria-describedby=(described) aria-invalid=[problem.map(|_| "true")];
            @if let Some(problem) = problem { p class="problem" id={ (name) "-problem" } { (label(name)) " " (problem) } }
            p class="hint" id={ (name) "-hint" } { (hint) }
        }
    }
}

fn page(status: u16, title: &str, main: Markup) -> Reply {
    Reply::Page(Page { status, title: title.to_owned(), part: Part::FlowSchemas, main })
}
