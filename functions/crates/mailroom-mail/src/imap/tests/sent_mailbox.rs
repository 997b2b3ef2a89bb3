//! The mailbox for sent messages: which one is chosen, and how its name is encoded.

use mailroom_core::owner_error::ErrorCode;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::error::{ImapError, Step};
use super::super::open::read_greeting;
use super::super::sent_mailbox::{SentMailbox, log_in_and_find};
use super::{Connection, code, imap_example, password, server, soon};
use mailroom_net::login::{Login, Secret};

pub(super) const AT: OffsetDateTime = datetime!(2026-11-02 22:34:05.9 +02:00);

/// [`AT`], and that it was read, in a command.
pub(super) const AS_READ: &str = "(\\Seen) \"02-Nov-2026 20:34:05 +0000\"";

pub(super) const ID: &str = "<a.1@example.org>";

/// A login to a server that has these capabilities too: the next command is M2.
pub(super) fn logged_in(capabilities: &str) -> String {
    format!(
        "S: * OK ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 OK [CAPABILITY IMAP4rev1 {capabilities}] in\n"
    )
}

/// A login, and this answer to LIST: the next command is M3.
pub(super) fn listed(capabilities: &str, list: &str) -> String {
    format!("{}C: M2 LIST \"\" \"*\"\n{list}\nS: M2 OK done\n", logged_in(capabilities))
}

pub(super) type Found = Result<Option<SentMailbox<DuplexStream>>, ImapError>;

pub(super) async fn find_until(transcript: &str, deadline: Instant) -> (Found, JoinHandle<()>) {
    let (stream, playing) = server(transcript);
    let mut connection = Connection::new(stream, deadline);
    let password = password("secret");
    let result = async {
        let greeting = read_greeting(&mut connection).await?;
        log_in_and_find(
            connection,
            greeting,
            Login { login: "ann", secret: &Secret::Password(password.clone()) },
            &imap_example(),
        )
        .await
    }
    .await;
    (result, playing)
}

/// The name that is found in the server that plays `transcript`, which has to come to its end.
async fn found(transcript: &str) -> Option<String> {
    let (result, playing) = find_until(transcript, soon()).await;
    let sent_mailbox = result.unwrap();
    let name = sent_mailbox.as_ref().map(|sent_mailbox| sent_mailbox.name().to_owned());
    drop(sent_mailbox);
    playing.await.unwrap();
    name
}

/// The mailbox for sent messages on the server that plays `transcript`.
pub(super) async fn sent_mailbox(transcript: &str) -> (SentMailbox<DuplexStream>, JoinHandle<()>) {
    let (result, playing) = find_until(transcript, soon()).await;
    (result.unwrap().unwrap(), playing)
}

#[tokio::test(start_paused = true)]
async fn it_is_found_by_its_attribute_whatever_it_is_called() {
    let list = "
        S: * LIST (\\HasNoChildren) \"/\" Sent
        S: * LIST (\\HasChildren \\Noselect) \"/\" \"[Gmail]\"
        S: * LIST (\\Noselect \\Sent) \"/\" \"Gone\"
        S: * LIST (\\HasNoChildren \\sent) \"/\" \"[Gmail]/Ausgang\"";
    let plain = found(&listed("IDLE", list)).await;
    assert_eq!(plain.as_deref(), Some("[Gmail]/Ausgang"));

    let extended = format!(
        "{}C: M2 LIST \"\" \"*\" RETURN (SPECIAL-USE){list}\nS: M2 OK done",
        logged_in("SPECIAL-USE")
    );
    assert_eq!(found(&extended).await, plain);
}

#[tokio::test(start_paused = true)]
async fn it_is_found_by_its_name_on_the_last_level() {
    for (line, name) in [
        ("() \"/\" sent", "sent"),
        ("() \"/\" \"SENT ITEMS\"", "SENT ITEMS"),
        ("() \".\" \"INBOX.Sent Messages\"", "INBOX.Sent Messages"),
        ("() \"\\\\\" \"INBOX\\\\Gesendete Elemente\"", "INBOX\\Gesendete Elemente"),
        ("() \"/\" \"&AMk-l&AOk-ments envoy&AOk-s\"", "Éléments envoyés"),
        ("() \"/\" \"ÉLÉMENTS ENVOYÉS\"", "ÉLÉMENTS ENVOYÉS"),
        ("() \"/\" &XfJT0ZAB-", "已发送"),
        ("() NIL Verzonden", "Verzonden"),
    ] {
        let list = format!("S: * LIST () \"/\" INBOX\nS: * LIST {line}");
        assert_eq!(found(&listed("IDLE", &list)).await.as_deref(), Some(name), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_likeliest_of_several_is_taken() {
    for (names, best) in [
        (["Gesendet", "Sent", "Sent Items"], "Sent"),
        (["Archive/2019/Sent", "Gesendet", "user/bob/Sent"], "Gesendet"),
        (["Sent/2019", "Enviados/Sent", "INBOX/Sent"], "Enviados/Sent"),
    ] {
        let list = names.map(|name| format!("S: * LIST () \"/\" \"{name}\"")).join("\n");
        assert_eq!(found(&listed("IDLE", &list)).await.as_deref(), Some(best));
    }
    let marked = "S: * LIST (\\Sent) \"/\" shared/bob/Sent\nS: * LIST (\\Sent) \"/\" Mine";
    assert_eq!(found(&listed("IDLE", marked)).await.as_deref(), Some("Mine"));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_none_it_says_so_and_goodbye() {
    for list in [
        "S: * LIST () \"/\" INBOX\nS: * LIST () \"/\" Sentinel\nS: * LIST () \".\" Sent/2019",
        "S: * LIST (\\Noselect) \"/\" Sent\nS: * LIST (\\NonExistent \\Sent) \"/\" Sent",
        "S: * LIST () NIL INBOX/Sent\nS: * LIST (\\Sent) \"/\" {4}\nS: Se\0t\nS: * LIST nonsense",
        "S: * OK nothing here",
    ] {
        assert_eq!(found(&format!("{}C: M3 LOGOUT", listed("IDLE", list))).await, None, "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_know_the_extended_list_is_asked_for_the_plain_one() {
    let extended = format!("{}C: M2 LIST \"\" \"*\" RETURN (SPECIAL-USE)\n", logged_in("SPECIAL-USE"));
    let transcript = format!(
        "{extended}S: M2 BAD too many arguments
        C: M3 LIST \"\" \"*\"
        S: * LIST (\\Sent) \"/\" Out
        S: M3 OK done"
    );
    assert_eq!(found(&transcript).await.as_deref(), Some("Out"));

    for refusal in ["S: M2 NO [UNAVAILABLE] later", "S: M2 BAD Request is throttled", "S: * BYE enough"] {
        let (result, playing) = find_until(&format!("{extended}{refusal}"), soon()).await;
        let error = result.unwrap_err();
        assert!(matches!(error, ImapError::Refused { step: Step::Mailboxes, .. }), "{error:?}");
        playing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_does_not_mean_that_there_is_none() {
    for end in ["S: M2 NO not now", "S: * BYE enough", "S: X9 OK who?", "S: * LIST () \"/\" half", ""] {
        let transcript =
            format!("{}C: M2 LIST \"\" \"*\"\nS: * LIST () \"/\" INBOX\n{end}", logged_in("IDLE"));
        let (result, playing) = find_until(&transcript, soon()).await;
        assert_eq!(code(&result.unwrap_err()), ErrorCode::ImapProtocol, "{end}");
        playing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_asked_for_where_the_login_did_not_tell_and_may_be_refused() {
    let transcript = "
        S: * OK [CAPABILITY IMAP4rev1 SPECIAL-USE] ready
        C: M1 LOGIN \"ann\" \"secret\"
        S: M1 OK in
        C: M2 CAPABILITY
        S: M2 BAD no
        C: M3 LIST \"\" \"*\"
        S: * LIST () \"/\" Sent
        S: M3 OK done";
    assert_eq!(found(transcript).await.as_deref(), Some("Sent"));

    let known = "
        S: * PREAUTH come in
        C: M1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 SPECIAL-USE
        S: M1 OK done
        C: M2 LIST \"\" \"*\" RETURN (SPECIAL-USE)
        S: * LIST (\\Sent) \"/\" Sent
        S: M2 OK done";
    assert_eq!(found(known).await.as_deref(), Some("Sent"));
}

#[tokio::test(start_paused = true)]
async fn its_name_goes_back_as_it_came() {
    for (line, on_the_wire) in [
        ("(\\Sent) \"/\" &U,BTFw-", "\"&U,BTFw-\""),
        // The name as the server sent it, not as we would encode it.
        ("(\\Sent) \"/\" \"&AGE-b\"", "\"&AGE-b\""),
        ("(\\Sent) \"/\" \"&broken\"", "\"&broken\""),
        ("(\\Sent) \"\\\\\" \"a \\\"b\\\"\\\\c\"", "\"a \\\"b\\\"\\\\c\""),
        ("(\\Sent) \"/\" {7}\nS: a \"b\"\\c", "\"a \\\"b\\\"\\\\c\""),
        ("(\\Sent) \"/\" \"sent {3}\"", "\"sent {3}\""),
    ] {
        let transcript = format!(
            "{}C: M3 EXAMINE {on_the_wire}
            S: * 0 EXISTS
            S: M3 OK [READ-ONLY] done
            C: M4 UID SEARCH HEADER Message-ID \"{ID}\"
            S: * SEARCH
            S: M4 OK done
            C: M5 APPEND {on_the_wire} {AS_READ} {{2}}
            S: + go
            C: hi
            S: M5 OK done",
            listed("IDLE", &format!("S: * LIST {line}"))
        );
        let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
        assert!(!sent_mailbox.holds(ID).await.unwrap());
        sent_mailbox.file(b"hi", AT).await.unwrap();
        drop(sent_mailbox);
        playing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_quoted_goes_back_as_a_literal() {
    let list = "S: * LIST (\\Sent) \"/\" \"Gelöscht\"";
    let waiting = format!(
        "{}C: M3 EXAMINE {{9}}
        S: + name
        C: Gelöscht
        S: M3 OK done
        C: M4 UID SEARCH HEADER Message-ID \"{ID}\"
        S: * SEARCH 7
        S: M4 OK done
        C: M5 APPEND {{9}}
        S: + name
        C: Gelöscht {AS_READ} {{2}}
        S: + message
        C: hi
        S: M5 OK done",
        listed("IDLE", list)
    );
    let at_once = format!(
        "{}C: M3 EXAMINE {{9+}}
        C: Gelöscht
        S: M3 OK done
        C: M4 UID SEARCH HEADER Message-ID \"{ID}\"
        S: * SEARCH 7
        S: M4 OK done
        C: M5 APPEND {{9+}}
        C: Gelöscht {AS_READ} {{2+}}
        C: hi
        S: M5 OK done",
        listed("LITERAL-", list)
    );
    for transcript in [waiting, at_once] {
        let (mut sent_mailbox, playing) = sent_mailbox(&transcript).await;
        assert!(sent_mailbox.holds(ID).await.unwrap());
        sent_mailbox.file(b"hi", AT).await.unwrap();
        drop(sent_mailbox);
        playing.await.unwrap();
    }
}
