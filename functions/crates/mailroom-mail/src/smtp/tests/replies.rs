//! The table of replies: what a server says, and the code, state and sentence that the mailbox's owner gets.

use mailroom_core::health::ProfileState;
use mailroom_core::owner_error::{ErrorCode, OwnerError};

use super::sending::{envelope, session, to};
use super::{OFFERS, begin_tls, example, log_in};
use crate::smtp::{SmtpError, TransactionStart};
use ErrorCode::{SmtpAuth, SmtpConnect, SmtpRejected, SmtpThrottled, SmtpTimeout, SmtpTls};
use ProfileState::{Failing, Misconfigured, Throttled};

/// What the server says, and the code, the state and the sentence, of which `smtp.example.com (port 587) ` is left out.
type Row = (&'static str, ErrorCode, ProfileState, &'static str);

const AT: &str = "smtp.example.com (port 587) ";

const PASSWORD: &str = "Check login and password; many providers require an app password.";
const STAFF: &str = "The account or its organization does not allow this login: ask the administrator.";
const TLS: &str = "The server does not see that the connection is encrypted: use its port with TLS from the first byte, usually 465, or ask its administrator.";
const PORTS: &str = "The server does not take passwords here: use its submission port, usually 587 or 465, or sign in with OAuth2 if the provider has it.";
const LIMIT: &str = "A sending limit of the provider is reached: Mailroom tries again by itself; fewer messages at a time help.";
const BLOCKED: &str = "Mailroom tries again by itself; if it stays like this, ask the provider whether it blocks connections from Mailroom.";
const NAME: &str = "Mailroom tries again by itself; if it stays like this, set MAILROOM_EHLO_NAME to a host name that the server accepts.";
const NOT_SMTP: &str = "check host and port, usually 587 with the security \"starttls\" or 465 with \"tls\".";

/// Checks an error against a row. A word in capitals at the end of the sentence is one of the constants above.
fn check(row: &Row, error: &OwnerError) {
    let (said, code, state, sentence) = row;
    let names = [
        ("PASSWORD", PASSWORD),
        ("STAFF", STAFF),
        ("TLS", TLS),
        ("PORTS", PORTS),
        ("LIMIT", LIMIT),
        ("BLOCKED", BLOCKED),
        ("NAME", NAME),
        ("NOT_SMTP", NOT_SMTP),
    ];
    let (start, end) = sentence.rsplit_once(' ').unwrap();
    let end = names.iter().find(|(name, _)| *name == end).map_or(end, |(_, text)| text);
    assert_eq!(error.message.strip_prefix(AT), Some(format!("{start} {end}").as_str()), "{said}");
    assert_eq!((error.code, ProfileState::of(error.code.class())), (*code, *state), "{said}");
}

#[rustfmt::skip]
const BEFORE_TLS: [Row; 14] = [
    ("S: 554 5.7.1 go away", SmtpRejected, Failing, "refused the connection: \"554 5.7.1 go away\". BLOCKED"),
    ("S: 421 4.3.2 busy", SmtpThrottled, Throttled, "asks us to try again later: \"421 4.3.2 busy\". Mailroom tries again by itself."),
    ("S: 354 what?", SmtpConnect, Failing, "sent a reply that does not belong here (waiting for the greeting): \"354 what?\". Mailroom ends the session."),
    ("S: * OK IMAP4rev1 ready", SmtpConnect, Failing, "does not speak SMTP: NOT_SMTP"),
    ("S: SSH-2.0-OpenSSH", SmtpConnect, Failing, "does not speak SMTP: NOT_SMTP"),
    ("S: 220-a\nS: 250 b", SmtpConnect, Failing, "does not speak SMTP: NOT_SMTP"),
    ("silence", SmtpTimeout, Failing, "did not answer in time (waiting for the greeting); if this port expects TLS from the first byte (465), set the security to \"tls\"."),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 421-4.7.0 Try again later, closing connection. (EHLO)\nS: 421 4.7.0 https://support.google.com/a/answer/3726730", SmtpThrottled, Throttled, "did not accept how Mailroom introduced itself (EHLO): \"421 4.7.0 Try again later, closing connection. (EHLO) https://support.google.com/a/answer/3726730\". NAME"),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 550 5.7.1 Invalid name", SmtpRejected, Failing, "did not accept how Mailroom introduced itself (EHLO): \"550 5.7.1 Invalid name\". NAME"),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 TLS not available due to local problem", SmtpThrottled, Throttled, "cannot begin TLS at the moment: \"454 4.7.0 TLS not available due to local problem\". Mailroom tries again by itself."),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 502 5.5.1 not here", SmtpTls, Misconfigured, "refused STARTTLS: \"502 5.5.1 not here\". Use a port with TLS from the first byte, usually 465."),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 354 go on", SmtpConnect, Failing, "sent a reply that does not belong here (waiting for the answer to STARTTLS): \"354 go on\". Mailroom ends the session."),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 250 x", SmtpTls, Misconfigured, "does not offer STARTTLS: use a port with TLS from the first byte, usually 465."),
    ("S: 220 x\nC: EHLO [127.0.0.1]\nS: %%%", SmtpConnect, Failing, "broke the SMTP protocol (waiting for the answer to EHLO): it sent a line that is not an SMTP reply."),
];

#[rustfmt::skip]
const LOGINS: [Row; 24] = [
    ("535 5.7.8 Username and Password not accepted.", SmtpAuth, Misconfigured, "refused the login: \"535 5.7.8 Username and Password not accepted.\". PASSWORD"),
    ("535 5.7.3 Authentication unsuccessful", SmtpAuth, Misconfigured, "refused the login: \"535 5.7.3 Authentication unsuccessful\". PASSWORD"),
    ("535", SmtpAuth, Misconfigured, "refused the login: \"535\". PASSWORD"),
    ("534-5.7.9 Application-specific password required.\nS: 534 5.7.9 more", SmtpAuth, Misconfigured, "refused the login: \"534 5.7.9 Application-specific password required. more\". The provider requires a password made for this program (an app password)."),
    ("534-5.7.14 <https://accounts.google.com/signin/continue>\nS: 534 5.7.14 Please log in via your web browser", SmtpAuth, Misconfigured, "refused the login: \"534 5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web browser\". Log in to the provider with a browser once, and allow this program there."),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", SmtpAuth, Misconfigured, "refused the login: \"535 5.7.139 Authentication unsuccessful, basic authentication is disabled.\". The provider requires OAuth2 instead of a password."),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled", SmtpAuth, Misconfigured, "refused the login: \"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled\". SMTP is switched off for this mailbox: its organization's administrator has to allow authenticated SMTP for it."),
    ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", SmtpAuth, Misconfigured, "refused the login: \"535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.\". PASSWORD"),
    ("535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.", SmtpAuth, Misconfigured, "refused the login: \"535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.\". STAFF"),
    ("550 5.7.30 Basic authentication is not supported", SmtpAuth, Misconfigured, "refused the login: \"550 5.7.30 Basic authentication is not supported\". The provider requires OAuth2 instead of a password."),
    ("525 5.7.13 User Account Disabled", SmtpAuth, Misconfigured, "refused the login: \"525 5.7.13 User Account Disabled\". STAFF"),
    ("530 5.7.0 Must issue a STARTTLS command first", SmtpTls, Misconfigured, "refused the login: \"530 5.7.0 Must issue a STARTTLS command first\". TLS"),
    ("530 5.7.1 Authentication required", SmtpAuth, Misconfigured, "refused the login: \"530 5.7.1 Authentication required\". The server wants a login that it did not get: use its submission port, usually 587 or 465, and check which login may send."),
    ("538 5.7.11 Encryption required for requested authentication mechanism", SmtpTls, Misconfigured, "refused the login: \"538 5.7.11 Encryption required for requested authentication mechanism\". TLS"),
    ("523 5.7.10 Encryption Needed", SmtpTls, Misconfigured, "refused the login: \"523 5.7.10 Encryption Needed\". TLS"),
    ("503 5.5.1 Error: authentication not enabled", SmtpAuth, Misconfigured, "refused the login: \"503 5.5.1 Error: authentication not enabled\". PORTS"),
    ("502 5.5.2 Error: command not recognized", SmtpAuth, Misconfigured, "refused the login: \"502 5.5.2 Error: command not recognized\". PORTS"),
    ("504 5.7.4 Unrecognized authentication type\nC: AUTH LOGIN\nS: 504 5.7.4 Unrecognized authentication type", SmtpAuth, Misconfigured, "refused the login: \"504 5.7.4 Unrecognized authentication type\". PORTS"),
    ("454 4.7.0 Temporary authentication failure", SmtpThrottled, Throttled, "cannot complete the login at the moment: \"454 4.7.0 Temporary authentication failure\". Mailroom tries again by itself."),
    ("454 Throttling failure: Maximum sending rate exceeded.", SmtpThrottled, Throttled, "takes no more messages for now: \"454 Throttling failure: Maximum sending rate exceeded.\". LIMIT"),
    ("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", SmtpThrottled, Throttled, "takes no more messages for now: \"432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending\". LIMIT"),
    ("421 4.7.0 Too many connections", SmtpThrottled, Throttled, "cannot complete the login at the moment: \"421 4.7.0 Too many connections\". Mailroom tries again by itself."),
    ("354 go on", SmtpConnect, Failing, "sent a reply that does not belong here (waiting for the answer to the login): \"354 go on\". Mailroom ends the session."),
    ("%%%", SmtpConnect, Failing, "broke the SMTP protocol (waiting for the answer to the login): it sent a line that is not an SMTP reply."),
];

#[tokio::test(start_paused = true)]
async fn each_reply_before_tls_has_its_sentence() {
    for row in &BEFORE_TLS {
        let silence = if row.0 == "silence" { "" } else { "\nsilence" };
        let error = begin_tls(&format!("{}{silence}", row.0)).await.expect_err(row.0);
        check(row, &error.owner_error(&example()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_reply_to_a_login_has_its_sentence() {
    for row in &LOGINS {
        let more = if row.0.starts_with("354") { "\nC: *\nS: 354 go on" } else { "" };
        let transcript = format!("{OFFERS}\nC: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: {}{more}", row.0);
        let error = log_in(&transcript, "ann", "s3cret").await.1.expect_err(row.0);
        check(row, &error.owner_error(&example()));
        let credential = row.1 == SmtpAuth;
        assert_eq!(error.is_login_refused(), credential, "{}", row.0);
    }
}

#[tokio::test]
async fn a_server_without_the_mechanism_that_it_offers_gets_the_other() {
    let transcript = format!(
        "{OFFERS}
         C: AUTH PLAIN AGFubgBzM2NyZXQ=
         S: 504 5.7.4 Unrecognized authentication type
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: YW5u
         S: 334 UGFzc3dvcmQ6
         C: czNjcmV0
         S: 235 ok"
    );
    log_in(&transcript, "ann", "s3cret").await.1.unwrap();
}

const MAIL: &str = "C: MAIL FROM:<support@example.com>\n";
const RCPT: &str = "S: 250 OK\nC: RCPT TO:<ann@example.org>\n";
const DATA: &str = "S: 250 OK\nC: DATA\n";
const DOT: &str = "S: 354 go on\nC: x\nC: .\n";

#[tokio::test]
async fn a_reply_out_of_place_before_the_dot_ends_the_session_and_refuses_nothing() {
    let ann = to(&["ann@example.org"]);
    for (transcript, replies) in [
        (MAIL.to_owned(), ["354 go on", "220 ready", "221 bye", "235 welcome"]),
        (format!("{MAIL}{RCPT}"), ["354 go on", "220 ready", "221 bye", "334 "]),
        (format!("{MAIL}{RCPT}{DATA}"), ["250 OK", "220 ready", "221 bye", "334 "]),
    ] {
        for reply in replies {
            for offers in ["", "S: 250-PIPELINING\n"] {
                let mut session = session(offers, &format!("{transcript}S: {reply}\nsilence")).await;
                let begun = session.begin(&envelope(&ann)).await;
                let TransactionStart::Broken { error, refused } = begun else { panic!("{reply}: {begun:?}") };
                // Without pipelining the server waits; with it the flight is out already.
                if offers.is_empty() {
                    assert!(matches!(error, SmtpError::OutOfStep { .. }), "{error:?}");
                    assert_eq!(error.owner_error(&example()).code, SmtpConnect);
                }
                assert!(refused.is_empty() && session.is_spent());
            }
        }
    }
}

#[tokio::test]
async fn only_an_acceptance_or_a_refusal_answers_the_dot() {
    let ann = to(&["ann@example.org"]);
    for (reply, expected, spent) in [
        ("250 2.0.0 queued", "accepted", false),
        ("550 5.7.1 spam", "refused", false),
        ("550-5.4.5 Daily user sending limit exceeded.\nS: 550 5.4.5 more", "put off", false),
        ("432 4.3.2 Concurrent connections limit exceeded.", "put off", false),
        ("421 4.3.2 closing", "put off", true),
        ("354 go on", "unknown", true),
        ("220 ready", "unknown", true),
        ("221 bye", "unknown", true),
        ("%%%", "unknown", true),
    ] {
        let mut session = session("", &format!("{MAIL}{RCPT}{DATA}{DOT}S: {reply}\nsilence")).await;
        assert!(matches!(session.begin(&envelope(&ann)).await, TransactionStart::Ready { .. }));
        session.content(b"x\r\n").await.unwrap();
        let answer = match session.finish().await {
            Ok(reply) if reply.is_accepted() => "accepted",
            Ok(reply) if reply.is_transient() => "put off",
            Ok(_) => "refused",
            Err(_) => "unknown",
        };
        assert_eq!((answer, session.is_spent()), (expected, spent), "{reply}");
    }
}
