//! What is read of real messages, of hostile ones, and of a corpus.

mod attachments;
mod cases;
mod corpus;
mod fuzz;
mod hostile;
mod kinds;
mod siblings;
mod whole;

use mailroom_core::inbound::job::Address;

use super::{ParsedMessage, Part, parse_message};

fn text(raw: &str) -> String {
    parse_message(raw.as_bytes()).content.text.unwrap_or_default()
}

fn subject(value: &[u8]) -> String {
    let raw = [b"Subject: ", value, b"\n\n"].concat();
    parse_message(&raw).content.subject.unwrap_or_default()
}

/// `name <address>` per address.
fn shown(addresses: &[Address]) -> Vec<String> {
    let show = |a: &Address| {
        format!("{} <{}>", a.name.as_deref().unwrap_or("-"), a.address.as_deref().unwrap_or("-"))
    };
    addresses.iter().map(show).collect()
}

/// The name that a part with these header fields gets.
fn filename(fields: &str) -> Option<String> {
    let raw = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{fields}\n\nx\n--b--\n");
    let ParsedMessage { parts, .. } = parse_message(raw.as_bytes());
    let [Part { filename, .. }] = parts.as_slice() else { panic!("one part wanted: {parts:?}") };
    filename.clone()
}

#[test]
fn encoded_words_are_decoded_wherever_they_are_split() {
    for (value, wanted) in [
        (&b"=?utf-8?q?Gr=C3=BC=C3=9Fe?="[..], "Grüße"),
        // Split inside a character, with a fold between.
        (b"=?utf-8?B?R3LD?=\r\n =?utf-8?B?vMOfZQ==?=", "Grüße"),
        (b"=?UTF-8?Q?Gr=C3?= =?utf-8?B?vMOfZQ==?= end", "Grüße end"),
        (b"a =?iso-8859-1?q?=E9?= =?utf-8?q?=C3=A9?= b", "a éé b"),
        (b"=?iso-2022-jp?B?GyRCJDMkcxsoQg==?=", "こん"),
        (b"=?utf-8?q?a_b=20c?=", "a b c"),
        (b"=?utf-8?q?spaces in it?=", "spaces in it"),
        // Unfinished, or none.
        (b"=?utf-8?q?open", "=?utf-8?q?open"),
        (b"=?utf-8?x?a?= =? ?=", "=?utf-8?x?a?= =? ?="),
        // Raw: UTF-8, and what is not.
        ("Grüße".as_bytes(), "Grüße"),
        (b"Gr\xfc\xdfe \x80", "Grüße €"),
        (b"=?no-such-charset?q?caf=E9?=", "café"),
        // Nothing that would break a line or a reader.
        (b"=?utf-8?q?a=0D=0ABcc:_x=00?=", "a  Bcc: x"),
        (b"tab\tand \0 nul", "tab and   nul"),
    ] {
        assert_eq!(subject(value), wanted, "{}", String::from_utf8_lossy(value));
    }
}

#[test]
fn addresses_are_flat_and_decoded() {
    for (value, wanted) in [
        ("a@b.c", vec!["- <a@b.c>"]),
        ("Ann <a@b.c>, \"Doe, John\" <j@d.e>", vec!["Ann <a@b.c>", "Doe, John <j@d.e>"]),
        ("Team: Ann <a@b.c>, j@d.e; , k@f.g", vec!["Ann <a@b.c>", "- <j@d.e>", "- <k@f.g>"]),
        ("undisclosed-recipients:;", vec![]),
        ("=?utf-8?B?R3LD?= =?utf-8?B?vMOfZQ==?= <a@b.c>", vec!["Grüße <a@b.c>"]),
        ("=?utf-8?q?Doe,_=3Cx@y.z=3E?= <a@b.c>", vec!["Doe, <x@y.z> <a@b.c>"]),
        ("\"=?utf-8?q?=C3=A4?=\" <a@b.c>", vec!["ä <a@b.c>"]),
        ("Jürgen <jürgen@bücher.example>", vec!["Jürgen <jürgen@bücher.example>"]),
        ("a@b.c (Ann)", vec!["Ann <a@b.c>"]),
        ("<>", vec![]),
    ] {
        let raw = format!("To: {value}\n\n");
        assert_eq!(shown(&parse_message(raw.as_bytes()).content.to), wanted, "{value}");
    }
}

#[test]
fn recipients_of_all_fields_of_a_name_count() {
    assert_eq!(shown(&parse_message(b"To: a@b.c\nTo: d@e.f\n\n").content.to), ["- <a@b.c>", "- <d@e.f>"]);
}

#[test]
fn message_ids_are_in_order_and_without_brackets() {
    let raw = b"Message-ID: <1@a>\nIn-Reply-To: Your message of Monday <2@a>\nReferences: <3@a>\r\n <4@a><2@\r\n a>\n\n";
    let content = parse_message(raw).content;
    assert_eq!(content.message_id.as_deref(), Some("1@a"));
    assert_eq!(content.in_reply_to, ["2@a"]);
    assert_eq!(content.references, ["3@a", "4@a", "2@a"]);

    let bare = parse_message(b"Message-ID: 1@a\nIn-Reply-To: my letter\nReferences: 3@a 4@a\n\n").content;
    assert_eq!(bare.message_id.as_deref(), Some("1@a"));
    assert_eq!(bare.in_reply_to, Vec::<String>::new());
    assert_eq!(bare.references, ["3@a", "4@a"]);
}

#[test]
fn dates_are_right_or_missing() {
    for (value, wanted) in [
        ("Sun, 1 Nov 2026 09:00:00 +0100", Some("2026-11-01 9:00:00.0 +01:00:00")),
        ("1 Nov 26 09:00 EST (a (nested) comment)", Some("2026-11-01 9:00:00.0 -05:00:00")),
        ("Sun Nov  1 09:00:00 2026", Some("2026-11-01 9:00:00.0 +00:00:00")),
        ("Sun, 01-Nov-2026 09:00:00 -0330", Some("2026-11-01 9:00:00.0 -03:30:00")),
        ("2026-11-01T09:00:00+01:00", Some("2026-11-01 9:00:00.0 +01:00:00")),
        ("Sun, 1 November 2026 23:59:60 GMT", Some("2026-11-01 23:59:59.0 +00:00:00")),
        ("Sun, 1 Nov 2026 09:00:00+0100", Some("2026-11-01 9:00:00.0 +01:00:00")),
        ("Sun, 1 Nov 2026 09:00:00 +9999", Some("2026-11-01 9:00:00.0 +00:00:00")),
        ("Thu, 31 Feb 2026 09:00:00 +0100", None),
        ("11/01/2026 09:00", None),
        ("yesterday", None),
        ("+1:2:3 -:-", None),
        ("", None),
    ] {
        let raw = format!("Date: {value}\n\n");
        assert_eq!(
            parse_message(raw.as_bytes()).content.date.map(|d| d.to_string()).as_deref(),
            wanted,
            "{value}"
        );
    }
}

#[test]
fn filenames_are_decoded_and_harmless() {
    for (fields, wanted) in [
        ("Content-Disposition: attachment; filename=a.pdf", Some("a.pdf")),
        ("Content-Disposition: attachment; filename=\"a \\\"b\\\".pdf\"", Some("a \"b\".pdf")),
        ("Content-Disposition: attachment; filename=two words.pdf", Some("two words.pdf")),
        ("Content-Type: application/pdf; name=\"=?utf-8?q?Gr=C3=BC=C3=9Fe=2Epdf?=\"", Some("Grüße.pdf")),
        (
            "Content-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf; filename=x",
            Some("Grüße.pdf"),
        ),
        // Sections out of order, in Latin-1, cut inside an escape's neighbourhood.
        (
            "Content-Disposition: attachment; filename*1*=%DFe; filename*0*=iso-8859-1'de'Gr%FC; filename*2=.pdf",
            Some("Grüße.pdf"),
        ),
        ("Content-Disposition: attachment; filename*0*=utf-8''Gr%C3; filename*1*=%BC%C3%9Fe", Some("Grüße")),
        ("Content-Disposition: attachment; filename=\"../../etc/passwd\"", Some("passwd")),
        ("Content-Disposition: attachment; filename=\"C:\\Users\\me\\a.pdf\"", Some("a.pdf")),
        ("Content-Disposition: attachment; filename=\"=?utf-8?q?..=2Fa=00b.pdf?=\"", Some("ab.pdf")),
        ("Content-Disposition: attachment; filename=\"a\u{202e}fdp.exe\"", Some("afdp.exe")),
        ("Content-Disposition: attachment; filename=\"..\"", None),
        ("Content-Disposition: ;\n filename=a.png", Some("a.png")),
        ("Content-Disposition: filename=a.png", Some("a.png")),
        ("Content-Type: image/png", None),
        ("Content-Type: message/rfc822", Some("message.eml")),
    ] {
        assert_eq!(filename(fields).as_deref(), wanted, "{fields}");
    }
    let long = format!("Content-Disposition: attachment; filename=\"{}.pdf\"", "ü".repeat(300));
    let name = filename(&long).unwrap();
    assert!(name.len() <= 255 && name.ends_with("ü.pdf"), "{name}");
}

#[test]
fn bodies_are_decoded_by_charset_or_by_what_the_bytes_are() {
    let body = |charset: &str, bytes: &[u8]| {
        let raw = [format!("Content-Type: text/plain; charset={charset}\n\n").as_bytes(), bytes].concat();
        parse_message(&raw).content.text.unwrap()
    };
    for (charset, bytes, wanted) in [
        ("utf-8", &b"caf\xc3\xa9"[..], "café"),
        ("\"UTF8\"", b"caf\xc3\xa9", "café"),
        ("iso-8859-1", b"caf\xe9", "café"),
        ("iso-8859-15", b"\xa4", "€"),
        ("koi8-r", b"\xf0\xd2\xc9", "При"),
        ("gb2312", b"\xc4\xe3\xba\xc3", "你好"),
        ("shift_jis", b"\x83n\x83\x8d", "ハロ"),
        ("iso-2022-jp", b"\x1b$B$3\x1b(B", "こ"),
        // Wrong or useless names.
        ("us-ascii", b"caf\xc3\xa9", "café"),
        ("utf-8", b"caf\xe9", "café"),
        ("gb2312", "你好！".as_bytes(), "你好！"),
        ("x-nobody-knows", b"caf\xe9", "café"),
        ("utf-8", b"\xef\xbb\xbfbom", "bom"),
        ("utf-8", b"a\0b\x07\r\nc\rd\n", "ab\nc\nd\n"),
    ] {
        assert_eq!(body(charset, bytes), wanted, "{charset}");
    }
}

#[test]
fn html_may_name_its_charset_itself() {
    let raw = b"Content-Type: text/html\n\n<meta charset=\"koi8-r\"><p>\xf0\xd2\xc9";
    assert!(parse_message(raw).content.html.unwrap().ends_with("При"));
}

#[test]
fn transfer_encodings_forgive() {
    for (encoding, body, wanted) in [
        ("base64", "aGVs\nbG8=", "hello"),
        ("base64", "aGVsbG8", "hello"),
        ("BASE64", "aGVs*bG8=\n____\nA list's footer", "hello\n____\nA list's footer"),
        ("base64", "aGVsbG8=aGVsbG8=", "hellohello"),
        ("quoted-printable", "a=3Db =\nc=20\nd   \n=ZZ=", "a=b c \nd\n=ZZ"),
        ("x-uuencode", "begin 644 a\n%:&5L;&\\\n`\nend\n", "hello"),
        ("8bit", "hello", "hello"),
        ("8-bit-or-so", "hello", "hello"),
    ] {
        let raw = format!("Content-Transfer-Encoding: {encoding}\n\n{body}");
        assert_eq!(text(&raw), wanted, "{encoding} {body}");
    }
}
