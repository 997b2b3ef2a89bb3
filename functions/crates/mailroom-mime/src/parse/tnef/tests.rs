//! A `winmail.dat` that is written here, by the specification, and read.

use mailroom_core::inbound::job::Attachment;
use proptest::prelude::*;

use super::super::parse_message;
use super::*;

/// An attribute with its checksum.
fn attribute_bytes(level: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![level];
    bytes.extend(id.to_le_bytes());
    bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    bytes.extend(data);
    let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    bytes.extend(sum.to_le_bytes());
    bytes
}

fn packed(attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_le_bytes().to_vec();
    bytes.extend([7, 0]);
    bytes.extend(attribute_bytes(1, 0x0008_9006, &0x0001_0000_u32.to_le_bytes()));
    bytes.extend(attributes.concat());
    bytes
}

fn filled(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn property_bytes(kind: u16, id: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), id.to_le_bytes()].concat();
    match kind {
        0x1e | 0x1f | 0x0d | 0x102 => {
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
            bytes.extend(filled(value.to_vec()));
        }
        _ => bytes.extend(filled(value.to_vec())),
    }
    bytes
}

fn properties_bytes(list: &[Vec<u8>]) -> Vec<u8> {
    [u32::try_from(list.len()).unwrap().to_le_bytes().to_vec(), list.concat()].concat()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn code_page(page: u32) -> Vec<u8> {
    attribute_bytes(1, 0x0006_9007, &[page.to_le_bytes(), [0; 4]].concat())
}

/// A file as Outlook writes it: its short name and its bytes, and all else in properties.
fn file(name: &[u8], bytes: &[u8], properties: &[Vec<u8>]) -> Vec<u8> {
    [
        attribute_bytes(2, 0x0006_9002, &[1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]),
        attribute_bytes(2, 0x0006_800f, bytes),
        attribute_bytes(2, 0x0001_8010, &[name, &[0]].concat()),
        attribute_bytes(2, 0x0006_9005, &properties_bytes(properties)),
    ]
    .concat()
}

/// A message with this `winmail.dat` behind this text.
fn message(text: &str, packed: &[u8]) -> Vec<u8> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let packed = BASE64_STANDARD.encode(packed);
    format!(
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{text}\n--b\n\
        Content-Type: application/ms-tnef; name=\"winmail.dat\"\nContent-Transfer-Encoding: base64\n\n{packed}\n--b--\n"
    )
    .into_bytes()
}

fn attachments(raw: &[u8]) -> Vec<Attachment> {
    parse_message(raw).parts.iter().map(|part| part.attachment("k".to_owned())).collect()
}

#[test]
fn files_in_a_winmail_dat_are_attachments_and_it_is_none() {
    let named = [
        property_bytes(0x1f, 0x3707, &wide("Grüße 2026.txt")),
        property_bytes(0x1e, 0x370e, b"Text/Plain\0"),
        property_bytes(0x1e, 0x3712, b"<p@a>\0"),
        property_bytes(0x03, 0x3714, &4_u32.to_le_bytes()),
    ];
    // A property of a set, with a name; one with several values.
    let others = [
        [
            &[0x03, 0x00, 0x05, 0x80][..],
            &[9; 16],
            &1_u32.to_le_bytes(),
            &6_u32.to_le_bytes(),
            b"a\0b\0c\0\0\0",
            &[1, 0, 0, 0],
        ]
        .concat(),
        [&[0x02, 0x10, 0x01, 0x00][..], &3_u32.to_le_bytes(), &[1, 0, 2, 0, 3, 0, 0, 0]].concat(),
        property_bytes(0x1e, 0x3001, b"display\0"),
    ];
    let packed =
        packed(&[code_page(1251), file(b"GR~1.TXT", b"hello", &named), file(b"\xcf\xf0.doc", b"", &others)]);
    let found = attachments(&message("See the files.", &packed));
    let [text, doc] = &found[..] else { panic!("{found:?}") };
    assert_eq!(text.filename.as_deref(), Some("Grüße 2026.txt"));
    assert_eq!((text.content_type.as_str(), text.size, text.inline), ("text/plain", 5, true));
    assert_eq!(text.content_id.as_deref(), Some("p@a"));
    assert_eq!(
        (doc.filename.as_deref(), doc.content_type.as_str()),
        (Some("Пр.doc"), "application/octet-stream")
    );

    // Zeros, or a line break, behind it are nothing.
    assert_eq!(attachments(&message("a", &[&packed[..], b"\0\0\0"].concat())).len(), 2);
}

#[test]
fn a_body_in_a_winmail_dat_is_the_messages_where_it_has_no_other() {
    let compressed = compressed_rtf::compress_rtf(
        r"{\rtf1\ansi\ansicpg1252\fromhtml1{\*\htmltag64 <p>}Gr\'fc\'dfe{\*\htmltag72 </p>}}",
    )
    .unwrap();
    let of = |properties: &[Vec<u8>]| {
        packed(&[code_page(1252), attribute_bytes(1, 0x0006_9003, &properties_bytes(properties))])
    };
    let rtf = of(&[property_bytes(0x102, 0x1009, &compressed)]);
    let html = of(&[
        property_bytes(0x03, 0x3fde, &65001_u32.to_le_bytes()),
        property_bytes(0x102, 0x1013, "<p>Grüße</p>".as_bytes()),
        property_bytes(0x102, 0x1009, &compressed),
    ]);
    let both = of(&[
        property_bytes(0x1f, 0x1000, &wide("Grüße\r\n")),
        property_bytes(0x1e, 0x1013, b"<p>Gr\xfc\xdfe</p>\0"),
    ]);
    let old = packed(&[attribute_bytes(1, 0x0002_800c, b"Gr\xfc\xdfe\0"), code_page(1252)]);
    for (packed, wanted) in [
        (&rtf, Some("<p>Grüße</p>")),
        (&html, Some("<p>Grüße</p>")),
        (&both, Some("<p>Grüße</p>")),
        (&old, None),
    ] {
        let raw = message("", packed);
        let parsed = parse_message(&raw);
        assert_eq!(parsed.content.text.as_deref().map(str::trim), Some("Grüße"));
        assert_eq!(parsed.content.html.as_deref(), wanted);
        assert!(parsed.parts.is_empty() && !parsed.content.truncated);
        // The text that the message has itself is the one that its sender's server made.
        let raw = message("Another text", packed);
        let parsed = parse_message(&raw);
        assert_eq!((parsed.content.text.as_deref(), parsed.content.html), (Some("Another text"), None));
    }
}

#[test]
fn a_message_in_a_winmail_dat_says_what_it_is() {
    let inner = packed(&[
        attribute_bytes(
            1,
            0x0006_9003,
            &properties_bytes(&[
                property_bytes(0x1f, 0x0037, &wide("Inside")),
                property_bytes(0x1e, 0x1035, b"<1@a.example>\0"),
                property_bytes(0x1e, 0x0042, b"Ann\0"),
                property_bytes(0x1f, 0x5d02, &wide("ann@a.example")),
            ]),
        ),
        file(b"a.txt", b"hello", &[]),
    ]);
    let object = [&[1; 16][..], &inner].concat();
    let attached = [
        property_bytes(0x03, 0x3705, &5_u32.to_le_bytes()),
        property_bytes(0x0d, 0x3701, &object),
        property_bytes(0x1e, 0x3001, b"Inside\0"),
    ];
    let packed = packed(&[
        attribute_bytes(2, 0x0006_9002, &[0; 14]),
        attribute_bytes(2, 0x0006_9005, &properties_bytes(&attached)),
    ]);
    let found = attachments(&message("See below", &packed));
    let [one] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.filename.as_deref(), one.content_type.as_str()), (Some("Inside"), "application/ms-tnef"));
    let message = one.message.clone().unwrap();
    assert_eq!(
        (message.subject.as_deref(), message.message_id.as_deref()),
        (Some("Inside"), Some("1@a.example"))
    );
    assert_eq!(
        message.from,
        [Address { name: Some("Ann".to_owned()), address: Some("ann@a.example".to_owned()) }]
    );
    assert_eq!(message.attachments[0].filename.as_deref(), Some("a.txt"));
}

#[test]
fn what_is_not_read_to_its_end_is_kept_as_well() {
    let whole = packed(&[file(b"a.txt", b"hello", &[]), file(b"b.txt", b"hello again", &[])]);
    for end in [whole.len() - 1, whole.len() - 30] {
        let found = attachments(&message("a", &whole[..end]));
        let names: Vec<Option<&str>> = found.iter().map(|one| one.filename.as_deref()).collect();
        assert_eq!(names.first(), Some(&Some("a.txt")));
        assert_eq!(names.last(), Some(&Some("winmail.dat")));
    }
    let without_bytes = packed(&[attribute_bytes(2, 0x0006_9002, &[0; 14])]);
    assert_eq!(attachments(&message("a", &without_bytes)).len(), 1);
    // Something else by that name.
    let found = attachments(&message("a", b"hello"));
    assert_eq!(found[0].filename.as_deref(), Some("winmail.dat"));
}

#[test]
fn no_more_files_are_unpacked_than_a_message_may_have() {
    let files = vec![file(b"a", b"", &[]); 5000];
    let raw = message("a", &packed(&files));
    let parsed = parse_message(&raw);
    assert_eq!(parsed.parts.len(), super::super::limits::MAX_PARTS + 1);
    assert!(parsed.content.truncated);
    assert_eq!(parsed.parts.last().unwrap().filename.as_deref(), Some("winmail.dat"));
}

/// Each property announces a length, and each file properties.
#[test]
#[expect(clippy::disallowed_methods, reason = "the real time it takes is what is tested")]
fn a_large_one_costs_one_pass() {
    let start = std::time::Instant::now();
    let property = property_bytes(0x1e, 0x3001, b"name\0");
    let many = file(b"a", b"", &vec![property; 200_000]);
    let packed = packed(&[many.clone(), many, vec![1; 1_000_000]]);
    assert_eq!(unpack(&packed, 10).unwrap().files.len(), 2);
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn what_is_packed_comes_back(
        files in prop::collection::vec(("[a-zäöü]{1,20}", prop::collection::vec(any::<u8>(), 0..100)), 0..5),
    ) {
        let written: Vec<Vec<u8>> = files
            .iter()
            .map(|(name, bytes)| file(b"short", bytes, &[property_bytes(0x1f, 0x3707, &wide(name))]))
            .collect();
        let packed = packed(&written);
        let found = unpack(&packed, 100).unwrap();
        prop_assert!(found.whole);
        let found: Vec<(String, Vec<u8>)> =
            found.files.into_iter().map(|one| (one.filename.unwrap(), one.bytes.to_vec())).collect();
        prop_assert_eq!(found, files);
    }

    /// Bytes of a good one that are changed, and cut.
    #[test]
    fn no_bytes_make_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), end in any::<prop::sample::Index>()) {
        let inner = packed(&[file(b"a.txt", b"hello", &[])]);
        let object = [&[1; 16][..], &inner].concat();
        let rtf = compressed_rtf::compress_rtf(r"{\rtf1\ansi\fromhtml1{\*\htmltag64 <p>}a\'fc\u8364?}").unwrap();
        let mut bytes = packed(&[
            code_page(1252),
            attribute_bytes(1, 0x0006_9003, &properties_bytes(&[property_bytes(0x102, 0x1009, &rtf)])),
            file(b"a", b"x", &[property_bytes(0x03, 0x3705, &5_u32.to_le_bytes()), property_bytes(0x0d, 0x3701, &object)]),
        ]);
        for (place, byte) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        let _ = parse_message(&message("", &bytes));
        if let Some(mut found) = unpack(&bytes, 10) {
            look_into(&mut found.files);
        }
    }
}
