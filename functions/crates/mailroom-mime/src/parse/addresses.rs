//! Addresses of header fields (RFC 5322 §3.4), read leniently.
//!
//! mail-parser's reader is not used: it takes what holds a space for an address, drops quotes from local parts, and
//! makes a sender of each comma in a name that lacks its quotes. Here a field is split once into words, quoted
//! strings, comments and what stands in angle brackets; an entry that has no address belongs to the name after it, and
//! only `local@domain` is ever an address.

use mailroom_core::inbound::job::Address;

use super::header::Block;
use super::limits::MAX_ADDRESSES;
use super::{charset, encoded_word};

/// The addresses of all fields called `name`, groups flattened, and whether some were left out.
///
/// A field may stand there once (§3.6); what stands there twice is shown twice.
pub(super) fn addresses(block: &Block<'_>, name: &str) -> (Vec<Address>, bool) {
    let mut found = Vec::new();
    for field in block.all(name) {
        found.append(&mut read(&field.unfolded()));
        if found.len() > MAX_ADDRESSES {
            found.truncate(MAX_ADDRESSES);
            return (found, true);
        }
    }
    (found, false)
}

/// A piece of an address list.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    /// Text up to the next piece, encoded words and domain literals included.
    Text(&'a str),
    /// What stands in quotes, without them, still escaped.
    Quoted(&'a str),
    Comment(&'a str),
    /// What stands in angle brackets.
    Angle(&'a str),
    /// `,` between entries, `;` at the end of a group.
    Separator,
    /// `:`, before which the name of a group stands.
    Group,
}

/// Reads the value of an address field.
fn read(value: &str) -> Vec<Address> {
    let mut found = Vec::new();
    let mut entry = Entry::default();
    let mut tokens = tokens(value).into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Separator => entry.separate(&mut found),
            Token::Group => entry = Entry::default(),
            Token::Angle(address) => entry.angle(address, &mut found),
            Token::Comment(comment) => entry.comment = entry.comment.or(Some(comment)),
            Token::Text(text) => entry.items.push(Item::Text(text)),
            Token::Quoted(quoted) => {
                let domain = match tokens.peek() {
                    Some(Token::Text(text)) if text.starts_with('@') => Some(*text),
                    _ => None,
                };
                match domain {
                    Some(domain) => {
                        tokens.next();
                        entry.quoted_local_part(quoted, domain);
                    }
                    None => entry.items.push(Item::Quoted(quoted)),
                }
            }
        }
    }
    entry.separate(&mut found);
    entry.end(&mut found);
    found
}

/// Splits a field in one pass: what nothing closes is looked for once.
fn tokens(value: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut start, mut at) = (0, 0);
    let last = |end: &str| value.rfind(end).unwrap_or(0);
    let (last_quote, last_bracket, last_word) = (last("\""), last("]"), last("?="));
    let (mut quotes_close, mut comments_close) = (true, true);
    let mut groups = value.matches(';').count();
    while let Some(c) = value.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = value.get(at..).unwrap_or_default();
        let inner = rest.get(c.len_utf8()..).unwrap_or_default();
        // The piece that begins here, and its length.
        let piece = match c {
            '"' if at < last_quote && quotes_close => {
                let found = quoted_end(inner);
                quotes_close = found.is_some();
                found.map(|(text, length)| (Token::Quoted(text), length + 1))
            }
            '(' if comments_close => {
                let found = comment_end(inner);
                comments_close = found.is_some();
                found.map(|(text, length)| (Token::Comment(text), length + 1))
            }
            '<' => {
                let (text, length) = angle_end(inner);
                Some((Token::Angle(text), length + 1))
            }
            ',' => Some((Token::Separator, 1)),
            ';' => {
                groups = groups.saturating_sub(1);
                Some((Token::Separator, 1))
            }
            // The name of a group, which a semicolon ends, says nothing of the addresses.
            ':' if groups > 0 => Some((Token::Group, 1)),
            _ => None,
        };
        if let Some((piece, length)) = piece {
            tokens.extend(value.get(start..at).filter(|text| !text.trim().is_empty()).map(Token::Text));
            tokens.push(piece);
            at += length;
            start = at;
            continue;
        }
        at += match c {
            '=' if at < last_word => encoded_word::length(rest).unwrap_or(1),
            // A domain literal: `ann@[IPv6:2001:db8::1]`.
            '[' if at < last_bracket && value.get(..at).is_some_and(|before| before.ends_with('@')) => {
                inner.find(']').map_or(1, |end| end + 2)
            }
            c => c.len_utf8(),
        };
    }
    tokens.extend(value.get(start..).filter(|text| !text.trim().is_empty()).map(Token::Text));
    tokens
}

/// The text up to the quote that ends it, and its length with that quote.
fn quoted_end(text: &str) -> Option<(&str, usize)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((text.get(..end)?, end + 1))
}

/// The text up to the bracket that ends a comment, others inside it included, and its length with that bracket.
fn comment_end(text: &str) -> Option<(&str, usize)> {
    let (mut depth, mut escaped) = (1_u32, false);
    let end = text.bytes().position(|byte| {
        match byte {
            b'(' if !escaped => depth += 1,
            b')' if !escaped => depth -= 1,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        depth == 0
    })?;
    Some((text.get(..end)?, end + 1))
}

/// The text up to the angle bracket that ends it, and its length with that bracket. Where another opens first, or none
/// ends it, it ends with its entry.
fn angle_end(text: &str) -> (&str, usize) {
    let mut quoted = false;
    let route = text.trim_start().starts_with('@');
    for (at, byte) in text.bytes().enumerate() {
        let inside = text.get(..at).unwrap_or_default();
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let doubled = text.get(at + 1..).is_some_and(|after| after.starts_with('>'));
                return (inside, at + 1 + usize::from(doubled));
            }
            b',' if !quoted && !route => return (inside, at),
            b'<' if !quoted && !inside.trim().is_empty() => return (inside, at),
            _ => {}
        }
    }
    (text, text.len())
}

/// What was read of an entry of the list.
#[derive(Debug)]
enum Item<'a> {
    Text(&'a str),
    Quoted(&'a str),
    /// An address outside angle brackets whose local part is quoted.
    Address(String),
}

/// The entry that is being read.
#[derive(Debug, Default)]
struct Entry<'a> {
    /// Names of the entries before it that have no address, joined: the first parts of this one's name.
    before: String,
    items: Vec<Item<'a>>,
    comment: Option<&'a str>,
    /// Whether an address in angle brackets has come.
    has_address: bool,
}

impl<'a> Entry<'a> {
    /// Takes what stands in angle brackets, and with it the name that was read.
    fn angle(&mut self, text: &str, found: &mut Vec<Address>) {
        let (addresses, words) = split_addresses(text);
        let name = self.take_name().or_else(|| name(&words));
        self.has_address = true;
        if addresses.is_empty() {
            found.extend(name.is_some().then_some(Address { name, address: None }));
            return;
        }
        let mut name = name;
        found.extend(
            addresses.into_iter().map(|address| Address { name: name.take(), address: Some(address) }),
        );
    }

    /// Takes `"local part"@domain`.
    fn quoted_local_part(&mut self, quoted: &str, text: &'a str) {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (domain, rest) = text.split_at(end);
        match address(&format!("\"{quoted}\"{domain}")) {
            Some(address) => self.items.push(Item::Address(address)),
            None => self.items.push(Item::Text(text)),
        }
        if !rest.trim().is_empty() {
            self.items.push(Item::Text(rest));
        }
    }

    /// Ends the entry. One without an address belongs to the name of the next.
    fn separate(&mut self, found: &mut Vec<Address>) {
        let bare = self.bare_addresses();
        let comment = self.comment.take();
        if bare.is_empty() && !self.has_address {
            if let Some(address) = comment.and_then(address) {
                found.push(Address { name: self.take_name(), address: Some(address) });
                return;
            }
            let text = self.take_text();
            let text = if text.trim().is_empty() { comment.unwrap_or_default().to_owned() } else { text };
            if !text.trim().is_empty() {
                let comma = if self.before.is_empty() { "" } else { ", " };
                self.before = format!("{}{comma}{}", self.before, text.trim());
            }
            return;
        }
        let follows = self.has_address;
        self.has_address = false;
        let surplus = if bare.is_empty() { self.take_name() } else { None };
        self.items.clear();
        let before = std::mem::take(&mut self.before);
        found.extend(bare.into_iter().enumerate().map(|(n, (words, address))| {
            let comma = if before.is_empty() || words.trim().is_empty() { "" } else { ", " };
            let words = if n == 0 { format!("{before}{comma}{}", words.trim()) } else { words };
            Address { name: name(&words), address: Some(address) }
        }));
        // `<ann@example.org> (Ann)` and `ann@example.org (Ann)`.
        if let Some(last) = found.last_mut().filter(|last| last.name.is_none()) {
            last.name = comment.and_then(name).or(surplus.filter(|_| follows));
        }
    }

    /// Ends the list: what has no address and nothing after it is a name.
    fn end(&mut self, found: &mut Vec<Address>) {
        if let Some(name) = self.take_name() {
            found.push(Address { name: Some(name), address: None });
        }
    }

    /// The addresses outside angle brackets, each with the words before it.
    fn bare_addresses(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut words = String::new();
        let alone = self.items.len() == 1;
        for item in &self.items {
            match item {
                Item::Address(address) => found.push((std::mem::take(&mut words), address.clone())),
                Item::Quoted(quoted) => match address(quoted).filter(|_| alone) {
                    Some(address) => found.push((String::new(), address)),
                    None => {
                        words.push(' ');
                        words.push_str(&unescaped(quoted));
                    }
                },
                Item::Text(text) => {
                    for word in joined(text).split_whitespace() {
                        match address(word) {
                            Some(address) => found.push((std::mem::take(&mut words), address)),
                            None => {
                                words.push(' ');
                                words.push_str(word);
                            }
                        }
                    }
                }
            }
        }
        if let Some((first, _)) = found.first_mut().filter(|(first, _)| first.trim().is_empty()) {
            *first = words;
        }
        found
    }

    /// The text of the items, in order.
    fn take_text(&mut self) -> String {
        let mut text = String::new();
        for item in self.items.drain(..) {
            match item {
                // Behind a quote that nothing closes.
                Item::Text(plain) => text.push_str(plain.strip_prefix('"').unwrap_or(plain)),
                Item::Quoted(quoted) => {
                    if !text.is_empty() && !text.ends_with(char::is_whitespace) && !text.ends_with("?=") {
                        text.push(' ');
                    }
                    text.push_str(&unescaped(quoted));
                }
                Item::Address(address) => text.push_str(&address),
            }
        }
        text
    }

    fn take_name(&mut self) -> Option<String> {
        let text = self.take_text();
        let before = std::mem::take(&mut self.before);
        let comma = if before.is_empty() || text.trim().is_empty() { "" } else { ", " };
        name(&format!("{before}{comma}{}", text.trim()))
    }
}

/// A name as people read it: decoded, one space between words.
fn name(text: &str) -> Option<String> {
    let decoded = charset::clean_line(&encoded_word::decode(text));
    let words: Vec<&str> = decoded.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn unescaped(quoted: &str) -> String {
    let mut escaped = false;
    let kept = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    quoted.chars().filter(kept).collect()
}

/// Obsolete syntax allows spaces around `@` and the dots of a domain (§4.4).
fn joined(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let mut joined = String::with_capacity(text.len());
    let mut glued = true;
    for word in text.split_whitespace() {
        if !glued && !word.starts_with('@') && word != "." {
            joined.push(' ');
        }
        joined.push_str(word);
        glued = word.ends_with('@') || word == ".";
    }
    joined
}

/// The addresses in `text`, and its other words.
fn split_addresses(text: &str) -> (Vec<String>, String) {
    let text = text.trim().trim_start_matches('<');
    if let Some(address) = address(text) {
        return (vec![address], String::new());
    }
    let (mut addresses, mut words) = (Vec::new(), Vec::new());
    let text = joined(text);
    for word in text.split_whitespace() {
        match address(word) {
            Some(address) => addresses.push(address),
            None => words.push(word),
        }
    }
    (addresses, words.join(" "))
}

/// `local@domain`, if `word` is one. An obsolete route before it (§4.4), `mailto:` and single quotes around it are
/// dropped, as square brackets are; quotes of a local part belong to it (§3.4.1).
fn address(word: &str) -> Option<String> {
    let word = word.trim();
    let word = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')).unwrap_or(word);
    let word = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    let scheme = word.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    let word = scheme.and_then(|scheme| word.get(scheme.len()..)).unwrap_or(word);
    let word = match word.strip_prefix('@').and_then(|route| route.split_once(':')) {
        Some((_, after)) => after.trim_start(),
        None => word,
    };
    let quoted = word.strip_prefix('"').and_then(quoted_end);
    let (local, domain) = match quoted {
        Some((local, length)) => (local, word.get(length + 1..)?.strip_prefix('@')?),
        None => word.split_once('@')?,
    };
    let foreign = |c: char| c.is_whitespace() || c.is_control() || "<>()\",;@\\".contains(c);
    let sound = !local.is_empty() && !domain.is_empty() && !domain.contains(foreign);
    let plain = quoted.is_some() || !local.contains(foreign);
    (sound && plain && !local.contains(char::is_control)).then(|| word.to_owned())
}
