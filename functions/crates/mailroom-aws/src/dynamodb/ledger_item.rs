//! The ledger's items: a message that was handed over, by its digest, with where it lay.

use mailroom_core::inbound::cursor::{LEDGER_TIME, Uid, UidValidity};
use mailroom_core::inbound::job::Digest;
use mailroom_core::inbound::ledger::{HandedOver, LedgerPlace};
use time::OffsetDateTime;

use super::table::{Item, number};

/// What the sort keys of the ledger's items begin with.
pub(super) const LEDGER: &str = "SEEN#";

/// The sort key of a message.
pub(super) fn ledger_sort(message: &Digest) -> String {
    format!("{LEDGER}{}", message.to_hex())
}

/// The attributes of an item that expires at this time.
pub(super) fn ledger_attributes(place: Option<&LedgerPlace>, expires_at: OffsetDateTime) -> Item {
    let mut item = Item::from([("expires_at".to_owned(), number(expires_at.unix_timestamp()))]);
    if let Some(place) = place {
        item.insert("uid".to_owned(), number(place.uid.get()));
        item.insert("rfc822_size".to_owned(), number(place.size));
        if let Some(uid_validity) = place.uid_validity {
            item.insert("uid_validity".to_owned(), number(uid_validity.get()));
        }
    }
    item
}

/// Reads an item; `None` for one that has expired at `now`, or is not one of the ledger.
pub(super) fn read_ledger_item(item: &Item, now: OffsetDateTime) -> Option<HandedOver> {
    let digest = Digest::from_hex(item.get("SK")?.as_s().ok()?.strip_prefix(LEDGER)?)?;
    let value = |name: &str| item.get(name)?.as_n().ok()?.parse::<u64>().ok();
    let small = |name: &str| value(name).and_then(|value| u32::try_from(value).ok());
    let expires_at = OffsetDateTime::from_unix_timestamp(i64::try_from(value("expires_at")?).ok()?).ok()?;
    let place = small("uid").and_then(Uid::new).zip(value("rfc822_size")).map(|(uid, size)| LedgerPlace {
        uid,
        size,
        uid_validity: small("uid_validity").and_then(UidValidity::new),
    });
    (expires_at > now).then(|| HandedOver { digest, place, noted_at: expires_at.saturating_sub(LEDGER_TIME) })
}
