//! Addresses and message ids of header fields.

use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, HeaderValue};
use mailroom_core::inbound::job::Address;

use super::header::Block;
use super::limits::{MAX_ADDRESSES, MAX_ID_BYTES, MAX_IDS};
use super::{charset, encoded_word};

/// The addresses of all fields called `name`, groups flattened (RFC 5322 §3.4), and whether some were left out.
///
/// A field may stand there once (§3.6); what stands there twice is shown twice.
pub(super) fn addresses(block: &Block<'_>, name: &str) -> (Vec<Address>, bool) {
    let mut found = Vec::new();
    for field in block.all(name) {
        let line = encoded_word::in_utf8(&field.unfolded()) + "\n";
        let HeaderValue::Address(addresses) = MessageStream::new(line.as_bytes()).parse_address() else {
            continue;
        };
        for address in addresses.iter().filter_map(address) {
            if found.len() == MAX_ADDRESSES {
                return (found, true);
            }
            found.push(address);
        }
    }
    (found, false)
}

fn address(parsed: &Addr<'_>) -> Option<Address> {
    let clean = |text: &str| Some(charset::clean_line(text)).filter(|text| !text.is_empty());
    let name = parsed.name.as_deref().and_then(clean);
    let address = parsed.address.as_deref().and_then(clean);
    (name.is_some() || address.is_some()).then_some(Address { name, address })
}

/// The message ids of the first field called `name`, in order and without angle brackets.
///
/// What is not in brackets is passed over, as `In-Reply-To` once held phrases (RFC 5322 §4.5.4); where there are no
/// brackets at all, words that look like ids are taken.
pub(super) fn ids(block: &Block<'_>, name: &str) -> (Vec<String>, bool) {
    let value = block.first(name).unwrap_or_default();
    let mut ids: Vec<String> = value
        .split('<')
        .skip(1)
        .filter_map(|text| text.split_once('>').map(|(id, _)| id))
        .filter_map(id)
        .collect();
    if ids.is_empty() {
        let words = value.split([' ', '\t', ',']).filter(|word| word.contains('@'));
        ids = words.filter_map(|word| id(word.trim_matches(['<', '>', '"']))).collect();
    }
    let cut = ids.len() > MAX_IDS;
    if cut {
        ids.drain(1..ids.len() - (MAX_IDS - 1));
    }
    (ids, cut)
}

/// The `Message-ID` field's id: the first in brackets, or else the whole value, if it is one word.
pub(super) fn message_id(block: &Block<'_>) -> Option<String> {
    let (ids, _) = ids(block, "Message-ID");
    ids.into_iter().next().or_else(|| id(&block.first("Message-ID")?))
}

/// An id without the spaces that folding leaves in it.
fn id(text: &str) -> Option<String> {
    let mut id: String = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    charset::cut(&mut id, MAX_ID_BYTES);
    (!id.is_empty()).then_some(id)
}
