//! Servers that mean harm, or are beyond help: an error, in bounded time and memory.

use mailroom_core::inbound::poll::WINDOW;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

use super::super::error::{ImapError, Malformed, Step};
use super::{LOGGED_IN, OPENED, imap_example, open, session, soon, uid};
use mailroom_net::login::{Login, Secret};

fn listing(said: &str) -> String {
    format!(
        "{LOGGED_IN}
         C: M2 EXAMINE \"INBOX\"
         C: M3 UID FETCH 1:10000 (UID FLAGS RFC822.SIZE INTERNALDATE)
         S: * 3 EXISTS
         S: M2 OK .
         S: {said}"
    )
}

async fn what(said: &str) -> Malformed {
    let error = open(&listing(said), Some(0)).await.unwrap_err();
    let ImapError::Malformed { what, .. } = error else { panic!("{error:?}") };
    what
}

#[tokio::test]
async fn nesting_is_bounded() {
    let deep = "(".repeat(10_000);
    assert_eq!(what(&format!("* 3 FETCH (UID 8 FLAGS {deep}")).await, Malformed::Fetch);
    assert_eq!(what(&format!("* 3 FETCH {deep}")).await, Malformed::Fetch);
    assert_eq!(what(&format!("* 3 FETCH (UID 8 BODY {deep}{})", ")".repeat(10_000))).await, Malformed::Fetch);
}

#[tokio::test]
async fn lines_are_bounded() {
    let long = "x".repeat(1 << 20);
    assert_eq!(what(&format!("* OK {long}")).await, Malformed::LongLine);
    assert_eq!(what(&format!("* 3 FETCH (UID 8 FLAGS ({long}))")).await, Malformed::LongLine);
    assert_eq!(what(&format!("* 3 FETCH (UID 8 X \"{long}")).await, Malformed::LongLine);
}

#[tokio::test]
async fn literals_are_bounded_where_none_was_asked_for() {
    for length in ["4294967295", "99999999999999999999999999", "16385"] {
        assert_eq!(what(&format!("* 3 FETCH (UID 8 X {{{length}}}")).await, Malformed::LongLiteral);
        assert_eq!(what(&format!("* METADATA INBOX {{{length}}}")).await, Malformed::LongLiteral);
        assert_eq!(what(&format!("* X ~{{{length}+}}")).await, Malformed::LongLiteral);
    }
    let many = "x {0}\nS: ".repeat(100);
    assert_eq!(what(&format!("* 3 FETCH (UID 8 X ({many}")).await, Malformed::LongLiteral);
}

#[tokio::test]
async fn a_server_that_never_ends_is_not_listened_to_for_ever() {
    let (ours, mut theirs) = duplex(1 << 20);
    tokio::spawn(async move {
        let noise = format!("* X {{16000}}\r\n{}\r\n", "x".repeat(16_000));
        while theirs.write_all(noise.as_bytes()).await.is_ok() {}
    });
    let mut connection = super::Connection::new(ours, soon());
    let tag = connection.command("NOOP");
    let error = connection.complete(tag, Step::List, |_| Ok(())).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::Endless, .. }));
}

#[tokio::test]
async fn a_line_that_is_no_response_is_an_error() {
    for line in ["XYZ", "M99999999999999999999 OK", "M OK", "M3 PREAUTH", "M3", "\u{fc}", "*", "* "] {
        let error = open(&listing(line), Some(0)).await.unwrap_err();
        assert!(matches!(error, ImapError::Malformed { .. } | ImapError::HungUp(_)), "{line}: {error:?}");
    }
}

#[tokio::test]
async fn a_response_code_may_be_followed_by_anything() {
    for said in [
        "* OK [CODE]\u{fc}",
        "* OK [",
        "* OK []",
        "* OK ]",
        "* OK [UIDNEXT 99999999999]",
        "* OK [\u{fc}\u{fc}",
    ] {
        open(&listing(&format!("{said}\nS: M3 OK [CODE]\u{fc}")), Some(0)).await.unwrap();
    }
}

#[tokio::test]
async fn errors_carry_nothing_of_the_message() {
    let transcript = "
        C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)
        S: * 3 FETCH (UID 3 BODY[]<0> {12}
        S: confidential oops
        S: M3 OK .";
    let error = session(transcript).await.fetch(&[(uid(3), 3)], 1000, &mut |_| true).await.unwrap_err();
    let owner_error = error.owner_error(&super::imap_example()).message;
    for text in [format!("{error:?}"), error.to_string(), owner_error] {
        assert!(!text.contains("confidential") && !text.contains("oops"), "{text}");
    }
}

/// A server that sends these bytes and closes the connection, whatever it receives.
fn saying(bytes: Vec<u8>) -> DuplexStream {
    let (ours, mut theirs) = duplex(1 << 20);
    tokio::spawn(async move {
        let _ = theirs.write_all(&bytes).await;
        let _ = theirs.shutdown().await;
        // It reads everything, so that no write of ours fails before its last byte is read.
        let _ = tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await;
    });
    ours
}

/// All that a session and a try can do, with a server that says `bytes`.
fn run(bytes: Vec<u8>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let password = super::password("secret");
        let login = Login { login: "ann", secret: &Secret::Password(password.clone()) };
        let inbox = mailroom_core::server::Mailbox::parse("INBOX").unwrap();
        let mut connection = super::Connection::new(saying(bytes.clone()), soon());
        let Ok(greeting) = super::read_greeting(&mut connection).await else { return };
        let mut report = super::super::connection_test::ConnectionReport::default();
        let _ = super::super::connection_test::run_test(
            &mut report,
            connection,
            greeting,
            Some(login),
            &imap_example(),
            &inbox,
        )
        .await;
        let mut connection = super::Connection::new(saying(bytes), soon());
        let Ok(greeting) = super::read_greeting(&mut connection).await else { return };
        let Ok(mut opened) =
            super::log_in_and_open(connection, greeting, login, &imap_example(), &inbox, Some(0)).await
        else {
            return;
        };
        let session = &mut opened.session;
        let _ = session.list(3, WINDOW).await;
        let _ = session.fetch(&[(uid(1), 10), (uid(2), 1_000_000)], 2_000_000, &mut |_| true).await;
        let _ = session.fetch_headers(&[uid(1)], &mut |_| true).await;
        let _ = session.mark_seen(&[uid(1)]).await;
        let _ = session.move_to(&[uid(1)], &inbox).await;
        opened.session.logout().await;
    });
}

/// Fragments of responses, so that random input gets past the greeting.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "* ",
        "M1 ",
        "M2 ",
        "M3 ",
        "M4 ",
        "M5 ",
        "OK ",
        "NO ",
        "BAD ",
        "BYE ",
        "PREAUTH ",
        "+ ",
        "\r\n",
        "\r\n* ",
        "1 FETCH (",
        "UID 1 ",
        "UID 9 ",
        "FLAGS ",
        "(",
        ")",
        "\"",
        "\\",
        "\\Seen",
        "RFC822.SIZE ",
        "INTERNALDATE ",
        "NIL",
        "BODY[] ",
        "BODY[]<0> ",
        "BODY[HEADER]<0> ",
        "BODY[",
        "]",
        "<",
        ">",
        "{3}\r\nabc",
        "{0}\r\n",
        "{9}",
        "~{2}\r\nab",
        "{",
        "}",
        "[",
        "[UIDNEXT ",
        "[CAPABILITY ",
        "CAPABILITY IMAP4rev1 MOVE\r\n",
        "3 EXISTS\r\n",
        "LIST () \"/\" ",
        "&",
        "STATUS INBOX (UNSEEN ",
        "7 ",
        "-1 ",
        "99999999999 ",
        "\u{fc}",
        "\0",
        " ",
        "\n",
        "\r",
    ];
    prop_oneof![
        4 => prop::sample::select(known.map(|text| text.as_bytes().to_vec()).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_in_a_result(bytes: Vec<u8>) {
        run(bytes);
    }

    #[test]
    fn any_pieces_of_responses_end_in_a_result(pieces in prop::collection::vec(piece(), 0..60), opened: bool) {
        let start: &[u8] = if opened { b"* PREAUTH .\r\n* 1 EXISTS\r\nM1 OK .\r\nM2 OK .\r\n" } else { b"* OK \r\n" };
        run([start, &pieces.concat()].concat());
    }

    #[test]
    fn a_conversation_cut_or_changed_anywhere_ends_in_a_result(at in 0..400_usize, cut: bool, byte: u8) {
        let mut said: Vec<u8> = OPENED
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("S: "))
            .flat_map(|line| format!("{line}\r\n").into_bytes())
            .collect();
        said.extend(b"M3 OK .\r\n* 1 FETCH (UID 4 FLAGS (\\Seen) RFC822.SIZE 7 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")\r\nM4 OK .\r\n* 1 FETCH (UID 1 BODY[]<0> {5}\r\nhello)\r\nM5 OK .\r\n");
        if cut {
            said.truncate(at);
        } else if let Some(changed) = said.get_mut(at) {
            *changed = byte;
        }
        run(said);
    }
}
