//! Changing a profile: all of its settings, or some.

use std::mem::discriminant;

use mailroom_core::edit::{Edit, edit};
use mailroom_core::ports::{PortError, Schedules as _};
use mailroom_core::profile::Profile;
use mailroom_http::problem::{Problems, read};
use mailroom_http::profile::{Described, ProfileBody, patched};
use serde_json::Value;
use tracing::warn;

use crate::Api;
use crate::answer::Answer;
use crate::clock;
use crate::making::secret_field;
use crate::problem::{ApiError, Chain};
use crate::request::{IfMatch, Request};

/// Tries of a change that says nothing of the version it was made from, when others change the profile too.
const TRIES: usize = 8;

/// What a change is made of.
enum Change {
    /// All settings.
    Whole(Value),
    /// Some (RFC 7396).
    Patch(Value),
}

impl Change {
    fn settings(&self, current: &Profile) -> Result<ProfileBody, ApiError> {
        let settings = match self {
            Self::Whole(settings) => settings.clone(),
            Self::Patch(patch) => patched(current, patch.clone()),
        };
        read(settings).map_err(ApiError::Fields)
    }
}

impl Api {
    pub(crate) async fn put_profile(&self, request: &Request, id: &str) -> Result<Answer, ApiError> {
        self.change(id, &request.if_match()?, &Change::Whole(request.required_json()?)).await
    }

    pub(crate) async fn patch_profile(&self, request: &Request, id: &str) -> Result<Answer, ApiError> {
        let patch = request.required_json()?;
        if !patch.is_object() {
            return Err(ApiError::Fields(Problems::one("", "must be an object")));
        }
        self.change(id, &request.if_match()?, &Change::Patch(patch)).await
    }

    async fn change(&self, id: &str, if_match: &IfMatch, change: &Change) -> Result<Answer, ApiError> {
        let mut stored = None;
        for _ in 0..TRIES {
            let current = self.profile(id).await?;
            if !if_match.allows(current.version) {
                return Err(ApiError::Stale);
            }
            let Described { profile: mut wanted, credential, discovery } =
                change.settings(&current)?.describe(current.id, clock::now());
            let mut problems = Problems::default();
            let same_kind = discriminant(&wanted.auth) == discriminant(&current.auth);
            let kept = current.secret_version.clone().filter(|_| same_kind);
            if credential.is_none() && kept.is_none() {
                problems.add(secret_field(&wanted.auth), "is required: none of this type is stored");
            }
            self.check_hosts(&wanted, discovery.as_ref(), &mut problems).await;
            problems.none_or().map_err(ApiError::Fields)?;
            self.require_flow_schema(&wanted).await?;
            wanted.secret_version = match (&credential, &stored) {
                (None, _) => kept,
                // A try before this one has stored it.
                (Some(_), Some(version)) => Some(String::clone(version)),
                (Some(credential), None) => {
                    stored = Some(self.secrets.store(current.id, credential).await?);
                    stored.clone()
                }
            };
            let edited = edit(&current, wanted, clock::now());
            match self.table.update(&current, &edited).await {
                Ok(()) => return self.changed(&current, edited).await,
                Err(PortError::Lost) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ApiError::Stale)
    }

    /// Keeps the schedules in step with a change that is stored.
    async fn changed(&self, before: &Profile, Edit { profile, .. }: Edit) -> Result<Answer, ApiError> {
        // Always, not only when it changed: so a repeat mends what a change that died half-way has left undone.
        if profile.listen {
            self.schedules.joined(profile.refresh_interval).await?;
        }
        if before.listen && !(profile.listen && before.refresh_interval == profile.refresh_interval) {
            self.leave(before).await;
        }
        Ok(Answer::profile(200, profile))
    }

    /// Removes the schedule of an interval that a profile has left, if it was the last. A schedule too many does no
    /// harm: the next plan that finds nobody removes it.
    pub(crate) async fn leave(&self, profile: &Profile) {
        if let Err(error) = self.schedules.left(profile.refresh_interval).await {
            warn!(interval = profile.refresh_interval.seconds(), error = %Chain(&error), "a schedule that may not be needed any more was left");
        }
    }
}
