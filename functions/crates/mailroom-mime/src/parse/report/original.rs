//! The message that a report is about: the copy or the header that the report returns.

use mailroom_core::inbound::job::{MessageContent, OriginalMessage};

use super::written;
use crate::parse::addresses;
use crate::parse::header::{Block, Field, beginning, line_at, name_of};
use crate::parse::ids::Ids;
use crate::parse::multipart::Tree;

/// Bytes of what is returned that are read: its header.
const MAX_RETURNED_BYTES: usize = 64 * 1024;

/// Lines behind the words that announce a copy, before its header begins.
const MAX_LINES_BEFORE: usize = 20;

/// The types of a copy, and of a header alone (RFC 6522 §4).
const RETURNED: [&str; 6] = [
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
    "text/rfc822",
];

/// What a report tells of the original message; `None` where it tells nothing.
pub(super) fn of(content: &MessageContent, report: &Block<'_>, tree: &Tree<'_>) -> Option<OriginalMessage> {
    let part = tree.leaves.iter().find(|leaf| RETURNED.contains(&leaf.head.media_type()));
    let text = content.text.as_deref().unwrap_or_default();
    let returned = match part {
        Some(leaf) => {
            let body = leaf.body.get(..MAX_RETURNED_BYTES).unwrap_or(leaf.body);
            let bytes = leaf.head.transfer.decode(body).bytes;
            Some(described(&Block::read(&bytes, beginning(&bytes), |_| false)))
        }
        None => quoted(text),
    };
    let mut original = returned.or_else(|| named(text)).unwrap_or_default();
    if original.message_id.is_none() {
        let mut ids = Ids::read(report, "In-Reply-To").ids;
        ids.truncate(1);
        original.message_id = ids.pop().or_else(|| Ids::read(report, "References").ids.pop());
    }
    let told = original.message_id.is_some() || original.subject.is_some() || !original.to.is_empty();
    told.then_some(original)
}

fn described(block: &Block<'_>) -> OriginalMessage {
    OriginalMessage {
        message_id: Ids::own(block).ids.into_iter().next(),
        subject: block.all("Subject").next().map(Field::decoded),
        to: addresses::addresses(block, "To").0,
    }
}

/// The header that a server quotes in its text.
fn quoted(text: &str) -> Option<OriginalMessage> {
    let text = text.get(..text.floor_char_boundary(MAX_RETURNED_BYTES))?;
    let data = text.get(written::end_of_report(text)..)?.as_bytes();
    let mut at = 0;
    for _ in 0..MAX_LINES_BEFORE {
        let (line, next) = line_at(data, at)?;
        if name_of(line).is_some_and(|(name, _)| is_first(name)) {
            let block = Block::read(data, at, |_| false);
            let has = |name: &str| block.all(name).next().is_some();
            let header = has("Message-ID") || (has("Subject") && (has("From") || has("To")));
            return header.then(|| described(&block));
        }
        at = next;
    }
    None
}

/// Whether a field may begin a header.
fn is_first(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let known = ["return-path", "received", "from", "to", "subject", "date", "message-id", "mime-version"];
    known.contains(&name.as_str()) || name.starts_with("x-") || name.starts_with("dkim-")
}

/// What a server says of the message in lines of its own, as Exchange and Domino do: `Subject: Hello`.
fn named(text: &str) -> Option<OriginalMessage> {
    let report = text.get(..written::end_of_report(text))?;
    let value = |name: &str| {
        report.lines().find_map(|line| {
            let (label, value) = line.trim().split_once(':')?;
            (label.eq_ignore_ascii_case(name) && !value.trim().is_empty()).then(|| value.trim().to_owned())
        })
    };
    let fields = ["Subject", "To", "Message-ID"].iter().filter_map(|name| Some((name, value(name)?)));
    let header: String = fields.map(|(name, value)| format!("{name}: {value}\n")).collect();
    (!header.is_empty()).then(|| described(&Block::read(header.as_bytes(), 0, |_| false)))
}
