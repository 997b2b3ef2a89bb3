use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::field::tests::edited;
use crate::problem::read;
use crate::tests::validator;

fn profile() -> ProfileId {
    ProfileId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()
}

fn taken(body: &Value) -> Result<Message, Problems> {
    read::<MessageBody>(body.clone())?.describe(profile())
}

fn least() -> Value {
    json!({"to": [{"address": "ann@example.org"}], "text": "Hello"})
}

fn with(changes: Value) -> Value {
    let mut body = least();
    crate::patch::merge(&mut body, changes);
    body
}

#[test]
fn every_field_is_named_that_could_carry_a_header() {
    let long = "x".repeat(1_000_000);
    for hostile in ["a\r\nBcc: eve@example.org", "a\nb", "a\rb", "a\0b", "\u{2028}", long.as_str()] {
        for (change, field) in [
            (json!({"to": [{"address": hostile}]}), "to[0].address"),
            (json!({"to": [{"address": "a@b.c", "name": hostile}]}), "to[0].name"),
            (json!({"cc": [{"address": hostile}]}), "cc[0].address"),
            (json!({"bcc": [{"address": "a@b.c", "name": hostile}]}), "bcc[0].name"),
            (json!({"reply_to": [{"address": hostile}]}), "reply_to[0].address"),
            (json!({"from_name": hostile}), "from_name"),
            (json!({"subject": hostile}), "subject"),
            (json!({"in_reply_to": hostile}), "in_reply_to"),
            (json!({"references": ["<a@b>", hostile]}), "references[1]"),
            (json!({"attachments": [{"filename": hostile, "content": ""}]}), "attachments[0].filename"),
            (
                json!({"attachments": [{"filename": "a", "content": "", "content_type": hostile}]}),
                "attachments[0].content_type",
            ),
            (
                json!({"attachments": [{"filename": "a", "content": "", "content_id": hostile}]}),
                "attachments[0].content_id",
            ),
            (json!({"attachments": [{"filename": "a", "key": hostile}]}), "attachments[0].key"),
        ] {
            let problems = taken(&with(change)).unwrap_err();
            assert_eq!(problems.0[0].field, field, "{problems:?}");
            assert!(problems.0[0].message.len() < 200 && !problems.0[0].message.contains("Bcc"));
        }
    }
    assert_eq!(taken(&with(json!({"text": "a\0b"}))).unwrap_err().0[0].field, "text");
    assert!(taken(&with(json!({"text": long, "html": "a\nb"}))).is_ok());
}

#[test]
fn numbers_have_bounds() {
    let people = |count| json!(vec![json!({"address": "ann@example.org"}); count]);
    assert!(taken(&with(json!({"to": people(50), "cc": people(30), "bcc": people(20)}))).is_ok());
    for change in [
        json!({"to": people(10_000)}),
        json!({"to": people(50), "cc": people(51)}),
        json!({"reply_to": people(11)}),
        json!({"references": vec!["<a@b>"; 101]}),
        json!({"attachments": vec![json!({"filename": "a", "content": ""}); 51]}),
        json!({"to": []}),
        json!({"text": null}),
        json!({"attachments": [{"filename": "a"}]}),
        json!({"attachments": [{"filename": "a", "content": "", "key": "mail/x"}]}),
        json!({"attachments": [{"filename": "a", "content": "a"}]}),
        json!({"attachments": [{"filename": "a", "key": "mail/01ARZ3NDEKTSV4RRFFQ69G5FAW/x/0"}]}),
        json!({"save_to_sent": "maybe"}),
        json!({"from": "ann@example.org"}),
    ] {
        assert!(taken(&with(change.clone())).is_err(), "{change}");
    }
}

#[test]
fn a_message_is_what_was_written() {
    let body = json!({
        "to": [{"name": "Ann", "address": "ann@example.org"}], "cc": [{"address": "bob@example.org"}],
        "bcc": [{"address": "ANN@example.org"}], "reply_to": [{"address": "desk@example.com"}], "from_name": "Support",
        "subject": "Gr\u{fc}\u{df}e", "text": "t", "html": "h", "in_reply_to": "<a@b>", "references": ["c@d"],
        "attachments": [
            {"filename": "a.pdf", "content_type": "application/pdf", "content": "aGk="},
            {"filename": "b.png", "key": format!("mail/{}/0a/1", profile()), "content_id": "logo"},
        ],
        "auto_submitted": true, "save_to_sent": "never", "loop_guard": false,
    });
    let message = taken(&body).unwrap();
    let recipients: Vec<_> = message.recipients().iter().map(|one| one.as_str().to_owned()).collect();
    assert_eq!(recipients, ["ann@example.org", "bob@example.org"]);
    assert_eq!(message.attachments[0].source, Source::Bytes(b"hi".to_vec()));
    assert!(matches!(&message.attachments[1].disposition, Disposition::Inline(id) if id.as_str() == "logo"));
    assert_eq!((message.origin, message.save_to_sent), (Origin::Automatic, SaveToSent::Never));
    assert_eq!(message.loop_guard, LoopGuard::Off);
    assert_eq!(message.in_reply_to.unwrap().to_string(), "<a@b>");
}

fn some_text() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ -~]{0,12}".prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{1,5}@[a-z]{1,5}(\\.[a-z]{2,3})?".prop_map(Value::from),
        "<[a-z@]{0,5}>".prop_map(Value::from),
        "[a-z]{1,6}/[a-z+.]{1,6}".prop_map(Value::from),
        "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(Value::from),
        prop::sample::select(vec![
            "a\nb",
            "\u{85}",
            "a\0",
            "",
            " ",
            "a/b",
            "multipart/mixed",
            "<>",
            "\u{2029}"
        ])
        .prop_map(Value::from),
        Just(Value::Null),
        any::<i8>().prop_map(Value::from),
    ]
}

fn body() -> impl Strategy<Value = Value> {
    let person = || {
        (prop::option::of(some_text()), some_text()).prop_map(|(name, address)| match name {
            Some(name) => json!({"name": name, "address": address}),
            None => json!({"address": address}),
        })
    };
    let attachment =
        (some_text(), some_text(), some_text(), 0..4_u8).prop_map(|(name, kind, content, shape)| {
            let mut attachment = json!({"filename": name});
            if shape != 0 {
                attachment["content"] = content.clone();
            }
            if shape == 2 {
                attachment["content_type"] = kind;
            } else if shape == 3 {
                attachment["content_id"] = content;
            }
            attachment
        });
    let change = prop_oneof![
        person().prop_map(|one| json!({"to": [one]})),
        person().prop_map(|one| json!({"cc": [one], "to": []})),
        person().prop_map(|one| json!({"reply_to": [one]})),
        attachment.prop_map(|one| json!({"attachments": [one], "text": null})),
        some_text().prop_map(|text| json!({"subject": text})),
        some_text().prop_map(|text| json!({"from_name": text})),
        some_text().prop_map(|text| json!({"html": text, "text": null})),
        some_text().prop_map(|text| json!({"in_reply_to": text})),
        some_text().prop_map(|text| json!({"references": [text]})),
        some_text().prop_map(|text| json!({"save_to_sent": text})),
        some_text().prop_map(|text| json!({"auto_submitted": text})),
        some_text().prop_map(|text| json!({"colour": text})),
    ];
    prop::collection::vec(change, 0..3).prop_map(|changes| {
        let mut body = least();
        for change in changes {
            for (name, value) in change.as_object().unwrap() {
                body[name] = value.clone();
            }
        }
        body
    })
}

/// What the document leaves out on purpose: addresses in other scripts, with quotes or literals; and what no pattern says:
/// that a media type holds no others, nor a parameter that is another field's, nor one twice.
fn is_beyond_the_document(body: &Value) -> bool {
    let odd = |people: &Value| {
        people.as_array().into_iter().flatten().filter_map(|one| one["address"].as_str()).any(|address| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '@' | '.');
            !address.chars().all(plain)
        })
    };
    let kinds =
        body["attachments"].as_array().into_iter().flatten().filter_map(|one| one["content_type"].as_str());
    let unsaid = ["multipart/", "message/", "name", "boundary"];
    ["to", "cc", "reply_to"].iter().any(|field| odd(&body[*field]))
        || kinds
            .map(str::to_lowercase)
            .any(|kind| unsaid.iter().any(|unsaid| kind.contains(unsaid)) || kind.matches('=').count() > 1)
}

/// Header fields and media types that are right or nearly so.
fn nearly_right() -> impl Strategy<Value = (Value, Value)> {
    let pairs = vec![
        ("X-Ticket", "Gr\u{f6}\u{df}e 4711"),
        ("List-Unsubscribe", "<https://example.org/u?1>, <mailto:u@example.org>"),
        ("list-unsubscribe-POST", "List-Unsubscribe=One-Click"),
        ("X-Auto-Response-Suppress", "All"),
        ("Importance", "High"),
        ("Bcc", "eve@example.org"),
    ];
    let types = vec![
        "Text/Calendar; METHOD=REQUEST;charset=\"utf-8\"",
        "text/plain;\tformat=flowed ; x=\"a ;b\" ",
        "message/RFC822",
        "application/vnd.example+json; a*=utf-8''b",
        "multipart/mixed; boundary=a",
        "x-a/b",
    ];
    (prop::sample::select(pairs), prop::sample::select(types), any::<[bool; 3]>()).prop_flat_map(
        |((name, value), kind, changed)| {
            let text = |text: &str, changed: bool| {
                let text = text.to_owned();
                if changed { edited(text).boxed() } else { Just(text).boxed() }
            };
            let header = (text(name, changed[0]), text(value, changed[1]));
            (header, text(kind, changed[2]))
                .prop_map(|((name, value), kind)| (json!({"name": name, "value": value}), json!(kind)))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_document_and_the_code_agree_on_messages(body in body()) {
        prop_assume!(!is_beyond_the_document(&body));
        thread_local!(static MESSAGE: jsonschema::Validator = validator("Message"));
        let documented = MESSAGE.with(|schema| schema.is_valid(&body));
        let result = taken(&body);
        prop_assert_eq!(documented, result.is_ok(), "{} {:?}", body, result);
    }
    #[test]
    fn header_fields_and_media_types_that_are_taken_are_in_the_document((header, kind) in nearly_right()) {
        thread_local!(static SCHEMAS: [jsonschema::Validator; 2] = ["HeaderField", "MediaTypeText"].map(validator));
        let (header_fits, kind_fits) = SCHEMAS.with(|[fields, kinds]| (fields.is_valid(&header), kinds.is_valid(&kind)));
        let header_taken = taken(&with(json!({"headers": [header]}))).is_ok();
        prop_assert_eq!(header_taken, header_fits, "{}", header);
        let attachment = json!({"filename": "a", "content": "", "content_type": kind});
        if taken(&with(json!({"attachments": [attachment]}))).is_ok() {
            prop_assert!(kind_fits, "{}", kind);
        }
    }
}
