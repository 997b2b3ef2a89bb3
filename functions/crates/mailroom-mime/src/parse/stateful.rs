//! Charsets in which a byte's meaning depends on what came before it: ISO-2022-JP, -KR and -CN with their variants
//! (RFC 1468, 1554, 1557, 1922), HZ (RFC 1843), UTF-7 (RFC 2152).
//!
//! encoding_rs refuses all but ISO-2022-JP, as browsers do, and there answers U+FFFD where one escape sequence follows
//! another (`ESC ( B ESC $ B`), which is what two encoded words in a row look like. Here each run of one character set
//! is moved to the EUC form of that set, which encoding_rs reads.

use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK};

use super::transfer::base64_value;

const ESC: u8 = 0x1b;

/// What the bytes 0x21 to 0x7E stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    /// ASCII with a yen sign and an overline (JIS X 0201).
    Roman,
    /// Half-width katakana (JIS X 0201).
    Katakana,
    /// JIS X 0208.
    Japanese,
    /// JIS X 0212.
    JapaneseSupplement,
    /// KS X 1001.
    Korean,
    /// GB 2312.
    Chinese,
    /// A set of two bytes that encoding_rs does not have, such as CNS 11643.
    Foreign,
}

impl Set {
    /// How the set looks in EUC: its encoding, what precedes each character, and how many bytes one has.
    const fn euc(self) -> Option<(&'static Encoding, &'static [u8], usize)> {
        match self {
            Self::Ascii | Self::Roman | Self::Foreign => None,
            Self::Katakana => Some((EUC_JP, &[0x8e], 1)),
            Self::Japanese => Some((EUC_JP, &[], 2)),
            Self::JapaneseSupplement => Some((EUC_JP, &[0x8f], 2)),
            Self::Korean => Some((EUC_KR, &[], 2)),
            Self::Chinese => Some((GBK, &[], 2)),
        }
    }
}

/// What an escape sequence changes.
enum Escape {
    /// The set of the bytes as they are (G0).
    Plain(Set),
    /// The set between Shift Out and Shift In (G1).
    Shifted(Set),
}

/// The escape sequence that `bytes` start with, less the escape itself, and its length.
fn escape(bytes: &[u8]) -> Option<(Escape, usize)> {
    use Escape::{Plain, Shifted};
    Some(match bytes {
        [b'(', b'B', ..] => (Plain(Set::Ascii), 2),
        [b'(', b'J', ..] => (Plain(Set::Roman), 2),
        [b'(', b'I', ..] => (Plain(Set::Katakana), 2),
        [b'$', b'@' | b'B', ..] => (Plain(Set::Japanese), 2),
        [b'$', b'A', ..] => (Plain(Set::Chinese), 2),
        [b'$', b'(', b'@' | b'B', ..] => (Plain(Set::Japanese), 3),
        [b'$', b'(', b'D', ..] => (Plain(Set::JapaneseSupplement), 3),
        [b'$', b'(', b'C', ..] => (Plain(Set::Korean), 3),
        [b'$', b')', b'A' | b'E', ..] => (Shifted(Set::Chinese), 3),
        [b'$', b')', b'C', ..] => (Shifted(Set::Korean), 3),
        [b'$', b')' | b'*', _, ..] => (Shifted(Set::Foreign), 3),
        _ => return None,
    })
}

/// Whether 7-bit text switches to a Japanese or Korean set: no other text does.
pub(super) fn has_escapes(bytes: &[u8]) -> bool {
    let switches = |window: &[u8]| window.first() == Some(&ESC) && window.get(1) == Some(&b'$');
    bytes.windows(2).any(switches) && bytes.is_ascii()
}

/// Whether anything in `bytes` switches to another set: an escape, Shift Out, `~{` of HZ, or `+` of UTF-7.
pub(super) fn has_switches(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(*byte, ESC | 0x0e | b'+')) || bytes.windows(2).any(|pair| pair == b"~{")
}

/// Decodes ISO-2022-JP, -JP-1, -JP-2, -KR and -CN, and what Windows calls CP50220 to CP50222.
pub(super) fn iso_2022(bytes: &[u8]) -> String {
    let mut text = Text::default();
    let (mut plain, mut shifted, mut is_shifted) = (Set::Ascii, Set::Katakana, false);
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let set = if is_shifted { shifted } else { plain };
        match byte {
            ESC => {
                if let Some((change, length)) = escape(tail) {
                    match change {
                        Escape::Plain(set) => plain = set,
                        Escape::Shifted(set) => shifted = set,
                    }
                    rest = tail.get(length..).unwrap_or_default();
                }
            }
            0x0e => is_shifted = true,
            0x0f => is_shifted = false,
            b'\n' => {
                // A line begins in ASCII (RFC 1468): one bad byte never spoils more than its line.
                (plain, is_shifted) = (Set::Ascii, false);
                text.push(char::from(byte));
            }
            0x21..=0x7e => rest = text.take(set, byte, tail),
            // Windows writes half-width katakana as in Shift_JIS.
            0xa1..=0xdf => text.encoded(EUC_JP, &[0x8e, byte]),
            0x80.. => text.push(char::REPLACEMENT_CHARACTER),
            _ => text.push(char::from(byte)),
        }
    }
    text.finish()
}

/// Decodes HZ: GB 2312 between `~{` and `~}`.
pub(super) fn hz(bytes: &[u8]) -> String {
    let mut text = Text::default();
    let mut set = Set::Ascii;
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'~', Some(b'{')) if set == Set::Ascii => set = Set::Chinese,
            (b'~', Some(b'}')) => set = Set::Ascii,
            (b'~', Some(b'~')) if set == Set::Ascii => text.push('~'),
            (b'~', Some(b'\n')) if set == Set::Ascii => {}
            _ => {
                if byte == b'\n' {
                    set = Set::Ascii;
                }
                match byte {
                    0x21..=0x7e => rest = text.take(set, byte, tail),
                    0x80.. => text.push(char::REPLACEMENT_CHARACTER),
                    _ => text.push(char::from(byte)),
                }
                continue;
            }
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    text.finish()
}

/// Decodes UTF-7: base64 of UTF-16 between `+` and what is not base64; a `-` there belongs to it.
pub(super) fn utf_7(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'+' {
            text.push(if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER });
            continue;
        }
        let is_base64 = |byte: &u8| *byte != b'-' && base64_value(*byte).is_some();
        let length = tail.iter().position(|byte| !is_base64(byte)).unwrap_or(tail.len());
        let (run, after) = tail.split_at(length);
        let ended = after.strip_prefix(b"-");
        match (run.is_empty(), ended) {
            (true, Some(after)) => {
                text.push('+');
                rest = after;
            }
            (true, None) => text.push('+'),
            (false, _) => {
                let units = super::transfer::base64(run).0;
                let units = units.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit));
                text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
                rest = ended.unwrap_or(after);
            }
        }
    }
    text
}

/// Text, and the bytes in EUC that are still to be decoded.
#[derive(Default)]
struct Text {
    done: String,
    euc: Vec<u8>,
    encoding: Option<&'static Encoding>,
}

impl Text {
    fn push(&mut self, c: char) {
        self.flush();
        self.done.push(c);
    }

    fn encoded(&mut self, encoding: &'static Encoding, bytes: &[u8]) {
        if self.encoding.is_some_and(|open| open != encoding) {
            self.flush();
        }
        self.encoding = Some(encoding);
        self.euc.extend_from_slice(bytes);
    }

    /// Takes the character that begins with `byte`; what follows it. Half a character is one U+FFFD.
    fn take<'a>(&mut self, set: Set, byte: u8, tail: &'a [u8]) -> &'a [u8] {
        let second = tail.split_first().filter(|(second, _)| (0x21..=0x7e).contains(*second));
        match (set, set.euc(), second) {
            (Set::Roman, _, _) if byte == b'\\' => self.push('¥'),
            (Set::Roman, _, _) if byte == b'~' => self.push('‾'),
            (Set::Ascii | Set::Roman, _, _) => self.push(char::from(byte)),
            (_, Some((encoding, prefix, 1)), _) => {
                self.encoded(encoding, prefix);
                self.encoded(encoding, &[byte | 0x80]);
            }
            (_, Some((encoding, prefix, _)), Some((second, after))) => {
                self.encoded(encoding, prefix);
                self.encoded(encoding, &[byte | 0x80, second | 0x80]);
                return after;
            }
            (_, _, second) => {
                self.push(char::REPLACEMENT_CHARACTER);
                return second.map_or(tail, |(_, after)| after);
            }
        }
        tail
    }

    fn flush(&mut self) {
        if let Some(encoding) = self.encoding.take() {
            self.done.push_str(&encoding.decode_without_bom_handling(&self.euc).0);
            self.euc.clear();
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.done
    }
}
