//! A line of text as a reader sees it.

/// Marks before a quoted line at most: deeper quotes are as deep to the reader.
pub(super) const MAX_MARKS: usize = 9;

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::parse) struct Line {
    /// Without its break, white space collapsed.
    pub(in crate::parse) text: String,
    /// How many `blockquote`s it stands in, [`MAX_MARKS`] at most.
    pub(in crate::parse) depth: usize,
    /// What the elements around it say.
    pub(in crate::parse) role: Role,
}

/// What the markup around a line says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::parse) enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// In a `blockquote` that no mail client has marked: people indent with it, too.
    Indented,
    /// A client quotes.
    Quoted,
    /// The client's line about who is quoted.
    Attribution,
    /// From here to the end is what a client of the Outlook family appends.
    History,
    /// A client's signature.
    Signature,
}
