//! Sign-ins as the API returns them.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::time_text::rfc3339;

/// A sign-in that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInBegun {
    /// The address to open in the browser of the person who signs in.
    pub authorization_url: String,
    /// When the sign-in has to be completed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: OffsetDateTime,
}

/// The result of a sign-out.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedOut {
    /// Whether the provider revoked the refresh token. Mailroom forgets it in any case; if it was not revoked, access
    /// can be ended in the account's settings at the provider.
    pub revoked: bool,
}
