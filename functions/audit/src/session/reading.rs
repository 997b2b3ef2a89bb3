//! What is read of a mailbox: the list of its messages by their sequence numbers, and the bytes of some.

use std::collections::BTreeMap;

use async_imap::imap_proto::{AttributeValue, Response};
use mailroom_core::inbound::cursor::Uid;
use mailroom_core::inbound::job::Digest;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{Session, Transport};
use crate::encode;
use crate::error::{ReadError, Step};
use crate::guard::Excess;

/// How much of a message is fetched at once (bytes).
const CHUNK: u64 = 1024 * 1024;

/// How much of a header block is fetched: as much as polls fetch of one, whose digest it is.
const MAX_HEADER: u64 = 256 * 1024;

/// What a FETCH response has besides its literal, at most.
const RESPONSE_TEXT: u64 = 64 * 1024;

/// What the line of a listed message has, on average at most: flags and keywords.
const LISTED_TEXT: u64 = 4 * 1024;

/// A message as the server lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListedMessage {
    pub(crate) uid: Uid,
    pub(crate) seen: bool,
    pub(crate) arrived: Option<OffsetDateTime>,
    pub(crate) size: u64,
}

impl<S: Transport> Session<S> {
    /// Lists the messages with these sequence numbers, both included. A number for which the server gives nothing, or not
    /// all that was asked for, is left out.
    pub(crate) async fn list(&mut self, first: u32, last: u32) -> Result<Vec<ListedMessage>, ReadError> {
        let count = u64::from(last.saturating_sub(first)) + 1;
        let mut listed = BTreeMap::new();
        let command = format!("FETCH {first}:{last} (UID FLAGS INTERNALDATE RFC822.SIZE)");
        let allowed = (RESPONSE_TEXT + count * LISTED_TEXT, 0);
        self.run(Step::List, &command, allowed, |response| {
            if let Response::Expunge(_) | Response::Vanished { .. } = response {
                // The number of a message may change from here on.
                return Err(ReadError::Unexpected(Step::List));
            }
            if let Response::Fetch(number, attributes) = response
                && (first..=last).contains(number)
            {
                listed.extend(listed_message(attributes).map(|message| (*number, message)));
            }
            Ok(())
        })
        .await?;
        Ok(listed.into_values().collect())
    }

    /// The digest of a message's bytes, which are fetched and dropped piece by piece; `None` when the server gives nothing
    /// of it any more. `size` is what the server said that it is.
    pub(crate) async fn digest(&mut self, uid: Uid, size: u64) -> Result<Option<Digest>, ReadError> {
        let mut hash = Sha256::new();
        let mut total: u64 = 0;
        loop {
            let Some(piece) = self.piece(uid, "", total, CHUNK).await? else { return Ok(None) };
            hash.update(&piece);
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            total = total.saturating_add(length);
            if total > size.saturating_add(size / 8).saturating_add(RESPONSE_TEXT) {
                return Err(ReadError::Excess(Step::Fetch, Excess::Bytes));
            }
            // Some servers give less than was asked for, in the middle of a message.
            if length == 0 || (length < CHUNK && total >= size) {
                let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                return Ok(Digest::from_hex(&digits));
            }
        }
    }

    /// The digest that stands for a message that is too large to be fetched.
    pub(crate) async fn oversize_digest(&mut self, uid: Uid, size: u64) -> Result<Option<Digest>, ReadError> {
        let header = self.piece(uid, "HEADER", 0, MAX_HEADER).await?;
        Ok(header.map(|header| Digest::of_oversize(&header, size)))
    }

    /// A piece of a section; `None` when the server gives nothing of the message.
    async fn piece(
        &mut self,
        uid: Uid,
        section: &str,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let number = uid.get();
        let command = format!("UID FETCH {number} (UID BODY.PEEK[{section}]<{offset}.{length}>)");
        let mut piece = None;
        self.run(Step::Fetch, &command, (length + RESPONSE_TEXT, length), |response| {
            let Response::Fetch(_, attributes) = response else { return Ok(()) };
            let of_it =
                attributes.iter().any(|one| matches!(one, AttributeValue::Uid(uid) if *uid == number));
            let body = attributes.iter().find_map(|one| {
                if let AttributeValue::BodySection { data, .. } = one { Some(data) } else { None }
            });
            match body {
                Some(_) if !of_it || piece.is_some() => return Err(ReadError::Unexpected(Step::Fetch)),
                Some(Some(data)) => piece = Some(data.to_vec()),
                // NIL: it was removed a moment ago.
                Some(None) | None => {}
            }
            Ok(())
        })
        .await?;
        Ok(piece)
    }
}

fn listed_message(attributes: &[AttributeValue<'_>]) -> Option<ListedMessage> {
    let (mut uid, mut seen, mut arrived, mut size) = (None, None, None, None);
    for attribute in attributes {
        if let AttributeValue::Uid(number) = attribute {
            uid = Uid::new(*number);
        } else if let AttributeValue::Flags(flags) = attribute {
            seen = Some(flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Seen")));
        } else if let AttributeValue::InternalDate(date) = attribute {
            arrived = encode::date_time(date);
        } else if let AttributeValue::Rfc822Size(bytes) = attribute {
            size = Some(u64::from(*bytes));
        }
    }
    Some(ListedMessage { uid: uid?, seen: seen?, arrived, size: size? })
}
