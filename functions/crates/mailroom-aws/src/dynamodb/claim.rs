//! The claim on a profile whose secret is about to be changed.
//!
//! A secret keeps its newest version and the one before; older ones are deleted at the service's leisure. So whoever puts
//! a version and then fails to have the profile name it pushes the version that the profile does name closer to its end.
//! Under a claim nobody fails: no other edit gets in between. What dies under a claim leaves the profile with the
//! version before the newest, which is kept, and the claim runs out.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use mailroom_core::ports::PortError;
use mailroom_core::profile::{Profile, ProfileId};
use time::OffsetDateTime;

use super::item::millis;
use super::table::{Table, number, update_failed};

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
    /// Whoever has this claim, which ends with the edit.
    Claimant(&'a Claim),
}

impl Editor<'_> {
    /// The condition of an edit, with the version in `:expected`.
    pub(super) fn condition(self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        match self {
            Self::Anyone(now) => update
                .condition_expression(
                    "#version = :expected AND (attribute_not_exists(claimed_until) OR claimed_until < :claim)",
                )
                .expression_attribute_values(":claim", number(millis(now))),
            Self::Claimant(claim) => update
                .condition_expression("#version = :expected AND claimed_until = :claim")
                .expression_attribute_values(":claim", number(claim.until)),
        }
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
            .condition(self.update_item(profile.id))
            .update_expression("SET claimed_until = :until")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":expected", number(profile.version))
            .expression_attribute_values(":until", number(claim.until))
            .send()
            .await
            .map_err(update_failed)?;
        Ok(claim)
    }

    /// Gives a claim up without an edit.
    ///
    /// # Errors
    /// [`PortError::Lost`] when it had run out.
    pub async fn give_up(&self, id: ProfileId, claim: Claim) -> Result<(), PortError> {
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
