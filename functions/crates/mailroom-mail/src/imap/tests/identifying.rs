//! ID (RFC 2971), which NetEase wants before it opens a mailbox.

use super::super::connection_test::{ConnectionReport, run_test};
use super::super::sent_mailbox::log_in_and_find;
use super::{Connection, imap_example, open, open_with_token, password, read_greeting, server, soon};
use mailroom_core::server::Mailbox;
use mailroom_net::login::{Login, Secret};

/// The command, without its tag.
const ID: &str = concat!("ID (\"name\" \"Mailroom\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")");

/// The answer of NetEase.
const COREMAIL: &str = "S: * ID (\"name\" \"Coremail Imap\" \"vendor\" \"Mailtech\" \"TransID\" \"\")";

/// Opens a mailbox and lists it. The commands of a flight follow each other without a word of the server between them,
/// so a transcript shows the round trips.
async fn opens(login: &str, answer: &str) -> usize {
    let transcript = format!(
        "{login}
         C: M2 {ID}
         C: M3 EXAMINE \"INBOX\"
         C: M4 UID FETCH 8:10007 (UID FLAGS RFC822.SIZE INTERNALDATE)
         {answer}
         S: * 1 EXISTS
         S: * 0 RECENT
         S: * OK [UIDVALIDITY 1] UIDs valid
         S: M3 OK [READ-ONLY] EXAMINE completed
         S: * 1 FETCH (UID 9 FLAGS ())
         S: M4 OK done"
    );
    let opened = open(&transcript, Some(7)).await.unwrap();
    assert_eq!(opened.listing.unwrap().messages.len(), 1);
    round_trips(&transcript)
}

/// How often the client waits for the server: the greeting, and each change from the client to the server.
fn round_trips(transcript: &str) -> usize {
    let speakers: Vec<char> =
        transcript.lines().filter_map(|line| line.trim_start().chars().next()).collect();
    1 + speakers.windows(2).filter(|pair| *pair == ['C', 'S']).count()
}

#[tokio::test(start_paused = true)]
async fn netease_is_told_who_comes_and_needs_no_further_round_trip() {
    let netease = "
        S: * OK Coremail System IMap Server Ready(163com[10774b260cc7a37d26d71b52404dcf5c])
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 OK LOGIN completed";
    // The greeting, the login, and all the rest in one flight.
    assert_eq!(opens(netease, &format!("{COREMAIL}\nS: M2 OK ID completed")).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_announces_id_gets_it_and_may_answer_as_it_likes() {
    let before = "
        S: * OK [CAPABILITY IMAP4rev1 ID LITERAL+] ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 OK done";
    let after = "
        S: * OK ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 OK [CAPABILITY IMAP4rev1 ID] done";
    let untagged = "
        S: * OK ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: * CAPABILITY IMAP4rev1 ID
        S: M1 OK done";
    for login in [before, after, untagged] {
        for answer in
            ["S: * ID NIL\nS: M2 OK done", "S: M2 NO no", "S: M2 BAD what?", "S: * BAD what?", "S: * ID NIL"]
        {
            assert_eq!(opens(login, answer).await, 3, "{login}{answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_announce_id_is_not_sent_it() {
    let transcript = "
        S: * OK [CAPABILITY IMAP4rev1 IDLE] ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 OK done
        C: M2 EXAMINE \"INBOX\"
        S: * 1 EXISTS
        S: M2 OK done";
    open(transcript, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_by_token_is_followed_by_id_too() {
    let transcript = format!(
        "S: * OK ready
         C: M1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 SASL-IR ID AUTH=XOAUTH2
         S: M1 OK done
         C: M2 AUTHENTICATE XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgdDBrZW4tdDBrZW4BAQ==
         S: M2 OK done
         C: M3 {ID}
         C: M4 EXAMINE \"INBOX\"
         S: M3 OK done
         S: * 1 EXISTS
         S: M4 OK done"
    );
    open_with_token(&transcript).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_connection_test_and_the_sent_mailbox_identify_themselves_as_well() {
    let secret = Secret::Password(password("secret"));
    let login = Login { login: "ann", secret: &secret };
    let greeting = "
        S: * OK Coremail System IMap Server Ready(163com[1])
        C: M1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 XLIST SPECIAL-USE ID LITERAL+ STARTTLS APPENDLIMIT=71680000 UIDPLUS
        S: M1 OK CAPABILITY completed
        C: M2 LOGIN \"ann\" \"secret\"
        S: M2 OK LOGIN completed";
    let (stream, playing) = server(&format!(
        "{greeting}
         C: M3 {ID}
         C: M4 CAPABILITY
         {COREMAIL}
         S: M3 OK ID completed
         S: * CAPABILITY IMAP4rev1 ID
         S: M4 OK CAPABILITY completed
         C: M5 STATUS \"INBOX\" (UNSEEN)
         S: * STATUS \"INBOX\" (UNSEEN 3)
         S: M5 OK done
         C: M6 EXAMINE \"INBOX\"
         S: * 5 EXISTS
         S: M6 OK done
         C: M7 LIST \"\" \"*\"
         S: M7 OK done"
    ));
    let mut connection = Connection::new(stream, soon());
    let greeted = read_greeting(&mut connection).await.unwrap();
    let mut report = ConnectionReport::default();
    let inbox = Mailbox::inbox();
    run_test(&mut report, connection, greeted, Some(login), &imap_example(), &inbox).await.unwrap();
    assert_eq!(report.unseen, Some(3));
    drop(playing);

    let (stream, _) = server(&format!(
        "S: * OK Coremail System IMap Server Ready(163com[1])
         C: M1 LOGIN \"ann\" \"secret\"
         S: M1 OK LOGIN completed
         C: M2 {ID}
         C: M3 CAPABILITY
         S: M2 OK ID completed
         S: * CAPABILITY IMAP4rev1 ID
         S: M3 OK CAPABILITY completed
         C: M4 LIST \"\" \"*\"
         S: * LIST (\\Sent) \"/\" \"Sent\"
         S: M4 OK done"
    ));
    let mut connection = Connection::new(stream, soon());
    let greeted = read_greeting(&mut connection).await.unwrap();
    let found = log_in_and_find(connection, greeted, login, &imap_example()).await.unwrap();
    assert_eq!(found.unwrap().name(), "Sent");
}
