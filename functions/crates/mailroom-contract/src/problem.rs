//! What is wrong with a body or a parameter: every problem at once, each with the field's name.

use std::ops::ControlFlow;

use deserr::errors::json::value_kinds_description_json;
use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, ValuePointerRef};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The most problems that are reported, and so the longest list that a hostile body can bring about.
const MAX_PROBLEMS: usize = 50;

/// The longest name of an unknown field that is repeated, in characters.
const MAX_NAME_CHARS: usize = 100;

/// All that deserr 0.6 says of a tag that names none of an enum's kinds.
const WRONG_TAG: &str = "Incorrect tag value";

/// What it leaves out: the objects that have kinds, the member that names the kind, and which there are.
const TAGS: [(&str, &str, &str); 2] =
    [("auth", "type", "plain or oauth2"), ("after_fetch", "action", "keep, mark_seen or move")];

/// A field that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, such as `auth.login` or `auth.scopes[2]`; empty for the body as a whole.
    #[schema(example = "imap_host")]
    pub field: String,
    /// One sentence that follows the field's name.
    #[schema(example = "must be a host name such as imap.example.com, or an IP address")]
    pub message: String,
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<FieldError>);

impl Problems {
    /// A list of one problem.
    #[must_use]
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(field, message);
        problems
    }

    /// Adds a problem, unless the list is full.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(FieldError { field: field.into(), message: message.into() });
        }
    }

    /// Succeeds if the list is empty.
    ///
    /// # Errors
    /// With the problems that were added.
    pub fn none_or(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// Reads a JSON value into `T`.
///
/// # Errors
/// With everything that is wrong with it.
pub fn read<T: Deserr<Problems>>(value: Value) -> Result<T, Problems> {
    deserr::deserialize(value)
}

/// A field's name as people write it.
pub(crate) fn name_of(location: ValuePointerRef<'_>) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev: ValuePointerRef::Origin } => bounded(key),
        ValuePointerRef::Key { key, prev } => format!("{}.{}", name_of(*prev), bounded(key)),
        ValuePointerRef::Index { index, prev } => format!("{}[{index}]", name_of(*prev)),
    }
}

fn bounded(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

impl MergeWithError<Self> for Problems {
    fn merge(merged: Option<Self>, other: Self, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut merged = merged.unwrap_or_default();
        for FieldError { field, message } in other.0 {
            merged.add(field, message);
        }
        ControlFlow::Continue(merged)
    }
}

impl DeserializeError for Problems {
    fn error<V: IntoValue>(
        merged: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let mut merged = merged.unwrap_or_default();
        // What was sent is never repeated, apart from names: it may be a secret in the wrong place.
        match error {
            ErrorKind::IncorrectValueKind { accepted, .. } => {
                merged.add(name_of(location), format!("must be {}", value_kinds_description_json(accepted)));
            }
            ErrorKind::MissingField { field } => {
                merged.add(name_of(location.push_key(field)), "is required");
            }
            ErrorKind::UnknownKey { key, accepted } => {
                let message = format!("is not a field here; the fields are: {}", accepted.join(", "));
                merged.add(name_of(location.push_key(key)), message);
            }
            ErrorKind::UnknownValue { accepted, .. } => {
                merged.add(name_of(location), format!("must be {}", accepted.join(" or ")));
            }
            ErrorKind::BadSequenceLen { expected, .. } => {
                merged.add(name_of(location), format!("must have {expected} entries"));
            }
            ErrorKind::Unexpected { msg } if msg == WRONG_TAG => {
                let object = name_of(location);
                let kinds = TAGS.iter().find(|(name, _, _)| *name == object);
                let (tag, kinds) =
                    kinds.map_or(("type", "one of its kinds"), |(_, tag, kinds)| (*tag, *kinds));
                merged.add(format!("{object}.{tag}"), format!("must be {kinds}"));
            }
            ErrorKind::Unexpected { msg } => merged.add(name_of(location), msg),
        }
        ControlFlow::Continue(merged)
    }
}
