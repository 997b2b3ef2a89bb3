//! Which elements break a line, and which hold nothing to read.

/// What an element does to the line that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// Nothing.
    None,
    /// Ends it, if something is on it.
    Line,
    /// The same, and a blank line follows.
    Paragraph,
    /// Ends it, even if it is empty.
    Always,
}

/// By the element's name, and its class: Outlook writes each line as a paragraph.
pub(super) fn break_of(name: &[u8], class: &str) -> Break {
    match name {
        b"br" => Break::Always,
        b"p" if class.starts_with("Mso") => Break::Line,
        b"p" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" | b"blockquote" | b"pre" | b"table" => {
            Break::Paragraph
        }
        b"div" | b"ul" | b"ol" | b"li" | b"dl" | b"dt" | b"dd" | b"tr" | b"tbody" | b"thead" | b"tfoot"
        | b"hr" | b"body" | b"html" | b"center" | b"form" | b"fieldset" | b"address" | b"article"
        | b"aside" | b"section" | b"header" | b"footer" | b"main" | b"nav" | b"figure" | b"figcaption"
        | b"caption" | b"details" | b"summary" => Break::Line,
        _ => Break::None,
    }
}

/// Elements whose text nobody sees.
pub(super) fn is_skipped(name: &[u8]) -> bool {
    matches!(
        name,
        b"style" | b"script" | b"title" | b"template" | b"noframes" | b"iframe" | b"object" | b"svg"
    )
}

/// Elements without an end (HTML §13.1.2).
pub(super) fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"source"
            | b"track"
            | b"wbr"
    )
}
