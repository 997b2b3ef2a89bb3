//! The message inside an S/MIME signature that encloses it (`smime.p7m`, RFC 8551 §3.5.2).
//!
//! Nothing is judged: neither the signature nor its certificates are looked at. All that is wanted of CMS is the way
//! down to the content (RFC 5652 §5.1), in BER: Outlook and `openssl cms -stream` write lengths that are not known, and
//! texts in pieces, which readers of DER refuse.

#[cfg(test)]
mod tests;

use super::header::{Block, beginning};
use super::multipart::{Head, Tree};

/// Signatures around each other that are opened.
const MAX_SIGNATURES: usize = 3;

/// Constructed values inside each other in a text in pieces.
const MAX_NESTED: usize = 16;

const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/// The entity that the first part encloses, if that is signed in this way. Other parts are attached files.
pub(super) fn entity(tree: &Tree<'_>) -> Option<Vec<u8>> {
    let leaf = tree.leaves.first().filter(|leaf| is_named(&leaf.head))?;
    let mut entity = content(&leaf.decoded().bytes)?;
    for _ in 1..MAX_SIGNATURES {
        let block = Block::read(&entity, beginning(&entity), |_| false);
        let head = Head::read(&block, "text/plain");
        if !is_named(&head) {
            break;
        }
        let body = entity.get(block.body..).unwrap_or_default();
        let Some(inner) = content(&head.transfer.decode(body).bytes) else { break };
        entity = inner;
    }
    Some(entity)
}

fn is_named(head: &Head) -> bool {
    let is_file = || head.kind.text("name").is_some_and(|name| name.to_ascii_lowercase().ends_with(".p7m"));
    match head.media_type() {
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => true,
        "application/octet-stream" => is_file(),
        _ => false,
    }
}

/// The content of `SignedData`; `None` of anything else, and where it is cut off.
fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: bytes };
    reader.enter(0x30)?;
    reader.identifier(SIGNED_DATA)?;
    reader.enter(0xa0)?;
    reader.enter(0x30)?;
    // The version, the algorithms.
    reader.skip(0x02)?;
    reader.skip(0x31)?;
    reader.enter(0x30)?;
    reader.identifier(DATA)?;
    reader.enter(0xa0)?;
    reader.octets()
}

/// How long a value is (X.690 §8.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Definite(usize),
    /// Up to two zeros.
    Indefinite,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// The tag and length of the next value. None that is looked for has a tag of several bytes.
    fn header(&mut self) -> Option<(u8, Length)> {
        let tag = self.byte().filter(|tag| tag & 0x1f != 0x1f)?;
        let length = match self.byte()? {
            0x80 => Length::Indefinite,
            short @ 0..0x80 => Length::Definite(usize::from(short)),
            long => {
                let bytes = self.take(usize::from(long & 0x7f))?;
                let length = bytes
                    .iter()
                    .try_fold(0_usize, |length, byte| Some(length.checked_mul(256)? | usize::from(*byte)));
                Length::Definite(length?)
            }
        };
        Some((tag, length))
    }

    /// Goes into a constructed value. Where it ends does not matter.
    fn enter(&mut self, tag: u8) -> Option<()> {
        self.header().filter(|(found, _)| *found == tag).map(|_| ())
    }

    fn identifier(&mut self, wanted: &[u8]) -> Option<()> {
        match self.header()? {
            (0x06, Length::Definite(length)) => (self.take(length)? == wanted).then_some(()),
            _ => None,
        }
    }

    /// Passes over a value, whatever is in it.
    fn skip(&mut self, tag: u8) -> Option<()> {
        let (found, length) = self.header()?;
        if found != tag {
            return None;
        }
        let Length::Indefinite = length else { return self.pass(length) };
        let mut open = 1_usize;
        while open > 0 {
            match self.header()? {
                (0, Length::Definite(0)) => open -= 1,
                (_, Length::Indefinite) => open += 1,
                (_, length) => self.pass(length)?,
            }
        }
        Some(())
    }

    fn pass(&mut self, length: Length) -> Option<()> {
        match length {
            Length::Definite(length) => self.take(length).map(|_| ()),
            Length::Indefinite => None,
        }
    }

    /// An octet string, which may be in pieces (X.690 §8.7).
    fn octets(&mut self) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        // Where each of the constructed ones ends, by what is left behind it.
        let mut open: Vec<Option<usize>> = Vec::new();
        loop {
            while open.last().is_some_and(|end| *end == Some(self.rest.len())) {
                open.pop();
                if open.is_empty() {
                    return Some(octets);
                }
            }
            match self.header()? {
                (0x04, Length::Definite(length)) => octets.extend(self.take(length)?),
                (0x24, length) if open.len() < MAX_NESTED => open.push(match length {
                    Length::Definite(length) => Some(self.rest.len().checked_sub(length)?),
                    Length::Indefinite => None,
                }),
                (0, Length::Definite(0)) if open.last() == Some(&None) => {
                    open.pop();
                }
                _ => return None,
            }
            if open.is_empty() {
                return Some(octets);
            }
        }
    }
}
