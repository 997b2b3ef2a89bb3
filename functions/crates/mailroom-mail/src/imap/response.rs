//! From a response's text to what it says (RFC 9051 §7).
//!
//! Nine responses matter to us; all others are skipped. In a FETCH response the items that we did not ask for are
//! skipped one by one, so that a server's additions never cost a message. Nothing here recurses or indexes.

use mailroom_core::inbound::cursor::Uid;
use time::OffsetDateTime;

use super::date;
use super::error::{Code, Malformed};
use super::frame::{Frame, Status, Tag};
use super::lexer::{Scanner, Value};

/// What a response code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CodeData {
    /// There is none, or none that we know.
    None,
    UidValidity(u32),
    UidNext(u32),
    ReadOnly,
    Capability(Capabilities),
    Known(Code),
}

impl CodeData {
    pub(super) fn known(&self) -> Option<Code> {
        match self {
            Self::Known(code) => Some(*code),
            Self::None | Self::UidValidity(_) | Self::UidNext(_) | Self::ReadOnly | Self::Capability(_) => {
                None
            }
        }
    }

    fn parse(inner: &[u8]) -> Self {
        let (name, arguments) = split_word(inner);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("UIDVALIDITY") {
            number(arguments).map_or(Self::None, Self::UidValidity)
        } else if is("UIDNEXT") {
            number(arguments).map_or(Self::None, Self::UidNext)
        } else if is("READ-ONLY") {
            Self::ReadOnly
        } else if is("CAPABILITY") {
            Self::Capability(Capabilities::parse(arguments))
        } else {
            Code::parse(name).map_or(Self::None, Self::Known)
        }
    }
}

/// A status with its code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) code: CodeData,
    pub(super) text: Vec<u8>,
}

impl StatusLine {
    fn parse(text: &[u8]) -> Self {
        let coded = text.strip_prefix(b"[").and_then(|rest| {
            let end = rest.iter().position(|byte| *byte == b']')?;
            Some((rest.get(..end)?, rest.get(end + 1..)?))
        });
        match coded {
            Some((inner, words)) => Self { code: CodeData::parse(inner), text: words.trim_ascii().to_vec() },
            None => Self { code: CodeData::None, text: text.trim_ascii().to_vec() },
        }
    }
}

/// What a server says that it can do (RFC 9051 §6.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities(Vec<String>);

impl Capabilities {
    fn parse(text: &[u8]) -> Self {
        let words = String::from_utf8_lossy(text);
        Self(words.split_ascii_whitespace().map(str::to_ascii_uppercase).collect())
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

/// What of a message's content was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// `BODY[]`
    Whole,
    /// `BODY[HEADER]`
    Header,
}

/// A part of a message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) section: Section,
    /// The offset of the first byte, as far as the server says it.
    pub(super) origin: Option<u64>,
    /// The bytes; `None` for NIL.
    pub(super) bytes: Option<Vec<u8>>,
}

/// What a FETCH response says (RFC 9051 §7.5.2). All of it can be missing: servers send flags unasked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) uid: Option<Uid>,
    pub(super) seen: Option<bool>,
    pub(super) size: Option<u64>,
    /// `Some(None)`: there is a date, and it cannot be read.
    pub(super) arrived: Option<Option<OffsetDateTime>>,
    pub(super) content: Option<Content>,
}

/// A mailbox that can be opened, as a LIST response names it (RFC 9051 §7.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedMailbox {
    /// Its name on the wire.
    pub(super) name: Vec<u8>,
    /// What separates the levels of its name; `None` where there are none.
    pub(super) delimiter: Option<u8>,
    /// Whether it is for sent mail: `\Sent` (RFC 6154 §2).
    pub(super) for_sent: bool,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchResult {
    NoMatch,
    Match,
    /// It cannot be read, or is an answer of another form than was asked for.
    Unclear,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Response {
    /// The end of a command.
    Tagged(Tag, Status, StatusLine),
    /// A status without a tag.
    Status(Status, StatusLine),
    /// `+`, and the challenge after it.
    Continuation(Vec<u8>),
    Exists(u32),
    Capability(Capabilities),
    Fetch(Box<Fetch>),
    /// A mailbox that can be opened.
    List(ListedMailbox),
    /// What a search has found.
    Search(SearchResult),
    /// How many messages of a mailbox nobody has read.
    Unseen(u32),
    /// Nothing that matters.
    Other,
}

impl Response {
    /// Reads a response. Errors only where skipping it would lose something.
    pub(super) fn parse(frame: Frame) -> Result<Self, Malformed> {
        let Frame { text, literals } = frame;
        let (first, rest) = split_word(&text);
        match first {
            b"+" => Ok(Self::Continuation(rest.to_vec())),
            b"*" => Self::parse_untagged(rest, literals),
            tag => {
                let tag = tag.strip_prefix(b"M").and_then(number).ok_or(Malformed::ForeignTag)?;
                let (word, rest) = split_word(rest);
                match Status::parse(word) {
                    Some(status @ (Status::Ok | Status::No | Status::Bad)) => {
                        Ok(Self::Tagged(Tag(tag), status, StatusLine::parse(rest)))
                    }
                    Some(Status::Bye | Status::Preauth) | None => Err(Malformed::ForeignTag),
                }
            }
        }
    }

    fn parse_untagged(text: &[u8], literals: Vec<Vec<u8>>) -> Result<Self, Malformed> {
        let (word, rest) = split_word(text);
        if let Some(status) = Status::parse(word) {
            return Ok(Self::Status(status, StatusLine::parse(rest)));
        }
        if word.eq_ignore_ascii_case(b"CAPABILITY") {
            return Ok(Self::Capability(Capabilities::parse(rest)));
        }
        if word.eq_ignore_ascii_case(b"LIST") {
            return Ok(list(rest, literals).map_or(Self::Other, Self::List));
        }
        if word.eq_ignore_ascii_case(b"STATUS") {
            return Ok(unseen(rest, literals).map_or(Self::Other, Self::Unseen));
        }
        if word.eq_ignore_ascii_case(b"SEARCH") {
            return Ok(Self::Search(hits(rest)));
        }
        if word.eq_ignore_ascii_case(b"ESEARCH") {
            return Ok(Self::Search(SearchResult::Unclear));
        }
        let (kind, data) = split_word(rest);
        if kind.eq_ignore_ascii_case(b"EXISTS") {
            return Ok(number(word).map_or(Self::Other, Self::Exists));
        }
        if kind.eq_ignore_ascii_case(b"FETCH") {
            let fetch = Fetch::parse(data, literals).ok_or(Malformed::Fetch)?;
            return Ok(Self::Fetch(Box::new(fetch)));
        }
        Ok(Self::Other)
    }
}

impl Fetch {
    fn parse(data: &[u8], literals: Vec<Vec<u8>>) -> Option<Self> {
        let mut scanner = Scanner::new(data, literals);
        let mut fetch = Self::default();
        scanner.open()?;
        while !scanner.close() {
            let name = scanner.item_name()?;
            let value = scanner.value()?;
            fetch.note(name, value)?;
        }
        Some(fetch)
    }

    /// Notes an item. `None` where it is one that matters and its value is of a wrong kind.
    fn note(&mut self, name: &[u8], value: Value<'_>) -> Option<()> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("UID") {
            self.uid = Uid::new(number(value.atom()?)?);
        } else if is("FLAGS") {
            self.seen = Some(value.into_list()?.iter().any(|flag| flag.eq_ignore_ascii_case(b"\\Seen")));
        } else if is("RFC822.SIZE") {
            // NIL and nonsense: not known.
            self.size = value.atom().and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        } else if is("INTERNALDATE") {
            self.arrived = Some(value.into_string().flatten().and_then(|text| date::parse(&text)));
        } else if let Some((section, origin)) = content_name(name) {
            self.content = Some(Content { section, origin, bytes: value.into_string()? });
        }
        Some(())
    }
}

/// The mailbox of a LIST response (RFC 9051 §7.3.1), unless it cannot be opened.
fn list(data: &[u8], literals: Vec<Vec<u8>>) -> Option<ListedMailbox> {
    let mut scanner = Scanner::new(data, literals);
    let attributes = scanner.value()?.into_list()?;
    let is = |known: &str| attributes.iter().any(|one| one.eq_ignore_ascii_case(known.as_bytes()));
    let delimiter = scanner.value()?.into_string().flatten().and_then(|text| text.first().copied());
    let name = scanner.value()?.into_string()??;
    let closed = is("\\Noselect") || is("\\NonExistent");
    (!closed).then(|| ListedMailbox { name, delimiter, for_sent: is("\\Sent") })
}

/// Whether a SEARCH response (RFC 3501 §7.2.5) names a message. A MODSEQ may follow its numbers (RFC 7162 §3.1.5).
fn hits(data: &[u8]) -> SearchResult {
    let numbers = data.split(|byte| *byte == b'(').next().unwrap_or_default();
    let mut words = numbers.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        SearchResult::NoMatch
    } else if words.all(|word| number(word).is_some_and(|uid| uid > 0)) {
        SearchResult::Match
    } else {
        SearchResult::Unclear
    }
}

/// UNSEEN in a STATUS response (RFC 9051 §7.3.4).
fn unseen(data: &[u8], literals: Vec<Vec<u8>>) -> Option<u32> {
    let mut scanner = Scanner::new(data, literals);
    let _mailbox = scanner.value()?;
    let items = scanner.value()?.into_list()?;
    let at = items.iter().position(|item| item.eq_ignore_ascii_case(b"UNSEEN"))?;
    number(items.get(at + 1)?)
}

/// Reads `BODY[]`, `BODY[HEADER]`, `BODY[]<0>`.
fn content_name(name: &[u8]) -> Option<(Section, Option<u64>)> {
    let head = name.get(..5).filter(|head| head.eq_ignore_ascii_case(b"BODY["))?;
    let rest = name.get(head.len()..)?;
    let end = rest.iter().position(|byte| *byte == b']')?;
    let (section, after) = (rest.get(..end)?, rest.get(end + 1..)?);
    let section = match section {
        b"" => Section::Whole,
        header if header.eq_ignore_ascii_case(b"HEADER") => Section::Header,
        _ => return None,
    };
    let origin = match after {
        b"" => None,
        origin => {
            let digits = origin.strip_prefix(b"<")?.strip_suffix(b">")?;
            Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
        }
    };
    Some((section, origin))
}

/// A text's first word, and the rest after the spaces that follow it.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (word, rest.trim_ascii_start())
}

/// A number of at most 32 bits, without a sign.
fn number(digits: &[u8]) -> Option<u32> {
    let digits = digits.trim_ascii();
    if digits.first().is_some_and(u8::is_ascii_digit) {
        std::str::from_utf8(digits).ok()?.parse().ok()
    } else {
        None
    }
}
