//! What OAuth2 providers have granted: refresh tokens in the secrets, and in the table what tells of them.

use mailroom_core::oauth2::Authorization;
use mailroom_core::ports::{Credential, Credentials, Grants, PortError, Profiles as _};
use mailroom_core::profile::{Profile, ProfileId};
use time::OffsetDateTime;

use crate::dynamodb::{Claim, Editor, Table};
use crate::secrets::Secrets;

/// The grants of profiles in a table, with their secrets.
#[derive(Debug)]
pub struct GrantStore {
    table: Table,
    secrets: Secrets,
}

impl GrantStore {
    /// The grants in `table` and `secrets`.
    #[must_use]
    pub const fn new(table: Table, secrets: Secrets) -> Self {
        Self { table, secrets }
    }

    /// Stores a sign-in, or the end of one, as an edit that its claim ends with.
    ///
    /// # Errors
    /// [`PortError::Lost`] when the claim had run out.
    pub async fn sign(
        &self,
        current: &Profile,
        claim: &Claim,
        credential: &Credential,
        authorization: Option<Authorization>,
        now: OffsetDateTime,
    ) -> Result<Profile, PortError> {
        let version = self.secrets.store(current.id, credential).await?;
        let edit = mailroom_core::edit::signed(current, Some(version.clone()), authorization, now);
        let stored = self.table.update(current, &edit, Editor::Claimant(claim)).await;
        self.accept_own_write(current.id, &version, stored).await?;
        Ok(edit.profile)
    }

    /// A write that is lost because it is stored already is not lost: the answer to it was, and it was sent again.
    async fn accept_own_write(
        &self,
        id: ProfileId,
        secret_version: &str,
        stored: Result<(), PortError>,
    ) -> Result<(), PortError> {
        let Err(PortError::Lost) = stored else { return stored };
        let there = self.table.get(id).await?;
        let ours = there.is_some_and(|there| there.secret_version.as_deref() == Some(secret_version));
        if ours { Ok(()) } else { Err(PortError::Lost) }
    }
}

impl Credentials for GrantStore {
    async fn credential(&self, id: ProfileId, version: &str) -> Result<Option<Credential>, PortError> {
        self.secrets.credential(id, version).await
    }
}

impl Grants for GrantStore {
    type Claim = Claim;

    async fn profile(&self, id: ProfileId) -> Result<Option<Profile>, PortError> {
        self.table.get(id).await
    }

    async fn claim(
        &self,
        profile: &Profile,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Claim, PortError> {
        self.table.claim(profile, now, until).await
    }

    async fn newest(&self, id: ProfileId) -> Result<Option<Credential>, PortError> {
        self.secrets.newest(id).await
    }

    async fn rotated(
        &self,
        profile: &Profile,
        claim: &Claim,
        credential: &Credential,
        authorization: &Authorization,
    ) -> Result<(), PortError> {
        let version = self.secrets.replace(profile.id, credential).await?;
        let named = self.table.name_secret(profile.id, claim, &version, authorization).await;
        self.accept_own_write(profile.id, &version, named).await
    }

    async fn unclaim(
        &self,
        id: ProfileId,
        claim: &Claim,
        authorization: Option<&Authorization>,
    ) -> Result<(), PortError> {
        let ended = match authorization {
            Some(authorization) => self.table.note_refresh(id, claim, authorization).await,
            None => self.table.give_up(id, claim).await,
        };
        match ended {
            // It had run out, or its end was stored and the answer lost: nothing is left to do.
            Ok(()) | Err(PortError::Lost) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
