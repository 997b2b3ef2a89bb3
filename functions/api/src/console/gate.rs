//! Where people sign in to the console, and what those see who are not signed in, or may not do what they ask for.
//!
//! A form that was filled in is not lost when its session ends: the page that says so holds what was typed, but for secrets,
//! and sends it once its person is signed in again in another tab. Nothing of it is stored here.

use mailroom_auth::sign_in::person::Account;
use mailroom_contract::console_route::Page as Target;
use mailroom_contract::route::{Operation, Right};
use maud::{Markup, html};

use crate::console::layout::{Page, Part, response};
use crate::console::operations::{Operations, encoded};
use crate::console::token::FIELD;
use crate::console::visit::Visit;
use crate::http::problem::ApiError;
use crate::http::response::Response;
use crate::session::{Refusal, Session, Sessions};

/// Where a person comes back to who has signed in beside a page with a form.
const DONE: &str = "sign-in/done";

/// What is pressed for a person who has to type a secret again before anything is done.
pub(crate) const AGAIN: &str = "again";

/// Serves what belongs to signing in and out; `None` for another page.
pub(crate) async fn serve(
    visit: &Visit<'_, impl Operations>,
    sessions: &Sessions,
    session: Option<&Session>,
    target: Target,
) -> Option<Response> {
    if target == Target::Session {
        return Some(match session {
            Some(_) => redirect(&visit.links.to("")),
            None => response(visit, &entrance(visit, sessions)),
        });
    }
    if target == Target::StartSession {
        return Some(start(visit, sessions).await);
    }
    if target == Target::FinishSession {
        return Some(finish(visit, sessions).await);
    }
    if target == Target::EndSession {
        return Some(end(visit, sessions, session).await);
    }
    (target == Target::SessionStarted && session.is_some()).then(|| response(visit, &started()))
}

fn page(status: u16, title: &str, main: &Markup) -> Page {
    let main = html! {
        div class="narrow" {
            h1 { (title) }
            (main)
        }
    };
    Page { status, title: title.to_owned(), part: Part::Entrance, main }
}

fn redirect(to: &str) -> Response {
    Response::empty(303).with_header("location", to)
}

/// The address that sends a browser to the provider, and back to this page.
fn start_of(visit: &Visit<'_, impl Operations>, page: &str) -> String {
    let query = if page.is_empty() { String::new() } else { format!("?to={}", encoded(page)) };
    visit.links.to(&format!("sign-in/start{query}"))
}

fn entrance(visit: &Visit<'_, impl Operations>, sessions: &Sessions) -> Page {
    let provider = sessions.provider();
    page(
        200,
        "Sign in",
        &html! {
            @if visit.parameter("done") == "signed-out" {
                p class="notice" role="status" {
                    "You are signed out of Mailroom. At " (provider) " you may still be signed in."
                }
            }
            p { "These pages are for people whom " strong { (provider) } " knows. You sign in there, and come back here." }
            div class="buttons" {
                a class="button primary" href=(start_of(visit, &visit.parameter("to"))) { "Sign in at " (provider) }
            }
        },
    )
}

/// Sends a browser to the provider.
async fn start(visit: &Visit<'_, impl Operations>, sessions: &Sessions) -> Response {
    let account = if visit.parameter("account") == "other" { Account::Chosen } else { Account::Any };
    match sessions.begin(&visit.parameter("to"), account).await {
        Ok(begun) => Response::empty(302)
            .with_header("location", begun.location)
            .with_header("referrer-policy", "no-referrer")
            .with_cookie(begun.cookie),
        Err(refusal) => response(visit, &refused(visit, &refusal)),
    }
}

/// Takes a browser back from the provider.
async fn finish(visit: &Visit<'_, impl Operations>, sessions: &Sessions) -> Response {
    match sessions.finish(visit.request).await {
        Ok(finished) => {
            let [session, ticket] = finished.cookies;
            redirect(&visit.links.to(&finished.page)).with_cookie(session).with_cookie(ticket)
        }
        Err(refusal) => response(visit, &refused(visit, &refusal)),
    }
}

/// Why a sign-in failed, and how to begin another.
fn refused(visit: &Visit<'_, impl Operations>, refusal: &Refusal) -> Page {
    let (status, happened, advice) = refusal.explain();
    page(
        status,
        "Not signed in",
        &html! {
            p { (happened) }
            p { (advice) }
            div class="buttons" {
                // The same account would come back with the same answer.
                @if !matches!(refusal, Refusal::NoRight { .. }) {
                    a class="button primary" href=(start_of(visit, "")) { "Sign in again" }
                }
                (other_account(visit))
            }
        },
    )
}

fn other_account(visit: &Visit<'_, impl Operations>) -> Markup {
    html! { a class="button" href=(visit.links.to("sign-in/start?account=other")) { "Use another account" } }
}

/// What a person sees who has signed in beside a page with a form.
fn started() -> Page {
    page(
        200,
        "You are signed in again",
        &html! { p { "Close this tab, and press " strong { "Go on" } " in the one that holds what you typed." } },
    )
}

async fn end(visit: &Visit<'_, impl Operations>, sessions: &Sessions, session: Option<&Session>) -> Response {
    let out = redirect(&visit.links.to("sign-in?done=signed-out"));
    match session {
        None => out,
        Some(session) => match sessions.end(session).await {
            Ok(cookie) => out.with_cookie(cookie),
            Err(error) => ApiError::Port(error).response(),
        },
    }
}

/// What those see who are not signed in: the way in, or the form that they have sent.
pub(crate) fn stop(visit: &Visit<'_, impl Operations>, path: &str) -> Response {
    let here = visit.here(path);
    if visit.request.method() == "POST" {
        return response(visit, &kept(visit, &here));
    }
    let query = if here.is_empty() { String::new() } else { format!("?to={}", encoded(&here)) };
    redirect(&visit.links.to(&format!("sign-in{query}")))
}

/// A form whose session has ended: it is ours, as its token shows.
fn kept(visit: &Visit<'_, impl Operations>, here: &str) -> Page {
    let is_kept = |name: &str| name != FIELD && !is_secret(name);
    let secrets = visit.fields.iter().any(|(name, value)| is_secret(name) && !value.is_empty());
    page(
        403,
        "Your session has ended",
        &html! {
            p {
                "Nothing was done yet. This page holds what you typed"
                @if secrets { ", but for passwords and secrets: you are asked for them again" }
                "."
            }
            ol {
                li { a href=(start_of(visit, DONE)) target="_blank" { "Sign in again" } " (in another tab)." }
                li { "Come back to this tab, and go on." }
            }
            form method="post" action=(visit.links.to(here)) {
                (visit.proof())
                @for (name, value) in visit.fields.iter().filter(|(name, _)| is_kept(name)) {
                    @if name != "press" || !secrets { input type="hidden" name=(name) value=(value); }
                }
                @if secrets { input type="hidden" name="press" value=(AGAIN); }
                div class="buttons" { button class="primary" { "Go on" } }
            }
        },
    )
}

/// Whether a field of a form holds what is never sent back to a browser.
fn is_secret(name: &str) -> bool {
    name.ends_with("password") || name.ends_with("secret")
}

/// What a person sees who may not have this operation performed.
pub(crate) fn forbidden(visit: &Visit<'_, impl Operations>, operation: Operation) -> Page {
    let what = match operation.rights().first() {
        Some(Right::Write) => "change mailboxes and flow schemas",
        Some(Right::Send) => "send messages",
        Some(Right::Read) | None => "see mailboxes and flow schemas",
    };
    let main = html! {
        div class="narrow" {
            h1 { "You may not do this" }
            p {
                "Nothing was changed. "
                @if let Some(person) = &visit.person { "You are signed in as " strong { (person) } ", who" } @else { "You" }
                " may not " (what) " here. The operator of this Mailroom can give you the right to."
            }
            div class="buttons" {
                @if visit.may(Operation::ListProfiles) { a class="button primary" href=(visit.links.to("")) { "To the mailboxes" } }
                (other_account(visit))
            }
        }
    };
    let title = "You may not do this".to_owned();
    Page { status: 403, title, part: Part::Mailboxes, main }
}
