//! The mailbox for sent messages: searching it, and filing in it.

use std::time::Duration;

use mailroom_core::owner_error::ErrorCode;
use proptest::prelude::*;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex,
};
use tokio::time::{Instant, sleep};

use super::super::error::{Code, ImapError, Malformed, Refusal, Step};
use super::super::open::read_greeting;
use super::super::sent_mailbox::{SentMailbox, log_in_and_find};
use super::sent_mailbox::{AS_READ, AT, ID, find_until, listed, sent_mailbox};
use super::{Connection, code, imap_example, password, soon};
use mailroom_net::login::{Login, Secret};

/// A mailbox that is found by its name: the next command is M3.
fn sent(capabilities: &str) -> String {
    listed(capabilities, "S: * LIST () \"/\" Sent")
}

/// What comes of filing a message with the server that plays `transcript` to its end.
async fn file(transcript: &str, raw: &[u8]) -> Result<(), ImapError> {
    let (mut sent_mailbox, playing) = sent_mailbox(transcript).await;
    let result = sent_mailbox.file(raw, AT).await;
    drop(sent_mailbox);
    playing.await.unwrap();
    result
}

/// What comes of looking for [`ID`] where the server answers the search with `answer`.
async fn holds(answer: &str) -> Result<bool, ImapError> {
    let transcript = format!("{}{EXAMINED}\n{SEARCH_4}\n{answer}", sent("IDLE"));
    let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
    let result = sent_mailbox.holds(ID).await;
    drop(sent_mailbox);
    playing.await.unwrap();
    result
}

const EXAMINED: &str = "
    C: M3 EXAMINE \"Sent\"
    S: * 9 EXISTS
    S: M3 OK [READ-ONLY] done";

const SEARCH_4: &str = "C: M4 UID SEARCH HEADER Message-ID \"<a.1@example.org>\"";

#[tokio::test(start_paused = true)]
async fn a_message_is_there_when_the_search_names_one() {
    for (answer, there) in [
        ("S: * SEARCH 7", true),
        ("S: * SEARCH 7 8 4294967295 ", true),
        ("S: * search 7 (MODSEQ 917162500)", true),
        ("S: * SEARCH\nS: * 10 EXISTS\nS: * SEARCH 7\nS: * SEARCH", true),
        ("S: * SEARCH", false),
        ("S: * SEARCH ", false),
        // Some say nothing of nothing.
        ("S: * 10 EXISTS", false),
    ] {
        assert_eq!(holds(&format!("{answer}\nS: M4 OK done")).await.unwrap(), there, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_cannot_be_read_does_not_mean_that_nothing_is_there() {
    for answer in [
        "S: * SEARCH x",
        "S: * SEARCH 7 x",
        "S: * SEARCH 0",
        "S: * SEARCH -7",
        "S: * SEARCH 7:9",
        "S: * SEARCH 4294967296",
        "S: * SEARCH {1}\nS: 7",
        "S: * SEARCH \"7\"",
        "S: * ESEARCH (TAG \"M4\") UID ALL 7",
        "S: * SEARCH 7\nS: * ESEARCH (TAG \"M4\") UID",
    ] {
        let error = holds(&format!("{answer}\nS: M4 OK done")).await.unwrap_err();
        assert!(
            matches!(error, ImapError::Malformed { step: Step::Search, what: Malformed::Search }),
            "{answer}: {error:?}"
        );
    }
    for answer in ["S: M4 NO not now", "S: * SEARCH\nS: M4 BAD what", "S: * SEARCH\nS: * BYE enough"] {
        let error = holds(answer).await.unwrap_err();
        assert!(matches!(error, ImapError::Refused { step: Step::Search, .. }), "{answer}: {error:?}");
        assert_eq!(code(&error), ErrorCode::ImapProtocol);
    }
    let error = holds("S: * SEARCH").await.unwrap_err();
    assert!(matches!(error, ImapError::HungUp(Step::Search)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_look_sees_what_has_come_meanwhile() {
    let transcript = format!(
        "{}{EXAMINED}
        {SEARCH_4}
        S: * SEARCH
        S: M4 OK done
        C: M5 NOOP
        S: * 10 EXISTS
        S: M5 OK done
        C: M6 UID SEARCH HEADER Message-ID \"<b\\\"\\\\@x>\"
        S: * SEARCH 8
        S: M6 OK done
        C: M7 LOGOUT",
        sent("IDLE")
    );
    let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
    assert!(!sent_mailbox.holds(ID).await.unwrap());
    assert!(sent_mailbox.holds("<b\"\\@x>").await.unwrap());
    sent_mailbox.logout().await;
    playing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_id_is_not_looked_for_and_harms_nothing() {
    let transcript = format!("{}{EXAMINED}\n{SEARCH_4}\nS: * SEARCH 7\nS: M4 OK done", sent("IDLE"));
    let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
    for id in ["", "<>", "a@b", "<a@b", "a@b>", "<a\r\nM9 LOGOUT>", "<a\0b>", "<\u{e4}@b>", "<a\tb>"] {
        let error = sent_mailbox.holds(id).await.unwrap_err();
        assert!(matches!(error, ImapError::UnsearchableMessageId), "{id}: {error:?}");
        assert_eq!(code(&error), ErrorCode::Internal);
    }
    assert!(sent_mailbox.holds(ID).await.unwrap());
    playing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_cannot_be_looked_into_is_an_error_and_is_tried_again() {
    let transcript = format!(
        "{}C: M3 EXAMINE \"Sent\"
        S: M3 NO permission denied
        C: M4 EXAMINE \"Sent\"
        S: M4 OK done
        C: M5 UID SEARCH HEADER Message-ID \"{ID}\"
        S: * SEARCH 7
        S: M5 OK done",
        sent("IDLE")
    );
    let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
    let error = sent_mailbox.holds(ID).await.unwrap_err();
    let owner_error = error.owner_error(&imap_example());
    assert_eq!(owner_error.code, ErrorCode::ImapMailbox);
    assert_eq!(
        owner_error.message,
        "imap.example.com (port 993) refused to open the mailbox for sent messages: \"permission denied\". \
         Check that the login may read it."
    );
    assert!(sent_mailbox.holds(ID).await.unwrap());
    playing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_when_the_server_asks_for_it() {
    let transcript = format!(
        "{}C: M3 APPEND \"Sent\" {AS_READ} {{4}}
        S: * OK one moment
        S: + go
        C: a
        C: b
        S: * 10 EXISTS
        S: M3 OK [APPENDUID 7 10] done
        C: M4 APPEND \"Sent\" {AS_READ} {{1}}
        S: + go
        C: c
        S: M4 OK done",
        sent("IDLE")
    );
    let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
    sent_mailbox.file(b"a\r\nb", AT).await.unwrap();
    sent_mailbox.file(b"c", AT).await.unwrap();
    playing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_at_once_where_that_is_allowed() {
    for (capability, length, wait) in [
        ("LITERAL+", 100_000, ""),
        ("LITERAL-", 4096, ""),
        ("LITERAL-", 4097, "S: + go\n"),
        ("IDLE", 1, "S: + go\n"),
    ] {
        let raw = "x".repeat(length);
        let plus = if wait.is_empty() { "+" } else { "" };
        let transcript = format!(
            "{}C: M3 APPEND \"Sent\" {AS_READ} {{{length}{plus}}}\n{wait}C: {raw}\nS: M3 OK done",
            sent(capability)
        );
        file(&transcript, raw.as_bytes()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_the_message_costs_neither_message_nor_session() {
    for (refusal, code, expected) in [
        ("NO [TRYCREATE] no such mailbox", Some(Code::TryCreate), ErrorCode::ImapMailbox),
        ("NO [OVERQUOTA] Quota exceeded", Some(Code::OverQuota), ErrorCode::ImapMailbox),
        (
            "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
            Some(Code::OverQuota),
            ErrorCode::ImapThrottled,
        ),
        ("NO [NOPERM] not yours", Some(Code::NoPerm), ErrorCode::ImapMailbox),
        ("NO [LIMIT] slower", Some(Code::Limit), ErrorCode::ImapThrottled),
        ("NO [TOOBIG] too big", None, ErrorCode::ImapProtocol),
        ("BAD what", None, ErrorCode::ImapProtocol),
    ] {
        let transcript = format!(
            "{}C: M3 APPEND \"Sent\" {AS_READ} {{2}}
            S: M3 {refusal}
            C: M4 APPEND \"Sent\" {AS_READ} {{2}}
            S: + go
            C: hi
            S: M4 OK done",
            sent("IDLE")
        );
        let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
        let error = sent_mailbox.file(b"hi", AT).await.unwrap_err();
        let ImapError::Refused { step: Step::Append, reply } = &error else { panic!("{error:?}") };
        assert_eq!((reply.code, super::code(&error)), (code, expected), "{refusal}");
        sent_mailbox.file(b"hi", AT).await.unwrap();
        playing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_is_an_error_in_the_servers_words() {
    for (capability, length) in [("IDLE", "{2}\nS: + go"), ("LITERAL+", "{2+}")] {
        let transcript =
            |end: &str| format!("{}C: M3 APPEND \"Sent\" {AS_READ} {length}\nC: hi\n{end}", sent(capability));
        let error = file(&transcript("S: M3 NO [OVERQUOTA] Quota exceeded"), b"hi").await.unwrap_err();
        assert_eq!(
            error.owner_error(&imap_example()).message,
            "imap.example.com (port 993) cannot file the copy of a sent message, because the mailbox is full: \
             \"Quota exceeded\". Delete some messages, or ask the provider for more space."
        );
        let error = file(&transcript("S: * BYE going down"), b"hi").await.unwrap_err();
        assert!(
            matches!(&error, ImapError::Refused { step: Step::Append, reply } if reply.refusal == Refusal::Bye),
            "{error:?}"
        );
        let error = file(&transcript(""), b"hi").await.unwrap_err();
        assert!(matches!(error, ImapError::HungUp(Step::Append)), "{error:?}");
        let error = file(&transcript("S: + more?"), b"hi").await.unwrap_err();
        assert!(matches!(error, ImapError::Malformed { what: Malformed::Continuation, .. }), "{error:?}");
    }
    let early = format!("{}C: M3 APPEND \"Sent\" {AS_READ} {{2}}\nS: M3 OK done", sent("IDLE"));
    let error = file(&early, b"hi").await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::Continuation, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_anywhere_meets_the_deadline() {
    let append = format!("C: M3 APPEND \"Sent\" {AS_READ}");
    for (so_far, step) in [
        (format!("{EXAMINED}\n{SEARCH_4}"), Step::Search),
        (format!("{EXAMINED}\n{SEARCH_4}\nS: * SEARCH 7"), Step::Search),
        ("C: M3 EXAMINE \"Sent\"".to_owned(), Step::OpenSent),
        (format!("{append} {{2}}"), Step::Append),
        (format!("{append} {{2}}\nS: * OK wait"), Step::Append),
        (format!("{append} {{2}}\nS: + go\nC: hi"), Step::Append),
    ] {
        let (mut sent_mailbox, _playing) = sent_mailbox(&format!("{}{so_far}\nsilence", sent("IDLE"))).await;
        let begun = Instant::now();
        sent_mailbox.set_deadline(begun + Duration::from_secs(9));
        let error = if step == Step::Append {
            sent_mailbox.file(b"hi", AT).await.unwrap_err()
        } else {
            sent_mailbox.holds(ID).await.unwrap_err()
        };
        assert!(matches!(error, ImapError::Timeout(at) if at == step), "{so_far}: {error:?}");
        assert_eq!(begun.elapsed().as_secs(), 9, "{so_far}");
        assert!(matches!(sent_mailbox.file(b"hi", AT).await, Err(ImapError::Timeout(at)) if at == step));
        assert!(matches!(sent_mailbox.holds(ID).await, Err(ImapError::Timeout(at)) if at == step));
    }
    let begun = Instant::now();
    let list = "S: * OK [CAPABILITY IMAP4rev1] hi\nC: M1 LOGIN \"ann\" \"secret\"\nS: M1 OK [CAPABILITY X] in
        C: M2 LIST \"\" \"*\"\nS: * LIST () \"/\" Sent\nsilence";
    let (result, _playing) = find_until(list, begun + Duration::from_secs(9)).await;
    assert!(matches!(result.unwrap_err(), ImapError::Timeout(Step::Mailboxes)));
    assert_eq!(begun.elapsed().as_secs(), 9);
}

/// A mailbox behind a link that buffers `buffer` bytes, on a server with `capability`; and the server's end of the link.
async fn by_hand(capability: &str, buffer: usize) -> (SentMailbox<DuplexStream>, BufReader<DuplexStream>) {
    let (ours, theirs) = duplex(buffer);
    let mut theirs = BufReader::new(theirs);
    let greeting = format!("* PREAUTH hi\r\n* CAPABILITY IMAP4rev1 {capability}\r\nM1 OK .\r\n");
    let listing = "* LIST (\\Sent) \"/\" Sent\r\nM2 OK .\r\n";
    let playing = async {
        theirs.write_all(greeting.as_bytes()).await.unwrap();
        theirs.read_line(&mut String::new()).await.unwrap();
        theirs.write_all(listing.as_bytes()).await.unwrap();
        theirs.read_line(&mut String::new()).await.unwrap();
    };
    let opening = async {
        let mut connection = Connection::new(ours, soon());
        let password = password("secret");
        let login = Login { login: "ann", secret: &Secret::Password(password.clone()) };
        let greeting = read_greeting(&mut connection).await.unwrap();
        log_in_and_find(connection, greeting, login, &imap_example()).await.unwrap().unwrap()
    };
    let (sent_mailbox, ()) = tokio::join!(opening, playing);
    (sent_mailbox, theirs)
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_is_no_silence() {
    let (mut sent_mailbox, mut theirs) = by_hand("LITERAL+", 1024).await;
    sent_mailbox.set_deadline(Instant::now() + Duration::from_secs(600));
    let begun = Instant::now();
    let raw = vec![b'x'; 512 * 1024];
    let serving = async {
        let mut line = String::new();
        theirs.read_line(&mut line).await.unwrap();
        let mut left = raw.len() + 2;
        while left > 0 {
            sleep(Duration::from_secs(1)).await;
            let mut second = vec![0; left.min(1024)];
            theirs.read_exact(&mut second).await.unwrap();
            left -= second.len();
        }
        theirs.write_all(b"M3 OK done\r\n").await.unwrap();
    };
    let filing = async { sent_mailbox.file(&raw, AT).await.unwrap() };
    tokio::join!(filing, serving);
    assert!(begun.elapsed().as_secs() >= 512);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_taking_the_message_is_heard_before_it_is_left() {
    let raw = vec![b'x'; 512 * 1024];
    for (words, refusal) in [
        ("M3 NO [OVERQUOTA] full\r\n", Some(Refusal::No)),
        ("* BYE too much\r\n", Some(Refusal::Bye)),
        ("* OK still here\r\n", None),
        ("", None),
    ] {
        // It stops reading, or it closes the connection.
        for staying in [Duration::from_secs(3600), Duration::ZERO] {
            let (mut sent_mailbox, mut theirs) = by_hand("LITERAL+", 1024).await;
            let begun = Instant::now();
            let serving = async {
                theirs.read_exact(&mut [0; 3000]).await.unwrap();
                theirs.write_all(words.as_bytes()).await.unwrap();
                sleep(staying).await;
                drop(theirs);
            };
            let filing = async {
                let error = sent_mailbox.file(&raw, AT).await.unwrap_err();
                assert!(begun.elapsed() < Duration::from_secs(40));
                assert!(sent_mailbox.holds(ID).await.is_err());
                error
            };
            let (error, ()) = tokio::join!(filing, serving);
            match (&error, refusal) {
                (ImapError::Refused { step: Step::Append, reply }, Some(refusal)) => {
                    assert_eq!(reply.refusal, refusal);
                }
                (ImapError::Timeout(Step::Append) | ImapError::Broken { step: Step::Append, .. }, None) => {}
                _ => panic!("{words}: {error:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A server that counts bytes gets the message, and what ends the command behind it.
    #[test]
    fn every_message_arrives_as_it_is(
        raw in prop::collection::vec(1_u8.., 0..40_000),
        capability in prop::sample::select(&["LITERAL+", "LITERAL-", "IDLE"][..]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let received = runtime.block_on(async {
            let (mut sent_mailbox, mut theirs) = by_hand(capability, 4096).await;
            let serving = async {
                let mut line = String::new();
                theirs.read_line(&mut line).await.unwrap();
                let length = line.trim_end().strip_suffix('}').unwrap().rsplit('{').next().unwrap();
                if !length.ends_with('+') {
                    theirs.write_all(b"+ go\r\n").await.unwrap();
                }
                let mut received = vec![0; length.trim_end_matches('+').parse::<usize>().unwrap() + 2];
                theirs.read_exact(&mut received).await.unwrap();
                theirs.write_all(b"M3 OK done\r\n").await.unwrap();
                received
            };
            let (result, received) = tokio::join!(sent_mailbox.file(&raw, AT), serving);
            result.unwrap();
            received
        });
        prop_assert_eq!(received.strip_suffix(b"\r\n"), Some(&raw[..]));
    }
}
