//! A try of the settings: what is found, and what is found up to a failure.

use mailroom_core::profile::Mailbox;
use mailroom_core::trouble::ErrorCode;

use super::super::error::{ImapError, Step};
use super::super::open::{Login, greet};
use super::super::probe::{Probe, look_around};
use super::{Wire, code, password, server, soon};

async fn probe(transcript: &str, mailbox: &str) -> (Probe, Result<(), ImapError>) {
    let (stream, _) = server(transcript);
    let mut wire = Wire::new(stream, soon());
    let greeted = greet(&mut wire).await.unwrap();
    let password = password("secret");
    let login = Login { login: "ann", password: &password };
    let mut probe = Probe::default();
    let result = look_around(&mut probe, wire, greeted, Some(login), &Mailbox::parse(mailbox).unwrap()).await;
    (probe, result)
}

/// A login, up to the answer to LIST, which is M4.
const INSIDE: &str = "
    S: * OK [CAPABILITY IMAP4rev1] ready
    C: M1 LOGIN \"ann\" \"secret\"
    S: M1 OK in
    C: M2 CAPABILITY
    S: * CAPABILITY IMAP4rev1 IDLE uidplus
    S: M2 OK done
    C: M3 LIST \"\" \"*\"";

#[tokio::test(start_paused = true)]
async fn everything_is_found_and_nothing_changed() {
    let transcript = format!(
        "{INSIDE}
        S: * LIST (\\HasNoChildren) \"/\" INBOX
        S: * LIST () \"/\" \"Entw&APw-rfe\"
        S: * LIST (\\Noselect \\HasChildren) \"/\" \"[Gmail]\"
        S: * LIST (\\NonExistent) \"/\" gone
        S: * LIST () NIL {{7}}
        S: a \"b\"\\c
        S: * LIST () \".\" \"a\\\\b\" (CHILDINFO (\"SUBSCRIBED\"))
        S: * LIST () \"/\" \"&broken\"
        S: * LIST nonsense
        S: M3 OK done
        C: M4 STATUS \"INBOX\" (UNSEEN)
        S: * STATUS \"INBOX\" (MESSAGES 231 UNSEEN 44)
        S: M4 OK done
        C: M5 EXAMINE \"INBOX\"
        S: * 231 EXISTS
        S: M5 OK [READ-ONLY] done
        C: M6 LOGOUT"
    );
    let (found, result) = probe(&transcript, "INBOX").await;
    result.unwrap();
    assert_eq!(found.capabilities, ["IMAP4REV1", "IDLE", "UIDPLUS"]);
    assert_eq!(found.mailboxes, ["INBOX", "Entw\u{fc}rfe", "a \"b\"\\c", "a\\b", "&broken"]);
    assert_eq!(found.unseen, Some(44));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_missing_fails_beside_a_list_of_those_that_are_there() {
    let transcript = format!(
        "{INSIDE}
        S: * LIST () \"/\" INBOX
        S: M3 OK done
        C: M4 STATUS \"Nowhere\" (UNSEEN)
        S: M4 NO [NONEXISTENT] no such mailbox
        C: M5 EXAMINE \"Nowhere\"
        S: M5 NO [NONEXISTENT] no such mailbox"
    );
    let (found, result) = probe(&transcript, "Nowhere").await;
    assert_eq!(code(&result.unwrap_err()), ErrorCode::ImapMailbox);
    assert_eq!((found.mailboxes, found.unseen), (vec!["INBOX".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn what_a_poll_does_not_need_may_be_refused() {
    let transcript = format!(
        "{INSIDE}
        S: M3 NO not for you
        C: M4 STATUS \"INBOX\" (UNSEEN)
        S: M4 BAD what
        C: M5 EXAMINE \"INBOX\"
        S: * 0 EXISTS
        S: M5 OK done
        C: M6 LOGOUT"
    );
    let (found, result) = probe(&transcript, "INBOX").await;
    result.unwrap();
    assert!(found.mailboxes.is_empty() && found.unseen.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_leaves_what_was_announced() {
    let transcript = "
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 NO [AUTHENTICATIONFAILED] no";
    let (found, result) = probe(transcript, "INBOX").await;
    assert_eq!(code(&result.unwrap_err()), ErrorCode::ImapAuth);
    assert_eq!(found.capabilities, ["IMAP4REV1", "STARTTLS"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_login_it_ends_before_it() {
    let (stream, _) = server(
        "S: * OK ready\nC: M1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 AUTH=XOAUTH2\nS: M1 OK done\nsilence",
    );
    let mut wire = Wire::new(stream, soon());
    let greeted = greet(&mut wire).await.unwrap();
    let mut found = Probe::default();
    look_around(&mut found, wire, greeted, None, &Mailbox::parse("INBOX").unwrap()).await.unwrap();
    assert_eq!(found.capabilities, ["IMAP4REV1", "AUTH=XOAUTH2"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_has_a_bound_and_a_silence_an_end() {
    let many: String = (0..5000).map(|n| format!("S: * LIST () \"/\" mailbox{n}\n")).collect();
    let (found, result) = probe(&format!("{INSIDE}\n{many}silence"), "INBOX").await;
    assert!(matches!(result, Err(ImapError::Timeout(Step::Mailboxes))));
    assert_eq!(found.mailboxes.len(), 1000);
}
