//! What a job says of attachments, enclosed messages among them.

use mailroom_core::inbound::job::{Attachment, Digest, EnclosedMessage};

use super::super::{limits, parse_message};
use super::shown;

/// The attachments of a message with these parts.
fn attachments(parts: &[&str]) -> Vec<Attachment> {
    let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
    let raw = format!("Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n");
    let message = parse_message(raw.as_bytes());
    message.parts.iter().map(|part| part.attachment("k".to_owned())).collect()
}

fn enclosed(part: &str) -> EnclosedMessage {
    attachments(&[part]).into_iter().next().unwrap().message.unwrap()
}

#[test]
fn a_part_says_its_charset_its_parameters_its_disposition_and_its_digest() {
    let fields = "Content-Type: text/csv; Charset=\"ISO-8859-1\"; header=present; name=a.csv; title*=utf-8''Gr%C3%BC%C3%9Fe\n\
        Content-Disposition: ATTACHMENT; filename=b.csv\nContent-Transfer-Encoding: base64";
    let [csv] = &attachments(&[&format!("{fields}\n\naGVsbG8=")])[..] else { panic!() };
    assert_eq!(csv.charset.as_deref(), Some("iso-8859-1"));
    let parameters: Vec<(&str, &str)> =
        csv.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(parameters, [("header", "present"), ("title", "Grüße")]);
    assert_eq!(csv.disposition.as_deref(), Some("attachment"));
    assert_eq!(csv.sha256, Some(Digest::of(b"hello").to_hex()));

    let [bare] = &attachments(&["Content-Type: image/png\n\nx"])[..] else { panic!() };
    assert_eq!((&bare.charset, &bare.disposition, &bare.message), (&None, &None, &None));
    assert!(bare.parameters.is_empty());
}

#[test]
fn an_enclosed_message_says_who_wrote_it_and_what_is_attached_to_it() {
    let inner = "From: =?utf-8?q?J=C3=BCrgen?= <j@a.example>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\
        Date: Sun, 1 Nov 2026 09:00:00 +0100\nMessage-ID: <1@a>\nContent-Type: multipart/mixed; boundary=c\n\n\
        --c\n\nHello\n--c\nContent-Type: image/png; name=a.png\nContent-ID: <p@a>\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n\
        --c\nContent-Type: message/rfc822\n\nSubject: Inside\nContent-Type: image/gif\n\nx\n--c--";
    for fields in ["Content-Type: message/rfc822", "Content-Type: message/global; charset=utf-8"] {
        let message = enclosed(&format!("{fields}\n\n{inner}"));
        assert_eq!(message.subject.as_deref(), Some("Grüße"));
        assert_eq!(shown(&message.from), ["Jürgen <j@a.example>"]);
        assert_eq!(message.message_id.as_deref(), Some("1@a"));
        assert_eq!(message.date.unwrap().to_string(), "2026-11-01 9:00:00.0 +01:00:00");
        let [png, inside] = &message.attachments[..] else { panic!("{:?}", message.attachments) };
        assert_eq!((png.filename.as_deref(), png.size), (Some("a.png"), 5));
        assert_eq!((png.content_id.as_deref(), png.inline), (Some("p@a"), false));
        assert_eq!(inside.filename.as_deref(), Some("message.eml"));
    }
}

#[test]
fn an_enclosed_message_may_be_encoded_or_nothing_at_all() {
    let message = enclosed(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaGVsbG8KCmhlbGxv",
    );
    assert_eq!(message.subject.as_deref(), Some("hello"));
    assert_eq!(enclosed("Content-Type: message/rfc822\n\n"), EnclosedMessage::default());
}

#[test]
fn what_is_said_of_a_part_is_bounded() {
    let parameters: String = (0..5000).map(|n| format!("; p{n}={}", "x".repeat(5))).collect();
    let long = format!("; long={}", "y".repeat(5000));
    let parts = attachments(&[
        &format!("Content-Type: a/b{parameters}\n\nx"),
        &format!(
            "Content-Type: a/b{long}; charset={}\nContent-Disposition: {}\n\nx",
            "z".repeat(100),
            "d".repeat(100)
        ),
    ]);
    assert_eq!(parts[0].parameters.len(), limits::MAX_PARAMETERS);
    assert_eq!(parts[1].parameters["long"].len(), limits::MAX_PARAMETER_BYTES);
    assert_eq!((&parts[1].charset, &parts[1].disposition), (&None, &None));

    let inner = format!(
        "Content-Type: multipart/mixed; boundary=c\n\n{}--c--",
        "--c\nContent-Type: a/b\n\nx\n".repeat(200)
    );
    assert_eq!(
        enclosed(&format!("Content-Type: message/rfc822\n\n{inner}")).attachments.len(),
        limits::MAX_ENCLOSED_PARTS
    );
    let many = attachments(&vec!["Content-Type: message/rfc822\n\nSubject: s\n\nx"; 500]);
    assert_eq!(many.iter().filter(|one| one.message.is_some()).count(), limits::MAX_ENCLOSED);
}

#[test]
fn a_file_that_a_text_holds_is_an_attachment_and_no_text() {
    let raw = "Subject: a\n\nSee the file.\n\nbegin 644 Gr\u{fc}\u{df}e.txt\n#0V%T\n`\nend\n\nBye\n";
    let message = parse_message(raw.as_bytes());
    assert_eq!(message.content.text.as_deref(), Some("See the file.\n\n\nBye\n"));
    let [file] = &message.parts[..] else { panic!("{:?}", message.parts) };
    assert_eq!(file.filename.as_deref(), Some("Gr\u{fc}\u{df}e.txt"));
    assert_eq!((file.content_type.as_str(), &file.bytes[..]), ("application/octet-stream", &b"Cat"[..]));

    let raw = "Content-Transfer-Encoding: quoted-printable\n\nbegin 644 a.txt\n#0V%T\n`\nend\n=C3=BC\n";
    let message = parse_message(raw.as_bytes());
    assert_eq!((message.content.text.as_deref(), message.parts.len()), (Some("ü\n"), 1));
}
