//! Encoded words in header fields (RFC 2047).
//!
//! mail-parser decodes each word by itself, so that a character split over two words (forbidden by §5, and done by
//! many) comes out as two U+FFFD. Here words in a row of one charset are one run of bytes.
//!
//! Words are decoded wherever they stand, glued to plain text and in quotes too (§5 forbids both): what people see
//! otherwise is noise.

use super::charset;
use super::transfer::{base64, hex_pair};

/// The name of a charset is shorter than this; longer ones are an attempt to make us search.
const MAX_CHARSET_BYTES: usize = 60;

enum Piece<'a> {
    Plain(&'a str),
    Words(String),
}

/// The text with its encoded words decoded, and the space between two of them gone (§6.2).
pub(super) fn decode(text: &str) -> String {
    pieces(text).into_iter().fold(String::with_capacity(text.len()), |out, piece| match piece {
        Piece::Plain(plain) => out + plain,
        Piece::Words(words) => out + &words,
    })
}

/// How many bytes of `text` are the encoded word that it starts with. Nothing in a word is syntax.
pub(super) fn length(text: &str) -> Option<usize> {
    Word::parse(text).map(|word| text.len() - word.rest.len())
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut run: Option<Run<'_>> = None;
    let last_end = text.rfind("?=").unwrap_or(0);
    let (mut rest, mut at) = (text, 0);
    while let Some(found) = rest.get(at..).and_then(|tail| tail.find("=?")) {
        let start = at + found;
        if text.len() - rest.len() + start >= last_end {
            // Nothing ends a word any more: without this, each opening would search to the end.
            break;
        }
        let Some(word) = rest.get(start..).and_then(Word::parse) else {
            // An unfinished word: text.
            at = start + 2;
            continue;
        };
        let plain = rest.get(..start).unwrap_or_default();
        match run.as_mut() {
            Some(run) if plain.trim().is_empty() => run.add(&word),
            _ => {
                pieces.extend(run.take().map(|run| Piece::Words(run.finish())));
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(plain));
                }
                run = Some(Run::new(&word));
            }
        }
        rest = word.rest;
        at = 0;
    }
    pieces.extend(run.take().map(|run| Piece::Words(run.finish())));
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// Words in a row.
struct Run<'a> {
    text: String,
    charset: &'a str,
    bytes: Vec<u8>,
    /// The same as one run of base64, while all words are in it and one before the last ends within a group of four.
    joined: String,
    is_split: bool,
}

impl<'a> Run<'a> {
    fn new(word: &Word<'a>) -> Self {
        let mut run = Self {
            text: String::new(),
            charset: word.charset,
            bytes: Vec::new(),
            joined: String::new(),
            is_split: false,
        };
        run.push(word);
        run
    }

    fn add(&mut self, word: &Word<'a>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset;
        }
        self.push(word);
    }

    fn push(&mut self, word: &Word<'a>) {
        let is_first = self.bytes.is_empty();
        self.is_split |= !self.joined.len().is_multiple_of(4) && !self.joined.ends_with('=');
        match word.base64 {
            Some(data) if is_first || !self.joined.is_empty() => self.joined.push_str(data),
            Some(_) | None => self.joined.clear(),
        }
        self.bytes.extend_from_slice(&word.bytes);
    }

    fn flush(&mut self) {
        let decoded = |bytes: &[u8]| charset::decode(bytes, Some(self.charset)).text;
        let mut text = decoded(&self.bytes);
        // Words that were cut out of one run of base64 make sense together only.
        if self.is_split && !self.joined.is_empty() && text.contains(char::REPLACEMENT_CHARACTER) {
            let joined = decoded(&base64(self.joined.as_bytes()).0);
            if !joined.contains(char::REPLACEMENT_CHARACTER) {
                text = joined;
            }
        }
        self.text.push_str(&text);
        self.bytes.clear();
        self.joined.clear();
        self.is_split = false;
    }

    fn finish(mut self) -> String {
        self.flush();
        self.text
    }
}

/// One encoded word: `=?charset?encoding?text?=`.
struct Word<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
    /// What it holds in base64; none for Q.
    base64: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Word<'a> {
    /// The word that `text` starts with. Spaces in it are forgiven (§2 forbids them).
    fn parse(text: &'a str) -> Option<Self> {
        let body = text.strip_prefix("=?")?;
        let (charset, body) =
            body.split_at_checked(body.bytes().take(MAX_CHARSET_BYTES).position(|b| b == b'?')?)?;
        let (encoding, body) = body.strip_prefix('?')?.split_at_checked(1)?;
        let body = body.strip_prefix('?')?;
        if charset.is_empty() || charset.contains(char::is_whitespace) {
            return None;
        }
        let (data, rest) = body.split_once("?=")?;
        // Base64 that holds an equals sign before its end is Q, whatever it is called.
        let is_base64 = !data.trim_end_matches('=').contains('=');
        let (bytes, base64) = match encoding {
            "b" | "B" if is_base64 => (base64(data.as_bytes()).0, Some(data)),
            "b" | "B" | "q" | "Q" => (q(data.as_bytes()), None),
            _ => return None,
        };
        Some(Self { charset, bytes, base64, rest })
    }
}

/// The Q encoding (§4.2).
fn q(mut data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len());
    while let Some((&byte, tail)) = data.split_first() {
        data = tail;
        match byte {
            b'_' => bytes.push(b' '),
            b'=' => match hex_pair(tail) {
                Some((value, tail)) => {
                    bytes.push(value);
                    data = tail;
                }
                None => bytes.push(byte),
            },
            _ => bytes.push(byte),
        }
    }
    bytes
}
