//! A mail's bytes to a job's content (RFC 5322, RFC 2045–2049).
//!
//! Nothing is refused: mail that is broken, empty or no mail at all still gives what can be had of it. Nothing runs
//! away: one pass over the bytes, no recursion, and the bounds of [`limits`].
//!
//! Read in this order: [`field`] (a header block), [`structure`] (from lines to parts), [`body`] (which part is the
//! text), [`kind`] (mail from people, machines and mail servers); below them [`word`] (encoded words), [`param`]
//! (parameters), [`people`] (addresses, ids), [`date`], [`transfer`] and [`charset`] (bytes to text).
//!
//! mail-parser stays inside this module. It reads address lists and charsets; [`structure`] says why the parts are
//! found without it.

mod addresses;
mod body;
mod charset;
mod date;
mod encoded_word;
mod flowed;
mod header;
mod html_text;
mod kind;
mod limits;
mod multipart;
mod param;
mod reply_text;
#[cfg(test)]
mod tests;
mod transfer;

use std::borrow::Cow;

use mailroom_core::inbound::job::{Digest, Kind, MessageContent, TextSource};

use self::body::Bodies;
use self::header::{Block, line_at, name_of};
use self::multipart::{Head, Tree};

/// A mail, decoded.
#[derive(Debug)]
pub struct Mail<'a> {
    /// `Message`, `AutoReply` or `Bounce`.
    pub kind: Kind,
    /// All but `attachments`: those are known once [`Mail::parts`] are stored.
    pub content: MessageContent,
    /// What is not text or HTML body, in the mail's order.
    pub parts: Vec<Part<'a>>,
}

/// A part that becomes an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Decoded (RFC 2231, RFC 2047), without path and control characters, at most 255 bytes.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Without angle brackets.
    pub content_id: Option<String>,
    /// Whether it is meant to be shown in the body.
    pub inline: bool,
    /// Decoded from its transfer encoding; text is still in its charset.
    pub bytes: Cow<'a, [u8]>,
}

/// Reads a mail.
#[must_use]
pub fn read(raw: &[u8]) -> Mail<'_> {
    examine(raw).0
}

/// Reads a mail, and says what of it was not understood.
///
/// Understood fully is a mail with a sender (or a report), multiparts that begin and end, transfer encodings without
/// foreign bytes, known charsets, and nothing cut.
fn examine(raw: &[u8]) -> (Mail<'_>, Vec<&'static str>) {
    let block = Block::read(raw, beginning(raw), |_| false);
    let head = Head::read(&block, "text/plain");
    let tree = Tree::read(raw, head.clone(), block.body);
    let kind = kind::of(&block, &head, &tree);
    let (tree_cut, broken) = (tree.cut, tree.broken);
    let bodies = Bodies::of(tree);
    let mut content = headers(&block);
    content.truncated |= bodies.cut || tree_cut;
    bodies_of(&mut content, bodies.text, bodies.html);
    content.size = u64::try_from(raw.len()).unwrap_or(u64::MAX);
    content.sha256 = Digest::of(raw).to_hex();
    let doubts = [
        (content.from.is_empty() && kind != Kind::Bounce, "no sender"),
        (broken, "broken multipart"),
        (bodies.foreign, "broken transfer encoding"),
        (bodies.unknown, "unknown charset"),
        (content.truncated, "cut"),
    ];
    let doubts = doubts.into_iter().filter_map(|(doubt, words)| doubt.then_some(words)).collect();
    (Mail { kind, content, parts: bodies.parts }, doubts)
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

/// Reads the header block of a mail of `size` bytes (RFC822.SIZE) that is too large to be fetched.
///
/// There are no bodies, and so it is `truncated`. The digest is [`Digest::of_oversize`].
#[must_use]
pub fn read_headers(header_block: &[u8], size: u64) -> MessageContent {
    let block = Block::read(header_block, beginning(header_block), |_| false);
    MessageContent {
        truncated: true,
        size,
        sha256: Digest::of_oversize(header_block, size).to_hex(),
        ..headers(&block)
    }
}

/// Where the header block begins: behind empty lines and the envelope line of an mbox file, which some servers and
/// import tools leave there.
fn beginning(raw: &[u8]) -> usize {
    let mut at = 0;
    while let Some((line, next)) = line_at(raw, at) {
        let skipped = line.is_empty() || line.starts_with(b"From ") || line.starts_with(b">From ");
        if !skipped {
            // Empty lines before what is no header are the end of an empty one.
            return if name_of(line).is_some() { at } else { 0 };
        }
        at = next;
    }
    0
}

/// What the header block says.
fn headers(block: &Block<'_>) -> MessageContent {
    let (headers, mut truncated) = block.listed();
    let mut people = |name| {
        let (addresses, cut) = addresses::addresses(block, name);
        truncated |= cut;
        addresses
    };
    let (from, sender, reply_to) = (people("From"), people("Sender"), people("Reply-To"));
    let (to, cc, bcc) = (people("To"), people("Cc"), people("Bcc"));
    let mut ids = |name| {
        let (ids, cut) = addresses::ids(block, name);
        truncated |= cut;
        ids
    };
    let (in_reply_to, references) = (ids("In-Reply-To"), ids("References"));
    MessageContent {
        message_id: addresses::message_id(block),
        in_reply_to,
        references,
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
