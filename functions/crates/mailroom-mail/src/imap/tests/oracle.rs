//! What imap-proto reads, our own reader reads alike.

use std::borrow::Cow;

use imap_proto::{
    AttributeValue, MailboxDatum, NameAttribute, Response as Theirs, SectionPath, StatusAttribute,
};
use mailroom_core::inbound::cursor::Uid;
use mailroom_core::inbound::job::Gmail;
use proptest::prelude::*;

use super::super::frame::{Frame, LITERAL};
use super::super::response::{Fetch, ListedMailbox, Response, SearchResult, Section};

/// Takes a FETCH response of imap-proto, of message 12, for ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is what we skip, and the enum is open")]
fn translated(attributes: &[AttributeValue<'_>]) -> Fetch {
    let mut fetch = Fetch { number: Some(12), ..Fetch::default() };
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(n) => fetch.uid = mailroom_core::inbound::cursor::Uid::new(*n),
            AttributeValue::Flags(flags) => {
                fetch.seen = Some(flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Seen")));
                fetch.marks.flags = Some(flags.iter().map(ToString::to_string).collect());
            }
            AttributeValue::GmailMsgId(id) => gmail(&mut fetch).message_id = Some(id.to_string()),
            AttributeValue::GmailThrId(id) => gmail(&mut fetch).thread_id = Some(id.to_string()),
            AttributeValue::GmailLabels(labels) => {
                gmail(&mut fetch).labels = labels.iter().map(ToString::to_string).collect();
            }
            AttributeValue::Rfc822Size(size) => fetch.size = Some(u64::from(*size)),
            AttributeValue::InternalDate(date) => {
                fetch.arrived = super::super::date::parse(date.as_bytes());
            }
            AttributeValue::BodySection { section, index, data } => {
                let section = match section {
                    None => Section::Whole,
                    Some(SectionPath::Full(_)) => Section::Header,
                    Some(SectionPath::Part(..)) => continue,
                };
                fetch.content = Some(super::super::response::Content {
                    section,
                    origin: index.map(u64::from),
                    bytes: data.as_ref().map(|data: &Cow<'_, [u8]>| data.to_vec()),
                });
            }
            _ => {}
        }
    }
    fetch
}

fn gmail(fetch: &mut Fetch) -> &mut Gmail {
    fetch.marks.gmail.get_or_insert_default()
}

/// A FETCH response: the text with the literals in their places, for them; taken apart, for us.
#[derive(Debug, Clone)]
struct Sample {
    text: String,
    literals: Vec<Vec<u8>>,
}

impl Sample {
    fn for_them(&self) -> Vec<u8> {
        let mut parts = self.text.split(char::from(LITERAL));
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for (part, literal) in parts.zip(&self.literals) {
            bytes.extend(format!("{{{}}}\r\n", literal.len()).bytes());
            bytes.extend(literal);
            bytes.extend(part.bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }

    fn for_us(&self) -> Frame {
        Frame { text: self.text.clone().into_bytes(), literals: self.literals.clone() }
    }
}

fn item() -> impl Strategy<Value = (String, Option<Vec<u8>>)> {
    let plain = prop_oneof![
        (1..=u32::MAX).prop_map(|uid| format!("UID {uid}")),
        prop::collection::vec(r"(\\Seen|\\seen|\\Answered|\$Junk|NonJunk|\\Flagged)", 0..4)
            .prop_map(|flags| format!("FLAGS ({})", flags.join(" "))),
        any::<u32>().prop_map(|size| format!("RFC822.SIZE {size}")),
        (1..32_u8, 0..24_u8, 0..60_u8).prop_map(|(day, hour, minute)| format!(
            "INTERNALDATE \"{day:2}-Nov-2026 {hour:02}:{minute:02}:59 +0130\""
        )),
        r#"BODY\[(HEADER)?\](<[0-9]{1,6}>)? (NIL|"[a-z (){}\[\]]{0,9}")"#,
        r"MODSEQ \([1-9][0-9]{0,9}\)",
        r#"X-GM-(MSGID|THRID) [1-9][0-9]{0,18}"#,
        // Theirs leaves the backslashes in quoted strings.
        r#"X-GM-LABELS \((Work|"a b"|\\Sent)?\)"#,
    ]
    .prop_map(|text: String| (text, None));
    let literal = (r"BODY\[(HEADER)?\](<[0-9]{1,6}>)? ", prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(name, bytes)| (format!("{name}{}", char::from(LITERAL)), Some(bytes)));
    prop_oneof![3 => plain, 1 => literal]
}

fn sample() -> impl Strategy<Value = Sample> {
    prop::collection::vec(item(), 1..6).prop_map(|items| {
        let text: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
        Sample {
            text: format!("* 12 FETCH ({})", text.join(" ")),
            literals: items.iter().filter_map(|(_, literal)| literal.clone()).collect(),
        }
    })
}

proptest! {
    #[test]
    fn fetch_responses_are_read_alike(sample in sample()) {
        let bytes = sample.for_them();
        let Ok((rest, Theirs::Fetch(12, attributes))) = Theirs::parse(&bytes) else {
            return Err(TestCaseError::fail("not read by imap-proto"));
        };
        prop_assert!(rest.is_empty());
        prop_assert_eq!(Response::parse(sample.for_us()).unwrap(), Response::Fetch(Box::new(translated(&attributes))));
    }
}

#[test]
fn numbers_of_messages_are_read_alike() {
    for text in ["* 0 EXISTS", "* 17 EXISTS", "* 4294967295 EXISTS"] {
        let line = format!("{text}\r\n");
        let Ok((_, Theirs::MailboxData(MailboxDatum::Exists(theirs)))) = Theirs::parse(line.as_bytes())
        else {
            panic!("{text}");
        };
        let ours = Response::parse(Frame { text: text.as_bytes().to_vec(), literals: Vec::new() }).unwrap();
        assert_eq!(ours, Response::Exists(theirs));
    }
}

#[test]
fn names_of_mailboxes_are_read_alike() {
    let literal = char::from(LITERAL);
    for (text, literals) in [
        ("* LIST () \"/\" INBOX".to_owned(), vec![]),
        ("* LIST (\\HasNoChildren \\Sent) \".\" \"a b\"".to_owned(), vec![]),
        ("* LIST () NIL \"a (b) {3}\"".to_owned(), vec![]),
        ("* LIST (\\Marked) \"\\\\\" a&-b".to_owned(), vec![]),
        (format!("* LIST () \"/\" {literal}"), vec![b"a \"b\"".to_vec()]),
    ] {
        let sample = Sample { text, literals };
        let bytes = sample.for_them();
        let Ok((_, Theirs::MailboxData(MailboxDatum::List(list)))) = Theirs::parse(&bytes) else {
            panic!("{sample:?}");
        };
        let named = ListedMailbox {
            name: list.name.as_bytes().to_vec(),
            delimiter: list.delimiter.map(|delimiter| delimiter.as_bytes()[0]),
            for_sent: list.name_attributes.contains(&NameAttribute::Sent),
        };
        assert_eq!(Response::parse(sample.for_us()).unwrap(), Response::List(named));
    }
}

#[test]
fn searches_are_read_alike() {
    for text in ["* SEARCH", "* SEARCH ", "* SEARCH 2", "* search 2 84 4294967295"] {
        let line = format!("{text}\r\n");
        let Ok((_, Theirs::MailboxData(MailboxDatum::Search(uids)))) = Theirs::parse(line.as_bytes()) else {
            panic!("{text}");
        };
        let found = uids.into_iter().map(|uid| Uid::new(uid).unwrap()).collect();
        let ours = Response::parse(Frame { text: text.as_bytes().to_vec(), literals: Vec::new() }).unwrap();
        assert_eq!(ours, Response::Search(SearchResult::Found(found)));
    }
}

#[test]
fn numbers_of_unseen_messages_are_read_alike() {
    let literal = char::from(LITERAL);
    for (text, literals) in [
        ("* STATUS INBOX (UNSEEN 0)".to_owned(), vec![]),
        ("* STATUS \"a b\" (MESSAGES 231 UNSEEN 4294967295 UIDNEXT 44292)".to_owned(), vec![]),
        (format!("* STATUS {literal} (UNSEEN 7)"), vec![b"UNSEEN 3".to_vec()]),
    ] {
        let sample = Sample { text, literals };
        let bytes = sample.for_them();
        let Ok((_, Theirs::MailboxData(MailboxDatum::Status { status, .. }))) = Theirs::parse(&bytes) else {
            panic!("{sample:?}");
        };
        let theirs = status
            .iter()
            .find_map(|item| if let StatusAttribute::Unseen(count) = item { Some(*count) } else { None });
        assert_eq!(Response::parse(sample.for_us()).unwrap(), Response::Unseen(theirs.unwrap()));
    }
}
