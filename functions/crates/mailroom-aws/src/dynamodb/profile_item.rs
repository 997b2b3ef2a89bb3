//! The table's items on the wire, apart from the domain's types: what is stored outlives any version of the code.
//!
//! A profile in ordinary use stays below 1 KB, so that a query reads eight of them for half a read unit. Times are
//! milliseconds since 1970.

use std::num::NonZeroU16;

use mailroom_core::address::{EmailAddress, HeaderText};
use mailroom_core::authserv_id::AuthservId;
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::inbound::cursor::Uid;
use mailroom_core::inbound::schedule::{SHARDS, sort_key};
use mailroom_core::oauth2::Oauth2;
use mailroom_core::profile::{
    AfterFetch, Auth, Profile, ProfileId, RefreshInterval, SenderIdentity, Settings, SmtpAuth, StartFrom,
};
use mailroom_core::provider::Grant;
use mailroom_core::server::{Host, Mailbox, Security, Server};
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Iso8601;

use super::attribute::{Unreadable, invalid, is_false, millis, time_of};
use super::audit_item::AuditItem;
use super::deferred_item::DeferredItem;
use super::held_item::HeldItem;
use super::overdue_item::OverdueItem;
use super::state_item::{AuthorizationItem, CursorItem, SendingItem, SkippedSeenItem, StatusItem};

/// The sort key of a profile's item.
pub(crate) const PROFILE: &str = "PROFILE";

/// The sort key of a flow schema's item.
pub(crate) const FLOW: &str = "FLOW";

/// The partition of the directory that holds the profiles.
pub(crate) const PROFILES: &str = "PROFILE";

/// The partition of the directory that holds the flow schemas.
pub(crate) const FLOWS: &str = "FLOW";

/// The partition key of everything about a profile.
pub(crate) fn profile_key(id: ProfileId) -> String {
    format!("PROFILE#{id}")
}

/// The partition key of a flow schema.
pub(crate) fn flow_key(id: &str) -> String {
    format!("FLOW#{id}")
}

/// The index's partition: an interval and one of its shards.
pub(crate) fn poll_key(interval: RefreshInterval, shard: u8) -> String {
    format!("{}#{shard:x}", interval.seconds())
}

/// The shard of a profile, for ever: its id ends in random characters.
fn shard(id: ProfileId) -> u8 {
    let sum =
        id.to_string().bytes().rev().take(4).fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    sum % SHARDS
}

/// What a search looks into: one line each, in lower case.
fn search(profile: &Profile) -> String {
    let host = |server: &Option<Server>| server.as_ref().map(|server| server.host.as_str().to_owned());
    let lines = [
        Some(profile.settings.name.clone()),
        Some(profile.settings.auth.login().to_owned()),
        profile.settings.from.as_ref().map(|from| from.address.as_str().to_owned()),
        host(&profile.settings.imap),
        host(&profile.settings.smtp),
    ];
    lower_case(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// Lower case, letter by letter: part of a text stays part of it, though a Greek word's last sigma has a form of its own.
pub(crate) fn lower_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A profile as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProfileItem {
    #[serde(rename = "PK")]
    pk: String,
    #[serde(rename = "SK")]
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll_sort: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list_sort: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search: Option<String>,
    /// The address that it sends from, as [`EmailAddress::key`] has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    id: String,
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    listen: bool,
    mailbox: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imap: Option<ServerItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    smtp: Option<ServerItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flow_schema_id: Option<String>,
    refresh_interval: u32,
    auth: AuthItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    smtp_auth: Option<SmtpAuthItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    send_from: Option<SenderItem>,
    #[serde(default, skip_serializing_if = "is_false")]
    include_seen: bool,
    start_from: String,
    #[serde(default)]
    after_fetch: AfterFetchItem,
    max_message_bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    trusted_authserv_ids: Vec<String>,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorization: Option<AuthorizationItem>,
    created_at: i64,
    updated_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listens_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<CursorItem>,
    /// `deferred` alone is a word that DynamoDB reserves.
    #[serde(rename = "deferred_messages", default, skip_serializing_if = "Vec::is_empty")]
    deferred: Vec<DeferredItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_back: Option<HeldItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declined: Option<HeldItem>,
    #[serde(rename = "overdue_changes", default, skip_serializing_if = "Option::is_none")]
    overdue: Option<OverdueItem>,
    #[serde(default, skip_serializing_if = "SkippedSeenItem::is_nothing")]
    skipped_seen: SkippedSeenItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsearched_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats_up_to: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audit: Option<AuditItem>,
    status: StatusItem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sending: Option<SendingItem>,
    /// When the lease ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease_until: Option<i64>,
    #[serde(default)]
    pub(crate) fence: u64,
    #[serde(default)]
    pub(crate) tries: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ServerItem {
    host: String,
    port: u16,
    security: SecurityItem,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SecurityItem {
    Tls,
    Starttls,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum AuthItem {
    Plain {
        login: String,
    },
    Oauth2 {
        #[serde(default)]
        grant: GrantItem,
        login: String,
        client_id: String,
        discovery_url: String,
        scopes: Vec<String>,
        #[serde(default, skip_serializing_if = "is_false")]
        public: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_secret_expires_on: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SmtpAuthItem {
    login: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SenderItem {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GrantItem {
    #[default]
    AuthorizationCode,
    ClientCredentials,
    JwtBearer,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum AfterFetchItem {
    #[default]
    Keep,
    MarkSeen,
    Move {
        mailbox: String,
    },
}

impl From<&Server> for ServerItem {
    fn from(server: &Server) -> Self {
        let security = match server.security {
            Security::Tls => SecurityItem::Tls,
            Security::StartTls => SecurityItem::Starttls,
        };
        Self { host: server.host.as_str().to_owned(), port: server.port.get(), security }
    }
}

impl From<&SenderIdentity> for SenderItem {
    fn from(from: &SenderIdentity) -> Self {
        Self {
            address: from.address.as_str().to_owned(),
            name: from.name.as_ref().map(|name| name.as_str().to_owned()),
        }
    }
}

impl SenderItem {
    fn read(self) -> Result<SenderIdentity, Unreadable> {
        Ok(SenderIdentity {
            address: EmailAddress::parse(&self.address).map_err(invalid("from"))?,
            name: self
                .name
                .map(|name| HeaderText::parse(&name, usize::MAX))
                .transpose()
                .map_err(invalid("from"))?,
        })
    }
}

impl ServerItem {
    fn read(self, attribute: &'static str) -> Result<Server, Unreadable> {
        let security = match self.security {
            SecurityItem::Tls => Security::Tls,
            SecurityItem::Starttls => Security::StartTls,
        };
        let port = NonZeroU16::new(self.port)
            .ok_or_else(|| Unreadable { attribute, why: "has port 0".to_owned() })?;
        Ok(Server { host: Host::parse(&self.host).map_err(invalid(attribute))?, port, security })
    }
}

fn start_from_text(start_from: StartFrom) -> String {
    match start_from {
        StartFrom::Now => "now".to_owned(),
        StartFrom::All => "all".to_owned(),
        StartFrom::Date(date) => date.to_string(),
    }
}

fn read_start_from(text: &str) -> Result<StartFrom, Unreadable> {
    match text {
        "now" => Ok(StartFrom::Now),
        "all" => Ok(StartFrom::All),
        date => read_date("start_from", date).map(StartFrom::Date),
    }
}

fn read_date(attribute: &'static str, text: &str) -> Result<time::Date, Unreadable> {
    let date = time::Date::parse(text, &Iso8601::DATE);
    date.map_err(|_| Unreadable { attribute, why: "is not a date".to_owned() })
}

impl AuthItem {
    fn of_client(client: &Oauth2) -> Self {
        let Oauth2 { grant, login, client_id, discovery_url, scopes, confidential, client_secret_expires_on } =
            client;
        Self::Oauth2 {
            grant: match grant {
                Grant::AuthorizationCode => GrantItem::AuthorizationCode,
                Grant::ClientCredentials => GrantItem::ClientCredentials,
                Grant::JwtBearer => GrantItem::JwtBearer,
            },
            login: login.clone(),
            client_id: client_id.clone(),
            discovery_url: discovery_url.clone(),
            scopes: scopes.clone(),
            public: !confidential,
            client_secret_expires_on: client_secret_expires_on.map(|date| date.to_string()),
        }
    }
}

impl From<&Profile> for ProfileItem {
    fn from(profile: &Profile) -> Self {
        let listening = profile.settings.listen;
        Self {
            pk: profile_key(profile.id),
            sk: PROFILE.to_owned(),
            poll_key: listening.then(|| poll_key(profile.settings.refresh_interval, shard(profile.id))),
            poll_sort: listening.then(|| sort_key(profile)),
            list_key: Some(PROFILES.to_owned()),
            list_sort: Some(profile.id.to_string()),
            search: Some(search(profile)),
            address: profile.settings.sender().ok().map(|address| address.key()),
            id: profile.id.to_string(),
            name: profile.settings.name.clone(),
            description: profile.settings.description.clone(),
            listen: profile.settings.listen,
            mailbox: profile.settings.mailbox.as_str().to_owned(),
            imap: profile.settings.imap.as_ref().map(ServerItem::from),
            smtp: profile.settings.smtp.as_ref().map(ServerItem::from),
            flow_schema_id: profile.settings.flow_schema_id.as_ref().map(FlowSchemaId::to_string),
            refresh_interval: profile.settings.refresh_interval.seconds(),
            auth: match &profile.settings.auth {
                Auth::Plain { login } => AuthItem::Plain { login: login.clone() },
                Auth::Oauth2(client) => AuthItem::of_client(client),
            },
            smtp_auth: profile
                .settings
                .smtp_auth
                .as_ref()
                .map(|smtp_auth| SmtpAuthItem { login: smtp_auth.login.clone() }),
            send_from: profile.settings.from.as_ref().map(SenderItem::from),
            include_seen: profile.settings.include_seen,
            start_from: start_from_text(profile.settings.start_from),
            after_fetch: match &profile.settings.after_fetch {
                AfterFetch::Keep => AfterFetchItem::Keep,
                AfterFetch::MarkSeen => AfterFetchItem::MarkSeen,
                AfterFetch::Move(mailbox) => AfterFetchItem::Move { mailbox: mailbox.as_str().to_owned() },
            },
            max_message_bytes: profile.settings.max_message_bytes,
            trusted_authserv_ids: profile
                .settings
                .trusted_authserv_ids
                .iter()
                .map(AuthservId::to_string)
                .collect(),
            version: profile.version,
            secret_version: profile.secret_version.clone(),
            authorization: profile.authorization.as_ref().map(AuthorizationItem::from),
            created_at: millis(profile.created_at),
            updated_at: millis(profile.updated_at),
            listens_since: profile.listens_since.map(millis),
            cursor: profile.cursor.as_ref().map(CursorItem::from),
            deferred: profile.deferred.iter().map(DeferredItem::from).collect(),
            held_back: profile.held_back.as_ref().map(HeldItem::from),
            declined: profile.declined.as_ref().map(HeldItem::from),
            overdue: profile.overdue.as_ref().map(OverdueItem::from),
            skipped_seen: SkippedSeenItem::from(&profile.skipped_seen),
            unsearched_at: profile.unsearched_at.map(millis),
            repeats_up_to: profile.repeats_up_to.map(Uid::get),
            audit: profile.audit.as_ref().map(AuditItem::from),
            status: StatusItem::from(&profile.status),
            sending: profile.sending.as_ref().map(SendingItem::from),
            lease_until: None,
            fence: 0,
            tries: 0,
        }
    }
}

impl ProfileItem {
    /// The stored profile's id, as far as it can be told for a log.
    pub(crate) fn read(self) -> Result<Profile, Unreadable> {
        // Items that were written without it: those that listen do so since they were created.
        let listens_since = self.listens_since.or(self.listen.then_some(self.created_at));
        Ok(Profile {
            id: ProfileId::parse(&self.id).map_err(invalid("id"))?,
            settings: Settings {
                name: self.name,
                description: self.description,
                listen: self.listen,
                mailbox: Mailbox::parse(&self.mailbox).map_err(invalid("mailbox"))?,
                imap: self.imap.map(|server| server.read("imap")).transpose()?,
                smtp: self.smtp.map(|server| server.read("smtp")).transpose()?,
                flow_schema_id: self
                    .flow_schema_id
                    .map(|id| FlowSchemaId::parse(&id))
                    .transpose()
                    .map_err(invalid("flow_schema_id"))?,
                refresh_interval: RefreshInterval::from_seconds(self.refresh_interval)
                    .map_err(invalid("refresh_interval"))?,
                auth: match self.auth {
                    AuthItem::Plain { login } => Auth::Plain { login },
                    AuthItem::Oauth2 {
                        grant,
                        login,
                        client_id,
                        discovery_url,
                        scopes,
                        public,
                        client_secret_expires_on,
                    } => Auth::Oauth2(Oauth2 {
                        grant: match grant {
                            GrantItem::AuthorizationCode => Grant::AuthorizationCode,
                            GrantItem::ClientCredentials => Grant::ClientCredentials,
                            GrantItem::JwtBearer => Grant::JwtBearer,
                        },
                        login,
                        client_id,
                        discovery_url,
                        scopes,
                        confidential: !public,
                        client_secret_expires_on: client_secret_expires_on
                            .map(|date| read_date("auth", &date))
                            .transpose()?,
                    }),
                },
                smtp_auth: self.smtp_auth.map(|smtp_auth| SmtpAuth { login: smtp_auth.login }),
                from: self.send_from.map(SenderItem::read).transpose()?,
                include_seen: self.include_seen,
                start_from: read_start_from(&self.start_from)?,
                after_fetch: match self.after_fetch {
                    AfterFetchItem::Keep => AfterFetch::Keep,
                    AfterFetchItem::MarkSeen => AfterFetch::MarkSeen,
                    AfterFetchItem::Move { mailbox } => {
                        AfterFetch::Move(Mailbox::parse(&mailbox).map_err(invalid("after_fetch"))?)
                    }
                },
                max_message_bytes: self.max_message_bytes,
                trusted_authserv_ids: self
                    .trusted_authserv_ids
                    .iter()
                    .map(|id| AuthservId::parse(id).map_err(invalid("trusted_authserv_ids")))
                    .collect::<Result<_, _>>()?,
            },
            version: self.version,
            secret_version: self.secret_version,
            authorization: self.authorization.map(AuthorizationItem::read).transpose()?,
            created_at: time_of("created_at", self.created_at)?,
            updated_at: time_of("updated_at", self.updated_at)?,
            listens_since: listens_since.map(|at| time_of("listens_since", at)).transpose()?,
            cursor: self.cursor.map(CursorItem::read).transpose()?,
            deferred: self.deferred.into_iter().map(DeferredItem::read).collect::<Result<_, _>>()?,
            held_back: self.held_back.map(HeldItem::read).transpose()?,
            declined: self.declined.map(HeldItem::read).transpose()?,
            overdue: self.overdue.map(OverdueItem::read).transpose()?,
            skipped_seen: self.skipped_seen.read()?,
            unsearched_at: self.unsearched_at.map(|at| time_of("unsearched_at", at)).transpose()?,
            repeats_up_to: self.repeats_up_to.and_then(Uid::new),
            audit: self.audit.map(AuditItem::read).transpose()?,
            status: self.status.read()?,
            sending: self.sending.map(SendingItem::read).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests;
