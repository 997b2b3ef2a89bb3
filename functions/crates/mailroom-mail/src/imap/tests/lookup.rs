//! Where a mailbox ends, and where its new messages begin.

use time::macros::datetime;

use super::{session, uid};

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
