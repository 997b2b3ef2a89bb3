//! What is known of the large providers.

use time::Duration;

use crate::server::Host;

/// How an OAuth2 provider grants access (RFC 6749 §1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

    /// The scopes that give access to mail, if they are known.
    ///
    /// Google: <https://developers.google.com/workspace/gmail/imap/xoauth2-protocol>. Microsoft:
    /// <https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth>.
    #[must_use]
    pub const fn scopes(self, grant: Grant) -> Option<&'static [&'static str]> {
        match (self, grant) {
            (Self::Google, Grant::AuthorizationCode) => {
                Some(&["openid", "email", "https://mail.google.com/"])
            }
            (Self::Google, Grant::JwtBearer) => Some(&["https://mail.google.com/"]),
            (Self::Microsoft, Grant::AuthorizationCode) => Some(&[
                "openid",
                "email",
                "profile",
                "offline_access",
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "https://outlook.office.com/SMTP.Send",
            ]),
            (Self::Microsoft, Grant::ClientCredentials) => Some(&["https://outlook.office365.com/.default"]),
            (Self::Google, Grant::ClientCredentials)
            | (Self::Microsoft, Grant::JwtBearer)
            | (Self::Other, _) => None,
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

/// Providers that file a copy of all that is sent through them, by the hosts that they tell people to send through: Gmail,
/// Microsoft 365 and Outlook.com, iCloud, Zoho (their documentation, 2026).
const OWN_COPIES: [&str; 10] = [
    "gmail.com",
    "googlemail.com",
    "smtp.google.com",
    "office365.com",
    "outlook.com",
    "mail.me.com",
    "icloud.com",
    "zoho.com",
    "zoho.eu",
    "zoho.in",
];

/// Whether the provider at this host files a copy of what is sent through it by itself.
#[must_use]
pub fn files_own_sent_copy(host: &Host) -> bool {
    let host = host.as_str();
    OWN_COPIES
        .iter()
        .any(|own| host.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_that_file_their_own_copies_are_known_by_their_hosts() {
        let own = |host| files_own_sent_copy(&Host::parse(host).unwrap());
        assert!(
            own("smtp.gmail.com") && own("smtp.office365.com") && own("smtp.mail.me.com") && own("gmail.com")
        );
        assert!(!own("smtp.example.com") && !own("notgmail.com") && !own("gmail.com.example.org"));
    }
}
