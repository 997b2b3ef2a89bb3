//! OAuth2 as a profile has it: what access is asked for by which grant, and the state of a sign-in.

use time::{Date, OffsetDateTime};

use crate::provider::Grant;

/// An OAuth2 client, and whose mailbox it is to have access to. Its secret is in the profile's secret, never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth2 {
    /// How access is granted.
    pub grant: Grant,
    /// The login name that the token is for.
    pub login: String,
    /// The client's id.
    pub client_id: String,
    /// The OpenID discovery document, or its issuer.
    pub discovery_url: String,
    /// The scopes to ask for; empty: those known for the provider.
    pub scopes: Vec<String>,
    /// Whether the client has a secret (RFC 6749 §2.1); a public one proves itself by PKCE alone.
    pub confidential: bool,
    /// The last day of the client's secret, where its owner has noted it.
    pub client_secret_expires_on: Option<Date>,
}

/// The state of a sign-in. The refresh token itself is in the profile's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// When a person signed in.
    pub since: OffsetDateTime,
    /// When the refresh token was last used: providers forget one that rests for too long.
    pub refreshed_at: OffsetDateTime,
    /// When the refresh token that is stored was issued.
    pub stored_at: OffsetDateTime,
    /// When it ends whatever happens, where the provider says it.
    pub expires_at: Option<OffsetDateTime>,
}
