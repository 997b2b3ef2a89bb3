//! What a message that is attached to another says of itself. It is opened once: one inside it stays closed.

use mailroom_core::inbound::job::{EnclosedMessage, EnclosedPart};

use super::attachment::{Part, is_message};
use super::header::{Block, Field, beginning};
use super::ids::Ids;
use super::limits::{MAX_ENCLOSED, MAX_ENCLOSED_PARTS};
use super::multipart::{Head, Tree};
use super::{addresses, body, date};

/// Looks into the enclosed messages among `parts`; whether a limit left something out.
pub(super) fn open(parts: &mut [Part<'_>]) -> bool {
    let mut enclosed = parts.iter_mut().filter(|part| is_message(&part.content_type));
    let mut cut = false;
    for part in enclosed.by_ref().take(MAX_ENCLOSED) {
        let (message, left_out) = read(&part.bytes);
        part.message = Some(message);
        cut |= left_out;
    }
    cut || enclosed.next().is_some()
}

fn read(raw: &[u8]) -> (EnclosedMessage, bool) {
    let mut block = Block::read(raw, beginning(raw), |_| false);
    let tree = Tree::read(raw, Head::read(&block, "text/plain"), block.body);
    block.settle(tree.charset().as_deref(), || tree.sample());
    let mut attached = body::attached(&tree);
    let attachments = attached.by_ref().take(MAX_ENCLOSED_PARTS).map(|(leaf, inline)| {
        let (part, _, _) = Part::of(leaf, inline);
        EnclosedPart {
            filename: part.filename,
            content_type: part.content_type,
            size: u64::try_from(part.bytes.len()).unwrap_or(u64::MAX),
            content_id: part.content_id,
            inline: part.inline,
        }
    });
    let attachments = attachments.collect();
    let own = Ids::own(&block);
    let (from, left_out) = addresses::addresses(&block, "From");
    let message = EnclosedMessage {
        subject: block.all("Subject").next().map(Field::decoded),
        from,
        date: block.first("Date").as_deref().and_then(date::parse),
        message_id: own.ids.into_iter().next(),
        attachments,
    };
    (message, attached.next().is_some() || left_out || own.cut || tree.cut)
}
