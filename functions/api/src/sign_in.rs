//! A person's consent to the use of a mailbox (RFC 6749 §4.1), and its end.
//!
//! `authorize` gives out a ticket, in an address of ours. The browser that opens it keeps the ticket in a cookie and is
//! led on to the provider. On its way back it shows the state and the cookie: only with both of one ticket, once and in
//! time, the provider's code is exchanged. So neither whoever sees the state nor whoever makes somebody else's browser
//! come back with a code of their own gets a sign-in done.

mod page;

use std::time::Duration;

use mailroom_auth::error::OauthError;
use mailroom_auth::sign_in::{self, SIGN_IN_TIME, SignInError, SignedIn, Ticket, key_of, settings_digest};
use mailroom_aws::dynamodb::SignIn;
use mailroom_contract::problem::Problems;
use mailroom_contract::sign_in::{SignInBegun, SignedOut};
use mailroom_core::error_chain::Chain;
use mailroom_core::oauth2::{Authorization, Oauth2};
use mailroom_core::ports::{
    ClientCredential, Credential, Grants as _, PortError, Profiles as _, Schedules as _,
};
use mailroom_core::profile::{Auth, Profile};
use mailroom_core::provider::Grant;
use tracing::{info, warn};

use crate::Api;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Answer;
use crate::profiles::update::wait_for_concurrent_edit;
use crate::sign_in::page::{PageKind, page};
use mailroom_lambda::clock;

/// How long a provider may take, all its answers together.
const PROVIDER_TIME: Duration = Duration::from_secs(15);

/// How long a change of the sign-in waits for others who are at the profile.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long a claim lasts without its end: longer than any request.
const CLAIM_TIME: time::Duration = time::Duration::seconds(40);

/// What a cookie's name begins with. The key of the sign-in follows, so that a browser can have several under way.
const COOKIE: &str = "mailroom-sign-in-";

/// Why nobody is signed in, for the person in front of the browser.
enum Refusal {
    /// The request is none of a sign-in.
    Malformed,
    /// The browser does not have the ticket.
    OtherBrowser,
    /// It has come too late, or a second time.
    TooLate,
    /// The profile is gone, or another than it was.
    Changed,
    /// The person, or the provider for them, said no.
    Denied(String),
    /// The provider gave what cannot be used.
    Provider(SignInError),
    /// A service of ours failed.
    Port(PortError),
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Api {
    pub(crate) async fn authorize_profile(&self, id: &str) -> Result<Answer, ApiError> {
        let profile = self.profile(id).await?;
        let client = signed_in_with(&profile)?;
        let credential = self.client_credential(&profile).await?;
        let ticket = Ticket::new().map_err(|error| PortError::Corrupt(error.to_string()))?;
        let deadline = clock::instant() + PROVIDER_TIME;
        let discovery = self.tokens.discovery();
        let redirect = self.redirect_uri();
        let url = sign_in::consent_url(discovery, client, &credential, &ticket, &redirect, deadline).await;
        let url = url.map_err(|error| {
            let trouble = error.owner_error();
            let field = if trouble.message.contains("auth.scopes") { "auth.scopes" } else { "auth" };
            ApiError::Conflict(
                trouble.message,
                Problems::one(field, "does not let anybody sign in; see detail"),
            )
        })?;
        let expires_at = clock::now() + SIGN_IN_TIME;
        let sign_in = SignIn {
            profile: profile.id,
            settings: settings_digest(client),
            consent_url: url.into(),
            expires_at,
        };
        self.table.begin_sign_in(&ticket.key(), &sign_in).await?;
        let authorization_url = format!("{}/oauth2/start?ticket={}", self.public_url, ticket.expose());
        Ok(Answer::json(200, &SignInBegun { authorization_url, expires_at }))
    }

    /// Keeps the ticket in the browser, and leads it to the provider.
    pub(crate) async fn start_sign_in(&self, request: &Request) -> Answer {
        let parameters = request.parameters(&["ticket"]);
        let Some(ticket) = parameters.get("ticket").and_then(|text| Ticket::parse(text)) else {
            return refused(&Refusal::Malformed);
        };
        let key = ticket.key();
        match self.table.sign_in(&key).await {
            Ok(Some(sign_in)) if sign_in.expires_at > clock::now() => Answer::empty(302)
                .with_header("location", sign_in.consent_url)
                .with_header("referrer-policy", "no-referrer")
                .with_cookie(self.cookie(&key, &ticket)),
            Ok(Some(_) | None) => refused(&Refusal::TooLate),
            Err(error) => refused(&Refusal::Port(error)),
        }
    }

    /// The provider's way back.
    pub(crate) async fn finish_sign_in(&self, request: &Request) -> Answer {
        match self.finish(request).await {
            Ok(profile) => {
                info!(profile.id = %profile.id, "somebody has signed in");
                let done = format!("Mailroom can use the mailbox {} now.", profile.auth.login());
                let sentences = [done.as_str(), "You can close this page."];
                Answer::page(200, page(PageKind::Good, "Signed in", &sentences))
            }
            Err(refusal) => refused(&refusal),
        }
    }

    async fn finish(&self, request: &Request) -> Result<Profile, Refusal> {
        let mut query = request.parameters(&["state", "code", "error", "error_description", "iss"]);
        let state = query.remove("state").ok_or(Refusal::Malformed)?;
        let key = key_of(&state);
        let name = cookie_name(&key);
        let mut tickets = request.cookies(&name).filter_map(Ticket::parse);
        let ticket = tickets.find(|ticket| ticket.is_of(&state)).ok_or(Refusal::OtherBrowser)?;
        let sign_in = self.table.take_sign_in(&key).await?;
        let sign_in = sign_in.filter(|sign_in| sign_in.expires_at > clock::now()).ok_or(Refusal::TooLate)?;
        let profile = self.table.get(sign_in.profile).await?.ok_or(Refusal::Changed)?;
        let Auth::Oauth2(client) = &profile.auth else { return Err(Refusal::Changed) };
        if client.grant != Grant::AuthorizationCode || settings_digest(client) != sign_in.settings {
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
        let stored =
            self.sign(profile, Some((refresh_token, authorization)), |profile| match &profile.auth {
                Auth::Oauth2(client) => settings_digest(client) == settings,
                Auth::Plain { .. } => false,
            });
        stored.await?.ok_or(Refusal::Changed)
    }

    pub(crate) async fn delete_authorization(&self, id: &str) -> Result<Answer, ApiError> {
        let profile = self.profile(id).await?;
        let client = signed_in_with(&profile)?;
        if profile.authorization.is_none() {
            let detail = "Nobody is signed in for this profile.";
            return Err(ApiError::Conflict(detail.to_owned(), Problems::default()));
        }
        let credential = self.client_credential(&profile).await?;
        let deadline = clock::instant() + PROVIDER_TIME;
        let revoked = sign_in::revoke(self.tokens.discovery(), client, &credential, deadline).await;
        let revoked = revoked.unwrap_or_else(|error| {
            warn!(profile.id = %profile.id, error = %error.owner_error(), "a refresh token was not given back");
            false
        });
        self.sign(profile, None, |profile| profile.authorization.is_some()).await?;
        Ok(Answer::json(200, &SignedOut { revoked }))
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
        let end = clock::instant() + PATIENCE;
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
                        warn!(profile.id = %current.id, error = %Chain(&error), "a claim was not given up");
                    }
                    let stored = stored?;
                    if stored.listen {
                        self.schedules.joined(stored.refresh_interval).await?;
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

    /// What the client proves itself with, and what is granted to it.
    pub(crate) async fn client_credential(&self, profile: &Profile) -> Result<ClientCredential, PortError> {
        let Some(version) = &profile.secret_version else { return Ok(ClientCredential::default()) };
        let grants = self.tokens.grants();
        match mailroom_core::ports::Credentials::credential(grants, profile.id, version).await? {
            Some(Credential::Client(credential)) => Ok(credential),
            Some(Credential::Password(_)) | None => Ok(ClientCredential::default()),
        }
    }

    /// Where the provider leads back to: what the client is registered with.
    fn redirect_uri(&self) -> String {
        format!("{}/oauth2/callback", self.public_url)
    }

    /// The cookie that keeps a ticket (RFC 6265bis): for the way back only, which is a navigation from another site.
    fn cookie(&self, key: &str, ticket: &Ticket) -> String {
        let path = self.public_url.splitn(4, '/').nth(3).unwrap_or_default();
        let separator = if path.is_empty() { "" } else { "/" };
        let secure = if self.public_url.starts_with("https://") { "; Secure" } else { "" };
        format!(
            "{}={}; Path=/{path}{separator}oauth2/callback; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            cookie_name(key),
            ticket.expose(),
            SIGN_IN_TIME.whole_seconds()
        )
    }
}

fn cookie_name(key: &str) -> String {
    format!("{COOKIE}{}", key.get(..16).unwrap_or(key))
}

/// The client that somebody signs in with.
fn signed_in_with(profile: &Profile) -> Result<&Oauth2, ApiError> {
    let conflict = |detail: &str, field: &str, problem: &str| {
        Err(ApiError::Conflict(detail.to_owned(), Problems::one(field, problem)))
    };
    match &profile.auth {
        Auth::Oauth2(client) if client.grant == Grant::AuthorizationCode => Ok(client),
        Auth::Oauth2(_) => conflict(
            "Nobody signs in for this profile: its client has access by itself.",
            "auth.grant",
            "must be authorization_code to sign in",
        ),
        Auth::Plain { .. } => conflict(
            "Nobody signs in for this profile: it logs in with a password.",
            "auth.type",
            "must be oauth2 to sign in",
        ),
    }
}

/// What a provider says in an address, bounded.
fn words(error: &str, said: &str) -> String {
    let clean =
        |text: &str, most| -> String { text.chars().filter(|c| !c.is_control()).take(most).collect() };
    let (error, said) = (clean(error, 60), clean(said, 300));
    if said.is_empty() { error } else { format!("{error}: {said}") }
}

/// The page for whom nobody is signed in, and why.
fn refused(refusal: &Refusal) -> Answer {
    const AGAIN: &str = "Begin the sign-in again.";
    let mut status = 400;
    let (sentence, advice) = match refusal {
        Refusal::Malformed => ("This address is none of a sign-in, or is incomplete.".to_owned(), AGAIN),
        Refusal::OtherBrowser => (
            "This sign-in was not begun in this browser, or the browser takes no cookies.".to_owned(),
            "Open the address of the sign-in in the browser that you complete it with.",
        ),
        Refusal::TooLate => ("This sign-in has expired, or was completed or tried before.".to_owned(), AGAIN),
        Refusal::Changed => {
            ("The profile was changed or removed after the sign-in had begun.".to_owned(), AGAIN)
        }
        Refusal::Denied(words) if words.starts_with("access_denied") => (
            format!("Access was not granted ({words})."),
            "To let Mailroom use the mailbox, begin again and allow it.",
        ),
        Refusal::Denied(words) => (
            format!("The provider refused the sign-in ({words})."),
            "Check the client's registration at the provider: redirect URI, scopes, and who may use it.",
        ),
        Refusal::Provider(error) => of_provider(error),
        Refusal::Port(error) => {
            warn!(error = %Chain(error), "a sign-in could not be served");
            status = 503;
            ("Mailroom cannot reach its storage for now.".to_owned(), AGAIN)
        }
    };
    Answer::page(status, page(PageKind::Bad, "Not signed in", &[&sentence, advice]))
}

fn of_provider(error: &SignInError) -> (String, &'static str) {
    match error {
        SignInError::OtherAccount { account } => (
            format!("You have signed in as {account}, which is not the mailbox of this profile."),
            "Begin again, and choose the profile's own account at the provider.",
        ),
        SignInError::NoRefreshToken => (
            "The provider has granted access for the moment only: it gave no refresh token.".to_owned(),
            "Add the scope offline_access to the profile's auth.scopes, if the provider has it, and begin again.",
        ),
        SignInError::IdToken(why) => (
            format!("What the provider says of who has signed in cannot be trusted: it {why}."),
            "Begin again; if it stays, check the discovery URL and the client id.",
        ),
        SignInError::Provider(error @ OauthError::Refused { .. }) if error.is_transient() => {
            (error.owner_error().message, "Begin again in a moment.")
        }
        SignInError::Provider(OauthError::Refused { code, words, .. }) => (
            format!("The provider did not accept the consent ({}).", crate::sign_in::words(code, words)),
            "Begin again; if it stays, check client id, client secret and redirect URI.",
        ),
        SignInError::Provider(error) => (error.owner_error().message, "Begin again in a moment."),
    }
}
