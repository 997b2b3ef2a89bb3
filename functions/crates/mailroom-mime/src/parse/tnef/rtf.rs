//! RTF as HTML, where it was made from that ([MS-OXRTFEX]), or else as text.
//!
//! `rtf-parser` 0.4 knows no code pages and nothing of HTML in RTF. One pass; groups inside each other are a stack of
//! small states.

use std::collections::BTreeMap;

use super::super::charset;
use super::super::limits::MAX_BODY_BYTES;
use super::windows::charset_of;

/// What was in the RTF.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Html(String),
    Text(String),
}

/// Groups whose text is none of the document's.
const SKIPPED: [&str; 21] = [
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "object",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "footnote",
    "annotation",
    "fldinst",
    "listtable",
    "listoverridetable",
    "xmlnstbl",
    "revtbl",
    "generator",
];

/// Fonts that are remembered; documents have some dozen.
const MAX_FONTS: usize = 1000;

/// Reads RTF. No more is made of it than a body may have.
pub(super) fn read(bytes: &[u8]) -> Body {
    let mut document = Document { group: Group { fallback: 1, ..Group::default() }, ..Document::default() };
    let mut rest = bytes;
    while document.out.len() <= MAX_BODY_BYTES {
        let Some((token, behind)) = token(rest) else { break };
        rest = behind;
        document.take(&token);
    }
    document.flush();
    let out = charset::clean_body(&document.out);
    match document.source {
        Source::Html => Body::Html(out),
        Source::Rtf => Body::Text(out.trim().to_owned()),
    }
}

/// A piece of RTF.
enum Token<'a> {
    Open,
    Close,
    /// `\*`: the group may be passed over.
    Optional,
    /// A control word and its number.
    Word(&'a str, Option<i32>),
    /// A character of the code page.
    Byte(u8),
    /// Text that stands for itself.
    Plain(&'a [u8]),
    /// A control symbol that stands for a character.
    Symbol(char),
    /// Nothing that is shown.
    Nothing,
}

/// The next token, and what follows it.
fn token(bytes: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    Some(match first {
        b'{' => (Token::Open, rest),
        b'}' => (Token::Close, rest),
        b'\r' | b'\n' => (Token::Nothing, rest),
        b'\\' => return escaped(rest),
        _ => {
            let end = bytes.iter().position(|byte| b"{}\\\r\n".contains(byte)).unwrap_or(bytes.len());
            let (plain, rest) = bytes.split_at(end);
            (Token::Plain(plain), rest)
        }
    })
}

/// What follows a backslash.
fn escaped(bytes: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    Some(match first {
        b'*' => (Token::Optional, rest),
        b'\'' => {
            let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) => (Token::Byte(byte), rest.get(2..).unwrap_or_default()),
                None => (Token::Nothing, rest),
            }
        }
        b'~' => (Token::Symbol('\u{a0}'), rest),
        b'_' => (Token::Symbol('-'), rest),
        b'\r' | b'\n' => (Token::Word("par", None), rest),
        b'{' | b'}' | b'\\' => (Token::Symbol(char::from(*first)), rest),
        b'a'..=b'z' | b'A'..=b'Z' => word(bytes),
        _ => (Token::Nothing, rest),
    })
}

fn word(bytes: &[u8]) -> (Token<'_>, &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(bytes.len());
    let (name, rest) = bytes.split_at(end.min(32));
    let signed = usize::from(rest.first() == Some(&b'-'));
    let digits = rest.iter().skip(signed).take_while(|byte| byte.is_ascii_digit()).count().min(10);
    let (number, rest) = rest.split_at(if digits == 0 { 0 } else { signed + digits });
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let name = std::str::from_utf8(name).unwrap_or_default();
    match (name, number.map(usize::try_from)) {
        // So many bytes that are no RTF.
        ("bin", Some(Ok(length))) => (Token::Nothing, rest.get(length..).unwrap_or_default()),
        _ => (Token::Word(name, number), rest),
    }
}

/// What holds within a group.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    /// None of its text is the document's.
    skipped: bool,
    /// It is `\htmltag`: a piece of the HTML itself.
    tag: bool,
    /// `\htmlrtf`: what only readers of RTF see.
    for_rtf: bool,
    fonts: bool,
    /// How many characters follow one in Unicode for those who do not know that.
    fallback: u32,
    code_page: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Source {
    Html,
    #[default]
    Rtf,
}

#[derive(Debug, Default)]
struct Document {
    source: Source,
    group: Group,
    around: Vec<Group>,
    /// The last token was `\*`.
    optional: bool,
    /// Characters still to be passed over.
    pass: u32,
    code_page: Option<u32>,
    /// The font that the table is at, and the code pages of fonts.
    font: i32,
    fonts: BTreeMap<i32, Option<u32>>,
    /// Text in the code page, and in UTF-16, that is not decoded yet.
    narrow: Vec<u8>,
    wide: Vec<u16>,
    out: String,
}

impl Document {
    fn take(&mut self, token: &Token<'_>) {
        let optional = std::mem::take(&mut self.optional);
        match token {
            Token::Open => {
                self.flush();
                self.pass = 0;
                self.around.push(self.group);
            }
            Token::Close => {
                self.flush();
                self.pass = 0;
                self.group = self.around.pop().unwrap_or(self.group);
            }
            Token::Optional => self.optional = true,
            Token::Word(name, number) => self.word(name, *number, optional),
            Token::Byte(byte) => self.bytes(&[*byte]),
            Token::Plain(bytes) => self.bytes(bytes),
            Token::Symbol(symbol) => self.symbol(*symbol),
            Token::Nothing => self.optional = optional,
        }
    }

    fn is_hidden(&self) -> bool {
        self.group.skipped || self.group.fonts || (self.group.for_rtf && self.source == Source::Html)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let passed = usize::try_from(self.pass).unwrap_or(usize::MAX).min(bytes.len());
        self.pass -= u32::try_from(passed).unwrap_or(self.pass);
        let bytes = bytes.get(passed..).unwrap_or_default();
        if self.is_hidden() || bytes.is_empty() {
            return;
        }
        self.flush_wide();
        self.narrow.extend(bytes);
    }

    fn symbol(&mut self, symbol: char) {
        if self.pass > 0 {
            self.pass -= 1;
        } else if !self.is_hidden() {
            self.flush();
            self.out.push(symbol);
        }
    }

    fn word(&mut self, name: &str, number: Option<i32>, optional: bool) {
        match name {
            "fromhtml" => self.source = Source::Html,
            "ansicpg" => self.code_page = number.and_then(|page| u32::try_from(page).ok()),
            "fonttbl" => self.group.fonts = true,
            "htmltag" if optional => self.group.tag = true,
            "htmlrtf" => self.group.for_rtf = number != Some(0),
            "uc" => {
                self.group.fallback = number.and_then(|count| u32::try_from(count).ok()).unwrap_or(1).min(16)
            }
            "u" => {
                if let Some(unit) =
                    number.and_then(|unit| u16::try_from(unit & 0xffff).ok()).filter(|_| !self.is_hidden())
                {
                    self.flush_narrow();
                    self.wide.push(unit);
                }
                self.pass = self.group.fallback;
            }
            "f" if self.group.fonts => self.font = number.unwrap_or_default(),
            "fcharset" if self.group.fonts && self.fonts.len() < MAX_FONTS => {
                self.fonts.insert(self.font, number.and_then(page_of_font));
            }
            "f" => {
                self.flush();
                let font = number.and_then(|font| self.fonts.get(&font));
                self.group.code_page = font.copied().flatten();
            }
            "plain" => {
                self.flush();
                self.group.code_page = None;
            }
            _ if SKIPPED.contains(&name) || optional => self.group.skipped = true,
            _ => self.character(name),
        }
    }

    /// A control word that stands for a character.
    fn character(&mut self, name: &str) {
        let symbol = match name {
            "par" | "line" | "sect" | "page" | "row" => '\n',
            "tab" | "cell" => '\t',
            "lquote" => '\u{2018}',
            "rquote" => '\u{2019}',
            "ldblquote" => '\u{201c}',
            "rdblquote" => '\u{201d}',
            "bullet" => '\u{2022}',
            "endash" => '\u{2013}',
            "emdash" => '\u{2014}',
            "emspace" | "enspace" | "qmspace" => ' ',
            _ => return,
        };
        self.symbol(symbol);
    }

    fn flush(&mut self) {
        self.flush_narrow();
        self.flush_wide();
    }

    fn flush_narrow(&mut self) {
        if self.narrow.is_empty() {
            return;
        }
        let page = self.group.code_page.filter(|_| !self.group.tag).or(self.code_page).and_then(charset_of);
        self.out.push_str(&charset::decode(&std::mem::take(&mut self.narrow), page).text);
    }

    fn flush_wide(&mut self) {
        if !self.wide.is_empty() {
            self.out.push_str(&String::from_utf16_lossy(&std::mem::take(&mut self.wide)));
        }
    }
}

/// The code page of a font's charset; none where it is the document's.
fn page_of_font(charset: i32) -> Option<u32> {
    Some(match charset {
        0 => 1252,
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(rtf: &str) -> String {
        match read(rtf.as_bytes()) {
            Body::Text(text) => text,
            Body::Html(html) => panic!("HTML: {html}"),
        }
    }

    #[test]
    fn text_is_what_a_reader_sees() {
        for (rtf, wanted) in [
            (r"{\rtf1\ansi\ansicpg1252\pard hello world}", "hello world"),
            (
                r"{\rtf1\ansi{\fonttbl{\f0\fswiss Arial;}}{\colortbl;\red0\green0\blue0;}{\*\generator x;}\f0 a\par b\tab c\line}",
                "a\nb\tc",
            ),
            (r"{\rtf1\ansi\ansicpg1252 Gr\'fc\'dfe \{\\\}\~x}", "Grüße {\\}\u{a0}x"),
            (r"{\rtf1\ansi\uc1 \u8364?5 \u-10179?\u-8704? {\uc0\u252}x\u252\'fcx}", "€5 😀 üxüx"),
            (
                r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}}\f0\'e9 \f1\'ef\'f0{\f0\'e9}\plain\'e9}",
                "é прéé",
            ),
            (r"{\rtf1\ansicpg932\'93\'fa\'96\'7b}", "日本"),
            ("{\\rtf1 a\r\nb\\\nc{\\pict\\bin3 }}}d}e", "ab\nce"),
            (r"{\rtf1 {\field{\*\fldinst HYPERLINK a}{\fldrslt link}}}", "link"),
        ] {
            assert_eq!(text(rtf), wanted, "{rtf}");
        }
    }

    #[test]
    fn html_that_rtf_was_made_from_comes_back() {
        let rtf = "{\\rtf1\\ansi\\ansicpg1251\\fromhtml1 \\deff0\r\n{\\fonttbl{\\f0\\fcharset204 A;}}{\\*\\htmltag19 <html>}\
            {\\*\\htmltag64 <p class=\"a\">}\\htmlrtf {\\f0\\htmlrtf0 \\'cf\\'f0 {\\*\\htmltag84 &amp;}\\htmlrtf &\\htmlrtf0 b\\htmlrtf\\par}\\htmlrtf0\r\n\
            {\\*\\htmltag72 </p>\\par }{\\*\\mhtmltag64 <x>}{\\*\\htmltag27 </html>}}";
        let Body::Html(html) = read(rtf.as_bytes()) else { panic!() };
        assert_eq!(html, "<html><p class=\"a\">Пр &amp;b</p>\n</html>");
    }

    #[test]
    fn groups_in_each_other_and_long_texts_end() {
        assert_eq!(text(&"{".repeat(1_000_000)), "");
        assert_eq!(text(&format!("{}a{}", "{\\b ".repeat(200_000), "}".repeat(300_000))), "a");
        assert!(text(&"a\\par ".repeat(2_000_000)).len() <= MAX_BODY_BYTES + 1);
        assert_eq!(text(&format!("{{\\rtf1{}x}}", "{\\fonttbl\\f1\\fcharset1}\\f2".repeat(50_000))), "x");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(rtf in r"(\{|\}|\\[a-z]{1,4}-?[0-9]{0,12} ?|\\'[0-9a-fx]{2}|\\bin[0-9]{1,3} |[a-z]|\\\*|\\u-?[0-9]{1,6}|\\){0,60}") {
            read(rtf.as_bytes());
        }
    }
}
