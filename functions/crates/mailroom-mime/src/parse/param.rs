//! `Content-Type` and `Content-Disposition`: a value with parameters (RFC 2045 §5.1, RFC 2183, RFC 2231).
//!
//! mail-parser knows the charset of the first section of a parameter only, and decodes each section by itself; here
//! the encoded sections in a row are one run of bytes.

use std::collections::BTreeMap;

use super::limits::{MAX_FILENAME_BYTES, MAX_PARAMETER_BYTES, MAX_PARAMETERS, MAX_WORD_BYTES};
use super::transfer::hex_pair;
use super::{charset, encoded_word};

/// A value with its parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Params {
    /// What stands before the first semicolon, lower case.
    pub(super) value: String,
    /// Names in lower case, values without quotes.
    params: Vec<(String, String)>,
}

impl Params {
    /// Reads an unfolded field value.
    pub(super) fn parse(text: &str) -> Self {
        let (mut value, mut rest) = token(text, |c| c == ';');
        if value.contains(char::is_whitespace) {
            // The semicolon was forgotten: what follows the first word may be parameters.
            let start = text.trim_start();
            (value, rest) =
                start.split_once(char::is_whitespace).map_or((value, rest), |(v, r)| (v.to_owned(), r));
        }
        let mut params = Vec::new();
        while !rest.is_empty() {
            let (name, after) = token(rest, |c| c == '=' || c == ';');
            match after.strip_prefix('=') {
                Some(after) => {
                    let (value, after) = value_of(after);
                    params.push((name.to_ascii_lowercase(), value));
                    rest = after;
                }
                None => rest = after.strip_prefix(';').unwrap_or_default(),
            }
            rest = rest.trim_start().trim_start_matches(';');
        }
        Self { value: value.to_ascii_lowercase(), params }
    }

    /// The same, for a disposition: one that names no type but a file is that of an attachment (RFC 2183 §2.8), one
    /// that names nothing is none.
    pub(super) fn or_attachment(self) -> Option<Self> {
        if self.value.contains('=') {
            return Some(Self::parse(&format!("attachment; {}", self.value)));
        }
        if self.value.is_empty() && self.params.is_empty() {
            return None;
        }
        let value = if self.value.is_empty() { "attachment".to_owned() } else { self.value };
        Some(Self { value, ..self })
    }

    /// A parameter as it was written, without its quotes.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter decoded: the extended forms of RFC 2231 first, which say their charset, then the plain one. Encoded
    /// words are forbidden in all of them (RFC 2047 §5), and common. `None` where it is blank.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.extended(name).or_else(|| self.raw(name).map(str::to_owned));
        text.map(|text| encoded_word::decode(&text)).filter(|text| !text.trim().is_empty())
    }

    /// A parameter that is never shown, such as a boundary: never taken for encoded words.
    pub(super) fn exact(&self, name: &str) -> Option<String> {
        self.raw(name).map(str::to_owned).or_else(|| self.extended(name))
    }

    /// The parameters that are not in `without`, decoded, and whether a limit left something out.
    pub(super) fn listed(&self, without: &[&str]) -> (BTreeMap<String, String>, bool) {
        let (mut listed, mut cut) = (BTreeMap::new(), false);
        for (key, _) in &self.params {
            let name = key.split('*').next().unwrap_or_default();
            if word(name).is_none() || without.contains(&name) || listed.contains_key(name) {
                continue;
            }
            if listed.len() == MAX_PARAMETERS {
                return (listed, true);
            }
            let mut value = charset::clean_line(&self.text(name).unwrap_or_default());
            cut |= charset::cut(&mut value, MAX_PARAMETER_BYTES);
            listed.insert(name.to_owned(), value);
        }
        (listed, cut)
    }

    fn extended(&self, name: &str) -> Option<String> {
        if let Some(value) = self.raw(&format!("{name}*")) {
            return Some(join([(true, value)].into_iter()));
        }
        let mut sections = BTreeMap::new();
        for (key, value) in &self.params {
            let Some(section) = key.strip_prefix(name).and_then(|key| key.strip_prefix('*')) else {
                continue;
            };
            let (number, encoded) =
                section.strip_suffix('*').map_or((section, false), |number| (number, true));
            if let Ok(number) = number.parse::<u16>() {
                sections.entry(number).or_insert((encoded, value.as_str()));
            }
        }
        if sections.is_empty() {
            return None;
        }
        Some(join(sections.into_values()))
    }

    /// `type/subtype`; `None` where the value is not of that form.
    pub(super) fn media_type(&self) -> Option<&str> {
        let (kind, subtype) = self.value.split_once('/')?;
        let sound = |token: &str| {
            !token.is_empty()
                && token.len() <= 127
                && token.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
        };
        (sound(kind) && sound(subtype)).then_some(&self.value)
    }
}

/// `text` without spaces around it, if it is one word of a reasonable length.
pub(super) fn word(text: &str) -> Option<&str> {
    let word = text.trim();
    let sound =
        !word.is_empty() && word.len() <= MAX_WORD_BYTES && word.bytes().all(|b| b.is_ascii_graphic());
    sound.then_some(word)
}

/// The sections of an extended parameter (RFC 2231 §3 and §4): the first encoded one names the charset of all.
fn join<'a>(sections: impl Iterator<Item = (bool, &'a str)>) -> String {
    let (mut text, mut bytes, mut charset) = (String::new(), Vec::new(), None);
    for (encoded, value) in sections {
        if !encoded {
            text.push_str(&charset::decode(&std::mem::take(&mut bytes), charset).text);
            text.push_str(value);
            continue;
        }
        let mut parts = value.splitn(3, '\'');
        let data = match (charset, parts.next(), parts.next(), parts.next()) {
            (None, Some(named), Some(_language), Some(data)) => {
                charset = Some(named);
                data
            }
            _ => value,
        };
        percent(data.as_bytes(), &mut bytes);
    }
    text.push_str(&charset::decode(&bytes, charset).text);
    text
}

fn percent(mut data: &[u8], bytes: &mut Vec<u8>) {
    while let Some((&byte, tail)) = data.split_first() {
        data = tail;
        match (byte, hex_pair(tail)) {
            (b'%', Some((value, tail))) => {
                bytes.push(value);
                data = tail;
            }
            _ => bytes.push(byte),
        }
    }
}

/// The text up to a character that `ends` it, trimmed and without comments, and the rest with that character.
fn token(text: &str, ends: impl Fn(char) -> bool) -> (String, &str) {
    let (mut token, mut depth) = (String::new(), 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c if ends(c) => return (token.trim().to_owned(), text.get(at..).unwrap_or_default()),
            c => token.push(c),
        }
    }
    // A bracket that nothing closes is no comment.
    if depth > 0 && text.contains(&ends) {
        let (plain, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        return (plain.trim().to_owned(), rest);
    }
    (token.trim().to_owned(), "")
}

/// A parameter's value, quoted or not, and what follows it. Unquoted values may hold spaces and brackets, because
/// some clients forget the quotes.
fn value_of(text: &str) -> (String, &str) {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.trim().to_owned(), rest);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            // Windows paths come with single backslashes: only what has to be escaped was escaped.
            c if escaped && c != '"' && c != '\\' => value.extend(['\\', c]),
            c => value.push(c),
        }
        escaped = false;
    }
    (value, "")
}

/// Whether slashes in a name separate folders: `Order 225/2385.pdf` is a name, and its numbers tell files apart.
fn is_path(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':');
    name.starts_with(['/', '\\', '.', '~']) || drive || name.contains("..") || name.contains('\\')
}

/// A filename that can do no harm: no path, no control or direction characters, no more than a file system takes.
pub(super) fn filename(decoded: &str) -> Option<String> {
    let base = if is_path(decoded) {
        decoded.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
    } else {
        decoded.replace(['/', '\\'], "_")
    };
    // U+202A–202E and U+2066–2069 turn the reading direction, and with it `exe.fdp` into a harmless look.
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = base.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    let name = name.trim();
    if name.is_empty() || name.chars().all(|c| c == '.') {
        return None;
    }
    if name.len() <= MAX_FILENAME_BYTES {
        return Some(name.to_owned());
    }
    // The extension is what programs look at.
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let mut short = stem.to_owned();
    charset::cut(&mut short, MAX_FILENAME_BYTES - extension.len());
    Some(short + &extension)
}
