//! Bytes to UTF-8 by the name of a charset, and text without what breaks its readers.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

use super::stateful;

/// Names in use that the decoder's table lacks.
const ALIASES: [(&str, &str); 14] = [
    ("utf8", "utf-8"),
    ("cp65001", "utf-8"),
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

/// How many bytes a charset is detected from.
const MAX_DETECTED_BYTES: usize = 16 * 1024;

/// Text, and whether its charset is one we know.
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) known: bool,
}

/// Decodes `bytes`. Without a charset, with an unknown one, and with US-ASCII, which 8-bit text often bears: as
/// [`guess`] does.
pub(super) fn decode(bytes: &[u8], charset: Option<&str>) -> Decoded {
    let label = charset.map(normal).unwrap_or_default();
    if NO_CHARSET.contains(&label.as_str()) {
        return Decoded { text: guess(bytes, None), known: !label.contains("unknown") };
    }
    let name = ALIASES.iter().find(|(alias, _)| *alias == label).map_or(label.as_str(), |(_, name)| *name);
    let text = match stateful_decoder(name) {
        // Without a switch to another set, and with bytes that none of these charsets has: it is another one.
        Some(_) if !bytes.is_ascii() && !stateful::has_switches(bytes) => Some(guess(bytes, None)),
        Some(decoder) => Some(decoder(bytes)),
        None if stateful::has_escapes(bytes) => Some(stateful::iso_2022(bytes)),
        None if name == "utf-8" => Some(String::from_utf8_lossy(bytes).into_owned()),
        None => charset_decoder(name.as_bytes()).map(|decoder| decoder(bytes)),
    };
    match text {
        Some(text) if is_mislabelled(&text, bytes, name) => Decoded { text: guess(bytes, None), known: true },
        Some(text) => Decoded { text: text.trim_start_matches('\u{feff}').to_owned(), known: true },
        None => Decoded { text: guess(bytes, None), known: false },
    }
}

/// The decoder of a charset with states, by its name in lower case.
fn stateful_decoder(name: &str) -> Option<fn(&[u8]) -> String> {
    match name {
        "hz-gb-2312" | "hz" => Some(stateful::hz),
        "utf-7" | "csutf7" | "unicode-2-0-utf-7" | "x-unicode-2-0-utf-7" => Some(stateful::utf_7),
        "csiso2022jp" | "csiso2022jp2" | "csiso2022kr" | "jis" | "cp50220" | "cp50221" | "cp50222" => {
            Some(stateful::iso_2022)
        }
        _ if name.starts_with("iso-2022-") => Some(stateful::iso_2022),
        _ => None,
    }
}

/// Whether the bytes are plainly in another charset than the message says: some do not decode, and they are UTF-8, or
/// are called UTF-8 and hold not one character of it. 7-bit bytes prove nothing.
fn is_mislabelled(text: &str, bytes: &[u8], name: &str) -> bool {
    let foreign = |c: char| c == char::REPLACEMENT_CHARACTER;
    text.contains(foreign)
        && if name == "utf-8" {
            text.chars().all(|c| c.is_ascii() || foreign(c))
        } else {
            !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok()
        }
}

/// The text of bytes that say no charset: ISO-2022 by its escape sequences, UTF-8 if they are that but for a few,
/// then the charset `likely`, then what detection is sure of, and windows-1252 at last, which has a character for
/// nearly every byte and is right more often than any guess (measured on 11,216 public messages).
pub(super) fn guess(bytes: &[u8], likely: Option<&'static Encoding>) -> String {
    if stateful::has_escapes(bytes) {
        return stateful::iso_2022(bytes);
    }
    if is_nearly_utf_8(bytes) {
        return String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned();
    }
    let likely = likely.filter(|likely| decodes(likely, bytes)).or_else(|| detect(bytes));
    likely.unwrap_or(WINDOWS_1252).decode_without_bom_handling(bytes).0.into_owned()
}

/// The charset that `bytes` are in, where they tell.
///
/// A script of its own shows in a few letters; between Latin charsets only longer text tells.
pub(super) fn detect(bytes: &[u8]) -> Option<&'static Encoding> {
    let bytes = bytes.get(..MAX_DETECTED_BYTES).unwrap_or(bytes);
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    if high < 4 {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let found = detector.guess(None, Utf8Detection::Deny);
    // In Latin text most letters are ASCII, and many accents are no sign of another script.
    let evident = if high * 2 > letters { high >= 4 } else { high >= 24 };
    (found != WINDOWS_1252 && evident && decodes(found, bytes)).then_some(found)
}

/// The charset of this name, for [`guess`]. UTF-8 and US-ASCII say nothing of bytes that are neither.
pub(super) fn named(charset: &str) -> Option<&'static Encoding> {
    let label = normal(charset);
    let label = ALIASES.iter().find(|(alias, _)| *alias == label).map_or(label.as_str(), |(_, name)| *name);
    if NO_CHARSET.contains(&label) {
        return None;
    }
    Encoding::for_label_no_replacement(label.as_bytes()).filter(|encoding| *encoding != encoding_rs::UTF_8)
}

/// Whether all but a few bytes are characters of `encoding`.
fn decodes(encoding: &'static Encoding, bytes: &[u8]) -> bool {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let (mut bad, mut good) = (0_usize, 0_usize);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        if c == char::REPLACEMENT_CHARACTER || ('\u{80}'..'\u{a0}').contains(&c) {
            bad += 1;
        } else {
            good += 1;
        }
    }
    bad * 8 <= good
}

/// Whether `bytes` are UTF-8, or hold at least two of its characters for each byte that is none.
fn is_nearly_utf_8(bytes: &[u8]) -> bool {
    let (mut bad, mut good) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        bad += chunk.invalid().len();
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
    }
    bad == 0 || good >= bad * 2
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
