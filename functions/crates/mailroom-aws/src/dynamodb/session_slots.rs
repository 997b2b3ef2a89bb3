//! Who holds the sessions with a profile's SMTP server: an item for each session, taken and given back by conditional
//! writes.

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use mailroom_core::outbound::ports::{SESSIONS_PER_PROFILE, SessionSlot};
use mailroom_core::ports::PortError;
use mailroom_core::profile::ProfileId;
use time::{Duration, OffsetDateTime};

use super::attribute::millis;
use super::deliveries::{is_condition, key};
use super::delivery_item::expiry;
use super::profile_item::profile_key;
use super::table::{Table, number, text};
use crate::error::unavailable;

/// How long an item outlasts its holder.
const RETENTION: Duration = Duration::hours(1);

impl Table {
    pub(super) async fn take_slot(
        &self,
        profile: ProfileId,
        holder: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Option<SessionSlot>, PortError> {
        // Each run begins at another one, so that a free one is mostly found at once.
        let first = holder.bytes().fold(0_u32, |sum, byte| sum.wrapping_add(byte.into()));
        for step in 0..SESSIONS_PER_PROFILE {
            let slot = SessionSlot {
                number: first.wrapping_add(step) % SESSIONS_PER_PROFILE,
                holder: holder.to_owned(),
            };
            let put = self
                .put_slot(profile, &slot, until)
                .condition_expression("attribute_not_exists(PK) OR #until < :now OR holder = :holder")
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":now", number(millis(now)))
                .expression_attribute_values(":holder", text(holder));
            match put.send().await {
                Ok(_) => return Ok(Some(slot)),
                Err(error) if is_condition(&error) => {}
                Err(error) => return Err(unavailable("PutItem")(error)),
            }
        }
        Ok(None)
    }

    pub(super) async fn release_slot(&self, profile: ProfileId, slot: &SessionSlot) -> Result<(), PortError> {
        let put = self
            .put_slot(profile, slot, OffsetDateTime::UNIX_EPOCH)
            .condition_expression("holder = :holder")
            .expression_attribute_values(":holder", text(&slot.holder));
        match put.send().await {
            Ok(_) => Ok(()),
            // It ran out, and another run holds it.
            Err(error) if is_condition(&error) => Ok(()),
            Err(error) => Err(unavailable("PutItem")(error)),
        }
    }

    fn put_slot(
        &self,
        profile: ProfileId,
        slot: &SessionSlot,
        until: OffsetDateTime,
    ) -> PutItemFluentBuilder {
        let mut item = key(profile_key(profile), format!("SESSION#{}", slot.number));
        item.insert("holder".to_owned(), text(&slot.holder));
        item.insert("until".to_owned(), number(millis(until)));
        item.insert("expires_at".to_owned(), number(expiry(until, RETENTION)));
        self.client().put_item().table_name(&self.name).set_item(Some(item))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::replay::{exception, ok, service};

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    #[tokio::test]
    async fn a_run_takes_the_first_free_session_and_gives_it_back() {
        let held = || exception("ConditionalCheckFailedException");
        let (clients, calls) =
            service([held(), ok(json!({})), ok(json!({})), held(), held(), held(), held()]);
        let table = Table::new(&clients, "t");
        let profile = ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap();
        let slot = table.take_slot(profile, "one", NOW + Duration::MINUTE, NOW).await.unwrap().unwrap();
        table.release_slot(profile, &slot).await.unwrap();
        assert_eq!(table.take_slot(profile, "two", NOW + Duration::MINUTE, NOW).await.unwrap(), None);
        table.release_slot(profile, &slot).await.unwrap();
        let all = calls.all();
        let tried: std::collections::BTreeSet<_> =
            all[3..6].iter().map(|call| call.body["Item"]["SK"]["S"].as_str().unwrap().to_owned()).collect();
        assert_eq!(tried.len(), 3, "each of them once");
        assert_eq!(all[1].body["ExpressionAttributeValues"][":now"]["N"], "1793534400000");
        assert_eq!(
            (&all[2].body["Item"]["SK"], &all[2].body["Item"]["until"]["N"]),
            (&all[1].body["Item"]["SK"], &json!("0"))
        );
        assert_eq!(all[2].body["ConditionExpression"], "holder = :holder");
    }
}
