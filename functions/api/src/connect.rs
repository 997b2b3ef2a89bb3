//! *Connect your mailbox*: the page behind a connect link. A person with the link sees this page alone, and may do what it
//! takes to connect one mailbox, once.
//!
//! The link's address holds the token in its query, which no access log has. It is exchanged for a cookie at once: the
//! page itself has an address without it, so that no referrer, history of forms or provider's redirect tells it.
//!
//! 1. `rights`: the operations of the API that the link gives the right to; `pages`: what the person sees; here, the steps.
//! 2. A step has the link for itself while it lasts, and is counted; only one that connects a mailbox uses it up.
//! 3. By password: the address, its settings (`find`), the test, then the profile. By sign-in: the profile, the provider's
//!    pages, and on the way back the test.

mod pages;
pub(crate) mod rights;

use mailroom_aws::dynamodb::{ConnectLink, ConnectLinkState, ConnectTarget};
use mailroom_contract::patch::merge;
use mailroom_contract::route::{Method, Operation, Segments};
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use mailroom_lambda::clock;
use maud::html;
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use self::pages::{Closed, Pages, Screen, closed, done, failed};
use self::rights::{Linked, WithLink};
use crate::connect_links::{LinkToken, PATH, cookie, preset, token_of};
use crate::console::address::{Address, find, steps_of};
use crate::console::draft::Draft;
use crate::console::form::Form;
use crate::console::layout::bare_document;
use crate::console::operations::{Answer, Call, Refusal};
use crate::console::report::faults;
use crate::console::settings::first_of;
use crate::console::token::{FIELD, Token};
use crate::console::visit::{Links, Visit};
use crate::console::words::{is, text};
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;

/// The page's name in links between pages.
const PAGE: &str = "connect";

/// The settings that the owner of the mailbox types.
const TYPED: [&str; 7] =
    ["auth", "imap_host", "imap_port", "imap_security", "smtp_host", "smtp_port", "smtp_security"];

/// Serves a request for the page; `None` where it is for another one.
pub(crate) async fn serve(api: &dyn Linked, request: &Request, path: &str) -> Option<Response> {
    if path != PATH {
        return None;
    }
    if !matches!(request.method(), "GET" | "POST") {
        return Some(ApiError::Methods(vec![Method::Get, Method::Post]).response());
    }
    let links = Links::from(path);
    let secure = api.connect_links().public_url.starts_with("https://");
    if request.method() == "GET"
        && let Some(text) = request.parameters(&["link"]).remove("link")
    {
        return Some(match LinkToken::parse(&text) {
            Some(token) => Response::empty(303)
                .with_header("location", links.to(PAGE))
                .with_header("referrer-policy", "no-referrer")
                .with_cookie(cookie(&token, secure)),
            None => page(&closed(Closed::Unknown, None), &links),
        });
    }
    let Some(form) = Token::of(request, secure) else {
        return Some(ApiError::TimedOut.response());
    };
    let screen = match respond(api, request, &form, secure, &links).await {
        Ok(screen) => screen,
        Err(error) => return Some(error.response()),
    };
    let response = page(&screen, &links);
    Some(match form.cookie() {
        Some(cookie) => response.with_cookie(cookie),
        None => response,
    })
}

fn page(screen: &Screen, links: &Links) -> Response {
    let main = html! { div class="narrow" { h1 { (screen.heading) } (screen.main) } };
    Response::console(screen.status, bare_document(screen.heading, &main, links))
}

/// The page for the link that the browser has.
async fn respond(
    api: &dyn Linked,
    request: &Request,
    form: &Token,
    secure: bool,
    links: &Links,
) -> Result<Screen, ApiError> {
    let Some(token) = token_of(request, secure) else {
        return Ok(closed(Closed::NoLink, None));
    };
    let Some(link) = api.connect_links().find(&token).await? else {
        return Ok(closed(Closed::Unknown, None));
    };
    if let Some(why) = closing(link.state(clock::now())) {
        return Ok(closed(why, link.contact.as_deref()));
    }
    let is_form = request.method() == "POST";
    let fields = if is_form { request.form()? } else { Vec::new() };
    let rights = WithLink::new(api, &link);
    let visit = Visit {
        api: &rights,
        request,
        authorizer: request.authorizer().clone(),
        person: None,
        segments: Segments::default(),
        fields,
        links: links.clone(),
        token: form.text().to_owned(),
    };
    if is_form && !(form.admits(request, visit.field(FIELD)) && visit.field("link") == link.id.to_string()) {
        let words =
            "This form is not from this page, or from before another link was opened. Open your link again.";
        return Ok(failed(403, words, link.contact.as_deref()));
    }
    let preset = preset(&link, &token)?;
    let connecting = Connecting { api, rights: &rights, visit: &visit, link: &link, preset };
    connecting.respond(is_form).await
}

const fn closing(state: ConnectLinkState) -> Option<Closed> {
    match state {
        ConnectLinkState::Open => None,
        ConnectLinkState::Used => Some(Closed::Used),
        ConnectLinkState::Expired => Some(Closed::Expired),
        ConnectLinkState::Exhausted => Some(Closed::Exhausted),
    }
}

/// A mailbox that is being connected with an open link.
struct Connecting<'a> {
    api: &'a dyn Linked,
    rights: &'a WithLink<'a>,
    visit: &'a Visit<'a, WithLink<'a>>,
    link: &'a ConnectLink,
    preset: Value,
}

/// What a step leads to.
enum Outcome {
    /// A page, on which the person goes on.
    GoOn(Screen),
    /// The mailbox with this login is connected.
    Connected(String),
}

impl Connecting<'_> {
    async fn respond(&self, is_form: bool) -> Result<Screen, ApiError> {
        let contact = self.link.contact.as_deref();
        let wants_address = self.visit.request.parameters(&["address"]).contains_key("address");
        if !is_form && (!self.link.signed_in || wants_address) {
            let shown = self.show(wants_address).await;
            return Ok(shown.unwrap_or_else(|refusal| failed(refusal.status, &words(&refusal), contact)));
        }
        if !self.api.connect_links().begin_try(self.link).await? {
            let now = self.api.connect_links().table.connect_link(self.link.id).await?;
            let state = now.map_or(Some(Closed::Unknown), |link| closing(link.state(clock::now())));
            return Ok(closed(state.unwrap_or(Closed::Busy), contact));
        }
        let stepped = match (is_form, self.visit.field("press")) {
            (false, _) => self.finish().await,
            (true, "find") => self.find().await,
            (true, "sign-in") => self.sign_in().await,
            (true, _) => self.connect().await,
        };
        if let (Ok(Outcome::Connected(login)), Some(profile)) = (&stepped, self.rights.profile()) {
            self.use_up(profile).await?;
            return Ok(done(login, contact));
        }
        self.release().await;
        Ok(match stepped {
            Ok(Outcome::GoOn(screen)) => screen,
            Ok(Outcome::Connected(login)) => done(&login, contact),
            Err(refusal) => failed(refusal.status, &words(&refusal), contact),
        })
    }

    fn pages(&self) -> Pages<'_, WithLink<'_>> {
        Pages { visit: self.visit, link: self.link, preset: &self.preset }
    }

    async fn use_up(&self, profile: &str) -> Result<(), PortError> {
        let Ok(profile) = ProfileId::parse(profile) else { return Ok(()) };
        let used = self.api.connect_links().table.use_connect_link(self.link.id, profile, clock::now()).await;
        info!(link.id = %self.link.id, profile.id = %profile, "profile {profile} was connected with link {}", self.link.id);
        match used {
            // Withdrawn in this very moment: the mailbox is connected all the same.
            Ok(()) | Err(PortError::Lost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn release(&self) {
        if let Err(error) = self.api.connect_links().table.release_connect_link(self.link.id).await {
            warn!(link.id = %self.link.id, error = %Chain(&error), "the link {} was not released; that expires by itself", self.link.id);
        }
    }

    /// Whether the person signs in, in place of typing a password.
    fn signs_in(&self) -> bool {
        text(&self.preset, "/auth/type") == "oauth2"
    }

    async fn show(&self, wants_address: bool) -> Result<Screen, Refusal> {
        match self.rights.profile() {
            Some(id) if !(wants_address && self.makes_one()) => {
                let profile = self.visit.ask(Call::on(Operation::GetProfile, id)).await.ok()?;
                self.known(200, &profile, &Form::default()).await
            }
            Some(_) | None => Ok(self.pages().address(&Address::default())),
        }
    }

    const fn makes_one(&self) -> bool {
        matches!(self.link.target, ConnectTarget::New { .. })
    }

    async fn known(&self, status: u16, profile: &Value, form: &Form) -> Result<Screen, Refusal> {
        let steps = steps_of(self.visit, text(profile, "/auth/login")).await?;
        Ok(self.pages().known(status, profile, &steps, form))
    }

    /// Looks for the settings of the address.
    async fn find(&self) -> Result<Outcome, Refusal> {
        let address = find(self.visit).await?;
        if address.is_wrong() {
            return Ok(Outcome::GoOn(self.pages().address(&address)));
        }
        let mut draft = address.draft();
        draft.set("auth.type", if self.signs_in() { "oauth2" } else { "plain" });
        let form = Form { unconfirmed: address.unconfirmed(), draft, is_new: true, ..Form::default() };
        let found = address.found();
        let pages = self.pages();
        Ok(Outcome::GoOn(if address.takes_sign_in_alone() && !self.signs_in() {
            pages.no_way(address.typed(), &found)
        } else {
            pages.access(200, address.typed(), &found, &form)
        }))
    }

    /// Tests the mailbox with the password that was typed, and connects it.
    async fn connect(&self) -> Result<Outcome, Refusal> {
        match self.rights.profile() {
            Some(id) if !self.makes_one() => self.connect_known(id).await,
            Some(_) | None => self.connect_new().await,
        }
    }

    async fn connect_new(&self) -> Result<Outcome, Refusal> {
        let draft = self.typed();
        let settings = self.settings(&draft);
        if let Some(host) = self.unconfirmed(&settings) {
            return self.again(422, draft, |form| form.detail = confirm(host)).await;
        }
        let tested = self.visit.ask(Call::new(Operation::TestSettings).body(settings.clone())).await;
        if !works(&tested) {
            return self.after_test(tested, draft).await;
        }
        let once = format!("connect-link-{}", self.link.id);
        let create = Call::new(Operation::CreateProfile).body(settings).header("idempotency-key", once);
        let created = self.visit.ask(create).await;
        if created.status == 201 {
            return Ok(Outcome::Connected(text(&created.body, "/auth/login").to_owned()));
        }
        self.refused(created.refusal(), draft).await
    }

    /// The form again, with what the test found.
    async fn after_test(&self, tested: Answer, draft: Draft) -> Result<Outcome, Refusal> {
        if tested.status != 200 {
            return self.refused(tested.refusal(), draft).await;
        }
        let problems = faults(&tested.body, draft.kind(), false);
        let change = |form: &mut Form| (form.problems, form.tested) = (problems, Some(tested.body));
        self.again(200, draft, change).await
    }

    async fn connect_known(&self, id: &str) -> Result<Outcome, Refusal> {
        let profile = self.visit.ask(Call::on(Operation::GetProfile, id)).await.ok()?;
        let password = self.visit.field("plain.password");
        if password.is_empty() {
            let problems = vec![("auth.password".to_owned(), "is required".to_owned())];
            let form = Form { problems, draft: Draft::of(&profile), ..Form::default() };
            return Ok(Outcome::GoOn(self.known(422, &profile, &form).await?));
        }
        let patch = json!({"auth": {"password": password}});
        let tested = self.visit.ask(Call::on(Operation::TestProfile, id).body(patch.clone())).await.ok()?;
        if !lets_in(&tested) {
            let problems = faults(&tested, "plain", !text(&profile, "/smtp_auth/login").is_empty());
            let form = Form { problems, tested: Some(tested), draft: Draft::of(&profile), ..Form::default() };
            return Ok(Outcome::GoOn(self.known(200, &profile, &form).await?));
        }
        self.visit.ask(Call::on(Operation::PatchProfile, id).body(patch)).await.ok()?;
        Ok(Outcome::Connected(text(&profile, "/auth/login").to_owned()))
    }

    /// Makes the profile that the person signs in for, and leads to the provider.
    async fn sign_in(&self) -> Result<Outcome, Refusal> {
        if !self.visit.field("address").is_empty() && self.makes_one() {
            let draft = self.typed();
            let settings = self.settings(&draft);
            if let Some(host) = self.unconfirmed(&settings) {
                return self.again(422, draft, |form| form.detail = confirm(host)).await;
            }
            let call = match self.rights.profile() {
                Some(id) => Call::on(Operation::PatchProfile, id),
                None => Call::new(Operation::CreateProfile)
                    .header("idempotency-key", format!("connect-link-{}", self.link.id)),
            };
            let stored = self.visit.ask(call.body(settings)).await;
            if !matches!(stored.status, 200 | 201) {
                return self.refused(stored.refusal(), draft).await;
            }
        }
        let Some(id) = self.rights.profile() else {
            return Ok(Outcome::GoOn(self.pages().address(&Address::default())));
        };
        if self.makes_one() && !self.bind(id).await {
            return Ok(Outcome::GoOn(closed(Closed::Unknown, self.link.contact.as_deref())));
        }
        let begun = self.visit.ask(Call::on(Operation::AuthorizeProfile, id)).await.ok()?;
        Ok(Outcome::GoOn(self.pages().go_on(text(&begun, "/authorization_url"))))
    }

    /// Notes whose sign-in the link waits for. `false`: the link was withdrawn.
    async fn bind(&self, profile: &str) -> bool {
        let Ok(profile) = ProfileId::parse(profile) else { return false };
        match self.api.connect_links().table.bind_connect_link(self.link.id, profile).await {
            Ok(()) => true,
            Err(error) => {
                warn!(link.id = %self.link.id, error = %Chain(&error), "the profile of link {} was not noted", self.link.id);
                false
            }
        }
    }

    /// Tests the mailbox after the person has signed in.
    async fn finish(&self) -> Result<Outcome, Refusal> {
        let Some(id) = self.rights.profile() else {
            return Ok(Outcome::GoOn(self.pages().address(&Address::default())));
        };
        let profile = self.visit.ask(Call::on(Operation::GetProfile, id)).await.ok()?;
        let tested = self.visit.ask(Call::on(Operation::TestProfile, id)).await.ok()?;
        if lets_in(&tested) {
            return Ok(Outcome::Connected(text(&profile, "/auth/login").to_owned()));
        }
        let problems = faults(&tested, "oauth2", false);
        let form = Form { problems, tested: Some(tested), draft: Draft::of(&profile), ..Form::default() };
        Ok(Outcome::GoOn(self.known(200, &profile, &form).await?))
    }

    /// What was typed.
    fn typed(&self) -> Draft {
        let mut draft = Draft::typed(&self.visit.fields);
        draft.set("auth.type", if self.signs_in() { "oauth2" } else { "plain" });
        draft
    }

    /// The settings of the new profile: what was typed, and over it what the operator has chosen.
    fn settings(&self, draft: &Draft) -> Value {
        let mut settings = Map::from_iter([("name".to_owned(), json!(self.visit.field("address")))]);
        if let Value::Object(typed) = draft.settings(true) {
            settings.extend(typed.into_iter().filter(|(name, _)| TYPED.contains(&name.as_str())));
        }
        let mut settings = Value::Object(settings);
        merge(&mut settings, self.preset.clone());
        settings
    }

    /// A host that was found outside of the address's domain, and that neither person nor operator has confirmed.
    fn unconfirmed<'a>(&'a self, settings: &Value) -> Option<&'a str> {
        let typed = |name: &str| {
            let is_preset = self.preset.get(name).is_some_and(|host| !host.is_null());
            if is_preset { String::new() } else { text(settings, &format!("/{name}")).to_owned() }
        };
        let (imap, smtp) = (typed("imap_host"), typed("smtp_host"));
        let found = self.visit.field("unconfirmed");
        (self.visit.field("confirmed") != "yes").then(|| first_of(found, [&imap, &smtp]))?
    }

    /// The form again, without the password.
    async fn again(
        &self,
        status: u16,
        draft: Draft,
        change: impl FnOnce(&mut Form),
    ) -> Result<Outcome, Refusal> {
        let mut form = Form {
            is_new: true,
            retype: draft.has_secrets(),
            draft: draft.without_secrets(),
            unconfirmed: self.visit.field("unconfirmed").to_owned(),
            confirmed: self.visit.field("confirmed") == "yes",
            ..Form::default()
        };
        change(&mut form);
        let address = self.visit.field("address");
        let steps = steps_of(self.visit, address).await?;
        Ok(Outcome::GoOn(self.pages().access(status, address, &steps, &form)))
    }

    /// The form again, with what is wrong with it; an error where nothing that was typed is.
    async fn refused(&self, refusal: Refusal, draft: Draft) -> Result<Outcome, Refusal> {
        if refusal.status != 422 {
            return Err(refusal);
        }
        self.again(422, draft, |form| form.problems = refusal.problems).await
    }
}

fn confirm(host: &str) -> String {
    format!("Nothing proves that {host} is this mailbox's server. Confirm it before anything is sent there.")
}

/// Whether both servers take the login, as far as there are two.
fn works(tested: &Answer) -> bool {
    let works =
        |server: &str| tested.body.get(server).is_none_or(|server| server.is_null() || is(server, "/ok"));
    tested.status == 200 && works("imap") && works("smtp")
}

/// Whether the profile's servers take the login. That its SMTP server is down is nothing that its owner can change.
fn lets_in(tested: &Value) -> bool {
    let imap = tested.get("imap").is_none_or(|imap| imap.is_null() || is(imap, "/ok"));
    imap && text(tested, "/smtp/error/code") != "smtp_auth"
}

/// Why the API refused, in words.
fn words(refusal: &Refusal) -> String {
    let problems = refusal.problems.iter().map(|(field, problem)| format!(" {field} {problem}."));
    format!("{}{}", refusal.detail, problems.collect::<String>())
}
