//! A person's consent to the use of a mailbox (RFC 6749 §4.1), and its end.
//!
//! `authorize` gives out a ticket, in an address of ours. The browser that opens it keeps the ticket in a cookie and is
//! led on to the provider. On its way back it shows the state and the cookie: only with both of one ticket, once and in
//! time, the provider's code is exchanged. So neither a person who sees the state nor one who
//! sends another person's browser back with a code of their own completes a sign-in.

mod page;
pub(crate) mod refusal;

use std::sync::Arc;
use std::time::Duration;

use mailroom_auth::sign_in::{self, SIGN_IN_TIME, SignedIn, Ticket, key_of, settings_digest};
use mailroom_auth::tokens::Tokens;
use mailroom_aws::dynamodb::{SignIn, Table};
use mailroom_aws::grants::GrantStore;
use mailroom_aws::intervals::Intervals;
use mailroom_contract::problem::Problems;
use mailroom_contract::sign_in::{SignInBegun, SignedOut};
use mailroom_core::edit::can_be_polled;
use mailroom_core::error_chain::Chain;
use mailroom_core::oauth2::{Authorization, Oauth2};
use mailroom_core::ports::{
    ClientCredential, Credential, Grants as _, PortError, Profiles as _, Schedules as _,
};
use mailroom_core::profile::{Auth, Profile};
use mailroom_core::provider::Grant;
use tracing::{info, warn};
use ulid::Ulid;

use crate::connect_links;
use crate::http::base_path::BasePath;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::poll_now::PollNow;
use crate::profiles::read::find;
use crate::profiles::update::wait_for_concurrent_edit;
use crate::sign_in::page::{PageKind, page};
use crate::sign_in::refusal::{Refusal, refused, words};
use mailroom_lambda::clock;

/// How long a provider may take, all its answers together.
const PROVIDER_TIME: Duration = Duration::from_secs(15);

/// How long a change of the sign-in waits for other requests that change the profile.
const CONCURRENT_EDIT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a claim lasts without its end: longer than any request.
const CLAIM_TIME: time::Duration = time::Duration::seconds(40);

/// What a cookie's name begins with. The key of the sign-in follows, so that a browser can have several under way.
const COOKIE: &str = "mailroom-sign-in-";

/// A sign-in that is stored.
struct Completed {
    profile: Profile,
    connect_link: Option<Ulid>,
}

/// Signs people in for profiles, and out.
pub(crate) struct SignIns {
    pub(crate) table: Arc<Table>,
    pub(crate) tokens: Tokens<GrantStore>,
    pub(crate) schedules: Arc<Intervals>,
    pub(crate) polls: PollNow,
    /// Where browsers reach the API, without a slash at its end.
    pub(crate) public_url: String,
}

impl SignIns {
    /// Begins a sign-in. One that was begun on the page of a connect link leads back to it.
    pub(crate) async fn authorize(&self, id: &str, connect_link: Option<Ulid>) -> Result<Response, ApiError> {
        let profile = find(&self.table, id).await?;
        let client = signed_in_with(&profile)?;
        let credential = self.client_credential(&profile).await?;
        let ticket = Ticket::new().map_err(|error| PortError::Corrupt(error.to_string()))?;
        let deadline = clock::instant() + PROVIDER_TIME;
        let discovery = self.tokens.discovery();
        let redirect = self.redirect_uri();
        let url = sign_in::consent_url(discovery, client, &credential, &ticket, &redirect, deadline).await;
        let url = url.map_err(|error| {
            let problems = Problems::one(error.field(), "does not allow a sign-in; see detail");
            ApiError::Conflict(error.owner_error().message, problems)
        })?;
        let expires_at = clock::now() + SIGN_IN_TIME;
        let sign_in = SignIn {
            profile: profile.id,
            settings: settings_digest(&profile.settings, client),
            consent_url: url.into(),
            expires_at,
            connect_link,
        };
        self.table.begin_sign_in(&ticket.key(), &sign_in).await?;
        let authorization_url = format!("{}/oauth2/start?ticket={}", self.public_url, ticket.expose());
        Ok(Response::json(200, &SignInBegun { authorization_url, expires_at }))
    }

    /// Keeps the ticket in the browser, and redirects it to the provider.
    pub(crate) async fn start(&self, request: &Request) -> Response {
        let parameters = request.parameters(&["ticket"]);
        let Some(ticket) = parameters.get("ticket").and_then(|text| Ticket::parse(text)) else {
            return refused(&Refusal::Malformed, None);
        };
        let key = ticket.key();
        match self.table.sign_in(&key).await {
            Ok(Some(sign_in)) if sign_in.expires_at > clock::now() => Response::empty(302)
                .with_header("location", sign_in.consent_url)
                .with_header("referrer-policy", "no-referrer")
                .with_cookie(self.cookie(&key, &ticket)),
            Ok(Some(_) | None) => refused(&Refusal::TooLate, None),
            Err(error) => refused(&Refusal::Port(error), None),
        }
    }

    /// The redirection endpoint (RFC 6749 §3.1.2).
    pub(crate) async fn finish(&self, request: &Request) -> Response {
        match self.complete(request).await {
            Ok(Completed { profile, connect_link }) => {
                info!(profile.id = %profile.id, "a person signed in for profile {}", profile.id);
                if connect_link.is_some() {
                    let page = format!("{}{}", self.public_url, connect_links::PATH);
                    return Response::empty(303).with_header("location", page);
                }
                let done = format!("Mailroom can now use the mailbox {}.", profile.settings.auth.login());
                let sentences = [done.as_str(), "You can close this page."];
                Response::page(200, page(PageKind::Success, "Signed in", &sentences, None))
            }
            Err(refusal) => {
                let page = format!("{}{}", self.public_url, connect_links::PATH);
                let secure = self.public_url.starts_with("https://");
                let has_link = connect_links::token_of(request, secure).is_some();
                refused(&refusal, has_link.then_some(page.as_str()))
            }
        }
    }

    async fn complete(&self, request: &Request) -> Result<Completed, Refusal> {
        let mut query = request.parameters(&["state", "code", "error", "error_description", "iss"]);
        let state = query.remove("state").ok_or(Refusal::Malformed)?;
        let key = key_of(&state);
        let name = cookie_name(&key);
        let mut tickets = request.cookies(&name).filter_map(Ticket::parse);
        let ticket = tickets.find(|ticket| ticket.is_of(&state)).ok_or(Refusal::OtherBrowser)?;
        let sign_in = self.table.take_sign_in(&key).await?;
        let sign_in = sign_in.filter(|sign_in| sign_in.expires_at > clock::now()).ok_or(Refusal::TooLate)?;
        let connect_link = sign_in.connect_link;
        if let Some(link) = connect_link {
            self.require_open(link).await?;
        }
        let profile = self.table.get(sign_in.profile).await?.ok_or(Refusal::Changed)?;
        let Auth::Oauth2(client) = &profile.settings.auth else { return Err(Refusal::Changed) };
        if client.grant != Grant::AuthorizationCode
            || settings_digest(&profile.settings, client) != sign_in.settings
        {
            return Err(Refusal::Changed);
        }
        if let Some(error) = query.remove("error") {
            let said = query.remove("error_description").unwrap_or_default();
            return Err(Refusal::Denied(words(&error, &said)));
        }
        let code = query.remove("code").filter(|code| !code.is_empty()).ok_or(Refusal::Malformed)?;
        let credential = self.client_credential(&profile).await?;
        let redirect = self.redirect_uri();
        let signed_in = sign_in::complete(
            self.tokens.discovery(),
            client,
            &credential,
            &ticket,
            code,
            query.get("iss").map(String::as_str),
            &redirect,
            clock::instant() + PROVIDER_TIME,
        );
        let SignedIn { refresh_token, authorization } = signed_in.await.map_err(Refusal::Provider)?;
        let settings = sign_in.settings;
        let stored = self.sign(profile, Some((refresh_token, authorization)), |profile| {
            match &profile.settings.auth {
                Auth::Oauth2(client) => settings_digest(&profile.settings, client) == settings,
                Auth::Plain { .. } => false,
            }
        });
        let profile = stored.await?.ok_or(Refusal::Changed)?;
        if let Some(link) = connect_link {
            self.table.note_connect_sign_in(link, clock::now()).await?;
        }
        Ok(Completed { profile, connect_link })
    }

    /// Refuses a sign-in for a connect link with which another person was quicker, or that was withdrawn.
    async fn require_open(&self, link: Ulid) -> Result<(), Refusal> {
        let link = self.table.connect_link(link).await?;
        let is_open = link.is_some_and(|link| link.used_at.is_none() && link.expires_at > clock::now());
        if is_open { Ok(()) } else { Err(Refusal::LinkUsed) }
    }

    pub(crate) async fn sign_out(&self, id: &str) -> Result<Response, ApiError> {
        let profile = find(&self.table, id).await?;
        let client = signed_in_with(&profile)?;
        if profile.authorization.is_none() {
            let detail = "Nobody is signed in for this profile.";
            return Err(ApiError::Conflict(detail.to_owned(), Problems::default()));
        }
        let credential = self.client_credential(&profile).await?;
        let deadline = clock::instant() + PROVIDER_TIME;
        let revoked = sign_in::revoke(self.tokens.discovery(), client, &credential, deadline).await;
        let revoked = revoked.unwrap_or_else(|error| {
            warn!(profile.id = %profile.id, error = %error.owner_error(), "the refresh token of profile {} was not revoked at its provider", profile.id);
            false
        });
        self.sign(profile, None, |profile| profile.authorization.is_some()).await?;
        Ok(Response::json(200, &SignedOut { revoked }))
    }

    /// Stores a sign-in, or the end of one, while the profile is still what it is for; `None` when it is not.
    async fn sign(
        &self,
        profile: Profile,
        signed_in: Option<(secrecy::SecretString, Authorization)>,
        still: impl Fn(&Profile) -> bool,
    ) -> Result<Option<Profile>, PortError> {
        let grants = self.tokens.grants();
        let (token, authorization) = signed_in.unzip();
        let end = clock::instant() + CONCURRENT_EDIT_TIMEOUT;
        let mut current = profile;
        loop {
            if !still(&current) {
                return Ok(None);
            }
            let now = clock::now();
            match grants.claim(&current, now, now + CLAIM_TIME).await {
                Ok(claim) => {
                    let stored = async {
                        let before = self.client_credential(&current).await?;
                        let credential = ClientCredential { refresh_token: token, ..before };
                        let credential = Credential::Client(credential);
                        grants.sign(&current, &claim, &credential, authorization, clock::now()).await
                    };
                    let stored = stored.await;
                    if stored.is_err()
                        && let Err(error) = grants.unclaim(current.id, &claim, None).await
                    {
                        warn!(profile.id = %current.id, error = %Chain(&error), "the claim on profile {} was not released and expires by itself", current.id);
                    }
                    let stored = stored?;
                    if stored.settings.listen {
                        self.schedules.joined(stored.settings.refresh_interval).await?;
                    }
                    if can_be_polled(&stored) {
                        self.polls.ask(stored.id).await;
                    }
                    return Ok(Some(stored));
                }
                Err(PortError::Lost) => {}
                Err(error) => return Err(error),
            }
            wait_for_concurrent_edit(end).await.map_err(|_| PortError::Lost)?;
            let Some(fresh) = self.table.get(current.id).await? else { return Ok(None) };
            current = fresh;
        }
    }

    /// The client's stored secret and refresh token.
    pub(crate) async fn client_credential(&self, profile: &Profile) -> Result<ClientCredential, PortError> {
        let Some(version) = &profile.secret_version else { return Ok(ClientCredential::default()) };
        let grants = self.tokens.grants();
        match mailroom_core::ports::Credentials::credential(grants, profile.id, version).await? {
            Some(Credential::Client(credential)) => Ok(credential),
            Some(Credential::Password { smtp_password, .. }) => {
                Ok(ClientCredential { smtp_password, ..ClientCredential::default() })
            }
            None => Ok(ClientCredential::default()),
        }
    }

    /// The redirect URI that the client is registered with.
    fn redirect_uri(&self) -> String {
        format!("{}/oauth2/callback", self.public_url)
    }

    /// The cookie that keeps a ticket (RFC 6265bis): for the way back only, which is a navigation from another site.
    fn cookie(&self, key: &str, ticket: &Ticket) -> String {
        let path = BasePath::of(&self.public_url).join("/oauth2/callback");
        let secure = if self.public_url.starts_with("https://") { "; Secure" } else { "" };
        format!(
            "{}={}; Path={path}; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            cookie_name(key),
            ticket.expose(),
            SIGN_IN_TIME.whole_seconds()
        )
    }
}

fn cookie_name(key: &str) -> String {
    format!("{COOKIE}{}", key.get(..16).unwrap_or(key))
}

/// The client that people sign in with.
fn signed_in_with(profile: &Profile) -> Result<&Oauth2, ApiError> {
    let conflict = |detail: &str, field: &str, problem: &str| {
        Err(ApiError::Conflict(detail.to_owned(), Problems::one(field, problem)))
    };
    match &profile.settings.auth {
        Auth::Oauth2(client) if client.grant == Grant::AuthorizationCode => Ok(client),
        Auth::Oauth2(_) => conflict(
            "This profile needs no sign-in: its client has access by itself.",
            "auth.grant",
            "must be authorization_code to sign in",
        ),
        Auth::Plain { .. } => conflict(
            "This profile needs no sign-in: it logs in with a password.",
            "auth.type",
            "must be oauth2 to sign in",
        ),
    }
}
