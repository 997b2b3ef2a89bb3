//! The table of replies: what a server says, and the code, state and sentence that the mailbox's owner gets.
//!
//! Every response code of RFC 9051 §7.1 and RFC 5530 that can refuse, those of providers' own, and the texts that known
//! servers send without one.

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::{ErrorCode, OwnerError};

use super::{LOGGED_IN, imap_example, open, open_with_token, session, uid};
use ErrorCode::{ImapAuth, ImapMailbox, ImapProtocol, ImapThrottled, ImapTimeout, ImapTls};
use ProfileState::{Failing, Misconfigured, Throttled};

/// What the server says, and the code, the state and the sentence, of which `imap.example.com (port 993) ` is left out.
type Row = (&'static str, ErrorCode, ProfileState, &'static str);

const AT: &str = "imap.example.com (port 993) ";

const AGAIN: &str = "Mailroom tries again by itself; if it stays like this, ask the server's administrator.";
const LATER: &str =
    "Mailroom tries again by itself; fewer programs on this mailbox, or a longer interval, may help.";
const PASSWORD: &str = "Check login and password; many providers require an app password.";
const KNOWN: &str = "The login itself is known, but it may not do this: check that it is the mailbox's own, and that the provider has IMAP enabled for it.";
const ALERT: &str =
    "Do what the server asks; if it asks for nothing, check login and password, or use an app password.";
const NAME: &str = "Check its name and that the login may read it.";
const STAFF: &str = "Only the provider or the server's administrator can help: ask them.";
const FULL: &str = "Mailroom tries again by itself; if the mailbox is full, delete some messages.";

fn hint(name: &str) -> &str {
    match name {
        "AGAIN" => AGAIN,
        "LATER" => LATER,
        "PASSWORD" => PASSWORD,
        "KNOWN" => KNOWN,
        "ALERT" => ALERT,
        "NAME" => NAME,
        "STAFF" => STAFF,
        "FULL" => FULL,
        other => other,
    }
}

/// Checks an error against a row. The last sentence may be the name of one of the hints above.
fn check(row: &Row, error: &OwnerError) {
    let (said, code, state, sentence) = row;
    let (start, end) = sentence.rsplit_once(". ").unwrap_or((sentence, ""));
    let expected = if hint(end) == end { (*sentence).to_owned() } else { format!("{start}. {}", hint(end)) };
    assert_eq!(error.message.strip_prefix(AT), Some(expected.as_str()), "{said}");
    assert_eq!((error.code, ProfileState::of(error.code.class())), (*code, *state), "{said}");
}

#[rustfmt::skip]
const GREETINGS: [Row; 15] = [
    ("S: * BYE", ImapProtocol, Failing, "closed the connection (waiting for the greeting): \"BYE\". Mailroom tries again by itself; if it stays like this, ask the provider whether it blocks connections from Mailroom."),
    ("S: * BYE Access denied", ImapProtocol, Failing, "closed the connection (waiting for the greeting): \"Access denied\". Mailroom tries again by itself; if it stays like this, ask the provider whether it blocks connections from Mailroom."),
    ("S: * BYE [ALERT] Maintenance until noon", ImapProtocol, Failing, "closed the connection (waiting for the greeting): \"Maintenance until noon\". Mailroom tries again by itself; if it stays like this, ask the provider whether it blocks connections from Mailroom."),
    ("S: * BYE [UNAVAILABLE] later", ImapProtocol, Failing, "did not accept the connection: \"later\". AGAIN"),
    ("S: * BYE Too many connections from your IP", ImapThrottled, Throttled, "asks us to try again later: \"Too many connections from your IP\". LATER"),
    ("S: * NO no", ImapProtocol, Failing, "did not accept the connection: \"no\". AGAIN"),
    ("S: 220 smtp.example.com ESMTP", ImapProtocol, Failing, "speaks SMTP and not IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("S: +OK POP3 ready", ImapProtocol, Failing, "speaks POP3 and not IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("S: HTTP/1.1 400 Bad Request", ImapProtocol, Failing, "speaks HTTP and not IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("S: SSH-2.0-OpenSSH_9.2", ImapProtocol, Failing, "speaks SSH and not IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("S: * 3 EXISTS", ImapProtocol, Failing, "does not speak IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("S: M1 OK", ImapProtocol, Failing, "does not speak IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("silence", ImapTimeout, Failing, "did not answer in time (waiting for the greeting)."),
    ("S: hello", ImapProtocol, Failing, "does not speak IMAP: check host and port, usually 993 with the security \"tls\"."),
    ("", ImapProtocol, Failing, "closed the connection without a word (waiting for the greeting). Mailroom tries again by itself."),
];

#[rustfmt::skip]
const LOGINS: [Row; 46] = [
    // RFC 9051 §7.1 and RFC 5530 §3
    ("S: M1 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", ImapAuth, Misconfigured, "refused the login: \"Invalid credentials (Failure)\". PASSWORD"),
    ("S: M1 NO [AUTHORIZATIONFAILED] No such authorization-ID", ImapAuth, Misconfigured, "refused the login: \"No such authorization-ID\". KNOWN"),
    ("S: M1 NO [EXPIRED] That password isn't valid any more", ImapAuth, Misconfigured, "refused the login: \"That password isn't valid any more\". The password has expired: set a new one at the provider, and enter it here."),
    ("S: M1 NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", ImapTls, Misconfigured, "refused the login: \"Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\". The server does not see that the connection is encrypted: use its port with TLS from the first byte, usually 993, or ask its administrator."),
    ("S: M1 NO [CONTACTADMIN] Account suspended", ImapAuth, Misconfigured, "refused the login: \"Account suspended\". STAFF"),
    ("S: M1 NO [NOPERM] IMAP is not for you", ImapAuth, Misconfigured, "refused the login: \"IMAP is not for you\". KNOWN"),
    ("S: M1 NO [CANNOT] not by IMAP", ImapAuth, Misconfigured, "refused the login: \"not by IMAP\". KNOWN"),
    ("S: M1 NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)", ImapAuth, Misconfigured, "refused the login: \"Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)\". ALERT"),
    ("S: M1 NO [UNAVAILABLE] User's backend down for maintenance", ImapProtocol, Failing, "did not complete the login: \"User's backend down for maintenance\". AGAIN"),
    ("S: M1 NO [INUSE] LOGIN mailbox is locked", ImapProtocol, Failing, "did not complete the login: \"LOGIN mailbox is locked\". AGAIN"),
    ("S: M1 NO [SERVERBUG] LOGIN Server error - Please try again later", ImapProtocol, Failing, "did not complete the login: \"LOGIN Server error - Please try again later\". AGAIN"),
    ("S: M1 NO [CORRUPTION] Index is broken", ImapProtocol, Failing, "did not complete the login: \"Index is broken\". AGAIN"),
    ("S: M1 BAD [SERVERBUG] This should not happen", ImapProtocol, Failing, "did not complete the login: \"This should not happen\". AGAIN"),
    ("S: M1 NO [CLIENTBUG] no", ImapProtocol, Failing, "did not understand how to complete the login: \"no\". Check that host and port are those of the provider's IMAP server, and that the login has no unusual characters."),
    ("S: M1 NO [LIMIT] LOGIN Rate limit hit.", ImapThrottled, Throttled, "asks us to try again later: \"LOGIN Rate limit hit.\". LATER"),
    ("S: M1 NO [LIMIT] enough", ImapThrottled, Throttled, "asks us to try again later: \"enough\". LATER"),
    ("S: M1 NO [OVERQUOTA] You have too much mail", ImapThrottled, Throttled, "asks us to try again later: \"You have too much mail\". FULL"),
    // RFC 2221
    ("S: M1 NO [REFERRAL IMAP://ann;AUTH=*@imap2.example.com/] Specified user is invalid on this server. Try imap2.", ImapAuth, Misconfigured, "refused the login: \"Specified user is invalid on this server. Try imap2.\". The mailbox is on another server: use the host of IMAP://ann;AUTH=*@imap2.example.com/."),
    ("S: M1 NO [REFERRAL] elsewhere", ImapAuth, Misconfigured, "refused the login: \"elsewhere\". The mailbox is on another server: ask the provider for its host."),
    // Gmail
    ("S: * NO [WEBALERT https://accounts.google.com/signin/continue?sarp=1&scc=1&plt=AKgnsb] Web login required.\nS: M1 NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)", ImapAuth, Misconfigured, "refused the login: \"Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)\". Open https://accounts.google.com/signin/continue?sarp=1&scc=1&plt=AKgnsb in a browser, and allow this login there."),
    ("S: M1 NO [WEBALERT https://accounts.example.com/] Web login required.", ImapAuth, Misconfigured, "refused the login: \"Web login required.\". Open https://accounts.example.com/ in a browser, and allow this login there."),
    ("S: M1 NO [WEBALERT javascript:alert(1)] Web login required.", ImapAuth, Misconfigured, "refused the login: \"Web login required.\". Log in to the provider with a browser, and allow this login there."),
    ("S: M1 NO [ALERT] Too many simultaneous connections. (Failure)", ImapThrottled, Throttled, "asks us to try again later: \"Too many simultaneous connections. (Failure)\". LATER"),
    ("S: M1 NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", ImapThrottled, Throttled, "asks us to try again later: \"Account exceeded command or bandwidth limits. (Failure)\". FULL"),
    // Exchange Online
    ("S: M1 NO [THROTTLED] wait", ImapThrottled, Throttled, "asks us to try again later: \"wait\". LATER"),
    ("S: M1 BAD Request is throttled. Suggested Backoff Time: 299456 milliseconds", ImapThrottled, Throttled, "asks us to try again later: \"Request is throttled. Suggested Backoff Time: 299456 milliseconds\". LATER"),
    ("S: M1 BAD User is authenticated but not connected.", ImapThrottled, Throttled, "asks us to try again later: \"User is authenticated but not connected.\". LATER"),
    ("S: M1 NO Server Unavailable. 15", ImapProtocol, Failing, "did not complete the login: \"Server Unavailable. 15\". AGAIN"),
    ("S: M1 NO LOGIN failed.", ImapAuth, Misconfigured, "refused the login: \"LOGIN failed.\". PASSWORD"),
    // Dovecot
    ("S: M1 NO [UNAVAILABLE] Temporary authentication failure.", ImapProtocol, Failing, "did not complete the login: \"Temporary authentication failure.\". AGAIN"),
    ("S: M1 NO Temporary authentication failure.", ImapProtocol, Failing, "did not complete the login: \"Temporary authentication failure.\". AGAIN"),
    ("S: M1 NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", ImapThrottled, Throttled, "asks us to try again later: \"Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)\". LATER"),
    // QQ, NetEase, Yahoo, hMailServer
    ("S: M1 NO Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.", ImapAuth, Misconfigured, "refused the login: \"Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.\". PASSWORD"),
    ("S: M1 NO LOGIN Unsafe Login. Please contact kefu@188.com for help", ImapAuth, Misconfigured, "refused the login: \"LOGIN Unsafe Login. Please contact kefu@188.com for help\". The provider takes this login for unsafe: allow IMAP and this program in its web mail, or ask its support."),
    ("S: * BYE Too many invalid logon attempts.", ImapThrottled, Throttled, "asks us to try again later: \"Too many invalid logon attempts.\". LATER"),
    ("S: M1 BAD Invalid user name or password.\nC: M2 CAPABILITY\nS: M2 OK done", ImapAuth, Misconfigured, "refused the login: \"Invalid user name or password.\". PASSWORD"),
    // Without a code
    ("S: M1 NO", ImapAuth, Misconfigured, "refused the login: \"NO\". PASSWORD"),
    ("S: M1 NO [UNKNOWN-TO-ALL] no", ImapAuth, Misconfigured, "refused the login: \"no\". PASSWORD"),
    ("S: M1 NO internal server error, please try again later", ImapProtocol, Failing, "did not complete the login: \"internal server error, please try again later\". AGAIN"),
    ("S: M1 BAD what?\nC: M2 CAPABILITY\nS: M2 OK done", ImapProtocol, Failing, "did not understand how to complete the login: \"what?\". Check that host and port are those of the provider's IMAP server, and that the login has no unusual characters."),
    ("S: * BYE Disconnected for inactivity.", ImapProtocol, Failing, "closed the connection (waiting for the answer to the login): \"Disconnected for inactivity.\". Mailroom tries again by itself."),
    ("S: * BYE too many bad logins\nS: M1 NO [AUTHENTICATIONFAILED] no", ImapAuth, Misconfigured, "refused the login: \"no\". PASSWORD"),
    ("S: * BYE and not another word\nsilence", ImapProtocol, Failing, "closed the connection (waiting for the answer to the login): \"and not another word\". Mailroom tries again by itself."),
    ("silence", ImapTimeout, Failing, "did not answer in time (waiting for the answer to the login)."),
    ("S: %%%", ImapProtocol, Failing, "sent something that is not IMAP (waiting for the answer to the login). Mailroom tries again by itself; if it stays like this, check host and port, usually 993 with the security \"tls\"."),
    ("S: + more\nS: + more\nS: + more", ImapProtocol, Failing, "broke the IMAP protocol (waiting for the answer to the login): it requested a continuation at the wrong time. AGAIN"),
];

#[rustfmt::skip]
const OPENINGS: [Row; 25] = [
    ("S: M2 NO Mailbox doesn't exist: INBOX", ImapMailbox, Misconfigured, "refused to open the mailbox: \"Mailbox doesn't exist: INBOX\". NAME"),
    ("S: M2 NO [NONEXISTENT] Unknown Mailbox", ImapMailbox, Misconfigured, "refused to open the mailbox: \"Unknown Mailbox\". NAME"),
    ("S: M2 NO [NOPERM] not yours", ImapMailbox, Misconfigured, "refused to open the mailbox: \"not yours\". NAME"),
    ("S: M2 NO [AUTHORIZATIONFAILED] not yours", ImapMailbox, Misconfigured, "refused to open the mailbox: \"not yours\". NAME"),
    ("S: M2 NO [CANNOT] no such name can be", ImapMailbox, Misconfigured, "refused to open the mailbox: \"no such name can be\". NAME"),
    ("S: M2 NO [TRYCREATE] create it", ImapMailbox, Misconfigured, "refused to open the mailbox: \"create it\". NAME"),
    ("S: M2 NO [ALERT] Your account is closed", ImapMailbox, Misconfigured, "refused to open the mailbox: \"Your account is closed\". NAME"),
    ("S: M2 NO [REFERRAL imap://ann@imap2.example.com/INBOX] Remote mailbox", ImapAuth, Misconfigured, "refused to open the mailbox: \"Remote mailbox\". The mailbox is on another server: use the host of imap://ann@imap2.example.com/INBOX."),
    ("S: M2 NO [CONTACTADMIN] Access to this mailbox is blocked", ImapAuth, Misconfigured, "refused to open the mailbox: \"Access to this mailbox is blocked\". STAFF"),
    ("S: M2 NO [EXPIRED] password expired", ImapAuth, Misconfigured, "refused to open the mailbox: \"password expired\". The password has expired: set a new one at the provider, and enter it here."),
    ("S: M2 NO [PRIVACYREQUIRED] encrypt", ImapTls, Misconfigured, "refused to open the mailbox: \"encrypt\". The server does not see that the connection is encrypted: use its port with TLS from the first byte, usually 993, or ask its administrator."),
    ("S: M2 NO [UNAVAILABLE] backend down", ImapProtocol, Failing, "did not open the mailbox: \"backend down\". AGAIN"),
    ("S: M2 NO [INUSE] locked", ImapProtocol, Failing, "did not open the mailbox: \"locked\". AGAIN"),
    ("S: M2 NO [SERVERBUG] Internal error occurred. Refer to server log", ImapProtocol, Failing, "did not open the mailbox: \"Internal error occurred. Refer to server log\". AGAIN"),
    ("S: M2 NO [CORRUPTION] Corrupted index", ImapProtocol, Failing, "did not open the mailbox: \"Corrupted index\". AGAIN"),
    ("S: M2 NO [LIMIT] too large", ImapThrottled, Throttled, "asks us to try again later: \"too large\". LATER"),
    ("S: M2 NO [THROTTLED] later", ImapThrottled, Throttled, "asks us to try again later: \"later\". LATER"),
    ("S: M2 NO Server busy", ImapProtocol, Failing, "did not open the mailbox: \"Server busy\". AGAIN"),
    ("S: M2 NO Mailbox temporarily unavailable", ImapProtocol, Failing, "did not open the mailbox: \"Mailbox temporarily unavailable\". AGAIN"),
    ("S: M2 NO EXAMINE Unsafe Login. Please contact kefu@188.com for help", ImapAuth, Misconfigured, "refused to open the mailbox: \"EXAMINE Unsafe Login. Please contact kefu@188.com for help\". The provider takes this login for unsafe: allow IMAP and this program in its web mail, or ask its support."),
    ("S: M2 BAD User is authenticated but not connected.", ImapThrottled, Throttled, "asks us to try again later: \"User is authenticated but not connected.\". LATER"),
    ("S: M2 BAD Error in IMAP command", ImapProtocol, Failing, "did not understand how to open the mailbox: \"Error in IMAP command\". Mailroom tries again by itself; if it stays like this, check that host and port are those of the provider's IMAP server."),
    ("S: * BYE Server shutting down.", ImapProtocol, Failing, "closed the connection (waiting for the answer to opening the mailbox): \"Server shutting down.\". Mailroom tries again by itself."),
    ("S: M2 OK but how many?", ImapProtocol, Failing, "broke the IMAP protocol (waiting for the answer to opening the mailbox): it did not send the number of messages in the mailbox. AGAIN"),
    ("S: M7 OK done", ImapProtocol, Failing, "broke the IMAP protocol (waiting for the answer to opening the mailbox): it answered a command that was not sent. AGAIN"),
];

#[rustfmt::skip]
const FETCHES: [Row; 7] = [
    ("S: M3 NO some messages cannot be had", ImapProtocol, Failing, "did not send messages (UID FETCH): \"some messages cannot be had\". AGAIN"),
    ("S: M3 NO [UNAVAILABLE] storage down", ImapProtocol, Failing, "did not send messages (UID FETCH): \"storage down\". AGAIN"),
    ("S: M3 NO [AUTHENTICATIONFAILED] session revoked", ImapProtocol, Failing, "did not send messages (UID FETCH): \"session revoked\". AGAIN"),
    ("S: M3 NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", ImapThrottled, Throttled, "asks us to try again later: \"Account exceeded command or bandwidth limits. (Failure)\". FULL"),
    ("S: M3 BAD Command Error. 11", ImapProtocol, Failing, "did not understand how to send messages (UID FETCH): \"Command Error. 11\". Mailroom tries again by itself; if it stays like this, check that host and port are those of the provider's IMAP server."),
    ("S: * BYE [UNAVAILABLE] going down", ImapProtocol, Failing, "did not send messages (UID FETCH): \"going down\". AGAIN"),
    ("S: <html>", ImapProtocol, Failing, "sent something that is not IMAP (waiting for messages). Mailroom tries again by itself; if it stays like this, check host and port, usually 993 with the security \"tls\"."),
];

#[tokio::test(start_paused = true)]
async fn each_greeting_has_its_sentence() {
    for row in &GREETINGS {
        check(row, &open(row.0, None).await.expect_err(row.0).owner_error(&imap_example()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_to_a_login_has_its_sentence() {
    for row in &LOGINS {
        let transcript = format!("S: * OK ready\nC: M1 LOGIN \"ann\" \"secret\"\n{}", row.0);
        check(row, &open(&transcript, None).await.expect_err(row.0).owner_error(&imap_example()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_to_opening_the_mailbox_has_its_sentence() {
    for row in &OPENINGS {
        let transcript = format!("{LOGGED_IN}\nC: M2 EXAMINE \"INBOX\"\n{}", row.0);
        check(row, &open(&transcript, None).await.expect_err(row.0).owner_error(&imap_example()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_to_a_fetch_has_its_sentence() {
    for row in &FETCHES {
        let mut session =
            session(&format!("C: M3 UID FETCH 3 (UID FLAGS BODY.PEEK[]<0.262144>)\n{}", row.0)).await;
        let error = session.fetch(&[(uid(3), 3)], 1000, &mut |_| true).await.expect_err(row.0);
        check(row, &error.owner_error(&imap_example()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_advises_no_password() {
    for (said, advice) in [
        ("NO AUTHENTICATE failed.", "the account that granted access"),
        ("NO [AUTHENTICATIONFAILED] Invalid credentials", "the account that granted access"),
        ("NO [CONTACTADMIN] blocked", "Only the provider"),
    ] {
        let transcript = format!(
            "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready
             C: M1 AUTHENTICATE XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgdDBrZW4tdDBrZW4BAQ==
             S: M1 {said}"
        );
        let error = open_with_token(&transcript).await.unwrap_err().owner_error(&imap_example());
        assert_eq!(error.code, ImapAuth, "{said}");
        assert!(error.message.contains(advice) && !error.message.contains("password"), "{}", error.message);
    }
}

#[tokio::test(start_paused = true)]
async fn not_connected_becomes_a_matter_of_permission() {
    let transcript =
        format!("{LOGGED_IN}\nC: M2 EXAMINE \"INBOX\"\nS: M2 BAD User is authenticated but not connected.");
    let error = open(&transcript, None).await.unwrap_err().owner_error(&imap_example());
    let other = error.if_it_repeats.unwrap();
    assert_eq!(other.code, ImapAuth);
    assert_eq!(
        other.message,
        "imap.example.com (port 993) accepts the login, but does not connect it to a mailbox: \"User is authenticated but not connected.\". Check that IMAP is enabled for this mailbox, that the login is the mailbox's own, and, if an application signs in, that it has the permission for this mailbox."
    );
}

#[tokio::test(start_paused = true)]
async fn long_words_leave_room_for_the_advice() {
    let said = format!("S: M1 NO [WEBALERT https://example.com/{}] {}", "y".repeat(150), "x".repeat(400));
    let transcript = format!("S: * OK ready\nC: M1 LOGIN \"ann\" \"secret\"\n{said}");
    let message = open(&transcript, None).await.unwrap_err().owner_error(&imap_example()).message;
    assert!(message.ends_with("in a browser, and allow this login there."), "{message}");
    assert!(message.contains("xxx") && message.contains("yyy\u{20}in a browser"), "{message}");
    assert!(message.chars().count() <= OwnerError::MAX_MESSAGE_CHARS);
}
