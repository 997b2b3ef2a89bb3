//! A token response (RFC 6749 §5.1), from the library's type to one that is checked.

use std::fmt;

use oauth2::basic::BasicTokenType;
use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenResponse as _};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::Duration;

/// The lifetime of an access token whose response names none.
const DEFAULT_LIFETIME: Duration = Duration::minutes(10);

/// The longest token that is accepted: mail servers accept no longer ones.
const MAX_TOKEN: usize = 16 * 1024;

/// A token response of a provider.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token (RFC 6749 §1.4).
    pub access_token: SecretString,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// The refresh token, if the provider issued a new one.
    pub refresh_token: Option<SecretString>,
    /// How long the refresh token is valid, if the provider says so.
    pub refresh_token_expires_in: Option<Duration>,
    /// Who has signed in (OpenID Connect Core §2).
    pub id_token: Option<SecretString>,
    /// The scopes that were granted (RFC 6749 §5.1); none where the provider does not say.
    pub scopes: Vec<String>,
}

/// A token response as the library parses it.
pub(super) type LibraryResponse = StandardTokenResponse<ExtraFields, BasicTokenType>;

/// The fields that RFC 6749 does not define.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ExtraFields {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    refresh_token_expires_in: Option<i64>,
}

impl fmt::Debug for ExtraFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtraFields")
    }
}

impl ExtraTokenFields for ExtraFields {}

impl TokenResponse {
    /// Checks a response; `None` when its access token cannot be used.
    pub(super) fn check(response: &LibraryResponse) -> Option<Self> {
        let usable = |token: &String| (1..=MAX_TOKEN).contains(&token.len());
        let access_token = response.access_token().secret();
        let lifetime = response.expires_in().and_then(|lifetime| Duration::try_from(lifetime).ok());
        let refresh_token = response.refresh_token().map(|token| token.secret());
        let extra = response.extra_fields();
        usable(access_token).then(|| Self {
            access_token: SecretString::from(access_token.clone()),
            expires_in: lifetime.filter(|lifetime| lifetime.is_positive()).unwrap_or(DEFAULT_LIFETIME),
            refresh_token: refresh_token.filter(|token| usable(token)).cloned().map(SecretString::from),
            refresh_token_expires_in: extra
                .refresh_token_expires_in
                .filter(|seconds| *seconds > 0)
                .map(Duration::seconds),
            id_token: extra.id_token.clone().map(SecretString::from),
            scopes: response.scopes().into_iter().flatten().map(|scope| scope.to_string()).collect(),
        })
    }
}
