//! Profiles as the API returns them.

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::{AfterFetch, Auth, Profile};
use mailroom_core::server::Server;
use mailroom_core::warning::{Warning, WarningCode, warnings};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use crate::audit_view::AuditView;
use crate::field::start_text;
use crate::profile::{GrantBody, SecurityBody};
use crate::time_text::{rfc3339, rfc3339_or_null};

/// A profile as the API returns it: its settings without secrets, and its status.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredProfile)]
pub struct ProfileView {
    /// The id of the profile, a ULID.
    pub id: String,
    /// The profile's name, for people.
    pub name: String,
    /// Any text about the profile, for people.
    pub description: String,
    /// Whether inbound messages are fetched.
    pub listen: bool,
    /// The IMAP mailbox that is polled.
    pub mailbox: String,
    /// The host name of the IMAP server.
    pub imap_host: Option<String>,
    /// The port of the IMAP server.
    pub imap_port: Option<u16>,
    /// How the IMAP connection is encrypted.
    pub imap_security: Option<SecurityBody>,
    /// The host name of the SMTP server.
    pub smtp_host: Option<String>,
    /// The port of the SMTP server.
    pub smtp_port: Option<u16>,
    /// How the SMTP connection is encrypted.
    pub smtp_security: Option<SecurityBody>,
    /// The flow schema whose flow each message starts.
    pub flow_schema_id: Option<String>,
    /// How often the mailbox is polled (seconds).
    pub refresh_interval: u32,
    /// How Mailroom logs in to the mail servers.
    pub auth: AuthView,
    /// The login for the SMTP server, if it is another one.
    pub smtp_auth: Option<SmtpAuthView>,
    /// Whom messages come from, if that is not the login.
    pub from: Option<SenderView>,
    /// Whether messages that are already marked as read start flows too.
    pub include_seen: bool,
    /// Which messages start flows at the first poll.
    pub start_from: String,
    /// What happens to a message in the mailbox after its job is handed over.
    pub after_fetch: AfterFetchView,
    /// The largest message that is fetched whole (bytes). A larger one becomes a job with its headers only.
    pub max_message_bytes: u64,
    /// The servers whose results of authentication a job has, besides those of known providers.
    pub trusted_authserv_ids: Vec<String>,
    /// Increases with each change of the settings; the `ETag` holds it.
    pub version: u64,
    /// When the profile was created.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When the settings were last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
    /// Whether the profile works, and since when it does not.
    pub status: StatusView,
}

/// How Mailroom logs in. Secrets are never returned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = StoredAuth)]
pub enum AuthView {
    /// By login name and password.
    Plain {
        /// The login name.
        login: String,
        /// Whether a password is stored.
        password_set: bool,
    },
    /// By access tokens that an OpenID provider issues.
    Oauth2 {
        /// How the provider grants access.
        grant: GrantBody,
        /// The login name whose mailbox the access tokens open.
        login: String,
        /// The id of the client that is registered at the provider.
        client_id: String,
        /// Whether a client secret is stored.
        client_secret_set: bool,
        /// The last day on which the client's secret is valid, if it is known.
        #[schema(format = Date)]
        client_secret_expires_on: Option<String>,
        /// The provider's issuer, or the address of its OpenID configuration.
        discovery_url: String,
        /// The scopes that are asked for.
        scopes: Vec<String>,
    },
}

/// A login for the SMTP server alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredSmtpAuth)]
pub struct SmtpAuthView {
    /// The login name.
    pub login: String,
    /// Whether a password is stored.
    pub password_set: bool,
}

/// Whom messages come from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredSender)]
pub struct SenderView {
    /// The address in `From` and in the envelope.
    pub address: String,
    /// The name beside it, unless a message brings its own.
    pub name: Option<String>,
}

/// What happens to a message in the mailbox after its job is handed over.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
#[schema(as = StoredAfterFetch)]
pub enum AfterFetchView {
    /// The message stays as it is.
    Keep,
    /// The message is marked as read (`\Seen`).
    MarkSeen,
    /// The message is moved to another mailbox.
    Move {
        /// The mailbox that the message is moved to.
        mailbox: String,
    },
}

/// Whether a profile works, and since when it does not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusView {
    /// The state of the profile.
    pub state: StateView,
    /// When a poll last succeeded. May lag by five minutes.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success_at: Option<OffsetDateTime>,
    /// When a message was last handed over.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_message_at: Option<OffsetDateTime>,
    /// The profile is not polled before this, but within five minutes after it, unless it waits for a sign-in; without it,
    /// the next poll is due within a refresh interval.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<OffsetDateTime>,
    /// The current error. The next success clears it.
    pub error: Option<ErrorView>,
    /// The mailbox's UIDVALIDITY at the last poll.
    pub uid_validity: Option<u32>,
    /// The highest UID that was handled.
    pub last_uid: Option<u32>,
    /// Whether Mailroom can log in: there is a password, a sign-in, or a client with access of its own.
    pub authorized: bool,
    /// What will stop working within 30 days, and what fails beside the polls.
    pub warnings: Vec<WarningView>,
    /// The messages that started no flow because they were read elsewhere before the poll. Empty with `include_seen`.
    pub skipped_seen: SkippedSeenView,
    /// The sign-in of the person whose mailbox it is; null: nobody is signed in.
    pub signed_in: Option<SignedInView>,
    /// The last audit of the mailbox; null before the first.
    pub audit: Option<AuditView>,
}

/// A person's sign-in at the OAuth2 provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignIn)]
pub struct SignedInView {
    /// When the person signed in.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: OffsetDateTime,
    /// When the sign-in was last used to get access. Providers forget one that nobody uses.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub refreshed_at: OffsetDateTime,
    /// When it ends whatever happens, where the provider says so.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<OffsetDateTime>,
}

/// Messages that started no flow because they were read elsewhere before the poll.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkippedSeen)]
pub struct SkippedSeenView {
    /// How many there were in this mailbox.
    pub count: u64,
    /// When a poll last skipped one.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<OffsetDateTime>,
}

/// Something that will stop working on a known day, or stopped on it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warning)]
pub struct WarningView {
    /// The kind of warning.
    pub code: WarningCodeView,
    /// A sentence or two for the owner of the mailbox: what ends or fails, and what to do.
    pub message: String,
    /// The day on which it stops working, or stopped.
    #[schema(format = Date)]
    pub due_on: String,
}

/// The kind of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WarningCode)]
pub enum WarningCodeView {
    /// The client's secret expires.
    ClientSecretExpires,
    /// The sign-in expires.
    SignInExpires,
    /// What is to be done to messages after their hand-over fails, and is tried again.
    AfterFetchFails,
    /// More than 1,000 messages were found again after a renumbering, and wait for an answer: see `fetchProfile`.
    ManyMessagesRecovered,
    /// The cursor passed UIDs at which the server may have messages: it does not list all of them, and refuses to search.
    ListingIncomplete,
    /// An audit found messages that have started no flow.
    MessagesMissing,
}

impl From<Warning> for WarningView {
    fn from(Warning { code, message, due }: Warning) -> Self {
        let code = match code {
            WarningCode::ClientSecretExpires => WarningCodeView::ClientSecretExpires,
            WarningCode::SignInExpires => WarningCodeView::SignInExpires,
            WarningCode::AfterFetchFails => WarningCodeView::AfterFetchFails,
            WarningCode::ManyMessagesRecovered => WarningCodeView::ManyMessagesRecovered,
            WarningCode::ListingIncomplete => WarningCodeView::ListingIncomplete,
            WarningCode::MessagesMissing => WarningCodeView::MessagesMissing,
        };
        Self { code, message, due_on: due.to_string() }
    }
}

/// The state of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub enum StateView {
    /// The profile was not polled since it was created or changed.
    Pending,
    /// The last poll succeeded.
    Ok,
    /// Polls fail, and are retried automatically.
    Failing,
    /// The mail server asked Mailroom to wait.
    Throttled,
    /// Polls fail until the settings are corrected: a mail server refuses the host, TLS, mailbox or login.
    Misconfigured,
    /// Polls fail until a person signs in.
    ReauthorizationRequired,
    /// The profile does not listen.
    Off,
}

/// An error that has lasted since the last success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StandingError)]
pub struct ErrorView {
    /// The kind of error.
    #[schema(schema_with = error_codes)]
    pub code: ErrorCode,
    /// One sentence for the owner of the mailbox, with the server's words.
    pub message: String,
    /// When the error first happened, with no success since.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: OffsetDateTime,
    /// How many times in a row the error has happened.
    pub count: u32,
}

/// The schema of an error's code, with the values that clients may receive.
pub(crate) fn error_codes() -> Object {
    let words = ErrorCode::ALL.iter().filter_map(|code| serde_json::to_value(code).ok());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The kind of error."))
        .enum_values(Some(words))
        .build()
}

/// A page of profiles, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfilePage {
    /// The profiles. A page may hold fewer than were asked for, and still have a next one.
    pub items: Vec<ProfileView>,
    /// The `cursor` of the next page; null at the end.
    pub next: Option<String>,
}

impl ProfileView {
    /// A profile as it is shown at `now`.
    #[must_use]
    pub fn of(profile: Profile, now: OffsetDateTime) -> Self {
        let secret = profile.secret_version.is_some();
        let status = StatusView::of(&profile, now);
        let parts = |server: Option<Server>| match server {
            Some(Server { host, port, security }) => {
                (Some(host.as_str().to_owned()), Some(port.get()), Some(security.into()))
            }
            None => (None, None, None),
        };
        let (imap_host, imap_port, imap_security) = parts(profile.settings.imap);
        let (smtp_host, smtp_port, smtp_security) = parts(profile.settings.smtp);
        Self {
            id: profile.id.to_string(),
            name: profile.settings.name,
            description: profile.settings.description,
            listen: profile.settings.listen,
            mailbox: profile.settings.mailbox.as_str().to_owned(),
            imap_host,
            imap_port,
            imap_security,
            smtp_host,
            smtp_port,
            smtp_security,
            flow_schema_id: profile.settings.flow_schema_id.map(|id| id.to_string()),
            refresh_interval: profile.settings.refresh_interval.seconds(),
            auth: match profile.settings.auth {
                Auth::Plain { login } => AuthView::Plain { login, password_set: secret },
                Auth::Oauth2(client) => AuthView::Oauth2 {
                    grant: client.grant.into(),
                    login: client.login,
                    client_id: client.client_id,
                    client_secret_set: secret && client.confidential,
                    client_secret_expires_on: client.client_secret_expires_on.map(|day| day.to_string()),
                    discovery_url: client.discovery_url,
                    scopes: client.scopes,
                },
            },
            smtp_auth: profile
                .settings
                .smtp_auth
                .map(|smtp_auth| SmtpAuthView { login: smtp_auth.login, password_set: secret }),
            from: profile.settings.from.map(|from| SenderView {
                address: from.address.as_str().to_owned(),
                name: from.name.map(|name| name.as_str().to_owned()),
            }),
            include_seen: profile.settings.include_seen,
            start_from: start_text(profile.settings.start_from),
            after_fetch: match profile.settings.after_fetch {
                AfterFetch::Keep => AfterFetchView::Keep,
                AfterFetch::MarkSeen => AfterFetchView::MarkSeen,
                AfterFetch::Move(mailbox) => AfterFetchView::Move { mailbox: mailbox.as_str().to_owned() },
            },
            max_message_bytes: profile.settings.max_message_bytes,
            trusted_authserv_ids: profile
                .settings
                .trusted_authserv_ids
                .iter()
                .map(|id| id.as_str().to_owned())
                .collect(),
            version: profile.version,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
            status,
        }
    }
}

impl From<ProfileState> for StateView {
    fn from(state: ProfileState) -> Self {
        match state {
            ProfileState::Pending => Self::Pending,
            ProfileState::Ok => Self::Ok,
            ProfileState::Failing => Self::Failing,
            ProfileState::Throttled => Self::Throttled,
            ProfileState::Misconfigured => Self::Misconfigured,
            ProfileState::ReauthorizationRequired => Self::ReauthorizationRequired,
            ProfileState::Off => Self::Off,
        }
    }
}

/// Reads the name of a state.
#[must_use]
pub fn state_named(name: &str) -> Option<ProfileState> {
    let all = [
        ProfileState::Pending,
        ProfileState::Ok,
        ProfileState::Failing,
        ProfileState::Throttled,
        ProfileState::Misconfigured,
        ProfileState::ReauthorizationRequired,
        ProfileState::Off,
    ];
    let name_of = |state| serde_json::to_value(StateView::from(state)).ok();
    all.into_iter().find(|state| name_of(*state).is_some_and(|value| value == name))
}

impl StatusView {
    fn of(profile: &Profile, now: OffsetDateTime) -> Self {
        let status = &profile.status;
        let health = profile.health();
        Self {
            state: health.state.into(),
            last_success_at: status.last_success_at,
            last_message_at: status.last_message_at,
            not_before: status.not_before,
            error: health.error.map(|error| ErrorView {
                code: error.code,
                message: error.message.clone(),
                since: error.since,
                count: error.count,
            }),
            uid_validity: profile.cursor.and_then(|cursor| cursor.uid_validity).map(|value| value.get()),
            last_uid: profile.cursor.map(|cursor| cursor.last_uid),
            authorized: profile.can_log_in(),
            warnings: warnings(profile, now).into_iter().map(WarningView::from).collect(),
            skipped_seen: SkippedSeenView {
                count: profile.skipped_seen.count,
                last_at: profile.skipped_seen.last_at,
            },
            signed_in: profile.authorization.as_ref().map(|authorization| SignedInView {
                since: authorization.since,
                refreshed_at: authorization.refreshed_at,
                expires_at: authorization.expires_at,
            }),
            audit: profile.audit.as_ref().map(AuditView::from),
        }
    }
}
