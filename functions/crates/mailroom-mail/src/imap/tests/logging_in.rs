//! Greeting and login.

use std::time::Duration;

use mailroom_core::owner_error::ErrorCode;

use super::super::error::{ImapError, Step};
use super::{code, imap_example, open, open_as, open_with_token};

const OPENING: &str = "
    C: M2 EXAMINE \"INBOX\"
    S: * 0 EXISTS
    S: M2 OK .";

/// `\0ann\0secret`
const PLAIN: &str = "AGFubgBzZWNyZXQ=";

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_it_gets_the_password_in_the_first_flight() {
    let transcript = format!(
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS AUTH=PLAIN AUTH=LOGIN] ready
         C: M1 AUTHENTICATE PLAIN {PLAIN}
         S: * CAPABILITY IMAP4rev1 MOVE
         S: M1 OK [CAPABILITY IMAP4rev1 UIDPLUS] Logged in{OPENING}"
    );
    open(&transcript, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_sasl_but_not_at_once_gets_a_login() {
    let transcript = format!(
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready
         C: M1 LOGIN \"ann\" \"secret\"
         S: M1 OK{OPENING}"
    );
    open(&transcript, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_without_login_is_asked_for_its_challenge() {
    let transcript = format!(
        "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] ready
         C: M1 AUTHENTICATE PLAIN
         S: +
         C: {PLAIN}
         S: M1 OK{OPENING}"
    );
    open(&transcript, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_challenge_too_many_is_cancelled() {
    let transcript = format!(
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
         C: M1 AUTHENTICATE PLAIN {PLAIN}
         S: + eyJzdGF0dXMiOiI0MDAifQ==
         C: *
         S: M1 NO [AUTHENTICATIONFAILED] no"
    );
    assert_eq!(code(&open(&transcript, None).await.unwrap_err()), ErrorCode::ImapAuth);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_no_password_is_not_given_one() {
    let transcript = "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2] ready\nsilence";
    let error = open(transcript, None).await.unwrap_err();
    assert!(matches!(error, ImapError::NoPasswordLogin));
    assert_eq!(code(&error), ErrorCode::ImapAuth);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_turns_out_to_have_no_login_is_asked_what_it_has() {
    let transcript = format!(
        "S: * OK ready
         C: M1 LOGIN \"ann\" \"secret\"
         S: M1 BAD unknown command
         C: M2 CAPABILITY
         S: * CAPABILITY IMAP4rev1 LOGINDISABLED SASL-IR AUTH=PLAIN
         S: M2 OK
         C: M3 AUTHENTICATE PLAIN {PLAIN}
         S: M3 OK
         C: M4 EXAMINE \"INBOX\"
         S: * 0 EXISTS
         S: M4 OK ."
    );
    open(&transcript, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn strings_are_quoted_or_sent_as_literals() {
    let quoted = format!(
        "S: * OK ready
         C: M1 LOGIN \"ann @ b\" \"a\\\"b\\\\c\"
         S: M1 OK{OPENING}"
    );
    open_as(&quoted, "ann @ b", "a\"b\\c", "INBOX", None).await.unwrap();

    let literals = "
        S: * OK ready
        C: M1 CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: M1 OK
        C: M2 LOGIN {5}
        S: + go on
        C: jürg {10}
        S: + go on
        C: schlüssel
        S: M2 OK
        C: M3 EXAMINE \"INBOX\"
        S: * 0 EXISTS
        S: M3 OK .";
    open_as(literals, "jürg", "schlüssel", "INBOX", None).await.unwrap();

    let error = open_as("S: * OK ready\nsilence", "ann", "a\0b", "INBOX", None).await.unwrap_err();
    assert!(matches!(error, ImapError::UnsendableCredential));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_knows_us_is_not_logged_in_to() {
    let transcript = "
        S: * PREAUTH welcome back
        C: M1 EXAMINE \"INBOX\"
        S: * 0 EXISTS
        S: M1 OK .";
    open(transcript, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_owner_reads_the_servers_words_and_never_the_password() {
    let transcript = "
        S: * OK ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 NO [AUTHENTICATIONFAILED] bad command: LOGIN ann secret";
    let error = open(transcript, None).await.unwrap_err();
    let owner_error = error.owner_error(&imap_example());
    assert_eq!(
        owner_error.message,
        "imap.example.com (port 993) refused the login: \"bad command: LOGIN ann …\". Check login and password; many providers require an app password."
    );
    for text in [format!("{error:?}"), error.to_string(), owner_error.message] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_pause_is_kept() {
    let transcript = "
        S: * OK ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 BAD Request is throttled. Suggested Backoff Time: 299456 milliseconds";
    let owner_error = open(transcript, None).await.unwrap_err().owner_error(&imap_example());
    assert_eq!(owner_error.retry_after, Some(Duration::from_millis(299_456)));
}

#[tokio::test(start_paused = true)]
async fn a_farewell_is_told_when_nothing_follows_it() {
    let transcript = "S: * OK ready\nC: M1 LOGIN \"ann\" \"secret\"\nS: * BYE maintenance\nsilence";
    let before = tokio::time::Instant::now();
    let ImapError::Refused { step: Step::Login, reply } = open(transcript, None).await.unwrap_err() else {
        panic!("not a refusal");
    };
    assert_eq!(reply.text, "maintenance");
    assert!(before.elapsed() < Duration::from_secs(5));
}

/// The first response of XOAUTH2 for the token `t0ken-t0ken` and the login `ann`.
const XOAUTH2: &str = "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdDBrZW4tdDBrZW4BAQ==";

/// That of OAUTHBEARER.
const OAUTHBEARER: &str =
    "bixhPWFubiwBaG9zdD1pbWFwLmV4YW1wbGUuY29tAXBvcnQ9OTkzAWF1dGg9QmVhcmVyIHQwa2VuLXQwa2VuAQE=";

#[tokio::test(start_paused = true)]
async fn a_token_goes_by_the_mechanism_that_is_offered() {
    for (offers, name, response) in [
        ("AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=PLAIN", "XOAUTH2", XOAUTH2),
        ("AUTH=PLAIN AUTH=OAUTHBEARER", "OAUTHBEARER", OAUTHBEARER),
    ] {
        let at_once = format!(
            "S: * OK [CAPABILITY IMAP4rev1 SASL-IR {offers}] ready
             C: M1 AUTHENTICATE {name} {response}
             S: M1 OK{OPENING}"
        );
        open_with_token(&at_once).await.unwrap();
        let after = format!(
            "S: * OK [CAPABILITY IMAP4rev1 {offers}] ready
             C: M1 AUTHENTICATE {name}
             S: +
             C: {response}
             S: M1 OK{OPENING}"
        );
        open_with_token(&after).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn why_a_token_is_refused_is_told_in_the_servers_own_json() {
    // {"status":"401","schemes":"bearer"}
    let why = "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIn0=";
    for (name, response, end) in [("XOAUTH2", XOAUTH2, ""), ("OAUTHBEARER", OAUTHBEARER, "AQ==")] {
        let transcript = format!(
            "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH={name}] ready
             C: M1 AUTHENTICATE {name} {response}
             S: + {why}
             C: {end}
             S: M1 NO [AUTHENTICATIONFAILED] t0ken-t0ken is not fine"
        );
        let error = open_with_token(&transcript).await.unwrap_err();
        assert_eq!(code(&error), ErrorCode::ImapAuth);
        let told = error.owner_error(&imap_example()).message;
        assert!(told.contains("\"status\":\"401\"") && told.contains("is not fine"), "{told}");
        assert!(!told.contains("t0ken"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_tokens_is_asked_before_and_told_nothing() {
    let transcript = "S: * OK ready
         C: M1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
         S: M1 OK done";
    let error = open_with_token(transcript).await.unwrap_err();
    assert!(matches!(error, ImapError::NoTokenLogin), "{error:?}");
}
