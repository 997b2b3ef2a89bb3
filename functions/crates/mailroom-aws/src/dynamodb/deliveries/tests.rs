//! What is stored of a message on its way, and who may change it.

use mailroom_core::health::{CurrentError, SendingChange, SendingStatus};
use mailroom_core::outbound::delivery::{Bounce, Recipient, RecipientStatus, SendError, SendErrorCode};
use mailroom_core::outbound::message::SaveToSent;
use mailroom_core::owner_error::ErrorCode;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::replay::{Calls, Reply, exception, ok, refusal, service};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

/// The most bytes that a message may take in the table, with as many recipients as are allowed. DynamoDB's bound is 400 KB.
const MAX_BYTES: usize = 300_000;

fn table(script: impl IntoIterator<Item = Reply>) -> (Table, Calls) {
    let (clients, calls) = service(script);
    (Table::new(&clients, "t"), calls)
}

fn id() -> ProfileId {
    ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap()
}

fn delivery_to(recipients: &[&str]) -> Delivery {
    let message = OutboundId::parse("order-1").unwrap();
    let from = EmailAddress::parse("support@example.com").unwrap();
    let to: Vec<EmailAddress> = recipients.iter().map(|to| EmailAddress::parse(to).unwrap()).collect();
    let message_id = MessageId::of(id(), &message, &from);
    Delivery::new(id(), message, message_id, &to, SaveToSent::Auto, NOW)
}

fn delivery() -> Delivery {
    delivery_to(&["ann@example.org"])
}

/// An item as the service sends it.
fn wire(item: &Item) -> Value {
    item.iter()
        .map(|(name, value)| (name.clone(), value_on_the_wire(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open")]
fn value_on_the_wire(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(is) => json!({"BOOL": is}),
        AttributeValue::Null(is) => json!({"NULL": is}),
        AttributeValue::M(members) => json!({"M": wire(members)}),
        AttributeValue::L(all) => json!({"L": all.iter().map(value_on_the_wire).collect::<Vec<_>>()}),
        other => panic!("{other:?}"),
    }
}

pub(in crate::dynamodb) fn stored(delivery: &Delivery) -> Value {
    wire(&to_item(DeliveryItem::from(delivery)).unwrap())
}

fn idempotency(digest: &str) -> IdempotencyKey {
    IdempotencyKey { key: "k".to_owned(), digest: digest.to_owned() }
}

fn noted(expires_at: i64) -> Reply {
    let item = json!({"digest": {"S": "d1"}, "message": {"S": "order-1"}, "expires_at": {"N": expires_at.to_string()}});
    ok(json!({"Item": item}))
}

#[tokio::test]
async fn a_key_names_one_message_for_as_long_as_it_holds() {
    let later = NOW.unix_timestamp() + 60;
    let there = || ok(json!({"Item": stored(&delivery())}));
    let (table, calls) = table([
        ok(json!({})),
        ok(json!({})),
        noted(later),
        there(),
        noted(later),
        noted(NOW.unix_timestamp() - 1),
        ok(json!({})),
    ]);
    let first = table.begin_delivery(&delivery(), Some(&idempotency("d1"))).await.unwrap();
    assert_eq!(first, BeginDelivery::Stored);
    let again = table.begin_delivery(&delivery(), Some(&idempotency("d1"))).await.unwrap();
    assert_eq!(again, BeginDelivery::Repeated(Box::new(delivery())));
    let other = table.begin_delivery(&delivery(), Some(&idempotency("d2"))).await.unwrap();
    assert_eq!(other, BeginDelivery::Conflict);
    // One that has expired is still there for a while, and means nothing.
    let later = table.begin_delivery(&delivery(), Some(&idempotency("d2"))).await.unwrap();
    assert_eq!(later, BeginDelivery::Stored);
    let operations =
        ["GetItem", "TransactWriteItems", "GetItem", "GetItem", "GetItem", "GetItem", "TransactWriteItems"];
    assert_eq!(calls.operations(), operations);
    let note = &calls.all()[1].body["TransactItems"][0]["Put"];
    assert_eq!(note["Item"]["expires_at"]["N"], (NOW.unix_timestamp() + 24 * 3600).to_string());
}

#[tokio::test]
async fn two_requests_with_one_key_at_once_are_one_message() {
    let canceled = || {
        let reasons = json!([{"Code": "ConditionalCheckFailed"}, {"Code": "None"}]);
        refusal("TransactionCanceledException", &json!({"CancellationReasons": reasons}))
    };
    let there = ok(json!({"Item": stored(&delivery())}));
    let (table, _) = table([ok(json!({})), canceled(), noted(NOW.unix_timestamp() + 60), there]);
    let slower = table.begin_delivery(&delivery(), Some(&idempotency("d1"))).await.unwrap();
    assert_eq!(slower, BeginDelivery::Repeated(Box::new(delivery())));
}

#[tokio::test]
async fn without_a_key_an_id_names_one_message() {
    let there = ok(json!({"Item": stored(&delivery())}));
    let (table, _) = table([ok(json!({})), exception("ConditionalCheckFailedException"), there]);
    assert_eq!(table.begin_delivery(&delivery(), None).await.unwrap(), BeginDelivery::Stored);
    let again = table.begin_delivery(&delivery(), None).await.unwrap();
    assert_eq!(again, BeginDelivery::Repeated(Box::new(delivery())));
}

#[tokio::test]
async fn a_change_that_is_there_already_is_ours_and_any_other_is_somebody_elses() {
    let mut ours = delivery();
    ours.revision = 1;
    let mut theirs = ours.clone();
    theirs.attempts = 7;
    let there =
        |delivery: &Delivery| refusal("ConditionalCheckFailedException", &json!({"Item": stored(delivery)}));
    let (table, calls) = table([there(&ours), there(&theirs)]);
    let mut change = delivery();
    table.save_delivery(&mut change).await.unwrap();
    assert_eq!(change.revision, 1);
    assert!(matches!(table.save_delivery(&mut delivery()).await, Err(PortError::Lost)));
    let body = &calls.all()[0].body;
    assert_eq!(body["ConditionExpression"], "revision = :read");
    assert_eq!(body["ExpressionAttributeValues"][":read"]["N"], "0");
}

#[tokio::test]
async fn automatic_mail_is_counted_by_the_hour_and_each_once() {
    let mails = |ages: &[(i64, &str)]| {
        let list: Vec<Value> = ages
            .iter()
            .map(|(minutes, mail)| {
                let at = millis(NOW - time::Duration::minutes(*minutes));
                json!({"M": {"mail": {"S": mail}, "at": {"N": at.to_string()}}})
            })
            .collect();
        ok(
            json!({"Item": {"PK": {"S": "p"}, "SK": {"S": "s"}, "mails": {"L": list}, "revision": {"N": "3"}}}),
        )
    };
    let own = format!("{}#order-1", id());
    let (table, calls) = table([
        mails(&[(1, "a"), (2, "b")]),
        mails(&[(1, "a"), (2, &own)]),
        mails(&[(61, "a"), (2, "b")]),
        ok(json!({})),
        ok(json!({})),
        exception("ConditionalCheckFailedException"),
        mails(&[(1, "a"), (2, "b")]),
    ]);
    let delivery = delivery();
    for expected in
        [Admission::LimitReached, Admission::WithinLimit, Admission::WithinLimit, Admission::LimitReached]
    {
        let admitted = table.admit_automatic("Ann@Example.org", &delivery, 2, NOW).await.unwrap();
        assert_eq!(admitted, expected);
    }
    let written = &calls.all()[3].body;
    assert_eq!(written["Item"]["mails"]["L"].as_array().unwrap().len(), 2, "the old one is gone");
    assert_eq!(written["ConditionExpression"], "revision = :read");
    assert_eq!(calls.all().len(), 7, "who was quicker is counted");
}

#[tokio::test]
async fn a_sending_error_is_stored_beside_the_status_and_only_for_the_same_version() {
    let (table, calls) = table([ok(json!({})), ok(json!({})), exception("ConditionalCheckFailedException")]);
    let error = CurrentError { code: ErrorCode::SmtpAuth, message: "no".to_owned(), since: NOW, count: 1 };
    let refused = SendingChange::Refused(SendingStatus { error, not_before: None, version: 7 });
    table.record_sending(id(), 7, &refused).await.unwrap();
    table.record_sending(id(), 7, &SendingChange::Recovered).await.unwrap();
    assert!(matches!(table.record_sending(id(), 7, &refused).await, Err(PortError::Lost)));
    let all = calls.all();
    assert_eq!(all[0].body["UpdateExpression"], "SET sending = :sending");
    assert_eq!(all[1].body["UpdateExpression"], "REMOVE sending");
    assert!(all.iter().all(|call| call.body["ExpressionAttributeValues"][":version"]["N"] == "7"));
}

#[tokio::test]
async fn our_own_addresses_and_machines_are_found() {
    let found = ok(json!({"Items": [{"PK": {"S": "PROFILE#x"}}], "Count": 1}));
    let (first, _) = table([found, ok(json!({"Items": [], "Count": 0}))]);
    let asked = ["Support@Example.com", "ann@example.org"].map(|one| EmailAddress::parse(one).unwrap());
    assert_eq!(first.own_addresses(&asked).await.unwrap(), [asked[0].clone()]);
    let (second, calls) = table([]);
    assert_eq!(second.automated_sender(id(), &[]).await.unwrap(), None);
    assert!(calls.all().is_empty());
}

fn status() -> impl Strategy<Value = RecipientStatus> {
    prop_oneof![
        option::of("\\PC{0,60}").prop_map(RecipientStatus::Waiting),
        "\\PC{0,60}".prop_map(RecipientStatus::WaitingAlone),
        Just(RecipientStatus::InFlight),
        option::of("\\PC{0,60}").prop_map(RecipientStatus::Accepted),
        "\\PC{0,500}".prop_map(RecipientStatus::Rejected),
        option::of("\\PC{0,60}").prop_map(|doubt| RecipientStatus::Uncertain(
            doubt.map(|doubt| SendError::new(SendErrorCode::Profile(ErrorCode::SmtpConnect), doubt))
        )),
        Just(RecipientStatus::Cancelled),
    ]
}

fn moment() -> impl Strategy<Value = OffsetDateTime> {
    (0_i64..4_102_444_800_000).prop_map(|at| super::super::attribute::time_of("t", at).unwrap())
}

prop_compose! {
    /// As long as what is kept of a report can be.
    fn bounce()(
        status in option::of("5\\.[0-9]\\.[0-9]"),
        diagnostic in option::of("[ -~]{400,500}"),
        remote_mta in option::of("[a-z.]{1,100}"),
        reported_at in moment(),
    ) -> Bounce {
        Bounce { status, diagnostic, remote_mta, reported_at }
    }
}

prop_compose! {
    fn any_delivery()(
        fates in prop::collection::vec((status(), option::of(bounce())), 0..=100),
        (content, digest) in (option::of("[a-z/]{1,60}"), option::of("[0-9a-f]{64}")),
        (attempts, crashes, searches) in any::<(u32, u32, u32)>(),
        (error, reply) in (option::of("\\PC{0,80}"), option::of("\\PC{0,80}")),
        (exhausted, revision) in (any::<bool>(), 0_u64..1_000_000),
        (created_at, resent_at, updated_at, next_at, sent_at) in
            (moment(), option::of(moment()), moment(), option::of(moment()), option::of(moment())),
    ) -> Delivery {
        let mut delivery = delivery();
        delivery.recipients = fates
            .into_iter()
            .enumerate()
            .map(|(n, (status, bounce))| Recipient {
                address: format!("recipient-{n}@example.org"),
                status,
                bounce,
            })
            .collect();
        Delivery {
            content, digest, attempts, crashes, searches, exhausted, revision, created_at, resent_at,
            updated_at, next_at, sent_at,
            error: error.map(|error| SendError::new(SendErrorCode::LoopGuard, error)),
            smtp_reply: reply,
            ..delivery
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_delivery_comes_back_as_it_was_and_stays_small(delivery in any_delivery()) {
        let item: Item = to_item(DeliveryItem::from(&delivery)).unwrap();
        let bytes = wire(&item).to_string().len();
        prop_assert_eq!(read(id(), item).unwrap(), delivery);
        // 500 characters of four bytes for each of a hundred recipients, and no more.
        prop_assert!(bytes < MAX_BYTES, "{} bytes", bytes);
    }
}

/// What is stored today is read for as long as it is kept, and written as it was.
#[test]
fn the_attributes_of_an_item_never_change() {
    let item = json!({
        "PK": "PROFILE#01JDCABCDEFGHJKMNPQRSTVWXY", "SK": "OUT#order-1", "id": "order-1",
        "message_id": "0a1b@example.com", "content": "mail/01JDCABCDEFGHJKMNPQRSTVWXY/out/order-1.json",
        "digest": "d1",
        "recipients": [
            {"address": "a@example.org", "fate": "waiting", "said": "450 later"},
            {"address": "b@example.org", "fate": "in_flight"},
            {"address": "c@example.org", "fate": "accepted"},
            {"address": "d@example.org", "fate": "rejected", "said": "550 no"},
            {"address": "e@example.org", "fate": "in_doubt"},
        ],
        "lease": {"holder": "one", "until": 1_793_534_400_000_i64, "dot": true},
        "attempts": 2, "deaths": 1, "checks": 3, "error": {"code": "smtp_rejected", "message": "No."},
        "smtp_reply": "550 no", "exhausted": false, "created_at": 1_793_534_400_000_i64,
        "updated_at": 1_793_534_400_000_i64, "next_at": 1_793_534_400_000_i64,
        "sent_at": 1_793_534_400_000_i64, "copy": {"due": 1}, "told": false, "revision": 7,
        "expires_at": 1_796_126_400_i64,
    });
    let read: DeliveryItem = serde_json::from_value(item.clone()).unwrap();
    let delivery = read.read(id()).unwrap();
    assert_eq!((delivery.crashes, delivery.searches, delivery.recipients.len()), (1, 3, 5));
    let mut written = serde_json::to_value(DeliveryItem::from(&delivery)).unwrap();
    // What was added since: the place in the directory.
    let added = ["list_key", "list_sort", "search"].map(|name| written.as_object_mut().unwrap().remove(name));
    let place = [&format!("OUT#{}", id()), "1793534400000.order-1", "open"];
    assert_eq!(added.map(Option::unwrap), place.map(Value::from));
    assert_eq!(written, item);
}
