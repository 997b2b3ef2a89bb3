//! Changing a profile: all of its settings, or some.

use std::mem::discriminant;
use std::time::Duration;

use mailroom_aws::dynamodb::Editor;
use mailroom_contract::problem::{Problems, read};
use mailroom_contract::profile::{Described, ProfileBody};
use mailroom_contract::settings::{described, differing, patched, settings};
use mailroom_core::credential_scope::out_of_scope;
use mailroom_core::edit::{Edit, NextPoll, edit};
use mailroom_core::error_chain::Chain;
use mailroom_core::flow::FlowSchema;
use mailroom_core::ports::{
    ClientCredential, Credential, Credentials as _, PortError, Profiles as _, Schedules as _,
};
use mailroom_core::profile::{Auth, Profile};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use crate::http::problem::ApiError;
use crate::http::request::{IfMatch, Request};
use crate::http::response::Response;
use crate::profiles::Profiles;
use crate::profiles::create::{SMTP_PASSWORD, needs_secret, secret_field};
use crate::profiles::read::find;
use crate::profiles::stored_secret::{Given, require_scope};
use mailroom_lambda::clock;

/// How long a change waits for other requests that change the same profile.
const CONCURRENT_EDIT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a claim lasts without its end: longer than any request.
const CLAIM_TIME: time::Duration = time::Duration::seconds(40);

/// How long it waits before it tries again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a change is made of.
enum Change {
    /// All settings.
    Whole(Value),
    /// Some (RFC 7396).
    Patch(Value),
}

impl Change {
    fn describe(&self, current: &Profile) -> Result<Described, ApiError> {
        let settings = match self {
            Self::Whole(settings) => settings.clone(),
            Self::Patch(patch) => patched(current, patch.clone()),
        };
        described(current, settings, clock::now()).map_err(ApiError::Fields)
    }
}

impl Profiles {
    pub(crate) async fn replace(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let body = request.required_json()?;
        // Problems that do not depend on what is stored come first.
        read::<ProfileBody>(body.clone()).map_err(ApiError::Fields)?;
        self.change(id, &request.if_match()?, &Change::Whole(body)).await
    }

    pub(crate) async fn patch(&self, request: &Request, id: &str) -> Result<Response, ApiError> {
        let patch = request.required_json()?;
        if !patch.is_object() {
            return Err(ApiError::Fields(Problems::one("", "must be an object")));
        }
        self.change(id, &request.if_match()?, &Change::Patch(patch)).await
    }

    async fn change(&self, id: &str, if_match: &IfMatch, change: &Change) -> Result<Response, ApiError> {
        let end = clock::instant() + CONCURRENT_EDIT_TIMEOUT;
        loop {
            let current = find(&self.table, id).await?;
            if !if_match.allows(current.version) {
                return Err(ApiError::Stale);
            }
            match self.try_change(&current, change).await {
                Err(ApiError::Port(PortError::Lost)) => wait_for_concurrent_edit(end).await?,
                result => return result,
            }
        }
    }

    /// Changes a profile as it was read; [`PortError::Lost`] when another request was quicker.
    async fn try_change(&self, current: &Profile, change: &Change) -> Result<Response, ApiError> {
        let Described { profile: mut wanted, credential, smtp_password, discovery } =
            change.describe(current)?;
        let mut problems = Problems::default();
        let same_kind = discriminant(&wanted.settings.auth) == discriminant(&current.settings.auth);
        wanted.secret_version = current.secret_version.clone().filter(|_| same_kind);
        if let (Auth::Oauth2(wanted), Auth::Oauth2(before), None) =
            (&mut wanted.settings.auth, &current.settings.auth, &credential)
        {
            // The secret stays, if there is one.
            wanted.confidential = before.confidential;
        }
        if credential.is_none() && needs_secret(&wanted.settings.auth) && !has_secret(&wanted) {
            let problems = Problems::one(
                secret_field(&wanted.settings.auth),
                "is required: no secret of this type is stored",
            );
            return Err(ApiError::Conflict(
                "Another type of login needs its own secret.".to_owned(),
                problems,
            ));
        }
        let given = Given { secret: credential.is_some(), smtp_password: smtp_password.is_some() };
        require_scope(current, &wanted.settings, given)?;
        self.hosts.check(&wanted, discovery.as_ref(), &mut problems).await;
        problems.none_or().map_err(ApiError::Fields)?;
        let begins = wanted.settings.flow_schema_id != current.settings.flow_schema_id;
        let schema = self.require_flow_schema(&wanted).await?.filter(|_| begins);
        let secret = given.secret.then(|| secret_field(&wanted.settings.auth).to_owned());
        let edited = if given.secret || given.smtp_password || leaves_secret(current, &wanted) {
            self.change_with_secret(current, wanted, credential, smtp_password).await?
        } else {
            let edited = edit(current, wanted, clock::now());
            let stored = self.table.update(current, &edited, Editor::Anyone(clock::now())).await;
            self.accept_own_write(stored, &edited).await?;
            edited
        };
        if let Some(schema) = schema {
            self.keep_flow_schema(&schema).await?;
        }
        let mut fields = differing(Some(current), &edited.profile);
        fields.extend(secret);
        fields.extend(given.smtp_password.then(|| SMTP_PASSWORD.to_owned()));
        Ok(self.changed(current, edited).await?.after_change_of(fields))
    }

    /// Brings back a flow schema that was deleted while a profile began to name it. A request that deletes one looks for
    /// profiles after that, so one of the two sees the other.
    async fn keep_flow_schema(&self, schema: &FlowSchema) -> Result<(), ApiError> {
        match self.table.create_flow_schema(schema).await {
            // It is there, as it nearly always is.
            Ok(()) | Err(PortError::Lost) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a new version into the secret, and has the profile name it.
    async fn change_with_secret(
        &self,
        current: &Profile,
        mut wanted: Profile,
        given: Option<Credential>,
        smtp_password: Option<SecretString>,
    ) -> Result<Edit, ApiError> {
        let now = clock::now();
        let claim = self.table.claim(current, now, now + CLAIM_TIME).await?;
        let stored = async {
            let credential = self.merged(current, &wanted, given, smtp_password).await?;
            wanted.secret_version = Some(self.secrets.store(current.id, &credential).await?);
            let edited = edit(current, wanted, clock::now());
            let stored = self.table.update(current, &edited, Editor::Claimant(&claim)).await;
            self.accept_own_write(stored, &edited).await.map(|()| edited)
        };
        match stored.await {
            Ok(edited) => Ok(edited),
            Err(error) => {
                // Otherwise it runs out by itself.
                if let Err(error) = self.table.give_up(current.id, &claim).await {
                    warn!(profile.id = %current.id, error = %Chain(&error), "the claim on profile {} was not released and expires by itself", current.id);
                }
                Err(error.into())
            }
        }
    }

    /// The credential to store: what the change gives, and what it leaves as it is.
    async fn merged(
        &self,
        current: &Profile,
        wanted: &Profile,
        given: Option<Credential>,
        smtp_password: Option<SecretString>,
    ) -> Result<Credential, PortError> {
        let stored = match &current.secret_version {
            Some(version) => self.secrets.credential(current.id, version).await?,
            None => None,
        };
        let kept = stored.as_ref().and_then(Credential::smtp_password).cloned();
        let smtp_password = smtp_password.or(kept).filter(|_| wanted.settings.smtp_auth.is_some());
        let of_client = |given: ClientCredential, stored: ClientCredential| {
            let refresh_token = stored.refresh_token.filter(|_| !ends_sign_in(current, wanted));
            let secret = given.secret.or(stored.secret);
            Credential::Client(ClientCredential { secret, refresh_token, smtp_password: None })
        };
        let same_kind = discriminant(&current.settings.auth) == discriminant(&wanted.settings.auth);
        let login = match (given, stored.filter(|_| same_kind)) {
            (Some(Credential::Client(given)), Some(Credential::Client(stored))) => of_client(given, stored),
            (Some(given), _) => given,
            (None, Some(Credential::Client(stored))) => of_client(ClientCredential::default(), stored),
            (None, Some(stored)) => stored,
            (None, None) => Credential::Client(ClientCredential::default()),
        };
        Ok(login.with_smtp_password(smtp_password))
    }

    /// An edit that is lost because it is stored already is not lost: its response was, and the SDK sent it again.
    async fn accept_own_write(&self, stored: Result<(), PortError>, edit: &Edit) -> Result<(), PortError> {
        let Err(PortError::Lost) = stored else { return stored };
        let ours = &edit.profile;
        let is_ours = self.table.get(ours.id).await?.is_some_and(|there| {
            // Stored times are whole milliseconds.
            let apart = (there.updated_at - ours.updated_at).abs();
            let same_edit = there.version == ours.version && apart < time::Duration::MILLISECOND;
            same_edit && there.secret_version == ours.secret_version && settings(&there) == settings(ours)
        });
        if is_ours { Ok(()) } else { Err(PortError::Lost) }
    }

    /// Keeps the schedules in step with a change that is stored, and has it tried at once.
    async fn changed(&self, before: &Profile, edit: Edit) -> Result<Response, ApiError> {
        let Edit { profile, next_poll, .. } = edit;
        // Always, not only when it changed: so a repeat completes a change that a crash cut short.
        if profile.settings.listen {
            self.schedules.joined(profile.settings.refresh_interval).await?;
        }
        if before.settings.listen
            && !(profile.settings.listen
                && before.settings.refresh_interval == profile.settings.refresh_interval)
        {
            self.leave(before).await;
        }
        if next_poll == NextPoll::Now {
            self.polls.ask(profile.id).await;
        }
        Ok(Response::profile(200, profile))
    }

    /// Removes the schedule of an interval that a profile has left, if it was the last. A schedule too many does no
    /// harm: the next plan that finds no profile removes it.
    pub(crate) async fn leave(&self, profile: &Profile) {
        if let Err(error) = self.schedules.left(profile.settings.refresh_interval).await {
            warn!(profile.id = %profile.id, interval = profile.settings.refresh_interval.seconds(), error = %Chain(&error), "the schedule of an interval that profile {} left was not removed; the next plan does it", profile.id);
        }
    }
}

/// Whether the change voids the sign-in.
fn ends_sign_in(current: &Profile, wanted: &Profile) -> bool {
    current.authorization.is_none() || !out_of_scope(current, &wanted.settings).sign_in.is_empty()
}

/// Whether the stored secret would hold something that the changed profile cannot use.
fn leaves_secret(current: &Profile, wanted: &Profile) -> bool {
    let same_kind = discriminant(&current.settings.auth) == discriminant(&wanted.settings.auth);
    if current.settings.smtp_auth.is_some() && wanted.settings.smtp_auth.is_none() {
        return true;
    }
    if same_kind {
        current.authorization.is_some() && ends_sign_in(current, wanted)
    } else {
        current.secret_version.is_some()
    }
}

/// Whether the profile's kind of secret is stored.
const fn has_secret(profile: &Profile) -> bool {
    match &profile.settings.auth {
        Auth::Plain { .. } => profile.secret_version.is_some(),
        Auth::Oauth2(client) => client.confidential && profile.secret_version.is_some(),
    }
}

/// Waits a moment for another request that changes the same profile; a conflict after `end`.
pub(crate) async fn wait_for_concurrent_edit(end: Instant) -> Result<(), ApiError> {
    if clock::instant() > end {
        let detail = "This profile is being changed by another request; try again.";
        return Err(ApiError::Conflict(detail.to_owned(), Problems::default()));
    }
    tokio::time::sleep(RETRY_PAUSE).await;
    Ok(())
}
