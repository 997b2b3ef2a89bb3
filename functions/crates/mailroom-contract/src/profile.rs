//! Profiles as their owners write them: the bodies of requests.

use std::num::NonZeroU16;

use deserr::{Deserr, ValuePointerRef};
use mailroom_core::oauth2::Oauth2;
use mailroom_core::ports::{ClientCredential, Credential};
use mailroom_core::profile::{
    AfterFetch, Auth, Profile, ProfileId, RefreshInterval, SenderIdentity, Settings, SmtpAuth, StartFrom,
};
use mailroom_core::provider::Grant;
use mailroom_core::server::{Mailbox, Security, Server, SubmissionPort};
use secrecy::SecretString;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::address::{AddressText, PersonName};
use crate::field::{
    AuthservName, ClientId, ClientSecret, Day, Description, Discovery, DiscoveryUrl, FlowId, HostName,
    Interval, Login, MailboxName, MessageBytes, Name, Port, Scope, Secret, SmtpPort, Start,
};
use crate::problem::Problems;

/// The settings of a profile, as its owner writes them.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = complete -> Problems)]
#[schema(as = Profile)]
pub struct ProfileBody {
    /// The profile's name, for people.
    pub name: Name,
    /// Any text about the profile, for people.
    #[deserr(default)]
    #[schema(inline = false, default = "")]
    pub description: Description,
    /// Whether inbound messages are fetched. A profile with `false` only sends.
    #[deserr(default = true)]
    #[schema(default = true)]
    pub listen: bool,
    /// The IMAP mailbox that is polled.
    #[deserr(default = MailboxName(Mailbox::inbox()))]
    #[schema(default = "INBOX")]
    pub mailbox: MailboxName,
    /// The host name of the IMAP server; required while `listen` is true.
    #[deserr(default)]
    pub imap_host: Option<HostName>,
    /// The port of the IMAP server.
    #[deserr(default = Port(IMAP_PORT))]
    #[schema(default = 993)]
    pub imap_port: Port,
    /// How the IMAP connection is encrypted; by default `starttls` on port 143, otherwise `tls`.
    #[deserr(default)]
    pub imap_security: Option<SecurityBody>,
    /// The host name of the SMTP server; required to send.
    #[deserr(default)]
    pub smtp_host: Option<HostName>,
    /// The port of the SMTP server.
    #[deserr(default = SmtpPort(SubmissionPort::USUAL))]
    #[schema(default = 587)]
    pub smtp_port: SmtpPort,
    /// How the SMTP connection is encrypted; by default `tls` on port 465, otherwise `starttls`.
    #[deserr(default)]
    pub smtp_security: Option<SecurityBody>,
    /// The flow schema whose flow each message starts; required while `listen` is true.
    #[deserr(default)]
    pub flow_schema_id: Option<FlowId>,
    /// How often the mailbox is polled.
    #[deserr(default = Interval(RefreshInterval::DEFAULT))]
    #[schema(default = 300)]
    pub refresh_interval: Interval,
    /// How Mailroom logs in to the mail servers.
    pub auth: AuthBody,
    /// The login for the SMTP server, if it is another one.
    #[deserr(default)]
    pub smtp_auth: Option<SmtpAuthBody>,
    /// Whom messages come from, if that is not the login.
    #[deserr(default)]
    pub from: Option<SenderBody>,
    /// Whether messages that are already marked as read start flows too.
    #[deserr(default)]
    #[schema(default = false)]
    pub include_seen: bool,
    /// Which messages start flows at the first poll.
    #[deserr(default = Start(StartFrom::Now))]
    #[schema(default = "now")]
    pub start_from: Start,
    /// What happens to a message in the mailbox after its job is handed over.
    #[deserr(default = AfterFetchBody::Keep {})]
    #[schema(default = json!({"action": "keep"}))]
    pub after_fetch: AfterFetchBody,
    /// The largest message that is fetched whole (bytes). A larger one becomes a job with its headers only.
    #[deserr(default = MessageBytes(Settings::DEFAULT_MAX_MESSAGE_BYTES))]
    #[schema(default = 26214400)]
    pub max_message_bytes: MessageBytes,
    /// The servers whose results of authentication a job has, besides those of known providers: a message's topmost
    /// Authentication-Results counts if one of these wrote it.
    #[deserr(default)]
    #[schema(max_items = 10, default = json!([]))]
    pub trusted_authserv_ids: Vec<AuthservName>,
}

/// The usual port of IMAP over implicit TLS (RFC 8314 §3.2).
const IMAP_PORT: NonZeroU16 = port(993);

const fn port(number: u16) -> NonZeroU16 {
    match NonZeroU16::new(number) {
        Some(port) => port,
        None => NonZeroU16::MIN,
    }
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Serialize, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[serde(rename_all = "lowercase")]
#[schema(as = Security)]
pub enum SecurityBody {
    /// Implicit TLS: from the first byte (RFC 8314 §3).
    Tls,
    /// TLS after the STARTTLS command.
    Starttls,
}

/// How Mailroom logs in. A secret that an update leaves out stays as it is.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, tag = "type", rename_all = lowercase, deny_unknown_fields)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = Auth)]
pub enum AuthBody {
    /// By login name and password.
    #[schema(title = "PlainAuth")]
    Plain {
        /// The login name, often the address.
        login: Login,
        /// The password. It is stored, and never shown again.
        #[deserr(default)]
        #[schema(write_only)]
        password: Option<Secret>,
    },
    /// By access tokens that an OpenID provider issues.
    #[schema(title = "Oauth2Auth")]
    Oauth2 {
        /// How the provider grants access.
        #[deserr(default = GrantBody::AuthorizationCode)]
        #[schema(default = "authorization_code")]
        grant: GrantBody,
        /// The login name whose mailbox the access tokens open.
        login: Login,
        /// The id of the client that is registered at the provider.
        client_id: ClientId,
        /// What the client authenticates with. A public client that a person signs in with has none.
        #[deserr(default)]
        #[schema(write_only)]
        client_secret: Option<ClientSecret>,
        /// The last day on which the client's secret is valid. The profile's status warns ahead of it.
        #[deserr(default)]
        client_secret_expires_on: Option<Day>,
        /// The provider's issuer, or the address of its OpenID configuration.
        discovery_url: DiscoveryUrl,
        /// The scopes to ask for. If empty, Mailroom asks for those that it knows for the provider.
        #[deserr(default)]
        #[schema(max_items = 20, default = json!([]))]
        scopes: Vec<Scope>,
    },
}

/// A login for the SMTP server alone: that of a relay, or of another account. A password that an update leaves out stays
/// as it is.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = SmtpAuth)]
pub struct SmtpAuthBody {
    /// The login name: an address, or whatever the server calls its clients, such as `apikey` or `DOMAIN\user`.
    pub login: Login,
    /// The password. It is stored, and never shown again.
    #[deserr(default)]
    #[schema(write_only)]
    pub password: Option<Secret>,
}

/// Whom messages come from: an alias, a shared mailbox, or an address that a relay sends for. The mail server decides
/// whether the login may send for it.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields)]
#[schema(as = Sender)]
pub struct SenderBody {
    /// The address in `From` and in the envelope.
    pub address: AddressText,
    /// The name beside it, unless a message brings its own.
    #[deserr(default)]
    pub name: Option<PersonName>,
}

/// How an OAuth2 provider grants access (RFC 6749 §1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr, Serialize, ToSchema)]
#[deserr(error = Problems)]
#[serde(rename_all = "snake_case")]
#[schema(as = Grant)]
pub enum GrantBody {
    /// A person signs in.
    #[deserr(rename = "authorization_code")]
    AuthorizationCode,
    /// The client has access by itself, without a person.
    #[deserr(rename = "client_credentials")]
    ClientCredentials,
    /// The client acts for the login, by an assertion that it signs (RFC 7523).
    #[deserr(rename = "jwt_bearer")]
    JwtBearer,
}

/// What happens to a message in the mailbox after its job is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserr, ToSchema)]
#[deserr(error = Problems, tag = "action", deny_unknown_fields)]
#[serde(tag = "action", rename_all = "snake_case")]
#[schema(as = AfterFetch)]
pub enum AfterFetchBody {
    /// The message stays as it is.
    #[deserr(rename = "keep")]
    Keep {},
    /// The message is marked as read (`\Seen`).
    #[deserr(rename = "mark_seen")]
    MarkSeen {},
    /// The message is moved to another mailbox.
    #[deserr(rename = "move")]
    Move {
        /// The mailbox that the message is moved to, which is not the one that is polled.
        mailbox: MailboxName,
    },
}

/// Checks what depends on more than one field.
fn complete(body: ProfileBody, _: ValuePointerRef<'_>) -> Result<ProfileBody, Problems> {
    let mut problems = Problems::default();
    if body.listen && body.imap_host.is_none() {
        problems.add("imap_host", "is required while listen is true");
    }
    if body.listen && body.flow_schema_id.is_none() {
        problems.add("flow_schema_id", "is required while listen is true");
    }
    if let AfterFetchBody::Move { mailbox } = &body.after_fetch
        && mailbox.0.is_same(&body.mailbox.0)
    {
        problems.add("after_fetch.mailbox", "must be another mailbox than the one that is polled");
    }
    if let AuthBody::Oauth2 { scopes, .. } = &body.auth
        && scopes.len() > 20
    {
        problems.add("auth.scopes", "must have at most 20 entries");
    }
    if body.trusted_authserv_ids.len() > Settings::MAX_TRUSTED_AUTHSERV_IDS {
        problems.add("trusted_authserv_ids", "must have at most 10 entries");
    }
    problems.none_or().map(|()| body)
}

/// A profile as its owner describes it, and the secret that came with it.
#[derive(Debug)]
pub struct Described {
    /// The profile as if it were new: its settings, without a secret and without a status.
    pub profile: Profile,
    /// The secret, which is stored apart from the profile; `None` if none was given.
    pub credential: Option<Credential>,
    /// The password for the SMTP server alone; `None` if none was given.
    pub smtp_password: Option<SecretString>,
    /// The address of the provider, whose host is still to be checked.
    pub discovery: Option<Discovery>,
}

impl ProfileBody {
    /// The profile that the body describes.
    #[must_use]
    pub fn describe(self, id: ProfileId, now: OffsetDateTime) -> Described {
        let server =
            |host: Option<HostName>, port: NonZeroU16, security: Option<SecurityBody>, usual: Security| {
                let security = match security {
                    Some(SecurityBody::Tls) => Security::Tls,
                    Some(SecurityBody::Starttls) => Security::StartTls,
                    None => usual,
                };
                host.map(|host| Server { host: host.0, port, security })
            };
        let (auth, credential, discovery) = self.auth.describe();
        let (smtp_auth, smtp_password) = self.smtp_auth.map(SmtpAuthBody::describe).unzip();
        let (imap_port, smtp_port) = (self.imap_port.0, self.smtp_port.0.get());
        let settings = Settings {
            name: self.name.0,
            description: self.description.0,
            listen: self.listen,
            mailbox: self.mailbox.0,
            imap: server(
                self.imap_host,
                imap_port,
                self.imap_security,
                Security::of_imap_port(imap_port.get()),
            ),
            smtp: server(
                self.smtp_host,
                smtp_port,
                self.smtp_security,
                Security::of_smtp_port(smtp_port.get()),
            ),
            flow_schema_id: self.flow_schema_id.map(|id| id.0),
            refresh_interval: self.refresh_interval.0,
            auth,
            smtp_auth,
            from: self
                .from
                .map(|from| SenderIdentity { address: from.address.0, name: from.name.map(|name| name.0) }),
            include_seen: self.include_seen,
            start_from: self.start_from.0,
            after_fetch: match self.after_fetch {
                AfterFetchBody::Keep {} => AfterFetch::Keep,
                AfterFetchBody::MarkSeen {} => AfterFetch::MarkSeen,
                AfterFetchBody::Move { mailbox } => AfterFetch::Move(mailbox.0),
            },
            max_message_bytes: self.max_message_bytes.0,
            trusted_authserv_ids: self.trusted_authserv_ids.into_iter().map(|id| id.0).collect(),
        };
        Described {
            profile: Profile::new(id, settings, now),
            credential,
            smtp_password: smtp_password.flatten(),
            discovery,
        }
    }
}

impl SmtpAuthBody {
    fn describe(self) -> (SmtpAuth, Option<SecretString>) {
        (SmtpAuth { login: self.login.0 }, self.password.map(|password| password.0))
    }
}

impl AuthBody {
    fn describe(self) -> (Auth, Option<Credential>, Option<Discovery>) {
        match self {
            Self::Plain { login, password } => {
                let credential = password.map(|password| Credential::password(password.0));
                (Auth::Plain { login: login.0 }, credential, None)
            }
            Self::Oauth2 {
                grant,
                login,
                client_id,
                client_secret,
                client_secret_expires_on,
                discovery_url,
                scopes,
            } => {
                let grant = match grant {
                    GrantBody::AuthorizationCode => Grant::AuthorizationCode,
                    GrantBody::ClientCredentials => Grant::ClientCredentials,
                    GrantBody::JwtBearer => Grant::JwtBearer,
                };
                let auth = Auth::Oauth2(Oauth2 {
                    grant,
                    login: login.0,
                    client_id: client_id.0,
                    discovery_url: discovery_url.0.url.clone(),
                    scopes: scopes.into_iter().map(|scope| scope.0).collect(),
                    confidential: client_secret.is_some(),
                    client_secret_expires_on: client_secret_expires_on.map(|day| day.0),
                });
                let credential = client_secret.map(|secret| {
                    Credential::Client(ClientCredential {
                        secret: Some(secret.0),
                        ..ClientCredential::default()
                    })
                });
                (auth, credential, Some(discovery_url.0))
            }
        }
    }
}

impl From<Security> for SecurityBody {
    fn from(security: Security) -> Self {
        match security {
            Security::Tls => Self::Tls,
            Security::StartTls => Self::Starttls,
        }
    }
}

impl From<Grant> for GrantBody {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::AuthorizationCode => Self::AuthorizationCode,
            Grant::ClientCredentials => Self::ClientCredentials,
            Grant::JwtBearer => Self::JwtBearer,
        }
    }
}
