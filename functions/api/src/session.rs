//! Who is signed in to the console: a person whom an OpenID provider knows, for eight hours.
//!
//! 1. `sign_in`: to the provider and back; the browser that set out is the only one that can come back.
//! 2. `sealed`: a session, in a cookie that only the deployment's own keys open.
//! 3. `keys`: these keys, in Secrets Manager; a new one each month, while the last one still opens.
//! 4. `refusal`: why a sign-in failed, in words.
//!
//! A session holds what the provider said of the person, as far as rights are decided by it, so that the pages ask the API
//! as that person, exactly as a token's bearer asks it. Nothing of a session is stored but that it was ended.

mod keys;
mod refusal;
mod sealed;
mod sign_in;

use std::sync::Arc;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::sign_in::person::Registration;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::named_secret::NamedSecret;
use mailroom_core::ports::PortError;
use mailroom_lambda::clock;

use crate::access::Access;
use crate::http::request::Request;
use crate::session::keys::SessionKeys;
pub(crate) use crate::session::refusal::Refusal;
pub(crate) use crate::session::sealed::Session;

/// The cookie of a session. By its name browsers take it by https alone, and from no other host of the domain.
const COOKIE: &str = "__Host-mailroom-session";

/// The name of the secret with the session keys, after the prefix.
const KEYS: &str = "console-session-keys";

/// The name of the secret that an operator stores where the client needs one, after the prefix.
const CLIENT_SECRET: &str = "console-client-secret";

/// Signs people in to the console, and out.
pub(crate) struct Sessions {
    registration: Registration,
    discovery: Discovery,
    keys: SessionKeys,
    client_secret: NamedSecret,
    table: Arc<Table>,
    access: Access,
    /// Where browsers reach the API, without a slash at its end.
    public_url: String,
}

impl Sessions {
    /// Sessions of people whom this provider knows. Secrets are those whose names begin with `prefix`.
    pub(crate) fn new(
        registration: Registration,
        discovery: Discovery,
        clients: &Clients,
        prefix: &str,
        table: Arc<Table>,
        access: Access,
        public_url: String,
    ) -> Self {
        let secret = |name: &str| NamedSecret::new(clients, format!("{prefix}{name}"));
        // A session of another provider's or client's people is not ours, whatever the key.
        let context =
            format!("mailroom console session\n{}\n{}", registration.issuer(), registration.client_id());
        Self {
            keys: SessionKeys::new(secret(KEYS), context),
            client_secret: secret(CLIENT_SECRET),
            registration,
            discovery,
            table,
            access,
            public_url,
        }
    }

    /// The host of the provider, for people.
    pub(crate) fn provider(&self) -> &str {
        let issuer = self.registration.issuer();
        let after_scheme = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
        after_scheme.split(['/', '?']).next().unwrap_or(after_scheme)
    }

    /// Who is signed in in the browser that sent this request.
    pub(crate) async fn of(&self, request: &Request) -> Result<Option<Session>, PortError> {
        for sealed in request.cookies(COOKIE) {
            let Some(plain) = self.keys.open(sealed).await? else { continue };
            let session: Option<Session> = serde_json::from_slice(&plain).ok();
            let Some(session) = session.filter(|session| session.is_valid_at(clock::now())) else { continue };
            if !self.table.has_ended(session.id()).await? {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// Ends a session, and with it every copy of its cookie. Returns the cookie that takes it from the browser.
    pub(crate) async fn end(&self, session: &Session) -> Result<String, PortError> {
        self.table.end_session(session.id(), session.ends_at()).await?;
        Ok(format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"))
    }
}
