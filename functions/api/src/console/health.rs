//! The page that says how a profile is doing, and what its owner can do.

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::layout::{Page, Part, Reply, notice};
use crate::console::mailboxes::listen_switch;
use crate::console::operations::{Call, Operations, Refusal};
use crate::console::quarantine;
use crate::console::settings::tabs;
use crate::console::visit::Visit;
use crate::console::words::{advice, badge, counted, interval, is, number, text, when};

/// The messages that the page shows.
const MESSAGES: &str = "20";

/// Shows the page.
pub(crate) async fn show(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let profile = visit.ask(Call::on(Operation::GetProfile, visit.id())).await.ok()?;
    let messages = Call::on(Operation::ListMessages, visit.id()).with("limit", MESSAGES);
    let messages = visit.ask(messages).await.ok().ok();
    let unread = quarantine::load(visit).await?;
    let main = html! {
        h1 { (text(&profile, "/name")) }
        (tabs(visit, false))
        (notice(&visit.parameter("done")))
        (state(visit, &profile))
        (sign_in_card(visit, &profile))
        (polls(&profile))
        (quarantine::section(visit, &unread))
        @if let Some(messages) = &messages { (sent(visit, messages)) }
    };
    let title = format!("{}: Status", text(&profile, "/name"));
    Ok(Reply::Page(Page { status: 200, title, part: Part::Mailboxes, main }))
}

fn state(visit: &Visit<'_, impl Operations>, profile: &Value) -> Markup {
    let (id, name) = (visit.id(), text(profile, "/name"));
    let listens = is(profile, "/listen");
    let error = profile.pointer("/status/error").filter(|error| !error.is_null());
    let warnings = profile.pointer("/status/warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    html! {
        section class="card state" aria-labelledby="state" {
            h2 id="state" { "State " (badge(text(profile, "/status/state"))) }
            @if let Some(error) = error {
                p class="said" { (text(error, "/message")) }
                p class="muted" {
                    "Since " (when(error.get("since"))) ", " (counted(number(error, "/count").unwrap_or_default(), "time")) "."
                }
                p { strong { "What you can do: " } (advice(text(error, "/code"))) }
            }
            @for warning in &warnings {
                p class="notice warn" { (text(warning, "/message")) }
                @if text(warning, "/code") == "many_messages_recovered" { (held_back(visit, id)) }
            }
            div class="buttons" {
                @if listens { (visit.button(&format!("profiles/{id}/fetch"), "", &html! { "Poll now" })) }
                span class="labelled" {
                    span aria-hidden="true" { "Listen" }
                    (listen_switch(visit, id, name, listens, ""))
                }
                @if is_for_a_person(profile) {
                    (visit.button(&format!("profiles/{id}/connect-link"), "", &html! { "Make a connect link" }))
                }
                @if visit.may(Operation::DeleteProfile) {
                    a class="button danger" href=(visit.links.to(&format!("profiles/{id}/delete"))) { "Delete" }
                }
            }
        }
    }
}

/// The answers about messages that are held back.
fn held_back(visit: &Visit<'_, impl Operations>, id: &str) -> Markup {
    let answer = |accept: &str, class: &str, words: &str| {
        html! {
            form method="post" action=(visit.links.to(&format!("profiles/{id}/held-back"))) class="inline" {
                (visit.proof())
                input type="hidden" name="accept" value=(accept);
                button class=(class) { (words) }
            }
        }
    };
    html! {
        @if visit.may(Operation::FetchProfile) {
            div class="buttons" {
                (answer("true", "primary", "Hand them over"))
                (answer("false", "danger", "Drop them"))
            }
        }
    }
}

/// Answers what is done with messages that are held back.
pub(crate) async fn answer_held_back(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let accept = visit.field("accept") == "true";
    let call = Call::on(Operation::FetchProfile, visit.id()).body(json!({ "accept": accept }));
    visit.ask(call).await.ok()?;
    Ok(done(visit, if accept { "accepted" } else { "dropped" }))
}

/// Whether a person gives the access, by password or by signing in.
fn is_for_a_person(profile: &Value) -> bool {
    text(profile, "/auth/type") == "plain" || text(profile, "/auth/grant") == "authorization_code"
}

/// The sign-in, where people sign in.
fn sign_in_card(visit: &Visit<'_, impl Operations>, profile: &Value) -> Markup {
    let id = visit.id();
    let signs_in = text(profile, "/auth/grant") == "authorization_code";
    let signed_in = is(profile, "/status/authorized");
    html! {
        @if signs_in {
            section class="card" aria-labelledby="sign-in" {
                h2 id="sign-in" { "Sign-in " @if signed_in { span class="badge good" { "Signed in" } } @else { span class="badge bad" { "Not signed in" } } }
                p {
                    @if signed_in { "Mailroom may use the mailbox " } @else { "Mailroom needs the consent of " }
                    strong { (text(profile, "/auth/login")) }
                    @if !signed_in { ", given at " code { (text(profile, "/auth/discovery_url")) } }
                    "."
                }
                @if signed_in {
                    dl {
                        div { dt { "Signed in" } dd { (when(profile.pointer("/status/signed_in/since"))) } }
                        div { dt { "Last used" } dd { (when(profile.pointer("/status/signed_in/refreshed_at"))) } }
                        div {
                            dt { "Expires" }
                            dd {
                                @if let Some(end) = profile.pointer("/status/signed_in/expires_at").filter(|end| !end.is_null()) { (when(Some(end))) }
                                @else { span class="muted" { "when the provider says so" } }
                            }
                        }
                    }
                }
                div class="buttons" {
                    (visit.button(&format!("profiles/{id}/authorize"), if signed_in { "" } else { "primary" }, &html! { @if signed_in { "Sign in again" } @else { "Sign in" } }))
                    @if signed_in { (visit.button(&format!("profiles/{id}/sign-out"), "danger", &html! { "Sign out" })) }
                }
            }
        }
    }
}

/// What is known of the polls.
fn polls(profile: &Value) -> Markup {
    let every = interval(number(profile, "/refresh_interval").unwrap_or_default());
    let skipped = number(profile, "/status/skipped_seen/count").unwrap_or_default();
    let pause = profile.pointer("/status/not_before").filter(|at| !at.is_null());
    let audit = profile.pointer("/status/audit").filter(|audit| !audit.is_null());
    html! {
        section class="card" aria-labelledby="polls" {
            h2 id="polls" { "Polls" }
            dl {
                div { dt { "Login" } dd { (text(profile, "/auth/login")) } }
                div { dt { "Mailbox" } dd { (text(profile, "/mailbox")) @if let Some(port) = number(profile, "/imap_port") { " at " (text(profile, "/imap_host")) ":" (port) } } }
                div { dt { "Flow schema" } dd { (or_none(text(profile, "/flow_schema_id"))) } }
                div {
                    dt { "Last success" }
                    dd {
                        (when(profile.pointer("/status/last_success_at")))
                        // A poll that finds nothing writes nothing.
                        span class="small muted reason" { "Polls that find nothing are noted every five minutes at most." }
                    }
                }
                div { dt { "Last message" } dd { (when(profile.pointer("/status/last_message_at"))) } }
                div {
                    dt { "Next poll" }
                    dd {
                        @if !is(profile, "/listen") { "none: it does not listen" }
                        @else if let Some(pause) = pause { (when(Some(pause))) " at the earliest" }
                        @else { "within " (every) }
                    }
                }
                div {
                    dt { "Cursor" }
                    dd {
                        @if let Some(uid) = number(profile, "/status/last_uid") {
                            "UID " (uid)
                            @if let Some(validity) = number(profile, "/status/uid_validity") { span class="muted" { " of UIDVALIDITY " (validity) } }
                        } @else { span class="muted" { "none before the first poll" } }
                    }
                }
                @if skipped > 0 {
                    div {
                        dt { "Skipped" }
                        dd {
                            (counted(skipped, "message")) ", already marked as read when polled; the last "
                            (when(profile.pointer("/status/skipped_seen/last_at")))
                        }
                    }
                }
                @if let Some(audit) = audit {
                    div { dt { "Audit" } dd { (text(audit, "/result")) ", " (when(audit.get("at"))) } }
                }
                div { dt { "Settings" } dd { "version " (number(profile, "/version").unwrap_or_default()) ", changed " (when(profile.get("updated_at"))) } }
            }
        }
    }
}

fn or_none(text: &str) -> Markup {
    html! { @if text.is_empty() { span class="muted" { "none" } } @else { (text) } }
}

/// The messages that were sent, with the status of each recipient.
fn sent(visit: &Visit<'_, impl Operations>, messages: &Value) -> Markup {
    let items = messages.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    html! {
        section aria-labelledby="sent" {
            h2 id="sent" { "Messages sent" }
            @if items.is_empty() {
                p class="card empty" { "None yet. Flows send through this profile with the API." }
            } @else {
                table class="cards" role="table" {
                    caption class="hidden" { "Messages sent" }
                    thead role="rowgroup" {
                        tr role="row" {
                            @for column in ["Accepted", "Status", "Recipients", "Actions"] { th scope="col" role="columnheader" { (column) } }
                        }
                    }
                    tbody role="rowgroup" { @for message in &items { (message_row(visit, message)) } }
                }
                @if !messages.get("next").is_none_or(Value::is_null) {
                    p class="muted small" { "These are the latest " (items.len()) "; the API lists all." }
                }
            }
        }
    }
}

fn message_row(visit: &Visit<'_, impl Operations>, message: &Value) -> Markup {
    let (id, status) = (text(message, "/id"), text(message, "/status"));
    let recipients = message.get("recipients").and_then(Value::as_array).cloned().unwrap_or_default();
    let action = |what: &str| format!("profiles/{}/messages/{id}/{what}", visit.id());
    let named = |verb: &str| html! { (verb) span class="hidden" { " the message of " (when(message.get("created_at"))) } };
    html! {
        tr role="row" {
            th scope="row" role="rowheader" class="nowrap" { (when(message.get("created_at"))) }
            td role="cell" data-label="Status" {
                (fate(status))
                @let reason = text(message, "/error/message");
                @if !reason.is_empty() { span class="small reason" { (reason) } }
            }
            td role="cell" data-label="Recipients" class="wrap" {
                ul class="plain" {
                    @for recipient in &recipients {
                        li {
                            (text(recipient, "/address")) " " (fate(text(recipient, "/status")))
                            @let said = text(recipient, "/smtp_reply");
                            @if !said.is_empty() { span class="small muted reason" { (said) } }
                        }
                    }
                }
            }
            td role="cell" data-label="Actions" class="actions" {
                @if status == "queued" { (visit.button(&action("cancel"), "small", &named("Cancel"))) }
                @if matches!(status, "failed" | "uncertain") {
                    (visit.button(&action("resend"), "small", &named("Resend")))
                }
            }
        }
    }
}

/// How far a message is.
fn fate(status: &str) -> Markup {
    let tone = match status {
        "sent" => "good",
        "failed" | "bounced" => "bad",
        "uncertain" => "warn",
        _ => "quiet",
    };
    html! { span class={ "badge " (tone) } { (status) } }
}

/// Begins a sign-in. A link leads on to the provider: a form must not, by the pages' own policy.
pub(crate) async fn sign_in(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let begun = visit.ask(Call::on(Operation::AuthorizeProfile, visit.id())).await.ok()?;
    let main = html! {
        div class="narrow" {
            h1 { "Sign in at the provider" }
            p {
                "The provider asks you to let Mailroom use the mailbox. Sign in there as the mailbox itself. "
                "This link works once, in this browser."
            }
            div class="buttons" {
                a class="button primary" href=(text(&begun, "/authorization_url")) { "Go on to the provider" }
                a class="button" href=(visit.links.to(&format!("profiles/{}", visit.id()))) { "Not now" }
            }
        }
    };
    let title = "Sign in at the provider".to_owned();
    Ok(Reply::Page(Page { status: 200, title, part: Part::Mailboxes, main }))
}

/// Signs a profile out.
pub(crate) async fn sign_out(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    visit.ask(Call::on(Operation::DeleteAuthorization, visit.id())).await.ok()?;
    Ok(done(visit, "signed-out"))
}

/// Sends a message again.
pub(crate) async fn resend(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let call = Call::on(Operation::ResendMessage, visit.id()).message(&visit.segments.message);
    visit.ask(call).await.ok()?;
    Ok(done(visit, "resent"))
}

/// Cancels a message.
pub(crate) async fn cancel(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let call = Call::on(Operation::CancelMessage, visit.id()).message(&visit.segments.message);
    visit.ask(call).await.ok()?;
    Ok(done(visit, "cancelled"))
}

fn done(visit: &Visit<'_, impl Operations>, what: &str) -> Reply {
    Reply::Redirect(visit.links.to(&format!("profiles/{}?done={what}", visit.id())))
}
