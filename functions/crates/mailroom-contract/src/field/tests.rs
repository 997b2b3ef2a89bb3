//! What the code takes, the document describes: whoever makes a client from it can send all that is taken.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::*;
use crate::problem::read;
use crate::tests::validator;

/// Whether the code takes a value.
type Taken = fn(&Value) -> bool;

fn taken<T: Deserr<Problems>>(value: &Value) -> bool {
    read::<T>(value.clone()).is_ok()
}

/// Every type of field: its name in the document, how it is read, and texts that are right or nearly so.
const FIELDS: [(&str, Taken, &[&str]); 15] = [
    ("Name", taken::<Name>, &["Support", " a ", "\u{feff}", "\u{2028}", "\u{180e}"]),
    ("Description", taken::<Description>, &["", "a\r\n\tb", "\u{feff}"]),
    ("Login", taken::<Login>, &["support@example.com", "DOMAIN\\user", "\u{3000}\u{feff}"]),
    ("Secret", taken::<Secret>, &["correct horse", "\n", "\u{7f}"]),
    ("ClientSecret", taken::<ClientSecret>, &["-----BEGIN PRIVATE KEY-----\nAA==\n"]),
    ("Day", taken::<Day>, &["2027-11-01", "0000-02-29", "2027-02-29", "+027-11-01", "-027-11-01"]),
    (
        "HostName",
        taken::<HostName>,
        &[
            "imap.example.com",
            "IMAP.Example.com.",
            "127.0.0.1",
            "::1",
            "::ffff:10.0.0.1",
            "a_b.c-d",
            "1.a",
            "a.1",
        ],
    ),
    (
        "AuthservName",
        taken::<AuthservName>,
        &["mx.example.com", "MX_1.Example.", "localhost", "192.0.2.1", "1.a"],
    ),
    ("MailboxName", taken::<MailboxName>, &["INBOX", "Entw\u{fc}rfe/2026", "a.b", "[Gmail]/All Mail"]),
    ("FlowId", taken::<FlowId>, &["add-to-queue", "A.b_c-1"]),
    (
        "QueueUrl",
        taken::<QueueUrl>,
        &[
            "https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo",
            "http://127.0.0.1:4566/000000000000/a",
        ],
    ),
    ("Start", taken::<Start>, &["now", "all", "2026-11-01", "2026-02-30"]),
    ("ClientId", taken::<ClientId>, &["3b0e7c3a-mailroom", "a\"b\\c"]),
    ("Scope", taken::<Scope>, &["https://mail.google.com/", "offline_access", "a!#[]~"]),
    (
        "DiscoveryUrl",
        taken::<DiscoveryUrl>,
        &[
            "https://accounts.google.com/.well-known/openid-configuration",
            "http://127.0.0.1:8080",
            "https://id.example.com.:8443/a%20b/~c",
            "https://id.example.com:+443",
            "https://1.2.3.4:065535/",
            "https://[::1]/",
        ],
    ),
];

/// A text with a few of its characters replaced, removed or doubled.
pub(crate) fn edited(text: String) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        select(
            "./:-_%@~+ 019azAZ[]\"\\*\n\r\t\0\u{7f}\u{85}\u{a0}\u{feff}\u{2028}\u{fc}\u{1f600}"
                .chars()
                .collect::<Vec<_>>()
        ),
        any::<char>(),
    ];
    prop::collection::vec((any::<Index>(), character, 0..4_u8), 0..4).prop_map(move |edits| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, character, kind) in edits {
            let at = if text.is_empty() { 0 } else { at.index(text.len()) };
            match kind {
                0 if at < text.len() => text[at] = character,
                1 if at < text.len() => drop(text.remove(at)),
                // Long, to get past limits.
                2 => text.splice(at..at, std::iter::repeat_n(character, 200)).for_each(drop),
                _ => text.insert(at, character),
            }
        }
        text.into_iter().collect()
    })
}

fn texts() -> impl Strategy<Value = (usize, String)> {
    (0..FIELDS.len()).prop_flat_map(|field| {
        let near = select(FIELDS[field].2.to_vec()).prop_map(str::to_owned).prop_flat_map(edited);
        (Just(field), prop_oneof![9 => near, 1 => any::<String>()])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_taken_is_in_the_document((field, text) in texts()) {
        thread_local!(static SCHEMAS: Vec<jsonschema::Validator> = FIELDS.iter().map(|(name, ..)| validator(name)).collect());
        let (name, taken, _) = FIELDS[field];
        let value = json!(text);
        if taken(&value) {
            prop_assert!(SCHEMAS.with(|schemas| schemas[field].is_valid(&value)), "{} {:?}", name, text);
        }
    }
}

#[test]
fn the_samples_are_mostly_taken() {
    for (name, taken, samples) in FIELDS {
        assert!(samples.iter().any(|sample| taken(&json!(sample))), "{name}");
    }
}
