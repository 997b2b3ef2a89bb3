//! What a profile logs in with, whatever kind it is.

use mailroom_core::ports::{Credential, Grants};
use mailroom_core::profile::{Auth, Profile};
use mailroom_net::login::Proof;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::error::OauthError;
use crate::tokens::{Tokens, Wanted};

/// What a profile logs in with.
#[derive(Debug, Clone)]
pub enum Access {
    /// A password.
    Password(SecretString),
    /// An access token. A server may refuse it before its time: then another is worth one more try.
    Token(SecretString),
}

impl Access {
    /// As a login takes it.
    #[must_use]
    pub const fn proof(&self) -> Proof<'_> {
        match self {
            Self::Password(password) => Proof::Password(password),
            Self::Token(token) => Proof::Token(token),
        }
    }
}

impl<G: Grants + 'static> Tokens<G> {
    /// What to log in with.
    ///
    /// # Errors
    /// See [`OauthError`].
    pub async fn access(&self, profile: &Profile, deadline: Instant) -> Result<Access, OauthError> {
        match &profile.auth {
            Auth::Plain { .. } => {
                let stored = match &profile.secret_version {
                    Some(version) => self.grants().credential(profile.id, version).await?,
                    None => None,
                };
                match stored {
                    Some(Credential::Password(password)) => Ok(Access::Password(password)),
                    Some(Credential::Client(_)) | None => Err(OauthError::NoPassword),
                }
            }
            Auth::Oauth2(_) => self.access_token(profile, Wanted::Valid, deadline).await.map(Access::Token),
        }
    }

    /// What to log in with after a server has refused `refused`. `None`: nothing else.
    ///
    /// # Errors
    /// See [`OauthError`].
    pub async fn other_access(
        &self,
        profile: &Profile,
        refused: &Access,
        deadline: Instant,
    ) -> Result<Option<Access>, OauthError> {
        match refused {
            Access::Password(_) => Ok(None),
            Access::Token(token) => {
                let other = self.access_token(profile, Wanted::Not(token), deadline).await?;
                Ok(Some(Access::Token(other)))
            }
        }
    }
}
