//! How far a credential may go: to the servers and the provider that it was entered for, and no further.
//!
//! A password goes to the IMAP and the SMTP server; where the SMTP server has a login of its own, that password goes there
//! alone, and nothing else does. A client's secret goes to the provider; where the client has access by
//! itself, what the secret opens goes on to the servers. A sign-in is a person's consent for one client, login and
//! provider, and its access tokens go to the servers.
//!
//! So a change of settings that leads a credential anywhere else, be it to another port of the same host, needs the secret
//! again, and voids the sign-in. A change that leads it to fewer places needs neither.

use crate::oauth2::Oauth2;
use crate::profile::{Auth, Profile, Settings};
use crate::provider::Grant;
use crate::server::{Security, Server};

/// A setting that says where a credential goes, or whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The IMAP server's name or address.
    ImapHost,
    /// Its port.
    ImapPort,
    /// How TLS begins there.
    ImapSecurity,
    /// The SMTP server's name or address.
    SmtpHost,
    /// Its port.
    SmtpPort,
    /// How TLS begins there.
    SmtpSecurity,
    /// The login of its own for the SMTP server: without it, the other one goes there.
    SmtpAuth,
    /// The OAuth2 provider.
    DiscoveryUrl,
    /// The OAuth2 client.
    ClientId,
    /// How the provider grants access.
    Grant,
    /// The login name that a person signs in as.
    Login,
    /// Password or OAuth2.
    AuthType,
}

impl Target {
    /// The field's name, as the profile's owner writes it.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::ImapHost => "imap_host",
            Self::ImapPort => "imap_port",
            Self::ImapSecurity => "imap_security",
            Self::SmtpHost => "smtp_host",
            Self::SmtpPort => "smtp_port",
            Self::SmtpSecurity => "smtp_security",
            Self::SmtpAuth => "smtp_auth",
            Self::DiscoveryUrl => "auth.discovery_url",
            Self::ClientId => "auth.client_id",
            Self::Grant => "auth.grant",
            Self::Login => "auth.login",
            Self::AuthType => "auth.type",
        }
    }
}

/// What a change of settings would lead further than it was entered for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutOfScope {
    /// The settings that lead the stored password or client's secret further; empty: it may stay.
    pub secret: Vec<Target>,
    /// The settings that lead the stored password for the SMTP server alone further; empty: it may stay.
    pub smtp_secret: Vec<Target>,
    /// The settings that void the stored sign-in; empty: it may stay.
    pub sign_in: Vec<Target>,
}

/// What `wanted` would lead further than it was entered for, of all that is stored for `current`.
#[must_use]
pub fn out_of_scope(current: &Profile, wanted: &Settings) -> OutOfScope {
    let signed_in = current.authorization.is_some();
    let mut out_of_scope = match (&current.settings.auth, &wanted.auth) {
        (Auth::Plain { .. }, Auth::Plain { .. }) => OutOfScope {
            secret: if current.secret_version.is_some() {
                servers(&current.settings, wanted)
            } else {
                Vec::new()
            },
            ..OutOfScope::default()
        },
        (Auth::Oauth2(before), Auth::Oauth2(after)) => OutOfScope {
            secret: if before.confidential && current.secret_version.is_some() {
                client_secret(&current.settings, before, wanted, after)
            } else {
                Vec::new()
            },
            sign_in: if signed_in { sign_in(&current.settings, before, wanted, after) } else { Vec::new() },
            ..OutOfScope::default()
        },
        // The other type has a secret of its own, and this one is forgotten.
        (Auth::Oauth2(_), Auth::Plain { .. }) | (Auth::Plain { .. }, Auth::Oauth2(_)) => OutOfScope {
            sign_in: if signed_in { vec![Target::AuthType] } else { Vec::new() },
            ..OutOfScope::default()
        },
    };
    if current.settings.smtp_auth.is_some() && wanted.smtp_auth.is_some() {
        out_of_scope.smtp_secret = server(current.settings.smtp.as_ref(), wanted.smtp.as_ref(), SMTP);
    }
    out_of_scope.secret.sort_unstable();
    out_of_scope.sign_in.sort_unstable();
    out_of_scope
}

fn client_secret(current: &Settings, before: &Oauth2, wanted: &Settings, after: &Oauth2) -> Vec<Target> {
    let mut targets = provider(before, after);
    match (is_unattended(before.grant), is_unattended(after.grant)) {
        // Nothing goes to the servers before a person has signed in.
        (_, false) => {}
        // Until now it opened no mailbox without a person.
        (false, true) => targets.push(Target::Grant),
        (true, true) => targets.extend(servers(current, wanted)),
    }
    targets
}

fn sign_in(current: &Settings, before: &Oauth2, wanted: &Settings, after: &Oauth2) -> Vec<Target> {
    let mut targets = provider(before, after);
    targets.extend(servers(current, wanted));
    if before.grant != after.grant {
        targets.push(Target::Grant);
    }
    if before.login.to_lowercase() != after.login.to_lowercase() {
        targets.push(Target::Login);
    }
    targets
}

/// Whether a client has access by itself.
const fn is_unattended(grant: Grant) -> bool {
    match grant {
        Grant::AuthorizationCode => false,
        Grant::ClientCredentials | Grant::JwtBearer => true,
    }
}

fn provider(before: &Oauth2, after: &Oauth2) -> Vec<Target> {
    let mut targets = Vec::new();
    if document(&before.discovery_url) != document(&after.discovery_url) {
        targets.push(Target::DiscoveryUrl);
    }
    if before.client_id != after.client_id {
        targets.push(Target::ClientId);
    }
    targets
}

/// The address of a provider's document, however it is spelled: schemes and hosts know no case, and the well-known part
/// may be left out (OpenID Connect Discovery §4).
fn document(discovery_url: &str) -> (String, String) {
    let (scheme, rest) = discovery_url.split_once("://").unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.strip_suffix('.').unwrap_or(host);
    let path = if path.contains("/.well-known/") {
        path.to_owned()
    } else {
        format!("{}/.well-known/openid-configuration", path.trim_end_matches('/'))
    };
    (format!("{scheme}://{host}").to_ascii_lowercase(), path)
}

const IMAP: [Target; 3] = [Target::ImapHost, Target::ImapPort, Target::ImapSecurity];
const SMTP: [Target; 3] = [Target::SmtpHost, Target::SmtpPort, Target::SmtpSecurity];

/// The settings by which a login gets to servers that it did not get to before.
fn servers(before: &Settings, after: &Settings) -> Vec<Target> {
    let mut targets = server(before.imap.as_ref(), after.imap.as_ref(), IMAP);
    targets.extend(match (&before.smtp_auth, &after.smtp_auth) {
        (_, Some(_)) => Vec::new(),
        (None, None) => server(before.smtp.as_ref(), after.smtp.as_ref(), SMTP),
        // Until now another one went there.
        (Some(_), None) => after.smtp.iter().map(|_| Target::SmtpAuth).collect(),
    });
    targets
}

/// The same of one protocol, whose settings are `host`, `port` and `security`.
fn server(
    before: Option<&Server>,
    after: Option<&Server>,
    [host, port, security]: [Target; 3],
) -> Vec<Target> {
    match (before, after) {
        (_, None) => Vec::new(),
        (None, Some(_)) => vec![host],
        (Some(before), Some(after)) => {
            let changed = [
                (host, before.host != after.host),
                (port, before.port != after.port),
                (security, is_weaker(before.security, after.security)),
            ];
            changed.into_iter().filter_map(|(target, changed)| changed.then_some(target)).collect()
        }
    }
}

/// Whether TLS begins later than before: what comes before STARTTLS can be read and changed on the way (RFC 8314 §3).
const fn is_weaker(before: Security, after: Security) -> bool {
    matches!((before, after), (Security::Tls, Security::StartTls))
}

#[cfg(test)]
mod tests;
