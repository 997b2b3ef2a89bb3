//! Messages that openssl signed, and what is made of bytes that it would not write.

use mailroom_core::inbound::job::Encryption;
use proptest::prelude::*;

use super::super::parse_message;
use super::*;

/// `openssl cms -sign -stream`: lengths that are not known, and the text in pieces.
const STREAMED: &[u8] = include_bytes!("../tests/fixtures/opaque-signed-stream.eml");
/// `openssl smime -sign -nodetach`: DER.
const PLAIN: &[u8] = include_bytes!("../tests/fixtures/opaque-signed.eml");
/// The first, signed once more.
const TWICE: &[u8] = include_bytes!("../tests/fixtures/opaque-signed-twice.eml");
/// `openssl cms -encrypt -stream`.
const ENVELOPED: &[u8] = include_bytes!("../tests/fixtures/enveloped.eml");

#[test]
fn what_is_inside_a_signature_is_the_message() {
    for (name, raw) in [("streamed", STREAMED), ("plain", PLAIN), ("twice", TWICE)] {
        let message = parse_message(raw);
        assert_eq!(message.content.subject.as_deref(), Some("Order 4711"), "{name}");
        assert_eq!(
            message.content.text.as_deref(),
            Some("Grüße, please find the order attached.\n"),
            "{name}"
        );
        let parts: Vec<_> =
            message.parts.iter().map(|part| (part.filename.as_deref(), part.bytes.len())).collect();
        assert_eq!(parts, [(Some("order.bin"), 3000)], "{name}");
        assert_eq!((message.encrypted, message.defects.len()), (None, 0), "{name}");
    }
}

#[test]
fn what_is_encrypted_stays_closed() {
    let message = parse_message(ENVELOPED);
    assert_eq!((message.encrypted, message.parts.len()), (Some(Encryption::Smime), 1));
}

/// Whatever its type says: many name none.
#[test]
fn the_bytes_say_what_is_signed() {
    let raw = String::from_utf8(PLAIN.to_vec()).unwrap();
    for (from, to) in [
        ("application/x-pkcs7-mime; smime-type=signed-data", "application/pkcs7-mime"),
        ("application/x-pkcs7-mime; smime-type=signed-data", "application/octet-stream"),
        (
            "application/x-pkcs7-mime; smime-type=signed-data",
            "application/pkcs7-mime; smime-type=enveloped-data",
        ),
    ] {
        assert!(raw.contains(from));
        let changed = raw.replace(from, to);
        let message = parse_message(changed.as_bytes());
        assert_eq!((message.encrypted, message.parts.len()), (None, 1), "{to}");
        assert_eq!(message.parts[0].filename.as_deref(), Some("order.bin"));
    }
}

#[test]
fn a_lists_footer_stands_below_what_is_signed() {
    let raw = String::from_utf8(STREAMED.to_vec()).unwrap();
    let at = raw.find("Content-Type: application/pkcs7-mime").unwrap();
    let (fields, signed) = raw.split_at(at);
    let raw = format!(
        "{}Content-Type: multipart/mixed; boundary=list\n\n--list\n{signed}\n--list\n\n-- \nThe list\n--list--\n",
        fields
            .replace("Content-Disposition: attachment; filename=\"smime.p7m\"\n", "")
            .replace("Content-Transfer-Encoding: base64\n", "")
    );
    let message = parse_message(raw.as_bytes());
    let text = message.content.text.unwrap();
    assert!(text.starts_with("Grüße, ") && text.ends_with("\n-- \nThe list"), "{text}");
    assert_eq!(message.parts.len(), 1);
}

#[test]
fn what_is_cut_off_is_a_file() {
    let end = PLAIN.len() / 3;
    let message = parse_message(&PLAIN[..end]);
    assert_eq!(message.parts[0].filename.as_deref(), Some("smime.p7m"));
}

#[test]
fn pieces_in_each_other_and_lengths_that_lie_end() {
    let start = [
        &b"\x30\x80\x06\x09"[..],
        SIGNED_DATA,
        b"\xa0\x80\x30\x80\x02\x01\x01\x31\x80\x00\x00\x30\x80\x06\x09",
        DATA,
        b"\xa0\x80",
    ]
    .concat();
    let with = |end: &[u8]| content(&[&start[..], end].concat());
    assert_eq!(with(b"\x04\x01a"), Some(b"a".to_vec()));
    assert_eq!(with(b"\x24\x80\x04\x01a\x24\x05\x04\x01b\x04\x00\x04\x01c\x00\x00"), Some(b"abc".to_vec()));
    assert_eq!(with(&b"\x24\x80".repeat(1_000_000)), None);
    assert_eq!(with(&[&b"\x24\x80"[..], &b"\x04\x00".repeat(1_000_000)].concat()), None);
    assert_eq!(with(b"\x04\x84\xff\xff\xff\xffa"), None);
    assert_eq!(with(b"\x04\xff\xff\xff\xffa"), None);
    assert_eq!(with(b"\x24\x7f\x04\x01a"), None);
    let lost = [
        &b"\x30\x80\x06\x09"[..],
        SIGNED_DATA,
        b"\xa0\x80\x30\x80\x02\x01\x01",
        &b"\x31\x80".repeat(1_000_000),
    ]
    .concat();
    assert_eq!(content(&lost), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let tree_of = |raw: &[u8]| {
            let block = Block::read(raw, beginning(raw), |_| false);
            Tree::read(raw, Head::read(&block, "text/plain"), block.body).leaves[0].decoded().bytes.into_owned()
        };
        for raw in [STREAMED, PLAIN] {
            let mut bytes = tree_of(raw);
            for (place, byte) in &changes {
                let place = place.index(bytes.len().min(300));
                bytes[place] = *byte;
            }
            content(&bytes);
        }
    }
}
