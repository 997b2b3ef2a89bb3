//! What is said of a sign-in.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::profile_view::rfc3339;

/// A sign-in that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInBegun {
    /// What to open in the browser of the person who signs in.
    pub authorization_url: String,
    /// When it is too late.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: OffsetDateTime,
}

/// A sign-out.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedOut {
    /// Whether the provider has taken the refresh token back. Where it has not, it is forgotten here all the same: what it
    /// grants can be ended in the account's settings at the provider.
    pub revoked: bool,
}
