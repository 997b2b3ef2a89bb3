//! A person's way to the provider and back (OpenID Connect Core §3.1).
//!
//! The browser keeps a ticket in a cookie, and the provider is told the state, the nonce and the PKCE challenge that are
//! derived from it. Who comes back without the cookie is refused: neither a link with another person's code nor one that
//! was seen on its way signs a browser in.

use std::time::Duration;

use mailroom_auth::error::OauthError;
use mailroom_auth::sign_in::person::{Account, Callback};
use mailroom_auth::sign_in::{NoRandomness, SIGN_IN_TIME, SignInError, Ticket, key_of};
use mailroom_core::ports::PortError;
use mailroom_lambda::clock;
use tracing::{info, warn};

use crate::access::Caller;
use crate::http::request::Request;
use crate::session::sealed::{SESSION_TIME, Session};
use crate::session::{COOKIE, Refusal, Sessions};

/// What the name of a ticket's cookie begins with. The key of the sign-in follows, so that a browser can have several under
/// way.
const TICKET: &str = "__Host-mailroom-sign-in-";

/// How long a provider may take, all its answers together.
const PROVIDER_TIME: Duration = Duration::from_secs(15);

/// The longest address of a page that a person comes back to.
const MAX_PAGE: usize = 500;

/// A browser that is sent to the provider.
pub(crate) struct Begun {
    /// Where it goes.
    pub(crate) location: String,
    /// What it keeps.
    pub(crate) cookie: String,
}

/// A browser that has come back, in which a person is signed in now.
pub(crate) struct Finished {
    /// The page of the console that the person wanted.
    pub(crate) page: String,
    /// What the browser keeps, and what it forgets.
    pub(crate) cookies: [String; 2],
}

impl Sessions {
    /// Sends a person to the provider, who comes back to `page`.
    pub(crate) async fn begin(&self, page: &str, account: Account) -> Result<Begun, Refusal> {
        let ticket = Ticket::new().map_err(random)?;
        let deadline = clock::instant() + PROVIDER_TIME;
        let redirect = self.redirect_uri();
        let address = self.registration.address(&self.discovery, &ticket, account, &redirect, deadline).await;
        let location = address.map_err(|error| noted(SignInError::Provider(error)))?.into();
        let value = format!("{}.{}", ticket.expose(), known_page(page));
        Ok(Begun { location, cookie: ticket_cookie(&ticket.key(), &value, SIGN_IN_TIME.whole_seconds()) })
    }

    /// Takes a person back from the provider.
    pub(crate) async fn finish(&self, request: &Request) -> Result<Finished, Refusal> {
        let mut query = request.parameters(&["state", "code", "error", "error_description", "iss"]);
        let state = query.remove("state").ok_or(Refusal::Malformed)?;
        let key = key_of(&state);
        let name = ticket_name(&key);
        let kept = request.cookies(&name).filter_map(|value| {
            let (ticket, page) = value.split_once('.')?;
            Some((Ticket::parse(ticket)?, page))
        });
        let (ticket, page) =
            { kept }.find(|(ticket, _)| ticket.is_of(&state)).ok_or(Refusal::OtherBrowser)?;
        if let Some(error) = query.remove("error") {
            let said = query.remove("error_description").unwrap_or_default();
            return Err(Refusal::Denied { error, said });
        }
        let code = query.remove("code").filter(|code| !code.is_empty()).ok_or(Refusal::Malformed)?;
        let callback = Callback { code, issuer: query.get("iss").map(String::as_str) };
        let secret = self.client_secret.read().await?;
        let redirect = self.redirect_uri();
        let deadline = clock::instant() + PROVIDER_TIME;
        let person =
            self.registration.complete(&self.discovery, secret, &ticket, callback, &redirect, deadline).await;
        let person = person.map_err(noted)?;
        let id = Ticket::new().map_err(random)?.key();
        let claims = self.access.claims_of(&person);
        let session = Session::new(id, person.name, claims, clock::now());
        let authorizer = session.authorizer();
        let caller = Caller::new(&authorizer);
        if !self.access.allows_anything(caller) {
            info!(
                caller.name = caller.name(),
                "{} has signed in to the console without a right",
                caller.name()
            );
            return Err(Refusal::NoRight { name: session.name().to_owned() });
        }
        let plain = serde_json::to_vec(&session).map_err(|error| PortError::Corrupt(error.to_string()))?;
        let sealed = self.keys.seal(&plain).await?;
        info!(caller.name = caller.name(), "{} has signed in to the console", caller.name());
        let lifetime = SESSION_TIME.whole_seconds();
        let cookie = format!("{COOKIE}={sealed}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax; Secure");
        Ok(Finished { page: known_page(page).to_owned(), cookies: [cookie, ticket_cookie(&key, "", 0)] })
    }

    /// The redirect URI that the client is registered with.
    fn redirect_uri(&self) -> String {
        format!("{}/console/sign-in/callback", self.public_url)
    }
}

fn random(error: NoRandomness) -> Refusal {
    Refusal::Port(PortError::Corrupt(error.to_string()))
}

fn noted(error: SignInError) -> Refusal {
    let why = match &error {
        SignInError::Provider(error) => OauthError::owner_error(error).message,
        SignInError::OtherAccount { .. } | SignInError::IdToken(_) | SignInError::NoRefreshToken => {
            error.to_string()
        }
    };
    warn!(error = why, "a sign-in to the console failed at the provider");
    Refusal::Provider(error)
}

fn ticket_name(key: &str) -> String {
    format!("{TICKET}{}", key.get(..16).unwrap_or(key))
}

/// The cookie that keeps a ticket: for the way back, which is a navigation from another site.
fn ticket_cookie(key: &str, value: &str, lifetime: i64) -> String {
    format!("{}={value}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax; Secure", ticket_name(key))
}

/// The page, if it can be one of the console's: nobody is led to another place.
fn known_page(page: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/?=&%._~-".contains(&byte);
    let path = page.split('?').next().unwrap_or_default();
    let fine = page.len() <= MAX_PAGE
        && page.bytes().all(is_plain)
        && !path.split('/').any(|segment| segment == ".." || segment == ".")
        && !path.starts_with('/')
        && !path.contains("//");
    if fine { page } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_comes_back_to_a_page_of_the_console_alone() {
        for page in ["", "?q=a%20b&state=ok", "profiles/01JDC/general", "new-flow-schema"] {
            assert_eq!(known_page(page), page);
        }
        let long = "a".repeat(501);
        for other in [
            "/",
            "//evil.example",
            "https://evil.example",
            "..",
            "a/../../x",
            "a//b",
            "a;b",
            "a\\b",
            "a b",
            &long,
        ] {
            assert_eq!(known_page(other), "", "{other}");
        }
    }
}
