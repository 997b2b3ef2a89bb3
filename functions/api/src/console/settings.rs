//! The pages with the form of a profile: a new one, and one that is stored.

use mailroom_contract::route::Operation;
use maud::{Markup, html};
use serde_json::Value;

use crate::console::address::{Address, find};
use crate::console::draft::Draft;
use crate::console::form::{Form, Stored};
use crate::console::gate::AGAIN;
use crate::console::layout::{Page, Part, Reply};
use crate::console::lists::schema_names;
use crate::console::operations::{Answer, Call, Operations, Refusal};
use crate::console::report::faults;
use crate::console::token::random;
use crate::console::visit::Visit;
use crate::console::words::{is, number, text};

/// The page of a new profile.
const NEW: &str = "profiles/new";

/// Shows the form for a new profile.
pub(crate) async fn show_new(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let address = Address::default();
    Ok(page_of_new(visit, 200, &begun(visit, &address).await?, &address))
}

/// The form with the settings that an address has.
async fn begun(visit: &Visit<'_, impl Operations>, address: &Address) -> Result<Form, Refusal> {
    let mut form = new_form(visit, address.draft()).await?;
    if let [(id, _)] = form.schemas.as_slice() {
        // Where there is one, it is that one.
        form.draft.set("flow_schema_id", id);
    }
    Ok(Form { unconfirmed: address.unconfirmed(), ..form })
}

/// Takes the form for a new profile: tests it, or creates it.
pub(crate) async fn create(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    if visit.field("press") == "find" {
        let address = find(visit).await?;
        let status = if address.is_wrong() { 422 } else { 200 };
        return Ok(page_of_new(visit, status, &begun(visit, &address).await?, &address));
    }
    let draft = Draft::typed(&visit.fields);
    let settings = draft.settings(true);
    let address = Address::default();
    if visit.field("press") == AGAIN {
        let form = with_secrets_to_type(new_form(visit, draft).await?);
        return Ok(page_of_new(visit, 200, &form, &address));
    }
    if let Some(host) = unconfirmed_host(visit, &draft) {
        let mut form = new_form(visit, draft).await?;
        form.detail = format!(
            "Nothing proves that {host} is this mailbox's server. Confirm it before the password is sent there."
        );
        return Ok(page_of_new(visit, 422, &form, &address));
    }
    if visit.field("press") == "test" {
        let answer = visit.ask(Call::new(Operation::TestSettings).body(settings)).await;
        let form = new_form(visit, draft).await?;
        let (status, form) = with_test(form, answer)?;
        return Ok(page_of_new(visit, status, &form, &address));
    }
    let once = visit.field("once");
    let mut call = Call::new(Operation::CreateProfile).body(settings);
    if !once.is_empty() {
        call = call.header("idempotency-key", once.to_owned());
    }
    let answer = visit.ask(call).await;
    if answer.status == 201 {
        let done = saved(visit);
        let to = format!("profiles/{}?done={done}", text(&answer.body, "/id"));
        return Ok(Reply::Redirect(visit.links.to(&to)));
    }
    let form = new_form(visit, draft).await?;
    let (status, form) = with_refusal(form, answer.refusal())?;
    Ok(page_of_new(visit, status, &form, &address))
}

/// A host outside of the address's domain that the owner has not confirmed yet.
fn unconfirmed_host<'a>(visit: &'a Visit<'_, impl Operations>, draft: &Draft) -> Option<&'a str> {
    let used = [draft.get("imap_host"), draft.get("smtp_host")];
    (visit.field("confirmed") != "yes").then(|| first_of(visit.field("unconfirmed"), used))?
}

/// The first of the hosts that is one of those in use.
pub(crate) fn first_of<'a>(hosts: &'a str, used: [&str; 2]) -> Option<&'a str> {
    hosts.split(' ').find(|host| !host.is_empty() && used.contains(host))
}

/// Shows the form of a profile.
pub(crate) async fn show(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let profile = visit.ask(Call::on(Operation::GetProfile, visit.id())).await.ok()?;
    let draft = Draft::of(&profile);
    let form = Form {
        version: number(&profile, "/version").unwrap_or_default().to_string(),
        base: draft.to_text(),
        ..form_of(visit, &profile, draft).await?
    };
    Ok(page_of(visit, 200, &profile, &form))
}

/// Takes the form of a profile: tests it, or saves it.
pub(crate) async fn save(visit: &Visit<'_, impl Operations>) -> Result<Reply, Refusal> {
    let draft = Draft::typed(&visit.fields);
    let patch = draft.settings(false);
    let id = visit.id();
    if visit.field("press") == AGAIN {
        let profile = visit.ask(Call::on(Operation::GetProfile, id)).await.ok()?;
        let form = with_secrets_to_type(typed_form(visit, &profile, draft).await?);
        return Ok(page_of(visit, 200, &profile, &form));
    }
    let is_test = visit.field("press") == "test";
    let answer = if is_test {
        visit.ask(Call::on(Operation::TestProfile, id).body(patch)).await
    } else {
        let version = format!("\"{}\"", visit.field("version"));
        visit.ask(Call::on(Operation::PatchProfile, id).body(patch).header("if-match", version)).await
    };
    if !is_test && answer.status == 200 {
        let to = format!("profiles/{id}?done={}", saved(visit));
        return Ok(Reply::Redirect(visit.links.to(&to)));
    }
    let profile = visit.ask(Call::on(Operation::GetProfile, id)).await.ok()?;
    if answer.status == 412 {
        let stored = Draft::of(&profile);
        let merged = draft.merged(&Draft::parse(visit.field("base")), &stored);
        let form = Form {
            retype: draft.has_secrets(),
            version: number(&profile, "/version").unwrap_or_default().to_string(),
            base: stored.to_text(),
            both: merged.both,
            theirs: merged.theirs,
            ..form_of(visit, &profile, merged.draft).await?
        };
        return Ok(page_of(visit, 409, &profile, &form));
    }
    let form = typed_form(visit, &profile, draft).await?;
    let (status, form) =
        if is_test { with_test(form, answer)? } else { with_refusal(form, answer.refusal())? };
    Ok(page_of(visit, status, &profile, &form))
}

/// What is said after a form is saved.
fn saved(visit: &Visit<'_, impl Operations>) -> &'static str {
    if visit.field("tested") == "yes" { "saved" } else { "untested" }
}

async fn new_form(visit: &Visit<'_, impl Operations>, draft: Draft) -> Result<Form, Refusal> {
    let schemas = schema_names(visit).await?;
    let (retype, draft) = (draft.has_secrets(), draft.without_secrets());
    let once = random().unwrap_or_default();
    let unconfirmed = visit.field("unconfirmed").to_owned();
    let confirmed = visit.field("confirmed") == "yes";
    let action = NEW.to_owned();
    Ok(Form { action, is_new: true, draft, retype, schemas, once, unconfirmed, confirmed, ..Form::default() })
}

async fn form_of(visit: &Visit<'_, impl Operations>, profile: &Value, draft: Draft) -> Result<Form, Refusal> {
    let stored = Stored {
        login: is(profile, "/auth/password_set") || is(profile, "/auth/client_secret_set"),
        smtp: is(profile, "/smtp_auth/password_set"),
        oauth2: text(profile, "/auth/type") == "oauth2",
    };
    let action = format!("profiles/{}/general", visit.id());
    let (retype, draft) = (draft.has_secrets(), draft.without_secrets());
    Ok(Form { action, draft, retype, schemas: schema_names(visit).await?, stored, ..Form::default() })
}

/// The form of a profile as it was sent, from the version that it began from.
async fn typed_form(
    visit: &Visit<'_, impl Operations>,
    profile: &Value,
    draft: Draft,
) -> Result<Form, Refusal> {
    Ok(Form {
        version: visit.field("version").to_owned(),
        base: visit.field("base").to_owned(),
        ..form_of(visit, profile, draft).await?
    })
}

/// The form again, of a person whose session had ended when it was sent.
fn with_secrets_to_type(form: Form) -> Form {
    let detail = "Your session had ended. Your other changes are below.".to_owned();
    Form { detail, retype: true, ..form }
}

/// The form again, with the result of a test.
fn with_test(mut form: Form, answer: Answer) -> Result<(u16, Form), Refusal> {
    if answer.status != 200 {
        return with_refusal(form, answer.refusal());
    }
    let has_smtp_login = !form.draft.get("smtp_auth.login").is_empty();
    form.problems = faults(&answer.body, form.draft.kind(), has_smtp_login);
    form.tested = Some(answer.body);
    Ok((200, form))
}

/// The form again, with what is wrong with it.
fn with_refusal(mut form: Form, refusal: Refusal) -> Result<(u16, Form), Refusal> {
    if !matches!(refusal.status, 409 | 422) {
        return Err(refusal);
    }
    if refusal.status == 409 {
        form.detail = refusal.detail;
    }
    form.problems = refusal.problems;
    Ok((refusal.status, form))
}

fn page_of_new(visit: &Visit<'_, impl Operations>, status: u16, form: &Form, address: &Address) -> Reply {
    let main = html! {
        h1 { "Add a mailbox" }
        @if form.schemas.is_empty() {
            p class="notice warn" {
                "There is no flow schema yet, and a mailbox that listens needs one. "
                a href=(visit.links.to("new-flow-schema")) { "Add a flow schema" } " first."
            }
        }
        (address.show(visit, NEW))
        (form.show(visit))
    };
    let title = "Add a mailbox".to_owned();
    Reply::Page(Page { status, title, part: Part::Mailboxes, main })
}

fn page_of(visit: &Visit<'_, impl Operations>, status: u16, profile: &Value, form: &Form) -> Reply {
    let main = html! {
        h1 { (text(profile, "/name")) }
        (tabs(visit, true))
        (form.show(visit))
    };
    let title = format!("{}: General", text(profile, "/name"));
    Reply::Page(Page { status, title, part: Part::Mailboxes, main })
}

/// The pages of one profile.
pub(crate) fn tabs(visit: &Visit<'_, impl Operations>, general: bool) -> Markup {
    let id = visit.id();
    html! {
        nav class="tabs" aria-label="Profile" {
            a href=(visit.links.to(&format!("profiles/{id}"))) aria-current=[(!general).then_some("page")] { "Status" }
            a href=(visit.links.to(&format!("profiles/{id}/general"))) aria-current=[general.then_some("page")] { "General" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_was_found_is_confirmed_only_where_it_is_used() {
        let found = "imap.hoster.example smtp.hoster.example";
        assert_eq!(first_of(found, ["imap.example.org", "smtp.hoster.example"]), Some("smtp.hoster.example"));
        assert_eq!(first_of(found, ["imap.hoster.example", ""]), Some("imap.hoster.example"));
        assert_eq!(first_of(found, ["imap.example.org", "smtp.example.org"]), None);
        assert_eq!(first_of("", ["", ""]), None);
    }
}
