//! Kinds of broken messages, each in several forms.

use super::super::{Defect, parse_message};
use super::{filename, shown, subject, text};

fn from(value: &str) -> Vec<String> {
    shown(&parse_message(format!("From: {value}\n\n").as_bytes()).content.from)
}

#[test]
fn charsets_with_states_are_read_across_words_and_past_bad_bytes() {
    for (value, wanted) in [
        // One character split over two words, and a word that ends without ASCII.
        (&b"=?iso-2022-jp?B?GyRCJA==?= =?iso-2022-jp?B?MyRzGyhC?="[..], "こん"),
        (b"=?iso-2022-jp?Q?=1B$B$3?= =?iso-2022-jp?Q?=1B$B$s=1B(B?=", "こん"),
        (b"=?iso-2022-kr?Q?=1B$)C=0E>H3g=0F?=", "안녕"),
        (b"=?iso-2022-cn?Q?=1B$)A=0EDc:C=0F?=", "你好"),
        (b"=?hz-gb-2312?Q?a_~{Dc:C~}_~~?=", "a 你好 ~"),
        (b"=?utf-7?Q?Gr+APwA3w-e_+-_+AOk?=", "Grüße + é"),
        (b"=?unicode-1-1-utf-7?B?K0FPay0=?=", "é"),
        // JIS that says no charset.
        (b"\x1b$B$3$s\x1b(B", "こん"),
        (b"=?us-ascii?Q?=1B$B$3$s=1B(B?=", "こん"),
        // One run of base64 that was cut anywhere, words that lack their padding, and Q that is called B.
        (b"=?utf-8?B?R3LDvMO?= =?utf-8?B?fZQ==?=", "Grüße"),
        (b"=?utf-8?B?R3I?= =?utf-8?B?w7zDn2U?=", "Grüße"),
        (b"=?utf-8?B?Gr=C3=BC=C3=9Fe?=", "Grüße"),
    ] {
        assert_eq!(subject(value), wanted, "{}", String::from_utf8_lossy(value));
    }
    let body = |charset: &str, bytes: &[u8]| {
        let raw = [format!("Content-Type: text/plain; charset={charset}\n\n").as_bytes(), bytes].concat();
        parse_message(&raw).content.text.unwrap()
    };
    for (charset, bytes, wanted) in [
        ("iso-2022-jp", &b"\x1b$B$3$s\x1b(B \xff \x1b$B$3\x1b(B"[..], "こん \u{fffd} こ"),
        ("iso-2022-jp", b"\x1b$B$3\x1b(B\x1b$B$s\x1b(B", "こん"),
        ("iso-2022-jp", b"\x1b$B$3$\nplain\n", "こ\u{fffd}\nplain\n"),
        ("iso-2022-jp-2", b"\x1b$ADc:C\x1b(B", "你好"),
        ("hz-gb-2312", b"~{Dc:\n~{Dc~}", "你\u{fffd}\n你"),
        ("us-ascii", b"\x1b$B$3$s\x1b(B", "こん"),
        ("utf-8", b"\x1b$B$3$s\x1b(B", "こん"),
        // Another charset under the name of one with states.
        ("iso-2022-jp", "Grüße aus Köln".as_bytes(), "Grüße aus Köln"),
    ] {
        assert_eq!(body(charset, bytes), wanted, "{charset} {}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn raw_headers_are_in_the_charset_of_the_body_or_in_what_they_show() {
    let cyrillic = encoding_rs::WINDOWS_1251.encode("Счёт за март не получен").0;
    let koi8 = encoding_rs::KOI8_R.encode("Счёт за март не получен").0;
    let with = |subject: &[u8], rest: &str| {
        let raw = [b"Subject: ", subject, b"\n", rest.as_bytes()].concat();
        parse_message(&raw).content.subject.unwrap()
    };
    let part = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=koi8-r\n\nx\n--b--\n";
    for (subject, rest, wanted) in [
        (&cyrillic[..], "Content-Type: text/html; charset=windows-1251\n\nx", "Счёт за март не получен"),
        (&koi8[..], part, "Счёт за март не получен"),
        (&cyrillic[..], "\nx", "Счёт за март не получен"),
        (&koi8[..], "Content-Type: text/plain; charset=utf-8\n\nx", "Счёт за март не получен"),
        ("Grüße für Köln \u{fffd}".as_bytes(), "\nx", "Grüße für Köln \u{fffd}"),
        (b"Gr\xfc\xdfe", "\nx", "Grüße"),
        (b"Gr\xc3\xbc\xc3\x9fe \xff K\xc3\xb6ln", "\nx", "Grüße \u{fffd} Köln"),
    ] {
        assert_eq!(with(subject, rest), wanted, "{rest}");
    }
    // Too short to tell by itself, in the charset of a body that names none.
    let body = [b"\n\n", &cyrillic[..]].concat();
    let short = encoding_rs::WINDOWS_1251.encode("Счёт").0;
    let raw = [b"Subject: ", &short[..], &body].concat();
    assert_eq!(parse_message(&raw).content.subject.as_deref(), Some("Счёт"));
}

#[test]
fn only_addresses_are_addresses() {
    for (value, wanted) in [
        ("Front Desk desk@hotel.example", vec!["Front Desk <desk@hotel.example>"]),
        ("Miller, Ann ann@mail.example", vec!["Miller, Ann <ann@mail.example>"]),
        ("<Front Desk>", vec!["Front Desk <->"]),
        ("<ann@a.example><bob@b.example>", vec!["- <ann@a.example>", "- <bob@b.example>"]),
        ("<ann@a.example bob@b.example>", vec!["- <ann@a.example>", "- <bob@b.example>"]),
        ("Ann <ann@a.example> Bob <bob@b.example>", vec!["Ann <ann@a.example>", "Bob <bob@b.example>"]),
        ("ann@a.example; bob@b.example", vec!["- <ann@a.example>", "- <bob@b.example>"]),
        ("ann@a.example@b.example", vec!["ann@a.example@b.example <->"]),
        ("\"ann lee\"@a.example (Ann)", vec!["Ann <\"ann lee\"@a.example>"]),
        ("Ann <\"a,b\"@a.example>, b@b.example", vec!["Ann <\"a,b\"@a.example>", "- <b@b.example>"]),
        ("<\"a>b\"@a.example>", vec!["- <\"a>b\"@a.example>"]),
        ("\"ann@a.example\"", vec!["- <ann@a.example>"]),
        ("'ann@a.example'", vec!["- <ann@a.example>"]),
        ("<mailto:ann@a.example>", vec!["- <ann@a.example>"]),
        ("Ann <@r.example,@s.example:ann@a.example>", vec!["Ann <ann@a.example>"]),
        ("ann @ a . example", vec!["- <ann@a.example>"]),
        ("Ann <ann@a.example", vec!["Ann <ann@a.example>"]),
        ("Ann <<ann@a.example>>", vec!["Ann <ann@a.example>"]),
        ("ann@[IPv6:2001:db8::1]", vec!["- <ann@[IPv6:2001:db8::1]>"]),
        ("\"A Team\": ann@a.example, Bob <b@b.example>;", vec!["- <ann@a.example>", "Bob <b@b.example>"]),
        ("Re: Support <a@a.example>", vec!["Re: Support <a@a.example>"]),
        (
            "Miller, Ann <a@a.example>, Berg, Bo <b@b.example>",
            vec!["Miller, Ann <a@a.example>", "Berg, Bo <b@b.example>"],
        ),
        ("\"Miller, A.\" (Ann) <a@a.example>", vec!["Miller, A. <a@a.example>"]),
        ("=?utf-8?Q?Miller,_Ann?= <a@a.example>", vec!["Miller, Ann <a@a.example>"]),
        ("J=?utf-8?Q?=C3=B6?=rg<a@a.example>", vec!["Jörg <a@a.example>"]),
        ("\"J=?utf-8?Q?=C3=B6?=rg\" <a@a.example>", vec!["Jörg <a@a.example>"]),
        ("ann.example.org", vec!["ann.example.org <->"]),
        ("MAILER-DAEMON <>", vec!["MAILER-DAEMON <->"]),
        ("Ann [ann@a.example]", vec!["Ann <ann@a.example>"]),
        ("\"Ann Lee <ann@a.example>", vec!["Ann Lee <ann@a.example>"]),
    ] {
        assert_eq!(from(value), wanted, "{value}");
    }
}

#[test]
fn header_lines_that_lost_their_indent_belong_to_the_field_before() {
    let raw = "To: a@b.c,\nd@e.f\nReferences: <1@a>\n<2@a>\nSubject: =?utf-8?q?a?=\n=?utf-8?q?b?=\n\
        Content-Type: text/plain;\ncharset=koi8-r\n\nx";
    let content = parse_message(raw.as_bytes()).content;
    assert_eq!(shown(&content.to), ["- <a@b.c>", "- <d@e.f>"]);
    assert_eq!(content.references, ["1@a", "2@a"]);
    assert_eq!(content.subject.as_deref(), Some("ab"));
    // A message that lacks the empty line keeps its text, with what looks like a field in it.
    let content = parse_message(b"From: a@b.c\nHello,\nplease note: all\nsee http://a.example\n").content;
    assert_eq!(content.text.as_deref(), Some("Hello,\nplease note: all\nsee http://a.example\n"));
}

#[test]
fn a_boundary_under_the_header_of_a_part_begins_its_parts() {
    let raw = "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=\"i\"\n\
        --i\n\ntext\n--i\nContent-Type: text/html\n\nhtml\n--i--\n--o--\n";
    let content = parse_message(raw.as_bytes()).content;
    assert_eq!((content.text.as_deref(), content.html.as_deref()), (Some("text"), Some("html")));
}

#[test]
fn the_root_of_related_parts_is_a_body() {
    let image = "--r\nContent-Type: image/png\nContent-ID: <i>\n\nPNG\n";
    let html = "--r\nContent-Type: text/html\nContent-ID: <h>\n\nhtml\n";
    let nested = "--r\nContent-Type: multipart/alternative; boundary=a\nContent-ID: <h>\n\n--a\n\ntext\n--a\n\
        Content-Type: text/html\n\nhtml\n--a--\n";
    for (params, parts) in [
        ("; start=\"<h>\"", [image, html]),
        ("; start=h", [image, html]),
        ("; start=\"<gone>\"", [image, html]),
        ("; type=\"text/html\"", [image, html]),
        ("", [image, html]),
        ("", [html, image]),
        ("; start=\"<h>\"", [image, nested]),
    ] {
        let raw = format!("Content-Type: multipart/related; boundary=r{params}\n\n{}--r--\n", parts.concat());
        let message = parse_message(raw.as_bytes());
        assert_eq!(message.content.html.as_deref(), Some("html"), "{raw}");
        assert_eq!((message.parts.len(), message.parts[0].inline), (1, true), "{raw}");
    }
}

#[test]
fn names_on_bodies_do_not_make_them_files() {
    for name in ["name=\" \"", "name=\"\"", "name=body.html"] {
        let raw = format!(
            "Content-Type: multipart/alternative; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: text/html; {name}\n\nhtml\n--b--\n"
        );
        let message = parse_message(raw.as_bytes());
        assert_eq!((message.content.html.as_deref(), message.parts.len()), (Some("html"), 0), "{name}");
    }
}

#[test]
fn dates_of_other_clocks_are_read() {
    for (value, wanted) in [
        ("Tue, 3 Nov 2026 12:05:00 AM +0000", "2026-11-03 0:05:00.0 +00:00:00"),
        ("Tue, 3 Nov 2026 12:05 pm +0000", "2026-11-03 12:05:00.0 +00:00:00"),
        ("Tue, 3 Nov 2026 6:05:00PM -0500", "2026-11-03 18:05:00.0 -05:00:00"),
        ("11 Nov 2026 06:05 p.m.", "2026-11-11 18:05:00.0 +00:00:00"),
        ("Tue, 3 Nov 2026 09:00:00 GMT+0200", "2026-11-03 9:00:00.0 +02:00:00"),
        ("Tue, 3 Nov 2026 09:00:00 UTC-03:30", "2026-11-03 9:00:00.0 -03:30:00"),
        ("Tue, 3 Nov 2026 09:00:00 +200", "2026-11-03 9:00:00.0 +02:00:00"),
        ("Tue, 3 Nov 2026 09:00:00 -930", "2026-11-03 9:00:00.0 -09:30:00"),
        ("Tue, 3 Nov 2026 09:00:00 +02", "2026-11-03 9:00:00.0 +02:00:00"),
        ("Tue, 3 Nov 2026 09 :00 : 00 +0000", "2026-11-03 9:00:00.0 +00:00:00"),
        ("2026-11-03 09:00:00 +0100", "2026-11-03 9:00:00.0 +01:00:00"),
        ("Tue Nov  3 09:00:00 CET 2026", "2026-11-03 9:00:00.0 +01:00:00"),
        // Names of other languages; of these weekdays, one looks like March.
        ("mar., 3 nov. 2026 09:00:00 +0100", "2026-11-03 9:00:00.0 +01:00:00"),
        ("So, 3 Mai 2026 09:00:00 MESZ", "2026-05-03 9:00:00.0 +02:00:00"),
        ("Tue Mar 3 09:00:00 2026", "2026-03-03 9:00:00.0 +00:00:00"),
    ] {
        let date = parse_message(format!("Date: {value}\n\n").as_bytes()).content.date;
        assert_eq!(date.map(|date| date.to_string()).as_deref(), Some(wanted), "{value}");
    }
}

#[test]
fn base64_ends_where_text_begins() {
    for (body, wanted) in [
        ("aGVsbG8=\n\n-- \nList", "hello\n\n-- \nList"),
        ("aGVsbG8h\n\n_______________\nList", "hello!\n_______________\nList"),
        ("aGVsbG8=\nThis list is run by volunteers", "hello\nThis list is run by volunteers"),
        ("aGVs bG8=\n\n", "hello"),
        // Text that is called base64.
        ("Dear Ann, here it is.\n", "Dear Ann, here it is.\n"),
        ("Hello\nthere", "Hello\nthere"),
    ] {
        let raw = format!("Content-Transfer-Encoding: base64\n\n{body}");
        assert_eq!(text(&raw).replace("\n\n", "\n"), wanted.replace("\n\n", "\n"), "{body}");
    }
}

#[test]
fn filenames_may_be_encoded_twice_and_hold_slashes() {
    for (fields, wanted) in [
        ("Content-Disposition: attachment; filename*=\"=?utf-8?Q?Gr=C3=BC=C3=9Fe.pdf?=\"", "Grüße.pdf"),
        ("Content-Disposition: attachment; filename*=UTF-8''=?utf-8?B?R3LDvMOfZS5wZGY=?=", "Grüße.pdf"),
        (
            "Content-Disposition: attachment; filename*0=\"=?utf-8?B?R3LD\"; filename*1=\"vMOfZS5wZGY=?=\"",
            "Grüße.pdf",
        ),
        ("Content-Disposition: attachment; filename=\"Order 1/2.pdf\"", "Order 1_2.pdf"),
        ("Content-Disposition: attachment; filename=\"a/../b.pdf\"", "b.pdf"),
    ] {
        assert_eq!(filename(fields).as_deref(), Some(wanted), "{fields}");
    }
}

#[test]
fn the_header_begins_behind_what_programs_put_before_it() {
    for before in ["", "\u{feff}", "\r\n\r\n", "From a@b.c Mon Nov  2 08:00:00 2026\n"] {
        let content = parse_message(format!("{before}From : a@b.c\nSubject: s\n\nx").as_bytes()).content;
        assert_eq!(shown(&content.from), ["- <a@b.c>"], "{before:?}");
        assert_eq!(
            (content.subject.as_deref(), content.text.as_deref()),
            (Some("s"), Some("x")),
            "{before:?}"
        );
    }
}

#[test]
fn an_id_is_what_is_in_its_brackets() {
    for (value, wanted) in [
        ("<1@a>", Some("1@a")),
        ("1@a", Some("1@a")),
        // Python folds a long id into encoded words.
        ("=?utf-8?q?=3C1=40a=3E?=", Some("1@a")),
        ("<>", None),
        ("", None),
    ] {
        let content =
            parse_message(format!("Message-ID: {value}\nIn-Reply-To: {value}\n\nx").as_bytes()).content;
        assert_eq!(content.message_id.as_deref(), wanted, "{value}");
        assert_eq!(content.in_reply_to.first().map(String::as_str), wanted, "{value}");
    }
}

#[test]
fn an_id_that_is_cut_says_so() {
    let id = "x".repeat(3000);
    for field in ["Message-ID", "In-Reply-To", "References"] {
        let message = parse_message(format!("From: a@b.c\n{field}: <{id}@a>\n\nx").as_bytes()).defects;
        assert_eq!(message, [Defect::Truncated], "{field}");
    }
}
