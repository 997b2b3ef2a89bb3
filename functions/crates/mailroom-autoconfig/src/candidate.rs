//! Settings that were found for an address.

use mailroom_core::address::EmailAddress;
use mailroom_core::known_provider::{AuthMethod, KnownProvider, KnownServer, LoginForm, Protocol};
use mailroom_core::server::{Host, Server};

/// Settings of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where the settings come from.
    pub origin: Origin,
    /// The document, the record or the host that says so.
    pub source: String,
    /// How likely they are right.
    pub confidence: Confidence,
    /// The provider, if it is a known one: with its instructions and its OAuth2.
    pub provider: Option<&'static KnownProvider>,
    /// The IMAP server. Without one, no messages can be fetched.
    pub imap: Option<Server>,
    /// The SMTP server.
    pub smtp: Option<Server>,
    /// Other servers of the provider.
    pub alternatives: Vec<(Protocol, Server)>,
    /// What the login is made of.
    pub login_form: LoginForm,
    /// The login, where it follows from the address.
    pub login: Option<String>,
    /// How the servers let clients in, the best way first. Empty: unknown.
    pub auth: Vec<AuthMethod>,
    /// Hosts that are neither in the address's domain nor a known provider's. A person has to confirm them before a
    /// password is sent there.
    pub unconfirmed_hosts: Vec<Host>,
}

/// Where settings come from, the most certain first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The address's domain is a known provider's.
    Provider,
    /// A known provider takes the mail for the domain.
    Mx,
    /// A document of the domain.
    Autoconfig,
    /// Thunderbird's database of providers.
    Ispdb,
    /// SRV records of the domain (RFC 6186, RFC 8314 §5.1).
    Srv,
    /// Servers with usual names answer over TLS.
    Guess,
}

/// How likely settings are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// They follow from what is proved, or from a curated list.
    High,
    /// They follow from what nobody has proved.
    Medium,
    /// They were guessed.
    Low,
}

impl Candidate {
    /// The settings of a known provider.
    pub(crate) fn of_provider(
        provider: &'static KnownProvider,
        address: &EmailAddress,
        origin: Origin,
        source: String,
    ) -> Self {
        let server = |known: &Option<KnownServer>| known.as_ref().and_then(KnownServer::server);
        let alternative = |known: &KnownServer| Some((known.protocol?, known.server()?));
        Self {
            origin,
            source,
            confidence: if provider.shared_mx { Confidence::Medium } else { Confidence::High },
            provider: Some(provider),
            imap: server(&provider.imap),
            smtp: server(&provider.smtp),
            alternatives: provider.alternatives.iter().filter_map(alternative).collect(),
            login_form: provider.login,
            login: login(provider.login, address),
            auth: provider.auth.clone(),
            unconfirmed_hosts: Vec::new(),
        }
    }

    /// Settings that were found elsewhere. Where the servers are those of a known provider, what is known of it holds.
    pub(crate) fn of_servers(
        address: &EmailAddress,
        origin: Origin,
        source: String,
        imap: Option<Server>,
        smtp: Option<Server>,
    ) -> Self {
        let provider = imap.as_ref().and_then(|imap| KnownProvider::by_imap_host(&imap.host));
        let login_form = provider.map_or(LoginForm::Address, |provider| provider.login);
        let own = |host: &Host| {
            is_below(host.as_str(), address.domain()) || provider.is_some_and(|provider| provider.has(host))
        };
        let hosts = [&imap, &smtp].into_iter().flatten().map(|server| &server.host);
        let mut unconfirmed_hosts: Vec<Host> = hosts.filter(|host| !own(host)).cloned().collect();
        unconfirmed_hosts.dedup();
        Self {
            confidence: match origin {
                Origin::Provider | Origin::Mx | Origin::Ispdb => Confidence::High,
                Origin::Autoconfig if unconfirmed_hosts.is_empty() => Confidence::High,
                Origin::Autoconfig | Origin::Srv => Confidence::Medium,
                Origin::Guess => Confidence::Low,
            },
            origin,
            source,
            provider,
            imap,
            smtp,
            alternatives: Vec::new(),
            login_form,
            login: login(login_form, address),
            auth: provider.map_or_else(Vec::new, |provider| provider.auth.clone()),
            unconfirmed_hosts,
        }
    }
}

/// The login of an address.
fn login(form: LoginForm, address: &EmailAddress) -> Option<String> {
    match form {
        LoginForm::Address => Some(address.as_str().to_owned()),
        LoginForm::LocalPart => Some(address.local().to_owned()),
        LoginForm::Other => None,
    }
}

/// Whether a host is the domain or below it.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
