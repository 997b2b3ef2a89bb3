//! OAuth2 as a profile has it: what access is asked for and by which grant, what stands of it, and what its owner should
//! know before it breaks.

use time::{Date, Duration, OffsetDateTime};

use crate::profile::{Auth, Host, Profile};

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

impl Oauth2 {
    /// Whether a sign-in under `self` means nothing under `other`: it was for another client, provider or login.
    #[must_use]
    pub fn is_another_sign_in(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            (one.grant, one.login.to_lowercase(), one.client_id.clone(), one.discovery_url.clone())
        };
        of(self) != of(other)
    }
}

/// What stands of a sign-in. The refresh token itself is in the profile's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// When somebody signed in.
    pub since: OffsetDateTime,
    /// When the refresh token was last used: providers forget one that rests for too long.
    pub refreshed_at: OffsetDateTime,
    /// When it ends whatever happens, where the provider says it.
    pub expires_at: Option<OffsetDateTime>,
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

/// How long ahead an owner is warned.
pub const WARNED_AHEAD: Duration = Duration::days(30);

/// Something that will break on a day that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What kind.
    pub code: WarningCode,
    /// One sentence for the owner: what ends, and what to do.
    pub message: String,
    /// When it breaks.
    pub due: Date,
}

/// What will break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningCode {
    /// The client's secret ends.
    ClientSecretExpires,
    /// The sign-in ends.
    SignInExpires,
}

/// What will break within [`WARNED_AHEAD`], or has, by what is known at `now`.
#[must_use]
pub fn warnings(profile: &Profile, now: OffsetDateTime) -> Vec<Warning> {
    let Auth::Oauth2(client) = &profile.auth else { return Vec::new() };
    let near = |due: &Date| *due <= (now + WARNED_AHEAD).date();
    let mut warnings = Vec::new();
    if let Some(due) = client.client_secret_expires_on.filter(near) {
        let verb = if due < now.date() { "ended" } else { "ends" };
        warnings.push(Warning {
            code: WarningCode::ClientSecretExpires,
            message: format!(
                "The client secret {verb} on {due}: make a new one at the provider, and store it with its new date."
            ),
            due,
        });
    }
    if let Some(due) = sign_in_ends(profile, client).map(OffsetDateTime::date).filter(near) {
        warnings.push(Warning {
            code: WarningCode::SignInExpires,
            message: format!(
                "The sign-in ends on {due}, because the provider forgets what is not used: sign in again, or use the profile."
            ),
            due,
        });
    }
    warnings
}

/// When a sign-in ends if nothing happens: what the provider has said, or what is known of it.
fn sign_in_ends(profile: &Profile, client: &Oauth2) -> Option<OffsetDateTime> {
    let authorization = profile.authorization.as_ref()?;
    let host = client.discovery_url.split_once("://")?.1.split(['/', ':']).next()?;
    let family = Host::parse(host).map_or(Provider::Other, |host| Provider::of(&host));
    let idle = family.idle_limit().map(|limit| authorization.refreshed_at + limit);
    [authorization.expires_at, idle].into_iter().flatten().min()
}

/// Whether there is what a login needs: a password, a client's own access, or a sign-in.
#[must_use]
pub const fn is_authorized(profile: &Profile) -> bool {
    match &profile.auth {
        Auth::Oauth2(Oauth2 { grant: Grant::AuthorizationCode, .. }) => profile.authorization.is_some(),
        Auth::Plain { .. } | Auth::Oauth2(_) => profile.secret_version.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use time::macros::{date, datetime};

    use super::*;
    use crate::flow::FlowSchemaId;
    use crate::profile::{ProfileId, Security, Server};

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn profile(discovery_url: &str, expires_on: Option<Date>, refreshed_at: OffsetDateTime) -> Profile {
        let imap = Server {
            host: Host::parse("imap.example.com").unwrap(),
            port: NonZeroU16::new(993).unwrap(),
            security: Security::Tls,
        };
        let auth = Auth::Oauth2(Oauth2 {
            grant: Grant::AuthorizationCode,
            login: "a@example.com".to_owned(),
            client_id: "c".to_owned(),
            discovery_url: discovery_url.to_owned(),
            scopes: vec![],
            confidential: true,
            client_secret_expires_on: expires_on,
        });
        let id = ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut profile =
            Profile::listening(id, "Support", imap, auth, FlowSchemaId::parse("flow").unwrap(), NOW);
        profile.authorization = Some(Authorization { since: refreshed_at, refreshed_at, expires_at: None });
        profile
    }

    #[test]
    fn a_client_secret_is_warned_of_thirty_days_ahead_and_after() {
        let due = |on| warnings(&profile("https://id.example.com", Some(on), NOW), NOW);
        assert!(due(date!(2026 - 12 - 02)).is_empty());
        let warned = due(date!(2026 - 12 - 01));
        assert_eq!((warned.len(), warned[0].code), (1, WarningCode::ClientSecretExpires));
        assert!(warned[0].message.contains("ends on 2026-12-01"), "{}", warned[0].message);
        assert!(due(date!(2026 - 10 - 31))[0].message.contains("ended on"));
    }

    #[test]
    fn a_sign_in_is_warned_of_before_its_provider_forgets_it() {
        let warned = |url: &str, days| warnings(&profile(url, None, NOW - Duration::days(days)), NOW).len();
        let microsoft = "https://login.microsoftonline.com/common/v2.0";
        assert_eq!((warned(microsoft, 59), warned(microsoft, 60)), (0, 1));
        let google = "https://accounts.google.com/.well-known/openid-configuration";
        assert_eq!((warned(google, 149), warned(google, 150)), (0, 1));
        assert_eq!(warned("https://id.example.com:8443/", 1000), 0);
        let mut told = profile("https://id.example.com", None, NOW);
        told.authorization.as_mut().unwrap().expires_at = Some(NOW + Duration::days(7));
        assert_eq!(warnings(&told, NOW)[0].due, date!(2026 - 11 - 08));
    }
}
