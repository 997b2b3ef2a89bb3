use mailroom_core::inbound::job::TextSource;
use mailroom_core::outbound::message::{Attachment, ExtraHeader, LoopGuard, SaveToSent, Source};
use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::parse;

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn line(text: &str) -> HeaderText {
    HeaderText::parse(text, 1000).unwrap()
}

fn to(name: Option<&str>, text: &str) -> Correspondent {
    Correspondent { name: name.map(line), address: address(text) }
}

fn message() -> Message {
    Message {
        to: vec![to(Some("Ann M\u{fc}ller"), "ann@example.org")],
        cc: Vec::new(),
        bcc: vec![to(None, "boss@example.org")],
        reply_to: Vec::new(),
        from_name: Some(line("Support")),
        subject: line("Your order"),
        text: Some("Hello\n.\nBye".to_owned()),
        html: None,
        in_reply_to: None,
        references: Vec::new(),
        attachments: Vec::new(),
        headers: Vec::new(),
        origin: Origin::Person,
        save_to_sent: SaveToSent::Auto,
        loop_guard: LoopGuard::On,
    }
}

fn composed(message: &Message, contents: Vec<Vec<u8>>) -> Vec<u8> {
    let from = address("support@example.com");
    let id = MessageId::parse("<0123@example.com>").unwrap();
    let stamp = Stamp { from: &from, message_id: &id, date: datetime!(2026-11-01 12:00 UTC) };
    compose(message, &stamp, contents).unwrap()
}

/// What holds of every composed message.
fn assert_sound(raw: &[u8]) {
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.ends_with(b"\r\n") || !line.contains(&b'\n'), "a bare line feed");
        assert!(line.len() <= 1000, "a line of {} bytes", line.len());
        let inner = line.strip_suffix(b"\r\n").unwrap_or(line);
        assert!(!inner.contains(&b'\r') && !inner.contains(&0), "a bare carriage return, or a NUL");
    }
}

fn names(raw: &[u8]) -> Vec<String> {
    parse::parse_message(raw).content.headers.into_iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
}

#[test]
fn a_plain_message_is_written_as_it_is_read() {
    let raw = composed(&message(), Vec::new());
    assert_sound(&raw);
    insta::assert_snapshot!(String::from_utf8(raw).unwrap().replace("\r\n", "\n"));
}

#[test]
fn blind_copies_are_not_told() {
    let raw = String::from_utf8(composed(&message(), Vec::new())).unwrap();
    assert!(!raw.contains("boss@example.org"), "{raw}");
    let blind = Message { to: Vec::new(), ..message() };
    assert!(!names(&composed(&blind, Vec::new())).contains(&"bcc".to_owned()));
}

#[test]
fn images_files_and_both_bodies_come_back_as_they_were() {
    let file = |name: &str, disposition| Attachment {
        filename: line(name),
        content_type: MediaType::parse("text/csv").unwrap(),
        source: Source::Bytes(Vec::new()),
        disposition,
    };
    let message = Message {
        html: Some("<p>Gr\u{fc}\u{df}e <img src=\"cid:logo@x\"></p>".to_owned()),
        attachments: vec![
            file("\u{dc}bersicht \"neu\"; 100 %.csv", Disposition::Attachment),
            file("logo.png", Disposition::Inline(MessageId::parse("logo@x").unwrap())),
        ],
        ..message()
    };
    let bytes = vec![b"a,b\r1\n.\r\n..\r\n".to_vec(), vec![0, 255, 13, 10, 46]];
    let raw = composed(&message, bytes.clone());
    assert_sound(&raw);
    let read = parse::parse_message(&raw);
    assert_eq!(read.content.text.as_deref(), Some("Hello\n.\nBye"));
    assert_eq!(read.content.html, message.html);
    let parts: Vec<_> = read.parts.iter().map(|part| (part.filename.clone().unwrap(), part.inline)).collect();
    assert_eq!(
        parts,
        [("logo.png".to_owned(), true), ("\u{dc}bersicht \"neu\"; 100 %.csv".to_owned(), false)]
    );
    assert_eq!(read.parts[0].content_id.as_deref(), Some("logo@x"));
    assert_eq!((read.parts[0].bytes.as_ref(), read.parts[1].bytes.as_ref()), (&bytes[1][..], &bytes[0][..]));
}

#[test]
fn long_conversations_keep_their_first_and_their_last_messages() {
    let id = |n: usize| MessageId::parse(&format!("<{n}.{}@example.org>", "x".repeat(200))).unwrap();
    let long = Message { references: (0..60).map(id).collect(), in_reply_to: Some(id(60)), ..message() };
    let raw = composed(&long, Vec::new());
    assert_sound(&raw);
    let read = parse::parse_message(&raw).content;
    assert_eq!(read.in_reply_to, [id(60).as_str()]);
    let kept: Vec<String> = std::iter::once(0).chain(41..=60).map(|n| id(n).as_str().to_owned()).collect();
    assert_eq!(read.references, kept);
    let longest = MessageId::parse(&"x".repeat(MessageId::MAX_BYTES)).unwrap();
    let raw = composed(&Message { in_reply_to: Some(longest.clone()), ..message() }, Vec::new());
    assert_sound(&raw);
    assert_eq!(parse::parse_message(&raw).content.references, [longest.as_str()]);
}

#[test]
fn automatic_messages_say_that_they_are() {
    let automatic = Message { origin: Origin::Automatic, ..message() };
    let text = |message: &Message| String::from_utf8(composed(message, Vec::new())).unwrap();
    assert!(text(&automatic).contains("Auto-Submitted: auto-generated\r\n"));
    let answer = Message { in_reply_to: Some(MessageId::parse("<a@b>").unwrap()), ..automatic };
    assert!(text(&answer).contains("Auto-Submitted: auto-replied\r\n"));
    assert!(!text(&message()).contains("Auto-Submitted"));
}

#[test]
fn addresses_of_every_kind_are_written_as_they_go_over_the_wire() {
    for text in [
        "ann@example.org",
        "\"a b\"@example.org",
        "ann@[192.0.2.1]",
        "ann@[IPv6:2001:db8::1]",
        "j\u{f6}rg@m\u{fc}ller.example",
        "ann@m\u{fc}ller.example",
        "a+b.c!#$%&'*/=?^_`{|}~-@x-y.example",
    ] {
        let message = Message { to: vec![to(None, text)], ..message() };
        let raw = composed(&message, Vec::new());
        assert_sound(&raw);
        let read = String::from_utf8(raw).unwrap();
        assert!(read.contains(&format!("To: {}\r\n", address(text).wire())), "{read}");
    }
}

/// Texts that a header field may fail to carry.
fn header_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,80}",
        "\\PC{0,80}",
        "[a-z ]{0,300}",
        "[\u{e4}-\u{ff}\u{4e00}-\u{4e20} ,;:<>()@\"\\\\]{0,120}",
        prop::sample::select(vec![
            "=?utf-8?q?x?=".to_owned(),
            "a =?utf-8?b?eA==?= b".to_owned(),
            "Re: [x] \"y\" <z@example.org>".to_owned(),
            "a, b".to_owned(),
            "\\".to_owned(),
            "\"".to_owned(),
            "x".repeat(900),
        ]),
    ]
    .prop_filter("one line", |text| HeaderText::parse(text, 1000).is_ok())
}

/// Folding may make one space of several, which no reader shows.
fn blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_goes_in_comes_out_and_no_field_is_added(
        subject in header_text(), name in header_text(), file in header_text(), text in any::<String>(),
        html in prop::option::of("\\PC{0,200}"), bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let text = text.replace('\0', "");
        let message = Message {
            to: vec![to(Some(&name), "ann@example.org")],
            from_name: Some(line(&name)),
            subject: line(&subject),
            text: Some(text.clone()),
            html: html.clone(),
            attachments: vec![Attachment {
                filename: line(&file),
                content_type: MediaType::parse("application/pdf").unwrap(),
                source: Source::Bytes(Vec::new()),
                disposition: Disposition::Attachment,
            }],
            ..message()
        };
        let raw = composed(&message, vec![bytes.clone()]);
        assert_sound(&raw);
        prop_assert!(raw.is_ascii());
        let mut found = names(&raw);
        found.sort();
        let fields = ["content-type", "date", "from", "message-id", "mime-version", "subject", "to"];
        prop_assert_eq!(found, fields);
        let read = parse::parse_message(&raw);
        prop_assert_eq!(blanks(read.content.subject.as_deref().unwrap_or_default()), blanks(&subject));
        let from = &read.content.from[0];
        prop_assert_eq!(blanks(from.name.as_deref().unwrap_or_default()), blanks(&name));
        prop_assert_eq!(from.address.as_deref(), Some("support@example.com"));
        prop_assert_eq!(read.content.to.len(), 1);
        // A blank text is made from the HTML.
        if read.content.text_source == Some(TextSource::Plain) {
            prop_assert_eq!(read.content.text.unwrap_or_default(), with_crlf(&text).replace("\r\n", "\n"));
        }
        prop_assert_eq!(read.content.html.unwrap_or_default(), html.unwrap_or_default());
        prop_assert_eq!(read.parts.len(), 1);
        prop_assert_eq!(read.parts[0].bytes.as_ref(), &bytes[..]);
    }
}

#[test]
fn an_enclosed_message_is_never_encoded() {
    let enclosed = |bytes: &[u8]| {
        let attachment = Attachment {
            filename: line("message.eml"),
            content_type: MediaType::parse("message/rfc822").unwrap(),
            source: Source::Bytes(bytes.to_vec()),
            disposition: Disposition::Attachment,
        };
        let message = Message { attachments: vec![attachment], ..message() };
        let raw = composed(&message, vec![bytes.to_vec()]);
        assert_sound(&raw);
        String::from_utf8(raw).unwrap()
    };
    let plain = enclosed(b"From: ann@example.org\nSubject: Hello\n\n.\nBye\n");
    assert!(plain.contains("Content-Type: message/rfc822\r\n"), "{plain}");
    assert!(plain.contains("\r\nFrom: ann@example.org\r\nSubject: Hello\r\n\r\n.\r\nBye\r\n"), "{plain}");
    let long = format!("Subject: {}\r\n\r\nx", "x".repeat(1000));
    for other in ["Subject: Gr\u{fc}\u{df}e\r\n\r\nx", "Subject: a\0b\r\n\r\nx", &long] {
        let raw = enclosed(other.as_bytes());
        assert!(
            !raw.contains("message/rfc822") && raw.contains("Content-Type: application/octet-stream"),
            "{raw}"
        );
        assert!(raw.contains("message.eml") && raw.contains("Content-Transfer-Encoding: base64"), "{raw}");
    }
}

#[test]
fn header_fields_and_parameters_are_written_as_given() {
    let header = |name, value: &str| ExtraHeader::parse(name, value).unwrap();
    let unsubscribe = format!("<https://example.org/{}>", "u".repeat(800));
    let message = Message {
        headers: vec![
            header("List-Unsubscribe", &unsubscribe),
            header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            header("X-Ticket", "Gr\u{f6}\u{df}e =?x"),
        ],
        attachments: vec![Attachment {
            filename: line("invite.ics"),
            content_type: MediaType::parse("text/calendar; method=REQUEST").unwrap(),
            source: Source::Bytes(Vec::new()),
            disposition: Disposition::Attachment,
        }],
        ..message()
    };
    let raw = composed(&message, vec![b"BEGIN:VCALENDAR\r\n".to_vec()]);
    assert_sound(&raw);
    let text = String::from_utf8(raw.clone()).unwrap();
    assert!(
        text.contains(&unsubscribe)
            && text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"),
        "{text}"
    );
    assert!(text.contains("Content-Type: text/calendar; method=REQUEST"), "{text}");
    let read = parse::parse_message(&raw).content;
    assert!(
        read.headers.iter().any(|(name, value)| name == "X-Ticket" && value == "Gr\u{f6}\u{df}e =?x"),
        "{:?}",
        read.headers
    );
}
