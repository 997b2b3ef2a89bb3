//! The flow schema: what a message starts.

use std::fmt;

use crate::invalid::Invalid;

/// A flow schema's id, as its owner names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowSchemaId(String);

impl FlowSchemaId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Reads an id: ASCII letters, digits, `-`, `_` and `.`, a letter or digit first.
    ///
    /// # Errors
    /// When it is not like that, or longer than [`Self::MAX_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let starts = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if starts && text.len() <= Self::MAX_BYTES && text.bytes().all(fine) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "must be 1 to 64 letters (a-z), digits, hyphens, underscores or dots, and begin with a letter or digit",
            ))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlowSchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A kind of flow that profiles start for their mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowSchema {
    /// Its id, which jobs carry.
    pub id: FlowSchemaId,
    /// What its owner calls it: 1–100 characters.
    pub name: String,
    /// The SQS queue that its jobs go to; `None`: the default job queue.
    pub queue_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        for good in ["add-to-queue", "A.1_b", "7"] {
            assert_eq!(FlowSchemaId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "\u{fc}", &"a".repeat(65)] {
            assert!(FlowSchemaId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
