//! Whole documents, as the flow gets them.

use serde_json::json;

use super::super::{ParsedMessage, parse_message};

/// What a flow receives of a message, the parts' bytes shortened.
fn shown(raw: &str) -> serde_json::Value {
    let ParsedMessage { kind, content, parts, report, calendar, .. } = parse_message(raw.as_bytes());
    let parts: Vec<_> = parts
        .iter()
        .map(|part| {
            let bytes = String::from_utf8_lossy(&part.bytes);
            json!({"filename": part.filename, "content_type": part.content_type, "content_id": part.content_id,
                   "inline": part.inline, "charset": part.charset, "parameters": part.parameters,
                   "disposition": part.disposition, "message": part.message, "bytes": bytes.chars().take(60).collect::<String>()})
        })
        .collect();
    let mut value =
        json!({"kind": kind, "message": content, "parts": parts, "report": report, "calendar": calendar});
    value["message"]["sha256"].take();
    value
}

#[test]
fn an_invitation_with_an_inline_image() {
    insta::assert_json_snapshot!(shown(include_str!("fixtures/invitation.eml")));
}

#[test]
fn a_signed_mail_with_a_winmail_dat() {
    insta::assert_json_snapshot!(shown(include_str!("fixtures/signed.eml")));
}

#[test]
fn a_delivery_report() {
    insta::assert_json_snapshot!(shown(include_str!("fixtures/report.eml")));
}
