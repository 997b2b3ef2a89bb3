//! A try of the settings: what is found, and what is found up to a failure.

use std::time::Duration;

use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::Mailbox;
use tokio::time::Instant;

use super::super::connection_test::{ConnectionReport, run_test};
use super::super::error::{ImapError, Step};
use super::super::open::read_greeting;
use super::{Connection, code, imap_example, password, server, soon};
use mailroom_net::login::{Login, Secret};

/// Tries the server that plays `transcript`, which has to come to its end.
async fn report(transcript: &str, mailbox: &str) -> (ConnectionReport, Result<(), ImapError>) {
    let password = password("secret");
    probe_as(transcript, Some(Login { login: "ann", secret: &Secret::Password(password.clone()) }), mailbox)
        .await
}

async fn probe_as(
    transcript: &str,
    login: Option<Login<'_>>,
    mailbox: &str,
) -> (ConnectionReport, Result<(), ImapError>) {
    let (stream, playing) = server(transcript);
    let mut connection = Connection::new(stream, soon());
    let mut report = ConnectionReport::default();
    let mailbox = Mailbox::parse(mailbox).unwrap();
    let result = async {
        let greeting = read_greeting(&mut connection).await?;
        run_test(&mut report, connection, greeting, login, &imap_example(), &mailbox).await
    }
    .await;
    if !transcript.ends_with("silence") {
        playing.await.unwrap();
    }
    (report, result)
}

/// A login, after which the next command is M3.
const INSIDE: &str = "
    S: * OK [CAPABILITY IMAP4rev1] ready
    C: M1 LOGIN \"ann\" \"secret\"
    S: M1 OK in
    C: M2 CAPABILITY
    S: * CAPABILITY IMAP4rev1 IDLE uidplus
    S: M2 OK done";

/// A login and an inbox that opens, after which the answer to LIST is M5.
const OPENED: &str = "
    C: M3 STATUS \"INBOX\" (UNSEEN)
    S: * STATUS \"INBOX\" (MESSAGES 231 UNSEEN 44)
    S: M3 OK done
    C: M4 EXAMINE \"INBOX\"
    S: * 231 EXISTS
    S: M4 OK [READ-ONLY] done
    C: M5 LIST \"\" \"*\"";

#[tokio::test(start_paused = true)]
async fn everything_is_found_and_nothing_changed() {
    let transcript = format!(
        "{INSIDE}{OPENED}
        S: * LIST (\\HasNoChildren) \"/\" INBOX
        S: * LIST () \"/\" \"Entw&APw-rfe\"
        S: * LIST (\\Noselect \\HasChildren) \"/\" \"[Gmail]\"
        S: * LIST (\\NonExistent) \"/\" gone
        S: * LIST () NIL {{7}}
        S: a \"b\"\\c
        S: * LIST () \".\" \"a\\\\b\" (CHILDINFO (\"SUBSCRIBED\"))
        S: * list NIL {{1}}
        S: / {{5}}
        S: inner (\"OLDNAME\" ({{3}}
        S: old))
        S: * LIST () \"/\" \"NIL\"
        S: * LIST () \"/\" Entw\u{fc}rfe/2
        S: * LIST () \"/\" \"&broken\"
        S: * LIST () \"/\" \"&AGE\"
        S: * LIST () \"/\" NIL
        S: * LIST () \"/\"
        S: * LIST nonsense
        S: M5 OK done
        C: M6 LOGOUT"
    );
    let (found, result) = report(&transcript, "INBOX").await;
    result.unwrap();
    assert_eq!(found.capabilities, ["IMAP4REV1", "IDLE", "UIDPLUS"]);
    let names = [
        "INBOX",
        "Entw\u{fc}rfe",
        "a \"b\"\\c",
        "a\\b",
        "inner",
        "NIL",
        "Entw\u{fc}rfe/2",
        "&broken",
        "&AGE",
    ];
    assert_eq!(found.mailboxes, names);
    assert!(!found.mailboxes_cut);
    assert_eq!(found.unseen, Some(44));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_missing_fails_beside_a_list_of_those_that_are_there() {
    let transcript = format!(
        "{INSIDE}
        C: M3 STATUS \"Nowhere\" (UNSEEN)
        S: M3 NO [NONEXISTENT] no such mailbox
        C: M4 EXAMINE \"Nowhere\"
        S: M4 NO [NONEXISTENT] no such mailbox
        C: M5 LIST \"\" \"*\"
        S: * LIST () \"/\" INBOX
        S: M5 OK done
        C: M6 LOGOUT"
    );
    let (found, result) = report(&transcript, "Nowhere").await;
    assert_eq!(code(&result.unwrap_err()), ErrorCode::ImapMailbox);
    assert_eq!((found.mailboxes, found.unseen), (vec!["INBOX".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn what_a_poll_does_not_need_may_be_refused() {
    let transcript = "
        S: * OK ready
        C: M1 CAPABILITY
        S: M1 BAD not yet
        C: M2 LOGIN \"ann\" \"secret\"
        S: M2 OK in
        C: M3 CAPABILITY
        S: M3 NO not now
        C: M4 STATUS \"INBOX\" (UNSEEN)
        S: M4 BAD what
        C: M5 EXAMINE \"INBOX\"
        S: * 0 EXISTS
        S: M5 OK done
        C: M6 LIST \"\" \"*\"
        S: M6 NO not for you
        C: M7 LOGOUT";
    let (found, result) = report(transcript, "INBOX").await;
    result.unwrap();
    assert!(found.capabilities.is_empty() && found.mailboxes.is_empty() && found.unseen.is_none());
    assert!(found.mailboxes_cut);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_in_any_way_leaves_the_rest_as_it_was() {
    for end in ["silence", "S: * BYE enough", "S: X9 OK who?", "S: * LIST () \"/\" half"] {
        let (found, result) =
            report(&format!("{INSIDE}{OPENED}\nS: * LIST () \"/\" INBOX\n{end}"), "INBOX").await;
        result.expect(end);
        assert!(found.mailboxes_cut, "{end}");
        assert_eq!(found.mailboxes.first().map(String::as_str), Some("INBOX"), "{end}");
        assert_eq!(found.unseen, Some(44), "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_leaves_what_was_announced() {
    let transcript = "
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 NO [AUTHENTICATIONFAILED] no
        C: M2 LOGOUT";
    let (found, result) = report(transcript, "INBOX").await;
    assert_eq!(code(&result.unwrap_err()), ErrorCode::ImapAuth);
    assert_eq!(found.capabilities, ["IMAP4REV1", "STARTTLS"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_login_it_ends_before_it() {
    for greeting in ["OK ready", "PREAUTH come in"] {
        let transcript = format!(
            "S: * {greeting}
            C: M1 CAPABILITY
            S: * CAPABILITY IMAP4rev1 AUTH=XOAUTH2
            S: M1 OK done
            C: M2 LOGOUT"
        );
        let (found, result) = probe_as(&transcript, None, "INBOX").await;
        result.unwrap();
        assert_eq!(found.capabilities, ["IMAP4REV1", "AUTH=XOAUTH2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn whom_the_server_knows_already_does_not_log_in() {
    let transcript = "
        S: * PREAUTH come in
        C: M1 CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: M1 OK done
        C: M2 STATUS \"INBOX\" (UNSEEN)
        S: M2 OK done
        C: M3 EXAMINE \"INBOX\"
        S: * 0 EXISTS
        S: M3 OK done
        C: M4 LIST \"\" \"*\"
        S: M4 OK done
        C: M5 LOGOUT";
    report(transcript, "INBOX").await.1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_has_a_bound() {
    let many: String = (0..100_000).map(|n| format!("S: * LIST () \"/\" mailbox{n}\n")).collect();
    let (found, result) =
        report(&format!("{INSIDE}{OPENED}\n{many}S: M5 OK done\nC: M6 LOGOUT"), "INBOX").await;
    result.unwrap();
    assert_eq!(found.mailboxes.len(), 1000);
    assert!(found.mailboxes_cut);

    // Each name has 5,000 bytes encoded, and 3,000 decoded.
    let name = "\u{fffd}".repeat(1000);
    let long: String =
        (0..100).map(|_| format!("S: * LIST () \"/\" \"{}\"\n", name.replace('\u{fffd}', "&,,0-"))).collect();
    let (found, result) =
        report(&format!("{INSIDE}{OPENED}\n{long}S: M5 OK done\nC: M6 LOGOUT"), "INBOX").await;
    result.unwrap();
    assert_eq!(found.mailboxes, vec![name; 21]);
    assert!(found.mailboxes_cut);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_after_the_login_meets_the_deadline() {
    for (so_far, step) in [
        (INSIDE.to_owned(), Step::Status),
        (format!("{INSIDE}\nC: M3 STATUS \"INBOX\" (UNSEEN)\nS: M3 OK done"), Step::Open),
    ] {
        let (stream, _playing) = server(&format!("{so_far}\nsilence"));
        let begun = Instant::now();
        let mut connection = Connection::new(stream, begun + Duration::from_secs(9));
        let greeting = read_greeting(&mut connection).await.unwrap();
        let password = password("secret");
        let login = Some(Login { login: "ann", secret: &Secret::Password(password.clone()) });
        let mut found = ConnectionReport::default();
        let inbox = Mailbox::parse("INBOX").unwrap();
        let error =
            run_test(&mut found, connection, greeting, login, &imap_example(), &inbox).await.unwrap_err();
        assert!(matches!(error, ImapError::Timeout(at) if at == step), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 9);
        assert_eq!(found.capabilities, ["IMAP4REV1", "IDLE", "UIDPLUS"]);
    }
}
