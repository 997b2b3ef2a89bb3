//! The form of a profile, as it is shown.

use maud::{Markup, html};
use serde_json::Value;

use crate::console::draft::{Difference, Draft};
use crate::console::field::{Control, FIELDS, Field, Place, TYPES, of_problem};
use crate::console::layout::only_to_look_at;
use crate::console::operations::Operations;
use crate::console::report::{mailboxes, report};
use crate::console::visit::Visit;
use crate::console::words::interval;

/// Intervals to choose from, in seconds.
const INTERVALS: [u64; 22] = [
    10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1_200, 1_800, 2_700, 3_600, 7_200, 10_800, 14_400, 21_600,
    28_800, 43_200, 64_800, 86_400,
];

/// Which secrets are stored.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stored {
    pub(crate) login: bool,
    pub(crate) smtp: bool,
    /// The type of login that the secret is for.
    pub(crate) oauth2: bool,
}

/// A form, as it is shown.
#[derive(Default)]
pub(crate) struct Form {
    /// The page that takes it.
    pub(crate) action: String,
    pub(crate) is_new: bool,
    pub(crate) draft: Draft,
    /// What is wrong, by the fields' names in the API.
    pub(crate) problems: Vec<(String, String)>,
    /// What is wrong beside the fields.
    pub(crate) detail: String,
    pub(crate) schemas: Vec<(String, String)>,
    pub(crate) stored: Stored,
    /// The version that it began from, and its settings then.
    pub(crate) version: String,
    pub(crate) base: String,
    /// Whether a secret was typed, which the form no longer has.
    pub(crate) retype: bool,
    /// A value that makes a repeat of the request harmless.
    pub(crate) once: String,
    pub(crate) tested: Option<Value>,
    /// The hosts that the search found outside of the address's domain, and whether the owner has confirmed them.
    pub(crate) unconfirmed: String,
    pub(crate) confirmed: bool,
    /// The fields that another person changed after this form was loaded.
    pub(crate) both: Vec<Difference>,
    pub(crate) theirs: Vec<Difference>,
}

impl Form {
    /// The form.
    pub(crate) fn show(&self, visit: &Visit<'_, impl Operations>) -> Markup {
        let problems = &self.problems;
        let more = FIELDS.iter().any(|field| {
            matches!(field.place, Place::More | Place::MoreOauth2) && self.problem(field).is_some()
        });
        let may = visit.takes(&self.action);
        html! {
            (self.conflict())
            @if !problems.is_empty() || !self.detail.is_empty() { (self.summary()) }
            form id="profile" method="post" action=(visit.links.to(&self.action)) class="profile" novalidate autocomplete="off" {
                (visit.proof())
                input type="hidden" name="version" value=(self.version);
                input type="hidden" name="base" value=(self.base);
                input type="hidden" name="once" value=(self.once);
                input type="hidden" name="tested" value=(if self.tested.is_some() { "yes" } else { "" });
                fieldset class="bare" disabled[!may] { (self.groups(more)) }
                @if let Some(tested) = &self.tested { (report(tested, !self.is_new)) }
                @if !self.unconfirmed.is_empty() { (self.confirmation()) }
                @if may {
                    div class="buttons" {
                        button name="press" value="save" class="primary" { "Save" }
                        button name="press" value="test" { "Test" }
                        p class="hint" {
                            "The test logs in to both servers and changes nothing. You can save without it: the first poll "
                            "then says whether the settings work."
                        }
                    }
                } @else { (only_to_look_at()) }
                datalist id="mailboxes" {
                    @if let Some(tested) = &self.tested {
                        @for name in mailboxes(tested) { option value=(name) {} }
                    }
                }
            }
        }
    }

    /// One field, by its name in the form.
    pub(crate) fn input(&self, input: &str) -> Markup {
        let field = FIELDS.iter().find(|field| field.input == input);
        html! { @if let Some(field) = field { (self.field(field)) } }
    }

    /// Whether something is wrong with a field.
    pub(crate) fn has_problem(&self, input: &str) -> bool {
        FIELDS.iter().any(|field| field.input == input && self.problem(field).is_some())
    }

    /// The fields, by what they are about. `more`: those that are seldom changed are shown too.
    fn groups(&self, more: bool) -> Markup {
        html! {
            div class="card grid" { (self.fields(Place::First)) }
            fieldset class="card" {
                legend { "Auth type" }
                div class="choices" {
                    @for (kind, words) in TYPES {
                        label { input type="radio" name="auth.type" value=(kind) checked[self.draft.kind() == kind]; " " (words) }
                    }
                }
                div class="grid if-plain" { (self.fields(Place::Plain)) }
                div class="grid if-oauth2" { (self.fields(Place::Oauth2)) }
            }
            div class="card" { (self.fields(Place::Last)) }
            details class="card" open[more] {
                summary { "More" }
                div class="grid" { (self.fields(Place::More)) }
                div class="grid if-oauth2" { (self.fields(Place::MoreOauth2)) }
            }
        }
    }

    /// Asks the owner to confirm the hosts outside of the address's domain.
    pub(crate) fn confirmation(&self) -> Markup {
        html! {
            div class="card check" {
                input type="hidden" name="unconfirmed" value=(self.unconfirmed);
                input id="confirmed" name="confirmed" type="checkbox" value="yes" checked[self.confirmed] aria-describedby="confirmed-hint";
                label for="confirmed" { "These are the right servers: " (self.unconfirmed.replace(' ', ", ")) }
                p class="hint" id="confirmed-hint" { "They are of another domain than the address, and nothing proves that they are its own. The password is sent there." }
            }
        }
    }

    fn fields(&self, place: Place) -> Markup {
        let fields = FIELDS
            .iter()
            .filter(|field| field.place == place && field.is_input() && field.input != "auth.type");
        html! { @for field in fields { (self.field(field)) } }
    }

    /// What is wrong with a field.
    fn problem(&self, field: &Field) -> Option<&str> {
        let kind = self.draft.kind();
        let is_it = |name: &str| of_problem(name, kind).is_some_and(|found| found.input == field.input);
        self.problems.iter().find(|(name, _)| is_it(name)).map(|(_, problem)| problem.as_str())
    }

    fn field(&self, field: &Field) -> Markup {
        let (id, problem) = (field.input, self.problem(field));
        let kept = self.keeps(field);
        let mut described = Vec::new();
        if problem.is_some() {
            described.push(format!("{id}-problem"));
        }
        if kept || !field.hint.is_empty() {
            described.push(format!("{id}-hint"));
        }
        let described = (!described.is_empty()).then(|| described.join(" "));
        let class = match field.control {
            Control::Check => "check",
            Control::LongText | Control::Words => "field wide",
            Control::Number if field.input.ends_with("_port") => "field short",
            Control::Text
            | Control::Number
            | Control::Secret
            | Control::Day
            | Control::Flow
            | Control::Interval
            | Control::Mailbox
            | Control::Choice(_) => "field",
        };
        html! {
            div class=(class) {
                @if field.control != Control::Check { label for=(id) { (field.label) } }
                (self.control(field, described.as_deref(), problem.is_some()))
                @if field.control == Control::Check { label for=(id) { (field.label) } }
                @if let Some(problem) = problem { p class="problem" id={ (id) "-problem" } { (field.label) " " (problem) } }
                @if kept {
                    p class="hint" id={ (id) "-hint" } { "Stored. Leave it empty to keep it." }
                } @else if !field.hint.is_empty() {
                    p class="hint" id={ (id) "-hint" } { (field.hint) }
                }
            }
        }
    }

    /// Whether a secret is stored for the field.
    fn keeps(&self, field: &Field) -> bool {
        match (field.control, field.place) {
            (Control::Secret, Place::Plain) => self.stored.login && !self.stored.oauth2,
            (Control::Secret, Place::Oauth2) => self.stored.login && self.stored.oauth2,
            (Control::Secret, _) => self.stored.smtp,
            _ => false,
        }
    }

    fn control(&self, field: &Field, described: Option<&str>, wrong: bool) -> Markup {
        let (id, value) = (field.input, self.draft.get(field.input));
        let invalid = wrong.then_some("true");
        let options = |options: &[(String, String)]| {
            html! {
                select id=(id) name=(id) aria-describedby=[described] aria-invalid=[invalid] {
                    @for (key, words) in options { option value=(key) selected[value == key] { (words) } }
                }
            }
        };
        let owned = |(key, words): (&str, &str)| (key.to_owned(), words.to_owned());
        match field.control {
            Control::Check => html! {
                input id=(id) name=(id) type="checkbox" value="true" checked[value == "true"]
                    aria-describedby=[described] aria-invalid=[invalid];
            },
            Control::LongText => html! {
                textarea id=(id) name=(id) rows="2" aria-describedby=[described] aria-invalid=[invalid] { (value) }
            },
            Control::Secret => html! {
                input id=(id) name=(id) type="password" autocomplete="new-password" aria-describedby=[described]
                    aria-invalid=[invalid];
            },
            Control::Day => html! {
                input id=(id) name=(id) type="date" value=(value) aria-describedby=[described] aria-invalid=[invalid];
            },
            Control::Choice(choices) => options(&choices.iter().copied().map(owned).collect::<Vec<_>>()),
            Control::Flow => {
                let mut schemas = vec![owned(("", "None"))];
                schemas.extend(self.schemas.iter().cloned());
                if !value.is_empty() && !schemas.iter().any(|(known, _)| known == value) {
                    schemas.push(owned((value, value)));
                }
                options(&schemas)
            }
            Control::Interval => {
                let mut seconds = INTERVALS.to_vec();
                seconds.extend(value.parse::<u64>().ok().filter(|own| !INTERVALS.contains(own)));
                seconds.sort_unstable();
                options(&seconds.into_iter().map(|n| (n.to_string(), interval(n))).collect::<Vec<_>>())
            }
            Control::Text | Control::Number | Control::Words | Control::Mailbox => {
                let numeric = (field.control == Control::Number).then_some("numeric");
                let list = (field.control == Control::Mailbox).then_some("mailboxes");
                html! {
                    input id=(id) name=(id) type="text" value=(value) inputmode=[numeric] list=[list] spellcheck="false"
                        autocapitalize="none" autocomplete="off" aria-describedby=[described] aria-invalid=[invalid];
                }
            }
        }
    }

    /// What is wrong, at the top, where it is seen first.
    pub(crate) fn summary(&self) -> Markup {
        let kind = self.draft.kind();
        html! {
            div class="summary" role="alert" tabindex="-1" autofocus {
                h2 { @if self.tested.is_some() { "The test found something" } @else { "This is not saved yet" } }
                @if !self.detail.is_empty() { p { (self.detail) } }
                ul {
                    @for (name, problem) in &self.problems {
                        li {
                            @if let Some(field) = of_problem(name, kind) {
                                a href={ "#" (field.input) } { (field.label) " " (problem) }
                            } @else {
                                (name) " " (problem)
                            }
                        }
                    }
                }
                @if self.retype {
                    p class="small" data-secrets { "Type passwords and secrets again: they are never sent back to a browser." }
                }
            }
        }
    }

    /// A table of the values that another person stored, beside those that were typed.
    fn conflict(&self) -> Markup {
        let rows = |all: &[Difference]| {
            html! {
                @for Difference { field, stored, typed } in all {
                    tr role="row" {
                        th scope="row" role="rowheader" { (field.label) }
                        td role="cell" data-label="Stored now" { (shown(stored)) }
                        td role="cell" data-label="Yours" { (shown(typed)) }
                    }
                }
            }
        };
        html! {
            @if !self.both.is_empty() || !self.theirs.is_empty() {
                section class="summary" role="alert" tabindex="-1" autofocus {
                    h2 { "Another person changed this profile while you were editing it" }
                    p {
                        "Nothing is saved yet, and what you typed is below, but for secrets. "
                        @if self.both.is_empty() { "You have changed other fields; save again to keep both." }
                        @else { "Where you both changed a field, it holds your value: save again to keep yours, or type theirs." }
                    }
                    table class="cards" role="table" {
                        caption class="hidden" { "Both edits" }
                        thead role="rowgroup" {
                            tr role="row" {
                                @for column in ["Field", "Stored now", "Yours"] { th scope="col" role="columnheader" { (column) } }
                            }
                        }
                        tbody role="rowgroup" {
                            (rows(&self.both))
                            @for Difference { field, stored, .. } in &self.theirs {
                                tr role="row" {
                                    th scope="row" role="rowheader" { (field.label) }
                                    td role="cell" data-label="Stored now" { (shown(stored)) }
                                    td role="cell" data-label="Yours" class="muted" { "unchanged; theirs is taken" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shown(value: &str) -> Markup {
    html! { @if value.is_empty() { span class="muted" { "empty" } } @else { (value) } }
}
