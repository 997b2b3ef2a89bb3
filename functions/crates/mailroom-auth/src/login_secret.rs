//! The secret that a profile logs in with: its stored password, or an access token.

use mailroom_core::ports::{Credential, Grants};
use mailroom_core::profile::{Auth, Profile};
use mailroom_net::login::Secret;
use tokio::time::Instant;

use crate::error::OauthError;
use crate::tokens::{Acceptable, Tokens};

impl<G: Grants + 'static> Tokens<G> {
    /// The secret that the profile logs in with.
    ///
    /// # Errors
    /// See [`OauthError`].
    pub async fn login_secret(&self, profile: &Profile, deadline: Instant) -> Result<Secret, OauthError> {
        match &profile.settings.auth {
            Auth::Plain { .. } => {
                let stored = match &profile.secret_version {
                    Some(version) => self.grants().credential(profile.id, version).await?,
                    None => None,
                };
                match stored {
                    Some(Credential::Password { password, .. }) => Ok(Secret::Password(password)),
                    Some(Credential::Client(_)) | None => Err(OauthError::NoPassword),
                }
            }
            Auth::Oauth2(_) => {
                self.access_token(profile, Acceptable::Any, deadline).await.map(Secret::AccessToken)
            }
        }
    }

    /// The secret that the profile logs in to the SMTP server with: the same, unless that has a login of its own.
    ///
    /// # Errors
    /// See [`OauthError`].
    pub async fn smtp_login_secret(
        &self,
        profile: &Profile,
        deadline: Instant,
    ) -> Result<Secret, OauthError> {
        if profile.settings.smtp_auth.is_none() {
            return self.login_secret(profile, deadline).await;
        }
        let stored = match &profile.secret_version {
            Some(version) => self.grants().credential(profile.id, version).await?,
            None => None,
        };
        let password = stored.as_ref().and_then(Credential::smtp_password);
        password.cloned().map(Secret::Password).ok_or(OauthError::NoPassword)
    }

    /// Another secret after a server refused `refused`; `None` for a password, which has no other.
    ///
    /// # Errors
    /// See [`OauthError`].
    pub async fn other_login_secret(
        &self,
        profile: &Profile,
        refused: &Secret,
        deadline: Instant,
    ) -> Result<Option<Secret>, OauthError> {
        match refused {
            Secret::Password(_) => Ok(None),
            Secret::AccessToken(token) => {
                let other = self.access_token(profile, Acceptable::Except(token), deadline).await?;
                Ok(Some(Secret::AccessToken(other)))
            }
        }
    }
}
