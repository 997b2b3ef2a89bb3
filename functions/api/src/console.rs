//! The console: pages on which people describe their mailboxes and see how they are doing.
//!
//! 1. `operations`: what the pages ask of the API. They have no rules of their own.
//! 2. `visit`: one request to the console; `token`: proof that a form is ours; `asset`: the style sheet and the script.
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

use mailroom_contract::console_route::{Page as Target, find_page};
use mailroom_contract::route::{Found, Segments};

use crate::console::layout::{Page, Reply, document};
use crate::console::operations::{Operations, Refusal};
use crate::console::token::{FIELD, Token};
use crate::console::visit::{Links, Visit};
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;

/// Below this path are the pages.
const ROOT: &str = "/console";

/// Who may use the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Nobody: there is none.
    Off,
    /// Everybody, as the API.
    Open,
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

/// Serves the pages.
pub(crate) struct Console {
    availability: Availability,
    /// Whether browsers reach the console by https.
    secure: bool,
}

impl Console {
    pub(crate) fn new(availability: Availability, public_url: &str) -> Self {
        Self { availability, secure: public_url.starts_with("https://") }
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
        match self.availability {
            Availability::Open if below.is_empty() || below.starts_with('/') => {}
            Availability::Open | Availability::Off => return None,
        }
        let links = Links::from(path);
        let (target, segments) = match find_page(request.method(), path) {
            Found::Operation(target, segments) => (target, segments),
            Found::OtherMethods(methods) => return Some(ApiError::Methods(methods).response()),
            Found::Nothing if below == "/" => return Some(redirect(&links.to(""))),
            Found::Nothing => {
                let page = Page::sorry(404, "No such page", "Nothing is at this address.", &links);
                return Some(Response::console(404, document(&page, &links)));
            }
        };
        let Some(token) = Token::of(request, self.secure) else {
            return Some(ApiError::TimedOut.response());
        };
        let response = respond(api, request, &token, target, segments, links).await;
        Some(match token.cookie() {
            Some(cookie) => response.with_cookie(cookie),
            None => response,
        })
    }
}

/// The response to a request for a page that there is.
async fn respond(
    api: &impl Operations,
    request: &Request,
    token: &Token,
    target: Target,
    segments: Segments,
    links: Links,
) -> Response {
    let fields = if request.method() == "POST" {
        match request.form() {
            Ok(fields) => fields,
            Err(error) => return error.response(),
        }
    } else {
        Vec::new()
    };
    let visit = Visit { api, request, segments, fields, links, token: token.text().to_owned() };
    let reply = if request.method() == "POST" && !token.admits(request, visit.field(FIELD)) {
        let words = "This form was not sent from a page of the console, or it is from before your browser was \
                     restarted. Nothing was changed. Go back, load the page again, and repeat what you did.";
        Ok(Reply::Page(Page::sorry(403, "Not accepted", words, &visit.links)))
    } else {
        perform(&visit, target).await
    };
    match reply {
        Ok(Reply::Redirect(to)) => redirect(&to),
        Ok(Reply::Page(page)) => Response::console(page.status, document(&page, &visit.links)),
        Err(refusal) => {
            let page = sorry(&refusal, &visit.links);
            Response::console(page.status, document(&page, &visit.links))
        }
    }
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
        // Served before anything else is read.
        Target::StaticFile => Ok(Reply::Redirect(visit.links.to(""))),
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
