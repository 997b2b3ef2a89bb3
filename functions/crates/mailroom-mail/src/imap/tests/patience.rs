//! How long a server is waited for, and what a session says after it failed.

use std::time::Duration;

use mailroom_core::owner_error::ErrorCode;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

use super::super::error::{ImapError, Malformed, Step};
use super::{Connection, code, imap_example, open, open_with_token, read_greeting, session, uid};

/// A server that sends these pieces, with a pause before each, and stays silent then.
fn dripping(pieces: Vec<Vec<u8>>, pause: Duration) -> DuplexStream {
    let (ours, mut theirs) = duplex(1 << 20);
    tokio::spawn(async move {
        for piece in pieces {
            tokio::time::sleep(pause).await;
            if theirs.write_all(&piece).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    ours
}

/// How a step ends with such a server, and after how many seconds.
async fn wait_for(pieces: Vec<Vec<u8>>, pause: Duration) -> (Result<(), ImapError>, u64) {
    let begun = Instant::now();
    let late = begun + Duration::from_secs(3600);
    let mut connection = Connection::new(dripping(pieces, pause), late);
    connection.max_literal = 1 << 20;
    let tag = connection.command("NOOP");
    connection.flush(Step::Fetch).await.unwrap();
    let result = connection.complete(tag, Step::Fetch, |_| Ok(())).await.map(drop);
    (result, begun.elapsed().as_secs())
}

fn times(text: &str, count: usize) -> Vec<Vec<u8>> {
    vec![text.as_bytes().to_vec(); count]
}

#[tokio::test(start_paused = true)]
async fn a_server_that_only_seems_busy_is_cut_off() {
    let second = Duration::from_secs(1);
    let hang = "* OK Hang in there\r\n";
    for (said, pieces, pause) in [
        ("a byte every five seconds", times("*", 100), second * 5),
        ("hang in there", times(hang, 1000), second),
        ("hang in there, and fast", times(&hang.repeat(50), 10_000), second / 10),
        ("what nobody asked for", times(&"* X-WAIT a bit\r\n".repeat(50), 10_000), second / 10),
        ("blank lines", times("\r\n", 100_000), second / 100),
        (
            "a literal that trickles",
            [times("* 1 FETCH (UID 1 BODY[] {100000}\r\n", 1), times("x", 1000)].concat(),
            second,
        ),
        ("a few messages now and then", times("* 1 FETCH (UID 1 FLAGS ())\r\n", 1000), second * 2),
    ] {
        let (result, seconds) = wait_for(pieces, pause).await;
        assert!(matches!(result, Err(ImapError::Timeout(Step::Fetch))), "{said}: {result:?}");
        assert!((29..=31).contains(&seconds), "{said}: {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_that_comes_on_is_waited_for() {
    let second = Duration::from_secs(1);
    let done = times("M1 OK done\r\n", 1);
    let literal = times("* 1 FETCH (UID 1 BODY[] {100000}\r\n", 1);
    let trickle = [literal, times(&"x".repeat(250), 400), times(")\r\n", 1), done.clone()].concat();
    let listing = [times("* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 7)\r\n", 1000), done.clone()].concat();
    for (said, pieces, pause, expected) in [
        ("a literal", trickle, second, 403),
        ("a listing", listing, second / 5, 200),
        ("an answer after long thought", done, second * 29, 29),
    ] {
        let (result, seconds) = wait_for(pieces, pause).await;
        result.unwrap_or_else(|error| panic!("{said}: {error:?}"));
        assert_eq!(seconds, expected, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_drips_is_cut_off() {
    let begun = Instant::now();
    let stream = dripping(times("*", 1000), Duration::from_secs(5));
    let mut connection = Connection::new(stream, begun + Duration::from_secs(3600));
    let error = read_greeting(&mut connection).await.map(drop).unwrap_err();
    assert!(matches!(error, ImapError::Timeout(Step::Greeting)));
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn the_third_challenge_of_a_login_breaks_the_protocol() {
    let plain = "C: M1 AUTHENTICATE PLAIN\nS: +\nC: AGFubgBzZWNyZXQ=\nS: +\nC: *\nS: +\nsilence";
    let transcript = format!("S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] ready\n{plain}");
    let token = "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdDBrZW4tdDBrZW4BAQ==";
    let bearer = |first: &str| {
        format!("S: * OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2{first}\nS: + e30=\nC: \nS: + e30=\nsilence")
    };
    let at_once = bearer(&format!(" SASL-IR] ready\nC: M1 AUTHENTICATE XOAUTH2 {token}"))
        .replace("\nsilence", "\nC: *\nS: + e30=\nsilence");
    let after = bearer(&format!("] ready\nC: M1 AUTHENTICATE XOAUTH2\nS: +\nC: {token}"));
    for error in [
        open(&transcript, None).await.unwrap_err(),
        open_with_token(&at_once).await.unwrap_err(),
        open_with_token(&after).await.unwrap_err(),
    ] {
        assert!(matches!(error, ImapError::Malformed { what: Malformed::Continuation, .. }), "{error:?}");
        assert_eq!(code(&error), ErrorCode::ImapProtocol);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_failed_says_again_why() {
    let asked = "C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)";
    for (said, expected) in [
        ("S: * 1 FETCH (UID 3 BODY[]<0> {100}\nS: half", ErrorCode::ImapProtocol),
        ("S: * 1 FETCH (UID 3 BODY[]<0> {100}\nS: half\nsilence", ErrorCode::ImapTimeout),
        ("S: * BYE Too many connections", ErrorCode::ImapThrottled),
        ("S: <html>\nsilence", ErrorCode::ImapProtocol),
        ("S: * 1 FETCH (UID x)\nsilence", ErrorCode::ImapProtocol),
        ("S: M9 OK\nsilence", ErrorCode::ImapProtocol),
        ("S: + go on\nsilence", ErrorCode::ImapProtocol),
    ] {
        let mut session = session(&format!("{asked}\n{said}")).await;
        let first = session.fetch(&[(uid(3), 3)], 1000, &mut |_| true).await.unwrap_err();
        assert_eq!(code(&first), expected, "{said}: {first:?}");
        for next in [
            session.fetch(&[(uid(4), 3)], 1000, &mut |_| true).await.map(drop),
            session.list(3, 10).await.map(drop),
            session.mark_seen(&[uid(3)]).await,
        ] {
            let next = next.unwrap_err();
            assert_eq!(next.owner_error(&imap_example()), first.owner_error(&imap_example()), "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_after_a_refusal() {
    let transcript = "
        C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)
        S: M3 NO [UNAVAILABLE] not this one
        C: M4 UID FETCH 4:13 (UID FLAGS RFC822.SIZE INTERNALDATE)
        S: M4 OK done";
    let mut session = session(transcript).await;
    session.fetch(&[(uid(3), 3)], 1000, &mut |_| true).await.unwrap_err();
    assert!(session.list(3, 10).await.unwrap().messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_cut_off_by_its_caller_was_too_slow() {
    let mut session = session("C: M3 UID FETCH 4:13 (UID FLAGS RFC822.SIZE INTERNALDATE)\nsilence").await;
    tokio::time::timeout(Duration::from_secs(1), session.list(3, 10)).await.unwrap_err();
    let error = session.list(3, 10).await.unwrap_err();
    assert!(matches!(error, ImapError::Spent), "{error:?}");
    assert_eq!(code(&error), ErrorCode::ImapTimeout);
}
