//! Where a mailbox ends, and where its new messages begin.

use time::macros::datetime;

use super::{OPENED, open, session, uid};

const SINCE: time::OffsetDateTime = datetime!(2026-11-03 0:05 UTC);

#[tokio::test(start_paused = true)]
async fn of_a_million_old_messages_the_start_costs_one_round_trip() {
    let transcript = "
        C: M3 UID SEARCH 995001:* SINCE 01-Nov-2026
        S: * SEARCH
        S: M3 OK done
        silence";
    assert_eq!(session(transcript).await.find_start(SINCE, 1_000_000).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_start_is_looked_up_from_the_end_until_a_part_is_old() {
    let transcript = "
        C: M3 UID SEARCH 995001:* SINCE 01-Nov-2026
        S: * SEARCH 2000001 2000007
        S: M3 OK done
        C: M4 UID SEARCH 990001:995000 SINCE 01-Nov-2026
        S: * SEARCH 1999990
        S: M4 OK done
        C: M5 UID SEARCH 985001:990000 SINCE 01-Nov-2026
        S: * SEARCH
        S: M5 OK done
        silence";
    let start = session(transcript).await.find_start(SINCE, 1_000_000).await.unwrap();
    assert_eq!(start, Some(uid(1_999_990)));
}

#[tokio::test(start_paused = true)]
async fn where_a_server_does_not_search_the_dates_tell() {
    for answer in ["S: M3 BAD what?", "S: M3 NO not here", "S: M3 OK done", "S: * ESEARCH UID\nS: M3 OK done"]
    {
        let transcript = format!(
            "C: M3 UID SEARCH 1:* SINCE 01-Nov-2026
             {answer}
             C: M4 FETCH 1:* (UID INTERNALDATE)
             S: * 1 FETCH (UID 5 INTERNALDATE \"02-Nov-2026 23:00:00 +0000\")
             S: * 2 FETCH (UID 6 INTERNALDATE \"03-Nov-2026 01:00:00 +0000\")
             S: * 3 FETCH (UID 9 INTERNALDATE \"03-Nov-2026 02:00:00 +0000\")
             S: M4 OK done
             silence"
        );
        let start = session(&transcript).await.find_start(SINCE, 3).await.unwrap();
        assert_eq!(start, Some(uid(6)), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_cannot_be_looked_up_is_not_none() {
    let transcript = "
        C: M3 UID SEARCH 1:* SINCE 01-Nov-2026
        S: M3 NO [UNAVAILABLE] later
        C: M4 FETCH 1:* (UID INTERNALDATE)
        S: M4 NO [UNAVAILABLE] later
        silence";
    session(transcript).await.find_start(SINCE, 3).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_a_listing_leaves_out_is_searched_for_in_one_flight() {
    // Dovecot answers the commands of a flight in the order that suits it.
    let transcript = "
        C: M3 NOOP
        C: M4 UID FETCH 6:8 (UID FLAGS RFC822.SIZE INTERNALDATE)
        C: M5 UID SEARCH UID 6:8
        S: * 2 FETCH (UID 7 FLAGS () RFC822.SIZE 9)
        S: M3 OK done
        S: * SEARCH 6 7
        S: M4 OK done
        S: M5 OK done
        silence";
    let relisted = session(transcript).await.list_again(5, 8).await.unwrap();
    assert_eq!(relisted.found, [uid(6), uid(7)]);
    assert_eq!(relisted.messages.iter().map(|message| message.uid).collect::<Vec<_>>(), [uid(7)]);

    // One that does not search hides nothing; one that does not list has failed.
    let refused = transcript.replace("S: M5 OK", "S: M5 BAD").replace("S: * SEARCH 6 7", "");
    let relisted = session(&refused).await.list_again(5, 8).await.unwrap();
    assert!(relisted.found.is_empty() && relisted.unsearched);
    let failed = transcript.replace("S: M4 OK", "S: M4 NO");
    session(&failed).await.list_again(5, 8).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_search_of_a_wide_part_has_short_answers() {
    let transcript = "
        C: M3 NOOP
        C: M4 UID FETCH 1:10000 (UID FLAGS RFC822.SIZE INTERNALDATE)
        C: M5 UID SEARCH UID 1:5000
        C: M6 UID SEARCH UID 5001:10000
        S: M3 OK done
        S: M4 OK done
        S: M5 OK done
        S: M6 OK done
        silence";
    assert!(session(transcript).await.list_again(0, 10_000).await.unwrap().found.is_empty());
}

#[tokio::test(start_paused = true)]
async fn numbers_that_changed_during_a_listing_show_nothing() {
    let transcript = format!(
        "{OPENED}
         C: M3 UID FETCH 6:10005 (UID FLAGS RFC822.SIZE INTERNALDATE)
         S: * 3 FETCH (UID 7 FLAGS () RFC822.SIZE 9)
         S: {{}}
         S: * 4 FETCH (UID 9 FLAGS () RFC822.SIZE 9)
         S: M3 OK done
         silence"
    );
    for (said, numbers) in [("* 9 EXISTS", [Some(3), Some(4)]), ("* 1 EXPUNGE", [None, None])] {
        let mut session = open(&transcript.replace("{}", said), None).await.unwrap().session;
        let listing = session.list(5, 10_000).await.unwrap();
        assert_eq!(listing.messages.iter().map(|message| message.number).collect::<Vec<_>>(), numbers);
    }
}
