//! Creating a profile: draft, secret, profile, schedule, first poll, in this order.
//!
//! The draft is noted before the secret is stored, and vanishes in the same transaction in which the profile appears. So
//! a secret without a profile always has a draft that tells of it: after a crash in between, a later request
//! removes both, and a profile that exists is complete.

use futures_util::future::join;
use mailroom_aws::dynamodb::{Created, Table};
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::profile::{Described, ProfileBody};
use mailroom_contract::settings::differing;
use mailroom_core::edit::can_be_polled;
use mailroom_core::error_chain::Chain;
use mailroom_core::flow::FlowSchema;
use mailroom_core::outbound::ports::IdempotencyKey;
use mailroom_core::ports::{ClientCredential, Credential, PortError, Profiles as _, Schedules as _};
use mailroom_core::profile::{Auth, Profile, ProfileId};
use mailroom_core::provider::Grant;
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::Duration;
use tracing::warn;

use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::profiles::Profiles;
use mailroom_lambda::clock;

/// A draft that is older is abandoned: no request lives this long.
const ABANDONED_AFTER: Duration = Duration::minutes(15);

impl Profiles {
    pub(crate) async fn create(&self, request: &Request) -> Result<Response, ApiError> {
        let json = request.required_json()?;
        let key = request.idempotency_key()?;
        let key = key.map(|key| IdempotencyKey { key, digest: digest(json.clone()) });
        let body: ProfileBody = read(json).map_err(ApiError::Fields)?;
        let Described { mut profile, credential, smtp_password, discovery } =
            body.describe(ProfileId::new(clock::new_ulid()), clock::now());
        let mut problems = Problems::default();
        require_secrets(&profile, credential.as_ref(), smtp_password.as_ref(), &mut problems);
        let credential = with_smtp_password(credential, smtp_password);
        join(self.hosts.check(&profile, discovery.as_ref(), &mut problems), self.sweep_drafts()).await;
        problems.none_or().map_err(ApiError::Fields)?;
        if let Some(key) = &key
            && let Some(response) = self.created_before(key).await?
        {
            return Ok(response);
        }
        self.require_flow_schema(&profile).await?;
        self.table.begin(profile.id, clock::now()).await?;
        match self.store(&mut profile, credential.as_ref(), key.as_ref()).await {
            Ok(()) => {
                if can_be_polled(&profile) {
                    self.polls.ask(profile.id).await;
                }
                Ok(created(profile))
            }
            Err(error) => {
                self.roll_back(&profile, key.as_ref()).await;
                // A concurrent request with this key may have been first.
                if let (ApiError::Port(_), Some(key)) = (&error, &key)
                    && let Ok(Some(response)) = self.created_before(key).await
                {
                    return Ok(response);
                }
                Err(error)
            }
        }
    }

    /// The response to a request that is repeated; `None` to the first one.
    async fn created_before(&self, key: &IdempotencyKey) -> Result<Option<Response>, ApiError> {
        let id = match self.table.created_before(key, clock::now()).await? {
            None => return Ok(None),
            Some(Created::Another) => {
                let problem = "was used for another profile in the last 24 hours";
                return Err(ApiError::Fields(Problems::one("Idempotency-Key", problem)));
            }
            Some(Created::Profile(id)) => id,
        };
        let Some(profile) = self.table.get(id).await? else {
            let detail = "The profile that was created with this key has been deleted; use another key.";
            return Err(ApiError::Conflict(detail.to_owned(), Problems::default()));
        };
        // The first request may have ended before it was there.
        if profile.settings.listen {
            self.schedules.joined(profile.settings.refresh_interval).await?;
        }
        Ok(Some(created(profile)))
    }

    /// Stores a profile that has a draft.
    async fn store(
        &self,
        profile: &mut Profile,
        credential: Option<&Credential>,
        key: Option<&IdempotencyKey>,
    ) -> Result<(), ApiError> {
        if let Some(credential) = credential {
            profile.secret_version = Some(self.secrets.store(profile.id, credential).await?);
        }
        self.table.create_once(profile, key).await?;
        if profile.settings.listen {
            self.schedules.joined(profile.settings.refresh_interval).await?;
        }
        // A request that deletes a flow schema looks for profiles after that, so one of the two sees the other.
        self.require_flow_schema(profile).await.map(|_| ())
    }

    /// Removes what was stored of a profile whose creation failed.
    async fn roll_back(&self, profile: &Profile, key: Option<&IdempotencyKey>) {
        let undone = async {
            // Creating the profile removed the draft; it must record the secret again before the profile goes.
            self.table.begin(profile.id, clock::now()).await?;
            // Before the profile: otherwise a repeat would be told that it was deleted.
            if let Some(key) = key {
                self.table.forget_creation(key, profile.id).await?;
            }
            self.table.delete(profile.id).await?;
            self.secrets.remove(profile.id, None).await?;
            self.table.abandon(profile.id).await
        };
        // A later request does it: the draft is still there, or the profile is and its owner sees it.
        if let Err(error) = undone.await {
            warn!(profile.id = %profile.id, error = %Chain(&error), "profile {} was not created and is not removed yet; a later request does it", profile.id);
        }
    }

    /// Removes the secrets of profiles whose creation a crash cut short.
    async fn sweep_drafts(&self) {
        let swept = async {
            for id in self.table.stale_drafts(clock::now() - ABANDONED_AFTER).await? {
                if self.table.get(id).await?.is_none() {
                    self.secrets.remove(id, None).await?;
                }
                self.table.abandon(id).await?;
                warn!(profile.id = %id, "removed the draft of profile {id}, whose creation did not finish");
            }
            Ok::<_, PortError>(())
        };
        if let Err(error) = swept.await {
            warn!(error = %Chain(&error), "abandoned drafts were not removed; a later request does it");
        }
    }

    /// The flow schema that a profile names, if it names one. Refuses a profile that names an unknown one.
    pub(crate) async fn require_flow_schema(
        &self,
        profile: &Profile,
    ) -> Result<Option<FlowSchema>, ApiError> {
        require_flow_schema(&self.table, profile).await
    }
}

/// The flow schema that a profile names, if it names one. Refuses a profile that names an unknown one.
pub(crate) async fn require_flow_schema(
    table: &Table,
    profile: &Profile,
) -> Result<Option<FlowSchema>, ApiError> {
    let Some(id) = &profile.settings.flow_schema_id else { return Ok(None) };
    if let Some(schema) = table.flow_schema(id).await? {
        return Ok(Some(schema));
    }
    let problems =
        Problems::one("flow_schema_id", "names no flow schema; create it first with POST /flow-schemas");
    Err(ApiError::Conflict(format!("The flow schema {id} does not exist."), problems))
}

/// The response to a creation.
fn created(profile: Profile) -> Response {
    let (id, fields) = (profile.id, differing(None, &profile));
    let response = Response::profile(201, profile).with_header("location", format!("/profiles/{id}"));
    response.after_making(id).after_change_of(fields)
}

/// The digest of a body without its secrets: what is stored of a password must not help to guess it.
fn digest(mut body: Value) -> String {
    for login in ["auth", "smtp_auth"] {
        if let Some(login) = body.get_mut(login).and_then(Value::as_object_mut) {
            login.retain(|name, _| name != "password" && name != "client_secret");
        }
    }
    hex::encode(Sha256::digest(body.to_string()))
}

/// The field that carries the password for the SMTP server alone.
pub(crate) const SMTP_PASSWORD: &str = "smtp_auth.password";

/// Adds a problem for each secret that a new profile needs and does not bring.
pub(crate) fn require_secrets(
    profile: &Profile,
    credential: Option<&Credential>,
    smtp_password: Option<&SecretString>,
    problems: &mut Problems,
) {
    if credential.is_none() && needs_secret(&profile.settings.auth) {
        problems.add(secret_field(&profile.settings.auth), "is required");
    }
    if smtp_password.is_none() && profile.settings.smtp_auth.is_some() {
        problems.add(SMTP_PASSWORD, "is required");
    }
}

/// What a new profile stores. Also a client without a secret may have a password for the SMTP server.
fn with_smtp_password(
    credential: Option<Credential>,
    smtp_password: Option<SecretString>,
) -> Option<Credential> {
    match (credential, smtp_password) {
        (credential, None) => credential,
        (credential, smtp_password) => {
            let credential = credential.unwrap_or_else(|| Credential::Client(ClientCredential::default()));
            Some(credential.with_smtp_password(smtp_password))
        }
    }
}

/// The field that carries the secret of this kind of login.
pub(crate) const fn secret_field(auth: &Auth) -> &'static str {
    match auth {
        Auth::Plain { .. } => "auth.password",
        Auth::Oauth2(_) => "auth.client_secret",
    }
}

/// Whether the login needs a secret: a client that people sign in with may be public (RFC 6749 §2.1).
pub(crate) const fn needs_secret(auth: &Auth) -> bool {
    match auth {
        Auth::Plain { .. } => true,
        Auth::Oauth2(client) => match client.grant {
            Grant::AuthorizationCode => false,
            Grant::ClientCredentials | Grant::JwtBearer => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_tells_nothing_of_a_secret() {
        let of = |password: &str, name: &str| {
            digest(json!({"name": name, "auth": {"type": "plain", "login": "a", "password": password}}))
        };
        let alone = |password: &str| digest(json!({"smtp_auth": {"login": "a", "password": password}}));
        assert_eq!(alone("one"), alone("two"));
        assert_eq!(of("one", "a"), of("two", "a"));
        assert_ne!(of("one", "a"), of("one", "b"));
    }
}
