//! The first step of a new mailbox: its address, from which its settings follow.

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::draft::Draft;
use crate::console::operations::{Call, Operations, Refusal};
use crate::console::visit::Visit;
use crate::console::words::{number, text};

/// An address, and what is known of it.
#[derive(Default)]
pub(crate) struct Address {
    typed: String,
    problem: Option<String>,
    /// The most certain settings; null: nobody says.
    candidate: Value,
    is_asked: bool,
}

/// Asks for the settings of the address that was typed.
pub(crate) async fn find(visit: &Visit<'_, impl Operations>) -> Result<Address, Refusal> {
    let typed = visit.field("address").trim().to_owned();
    let call = Call::new(Operation::FindSettings).body(json!({ "address": typed }));
    match visit.ask(call).await.ok() {
        Ok(found) => {
            let candidate = found.pointer("/candidates/0").cloned().unwrap_or_default();
            Ok(Address { typed, candidate, is_asked: true, problem: None })
        }
        Err(Refusal { status: 422, problems, .. }) => {
            let problem = problems.into_iter().next().map(|(_, problem)| problem);
            Ok(Address { typed, problem, ..Address::default() })
        }
        Err(refusal) => Err(refusal),
    }
}

impl Address {
    /// Whether the address can be none.
    pub(crate) const fn is_wrong(&self) -> bool {
        self.problem.is_some()
    }

    /// What was typed.
    pub(crate) fn typed(&self) -> &str {
        &self.typed
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the provider lets programs in after a sign-in, and by no password.
    pub(crate) fn takes_sign_in_alone(&self) -> bool {
        words(&self.candidate, "/auth") == ["oauth2"]
    }

    /// A new profile with the settings that were found.
    pub(crate) fn draft(&self) -> Draft {
        let mut draft = Draft::fresh();
        if !self.is_asked {
            return draft;
        }
        let found = &self.candidate;
        let login = text(found, "/login");
        let login = if login.is_empty() { &self.typed } else { login };
        for (input, value) in [("name", self.typed.as_str()), ("plain.login", login), ("oauth2.login", login)]
        {
            draft.set(input, value);
        }
        for protocol in ["imap", "smtp"] {
            if let Some(port) = number(found, &format!("/{protocol}/port")) {
                draft.set(&format!("{protocol}_host"), text(found, &format!("/{protocol}/host")));
                draft.set(&format!("{protocol}_port"), &port.to_string());
                draft.set(&format!("{protocol}_security"), text(found, &format!("/{protocol}/security")));
            }
        }
        if !found.is_null() && found.get("imap").is_none_or(Value::is_null) {
            draft.set("listen", "false");
        }
        draft.set("oauth2.discovery_url", text(found, "/oauth2/discovery_url"));
        draft.set("oauth2.scopes", &words(found, "/oauth2/scopes/authorization_code").join(" "));
        if self.takes_sign_in_alone() {
            draft.set("auth.type", "oauth2");
        }
        draft
    }

    /// Hosts that a person has to confirm.
    pub(crate) fn unconfirmed(&self) -> String {
        words(&self.candidate, "/unconfirmed_hosts").join(" ")
    }

    /// The form for an address, and what was found.
    pub(crate) fn show(&self, visit: &Visit<'_, impl Operations>, action: &str) -> Markup {
        html! {
            form method="post" action=(visit.links.to(action)) class="card profile" {
                (visit.proof())
                div class="field" {
                    label for="address" { "Address" }
                    div class="beside" {
                        input id="address" name="address" type="text" inputmode="email" value=(self.typed) spellcheck="false"
                            autocapitalize="none" autocomplete="off" aria-describedby=(if self.is_wrong() { "address-problem address-hint" } else { "address-hint" })
                            aria-invalid=[self.is_wrong().then_some("true")];
                        button name="press" value="find" { "Find settings" }
                    }
                    @if let Some(problem) = &self.problem { p class="problem" id="address-problem" { "Address " (problem) } }
                    p class="hint" id="address-hint" {
                        "The address of the mailbox. Its settings are found without a password. Or fill in all of it below."
                    }
                }
                @if self.is_asked { (self.found()) }
            }
        }
    }

    /// What was found, and what the owner of the mailbox does at the provider.
    pub(crate) fn found(&self) -> Markup {
        let found = &self.candidate;
        html! {
            div class="found" role="status" {
                @if found.is_null() {
                    p {
                        strong { "Nobody says which servers this address has. " }
                        "Fill them in below: your provider's help pages name them as the settings for IMAP and SMTP."
                    }
                } @else {
                    p { strong { (origin(found)) } " The settings below are filled in; check them." }
                    @if found.get("imap").is_none_or(Value::is_null) {
                        p class="notice warn" { "It has no IMAP: messages cannot be fetched from this mailbox." }
                    }
                    @if !text(found, "/ends_on").is_empty() {
                        p class="notice warn" { "The provider ends this service on " (text(found, "/ends_on")) "." }
                    }
                    (notes(found))
                }
            }
        }
    }
}

/// What the owner of a mailbox does at the provider that its address belongs to, as far as it is known.
pub(crate) async fn steps_of(visit: &Visit<'_, impl Operations>, address: &str) -> Result<Markup, Refusal> {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
    let providers = visit.ask(Call::new(Operation::ListProviders)).await.ok()?;
    let all = providers.get("items").and_then(Value::as_array).into_iter().flatten();
    let known = all.into_iter().find(|provider| words(provider, "/domains").contains(&domain.as_str()));
    Ok(html! { @if let Some(provider) = known { div class="found" { (notes(provider)) } } })
}

/// What is to be known of a provider.
fn notes(provider: &Value) -> Markup {
    html! {
        @for note in ["/instructions", "/login_note"] {
            @if !text(provider, note).is_empty() { p { (with_links(text(provider, note))) } }
        }
    }
}

/// Where settings come from.
fn origin(found: &Value) -> String {
    let (provider, source) = (text(found, "/provider/name"), text(found, "/source"));
    match text(found, "/origin") {
        "provider" => format!("This is a mailbox at {provider}."),
        "mx" => format!("{provider} takes the mail for this domain."),
        "autoconfig" => format!("The domain says so itself, at {source}."),
        "ispdb" => "Thunderbird's list of providers says so.".to_owned(),
        "srv" => "The domain's SRV records say so.".to_owned(),
        _ => "This is a guess: servers answer at usual names.".to_owned(),
    }
}

/// The texts of a list.
fn words<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// A text in which addresses of pages are links.
fn with_links(text: &str) -> Markup {
    html! {
        @for word in text.split_inclusive(' ') {
            @let bare = word.trim_end().trim_end_matches(['.', ',', ';', ')']);
            @if bare.starts_with("https://") {
                a href=(bare) rel="noreferrer" { (bare) } (word.strip_prefix(bare).unwrap_or_default())
            } @else { (word) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_page_is_a_link_without_what_follows_it() {
        let html = with_links("Go to https://a.example/b, then <on>.").into_string();
        assert_eq!(
            html,
            "Go to <a href=\"https://a.example/b\" rel=\"noreferrer\">https://a.example/b</a>, then &lt;on&gt;."
        );
    }

    #[test]
    fn where_passwords_fail_there_is_a_sign_in() {
        let of = |auth: Value| {
            let candidate = json!({"imap": {"host": "i", "port": 993, "security": "tls"}, "auth": auth});
            Address { typed: "a@b.example".to_owned(), candidate, is_asked: true, problem: None }.draft()
        };
        assert_eq!(of(json!(["oauth2"])).kind(), "oauth2");
        assert_eq!(of(json!(["oauth2", "app_password"])).kind(), "plain");
        assert_eq!(of(json!([])).get("plain.login"), "a@b.example");
    }
}
