//! Making a profile: draft, secret, profile, schedule, in this order.
//!
//! The draft is noted before the secret is stored, and vanishes in the same transaction in which the profile appears. So
//! a secret without a profile always has a draft that tells of it: whatever died in between is swept up by a later
//! request, and a profile that is there is whole.

use futures_util::future::join;
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::profile::{Described, ProfileBody};
use mailroom_core::error_chain::Chain;
use mailroom_core::ports::{Credential, PortError, Profiles as _, Schedules as _};
use mailroom_core::profile::{Auth, Profile, ProfileId};
use mailroom_core::provider::Grant;
use time::Duration;
use tracing::warn;

use crate::Api;
use crate::http::problem::ApiError;
use crate::http::request::Request;
use crate::http::response::Answer;
use mailroom_lambda::clock;

/// A draft that is older belongs to nobody any more: no request lives so long.
const ABANDONED_AFTER: Duration = Duration::minutes(15);

impl Api {
    pub(crate) async fn create_profile(&self, request: &Request) -> Result<Answer, ApiError> {
        let body: ProfileBody = read(request.required_json()?).map_err(ApiError::Fields)?;
        let Described { mut profile, credential, discovery } =
            body.describe(ProfileId::new(clock::new_ulid()), clock::now());
        let mut problems = Problems::default();
        if credential.is_none() && needs_secret(&profile.auth) {
            problems.add(secret_field(&profile.auth), "is required");
        }
        join(self.check_hosts(&profile, discovery.as_ref(), &mut problems), self.sweep()).await;
        problems.none_or().map_err(ApiError::Fields)?;
        self.require_flow_schema(&profile).await?;
        self.table.begin(profile.id, clock::now()).await?;
        match self.make(&mut profile, credential.as_ref()).await {
            Ok(()) => {
                let location = format!("/profiles/{}", profile.id);
                Ok(Answer::profile(201, profile).with_header("location", location))
            }
            Err(error) => {
                self.undo(&profile).await;
                Err(error)
            }
        }
    }

    /// Stores a profile that has a draft.
    async fn make(&self, profile: &mut Profile, credential: Option<&Credential>) -> Result<(), ApiError> {
        if let Some(credential) = credential {
            profile.secret_version = Some(self.secrets.store(profile.id, credential).await?);
        }
        self.table.create(profile).await?;
        if profile.listen {
            self.schedules.joined(profile.refresh_interval).await?;
        }
        // Whoever removes a flow schema looks for profiles after that, so one of the two sees the other.
        self.require_flow_schema(profile).await
    }

    /// Takes back what was stored of a profile that did not come about.
    async fn undo(&self, profile: &Profile) {
        let undone = async {
            // It vanished when the profile appeared, and has to tell of the secret once the profile is gone.
            self.table.begin(profile.id, clock::now()).await?;
            self.table.delete(profile.id).await?;
            self.secrets.remove(profile.id, None).await?;
            self.table.abandon(profile.id).await
        };
        // Then a later request does it: the draft is still there, or the profile is, and its owner sees it.
        if let Err(error) = undone.await {
            warn!(profile.id = %profile.id, error = %Chain(&error), "a profile that did not come about was not taken back yet");
        }
    }

    /// Removes the secrets of profiles that never came about, because the function died in the middle.
    pub(crate) async fn sweep(&self) {
        let swept = async {
            for id in self.table.stale_drafts(clock::now() - ABANDONED_AFTER).await? {
                if self.table.get(id).await?.is_none() {
                    self.secrets.remove(id, None).await?;
                }
                self.table.abandon(id).await?;
                warn!(profile.id = %id, "a profile that never came about was swept up");
            }
            Ok::<_, PortError>(())
        };
        if let Err(error) = swept.await {
            warn!(error = %Chain(&error), "drafts could not be swept up; a later request does it");
        }
    }

    /// The flow schema that a profile names has to be there.
    pub(crate) async fn require_flow_schema(&self, profile: &Profile) -> Result<(), ApiError> {
        let Some(id) = &profile.flow_schema_id else { return Ok(()) };
        if self.table.flow_schema(id).await?.is_some() {
            return Ok(());
        }
        let problems =
            Problems::one("flow_schema_id", "names no flow schema; make it first with POST /flow-schemas");
        Err(ApiError::Conflict(format!("There is no flow schema {id}."), problems))
    }
}

/// The field that carries the secret of this kind of login.
pub(crate) const fn secret_field(auth: &Auth) -> &'static str {
    match auth {
        Auth::Plain { .. } => "auth.password",
        Auth::Oauth2(_) => "auth.client_secret",
    }
}

/// Whether nothing can be had without a secret: a public client is one that somebody signs in with.
pub(crate) const fn needs_secret(auth: &Auth) -> bool {
    match auth {
        Auth::Plain { .. } => true,
        Auth::Oauth2(client) => match client.grant {
            Grant::AuthorizationCode => false,
            Grant::ClientCredentials | Grant::JwtBearer => true,
        },
    }
}
