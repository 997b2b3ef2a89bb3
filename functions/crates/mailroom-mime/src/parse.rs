//! A message's bytes to a job's content (RFC 5322, RFC 2045–2049).
//!
//! Nothing is refused: bytes that are broken, empty or not a message at all still give what can be read of them.
//! Nothing runs away: one pass over the bytes, no recursion, and the bounds of [`limits`].
//!
//! Read in this order: [`header`] (a header block), [`multipart`] (from lines to parts), [`smime`] (parts inside a signature), [`body`] (which part is the
//! text), [`uuencode`] (files in a text), [`tnef`] (files in a `winmail.dat`), [`attachment`] and [`enclosed`] (what is said of the other parts), [`kind`] (who wrote it: a person, a
//! program, a mail server), [`report`] (what a report says), [`calendar`] (the events of calendar parts), [`trace`] (what the mailbox's provider says); below
//! them [`addresses`], [`ids`] and [`date`]
//! (fields), [`encoded_word`] and [`param`] (what stands in fields), [`transfer`], [`charset`] and [`stateful`] (bytes
//! to text).
//!
//! mail-parser stays inside [`charset`], which takes its table of names; the others say why they do without it.

mod addresses;
mod attachment;
mod body;
mod calendar;
mod charset;
mod date;
mod enclosed;
mod encoded_word;
mod encrypted;
mod facts;
mod flowed;
mod header;
mod html_text;
mod ids;
mod kind;
mod limits;
mod multipart;
mod param;
mod reply_text;
mod report;
mod smime;
mod stateful;
#[cfg(test)]
mod tests;
mod tnef;
mod trace;
mod transfer;
mod uuencode;

use mailroom_core::inbound::job::{
    CalendarEvent, Digest, Encryption, Kind, MessageContent, Report, TextSource,
};

pub use self::attachment::Part;
use self::body::Bodies;
use self::header::{Block, beginning};
use self::ids::Ids;
use self::multipart::{Head, Tree};
pub use self::trace::Trace;

/// A message, decoded.
#[derive(Debug)]
pub struct ParsedMessage<'a> {
    /// `Message`, `AutoReply` or `Bounce`.
    pub kind: Kind,
    /// All but `attachments`: those are known once [`ParsedMessage::parts`] are stored.
    pub content: MessageContent,
    /// What is not text or HTML body, in the message's order.
    pub parts: Vec<Part<'a>>,
    /// What a report says; none of any other message.
    pub report: Option<Report>,
    /// The events of its calendar parts.
    pub calendar: Vec<CalendarEvent>,
    /// How it is encrypted; none where it is not.
    pub encrypted: Option<Encryption>,
    /// What its mailbox's provider may have written about it.
    pub trace: Trace,
    /// What was not understood.
    pub defects: Vec<Defect>,
}

/// What of a message was not understood. Its job is made all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// No `From` address, and it is not a bounce.
    NoSender,
    /// A multipart has no boundary, never begins, or does not end.
    BrokenMultipart,
    /// A transfer encoding has bytes that do not belong there.
    BrokenTransferEncoding,
    /// A body is in a charset that is not known.
    UnknownCharset,
    /// A limit left something out.
    Truncated,
}

/// Reads a message.
#[must_use]
pub fn parse_message(raw: &[u8]) -> ParsedMessage<'_> {
    let mut block = Block::read(raw, beginning(raw), |_| false);
    let head = Head::read(&block, "text/plain");
    let tree = Tree::read(raw, head.clone(), block.body);
    match smime::entity(&tree) {
        None => {
            block.settle(tree.charset().as_deref(), || tree.sample());
            read(raw, &block, &head, &tree)
        }
        Some(entity) => {
            let inner = Block::read(&entity, beginning(&entity), |_| false);
            let inner_head = Head::read(&inner, "text/plain");
            let is_all = tree.leaves.len() == 1;
            let mut tree = tree;
            tree.replace_first(Tree::read(&entity, inner_head.clone(), inner.body));
            block.settle(tree.charset().as_deref(), || tree.sample());
            let head = if is_all { inner_head } else { head };
            let message = read(raw, &block, &head, &tree);
            let parts = message.parts.into_iter().map(Part::into_owned).collect();
            ParsedMessage { parts, ..message }
        }
    }
}

/// Reads a message whose parts are found.
fn read<'a>(raw: &[u8], block: &Block<'_>, head: &Head, tree: &Tree<'a>) -> ParsedMessage<'a> {
    let (kind, auto_submitted) = kind::of(block, head, tree);
    // Of a message from a person, a report in a part is one that is passed on.
    let named =
        (kind != Kind::Message).then(|| facts::Report::of(tree, head.kind.raw("report-type"))).flatten();
    let mut bodies = Bodies::of(tree);
    bodies.cut |= enclosed::open(&mut bodies.parts);
    let (calendar, calendar_cut) = calendar::of(&bodies.parts);
    let mut content = headers(block);
    content.auto_submitted = auto_submitted;
    facts::fill(&mut content, block, kind, named);
    content.truncated |= bodies.cut || tree.cut || calendar_cut;
    bodies_of(&mut content, bodies.text, bodies.html);
    let report = report::of(&content, kind, block, tree);
    let encrypted = encrypted::of(head, tree, content.text.as_deref());
    content.size = u64::try_from(raw.len()).unwrap_or(u64::MAX);
    content.sha256 = Digest::of(raw).to_hex();
    let defects = [
        (content.from.is_empty() && kind != Kind::Bounce, Defect::NoSender),
        (tree.broken, Defect::BrokenMultipart),
        (bodies.foreign, Defect::BrokenTransferEncoding),
        (bodies.unknown, Defect::UnknownCharset),
        (content.truncated, Defect::Truncated),
    ];
    let defects = defects.into_iter().filter_map(|(found, defect)| found.then_some(defect)).collect();
    ParsedMessage {
        kind,
        content,
        parts: bodies.parts,
        report,
        calendar,
        encrypted,
        trace: Trace::of(block),
        defects,
    }
}

/// The bodies, and what is made of them. A text part that is blank stands for none where there is HTML.
fn bodies_of(content: &mut MessageContent, text: Option<String>, html: Option<String>) {
    let blank = text.as_ref().is_none_or(|text| text.trim().is_empty());
    content.reply_text = reply_text::of(text.as_deref(), html.as_deref());
    let made = html.as_deref().filter(|_| blank).map(html_text::text).filter(|made| !made.is_empty());
    content.text_source = match (&made, &text) {
        (Some(_), _) => Some(TextSource::Html),
        (None, Some(_)) => Some(TextSource::Plain),
        (None, None) => None,
    };
    content.text = made.or(text);
    content.truncated |= content.text.as_mut().is_some_and(|text| charset::cut(text, limits::MAX_BODY_BYTES));
    content.html = html;
}

/// Reads the header block of a message of `size` bytes (RFC822.SIZE) that is too large to be fetched.
///
/// There are no bodies, and so it is `truncated`. The digest is [`Digest::of_oversize`].
#[must_use]
pub fn parse_header(header_block: &[u8], size: u64) -> MessageContent {
    let block = Block::read(header_block, beginning(header_block), |_| false);
    let mut content = MessageContent {
        truncated: true,
        size,
        sha256: Digest::of_oversize(header_block, size).to_hex(),
        auto_submitted: kind::auto_submitted(&block),
        ..headers(&block)
    };
    let report = facts::Report::named(Head::read(&block, "text/plain").kind.raw("report-type"));
    facts::fill(&mut content, &block, Kind::Oversize, report);
    content
}

/// What the header block says.
fn headers(block: &Block<'_>) -> MessageContent {
    let (headers, mut truncated) = block.listed();
    let mut addresses = |name| {
        let (addresses, cut) = addresses::addresses(block, name);
        truncated |= cut;
        addresses
    };
    let (from, sender, reply_to) = (addresses("From"), addresses("Sender"), addresses("Reply-To"));
    let (to, cc, bcc) = (addresses("To"), addresses("Cc"), addresses("Bcc"));
    let own = Ids::own(block);
    let (in_reply_to, references) = (Ids::read(block, "In-Reply-To"), Ids::read(block, "References"));
    truncated |= own.cut || in_reply_to.cut || references.cut;
    MessageContent {
        message_id: own.ids.into_iter().next(),
        in_reply_to: in_reply_to.ids,
        references: references.ids,
        date: block.first("Date").as_deref().and_then(date::parse),
        subject: block.all("Subject").next().map(header::Field::decoded),
        from,
        sender,
        reply_to,
        to,
        cc,
        bcc,
        truncated,
        headers,
        ..MessageContent::default()
    }
}
