//! Bytes to UTF-8 by the name of a charset, and text without what breaks its readers.

use mail_parser::decoders::charsets::map::charset_decoder;

/// Charsets that the decoder knows by name and answers with one U+FFFD, because browsers refuse them.
const REFUSED: [&str; 5] = ["hz-gb-2312", "iso-2022-kr", "csiso2022kr", "iso-2022-cn", "iso-2022-cn-ext"];

/// Names in use that the decoder's table lacks.
const ALIASES: [(&str, &str); 13] = [
    ("utf8", "utf-8"),
    ("unicode", "utf-16"),
    ("cp932", "shift_jis"),
    ("ms932", "shift_jis"),
    ("windows-31j", "shift_jis"),
    ("x-sjis", "shift_jis"),
    ("cp949", "euc-kr"),
    ("ks_c_5601-1987", "euc-kr"),
    ("cp950", "big5"),
    ("x-gbk", "gbk"),
    ("iso-8859-8-i", "iso-8859-8"),
    ("latin1", "iso-8859-1"),
    ("unicode-1-1-utf-7", "utf-7"),
];

/// Names that say nothing about the bytes.
const NO_CHARSET: [&str; 8] =
    ["", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "default", "unknown"];

/// Text, and whether the charset was one we know.
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) known: bool,
}

/// Decodes `bytes`. Without a charset, or with one that nobody knows: UTF-8 if they are that, else windows-1252,
/// which has a character for nearly every byte. US-ASCII is taken for no charset, as 8-bit mail often bears it.
pub(super) fn decode(bytes: &[u8], charset: Option<&str>) -> Decoded {
    let label = charset.map(normal).unwrap_or_default();
    if NO_CHARSET.contains(&label.as_str()) {
        return Decoded { text: guess(bytes), known: !label.contains("unknown") };
    }
    let name = ALIASES.iter().find(|(alias, _)| *alias == label).map_or(label.as_str(), |(_, name)| *name);
    let text = if name == "utf-8" {
        Some(String::from_utf8_lossy(bytes).into_owned())
    } else if REFUSED.contains(&name) {
        None
    } else {
        charset_decoder(name.as_bytes()).map(|decoder| decoder(bytes))
    };
    match text {
        Some(text) if is_mislabelled(&text, bytes, name) => Decoded { text: guess(bytes), known: true },
        Some(text) => Decoded { text: text.trim_start_matches('\u{feff}').to_owned(), known: true },
        None => Decoded { text: guess(bytes), known: false },
    }
}

/// Whether the bytes are plainly in another charset than the mail says: some do not decode, and they are UTF-8, or
/// are called UTF-8 and hold not one character of it.
fn is_mislabelled(text: &str, bytes: &[u8], name: &str) -> bool {
    let foreign = |c: char| c == char::REPLACEMENT_CHARACTER;
    text.contains(foreign)
        && if name == "utf-8" {
            text.chars().all(|c| c.is_ascii() || foreign(c))
        } else {
            std::str::from_utf8(bytes).is_ok()
        }
}

/// UTF-8 if `bytes` are that, else windows-1252.
pub(super) fn guess(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => charset_decoder(b"windows-1252")
            .map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), |decoder| decoder(bytes)),
    }
}

/// The name without quotes, spaces and a language (RFC 2231 §5), lower case.
fn normal(charset: &str) -> String {
    let name = charset.split(['*', ';']).next().unwrap_or_default();
    name.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'').to_ascii_lowercase()
}

/// The charset that an HTML document names in its first kilobyte, where its part names none.
pub(super) fn of_html(document: &[u8]) -> Option<String> {
    let head = document.get(..document.len().min(1024))?;
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset=")?;
    let name: String = rest
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
        .collect();
    (!name.is_empty()).then_some(name)
}

/// A body's text: line breaks are LF, as in JMAP (RFC 8621 §4.1.4), and no control characters but tabs: NUL is
/// valid JSON, and yet what databases choke on.
pub(super) fn clean_body(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut after_cr = false;
    for c in text.chars() {
        match c {
            '\n' if after_cr => {}
            '\r' | '\n' => clean.push('\n'),
            '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
        after_cr = c == '\r';
    }
    clean
}

/// A field's text on one line: control characters become spaces, the ends are trimmed.
pub(super) fn clean_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

/// Cuts `text` to at most `max` bytes, between two characters; whether there was something to cut.
pub(super) fn cut(text: &mut String, max: usize) -> bool {
    if text.len() <= max {
        return false;
    }
    text.truncate(text.floor_char_boundary(max));
    true
}
