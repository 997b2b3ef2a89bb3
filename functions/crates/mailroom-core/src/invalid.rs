//! Why a value that a person typed is refused.

/// Why a value is not what it should be: one sentence that follows the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A refusal in these words, such as `must be 1 to 64 letters`.
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}
