//! Messages that are broken, by accident or on purpose: always read, and soon.

use std::time::{Duration, Instant};

use mailroom_core::inbound::job::{Digest, Kind};
use proptest::prelude::*;

use super::super::{limits, parse_header, parse_message};

/// Reads within a time that even a slow machine has, where anything quadratic would take minutes.
#[expect(clippy::disallowed_methods, reason = "the real time it takes is what is tested")]
fn quickly(raw: &[u8]) -> super::ParsedMessage<'_> {
    let start = Instant::now();
    let message = parse_message(raw);
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    message
}

#[test]
fn nothing_at_all_is_a_message() {
    for raw in [&b""[..], b"\n", b"\r\n\r\n", b"\0", b":", b"--", b" \n", b"\xff\xfe", b"From nobody\n"] {
        let message = parse_message(raw);
        assert_eq!(message.kind, Kind::Message);
        assert_eq!(message.content.size, u64::try_from(raw.len()).unwrap());
        assert_eq!(message.content.sha256, Digest::of(raw).to_hex());
        assert!(message.content.text.is_some() && message.parts.is_empty());
    }
}

#[test]
fn a_message_without_the_empty_line_keeps_its_text() {
    let message = parse_message(b"From: a@b.c\nHello there\nand so on\n");
    assert_eq!(message.content.text.as_deref(), Some("Hello there\nand so on\n"));
    // Garbage between fields is passed over.
    let message = parse_message(b"From: a@b.c\n<garbage>\nSubject: s\n\nbody");
    assert_eq!(
        (message.content.subject.as_deref(), message.content.text.as_deref()),
        (Some("s"), Some("body"))
    );
}

#[test]
fn an_mbox_line_and_empty_lines_before_the_header_are_no_body() {
    let message = parse_message(b"\r\n\r\nFrom a@b.c Sun Nov  1 09:00:00 2026\r\nSubject: s\r\n\r\nbody");
    assert_eq!(
        (message.content.subject.as_deref(), message.content.text.as_deref()),
        (Some("s"), Some("body"))
    );
}

#[test]
fn a_multipart_without_end_keeps_its_parts() {
    let message = parse_message(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: image/png\n\nPN",
    );
    assert_eq!(message.content.text.as_deref(), Some("hello"));
    assert_eq!(message.parts[0].bytes.as_ref(), b"PN");
}

#[test]
fn a_multipart_that_hides_its_boundary_shows_its_parts() {
    for kind in ["multipart/mixed", "multipart/mixed; boundary=other", "multipart/mixed boundary=shown"] {
        let raw =
            format!("Content-Type: {kind}\n\n--shown\n\nhello\n--shown\nContent-Type: a/b\n\nx\n--shown--\n");
        let message = parse_message(raw.as_bytes());
        assert_eq!(message.content.text.as_deref(), Some("hello"), "{kind}");
        assert_eq!(message.parts.len(), 1, "{kind}");
    }
    let none = parse_message(b"Content-Type: multipart/mixed; boundary=b\n\nJust text\n");
    assert_eq!(none.content.text.as_deref(), Some("Just text\n"));
}

#[test]
fn a_boundary_may_begin_like_another() {
    let raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b2\n\n\
        --b2\n\ntext\n--b2\nContent-Type: text/html\n\nhtml\n--b2--\n--b\nContent-Type: a/b\n\n--bar\n--b --\n--b--\n";
    let message = parse_message(raw);
    assert_eq!(
        (message.content.text.as_deref(), message.content.html.as_deref()),
        (Some("text"), Some("html"))
    );
    assert_eq!(message.parts[0].bytes.as_ref(), b"--bar\n--b --");
}

#[test]
fn an_enclosed_message_stays_closed_and_whole() {
    let inner = "Content-Type: multipart/mixed; boundary=i\n\n--i\n\nin\n--i--";
    let raw = format!(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\n\nout\n--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
    );
    let message = parse_message(raw.as_bytes());
    assert_eq!(message.content.text.as_deref(), Some("out"));
    assert_eq!(message.parts[0].bytes.as_ref(), inner.as_bytes());
    assert_eq!(message.parts[0].filename.as_deref(), Some("message.eml"));
}

/// mail-parser overflows the stack when it frees these.
#[test]
fn a_million_messages_in_each_other_are_one_part() {
    let raw = b"Content-Type: message/rfc822\n\n".repeat(1_000_000);
    assert_eq!(quickly(&raw).parts.len(), 1);
}

#[test]
fn ten_thousand_multiparts_in_each_other_end_at_the_limit() {
    let raw: String =
        (0..10_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let message = quickly(raw.as_bytes());
    assert!(message.content.truncated);
    assert_eq!(message.parts.len(), 1);
    assert!(message.parts[0].content_type.starts_with("multipart/"));
}

#[test]
fn a_hundred_thousand_parts_end_at_the_limit() {
    let raw = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}--b--",
        "--b\nContent-Type: a/b\n\nx\n".repeat(100_000)
    );
    let message = quickly(raw.as_bytes());
    assert!(message.content.truncated);
    assert_eq!(message.parts.len(), limits::MAX_PARTS - 1);
}

/// Each of these makes mail-parser scan to the end.
#[test]
fn multiparts_without_their_boundary_cost_one_pass() {
    let part = "--b\nContent-Type: multipart/mixed; boundary=x\n\nq\n";
    let raw = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(200_000));
    assert!(quickly(raw.as_bytes()).content.truncated);
}

#[test]
fn lines_that_nearly_are_boundaries_cost_one_pass() {
    let heads: String = (0..limits::MAX_DEPTH)
        .map(|n| format!("Content-Type: multipart/mixed; boundary={}{n}\n\n--{0}{n}\n", "b".repeat(60)))
        .collect();
    let raw = format!("{heads}{}", format!("--{}x\n", "b".repeat(60)).repeat(200_000));
    quickly(raw.as_bytes());
}

#[test]
fn a_huge_header_is_cut() {
    let fold = "\r\n a@b.example,".repeat(300_000);
    let raw = format!("To: {fold}\r\nSubject: s\r\n\r\nbody");
    let message = quickly(raw.as_bytes());
    assert!(message.content.truncated);
    assert_eq!(message.content.to.len(), limits::MAX_ADDRESSES);
    assert_eq!(
        (message.content.subject.as_deref(), message.content.text.as_deref()),
        (Some("s"), Some("body"))
    );

    let flood = "X-Flood: x\n".repeat(200_000);
    let raw = format!("Subject: s\n{flood}\nbody");
    let message = quickly(raw.as_bytes());
    assert!(message.content.truncated);
    assert_eq!(message.content.headers.len(), limits::MAX_FIELDS);
    assert_eq!(message.content.text.as_deref(), Some("body"));
}

#[test]
fn a_thousand_references_keep_the_root_and_the_latest() {
    let ids: String = (0..1000).map(|n| format!("<{n}@a>\n ")).collect();
    let content = parse_message(format!("References: {ids}\n\n").as_bytes()).content;
    assert_eq!(content.references.len(), limits::MAX_IDS);
    assert_eq!(content.references.first().map(String::as_str), Some("0@a"));
    assert_eq!(content.references.last().map(String::as_str), Some("999@a"));
    assert!(content.truncated);
}

#[test]
fn openings_of_words_parameters_and_comments_that_never_end_cost_little() {
    for opening in [
        "=?utf-8?q?",
        "=?",
        "=?utf-8?q?a=",
        "(",
        "\"",
        "<",
        "a*0*=",
        ";a=\"",
        "?=",
        "a@b,",
        "(\\",
        "\\\"",
        "\\\"(",
        "<\"",
        "a@[",
        "=?x?q?",
        "=?x?y?",
        "--",
        "~{",
        "<@",
    ] {
        let value = opening.repeat(60_000 / opening.len());
        let fields =
            ["Subject", "To", "Content-Type", "Content-Disposition", "Date", "References", "Message-ID"];
        let header: String = fields.iter().map(|name| format!("{name}: {value}\n")).collect();
        quickly(format!("{header}\nbody").as_bytes());
    }
}

#[test]
fn a_large_text_is_cut_and_a_large_attachment_is_not() {
    let text = "grüße\n".repeat(100_000);
    let raw = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{text}\n--b\nContent-Type: a/b\n\n{text}\n--b--\n"
    );
    let message = quickly(raw.as_bytes());
    assert!(message.content.truncated);
    assert!(message.content.text.unwrap().len() <= limits::MAX_BODY_BYTES);
    assert_eq!(message.parts[0].bytes.as_ref(), text.as_bytes());
}

#[test]
fn a_header_block_alone_says_what_it_can() {
    let block = b"From: a@b.c\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let content = parse_header(block, 99_000_000);
    assert_eq!(content.subject.as_deref(), Some("s"));
    assert_eq!((content.size, content.truncated), (99_000_000, true));
    assert_eq!(content.sha256, Digest::of_oversize(block, 99_000_000).to_hex());
    assert_eq!((content.text, content.html), (None, None));
}

/// Pieces of messages in any order: nearer to a message than bytes at random.
fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            &b"Content-Type: multipart/mixed; boundary=b\n"[..], b"Content-Type: multipart/alternative; boundary=\"b\"\r\n",
            b"Content-Type: message/rfc822\n", b"Content-Type: text/html; charset=", b"utf-16\n", b"utf-7\n", b"gb18030\n",
            b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: x-uuencode\n", b"begin 644 x\n",
            b"Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1*=%a4\n", b"--b\n", b"--b--\n", b"\n", b"\r\n",
            b"Subject: =?utf-8?q?=C3?=", b"=?iso-2022-jp?b?GyRC?=\n", b"To: \"a", b"\\", b"(", b" <a@b>,;:\n", b"Date: 99:99 31 Feb +9999\n",
            b"References: <a><", b"From: Mailer-Daemon\n", b"X", b": ", b" ", b"\t", b"=", b"=\n", b"M", b"\0", b"\xff", b"\xc3",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_bytes_make_it_fail(raw in nearly_a_message()) {
        let message = parse_message(&raw);
        let json = serde_json::to_string(&message.content).unwrap();
        prop_assert!(!json.contains("\\u00"), "{}", json);
        for part in &message.parts {
            prop_assert!(part.filename.as_deref().is_none_or(|name| !name.contains(['/', '\\', '\0'])));
        }
        prop_assert_eq!(parse_header(&raw, 1).size, 1);
    }
}
