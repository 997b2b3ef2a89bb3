//! Fuzzing of bodies: any change of a good one is accepted, or refused by the names of its fields.

use serde_json::Value;

use crate::autoconfig::AutoconfigBody;
use crate::connect_link::ConnectLinkBody;
use crate::flow_schema::{FlowBody, NewFlowBody};
use crate::message::MessageBody;
use crate::patch;
use crate::problem::{Problems, read};
use crate::profile::ProfileBody;
use crate::send_request::SendRequest;
use crate::upload::UploadBody;

const WORDS: [&str; 17] = [
    "0.5",
    "\"\"",
    "\\",
    "\"auth\": {",
    "\"type\": \"plain\"",
    "\"name\": ",
    "\"colour\": 1,",
    "\u{202e}",
    "\u{85}",
    "@",
    "<",
    "=?",
    "\r\n",
    "https://",
    "[::1]",
    "..",
    "%",
];

fn check(result: Result<(), Problems>) {
    let Err(Problems(problems)) = result else { return };
    assert!(!problems.is_empty() && problems.len() <= 50, "{}", problems.len());
    for problem in problems {
        assert!(!problem.message.is_empty() && problem.message.len() < 1000, "{problem:?}");
        assert!(problem.field.len() < 2000, "{problem:?}");
    }
}

fn read_all(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = SendRequest::parse(text);
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    check(read::<ProfileBody>(value.clone()).map(drop));
    check(read::<MessageBody>(value.clone()).map(drop));
    check(read::<NewFlowBody>(value.clone()).map(drop));
    check(read::<FlowBody>(value.clone()).map(drop));
    check(read::<UploadBody>(value.clone()).map(drop));
    check(read::<AutoconfigBody>(value.clone()).map(drop));
    check(read::<ConnectLinkBody>(value.clone()).map(drop));
    let mut target = serde_json::json!({"name": "a", "auth": {"type": "plain"}});
    patch::merge(&mut target, value);
}

#[test]
fn any_change_of_a_body_is_accepted_or_refused() {
    mailroom_fuzzing::run(
        concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"),
        &[&mailroom_fuzzing::JSON[..], &WORDS].concat(),
        read_all,
    );
}

#[test]
fn the_time_for_a_body_grows_with_its_length_alone() {
    for (start, piece) in [
        (b"{\"to\": [".as_slice(), b"{\"address\": \"a@b.c\"},".as_slice()),
        (b"{", b"\"colour\": 1,"),
        (b"{\"name\": \"", b"x"),
        (b"{\"references\": [", b"\"<a@b>\","),
        (b"", b"["),
    ] {
        // The rest of a body that is cut off: what is long has to be JSON.
        let whole = |input: &[u8]| {
            let ends: &[u8] = match start {
                b"{" => b"\"x\": 1}",
                b"{\"name\": \"" => b"\"}",
                b"" => b"",
                _ => b"{}]}",
            };
            read_all(&[input, ends].concat());
        };
        mailroom_fuzzing::is_linear(piece, start, 60_000 / piece.len(), whole);
    }
}
