//! Fuzzing of the reader of messages: any change of a real one is read, within bounds.

use crate::parse::{parse_header, parse_message};

const WORDS: [&str; 40] = [
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/related; start=\"<a>\"; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n\r\n",
    "Content-Type: text/html; charset=iso-2022-jp\r\n",
    "Content-Type: text/plain; format=flowed; delsp=yes\r\n",
    "Content-Type: text/calendar; method=REQUEST\r\n",
    "Content-Type: application/ms-tnef; name=winmail.dat\r\n",
    "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Disposition: attachment; filename*0*=utf-8''a%; filename*1=b\r\n",
    "Authentication-Results: mx.google.com; dkim=pass; spf=",
    "Final-Recipient: rfc822; ann@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    "From: ",
    "To: Group: a@b, \"c\" <d@e>;\r\n",
    "References: <a@b> <",
    "--b\r\n",
    "--b--\r\n",
    "\r\n\r\n",
    "\r\n ",
    "=?utf-8?B?",
    "=?iso-2022-jp?Q?",
    "?=",
    "=\r\n",
    "=C3=",
    "begin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n",
    "\u{1b}$B",
    "~{",
    "+AGE-",
    "\u{fc}\u{1f600}",
    "\0",
    "> ",
    "On Mon, 2 Nov 2026 Ann <ann@example.org> wrote:\r\n",
    "-- \r\n",
    "<div class=\"gmail_quote\"><blockquote>",
    "</div></blockquote>",
    "<style>",
    "&#x1f600;&amp",
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;TZID=a:20261101T1\r\n",
];

/// Decoding adds at most what a replacement character has more bytes than what it replaces, and a constant.
fn read(input: &[u8]) {
    let parsed = parse_message(input);
    let bound = 8 * input.len() + 4096;
    let texts = [parsed.content.text.as_deref(), parsed.content.html.as_deref()];
    assert!(texts.into_iter().flatten().all(|text| text.len() <= bound));
    let header = parse_header(input, 1_000_000);
    assert!(header.subject.as_deref().is_none_or(|subject| subject.len() <= bound));
}

#[test]
fn any_change_of_a_message_is_read() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/src/parse/tests/fixtures/cases");
    mailroom_fuzzing::run(cases, &WORDS, read);
}

#[test]
fn the_time_for_a_message_grows_with_its_length_alone() {
    let mixed = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".as_slice();
    let html = b"Content-Type: text/html; charset=utf-8\r\n\r\n".as_slice();
    for (start, piece) in [
        (mixed, b"--b\r\n\r\n".as_slice()),
        (mixed, b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
        (mixed, b"--b\r\nContent-Type: message/rfc822\r\n\r\n"),
        (b"Subject: ", b"=?utf-8?B?"),
        (b"Subject: ", b"=?utf-8?Q?a?= "),
        (b"To: ", b"a@b, "),
        (b"To: ", b"<"),
        (b"References: ", b"<a@b> "),
        (b"", b"A: b\r\n"),
        (b"\r\n", b"> "),
        (b"\r\n", b"> a\r\n"),
        (b"\r\n", b"begin 644 a\r\n"),
        (html, b"<div>"),
        (html, b"<blockquote>a"),
        (html, b"&amp;"),
        (html, b"<a href=\"x\">"),
        (b"Content-Type: text/plain; ", b"a*0*=b; "),
        (b"Received: ", b"(("),
    ] {
        mailroom_fuzzing::is_linear(piece, start, 60_000 / piece.len(), read);
    }
}
