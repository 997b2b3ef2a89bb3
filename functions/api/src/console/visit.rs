//! One request to the console, as its pages see it.

use mailroom_contract::route::Segments;
use maud::{Markup, html};

use crate::console::operations::{Answer, Call, Operations};
use crate::console::token::FIELD;
use crate::http::request::Request;

/// The parameters of the console's addresses.
const PARAMETERS: [&str; 7] = ["q", "state", "flow", "sort", "page", "after", "done"];

/// A request to the console.
pub(crate) struct Visit<'a, O> {
    pub(crate) api: &'a O,
    pub(crate) request: &'a Request,
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
        self.api.ask(self.request, call).await
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

    /// A form of one button.
    pub(crate) fn button(&self, to: &str, class: &str, label: &Markup) -> Markup {
        html! {
            form method="post" action=(self.links.to(to)) class="inline" {
                (self.proof())
                button class=(class) { (label) }
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
