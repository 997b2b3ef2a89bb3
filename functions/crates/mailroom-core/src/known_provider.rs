//! Mail providers whose servers, logins and habits are known. The facts are data (`providers.json`), each with the public
//! sources that it was taken from.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use serde::Deserialize;
use time::Date;

use crate::provider::{Grant, Provider};
use crate::server::{Host, Security, Server};

/// The facts, in the order in which providers are looked for.
const PROVIDERS: &str = include_str!("providers.json");

/// A mail provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownProvider {
    /// A short name of ours for it.
    pub id: String,
    /// Its name, as people know it.
    pub name: String,
    /// The domains of its addresses.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Which hosts take mail for its customers' own domains: each with all below it.
    #[serde(default)]
    pub mx_suffixes: Vec<String>,
    /// Whether these hosts take mail for other services too, and so prove nothing.
    #[serde(default)]
    pub shared_mx: bool,
    /// The IMAP server. Without one there is no mailbox that can be fetched from.
    pub imap: Option<KnownServer>,
    /// The SMTP server.
    pub smtp: Option<KnownServer>,
    /// Other servers that it has, which are tried where these do not work.
    #[serde(default)]
    pub alternatives: Vec<KnownServer>,
    /// What its logins are.
    pub login: LoginForm,
    /// What is to be said of the login.
    pub login_note: Option<String>,
    /// How its servers let clients in, the best way first.
    #[serde(default)]
    pub auth: Vec<AuthMethod>,
    /// How to sign in with OAuth2.
    pub oauth2: Option<KnownOauth2>,
    /// What the owner of a mailbox does before it can be connected to. A sentence or two.
    pub instructions: String,
    /// The day on which the service ends.
    #[serde(default, with = "day")]
    pub ends_on: Option<Date>,
    /// Whether it files a copy of all that is sent through it. `None`: unknown.
    pub files_own_sent_copy: Option<bool>,
    /// The most connections that one mailbox may have.
    pub max_connections: Option<u16>,
}

/// A server of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownServer {
    /// What the server is for; only alternatives say it.
    #[serde(rename = "for")]
    pub protocol: Option<Protocol>,
    host: String,
    port: NonZeroU16,
    security: KnownSecurity,
}

/// The protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// SMTP submission.
    Smtp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KnownSecurity {
    Tls,
    Starttls,
}

/// What a mailbox's login is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginForm {
    /// The whole address.
    Address,
    /// The part of the address before the `@`.
    LocalPart,
    /// Something that does not follow from the address.
    Other,
}

/// How a server lets a client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// By signing in at the provider.
    #[serde(rename = "oauth2")]
    Oauth2,
    /// By a password that is made for one client; the one of the web mail fails.
    AppPassword,
    /// By the password of the mailbox.
    Password,
}

/// A provider's OAuth2.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownOauth2 {
    /// Where its metadata is found.
    pub discovery_url: String,
    scopes: BTreeMap<Grant, Vec<String>>,
    /// What whoever registers a client has to know.
    pub note: Option<String>,
}

impl KnownOauth2 {
    /// The ways in which access is granted.
    pub fn grants(&self) -> impl Iterator<Item = Grant> {
        self.scopes.keys().copied()
    }

    /// The scopes that give access to mail.
    #[must_use]
    pub fn scopes(&self, grant: Grant) -> Option<&[String]> {
        self.scopes.get(&grant).map(Vec::as_slice)
    }
}

impl KnownServer {
    /// The server as a profile has it. `None` where its host is not a host name: a test finds none.
    #[must_use]
    pub fn server(&self) -> Option<Server> {
        let security = match self.security {
            KnownSecurity::Tls => Security::Tls,
            KnownSecurity::Starttls => Security::StartTls,
        };
        Some(Server { host: Host::parse(&self.host).ok()?, port: self.port, security })
    }
}

impl KnownProvider {
    /// All providers.
    #[must_use]
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<KnownProvider>> =
            LazyLock::new(|| serde_json::from_str(PROVIDERS).unwrap_or_default());
        &ALL
    }

    /// The provider with this id.
    #[must_use]
    pub fn by_id(id: &str) -> Option<&'static Self> {
        Self::all().iter().find(|provider| provider.id == id)
    }

    /// The provider whose addresses end in this domain, or in one above it.
    #[must_use]
    pub fn by_domain(domain: &Host) -> Option<&'static Self> {
        let named = |domain: &str| {
            Self::all().iter().find(|provider| provider.domains.iter().any(|known| known == domain))
        };
        // Customers have domains below onmicrosoft.com and the like, and nobody has one below gmail.com.
        ancestors(domain.as_str()).find_map(named)
    }

    /// The provider whose hosts take mail for a domain (RFC 5321 §5.1).
    #[must_use]
    pub fn by_mx(exchange: &Host) -> Option<&'static Self> {
        let named = |host: &str| {
            Self::all().iter().find(|provider| provider.mx_suffixes.iter().any(|known| known == host))
        };
        ancestors(exchange.as_str()).find_map(named)
    }

    /// The provider with this IMAP server.
    #[must_use]
    pub fn by_imap_host(host: &Host) -> Option<&'static Self> {
        let is = |server: &KnownServer| server.host == host.as_str();
        Self::all().iter().find(|provider| provider.imap.as_ref().is_some_and(is))
    }

    /// Whether a host is one of the provider's: it is below the domain of one of its servers, or of its addresses.
    #[must_use]
    pub fn has(&self, host: &Host) -> bool {
        let servers = self.imap.iter().chain(&self.smtp).chain(&self.alternatives);
        let domains = servers.filter_map(|server| server.host.split_once('.').map(|(_, domain)| domain));
        let mut domains = domains.chain(self.domains.iter().map(String::as_str));
        domains.any(|domain| ancestors(host.as_str()).any(|ancestor| ancestor == domain))
    }
}

/// The scopes that give access to mail at a provider, if they are known.
#[must_use]
pub fn mail_scopes(provider: Provider, grant: Grant) -> Option<&'static [String]> {
    let id = match (provider, grant) {
        (Provider::Google, Grant::JwtBearer) => "google_workspace",
        (Provider::Google, Grant::AuthorizationCode | Grant::ClientCredentials) => "gmail",
        (Provider::Microsoft, _) => "microsoft365",
        (Provider::Other, _) => return None,
    };
    KnownProvider::by_id(id)?.oauth2.as_ref()?.scopes(grant)
}

/// Whether the provider at this host files a copy of what is sent through it by itself.
#[must_use]
pub fn files_own_sent_copy(host: &Host) -> bool {
    let mut own = KnownProvider::all().iter().filter(|provider| provider.files_own_sent_copy == Some(true));
    own.any(|provider| provider.has(host))
}

/// A name and those above it, down to two labels.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, above)| above))
        .filter(|name| name.contains('.'))
}

/// A day as `2027-03-31`.
mod day {
    use serde::{Deserialize as _, Deserializer, de};
    use time::Date;
    use time::macros::format_description;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        let parse = |text: String| Date::parse(&text, format_description!("[year]-[month]-[day]"));
        text.map(parse).transpose().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[test]
    fn the_facts_are_sound() {
        let all: Vec<KnownProvider> = serde_json::from_str(PROVIDERS).unwrap();
        assert!(all.len() >= 138, "{}", all.len());
        let mut seen = HashSet::new();
        for provider in &all {
            let id = &provider.id;
            assert!(seen.insert(format!("id {id}")), "{id} is there twice");
            for name in provider.domains.iter().chain(&provider.mx_suffixes) {
                assert_eq!(host(name).as_str(), name, "{id}: {name} is not written as hosts are compared");
                assert!(name.contains('.'), "{id}: {name}");
            }
            for name in &provider.domains {
                assert!(seen.insert(format!("domain {name}")), "{id}: {name} is another's too");
            }
            for name in &provider.mx_suffixes {
                assert!(seen.insert(format!("mx {name}")), "{id}: {name} is another's too");
            }
            for server in provider.imap.iter().chain(&provider.smtp).chain(&provider.alternatives) {
                let server = server.server().unwrap_or_else(|| panic!("{id}: {server:?}"));
                assert_ne!(server.port.get(), 25, "{id}");
                match server.port.get() {
                    465 | 993 => assert_eq!(server.security, Security::Tls, "{id}: {server:?}"),
                    143 | 2525 => assert_eq!(server.security, Security::StartTls, "{id}: {server:?}"),
                    // Charter has implicit TLS there.
                    other => assert_eq!(other, 587, "{id}"),
                }
            }
            assert!(provider.alternatives.iter().all(|server| server.protocol.is_some()), "{id}");
            // Whoever has a server says how to log in, and whoever has OAuth2 where.
            assert_eq!(provider.auth.is_empty(), provider.imap.is_none() && provider.smtp.is_none(), "{id}");
            assert_eq!(provider.auth.contains(&AuthMethod::Oauth2), provider.oauth2.is_some(), "{id}");
            if let Some(oauth2) = &provider.oauth2 {
                assert!(oauth2.discovery_url.starts_with("https://"), "{id}");
                assert!(oauth2.scopes.values().all(|scopes| !scopes.is_empty()), "{id}");
            }
            assert!(provider.instructions.ends_with('.'), "{id}: {}", provider.instructions);
        }
    }

    #[test]
    fn providers_are_found_by_domain_and_by_mail_exchanger() {
        let by_domain = |domain| KnownProvider::by_domain(&host(domain)).map(|found| found.id.as_str());
        assert_eq!(by_domain("gmail.com"), Some("gmail"));
        assert_eq!(by_domain("vip.163.com"), Some("netease_vip"));
        assert_eq!(by_domain("contoso.onmicrosoft.com"), Some("microsoft365"));
        assert_eq!(by_domain("example.com"), None);
        let by_mx = |exchange| KnownProvider::by_mx(&host(exchange)).map(|found| found.id.as_str());
        assert_eq!(by_mx("aspmx.l.google.com"), Some("google_workspace"));
        assert_eq!(by_mx("contoso-com.mail.protection.outlook.com"), Some("microsoft365"));
        assert_eq!(by_mx("mx.notgoogle.com"), None);
    }

    #[test]
    fn a_host_is_its_providers() {
        let gmail = KnownProvider::by_id("gmail").unwrap();
        assert!(gmail.has(&host("smtp.gmail.com")) && gmail.has(&host("smtp-relay.gmail.com")));
        assert!(!gmail.has(&host("gmail.com.example.org")) && !gmail.has(&host("notgmail.com")));
    }

    #[test]
    fn scopes_are_those_that_the_providers_document() {
        let scopes = |provider, grant| mail_scopes(provider, grant).map(<[String]>::concat);
        let google = scopes(Provider::Google, Grant::AuthorizationCode).unwrap();
        assert!(google.ends_with("https://mail.google.com/") && google.starts_with("openid"));
        let unattended = scopes(Provider::Google, Grant::JwtBearer);
        assert_eq!(unattended.as_deref(), Some("https://mail.google.com/"));
        assert_eq!(scopes(Provider::Google, Grant::ClientCredentials), None);
        let unattended = scopes(Provider::Microsoft, Grant::ClientCredentials);
        assert_eq!(unattended.as_deref(), Some("https://outlook.office365.com/.default"));
        let microsoft = scopes(Provider::Microsoft, Grant::AuthorizationCode).unwrap();
        assert!(microsoft.contains("offline_access") && microsoft.contains("IMAP.AccessAsUser.All"));
        assert_eq!(scopes(Provider::Microsoft, Grant::JwtBearer), None);
        assert_eq!(scopes(Provider::Other, Grant::AuthorizationCode), None);
    }

    #[test]
    fn providers_that_file_their_own_copies_are_known_by_their_hosts() {
        let own = |name| files_own_sent_copy(&host(name));
        for name in ["smtp.gmail.com", "smtp.office365.com", "smtp.mail.me.com", "gmail.com", "smtp.zoho.in"]
        {
            assert!(own(name), "{name}");
        }
        for name in ["smtp.example.com", "notgmail.com", "gmail.com.example.org", "smtp.fastmail.com"] {
            assert!(!own(name), "{name}");
        }
    }
}
