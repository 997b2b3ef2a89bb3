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
}

impl<'a> Run<'a> {
    fn new(word: &Word<'a>) -> Self {
        Self { text: String::new(), charset: word.charset, bytes: word.bytes.clone() }
    }

    fn add(&mut self, word: &Word<'a>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset;
        }
        self.bytes.extend_from_slice(&word.bytes);
    }

    fn flush(&mut self) {
        self.text.push_str(&charset::decode(&self.bytes, Some(self.charset)).text);
        self.bytes.clear();
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
        let decode: fn(&[u8]) -> Vec<u8> = match encoding {
            "b" | "B" => |data| base64(data).0,
            "q" | "Q" => q,
            _ => return None,
        };
        let (data, rest) = body.split_once("?=")?;
        let bytes = decode(data.as_bytes());
        Some(Self { charset, bytes, rest })
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
