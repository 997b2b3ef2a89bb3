//! `format=flowed` (RFC 3676): paragraphs that were wrapped to be sent, on one line again.

use std::borrow::Cow;

/// What joins two lines of a paragraph: the space that marks it as flowed stays, or goes (`DelSp`, §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Kept,
    Deleted,
}

/// Unwraps `text`, whose lines end in LF, in one pass.
///
/// A line that ends in a space flows into the next one of the same quote depth (§4.2, §4.5). The signature's `-- ` is
/// never flowed (§4.3). Space-stuffing goes (§4.4). Quoted paragraphs keep their marks.
pub(super) fn unwrap(text: &str, space: Space) -> Cow<'_, str> {
    let flows = |line: &str| line.ends_with(' ') || line.starts_with(' ');
    if !text.lines().any(flows) {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(text.len());
    // The depth of the paragraph that the next line may continue.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let content = line.trim_start_matches('>');
        let depth = line.len() - content.len();
        let content = content.strip_prefix(' ').unwrap_or(content);
        let signature = content == "-- ";
        if open != Some(depth) || signature {
            if open.is_some() {
                whole.push('\n');
            }
            whole.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !content.is_empty() {
                whole.push(' ');
            }
        }
        match content.strip_suffix(' ') {
            Some(start) if !signature => {
                whole.push_str(if space == Space::Deleted { start } else { content });
                open = Some(depth);
            }
            _ => {
                whole.push_str(content);
                whole.push('\n');
                open = None;
            }
        }
    }
    if open.is_some() {
        whole.push('\n');
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::{Space, unwrap};

    #[test]
    fn paragraphs_are_on_one_line_again() {
        for (space, text, wanted) in [
            (Space::Kept, "Hello \nworld\nnext\n", "Hello world\nnext\n"),
            (Space::Deleted, "Donau \ndampf \nschiff\n", "Donaudampfschiff\n"),
            (Space::Kept, "> a \n> b\n>> c \n> d \ne\n", "> a b\n>> c \n> d \ne\n"),
            (Space::Kept, " >not quoted\n  indented\n", ">not quoted\n indented\n"),
            (Space::Kept, "so \n-- \nAnn \nSmith\n", "so \n-- \nAnn Smith\n"),
            (Space::Kept, "> -- \n> Ann\n", "> -- \n> Ann\n"),
            (Space::Kept, "open \n", "open \n"),
            (Space::Kept, "as it is\n\n>is\n", "as it is\n\n>is\n"),
        ] {
            assert_eq!(unwrap(text, space), wanted, "{text}");
        }
    }
}
