//! A line of a body.

use crate::parse::html_text::Role;

/// A line, and what its quote mark or its markup says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) role: Role,
}

impl Line<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}
