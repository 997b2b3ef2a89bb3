//! Why a sign-in cannot be completed.

use crate::error::OauthError;

/// Why a person's consent does not let Mailroom in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider did not answer as it should, or the profile's settings do not fit it.
    #[error(transparent)]
    Provider(#[from] OauthError),
    /// Another person than the profile's login has signed in.
    #[error("another account has signed in")]
    OtherAccount {
        /// The account that the id token names.
        account: String,
    },
    /// The id token cannot be read, is not for this client, has expired, or belongs to another sign-in.
    #[error("the id token {0}")]
    IdToken(&'static str),
    /// The provider issued no refresh token, so that access would end with the access token.
    #[error("the refresh token is missing")]
    NoRefreshToken,
}
