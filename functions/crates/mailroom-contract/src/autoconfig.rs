//! Settings for an address, and the providers that are known.

use std::collections::BTreeMap;

use deserr::Deserr;
use mailroom_core::known_provider::{
    AuthMethod, KnownOauth2, KnownProvider, KnownServer, LoginForm, Protocol,
};
use mailroom_core::provider::Grant;
use mailroom_core::server::Server;
use serde::Serialize;
use utoipa::ToSchema;

use crate::address::AddressText;
use crate::problem::Problems;
use crate::profile::SecurityBody;

/// Whose settings are looked for.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = AutoconfigRequest)]
pub struct AutoconfigBody {
    /// The address of the mailbox.
    pub address: AddressText,
}

/// The settings that were found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Autoconfig)]
pub struct AutoconfigView {
    /// The settings that may be right, the most certain first. None: nobody says, and no server answers at a usual name.
    pub candidates: Vec<CandidateView>,
}

/// Settings of a mailbox.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsCandidate)]
pub struct CandidateView {
    /// Where the settings come from: the address's domain is a known provider's; a known provider takes its mail; a document
    /// of the domain; Thunderbird's database; SRV records; or servers at usual names that answer over TLS.
    pub origin: OriginView,
    /// The document, the record or the host that says so.
    pub source: String,
    /// `high`: it follows from a list of known providers or from the domain itself; `medium`: from what nobody has proved;
    /// `low`: it was guessed.
    pub confidence: ConfidenceView,
    /// The known provider.
    pub provider: Option<ProviderName>,
    /// The IMAP server; null: there is none, and no messages can be fetched.
    pub imap: Option<ServerView>,
    /// The SMTP server; null: it is not known.
    pub smtp: Option<ServerView>,
    /// Other servers that the provider has.
    pub alternatives: Vec<AlternativeView>,
    /// What the login is made of: the whole address, the part before the `@`, or something else.
    #[schema(value_type = String, example = "address")]
    pub login_form: &'static str,
    /// The login, where it follows from the address.
    pub login: Option<String>,
    /// What is to be said of the login.
    pub login_note: Option<String>,
    /// How the servers let clients in, the best way first: `oauth2`, `app_password` (the usual password fails), `password`.
    /// Empty: unknown.
    #[schema(value_type = Vec<String>, example = json!(["oauth2", "app_password"]))]
    pub auth: Vec<&'static str>,
    /// How to sign in with OAuth2.
    pub oauth2: Option<KnownOauth2View>,
    /// What the owner of the mailbox does before it can be connected to.
    pub instructions: Option<String>,
    /// The day on which the provider ends the service (`2027-03-31`).
    pub ends_on: Option<String>,
    /// Hosts that are neither in the address's domain nor a known provider's: nothing proves that they are the mailbox's, so
    /// a person should confirm them before a password is sent there.
    pub unconfirmed_hosts: Vec<String>,
}

/// Where settings come from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SettingsOrigin)]
pub enum OriginView {
    /// The address's domain is a known provider's.
    Provider,
    /// A known provider takes the mail for the domain.
    Mx,
    /// A document of the domain.
    Autoconfig,
    /// Thunderbird's database of providers.
    Ispdb,
    /// SRV records of the domain (RFC 6186).
    Srv,
    /// Servers at usual names answer over TLS.
    Guess,
}

/// How likely settings are right.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SettingsConfidence)]
pub enum ConfidenceView {
    /// They follow from a list of known providers, or from the domain itself.
    High,
    /// They follow from what nobody has proved.
    Medium,
    /// They were guessed.
    Low,
}

/// A provider, by its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderName {
    /// A short name, as in the list of providers.
    pub id: String,
    /// Its name, as people know it.
    pub name: String,
}

/// A mail server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailServer)]
pub struct ServerView {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: SecurityBody,
}

/// Another server of a provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlternativeServer)]
pub struct AlternativeView {
    /// What it is for: `imap` or `smtp`.
    #[schema(value_type = String, example = "smtp")]
    pub protocol: &'static str,
    /// The server.
    pub server: ServerView,
}

/// A provider's OAuth2.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnownOauth2)]
pub struct KnownOauth2View {
    /// The `discovery_url` of a profile.
    pub discovery_url: String,
    /// The scopes that give access to mail, by `grant`.
    pub scopes: BTreeMap<&'static str, Vec<String>>,
    /// What whoever registers a client has to know.
    pub note: Option<String>,
}

/// A known provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnownProvider)]
pub struct KnownProviderView {
    /// A short name for it.
    pub id: String,
    /// Its name, as people know it.
    pub name: String,
    /// The domains of its addresses.
    pub domains: Vec<String>,
    /// The IMAP server; null: it has none.
    pub imap: Option<ServerView>,
    /// The SMTP server; null: it has none.
    pub smtp: Option<ServerView>,
    /// Other servers that it has.
    pub alternatives: Vec<AlternativeView>,
    /// What its logins are made of: `address`, `local_part` or `other`.
    #[schema(value_type = String, example = "address")]
    pub login_form: &'static str,
    /// What is to be said of the login.
    pub login_note: Option<String>,
    /// How its servers let clients in, the best way first.
    #[schema(value_type = Vec<String>)]
    pub auth: Vec<&'static str>,
    /// How to sign in with OAuth2.
    pub oauth2: Option<KnownOauth2View>,
    /// What the owner of a mailbox does before it can be connected to.
    pub instructions: String,
    /// The day on which it ends the service.
    pub ends_on: Option<String>,
    /// Whether it files a copy of all that is sent through it; null: unknown.
    pub files_own_sent_copy: Option<bool>,
    /// The most connections that one mailbox may have; null: unknown.
    pub max_connections: Option<u16>,
}

/// All known providers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderList {
    /// The providers.
    pub items: Vec<KnownProviderView>,
}

impl ProviderList {
    /// The list.
    #[must_use]
    pub fn of_all() -> Self {
        Self { items: KnownProvider::all().iter().map(KnownProviderView::of).collect() }
    }
}

impl KnownProviderView {
    fn of(provider: &KnownProvider) -> Self {
        let server = |known: &Option<KnownServer>| {
            known.as_ref().and_then(KnownServer::server).as_ref().map(ServerView::of)
        };
        let alternatives =
            provider.alternatives.iter().filter_map(|known| Some((known.protocol?, known.server()?)));
        Self {
            id: provider.id.clone(),
            name: provider.name.clone(),
            domains: provider.domains.clone(),
            imap: server(&provider.imap),
            smtp: server(&provider.smtp),
            alternatives: alternatives
                .map(|(protocol, server)| AlternativeView::of(protocol, &server))
                .collect(),
            login_form: login_form_name(provider.login),
            login_note: provider.login_note.clone(),
            auth: auth_names(&provider.auth),
            oauth2: provider.oauth2.as_ref().map(KnownOauth2View::of),
            instructions: provider.instructions.clone(),
            ends_on: provider.ends_on.map(|day| day.to_string()),
            files_own_sent_copy: provider.files_own_sent_copy,
            max_connections: provider.max_connections,
        }
    }
}

impl KnownOauth2View {
    /// What is known of a provider's OAuth2.
    #[must_use]
    pub fn of(known: &KnownOauth2) -> Self {
        let name = |grant| match grant {
            Grant::AuthorizationCode => "authorization_code",
            Grant::ClientCredentials => "client_credentials",
            Grant::JwtBearer => "jwt_bearer",
        };
        let scopes = known.grants().filter_map(|grant| Some((name(grant), known.scopes(grant)?.to_vec())));
        Self {
            discovery_url: known.discovery_url.clone(),
            scopes: scopes.collect(),
            note: known.note.clone(),
        }
    }
}

impl ServerView {
    /// A server as the API shows it.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        Self { host: server.host.to_string(), port: server.port.get(), security: server.security.into() }
    }
}

impl AlternativeView {
    /// Another server as the API shows it.
    #[must_use]
    pub fn of(protocol: Protocol, server: &Server) -> Self {
        let protocol = match protocol {
            Protocol::Imap => "imap",
            Protocol::Smtp => "smtp",
        };
        Self { protocol, server: ServerView::of(server) }
    }
}

/// The name of what a login is made of.
#[must_use]
pub const fn login_form_name(form: LoginForm) -> &'static str {
    match form {
        LoginForm::Address => "address",
        LoginForm::LocalPart => "local_part",
        LoginForm::Other => "other",
    }
}

/// The names of the ways in which servers let clients in.
#[must_use]
pub fn auth_names(methods: &[AuthMethod]) -> Vec<&'static str> {
    let name = |method: &AuthMethod| match method {
        AuthMethod::Oauth2 => "oauth2",
        AuthMethod::AppPassword => "app_password",
        AuthMethod::Password => "password",
    };
    methods.iter().map(name).collect()
}
