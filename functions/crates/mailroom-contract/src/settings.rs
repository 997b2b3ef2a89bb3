//! Settings as JSON: those of a profile, and the result of applying a patch or completing a test's to them.

use std::collections::BTreeSet;

use mailroom_core::profile::Profile;
use mailroom_core::server::SubmissionPort;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::problem::{Problems, read};
use crate::profile::{Described, ProfileBody};
use crate::profile_view::ProfileView;

/// The members of a profile that are not settings.
const NOT_SETTINGS: [&str; 5] = ["id", "version", "created_at", "updated_at", "status"];

/// The members that the API returns in place of secrets.
const SECRETS_SET: [&str; 2] = ["password_set", "client_secret_set"];

/// The settings of a profile as its owner would write them, without secrets: what a patch is applied to.
///
/// They are the profile as the API returns it ([`ProfileView`]), without what is not a setting.
#[must_use]
pub fn settings(profile: &Profile) -> Value {
    let view = ProfileView::of(profile.clone(), profile.updated_at);
    let Ok(Value::Object(mut members)) = serde_json::to_value(view) else { return Value::Null };
    members.retain(|name, value| !NOT_SETTINGS.contains(&name.as_str()) && !value.is_null());
    for name in ["auth", "smtp_auth", "from"] {
        if let Some(Value::Object(inner)) = members.get_mut(name) {
            inner.retain(|name, value| !SECRETS_SET.contains(&name.as_str()) && !value.is_null());
        }
    }
    Value::Object(members)
}

/// The names of the settings in which two profiles differ; without the first, of all that the second has.
#[must_use]
pub fn differing(before: Option<&Profile>, after: &Profile) -> Vec<String> {
    let (before, after) = (before.map_or(Value::Null, settings), settings(after));
    let mut names = Vec::new();
    differing_members("", &before, &after, &mut names);
    names
}

fn differing_members(prefix: &str, before: &Value, after: &Value, names: &mut Vec<String>) {
    let empty = Map::new();
    let members = |value: &'_ Value| value.as_object().cloned().unwrap_or_else(|| empty.clone());
    let (before, after) = (members(before), members(after));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in all {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let path = format!("{prefix}{name}");
        if [old, new].into_iter().flatten().any(Value::is_object) {
            let inner = |value: Option<&Value>| value.cloned().unwrap_or_default();
            differing_members(&format!("{path}."), &inner(old), &inner(new), names);
        } else {
            names.push(path);
        }
    }
}

/// Completes the settings of a connection test, which may leave out what the test does not depend on.
#[must_use]
pub fn tried(settings: Value) -> Value {
    let mut settings = settings;
    if let Value::Object(members) = &mut settings {
        members.entry("name").or_insert_with(|| json!("-"));
        // A test does not depend on `listen`; `false` requires the fewest fields.
        if members.get("listen").is_none_or(Value::is_boolean) {
            members.insert("listen".to_owned(), json!(false));
        }
    }
    settings
}

/// Applies a merge patch (RFC 7396) to a profile's settings.
///
/// Two members depend on others: an `auth` of another type replaces all of the old one but its login, and an
/// `after_fetch` of another action all of the old one. A port that changes without its security takes its usual one.
#[must_use]
pub fn patched(profile: &Profile, patch: Value) -> Value {
    let mut settings = settings(profile);
    if let (Value::Object(members), Value::Object(changes)) = (&mut settings, &patch) {
        let differs = |members: &serde_json::Map<String, Value>, object: &str, tag: &str| {
            let new = changes.get(object).and_then(|change| change.get(tag));
            new.is_some_and(|new| members.get(object).and_then(|old| old.get(tag)) != Some(new))
        };
        if differs(members, "auth", "type") {
            members.insert("auth".to_owned(), json!({"login": profile.settings.auth.login()}));
        }
        if differs(members, "after_fetch", "action") {
            members.remove("after_fetch");
        }
        for protocol in ["imap", "smtp"] {
            let security = format!("{protocol}_security");
            if changes.contains_key(&format!("{protocol}_port")) && !changes.contains_key(&security) {
                members.remove(&security);
            }
        }
    }
    crate::patch::merge(&mut settings, patch);
    settings
}

/// Reads settings that were made from a stored profile, by a patch or for a test.
///
/// A profile that was stored before port 25 was refused keeps it until its SMTP server changes, so that it can be
/// changed otherwise.
///
/// # Errors
/// Names each member that is wrong.
pub fn described(current: &Profile, settings: Value, now: OffsetDateTime) -> Result<Described, Problems> {
    let mut settings = settings;
    let relay = current.settings.smtp.as_ref().filter(|smtp| smtp.port.get() == SubmissionPort::RELAY);
    let kept = relay.filter(|smtp| {
        settings.get("smtp_host") == Some(&json!(smtp.host.as_str()))
            && settings.get("smtp_port") == Some(&json!(SubmissionPort::RELAY))
    });
    if let (Some(_), Value::Object(members)) = (kept, &mut settings) {
        members.remove("smtp_port");
    }
    let mut described = read::<ProfileBody>(settings)?.describe(current.id, now);
    if let (Some(kept), Some(smtp)) = (kept, &mut described.profile.settings.smtp) {
        smtp.port = kept.port;
    }
    Ok(described)
}
