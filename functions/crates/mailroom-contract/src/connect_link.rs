//! Connect links: pages on which the owners of mailboxes connect them, without another right than the link.

use deserr::{Deserr, IntoValue, ValueKind, ValuePointerRef};
use mailroom_core::profile::ProfileId;
use serde::Serialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::field::{from_text, line, text, wrong_kind};
use crate::patch::merge;
use crate::problem::{FieldError, Problems, read};
use crate::profile::ProfileBody;
use crate::time_text::{rfc3339, rfc3339_or_null};

/// A connect link that is to be made: for a new profile, or for one that there is.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Problems, deny_unknown_fields, validate = for_one -> Problems)]
#[schema(as = NewConnectLink)]
pub struct ConnectLinkBody {
    /// The profile whose owner types its password again, or signs in again. Without it, the link makes a new profile.
    #[deserr(default)]
    pub profile_id: Option<ProfileIdText>,
    /// What a new profile has, whatever its owner's mailbox is: its flow schema, its name, its interval, or the OAuth2
    /// client that owners sign in with. The owner's address and servers complete it; what is named here, owners do not change.
    #[deserr(default)]
    pub settings: Option<PresetSettings>,
    /// Whom the page tells its reader to ask, such as a name with an address or a telephone number.
    #[deserr(default)]
    pub contact: Option<Contact>,
}

/// The id of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", example = "01JDCABCDEFGHJKMNPQRSTVWXY")]
pub struct ProfileIdText(pub ProfileId);
from_text!(ProfileIdText, |text| {
    let id = ProfileId::parse(&text).ok().filter(|id| id.to_string() == text);
    id.ok_or_else(|| "must be the id of a profile".to_owned())
});

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 200, example = "Ann, ann@example.org",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$")]
pub struct Contact(pub String);
from_text!(Contact, |text| line(text, 1..=200));

/// Some settings of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, ToSchema)]
#[schema(value_type = Object)]
pub struct PresetSettings(Map<String, Value>);

impl Deserr<Problems> for PresetSettings {
    fn deserialize_from_value<V: IntoValue>(
        value: deserr::Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, Problems> {
        let deserr::Value::Map(_) = &value else {
            return Err(wrong_kind(value, &[ValueKind::Map], location));
        };
        match Value::from(value) {
            Value::Object(members) => Ok(Self(members)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Ok(Self(Map::new()))
            }
        }
    }
}

/// A link is for one profile.
fn for_one(body: ConnectLinkBody, _: ValuePointerRef<'_>) -> Result<ConnectLinkBody, Problems> {
    match (&body.profile_id, &body.settings) {
        (Some(_), Some(_)) => {
            Err(Problems::one("settings", "is for a new profile: leave it out, or leave profile_id out"))
        }
        (None, None) => Err(Problems::one("settings", "is required for a new profile; or name a profile_id")),
        (Some(_), None) | (None, Some(_)) => Ok(body),
    }
}

/// What the person with the link types or confirms, so that a preset is read as a part of a whole profile.
fn of_the_owner() -> Value {
    json!({
        "name": "-", "imap_host": "imap.example.com",
        "auth": {"type": "plain", "login": "-"},
    })
}

/// The secrets that a preset may have: of the client, and of a relay that is not the owner's.
const SECRETS: [(&str, &str); 2] = [("auth", "client_secret"), ("smtp_auth", "password")];

impl PresetSettings {
    /// The profile that would come of the settings, as far as they say.
    ///
    /// # Errors
    /// Names everything that is wrong.
    pub fn check(&self) -> Result<ProfileBody, Problems> {
        let mut whole = of_the_owner();
        if self.kind() == Some("oauth2")
            && let Some(auth) = whole.get_mut("auth")
        {
            *auth = json!({"login": "-"});
        }
        merge(&mut whole, Value::Object(self.0.clone()));
        let member = |object: &str, name: &str| self.0.get(object).and_then(|object| object.get(name));
        let mut problems = Problems::default();
        if member("auth", "password").is_some() {
            problems.add("auth.password", "must be left out: the owner of the mailbox types it");
        }
        if member("auth", "grant").is_some_and(|grant| grant != "authorization_code") {
            problems.add("auth.grant", "must be authorization_code: a connect link is for a person");
        }
        if self.0.get("smtp_auth").is_some_and(Value::is_object) && member("smtp_auth", "password").is_none()
        {
            problems.add("smtp_auth.password", "is required");
        }
        let body = problems.none_or().and_then(|()| read(whole));
        body.map_err(|Problems(all)| {
            let within = |field: String| {
                if field.is_empty() { "settings".to_owned() } else { format!("settings.{field}") }
            };
            Problems(
                all.into_iter()
                    .map(|FieldError { field, message }| FieldError { field: within(field), message })
                    .collect(),
            )
        })
    }

    fn kind(&self) -> Option<&str> {
        self.0.get("auth")?.get("type")?.as_str()
    }

    /// The settings without secrets, and the secrets by themselves, if there are any. Merged, they are the settings again.
    #[must_use]
    pub fn split(self) -> (Value, Option<Value>) {
        let (mut open, mut secret) = (self.0, Map::new());
        for (object, name) in SECRETS {
            let taken =
                open.get_mut(object).and_then(Value::as_object_mut).and_then(|object| object.remove(name));
            if let Some(taken) = taken {
                secret.insert(object.to_owned(), json!({ name: taken }));
            }
        }
        let secret = (!secret.is_empty()).then_some(Value::Object(secret));
        (Value::Object(open), secret)
    }
}

/// A connect link as the API returns it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectLink)]
pub struct ConnectLinkView {
    /// The id of the link, a ULID.
    pub id: String,
    /// The address to give to the owner of the mailbox. Only the answer that makes the link has it; it is not stored.
    pub url: Option<String>,
    /// Whether the link can be used.
    pub state: LinkStateView,
    /// The profile that the link is for, or that was made with it.
    pub profile_id: Option<String>,
    /// What a new profile has, without secrets; null: the link is for a profile that there was.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Value>,
    /// Whom the page tells its reader to ask.
    pub contact: Option<String>,
    /// When the link was made.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// Until when it can be used.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: OffsetDateTime,
    /// When a mailbox was connected with it.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<OffsetDateTime>,
}

/// Whether a connect link can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectLinkState)]
pub enum LinkStateView {
    /// It can be used, once.
    Open,
    /// A mailbox was connected with it.
    Used,
    /// Nobody used it in time.
    Expired,
    /// It was tried too often without success.
    Exhausted,
}

/// A page of connect links, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectLinkPage {
    /// The links of the page. Those that were used or have expired are kept for 30 days.
    pub items: Vec<ConnectLinkView>,
    /// The `cursor` of the next page; null at the end.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(settings: Value) -> Result<(), Vec<String>> {
        let body = read::<ConnectLinkBody>(json!({ "settings": settings }));
        let checked = body.and_then(|body| body.settings.expect("settings").check());
        checked.map(|_| ()).map_err(|Problems(all)| all.into_iter().map(|problem| problem.field).collect())
    }

    #[test]
    fn what_is_preset_is_held_to_the_rules_of_a_profile() {
        let client = json!({"type": "oauth2", "client_id": "c", "discovery_url": "https://id.example.com"});
        for fine in [
            json!({"flow_schema_id": "orders"}),
            json!({"flow_schema_id": "orders", "name": "Orders", "refresh_interval": 60, "imap_port": null}),
            json!({"flow_schema_id": "orders", "auth": client}),
            json!({"flow_schema_id": "orders", "auth": {"login": "ann@example.org"}, "imap_host": "imap.example.org"}),
            json!({"listen": false, "smtp_host": "smtp.example.org", "smtp_auth": {"login": "key", "password": "x"}}),
        ] {
            assert_eq!(checked(fine.clone()), Ok(()), "{fine}");
        }
        for (wrong, field) in [
            (json!({}), "settings.flow_schema_id"),
            (json!({"flow_schema_id": "orders", "refresh_interval": 7}), "settings.refresh_interval"),
            (json!({"flow_schema_id": "orders", "id": "x"}), "settings.id"),
            (json!({"flow_schema_id": "orders", "auth": {"password": "x"}}), "settings.auth.password"),
            (json!({"flow_schema_id": "orders", "auth": {"type": "oauth2"}}), "settings.auth.client_id"),
            (
                json!({"flow_schema_id": "orders", "auth": {"type": "oauth2", "grant": "jwt_bearer"}}),
                "settings.auth.grant",
            ),
            (
                json!({"flow_schema_id": "orders", "smtp_auth": {"login": "key"}}),
                "settings.smtp_auth.password",
            ),
        ] {
            let problems = checked(wrong.clone()).expect_err("a problem");
            assert!(problems.iter().any(|found| found == field), "{wrong}: {problems:?}");
        }
        for (wrong, field) in [
            (json!({}), "settings"),
            (json!({"settings": []}), "settings"),
            (json!({"settings": {}, "profile_id": "01JDCABCDEFGHJKMNPQRSTVWXY"}), "settings"),
            (json!({"profile_id": "01jdcabcdefghjkmnpqrstvwxy"}), "profile_id"),
            (json!({"settings": {}, "contact": " "}), "contact"),
        ] {
            let Problems(problems) = read::<ConnectLinkBody>(wrong.clone()).expect_err("a problem");
            assert_eq!(problems[0].field, field, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_taken_out_and_can_be_put_back() {
        let settings = json!({
            "name": "Orders", "auth": {"type": "oauth2", "client_id": "c", "client_secret": "s-1"},
            "smtp_auth": {"login": "key", "password": "s-2"},
        });
        let Value::Object(members) = settings.clone() else { panic!() };
        let (mut open, secret) = PresetSettings(members).split();
        assert!(!open.to_string().contains("s-"), "{open}");
        merge(&mut open, secret.unwrap());
        assert_eq!(open, settings);
        assert_eq!(PresetSettings(Map::new()).split(), (json!({}), None));
    }
}
