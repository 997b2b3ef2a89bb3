//! Bodies, headers, and what is done to messages afterwards.

use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Mailbox;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex,
};

use super::super::error::{ImapError, Malformed, NotWritable, Step};
use super::super::{Fetched, Marks, Session};
use super::{OPENED, code, imap_example, open, session, soon, uid};
use mailroom_net::login::{Login, Secret};

const SMALL: usize = 256 * 1024;
const CHUNK: usize = 1024 * 1024;

fn whole(n: u32, bytes: &str) -> Fetched {
    Fetched { uid: uid(n), bytes: bytes.as_bytes().to_vec(), complete: true, marks: Marks::default() }
}

/// With these flags.
fn flagged(n: u32, bytes: &str, flags: &[&str]) -> Fetched {
    let flags = flags.iter().map(ToString::to_string).collect();
    Fetched { marks: Marks { flags: Some(flags), gmail: None }, ..whole(n, bytes) }
}

#[tokio::test(start_paused = true)]
async fn small_messages_come_in_one_command() {
    let mut session = session(
        "C: M3 UID FETCH 3,5:6 (UID FLAGS BODY.PEEK[]<0.262144>)
         S: * 6 FETCH (UID 6 BODY[]<0> {5}
         S: six
         S: )
         S: * 3 FETCH (UID 3 BODY[]<0> \"th\\\"ree\")
         S: * 2 FETCH (FLAGS (\\Seen))
         S: * 8 FETCH (UID 8 BODY[]<0> \"not asked for\")
         S: * 1 EXPUNGE
         S: * 5 FETCH (BODY[]<0> {4}
         S: five UID 5)
         S: * 5 FETCH (UID 5 FLAGS (\\Seen))
         S: M3 OK done
         silence",
    )
    .await;
    let fetched = session.fetch(&[(uid(3), 9), (uid(5), 4), (uid(6), 5)], 1000, &mut |_| true).await.unwrap();
    assert_eq!(fetched, [whole(3, "th\"ree"), flagged(5, "five", &["\\Seen"]), whole(6, "six\r\n")]);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_neither_an_error_nor_an_empty_message() {
    let mut session = session(
        "C: M3 UID FETCH 3:6 (UID FLAGS BODY.PEEK[]<0.262144>)
         S: * 3 FETCH (UID 3 BODY[] NIL)
         S: * 6 FETCH (UID 6 BODY[]<0> \"six\")
         S: M3 OK [EXPUNGEISSUED] Some messages were already expunged
         C: M4 NOOP
         C: M5 UID FETCH 3:5 (UID FLAGS)
         C: M6 UID SEARCH UID 3:5
         S: * 1 EXPUNGE
         S: M4 OK .
         S: M5 OK .
         S: * SEARCH
         S: M6 OK .
         C: M7 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)
         S: M7 NO [EXPUNGEISSUED] gone
         C: M8 NOOP
         C: M9 UID FETCH 3 (UID FLAGS)
         C: M10 UID SEARCH UID 3
         S: M8 OK .
         S: M9 NO [EXPUNGEISSUED] gone
         S: M10 OK .
         C: M11 UID FETCH 3 (UID FLAGS BODY.PEEK[HEADER]<0.262144>)
         S: * 3 FETCH (UID 3 BODY[HEADER]<0> NIL)
         S: M11 OK .
         C: M12 NOOP
         C: M13 UID FETCH 3 (UID FLAGS)
         C: M14 UID SEARCH UID 3
         S: M12 OK .
         S: M13 OK .
         S: M14 OK .
         silence",
    )
    .await;
    let fetched = session
        .fetch(&[(uid(3), 3), (uid(4), 3), (uid(5), 3), (uid(6), 3)], 1000, &mut |_| true)
        .await
        .unwrap();
    assert_eq!(fetched, [whole(6, "six")]);
    assert_eq!(session.fetch(&[(uid(3), 3)], 1000, &mut |_| true).await.unwrap(), []);
    assert_eq!(session.fetch_headers(&[uid(3)], &mut |_| true).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_but_still_there_is_an_error() {
    let answers = [
        "S: M4 OK .\nS: * 3 FETCH (UID 3 FLAGS ())\nS: M5 OK .\nS: * SEARCH 3\nS: M6 OK .",
        // As Dovecot 2.3.19 answers: ahead of NOOP's OK.
        "S: * 3 FETCH (UID 3 FLAGS ())\nS: M4 OK .\nS: M5 OK .\nS: * SEARCH 3\nS: M6 OK .",
        // As Exchange Online answers while it scans a message: only a search finds it.
        "S: M4 OK .\nS: M5 OK .\nS: * SEARCH 3\nS: M6 OK .",
        "S: M4 OK .\nS: M5 OK .\nS: * SEARCH three\nS: M6 OK .",
    ];
    for answer in answers {
        let mut session = session(&format!(
            "C: M3 UID FETCH 3:4 (UID FLAGS BODY.PEEK[]<0.262144>)
             S: * 4 FETCH (UID 4 BODY[]<0> \"four\")
             S: M3 OK done
             C: M4 NOOP
             C: M5 UID FETCH 3 (UID FLAGS)
             C: M6 UID SEARCH UID 3
             {answer}
             silence"
        ))
        .await;
        let error = session.fetch(&[(uid(3), 5), (uid(4), 4)], 1000, &mut |_| true).await.unwrap_err();
        assert!(matches!(error, ImapError::Malformed { what: Malformed::Empty, .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_message_shows_whether_the_server_gives_any() {
    let other = "C: M3 FETCH 1,2,3,4,5,6,7,9 (UID)
         S: * 1 FETCH (UID 3)
         S: * 9 FETCH (UID 20)
         S: M3 OK .
         C: M4 UID FETCH 20 (UID BODY.PEEK[]<0.512>)";
    for (answer, given) in [
        ("S: * 9 FETCH (UID 20 BODY[]<0> \"x\")\nS: M4 OK .", true),
        ("S: M4 NO [UNAVAILABLE] storage", false),
        ("S: M4 OK .", false),
        ("S: * 9 FETCH (UID 20 BODY[]<0> \"\")\nS: M4 OK .", false),
    ] {
        let mut session = session(&format!("{other}\n{answer}\nsilence")).await;
        assert_eq!(session.fetch_another(&[uid(3)], 9, 7).await.unwrap(), given, "{answer}");
    }
    let mut alone = session(
        "C: M3 FETCH 1 (UID)
         S: * 1 FETCH (UID 3)
         S: M3 OK .
         C: M4 UID FETCH 3 (UID BODY.PEEK[HEADER]<0.512>)
         S: * 1 FETCH (UID 3 BODY[HEADER]<0> \"A: b\")
         S: M4 OK .
         silence",
    )
    .await;
    assert!(alone.fetch_another(&[uid(3)], 1, 7).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_of_a_message_with_a_size_is_an_error() {
    let answer = "C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)\nS: * 3 FETCH (UID 3 BODY[]<0> \"\")\nS: M3 OK .";
    let error = session(answer).await.fetch(&[(uid(3), 7)], 1000, &mut |_| true).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::Empty, .. }));
    assert_eq!(
        session(answer).await.fetch(&[(uid(3), 0)], 1000, &mut |_| true).await.unwrap(),
        [whole(3, "")]
    );
}

#[tokio::test(start_paused = true)]
async fn headers_come_in_one_command() {
    let mut session = session(
        "C: M3 UID FETCH 3,9 (UID FLAGS BODY.PEEK[HEADER]<0.262144>)
         S: * 3 FETCH (UID 3 BODY[HEADER]<0> {4}
         S: A:
         S: )
         S: * 9 FETCH (UID 9 BODY[HEADER]<0> \"B\")
         S: M3 OK .",
    )
    .await;
    let fetched = session.fetch_headers(&[uid(9), uid(3)], &mut |_| true).await.unwrap();
    assert_eq!(fetched, [whole(9, "B"), whole(3, "A:\r\n")]);
}

/// What a server can say to a FETCH, and what it means to the owner.
#[tokio::test(start_paused = true)]
async fn no_refusal_and_no_end_is_a_message_that_is_gone() {
    let table = [
        ("S: M3 NO [SERVERBUG] out of memory", ErrorCode::ImapProtocol),
        ("S: M3 NO [UNAVAILABLE] later", ErrorCode::ImapProtocol),
        ("S: M3 NO Some messages could not be FETCHed", ErrorCode::ImapProtocol),
        (
            "S: M3 BAD Request is throttled. Suggested Backoff Time: 100 milliseconds",
            ErrorCode::ImapThrottled,
        ),
        ("S: * BYE out of memory", ErrorCode::ImapProtocol),
        ("S: * 3 FETCH (UID 3 BODY[]<0> {5}\nS: hel", ErrorCode::ImapProtocol),
        ("S: * 3 FETCH (UID 3 BODY[]<0> {5}\nS: h\nsilence", ErrorCode::ImapTimeout),
        ("S: * 3 FETCH (UID 3 BODY[]<0> {5}\nS: hello FLAGS\nS: M3 OK .", ErrorCode::ImapProtocol),
        ("S: * 3 FETCH (UID 3 BODY[]<0> (1 2))\nS: M3 OK .", ErrorCode::ImapProtocol),
        ("S: * 3 FETCH (UID 3 BODY[]<0> {4294967295}\nsilence", ErrorCode::ImapProtocol),
        ("S: * 3 FETCH (UID 3 BODY[]<0> {262145}\nsilence", ErrorCode::ImapProtocol),
        ("S: * 3 FETCH (UID 3 BODY[]<0> {99999999999999999999999999}\nsilence", ErrorCode::ImapProtocol),
        ("", ErrorCode::ImapProtocol),
        ("silence", ErrorCode::ImapTimeout),
    ];
    for (said, expected) in table {
        let transcript = format!("C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)\n{said}");
        let mut session = session(&transcript).await;
        let error = session.fetch(&[(uid(3), 3)], 1000, &mut |_| true).await.expect_err(said);
        assert_eq!(code(&error), expected, "{said}: {error:?}");
    }
}

/// A server with one message (UID 3) that answers chunks by the letter, or as `answer` has it.
async fn with_message(
    message: Vec<u8>,
    answer: impl Fn(usize, &[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> (Session<DuplexStream>, tokio::task::JoinHandle<Vec<(usize, usize)>>) {
    let (ours, theirs) = duplex(1 << 16);
    let serving = tokio::spawn(async move {
        let (read, mut write) = tokio::io::split(theirs);
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"* PREAUTH .\r\n* 1 EXISTS\r\nM1 OK .\r\n").await.unwrap();
        let mut asked = Vec::new();
        lines.next_line().await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            let tag = line.split(' ').next().unwrap();
            // What is missing is asked for by its flags: it is gone.
            let Some((_, range)) = line.split_once('<') else {
                write.write_all(format!("{tag} OK .\r\n").as_bytes()).await.unwrap();
                continue;
            };
            let (offset, size) = range.trim_end_matches(">)").split_once('.').unwrap();
            let (offset, size): (usize, usize) = (offset.parse().unwrap(), size.parse().unwrap());
            asked.push((offset, size));
            let there = message.get(offset..).unwrap_or_default();
            let chunk = there.get(..size).unwrap_or(there);
            let mut said = Vec::new();
            if let Some(chunk) = answer(offset, chunk) {
                said = format!("* 1 FETCH (UID 3 BODY[]<{offset}> {{{}}}\r\n", chunk.len()).into_bytes();
                said.extend(chunk);
                said.extend(b")\r\n");
            }
            said.extend(format!("{tag} OK .\r\n").bytes());
            if write.write_all(&said).await.is_err() {
                break;
            }
        }
        asked
    });
    let mut connection = super::Connection::new(ours, soon());
    let greeting = super::read_greeting(&mut connection).await.unwrap();
    let password = super::password("");
    let login = Login { login: "", secret: &Secret::Password(password.clone()) };
    let inbox = Mailbox::parse("INBOX").unwrap();
    let opened =
        super::log_in_and_open(connection, greeting, login, &imap_example(), &inbox, None).await.unwrap();
    (opened.session, serving)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for servers that have nothing to say, too")]
fn faithful(_: usize, chunk: &[u8]) -> Option<Vec<u8>> {
    Some(chunk.to_vec())
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

#[tokio::test]
async fn messages_come_whole_whatever_size_was_announced() {
    for length in [1, SMALL - 1, SMALL, SMALL + 1, CHUNK, SMALL + CHUNK, 3 * CHUNK, 3 * CHUNK + 77] {
        for announced in [1, SMALL - 1, SMALL, CHUNK, length - 1, length, length + 1, length + 3 * CHUNK] {
            let message = noise(length);
            let (mut session, serving) = with_message(message.clone(), faithful).await;
            let fetched = session.fetch(&[(uid(3), announced as u64)], 1 << 24, &mut |_| true).await.unwrap();
            assert_eq!(fetched.len(), 1, "{length} announced as {announced}");
            assert!(fetched[0].bytes == message && fetched[0].complete, "{length} announced as {announced}");
            drop(session);
            let asked = serving.await.unwrap();
            assert!(asked.iter().all(|(_, size)| *size <= CHUNK));
            assert!(asked.len() <= length / CHUNK + 5, "{length} announced as {announced}: {asked:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_may_come_in_any_order() {
    let (first, second) = ("a".repeat(CHUNK), "b".repeat(7));
    let answers = [
        format!("S: * 3 FETCH (UID 3 BODY[]<1048576> {{7}}\nS: {second})"),
        format!("S: * 3 FETCH (UID 3 BODY[]<0> {{1048576}}\nS: {first})"),
        "S: M3 OK .".to_owned(),
        "S: M4 OK .".to_owned(),
    ];
    for order in [[0, 1, 2, 3], [0, 3, 1, 2], [1, 0, 2, 3], [1, 0, 3, 2], [1, 2, 0, 3]] {
        let said = order.map(|n| answers[n].as_str()).join("\n");
        let transcript = format!(
            "C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.1048576>)
             C: M4 UID FETCH 3 (UID BODY.PEEK[]<1048576.1048576>)
             {said}"
        );
        let fetched =
            session(&transcript).await.fetch(&[(uid(3), 1_048_583)], 1 << 24, &mut |_| true).await.unwrap();
        assert_eq!(fetched, [whole(3, &format!("{first}{second}"))]);
    }
}

#[tokio::test]
async fn a_message_above_the_limit_is_cut_at_it() {
    for announced in [10, 3 * CHUNK] {
        let message = noise(3 * CHUNK);
        for limit in [100, SMALL, CHUNK, CHUNK + 1, 3 * CHUNK - 1] {
            let (mut session, serving) = with_message(message.clone(), faithful).await;
            let fetched =
                session.fetch(&[(uid(3), announced as u64)], limit as u64, &mut |_| true).await.unwrap();
            assert_eq!(fetched[0].bytes, message[..limit]);
            assert!(!fetched[0].complete);
            drop(session);
            let bytes: usize = serving.await.unwrap().iter().map(|(_, size)| size).sum();
            assert!(bytes <= limit.max(SMALL) + 1);
        }
        let (mut session, _) = with_message(message.clone(), faithful).await;
        let fetched =
            session.fetch(&[(uid(3), announced as u64)], 3 * CHUNK as u64, &mut |_| true).await.unwrap();
        assert!(fetched[0].complete && fetched[0].bytes == message);
    }
}

#[tokio::test]
async fn a_large_message_that_goes_away_meanwhile_is_gone() {
    for gone_at in [0, 1, 3] {
        let answer = move |offset: usize, chunk: &[u8]| (offset < gone_at * CHUNK).then(|| chunk.to_vec());
        let (mut session, _) = with_message(noise(5 * CHUNK), answer).await;
        assert_eq!(session.fetch(&[(uid(3), 5 * CHUNK as u64)], 1 << 24, &mut |_| true).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_server_that_sends_nothing_behind_the_end_has_sent_all() {
    let answer = |_: usize, chunk: &[u8]| (!chunk.is_empty()).then(|| chunk.to_vec());
    let message = noise(2 * CHUNK);
    let (mut session, _) = with_message(message.clone(), answer).await;
    let fetched = session.fetch(&[(uid(3), 2 * CHUNK as u64)], 1 << 24, &mut |_| true).await.unwrap();
    assert!(fetched[0].complete && fetched[0].bytes == message);
}

#[tokio::test]
async fn each_byte_that_arrives_is_charged_and_none_is_taken_in_without_room() {
    let (mut session, _) = with_message(noise(3_000_000), faithful).await;
    let mut charged = 0;
    let mut charge = |bytes| {
        charged += bytes;
        true
    };
    let fetched = session.fetch(&[(uid(3), 10)], 1 << 24, &mut charge).await.unwrap();
    assert!(fetched[0].complete);
    // The first bytes are fetched again where the message turns out to be large.
    assert!((3_000_000..3_000_000 + SMALL as u64 * 2).contains(&charged), "{charged}");

    let (mut session, _) = with_message(noise(3_000_000), faithful).await;
    let mut room = 1_000_000_u64;
    let mut charge = |bytes| {
        room.checked_sub(bytes).is_some_and(|left| {
            room = left;
            true
        })
    };
    let error = session.fetch(&[(uid(3), 10)], 1 << 24, &mut charge).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::NoRoom, .. }));
}

#[tokio::test]
async fn a_message_far_above_what_was_announced_is_not_taken_in() {
    let (mut session, _) = with_message(noise(9_000_000), faithful).await;
    let error = session.fetch(&[(uid(3), 10)], 1 << 24, &mut |_| true).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::Sizes, .. }));
}

#[tokio::test]
async fn a_chunk_larger_than_asked_for_is_an_error() {
    let generous = |_: usize, _: &[u8]| Some(vec![b'x'; SMALL]);
    let (mut session, _) = with_message(Vec::new(), generous).await;
    let error = session.fetch(&[(uid(3), 10)], SMALL as u64 + 7, &mut |_| true).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::LongLiteral, .. }));
}

#[tokio::test(start_paused = true)]
async fn messages_that_all_lie_are_an_error() {
    let lines: String = (1..=20)
        .map(|n| format!("S: * {n} FETCH (UID {n} BODY[]<0> {{262143}}\nS: {})\n", "x".repeat(SMALL - 1)))
        .collect();
    let transcript = format!("C: M3 UID FETCH 1:20 (UID FLAGS BODY.PEEK[]<0.262144>)\n{lines}S: M3 OK .");
    let messages: Vec<_> = (1..=20).map(|n| (uid(n), 10)).collect();
    let error = session(&transcript).await.fetch(&messages, 1 << 24, &mut |_| true).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::Sizes, .. }));
}

const SELECTED: &str = "
    C: M3 SELECT \"INBOX\"
    S: * 9 EXISTS
    S: * OK [UIDVALIDITY 7] .
    S: M3 OK [READ-WRITE] .";

#[tokio::test(start_paused = true)]
async fn seen_is_set_in_a_mailbox_opened_for_it_once() {
    let mut session = session(&format!(
        "{SELECTED}
         C: M4 UID STORE 3:4 +FLAGS.SILENT (\\Seen)
         S: M4 OK .
         C: M5 UID STORE 9 +FLAGS.SILENT (\\Seen)
         S: M5 NO [EXPUNGEISSUED] gone
         silence"
    ))
    .await;
    session.mark_seen(&[uid(4), uid(3)]).await.unwrap();
    session.mark_seen(&[uid(9)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_not_the_same_is_not_changed() {
    let renumbered = SELECTED.replace("UIDVALIDITY 7", "UIDVALIDITY 8");
    let error = session(&renumbered).await.mark_seen(&[uid(4)]).await.unwrap_err();
    assert!(matches!(error, ImapError::NotWritable(NotWritable::Renumbered)));
    let read_only = SELECTED.replace("READ-WRITE", "READ-ONLY");
    let error = session(&read_only).await.mark_seen(&[uid(4)]).await.unwrap_err();
    assert!(matches!(error, ImapError::NotWritable(NotWritable::ReadOnly)));
    assert_eq!(code(&error), ErrorCode::ImapMailbox);
}

/// A session with a server that lists these capabilities at the login.
async fn able(capabilities: &str, transcript: &str) -> Session<DuplexStream> {
    let opened = OPENED.replace("M1 OK", &format!("M1 OK [CAPABILITY {capabilities}]"));
    open(&format!("{opened}\n{transcript}"), None).await.unwrap().session
}

#[tokio::test(start_paused = true)]
async fn messages_are_moved_by_what_the_server_has() {
    let archive = Mailbox::parse("Archiv/2026 ü").unwrap();
    for capabilities in ["IMAP4rev1 MOVE UIDPLUS", "IMAP4rev2"] {
        let transcript = format!(
            "{SELECTED}\nC: M4 UID MOVE 3 \"Archiv/2026 &APw-\"\nS: * 3 EXPUNGE\nS: M4 OK .\nsilence"
        );
        able(capabilities, &transcript).await.move_to(&[uid(3)], &archive).await.unwrap();
    }
    let transcript = format!(
        "{SELECTED}
         C: M4 UID COPY 3 \"Archiv/2026 &APw-\"
         S: M4 OK [COPYUID 1 3 9] .
         C: M5 UID STORE 3 +FLAGS.SILENT (\\Deleted)
         S: M5 OK .
         C: M6 UID EXPUNGE 3
         S: M6 OK .
         silence"
    );
    able("IMAP4rev1 UIDPLUS", &transcript).await.move_to(&[uid(3)], &archive).await.unwrap();

    let error = able("IMAP4rev1", "silence").await.move_to(&[uid(3)], &archive).await.unwrap_err();
    assert!(matches!(error, ImapError::CannotMove));

    let transcript = format!(
        "{SELECTED}\nC: M4 UID COPY 3 \"Archiv/2026 &APw-\"\nS: M4 NO [TRYCREATE] no such mailbox\nsilence"
    );
    let error = able("UIDPLUS", &transcript).await.move_to(&[uid(3)], &archive).await.unwrap_err();
    assert!(matches!(error, ImapError::Refused { step: Step::Move, .. }));
    assert_eq!(code(&error), ErrorCode::ImapMailbox);
}

#[tokio::test(start_paused = true)]
async fn goodbye_is_said_and_not_waited_for() {
    let (ours, mut theirs) = duplex(1024);
    theirs.write_all(b"* PREAUTH .\r\n* 1 EXISTS\r\nM1 OK .\r\n").await.unwrap();
    let mut connection = super::Connection::new(ours, soon());
    let greeting = super::read_greeting(&mut connection).await.unwrap();
    let password = super::password("");
    let login = Login { login: "", secret: &Secret::Password(password.clone()) };
    let inbox = Mailbox::parse("INBOX").unwrap();
    super::log_in_and_open(connection, greeting, login, &imap_example(), &inbox, None)
        .await
        .unwrap()
        .session
        .logout()
        .await;
    let mut heard = String::new();
    theirs.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "M1 EXAMINE \"INBOX\"\r\nM2 LOGOUT\r\n");
}
