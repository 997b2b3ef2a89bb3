//! Profiles as they are shown.

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::ErrorCode;
use mailroom_core::profile::{AfterFetch, Auth, Profile};
use mailroom_core::server::Server;
use mailroom_core::warning::{Warning, WarningCode, warnings};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use crate::field::start_text;
use crate::profile::{GrantBody, SecurityBody};

/// A profile as it is shown: its settings without secrets, and its state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredProfile)]
pub struct ProfileView {
    /// Its id, a ULID of ours.
    pub id: String,
    /// What you call it.
    pub name: String,
    /// Your notes.
    pub description: String,
    /// Whether inbound messages are fetched.
    pub listen: bool,
    /// The IMAP mailbox that is polled.
    pub mailbox: String,
    /// The IMAP server.
    pub imap_host: Option<String>,
    /// Its port.
    pub imap_port: Option<u16>,
    /// How TLS begins.
    pub imap_security: Option<SecurityBody>,
    /// The SMTP server.
    pub smtp_host: Option<String>,
    /// Its port.
    pub smtp_port: Option<u16>,
    /// How TLS begins.
    pub smtp_security: Option<SecurityBody>,
    /// The flow that each message starts.
    pub flow_schema_id: Option<String>,
    /// Seconds between two polls.
    pub refresh_interval: u32,
    /// What is logged in with.
    pub auth: AuthView,
    /// Whether messages that were read before the poll count.
    pub include_seen: bool,
    /// Which messages count at the first poll.
    pub start_from: String,
    /// What is done to a message once its job is handed over.
    pub after_fetch: AfterFetchView,
    /// Larger messages become jobs of their headers (bytes).
    pub max_message_bytes: u64,
    /// Counts the changes of the settings; the `ETag`.
    pub version: u64,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When its settings were last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: OffsetDateTime,
    /// How it is doing.
    pub status: StatusView,
}

/// What is logged in with. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = StoredAuth)]
pub enum AuthView {
    /// Login and password.
    Plain {
        /// The login name.
        login: String,
        /// Whether a password is stored.
        password_set: bool,
    },
    /// OAuth2.
    Oauth2 {
        /// How access is granted.
        grant: GrantBody,
        /// The login name that the token is for.
        login: String,
        /// The client's id.
        client_id: String,
        /// Whether a client's secret is stored.
        client_secret_set: bool,
        /// The last day of the client's secret, if it was told.
        #[schema(format = Date)]
        client_secret_expires_on: Option<String>,
        /// Where the provider's OpenID configuration is.
        discovery_url: String,
        /// The scopes that are asked for.
        scopes: Vec<String>,
    },
}

/// What is done to a message once its job is handed over.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
#[schema(as = StoredAfterFetch)]
pub enum AfterFetchView {
    /// Nothing.
    Keep,
    /// `\Seen` is set.
    MarkSeen,
    /// It is moved.
    Move {
        /// Where to.
        mailbox: String,
    },
}

/// How a profile is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusView {
    /// In a word.
    pub state: StateView,
    /// The last poll that succeeded; may lag by five minutes.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success_at: Option<OffsetDateTime>,
    /// When a message was last handed over.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_message_at: Option<OffsetDateTime>,
    /// No poll before this; without it the next is due within a refresh interval.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<OffsetDateTime>,
    /// The error that stands; a success clears it.
    pub error: Option<ErrorView>,
    /// The mailbox's UIDVALIDITY at the last poll.
    pub uid_validity: Option<u32>,
    /// The highest UID that is handled.
    pub last_uid: Option<u32>,
    /// Whether there is what a login needs: a password, a client's own access, or a sign-in.
    pub authorized: bool,
    /// What will break within 30 days.
    pub warnings: Vec<WarningView>,
}

/// Something that will break on a day that is known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warning)]
pub struct WarningView {
    /// What kind.
    pub code: WarningCodeView,
    /// One sentence for the owner of the mailbox: what ends, and what to do.
    pub message: String,
    /// When it breaks.
    #[schema(format = Date)]
    pub due_on: String,
}

/// What will break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WarningCode)]
pub enum WarningCodeView {
    /// The client's secret ends.
    ClientSecretExpires,
    /// The sign-in ends.
    SignInExpires,
}

impl From<Warning> for WarningView {
    fn from(Warning { code, message, due }: Warning) -> Self {
        let code = match code {
            WarningCode::ClientSecretExpires => WarningCodeView::ClientSecretExpires,
            WarningCode::SignInExpires => WarningCodeView::SignInExpires,
        };
        Self { code, message, due_on: due.to_string() }
    }
}

/// A profile's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub enum StateView {
    /// Not polled yet since it was made or changed.
    Pending,
    /// The last poll succeeded.
    Ok,
    /// It fails for now, and is tried again by itself.
    Failing,
    /// The server asked for a pause.
    Throttled,
    /// You have to act: host, TLS, mailbox or login are refused.
    Misconfigured,
    /// Someone has to sign in.
    ReauthorizationRequired,
    /// It does not listen.
    Off,
}

/// An error that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StandingError)]
pub struct ErrorView {
    /// What kind.
    #[schema(schema_with = error_codes)]
    pub code: ErrorCode,
    /// One sentence for the owner of the mailbox, with the server's words.
    pub message: String,
    /// When it first happened, without a success since.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: OffsetDateTime,
    /// How often, in a row.
    pub count: u32,
}

/// The schema of an error's code: the words that clients may see.
pub(crate) fn error_codes() -> Object {
    let words = ErrorCode::ALL.iter().filter_map(|code| serde_json::to_value(code).ok());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What kind."))
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

/// Milliseconds are enough, and every client reads them.
pub(crate) fn rfc3339<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = at.replace_nanosecond(at.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(*at);
    serializer.serialize_str(&whole.format(&Rfc3339).map_err(serde::ser::Error::custom)?)
}

pub(crate) fn rfc3339_or_null<S: Serializer>(
    at: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
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
            include_seen: profile.settings.include_seen,
            start_from: start_text(profile.settings.start_from),
            after_fetch: match profile.settings.after_fetch {
                AfterFetch::Keep => AfterFetchView::Keep,
                AfterFetch::MarkSeen => AfterFetchView::MarkSeen,
                AfterFetch::Move(mailbox) => AfterFetchView::Move { mailbox: mailbox.as_str().to_owned() },
            },
            max_message_bytes: profile.settings.max_message_bytes,
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
        }
    }
}
