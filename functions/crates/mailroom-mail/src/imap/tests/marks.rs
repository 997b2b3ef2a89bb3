//! Flags, keywords, and what Gmail says of a message, with its bytes.

use mailroom_core::inbound::job::Gmail;

use super::super::Marks;
use super::{open, session, uid};

/// A login that tells Gmail's extension, as Gmail's does.
const GMAIL: &str = "
    S: * OK Gimap ready
    C: M1 LOGIN \"ann\" \"secret\"
    S: * CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS MOVE
    S: M1 OK ann authenticated (Success)
    C: M2 ID (\"name\" \"Mailroom\" \"version\" \"0.1.0\")
    C: M3 EXAMINE \"INBOX\"
    S: * ID NIL
    S: M2 OK Success
    S: * 9 EXISTS
    S: * OK [UIDVALIDITY 7] .
    S: * OK [UIDNEXT 10] .
    S: M3 OK [READ-ONLY] done";

const ASKED: &str = "UID FLAGS X-GM-THRID X-GM-MSGID X-GM-LABELS";

/// What is known of message 3, whose size is announced as this, when Gmail sends these items with it.
async fn from_gmail(size: u64, items: &str) -> Marks {
    let most = if size < 262_144 { 262_144 } else { 1_048_576 };
    let transcript = format!(
        "{GMAIL}
         C: M4 UID FETCH 3 ({ASKED} BODY.PEEK[]<0.{most}>)
         S: * 3 FETCH ({items} UID 3 BODY[]<0> \"hello\")
         S: M4 OK Success
         silence"
    );
    let mut session = open(&transcript, None).await.unwrap().session;
    let fetched = session.fetch(&[(uid(3), size)], 1_000_000_000, &mut |_| true).await.unwrap();
    fetched.into_iter().next().unwrap().marks
}

fn gmail(thread_id: Option<&str>, message_id: Option<&str>, labels: &[&str]) -> Gmail {
    Gmail {
        thread_id: thread_id.map(str::to_owned),
        message_id: message_id.map(str::to_owned),
        labels: labels.iter().map(ToString::to_string).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn flags_and_keywords_come_with_the_bytes() {
    let mut session = session(
        "C: M3 UID FETCH 3:5 (UID FLAGS BODY.PEEK[]<0.262144>)
         S: * 3 FETCH (UID 3 FLAGS (\\Recent \\Seen $Forwarded NonJunk) BODY[]<0> \"three\")
         S: * 4 FETCH (UID 4 BODY[]<0> \"four\")
         S: * 4 FETCH (UID 4 FLAGS ())
         S: * 5 FETCH (UID 5 BODY[]<0> \"five\")
         S: M3 OK .
         C: M4 UID FETCH 3 (UID FLAGS BODY.PEEK[HEADER]<0.262144>)
         S: * 3 FETCH (UID 3 FLAGS (\\Flagged) BODY[HEADER]<0> \"a: b\")
         S: M4 OK .
         silence",
    )
    .await;
    let fetched = session.fetch(&[(uid(3), 5), (uid(4), 4), (uid(5), 4)], 1000, &mut |_| true).await.unwrap();
    let flags: Vec<_> = fetched.into_iter().map(|message| message.marks.flags).collect();
    let known = ["\\Seen", "$Forwarded", "NonJunk"].map(str::to_owned).to_vec();
    assert_eq!(flags, [Some(known), Some(Vec::new()), None]);
    let headers = session.fetch_headers(&[uid(3)], &mut |_| true).await.unwrap();
    assert_eq!(headers[0].marks, Marks { flags: Some(vec!["\\Flagged".to_owned()]), gmail: None });
}

#[tokio::test(start_paused = true)]
async fn gmail_is_asked_for_its_ids_and_labels_in_the_same_command() {
    let items = "X-GM-THRID 1278455344230334865 X-GM-MSGID 18446744073709551615 \
        X-GM-LABELS (\"\\\\Inbox\" \\Sent Important \"Muy Importante\" \"Entw&APw-rfe\" foo &-) FLAGS (\\Seen)";
    for size in [5, 300_000] {
        let marks = from_gmail(size, items).await;
        let labels = ["\\Inbox", "\\Sent", "Important", "Muy Importante", "Entwürfe", "foo", "&"];
        let wanted = gmail(Some("1278455344230334865"), Some("18446744073709551615"), &labels);
        assert_eq!(marks, Marks { flags: Some(vec!["\\Seen".to_owned()]), gmail: Some(wanted) });
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_in_gmails_items_is_passed_over() {
    let long = "x".repeat(2000);
    let many: Vec<String> = (0..500).map(|n| format!("l{n}")).collect();
    for (items, wanted) in [
        ("X-GM-THRID NIL X-GM-MSGID 99999999999999999999 X-GM-LABELS NIL".to_owned(), gmail(None, None, &[])),
        ("X-GM-THRID -1 X-GM-MSGID (1 2) X-GM-LABELS 7".to_owned(), gmail(None, None, &[])),
        (
            format!("X-GM-MSGID \"5\" X-GM-THRID 007 X-GM-LABELS (\"\" ({long} in) NIL {long} a)"),
            gmail(Some("7"), None, &["in", "a"]),
        ),
        ("X-GM-LABELS (Gr\u{fc}n &broken)".to_owned(), gmail(None, None, &["Gr\u{fc}n", "&broken"])),
        (
            format!("X-GM-LABELS ({})", many.join(" ")),
            gmail(None, None, &many.iter().map(String::as_str).take(100).collect::<Vec<_>>()),
        ),
    ] {
        assert_eq!(from_gmail(5, &items).await.gmail, Some(wanted), "{items}");
    }
    assert_eq!(from_gmail(5, "X-GM-OTHER (a (b \"c\"))").await, Marks::default());
}
