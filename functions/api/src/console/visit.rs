//! One request to the console, as its pages see it.

use mailroom_contract::console_route::{Admission, Page, find_page};
use mailroom_contract::route::{Found, Operation, Segments};
use maud::{Markup, html};
use serde_json::Value;

use crate::console::operations::{Answer, Call, Operations};
use crate::console::token::FIELD;
use crate::http::request::Request;

/// The parameters of the console's addresses.
const PARAMETERS: [&str; 9] = ["q", "state", "flow", "sort", "page", "after", "done", "to", "account"];

/// A request to the console.
pub(crate) struct Visit<'a, O> {
    pub(crate) api: &'a O,
    pub(crate) request: &'a Request,
    /// Who asks, as API Gateway describes callers.
    pub(crate) authorizer: Value,
    /// The person who is signed in, as people know them.
    pub(crate) person: Option<String>,
    pub(crate) segments: Segments,
    /// The fields of the form that was sent.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) links: Links,
    /// What each form repeats.
    pub(crate) token: String,
}

impl<O: Operations> Visit<'_, O> {
    /// Asks the API.
    pub(crate) async fn ask(&self, call: Call) -> Answer {
        self.api.ask(self.request, &self.authorizer, call).await
    }

    /// Whether the caller may have the API perform this operation.
    pub(crate) fn may(&self, operation: Operation) -> bool {
        self.api.allows(&self.authorizer, operation)
    }

    /// Whether the caller may see this page, or send its form.
    pub(crate) fn admits(&self, page: Page) -> bool {
        match page.admission() {
            Admission::Everybody => true,
            Admission::CallersOf(operation) => self.may(operation),
        }
    }

    /// Whether the caller may send a form to this page.
    pub(crate) fn takes(&self, to: &str) -> bool {
        match find_page("POST", &format!("/console/{to}")) {
            Found::Operation(page, _) => self.admits(page),
            Found::OtherMethods(_) | Found::Nothing => false,
        }
    }

    /// The id in the path.
    pub(crate) fn id(&self) -> &str {
        &self.segments.id
    }

    /// A field of the form that was sent; empty where it has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    /// A parameter of the address; empty where it has none.
    pub(crate) fn parameter(&self, name: &str) -> String {
        self.request.parameters(&PARAMETERS).remove(name).unwrap_or_default()
    }

    /// What every form has.
    pub(crate) fn proof(&self) -> Markup {
        html! { input type="hidden" name=(FIELD) value=(self.token); }
    }

    /// A form of one button, for those who may send it.
    pub(crate) fn button(&self, to: &str, class: &str, label: &Markup) -> Markup {
        html! {
            @if self.takes(to) {
                form method="post" action=(self.links.to(to)) class="inline" {
                    (self.proof())
                    button class=(class) { (label) }
                }
            }
        }
    }

    /// The page's address below the console's, as it was asked for.
    pub(crate) fn here(&self, path: &str) -> String {
        let page = path.trim_start_matches("/console").trim_start_matches('/');
        let query = self.request.raw_query();
        if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
    }

    /// Who is signed in, and the way out; nothing where nobody signs in.
    pub(crate) fn account(&self) -> Markup {
        html! {
            @if let Some(person) = &self.person {
                div class="account" {
                    span class="who" { span class="hidden" { "Signed in as " } (person) }
                    (self.button("sign-out", "small", &html! { "Sign out" }))
                }
            }
        }
    }
}

/// Makes the addresses of pages. They are relative, so that they hold wherever the API is below its host.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    up: String,
}

impl Links {
    /// Links from the page at this path.
    pub(crate) fn from(path: &str) -> Self {
        Self { up: "../".repeat(path.matches('/').count().saturating_sub(1)) }
    }

    /// The address of a page, such as `profiles/new`; empty: the first page. A query begins with `?`.
    pub(crate) fn to(&self, page: &str) -> String {
        let slash = if page.is_empty() || page.starts_with('?') { "" } else { "/" };
        format!("{}console{slash}{page}", self.up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_below_any_base() {
        assert_eq!(Links::from("/console").to("profiles/new"), "console/profiles/new");
        assert_eq!(Links::from("/console").to("?q=a"), "console?q=a");
        assert_eq!(Links::from("/console/profiles/01/general").to(""), "../../../console");
        assert_eq!(Links::from("/console/").to(""), "../console");
    }
}
