//! Messages that readers get wrong, each with what is right: `fixtures/cases`.

use std::path::Path;

use serde_json::{Value, json};

use super::super::parse_message;

/// A message as `expected.json` describes it.
fn shown(raw: &[u8]) -> Value {
    let message = parse_message(raw);
    let attachments: Vec<Value> = message
        .parts
        .iter()
        .map(|part| {
            json!({"filename": part.filename, "content_type": part.content_type, "size": part.bytes.len(),
                   "content_id": part.content_id, "inline": part.inline})
        })
        .collect();
    let mut value = serde_json::to_value(&message.content).unwrap();
    value["kind"] = serde_json::to_value(message.kind).unwrap();
    value["attachments"] = attachments.into();
    value
}

/// Whether `found` is what is `wanted`: objects may have more fields, and a list of scalars for a scalar is a choice.
fn is(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| is(&found[key], wanted))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| is(found, wanted))
        }
        (found, Value::Array(choices)) => choices.contains(found),
        (found, wanted) => found == wanted,
    }
}

/// What of `expect` does not hold.
fn failures(message: &Value, expect: &Value) -> Vec<String> {
    let texts = |wanted: &Value| -> Vec<String> {
        let all = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
        all.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut failures = Vec::new();
    for (key, wanted) in expect.as_object().unwrap() {
        let contains =
            |field: &str, text: &str| message[field].as_str().is_some_and(|body| body.contains(text));
        let holds = match key.as_str() {
            "text_contains" => texts(wanted).iter().all(|text| contains("text", text)),
            "html_contains" => texts(wanted).iter().all(|text| contains("html", text)),
            "text_not_contains" => texts(wanted).iter().all(|text| !contains("text", text)),
            "kind_not" => message["kind"] != *wanted,
            "text" => message["text"].as_str().map(str::trim) == wanted.as_str(),
            key => is(&message[key], wanted),
        };
        if !holds {
            let field = key.split('_').next().filter(|field| ["text", "html"].contains(field)).unwrap_or(key);
            failures.push(format!("{key}: wanted {wanted}, found {}", message[field]));
        }
    }
    failures
}

#[test]
fn every_case_is_read_right() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/parse/tests/fixtures/cases"));
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    assert!(cases.len() >= 38, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        let message = shown(&std::fs::read(folder.join(file)).unwrap());
        wrong.extend(
            failures(&message, &case["expect"]).into_iter().map(|failure| format!("{file}: {failure}")),
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
