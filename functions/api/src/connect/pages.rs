//! The screens behind a connect link: *Connect your mailbox*, and nothing else of the deployment.

use mailroom_aws::dynamodb::ConnectLink;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::address::Address;
use crate::console::form::Form;
use crate::console::operations::Operations;
use crate::console::report::report;
use crate::console::visit::Visit;
use crate::console::words::text;

/// A page of a link.
pub(super) struct Screen {
    pub(super) status: u16,
    pub(super) heading: &'static str,
    pub(super) main: Markup,
}

/// The heading of every step.
const HEADING: &str = "Connect your mailbox";

/// The fields of a server, which are shown unless the operator has chosen the server.
const SERVERS: [(&str, [&str; 3]); 2] = [
    ("imap_host", ["imap_host", "imap_port", "imap_security"]),
    ("smtp_host", ["smtp_host", "smtp_port", "smtp_security"]),
];

/// Why nothing can be connected with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The browser has no link, or the address holds none.
    NoLink,
    /// The link does not exist, or was withdrawn.
    Unknown,
    /// A mailbox was connected with it.
    Used,
    /// Nobody used it in time.
    Expired,
    /// It was tried too often.
    Exhausted,
    /// Another person is trying it at this moment.
    Busy,
}

/// Who can be asked.
fn whom(contact: Option<&str>) -> &str {
    contact.unwrap_or("the person who sent you the link")
}

/// The page that says why a link does not count, and whom to ask.
pub(super) fn closed(why: Closed, contact: Option<&str>) -> Screen {
    let (status, heading, words) = match why {
        Closed::NoLink => (
            404,
            "Open the link again",
            "This page is reached by a link that was sent to you, and your browser has to accept its cookie.",
        ),
        Closed::Unknown => (404, "This link does not count", "It is incomplete, or it was withdrawn."),
        Closed::Used => {
            (410, "This link was already used", "A mailbox is connected with it, and it counts only once.")
        }
        Closed::Expired => (410, "This link has expired", "It counted for seven days."),
        Closed::Exhausted => (410, "This link was tried too often", "It does not count any more."),
        Closed::Busy => (
            409,
            "This link is in use",
            "Another person, or another window, is connecting a mailbox with it. Load the page again in a minute.",
        ),
    };
    let advice = match why {
        Closed::NoLink => "If that does not help, ask",
        Closed::Busy => "If you did not expect that, ask",
        Closed::Unknown | Closed::Used | Closed::Expired | Closed::Exhausted => {
            "If you need another one, ask"
        }
    };
    let main = html! { p { (words) } p { (advice) " " strong { (whom(contact)) } "." } };
    Screen { status, heading, main }
}

/// The page after a mailbox is connected.
pub(super) fn done(login: &str, contact: Option<&str>) -> Screen {
    let main = html! {
        p class="notice" role="status" { "The mailbox " strong { (login) } " is connected." }
        p { "You can close this page. The link does not count any more." }
        p class="muted" {
            "To end the access later, change the password or remove the access in your account at the provider, or ask "
            (whom(contact)) "."
        }
    };
    Screen { status: 200, heading: "Done", main }
}

/// The page after something failed that the person cannot correct.
pub(super) fn failed(status: u16, words: &str, contact: Option<&str>) -> Screen {
    let main = html! {
        p { (words) }
        p { "The link still counts: try again, or ask " strong { (whom(contact)) } "." }
    };
    Screen { status, heading: "That did not work", main }
}

/// A link's page in the making.
pub(super) struct Pages<'a, O> {
    pub(super) visit: &'a Visit<'a, O>,
    pub(super) link: &'a ConnectLink,
    /// What the operator has chosen; null for a profile that there is.
    pub(super) preset: &'a Value,
}

impl<O: Operations> Pages<'_, O> {
    fn form(&self, body: &Markup) -> Markup {
        html! {
            form method="post" action=(self.visit.links.to("connect")) class="card" novalidate autocomplete="off" {
                (self.visit.proof())
                input type="hidden" name="link" value=(self.link.id);
                (body)
            }
        }
    }

    fn contact(&self) -> Option<&str> {
        self.link.contact.as_deref()
    }

    fn introduction(&self) -> Markup {
        html! {
            p {
                @if let Some(contact) = self.contact() { strong { (contact) } " asks you to connect a mailbox. " }
                "New messages in it are then read by a program, which can also send from it. Nobody sees your password."
            }
        }
    }

    fn screen(status: u16, main: Markup) -> Screen {
        Screen { status, heading: HEADING, main }
    }

    /// Asks for the address.
    pub(super) fn address(&self, address: &Address) -> Screen {
        let known = text(self.preset, "/auth/login");
        let typed = if address.typed().is_empty() { known } else { address.typed() };
        let problem = address.problem();
        let described = if problem.is_some() { "address-problem" } else { "address-hint" };
        let main = html! {
            (self.introduction())
            (self.form(&html! {
                div class="field" {
                    label for="address" { "Address of your mailbox" }
                    input id="address" name="address" type="text" inputmode="email" value=(typed) spellcheck="false"
                        autocapitalize="none" autocomplete="email" aria-describedby=(described)
                        aria-invalid=[problem.map(|_| "true")];
                    @if let Some(problem) = problem { p class="problem" id="address-problem" { "Address " (problem) } }
                    @else { p class="hint" id="address-hint" { "Such as ann@example.org. Its provider is looked up by it." } }
                }
                div class="buttons" { button name="press" value="find" class="primary" { "Continue" } }
            }))
        };
        Self::screen(if problem.is_some() { 422 } else { 200 }, main)
    }

    /// Asks for the password, or leads to the provider, for the address of a new profile.
    pub(super) fn access(&self, status: u16, address: &str, found: &Markup, form: &Form) -> Screen {
        let signs_in = form.draft.kind() == "oauth2";
        let main = html! {
            p { "Mailbox " strong { (address) } " " a href=(self.visit.links.to("connect?address")) { "Another address" } }
            @if !form.problems.is_empty() || !form.detail.is_empty() { (form.summary()) }
            (found)
            (self.form(&html! {
                input type="hidden" name="address" value=(address);
                @if !signs_in { (form.input("plain.password")) }
                (self.servers(form))
                @if let Some(tested) = &form.tested { (report(tested, false)) }
                @if !form.unconfirmed.is_empty() { (form.confirmation()) }
                (buttons(signs_in))
            }))
        };
        Self::screen(status, main)
    }

    /// Says that the provider lets nobody in by password, and that the link has no other way.
    pub(super) fn no_way(&self, address: &str, found: &Markup) -> Screen {
        let main = html! {
            p { "Mailbox " strong { (address) } " " a href=(self.visit.links.to("connect?address")) { "Another address" } }
            (found)
            p class="notice warn" {
                "This provider lets programs in only after you sign in there, and this link has no sign-in for it. Ask "
                strong { (whom(self.contact())) } "."
            }
        };
        Self::screen(422, main)
    }

    /// The servers and the login, which are known for most addresses.
    fn servers(&self, form: &Form) -> Markup {
        let is_preset = |name: &str| self.preset.get(name).is_some_and(|value| !value.is_null());
        let login = if form.draft.kind() == "oauth2" { "oauth2.login" } else { "plain.login" };
        let shown =
            SERVERS.iter().filter(|(host, _)| !is_preset(host)).flat_map(|(_, inputs)| inputs).copied();
        let mut shown: Vec<&str> = shown.collect();
        if text(self.preset, "/auth/login").is_empty() {
            shown.insert(0, login);
        }
        let lacks_host = form.draft.get("imap_host").is_empty() && !is_preset("imap_host");
        let open = lacks_host || form.tested.is_some() || shown.iter().any(|input| form.has_problem(input));
        html! {
            @if !shown.is_empty() {
                details open[open] {
                    summary { "Login and servers" }
                    div class="grid" { @for input in shown { (form.input(input)) } }
                }
            }
        }
    }

    /// The profile that there is: asks for its password, or leads to the provider.
    pub(super) fn known(&self, status: u16, profile: &Value, steps: &Markup, form: &Form) -> Screen {
        let signs_in = text(profile, "/auth/type") == "oauth2";
        let main = html! {
            (self.introduction())
            p { "Mailbox " strong { (text(profile, "/auth/login")) } }
            @if !form.problems.is_empty() || !form.detail.is_empty() { (form.summary()) }
            (steps)
            (self.form(&html! {
                @if !signs_in { (form.input("plain.password")) }
                @if let Some(tested) = &form.tested { (report(tested, true)) }
                (buttons(signs_in))
            }))
            @if !self.preset.is_null() {
                p { a href=(self.visit.links.to("connect?address")) { "Another address" } }
            }
        };
        Self::screen(status, main)
    }

    /// Leads to the provider. A link does: a form must not, by the pages' own policy.
    pub(super) fn go_on(&self, url: &str) -> Screen {
        let main = html! {
            p {
                "Your provider asks you to let the program use the mailbox. Sign in there as the mailbox itself. You then "
                "come back to this page."
            }
            div class="buttons" {
                a class="button primary" href=(url) { "Go on to the provider" }
                a class="button" href=(self.visit.links.to("connect")) { "Not now" }
            }
        };
        Self::screen(200, main)
    }
}

fn buttons(signs_in: bool) -> Markup {
    html! {
        div class="buttons" {
            @if signs_in {
                button name="press" value="sign-in" class="primary" { "Sign in at the provider" }
            } @else {
                button name="press" value="connect" class="primary" { "Connect" }
                p class="hint" { "The mailbox is tested first. If the test fails, nothing is kept, and you can try again." }
            }
        }
    }
}
