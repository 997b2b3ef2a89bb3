//! What is typed into a profile's form, and the settings that it stands for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::console::field::{Control, FIELDS, Field};

/// The values of the form's fields, each as a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft(BTreeMap<String, String>);

/// A field in which two people's changes differ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) field: &'static Field,
    pub(crate) stored: String,
    pub(crate) typed: String,
}

/// What comes of two edits of the same profile.
pub(crate) struct Merged {
    /// What was typed, with what only the other one has changed.
    pub(crate) draft: Draft,
    /// What both have changed.
    pub(crate) both: Vec<Difference>,
    /// What only the other one has changed.
    pub(crate) theirs: Vec<Difference>,
}

impl Draft {
    /// A new profile, with the usual settings.
    pub(crate) fn fresh() -> Self {
        let usual = [
            ("mailbox", "INBOX"),
            ("imap_port", "993"),
            ("smtp_port", "587"),
            ("refresh_interval", "300"),
            ("auth.type", "plain"),
            ("listen", "true"),
            ("include_seen", "false"),
            ("start_from", "now"),
            ("after_fetch.action", "keep"),
            ("max_message_bytes", "26214400"),
            ("oauth2.grant", "authorization_code"),
        ];
        Self(usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// A profile as the API returns it. No secret is in it.
    pub(crate) fn of(profile: &Value) -> Self {
        let mut draft = Self::fresh();
        for field in FIELDS.iter().filter(|field| field.is_input() && field.control != Control::Secret) {
            let value = profile.pointer(&format!("/{}", field.name().replace('.', "/")));
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(truth)) => truth.to_string(),
                Some(Value::Array(words)) => {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    words.join(" ")
                }
                // Of another type of login: the form has the usual values ready.
                Some(Value::Null | Value::Object(_)) | None => continue,
            };
            draft.0.insert(field.input.to_owned(), text);
        }
        draft
    }

    /// What was typed.
    pub(crate) fn typed(fields: &[(String, String)]) -> Self {
        let of = |field: &Field| fields.iter().find(|(name, _)| name == field.input).map(|(_, value)| value);
        let values = FIELDS.iter().filter(|field| field.is_input()).map(|field| {
            let value = match (field.control, of(field)) {
                // A browser sends a box only where it is ticked.
                (Control::Check, value) => value.is_some().to_string(),
                (Control::Secret, value) => value.cloned().unwrap_or_default(),
                // A browser sends line breaks as CR LF.
                (_, value) => {
                    value.map(|text| text.replace("\r\n", "\n").trim().to_owned()).unwrap_or_default()
                }
            };
            (field.input.to_owned(), value)
        });
        Self(values.collect())
    }

    /// The draft in this text, which [`Self::to_text`] has made.
    pub(crate) fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// The draft as text, without secrets.
    pub(crate) fn to_text(&self) -> String {
        json!(self.without_secrets().0).to_string()
    }

    /// Whether a secret was typed.
    pub(crate) fn has_secrets(&self) -> bool {
        self.0.iter().any(|(name, value)| is_secret(name) && !value.is_empty())
    }

    /// The same without secrets: they are asked for again.
    pub(crate) fn without_secrets(&self) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !is_secret(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// A field's value.
    pub(crate) fn get(&self, input: &str) -> &str {
        self.0.get(input).map_or("", String::as_str)
    }

    /// Fills in a field.
    pub(crate) fn set(&mut self, input: &str, value: &str) {
        self.0.insert(input.to_owned(), value.to_owned());
    }

    /// The type of login.
    pub(crate) fn kind(&self) -> &str {
        if self.get("auth.type") == "oauth2" { "oauth2" } else { "plain" }
    }

    /// The settings. Of a stored profile they are a merge patch (RFC 7396), in which an empty field is null.
    pub(crate) fn settings(&self, is_new: bool) -> Value {
        let kind = self.kind();
        let mut settings = Map::new();
        for field in FIELDS.iter().filter(|field| field.is_input() && field.is_of(kind)) {
            let value = self.value(field);
            if value.is_null() && (is_new || field.control == Control::Secret) {
                continue;
            }
            let name = field.name();
            let (object, member) = name.split_once('.').unwrap_or(("", &name));
            if object.is_empty() {
                settings.insert(member.to_owned(), value);
            } else if let Value::Object(members) = settings.entry(object).or_insert_with(|| json!({})) {
                members.insert(member.to_owned(), value);
            }
        }
        if self.get("after_fetch.action") != "move"
            && let Some(Value::Object(members)) = settings.get_mut("after_fetch")
        {
            members.remove("mailbox");
        }
        for object in ["from", "smtp_auth"] {
            let is_empty =
                |value: &Value| value.as_object().is_some_and(|members| members.values().all(Value::is_null));
            if settings.get(object).is_some_and(is_empty) {
                settings.insert(object.to_owned(), Value::Null);
            }
        }
        Value::Object(settings)
    }

    fn value(&self, field: &Field) -> Value {
        let text = self.get(field.input);
        match field.control {
            Control::Check => json!(text == "true"),
            Control::Words => {
                json!(text.split([' ', ',', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>())
            }
            _ if text.is_empty() => Value::Null,
            // A text that is not a number goes to the API unchanged, which says what is wrong with it.
            Control::Number | Control::Interval => {
                text.parse::<u64>().map_or_else(|_| json!(text), |n| json!(n))
            }
            Control::Text
            | Control::LongText
            | Control::Secret
            | Control::Day
            | Control::Flow
            | Control::Mailbox
            | Control::Choice(_) => json!(text),
        }
    }

    /// What comes of this draft, which began as `base`, now that `stored` is stored.
    pub(crate) fn merged(&self, base: &Self, stored: &Self) -> Merged {
        let mut merged = Merged { draft: self.without_secrets(), both: Vec::new(), theirs: Vec::new() };
        let fields = FIELDS.iter().filter(|field| field.is_input() && field.control != Control::Secret);
        for field in fields {
            let (was, is, typed) = (base.get(field.input), stored.get(field.input), self.get(field.input));
            if was == is || is == typed {
                continue;
            }
            let (stored, ours) = (is.to_owned(), typed.to_owned());
            let difference = Difference { field, stored, typed: ours };
            if was == typed {
                merged.draft.0.insert(field.input.to_owned(), is.to_owned());
                merged.theirs.push(difference);
            } else {
                merged.both.push(difference);
            }
        }
        merged
    }
}

fn is_secret(name: &str) -> bool {
    FIELDS.iter().any(|field| field.input == name && field.control == Control::Secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Draft {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Draft::typed(&fields)
    }

    #[test]
    fn a_form_becomes_settings() {
        let draft = typed(&[
            ("name", " Support "),
            ("imap_host", "imap.example.com"),
            ("imap_port", "993"),
            ("smtp_port", "many"),
            ("auth.type", "plain"),
            ("plain.login", "a@example.com"),
            ("plain.password", " with blanks "),
            ("oauth2.client_id", "left over"),
            ("listen", "true"),
            ("after_fetch.action", "keep"),
            ("after_fetch.mailbox", "Done"),
        ]);
        assert_eq!(
            draft.settings(true),
            json!({
                "name": "Support", "imap_host": "imap.example.com", "imap_port": 993, "smtp_port": "many",
                "auth": {"type": "plain", "login": "a@example.com", "password": " with blanks "},
                "listen": true, "include_seen": false, "after_fetch": {"action": "keep"}, "trusted_authserv_ids": [],
            })
        );
        let patch = draft.settings(false);
        assert_eq!(patch["smtp_host"], Value::Null);
        assert_eq!((&patch["from"], &patch["smtp_auth"]), (&Value::Null, &Value::Null));
        assert!(!draft.to_text().contains("blanks"), "{}", draft.to_text());
    }

    #[test]
    fn a_secret_that_is_left_empty_stays() {
        let draft =
            typed(&[("auth.type", "oauth2"), ("smtp_auth.login", "apikey"), ("oauth2.scopes", "a, b")]);
        let patch = draft.settings(false);
        assert_eq!(patch["smtp_auth"], json!({"login": "apikey"}));
        assert_eq!(patch["auth"].get("client_secret"), None);
        assert_eq!(patch["auth"]["scopes"], json!(["a", "b"]));
    }

    #[test]
    fn of_two_edits_nothing_is_lost() {
        let base =
            typed(&[("name", "Old"), ("description", "Old"), ("imap_host", "old"), ("plain.password", "x")]);
        let stored = typed(&[("name", "Theirs"), ("description", "Theirs"), ("imap_host", "old")]);
        let ours = typed(&[
            ("name", "Ours"),
            ("description", "Old"),
            ("imap_host", "ours"),
            ("plain.password", "x"),
        ]);
        let merged = ours.merged(&base, &stored);
        assert_eq!(merged.draft.get("name"), "Ours");
        assert_eq!(merged.draft.get("description"), "Theirs");
        assert_eq!(merged.draft.get("imap_host"), "ours");
        assert_eq!(merged.draft.get("plain.password"), "");
        let names = |all: &[Difference]| all.iter().map(|one| one.field.input).collect::<Vec<_>>();
        assert_eq!((names(&merged.both), names(&merged.theirs)), (vec!["name"], vec!["description"]));
    }
}
