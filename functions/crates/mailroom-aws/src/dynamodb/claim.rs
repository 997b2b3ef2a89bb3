//! The claim on a profile whose secret is about to be changed.
//!
//! A secret keeps its newest version and the one before; older ones are deleted at the service's leisure. So a request that puts
//! a version and then fails to have the profile name it pushes the version that the profile does name closer to its end.
//! Under a claim nobody fails: no other edit gets in between. What dies under a claim leaves the profile with the
//! version before the newest, which is kept, and the claim runs out.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use mailroom_core::oauth2::Authorization;
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};
use time::OffsetDateTime;

use super::attribute::millis;
use super::state_item::AuthorizationItem;
use super::table::{Table, number, text, to_map, update_failed};

/// The attribute: when the claim runs out.
pub(super) const CLAIM: &str = "claimed_until";

/// The right to change a profile and its secret.
#[derive(Debug)]
pub struct Claim {
    until: i64,
}

/// Who edits a profile.
#[derive(Debug, Clone, Copy)]
pub enum Editor<'a> {
    /// Anyone, at this time: only if nobody has a claim.
    Anyone(OffsetDateTime),
    /// The holder of this claim, which ends with the edit.
    Claimant(&'a Claim),
}

impl Editor<'_> {
    /// The condition of an edit of `current`: its version, and its secret, which a refresh token that has been replaced
    /// gives a new version without an edit. Names `#version` and `#secret_version`.
    pub(super) fn condition(
        self,
        update: UpdateItemFluentBuilder,
        current: &Profile,
    ) -> UpdateItemFluentBuilder {
        let (claim, at) = match self {
            Self::Anyone(now) => {
                ("(attribute_not_exists(claimed_until) OR claimed_until < :claim)", millis(now))
            }
            Self::Claimant(claim) => ("claimed_until = :claim", claim.until),
        };
        let (secret, update) = match &current.secret_version {
            Some(version) => {
                ("#secret_version = :secret", update.expression_attribute_values(":secret", text(version)))
            }
            None => ("attribute_not_exists(#secret_version)", update),
        };
        update
            .condition_expression(format!("#version = :expected AND {secret} AND {claim}"))
            .expression_attribute_names("#version", "version")
            .expression_attribute_names("#secret_version", "secret_version")
            .expression_attribute_values(":expected", number(current.version))
            .expression_attribute_values(":claim", number(at))
    }
}

impl Table {
    /// Claims a profile until `until`, unless it was changed since, or someone else has a claim at `now`.
    ///
    /// # Errors
    /// [`PortError::Lost`] then.
    pub async fn claim(
        &self,
        profile: &Profile,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Claim, PortError> {
        let claim = Claim { until: millis(until) };
        Editor::Anyone(now)
            .condition(self.update_item(profile.id), profile)
            .update_expression("SET claimed_until = :until")
            .expression_attribute_values(":until", number(claim.until))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(claim)
    }

    /// Has a profile name a new version of its secret, notes the state of its sign-in, and ends the claim. No edit: its
    /// owner's version stays.
    pub(crate) async fn name_secret(
        &self,
        id: ProfileId,
        claim: &Claim,
        secret_version: &str,
        authorization: &Authorization,
    ) -> Result<(), PortError> {
        self.update_item(id)
            .update_expression(
                "SET secret_version = :secret, #authorization = :authorization REMOVE claimed_until",
            )
            .condition_expression("claimed_until = :claim")
            .expression_attribute_names("#authorization", "authorization")
            .expression_attribute_values(":secret", text(secret_version))
            .expression_attribute_values(":authorization", to_map(AuthorizationItem::from(authorization))?)
            .expression_attribute_values(":claim", number(claim.until))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// Notes the state of a sign-in, and ends the claim.
    pub(crate) async fn note_refresh(
        &self,
        id: ProfileId,
        claim: &Claim,
        authorization: &Authorization,
    ) -> Result<(), PortError> {
        self.update_item(id)
            .update_expression("SET #authorization = :authorization REMOVE claimed_until")
            .condition_expression("claimed_until = :claim")
            .expression_attribute_names("#authorization", "authorization")
            .expression_attribute_values(":authorization", to_map(AuthorizationItem::from(authorization))?)
            .expression_attribute_values(":claim", number(claim.until))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }

    /// Gives a claim up without an edit.
    ///
    /// # Errors
    /// [`PortError::Lost`] when it had run out.
    pub async fn give_up(&self, id: ProfileId, claim: &Claim) -> Result<(), PortError> {
        self.update_item(id)
            .update_expression("REMOVE claimed_until")
            .condition_expression("claimed_until = :claim")
            .expression_attribute_values(":claim", number(claim.until))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(())
    }
}
