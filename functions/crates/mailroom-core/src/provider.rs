//! What is known of the large providers.

use serde::Deserialize;
use time::Duration;

use crate::server::Host;

/// How an OAuth2 provider grants access (RFC 6749 §1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// A person signs in (§4.1).
    #[default]
    AuthorizationCode,
    /// The client has access by itself (§4.4).
    ClientCredentials,
    /// The client acts for a user, with an assertion that it signs (RFC 7523 §2.1).
    JwtBearer,
}

/// The providers that are known by more than their discovery document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Gmail and Google Workspace.
    Google,
    /// Outlook.com and Microsoft 365.
    Microsoft,
    /// Any other.
    Other,
}

impl Provider {
    /// The family of the provider at this host.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        match host.as_str() {
            "accounts.google.com" => Self::Google,
            "login.microsoftonline.com"
            | "login.microsoftonline.us"
            | "login.partner.microsoftonline.cn"
            | "login.windows.net"
            | "sts.windows.net" => Self::Microsoft,
            _ => Self::Other,
        }
    }

    /// How long the refresh token that is stored is used, although the provider gives a new one with each access token;
    /// `None`: a used one may be void, so the new one is stored at once.
    ///
    /// Microsoft does not revoke a refresh token that was used:
    /// <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>.
    #[must_use]
    pub const fn stores_new_token_after(self) -> Option<Duration> {
        match self {
            Self::Microsoft => Some(Duration::DAY),
            Self::Google | Self::Other => None,
        }
    }

    /// For how long a refresh token may rest before the provider forgets it, if that is known.
    #[must_use]
    pub const fn idle_limit(self) -> Option<Duration> {
        match self {
            Self::Google => Some(Duration::days(180)),
            Self::Microsoft => Some(Duration::days(90)),
            Self::Other => None,
        }
    }
}
