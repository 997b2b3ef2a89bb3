//! Parses responses (RFC 9051 §7).
//!
//! Ten responses are needed; all others are skipped. Items of a FETCH response that were not requested are skipped one
//! by one, so that a server's additions never cost a message. Nothing here recurses or indexes.

use mailroom_core::inbound::cursor::{MailboxId, Uid};
use time::OffsetDateTime;

use super::date;
use super::error::{Code, Malformed};
use super::frame::{Frame, Status, Tag};
use super::lexer::{NString, Scanner, Value};
use super::marks::Marks;

/// The longest address of a response code that is kept, in bytes.
const MAX_ADDRESS: usize = 200;

/// A response code (RFC 9051 §7.1) with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ResponseCode {
    /// No code, or an unknown one.
    None,
    UidValidity(u32),
    UidNext(u32),
    MailboxId(MailboxId),
    ReadOnly,
    Capability(Capabilities),
    Known(Code),
}

impl ResponseCode {
    pub(super) fn known(&self) -> Option<Code> {
        match self {
            Self::Known(code) => Some(*code),
            Self::None
            | Self::UidValidity(_)
            | Self::UidNext(_)
            | Self::MailboxId(_)
            | Self::ReadOnly
            | Self::Capability(_) => None,
        }
    }

    fn parse(inner: &[u8]) -> Self {
        let (name, arguments) = split_word(inner);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("UIDVALIDITY") {
            number(arguments).map_or(Self::None, Self::UidValidity)
        } else if is("UIDNEXT") {
            number(arguments).map_or(Self::None, Self::UidNext)
        } else if is("MAILBOXID") {
            object_id(arguments).map_or(Self::None, |id| Self::MailboxId(MailboxId::of(id)))
        } else if is("READ-ONLY") {
            Self::ReadOnly
        } else if is("CAPABILITY") {
            Self::Capability(Capabilities::parse(arguments))
        } else {
            Code::parse(name).map_or(Self::None, Self::Known)
        }
    }
}

/// An object id in its parentheses (RFC 8474 §7).
fn object_id(arguments: &[u8]) -> Option<&[u8]> {
    let id = arguments.trim_ascii().strip_prefix(b"(")?.strip_suffix(b")")?.trim_ascii();
    (1..=255).contains(&id.len()).then_some(id)
}

/// What follows the status of a response: its code and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) code: ResponseCode,
    /// The code's argument, if that is an address that the owner should see.
    pub(super) address: Option<String>,
    pub(super) text: Vec<u8>,
}

impl StatusLine {
    fn parse(text: &[u8]) -> Self {
        let coded = text.strip_prefix(b"[").and_then(|rest| {
            let end = rest.iter().position(|byte| *byte == b']')?;
            Some((rest.get(..end)?, rest.get(end + 1..)?))
        });
        match coded {
            Some((inner, words)) => Self {
                code: ResponseCode::parse(inner),
                address: address(inner),
                text: words.trim_ascii().to_vec(),
            },
            None => Self { code: ResponseCode::None, address: None, text: text.trim_ascii().to_vec() },
        }
    }
}

/// The address in a response code, such as `WEBALERT https://…`: as much of it as fits a sentence, and only if it is of
/// plain characters.
fn address(inner: &[u8]) -> Option<String> {
    let (name, address) = split_word(inner);
    Code::parse(name).filter(|code| matches!(code, Code::WebAlert | Code::Referral))?;
    let address = std::str::from_utf8(address).ok()?.trim();
    let known = ["https://", "http://", "imap://", "imaps://"];
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>'));
    if !plain || !known.iter().any(|scheme| starts_with_ignore_case(address, scheme)) {
        return None;
    }
    // The query of a page for one login is long, and the page asks for the rest without it.
    let short = if address.len() <= MAX_ADDRESS { address } else { address.split('?').next()? };
    (short.len() <= MAX_ADDRESS).then(|| short.to_owned())
}

fn starts_with_ignore_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// A server's capabilities (RFC 9051 §7.2.2), in upper case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities(Vec<String>);

impl Capabilities {
    fn parse(text: &[u8]) -> Self {
        let words = String::from_utf8_lossy(text);
        Self(words.split_ascii_whitespace().map(str::to_ascii_uppercase).collect())
    }

    /// These alone.
    pub(super) fn of(names: &str) -> Self {
        Self::parse(names.as_bytes())
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

/// The section of a message (RFC 9051 §6.4.5) that a FETCH requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// `BODY[]`: the whole message.
    Whole,
    /// `BODY[HEADER]`: the header block.
    Header,
}

/// The bytes of a section, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) section: Section,
    /// The origin octet, if the server sent one.
    pub(super) origin: Option<u64>,
    /// The received bytes; `None` for NIL.
    pub(super) bytes: Option<Vec<u8>>,
}

/// A FETCH response (RFC 9051 §7.5.2). Every item can be missing: servers send flags unsolicited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fetch {
    /// The message sequence number.
    pub(super) number: Option<u32>,
    pub(super) uid: Option<Uid>,
    pub(super) seen: Option<bool>,
    pub(super) size: Option<u64>,
    /// INTERNALDATE, if it can be read.
    pub(super) arrived: Option<OffsetDateTime>,
    pub(super) marks: Marks,
    pub(super) content: Option<Content>,
}

/// A selectable mailbox of a LIST response (RFC 9051 §7.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedMailbox {
    /// The name, encoded as the server sent it.
    pub(super) name: Vec<u8>,
    /// The hierarchy delimiter; `None` for NIL, a flat hierarchy.
    pub(super) delimiter: Option<u8>,
    /// Whether the mailbox has the attribute `\Sent` (RFC 6154 §2).
    pub(super) for_sent: bool,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SearchResult {
    /// The messages found: UIDs, after UID SEARCH.
    Found(Vec<Uid>),
    /// A result that cannot be read, or an ESEARCH, which was not requested.
    Unreadable,
}

/// A response, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Response {
    /// The tagged response that completes a command.
    Tagged(Tag, Status, StatusLine),
    /// An untagged status response.
    Status(Status, StatusLine),
    /// A continuation request, and the challenge after `+`.
    Continuation(Vec<u8>),
    Exists(u32),
    /// A message was removed, so that those behind it have other numbers.
    Expunge,
    Capability(Capabilities),
    Fetch(Box<Fetch>),
    /// A selectable mailbox.
    List(ListedMailbox),
    /// The result of a search.
    Search(SearchResult),
    /// The number of unseen messages, from STATUS.
    Unseen(u32),
    /// Any other response.
    Other,
}

impl Response {
    /// Parses a response. An error only where skipping the response would lose a message or a command's end.
    pub(super) fn parse(frame: Frame) -> Result<Self, Malformed> {
        let Frame { text, literals } = frame;
        let (first, rest) = split_word(&text);
        match first {
            b"+" => Ok(Self::Continuation(rest.to_vec())),
            b"*" => Self::parse_untagged(rest, literals),
            tag => {
                let tag = tag.strip_prefix(b"M").and_then(number).ok_or(Malformed::NotImap)?;
                let (word, rest) = split_word(rest);
                match Status::parse(word) {
                    Some(status @ (Status::Ok | Status::No | Status::Bad)) => {
                        Ok(Self::Tagged(Tag(tag), status, StatusLine::parse(rest)))
                    }
                    Some(Status::Bye | Status::Preauth) | None => Err(Malformed::NotImap),
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
            return Ok(listed_mailbox(rest, literals).map_or(Self::Other, Self::List));
        }
        if word.eq_ignore_ascii_case(b"STATUS") {
            return Ok(unseen_count(rest, literals).map_or(Self::Other, Self::Unseen));
        }
        if word.eq_ignore_ascii_case(b"SEARCH") {
            return Ok(Self::Search(search_result(rest)));
        }
        if word.eq_ignore_ascii_case(b"ESEARCH") {
            return Ok(Self::Search(SearchResult::Unreadable));
        }
        let (kind, data) = split_word(rest);
        if kind.eq_ignore_ascii_case(b"EXISTS") {
            return Ok(number(word).map_or(Self::Other, Self::Exists));
        }
        if kind.eq_ignore_ascii_case(b"FETCH") {
            let fetch = Fetch::parse(data, literals).ok_or(Malformed::Fetch)?;
            return Ok(Self::Fetch(Box::new(Fetch { number: number(word), ..fetch })));
        }
        if kind.eq_ignore_ascii_case(b"EXPUNGE") {
            return Ok(Self::Expunge);
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
            fetch.record(name, value)?;
        }
        Some(fetch)
    }

    /// Records an item. `None` when it is a needed item with a value of the wrong kind.
    fn record(&mut self, name: &[u8], value: Value<'_>) -> Option<()> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("UID") {
            self.uid = Uid::new(number(value.atom()?)?);
        } else if is("FLAGS") {
            let flags = value.into_list()?;
            self.seen = Some(flags.iter().any(|flag| flag.eq_ignore_ascii_case(b"\\Seen")));
            self.marks.set_flags(&flags);
        } else if is("RFC822.SIZE") {
            // A size that cannot be read is unknown, not an error.
            self.size = value.atom().and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        } else if is("INTERNALDATE") {
            self.arrived = value.into_string().and_then(NString::string).and_then(|text| date::parse(&text));
        } else if let Some((section, origin)) = parse_section(name) {
            self.content = Some(Content { section, origin, bytes: value.into_string()?.string() });
        } else {
            self.marks.take_gmail(name, value);
        }
        Some(())
    }
}

/// The mailbox of a LIST response (RFC 9051 §7.3.1); `None` if it cannot be selected.
fn listed_mailbox(data: &[u8], literals: Vec<Vec<u8>>) -> Option<ListedMailbox> {
    let mut scanner = Scanner::new(data, literals);
    let attributes = scanner.value()?.into_list()?;
    let is = |known: &str| attributes.iter().any(|one| one.eq_ignore_ascii_case(known.as_bytes()));
    let delimiter = scanner.value()?.into_string().and_then(NString::string);
    let delimiter = delimiter.and_then(|text| text.first().copied());
    let name = scanner.value()?.into_string()?.string()?;
    let closed = is("\\Noselect") || is("\\NonExistent");
    (!closed).then(|| ListedMailbox { name, delimiter, for_sent: is("\\Sent") })
}

/// Whether a SEARCH response (RFC 3501 §7.2.5) names a message. A MODSEQ may follow its numbers (RFC 7162 §3.1.5).
fn search_result(data: &[u8]) -> SearchResult {
    let numbers = data.split(|byte| *byte == b'(').next().unwrap_or_default();
    let words = numbers.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let found: Option<Vec<Uid>> = words.map(|word| Uid::new(number(word)?)).collect();
    found.map_or(SearchResult::Unreadable, SearchResult::Found)
}

/// UNSEEN in a STATUS response (RFC 9051 §7.3.4).
fn unseen_count(data: &[u8], literals: Vec<Vec<u8>>) -> Option<u32> {
    let mut scanner = Scanner::new(data, literals);
    let _mailbox = scanner.value()?;
    let items = scanner.value()?.into_list()?;
    let at = items.iter().position(|item| item.eq_ignore_ascii_case(b"UNSEEN"))?;
    number(items.get(at + 1)?)
}

/// Reads `BODY[]`, `BODY[HEADER]`, `BODY[]<0>`.
fn parse_section(name: &[u8]) -> Option<(Section, Option<u64>)> {
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

/// Splits a text at its first space; the rest loses its leading spaces.
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
