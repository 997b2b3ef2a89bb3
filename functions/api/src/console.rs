//! The console: pages on which people describe their mailboxes and see how they are doing.
//!
//! 1. `operations`: what the pages ask of the API. They have no rules of their own.
//! 2. `visit`: one request to the console; `token`: proof that a form is ours; `gate`: where people sign in; `asset`: the style
//!    sheet and the script.
//! 3. `layout`: what all pages have; `lists`: what they list; `words`: what people read in place of codes and times.
//! 4. `mailboxes`: all profiles; `settings`: the form of one, with `address`, `field`, `draft`, `form` and `report`; `health`: how one
//!    is doing, with `quarantine`; `removal`: the question before one goes; `flows`: flow schemas; `connect_links`: links for owners of mailboxes.
//!
//! Everything works by links and forms alone. A change answers with a redirection, so that a page can be loaded again.

pub(crate) mod address;
mod asset;
mod connect_links;
pub(crate) mod draft;
mod field;
mod flows;
pub(crate) mod form;
mod gate;
mod health;
pub(crate) mod layout;
mod lists;
mod mailboxes;
pub(crate) mod operations;
mod quarantine;
mod removal;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod token;
pub(crate) mod visit;
pub(crate) mod words;

use mailroom_auth::sign_in::person::Registration;
use mailroom_contract::console_route::{Admission, Page as Target, find_page};
use mailroom_contract::route::{Found, Segments};
use maud::html;

use crate::console::layout::{Page, Reply, document, response};
use crate::console::operations::{Operations, Refusal};
use crate::console::token::{FIELD, Token};
use crate::console::visit::{Links, Visit};
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::session::{Session, Sessions};

/// Below this path are the pages.
const ROOT: &str = "/console";

/// Who may use the console.
#[derive(Debug, Clone)]
pub enum Availability {
    /// Nobody: there is none.
    Off,
    /// Everybody, as the API.
    Open,
    /// People whom this provider knows.
    SignIn(Registration),
}

impl Availability {
    /// Reads `open`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "open" { Ok(Self::Open) } else { Err("must be open, or be left out") }
    }
}

/// Who is let in.
pub(crate) enum Guard {
    /// Nobody: the deployment has no console.
    Off,
    /// Everybody, as by the API.
    Open,
    /// People with a session.
    Sessions(Box<Sessions>),
}

/// Serves the pages.
pub(crate) struct Console {
    guard: Guard,
    /// Whether browsers reach the console by https.
    secure: bool,
}

impl Console {
    pub(crate) fn new(guard: Guard, public_url: &str) -> Self {
        Self { guard, secure: public_url.starts_with("https://") }
    }

    /// Serves a request for a page; `None` where it is for none. `path` is the path below the API's own.
    pub(crate) async fn serve(
        &self,
        api: &impl Operations,
        request: &Request,
        path: &str,
    ) -> Option<Response> {
        let below = path.strip_prefix(ROOT)?;
        // The page of a connect link needs them where there is no console, too.
        if let Found::Operation(Target::StaticFile, Segments { id, .. }) = find_page(request.method(), path) {
            return Some(
                asset::file(&id)
                    .unwrap_or_else(|| ApiError::NotFound("No file has this name.".to_owned()).response()),
            );
        }
        match &self.guard {
            Guard::Open | Guard::Sessions(_) if below.is_empty() || below.starts_with('/') => {}
            Guard::Off | Guard::Open | Guard::Sessions(_) => return None,
        }
        let links = Links::from(path);
        let (target, segments) = match find_page(request.method(), path) {
            Found::Operation(target, segments) => (target, segments),
            Found::OtherMethods(methods) => return Some(ApiError::Methods(methods).response()),
            Found::Nothing if below == "/" => return Some(redirect(&links.to(""))),
            Found::Nothing => {
                let page = Page::sorry(404, "No such page", "Nothing is at this address.", &links);
                return Some(Response::console(404, document(&page, &links, &html! {})));
            }
        };
        let Some(token) = Token::of(request, self.secure) else {
            return Some(ApiError::TimedOut.response());
        };
        let session = match &self.guard {
            Guard::Sessions(sessions) => match sessions.of(request).await {
                Ok(session) => session,
                Err(error) => return Some(ApiError::Port(error).response()),
            },
            Guard::Off | Guard::Open => None,
        };
        let authorizer = session.as_ref().map_or_else(|| request.authorizer().clone(), Session::authorizer);
        let person = session.as_ref().map(|session| session.name().to_owned());
        let text = token.text().to_owned();
        let mut visit =
            Visit { api, request, authorizer, person, segments, fields: Vec::new(), links, token: text };
        let response = match stopped(&mut visit, &token) {
            None => self.respond(&visit, session.as_ref(), target, path).await,
            Some(response) => response,
        };
        Some(match token.cookie() {
            Some(cookie) => response.with_cookie(cookie),
            None => response,
        })
    }

    /// The response to a request for a page that there is, whose form is ours.
    async fn respond(
        &self,
        visit: &Visit<'_, impl Operations>,
        session: Option<&Session>,
        target: Target,
        path: &str,
    ) -> Response {
        match &self.guard {
            Guard::Sessions(sessions) => {
                if let Some(response) = gate::serve(visit, sessions, session, target).await {
                    return response;
                }
                if session.is_none() && target.admission() != Admission::Everybody {
                    return gate::stop(visit, path);
                }
            }
            Guard::Off | Guard::Open => {}
        }
        let reply = match target.admission() {
            Admission::CallersOf(operation) if !visit.may(operation) => {
                Ok(Reply::Page(gate::forbidden(visit, operation)))
            }
            Admission::CallersOf(_) | Admission::Everybody => perform(visit, target).await,
        };
        match reply {
            Ok(Reply::Redirect(to)) => redirect(&to),
            Ok(Reply::Page(page)) => response(visit, &page),
            Err(refusal) => response(visit, &sorry(&refusal, &visit.links)),
        }
    }
}

/// Reads the form of a request that has one. What it is answered with, if it is not ours.
fn stopped(visit: &mut Visit<'_, impl Operations>, token: &Token) -> Option<Response> {
    if visit.request.method() != "POST" {
        return None;
    }
    match visit.request.form() {
        Ok(fields) => visit.fields = fields,
        Err(error) => return Some(error.response()),
    }
    if token.admits(visit.request, visit.field(FIELD)) {
        return None;
    }
    let words = "This form was not sent from a page of the console, or it is from before your browser was \
                 restarted. Nothing was changed. Go back, load the page again, and repeat what you did.";
    Some(response(visit, &Page::sorry(403, "Not accepted", words, &visit.links)))
}

async fn perform(visit: &Visit<'_, impl Operations>, target: Target) -> Result<Reply, Refusal> {
    match target {
        Target::Mailboxes => mailboxes::show(visit).await,
        Target::NewProfile => settings::show_new(visit).await,
        Target::CreateProfile => settings::create(visit).await,
        Target::Status => health::show(visit).await,
        Target::General => settings::show(visit).await,
        Target::SaveProfile => settings::save(visit).await,
        Target::ConfirmDeletion => removal::ask(visit).await,
        Target::DeleteProfile => removal::remove(visit).await,
        Target::AnswerHeldBack => health::answer_held_back(visit).await,
        Target::RetryQuarantined => quarantine::retry(visit).await,
        Target::PollNow => mailboxes::poll(visit).await,
        Target::SetListen => mailboxes::set_listen(visit).await,
        Target::SignIn => health::sign_in(visit).await,
        Target::SignOut => health::sign_out(visit).await,
        Target::ResendMessage => health::resend(visit).await,
        Target::CancelMessage => health::cancel(visit).await,
        Target::ConnectLinks => connect_links::list(visit).await,
        Target::CreateConnectLink => connect_links::create(visit).await,
        Target::WithdrawConnectLink => connect_links::withdraw(visit).await,
        Target::ConnectProfile => connect_links::create_for_profile(visit).await,
        Target::FlowSchemas => flows::list(visit).await,
        Target::NewFlowSchema => Ok(flows::show_new(visit)),
        Target::CreateFlowSchema => flows::create(visit).await,
        Target::FlowSchema => flows::show(visit).await,
        Target::SaveFlowSchema => flows::save(visit).await,
        Target::DeleteFlowSchema => flows::remove(visit).await,
        // Served before: the first by anybody, the others where people sign in.
        Target::StaticFile
        | Target::Session
        | Target::StartSession
        | Target::FinishSession
        | Target::SessionStarted
        | Target::EndSession => Ok(Reply::Redirect(visit.links.to(""))),
    }
}

/// The page that says why the API refused.
fn sorry(refusal: &Refusal, links: &Links) -> Page {
    let heading = match refusal.status {
        403 => "You may not do this",
        404 => "Not found",
        409 => "Not possible now",
        status if status >= 500 => "Not reachable at the moment",
        _ => "Not accepted",
    };
    let mut words = refusal.detail.clone();
    for (field, problem) in &refusal.problems {
        words = format!("{words} {field} {problem}.");
    }
    Page::sorry(refusal.status, heading, &words, links)
}

/// A redirection after a change (RFC 9110 §15.4.4).
fn redirect(to: &str) -> Response {
    Response::empty(303).with_header("location", to)
}
