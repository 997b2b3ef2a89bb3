//! EXAMINE and the listing.

use mailroom_core::inbound::cursor::{MailboxId, UidValidity};
use mailroom_core::inbound::listing::{Listed, Listing};
use mailroom_core::inbound::plan::MailboxState;
use mailroom_core::owner_error::ErrorCode;
use time::macros::datetime;

use super::super::error::{ImapError, Malformed, Step};
use super::{LOGGED_IN, code, open, open_as, uid};

const FLIGHT: &str = "
    C: M2 EXAMINE \"INBOX\"
    C: M3 UID FETCH 8:10007 (UID FLAGS RFC822.SIZE INTERNALDATE)";

fn logged_in(rest: &str) -> String {
    format!("{LOGGED_IN}\n{rest}")
}

fn flight(rest: &str) -> String {
    format!("{LOGGED_IN}\n{FLIGHT}\n{rest}")
}

fn uids(listing: &Listing) -> Vec<u32> {
    listing.messages.iter().map(|message| message.uid.get()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_opened_and_listed_in_one_flight() {
    let opened = open(
        &flight(
            "S: * FLAGS (\\Answered \\Flagged)
             S: * 3 EXISTS
             S: * 0 RECENT
             S: * OK [UIDVALIDITY 1700000000] UIDs valid
             S: * OK [UIDNEXT 10] Predicted next UID
             S: * OK [HIGHESTMODSEQ 12] Highest
             S: * OK [MAILBOXID (F2212ea87-6097-4256-9d51-71338625)] Ok
             S: M2 OK [READ-ONLY] Examine completed
             S: * 2 FETCH (UID 8 FLAGS (\\Seen $Junk) RFC822.SIZE 120 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")
             S: * 3 FETCH (INTERNALDATE \" 1-Aug-1996 02:44:25 +0000\" RFC822.SIZE 7 FLAGS () UID 9)
             S: M3 OK done",
        ),
        Some(7),
    )
    .await
    .unwrap();
    assert_eq!(
        opened.state,
        MailboxState {
            uid_validity: UidValidity::new(1_700_000_000),
            uid_next: Some(uid(10)),
            exists: 3,
            mailbox_id: Some(MailboxId::of(b"F2212ea87-6097-4256-9d51-71338625")),
            ..MailboxState::default()
        }
    );
    let listing = opened.listing.unwrap();
    assert_eq!(
        listing.messages,
        [
            Listed {
                uid: uid(8),
                number: Some(2),
                seen: true,
                size: 120,
                arrived: Some(datetime!(1996-07-17 09:44:25 UTC))
            },
            Listed {
                uid: uid(9),
                number: Some(3),
                seen: false,
                size: 7,
                arrived: Some(datetime!(1996-08-01 02:44:25 UTC))
            },
        ]
    );
    assert_eq!((listing.above, listing.through), (7, 10_007));
    assert_eq!(listing.above, 7);
}

#[tokio::test(start_paused = true)]
async fn the_last_message_is_no_news() {
    let listing = open(
        &flight(
            "S: * 3 EXISTS
             S: M2 OK done
             S: * 3 FETCH (UID 7 FLAGS () RFC822.SIZE 7 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")
             S: M3 OK done",
        ),
        Some(7),
    )
    .await
    .unwrap()
    .listing
    .unwrap();
    assert!(listing.messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn uidvalidity_and_uidnext_may_be_absent_or_nothing() {
    for said in [
        "",
        "S: * OK [UIDVALIDITY 0] .\nS: * OK [UIDNEXT 0] .",
        "S: * OK [UIDVALIDITY] .\nS: * OK [UIDNEXT x] .",
    ] {
        let opened =
            open(&flight(&format!("S: * 0 EXISTS\n{said}\nS: M2 OK .\nS: M3 OK .")), Some(7)).await.unwrap();
        assert_eq!(opened.state, MailboxState::default());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_beside_the_listing_is_skipped() {
    let listing = open(
        &flight(
            "S: * 9 EXISTS
             S: M2 OK .
             S: * 9 FETCH (UID 12 FLAGS () RFC822.SIZE 7 INTERNALDATE NIL)
             S: * 2 EXPUNGE
             S: * 9 EXISTS
             S: * 5 FETCH (FLAGS (\\Seen))
             S: * X-GURU-MEDITATION (((\"[\" {2}
             S: ab 7)
             S: * ESEARCH (TAG \"M1\") UID ALL 1:7
             S: * SEARCH 1 2 3 (MODSEQ 7)
             S: * NAMESPACE NIL NIL NIL
             S: * OK [SOMETHING NEW] hear, hear {5}
             S: * OK [\u{fc}] umlaut
             S: * METADATA INBOX \u{fc}
             S:
             S: * 4 FETCH (UID 8 X-NEW (1 (\"two )\" three)) BODYSTRUCTURE (\"TEXT\" \"PLAIN\" () NIL NIL) FLAGS (\\Seen) MODSEQ (7) RFC822.SIZE 5000000000 INTERNALDATE \"nonsense\" )
             S: * 9 FETCH (UID 12 FLAGS (\\seen))
             S: * 9 FETCH (UID 9 FLAGS NIL)
             S: * 9 FETCH (UID 12 FLAGS (\\Seen) RFC822.SIZE 7 INTERNALDATE NIL)
             S: M3 OK done",
        ),
        Some(7),
    )
    .await
    .unwrap()
    .listing
    .unwrap();
    assert_eq!(
        listing.messages,
        [
            Listed { uid: uid(8), number: None, seen: true, size: 5_000_000_000, arrived: None },
            Listed { uid: uid(9), number: None, seen: false, size: 0, arrived: None },
            Listed { uid: uid(12), number: None, seen: true, size: 7, arrived: None },
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_keeps_the_lowest_uids() {
    let mut said = String::from("S: * 20000 EXISTS\nS: M2 OK .\n");
    for n in (1..=super::super::MAX_LISTED + 100).rev() {
        said.push_str(&format!("S: * 1 FETCH (UID {} FLAGS () RFC822.SIZE 1)\n", n + 7));
    }
    let listing = open(&flight(&format!("{said}S: M3 OK .")), Some(7)).await.unwrap().listing.unwrap();
    assert_eq!((listing.above, listing.through), (7, 10_007));
    assert_eq!(uids(&listing), (8..=10_007).collect::<Vec<u32>>());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_above_the_last_uid() {
    let opened =
        open(&logged_in("C: M2 EXAMINE \"INBOX\"\nS: * 1 EXISTS\nS: M2 OK .\nsilence"), Some(u32::MAX))
            .await
            .unwrap();
    assert!(opened.listing.unwrap().messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_pipeline_is_asked_again() {
    let again = flight(
        "S: * 3 EXISTS
         S: M2 OK .
         S: M3 BAD what?
         C: M4 UID FETCH 8:10007 (UID FLAGS RFC822.SIZE INTERNALDATE)
         S: * 3 FETCH (UID 8 FLAGS ())
         S: M4 OK .",
    );
    assert_eq!(uids(&open(&again, Some(7)).await.unwrap().listing.unwrap()), [8]);

    let and_again = again.replace("S: M4 OK .", "S: M4 BAD what?");
    assert_eq!(open(&and_again, Some(7)).await.unwrap().listing, None);
}

#[tokio::test(start_paused = true)]
async fn an_empty_mailbox_needs_no_listing() {
    let opened =
        open(&flight("S: * 0 EXISTS\nS: M2 OK .\nS: M3 BAD no such message"), Some(7)).await.unwrap();
    assert!(opened.listing.unwrap().messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_go_out_in_modified_utf7() {
    let transcript = logged_in("C: M2 EXAMINE \"Entw&APw-rfe \\\"&-\\\\\"\nS: * 0 EXISTS\nS: M2 OK .");
    open_as(&transcript, "ann", "secret", "Entwürfe \"&\\", None).await.unwrap();
}

/// What a server can say to EXAMINE and the listing, and what it means to the owner.
#[tokio::test(start_paused = true)]
async fn no_refusal_and_no_end_is_an_empty_listing() {
    let opened = "S: * 3 EXISTS\nS: M2 OK .";
    let table = [
        // EXAMINE
        ("S: M2 NO Mailbox doesn't exist: INBOX\nS: M3 BAD No mailbox selected", ErrorCode::ImapMailbox),
        ("S: M2 NO [NONEXISTENT] Unknown Mailbox\nS: M3 OK Fetch completed", ErrorCode::ImapMailbox),
        ("S: M2 NO [NOPERM] not yours", ErrorCode::ImapMailbox),
        ("S: M2 NO [UNAVAILABLE] backend down", ErrorCode::ImapProtocol),
        ("S: M2 NO [INUSE] locked", ErrorCode::ImapProtocol),
        ("S: M2 NO [SERVERBUG] Internal error occurred. Refer to server log", ErrorCode::ImapProtocol),
        ("S: M2 BAD User is authenticated but not connected.", ErrorCode::ImapThrottled),
        ("S: M2 BAD Error in IMAP command", ErrorCode::ImapProtocol),
        ("S: * BYE Server shutting down.", ErrorCode::ImapProtocol),
        ("S: * 3 EXISTS\nS: * OK [UIDNEXT 8] .", ErrorCode::ImapProtocol),
        ("S: * 3 EXI", ErrorCode::ImapProtocol),
        ("", ErrorCode::ImapProtocol),
        ("silence", ErrorCode::ImapTimeout),
        ("S: * 3 EXISTS\nsilence", ErrorCode::ImapTimeout),
        ("S: M2 OK but how many?\nS: M3 OK .", ErrorCode::ImapProtocol),
        ("S: M3 OK too early", ErrorCode::ImapProtocol),
        ("S: * BYE for no reason\nS: M2 OK .\nS: M3 OK .", ErrorCode::ImapProtocol),
        // The listing
        ("{opened}\nS: M3 NO [THROTTLED] later", ErrorCode::ImapThrottled),
        (
            "{opened}\nS: M3 BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds",
            ErrorCode::ImapThrottled,
        ),
        (
            "{opened}\nS: * BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds",
            ErrorCode::ImapThrottled,
        ),
        ("{opened}\nS: * BYE [UNAVAILABLE] going down\nS: M3 OK .", ErrorCode::ImapProtocol),
        ("{opened}\nS: * 3 FETCH (UID 8 FLAGS ())", ErrorCode::ImapProtocol),
        ("{opened}\nS: * 3 FETCH (UID 8 FLAGS ())\nsilence", ErrorCode::ImapTimeout),
        ("{opened}\nS: * 3 FETCH (UID 8 FLAGS\nS: M3 OK .", ErrorCode::ImapProtocol),
        ("{opened}\nS: * 3 FETCH (UID eight FLAGS ())\nS: M3 OK .", ErrorCode::ImapProtocol),
        ("{opened}\nS: M2 OK again", ErrorCode::ImapProtocol),
        ("{opened}\nS: + go on", ErrorCode::ImapProtocol),
        ("{opened}", ErrorCode::ImapProtocol),
        ("{opened}\nsilence", ErrorCode::ImapTimeout),
    ];
    for (said, expected) in table {
        let said = said.replace("{opened}", opened);
        let error = open(&flight(&said), Some(7)).await.expect_err(&said);
        assert_eq!(code(&error), expected, "{said}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_refused_is_none_and_the_session_goes_on() {
    let refused = flight(
        "S: * 3 EXISTS
         S: M2 OK .
         S: M3 NO [SERVERBUG] some messages cannot be had
         C: M4 UID FETCH 8:8 (UID FLAGS RFC822.SIZE INTERNALDATE)
         S: M4 NO [SERVERBUG] this one",
    );
    let mut opened = open(&refused, Some(7)).await.unwrap();
    assert_eq!((opened.state.exists, opened.listing), (3, None));
    let error = opened.session.list(7, 1).await.unwrap_err();
    assert!(error.leaves_session_open(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_open_mailbox_says_how_much_it_holds() {
    let error = open(&flight("S: M2 OK .\nS: M3 OK ."), Some(7)).await.unwrap_err();
    assert!(matches!(error, ImapError::Malformed { what: Malformed::NoExists, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips_is_cut_off_at_the_deadline() {
    use tokio::io::{AsyncWriteExt as _, duplex};

    let (ours, mut theirs) = duplex(1024);
    let dripping = tokio::spawn(async move {
        while theirs.write_all(b"*").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        }
    });
    let mut connection = super::Connection::new(ours, super::soon());
    let error = super::read_greeting(&mut connection).await.map(drop).unwrap_err();
    assert!(matches!(error, ImapError::Timeout(Step::Greeting)));
    drop(connection);
    dripping.await.unwrap();
}
