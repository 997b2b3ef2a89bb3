//! Tests by transcript: the lines of the server, the lines of the client, and the result.
#![allow(clippy::disallowed_methods, reason = "a test's deadline has to begin somewhere")]

use std::time::Duration;

use mailroom_core::owner_error::ErrorCode;
use mailroom_core::server::{Host, Security, Server};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::{Malformed, SmtpError, Step};
use super::open::{EhloResponse, greet_and_log_in, start_tls};
use mailroom_net::login::{Login, Secret};

mod fuzz;
mod replies;
mod sending;

/// A server that plays a transcript: `S:` lines are sent, consecutive ones at once; `C:` lines are expected. At the end
/// it closes the connection, or stays silent if the last line is `silence`.
fn server(transcript: &str) -> DuplexStream {
    let (ours, mut theirs) = duplex(1 << 20);
    let lines: Vec<String> = transcript.lines().map(|line| line.trim_start().to_owned()).collect();
    tokio::spawn(async move {
        let mut said = String::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            if let Some(more) = line.strip_prefix("S: ") {
                said.push_str(more);
                said.push_str("\r\n");
                continue;
            }
            // The client may be gone for good reason.
            let _ = theirs.write_all(said.as_bytes()).await;
            said.clear();
            let Some(expected) = line.strip_prefix("C: ") else {
                assert_eq!(line, "silence");
                return std::future::pending().await;
            };
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n") {
                let Ok(byte) = theirs.read_u8().await else { break };
                heard.push(byte);
            }
            if String::from_utf8_lossy(&heard).trim_end() != expected {
                let wrong = format!("599 expected {expected}\r\n");
                let _ = theirs.write_all(wrong.as_bytes()).await;
            }
        }
        let _ = theirs.write_all(said.as_bytes()).await;
    });
    ours
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn example() -> Server {
    let host = Host::parse("smtp.example.com").unwrap();
    Server { host, port: 587.try_into().unwrap(), security: Security::StartTls }
}

fn code(error: &SmtpError) -> ErrorCode {
    error.owner_error(&example()).code
}

/// Introduces us to a server, under TLS as it were.
async fn log_in(transcript: &str, login: &str, password: &str) -> (EhloResponse, Result<(), SmtpError>) {
    let password = SecretString::from(password);
    let mut ehlo = EhloResponse::default();
    let login = Login { login, secret: &Secret::Password(password.clone()) };
    let connection = Connection::new(server(transcript), soon());
    let result =
        greet_and_log_in(&mut ehlo, connection, "[127.0.0.1]", &example(), Some(login)).await.map(drop);
    (ehlo, result)
}

async fn begin_tls(transcript: &str) -> Result<(), SmtpError> {
    start_tls(Connection::new(server(transcript), soon()), "[127.0.0.1]").await.map(drop)
}

const OFFERS: &str = "
    C: EHLO [127.0.0.1]
    S: 250-smtp.example.com at your service
    S: 250-SIZE 35882577
    S: 250-AUTH LOGIN PLAIN XOAUTH2
    S: 250 SMTPUTF8";

#[tokio::test(start_paused = true)]
async fn a_password_goes_in_one_step_where_it_can() {
    let transcript = format!("{OFFERS}\nC: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 235 2.7.0 welcome\nsilence");
    let (ehlo, result) = log_in(&transcript, "ann", "s3cret").await;
    result.unwrap();
    assert_eq!(ehlo.keywords, ["SIZE 35882577", "AUTH LOGIN PLAIN XOAUTH2", "SMTPUTF8"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_server_gets_it_in_two() {
    let transcript = "
        C: EHLO [127.0.0.1]
        S: 250-old
        S: 250 AUTH=LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5u
        S: 334 UGFzc3dvcmQ6
        C: czNjcmV0
        S: 235 ok
        silence";
    log_in(transcript, "ann", "s3cret").await.1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_password_of_any_script_is_sent_as_utf8() {
    let transcript = format!("{OFFERS}\nC: AUTH PLAIN AMO8AMOfw58=\nS: 235 ok\nsilence");
    log_in(&transcript, "\u{fc}", "\u{df}\u{df}").await.1.unwrap();
    let (_, result) = log_in(OFFERS, "ann", "a\0b").await;
    assert!(matches!(result, Err(SmtpError::UnsendableCredential)));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_passwords_is_not_given_one() {
    let (ehlo, result) =
        log_in("C: EHLO [127.0.0.1]\nS: 250-x\nS: 250 AUTH XOAUTH2\nsilence", "ann", "s").await;
    assert!(matches!(result, Err(SmtpError::NoPasswordLogin)));
    assert_eq!(ehlo.keywords, ["AUTH XOAUTH2"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_more_is_told_that_there_is_none() {
    let transcript = format!(
        "{OFFERS}\nC: AUTH PLAIN AGFubgBzM2NyZXQ=\nS: 334 bW9yZQ==\nC: *\nS: 501 5.7.0 cancelled\nsilence"
    );
    let (_, result) = log_in(&transcript, "ann", "s3cret").await;
    assert_eq!(code(&result.unwrap_err()), ErrorCode::SmtpAuth);
}

#[tokio::test(start_paused = true)]
async fn what_we_log_in_with_is_not_repeated() {
    for echo in ["s3cret-s3cret", "AGFubgBzM2NyZXQtczNjcmV0", "czNjcmV0LXMzY3JldA=="] {
        let transcript =
            format!("{OFFERS}\nC: AUTH PLAIN AGFubgBzM2NyZXQtczNjcmV0\nS: 535 5.7.8 bad: {echo}");
        let error = log_in(&transcript, "ann", "s3cret-s3cret").await.1.unwrap_err();
        let seen = format!("{error} {error:?} {}", error.owner_error(&example()));
        assert!(!seen.contains(echo) && seen.contains('…'), "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_value_is_said_before_tls() {
    let offer = "S: 220 ready\nC: EHLO [127.0.0.1]\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\n";
    begin_tls(&format!("{offer}S: 220 go\nsilence")).await.unwrap();
    let error = begin_tls("S: 220 ready\nC: EHLO [127.0.0.1]\nS: 250-x\nS: 250 AUTH PLAIN\nsilence").await;
    assert!(matches!(error, Err(SmtpError::NoStartTls)));
    // A line injected behind the reply would be taken for the server's, under TLS.
    let error = begin_tls(&format!("{offer}S: 220 go\nS: 250 AUTH PLAIN\nsilence")).await.unwrap_err();
    assert!(matches!(error, SmtpError::Malformed { what: Malformed::Injection, .. }));
    assert_eq!(code(&error), ErrorCode::SmtpTls);
}

#[tokio::test(start_paused = true)]
async fn half_a_greeting_is_none() {
    let error = begin_tls("S: 220-only half").await.unwrap_err();
    assert!(matches!(error, SmtpError::HungUp(Step::Greeting)));
}

#[tokio::test(start_paused = true)]
async fn replies_have_a_bound() {
    for endless in ["220-".to_owned() + &"x".repeat(100_000), "220-x\r\n".repeat(1000)] {
        let (ours, mut theirs) = duplex(1 << 20);
        tokio::spawn(async move {
            let _ = theirs.write_all(endless.as_bytes()).await;
            std::future::pending::<()>().await;
        });
        let error = start_tls(Connection::new(ours, soon()), "[127.0.0.1]").await.map(drop).unwrap_err();
        assert!(matches!(error, SmtpError::Malformed { what: Malformed::TooLong, .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_meets_the_deadline() {
    for (transcript, step) in [
        ("silence", Step::Greeting),
        ("S: 220 x\nC: EHLO [127.0.0.1]\nsilence", Step::Ehlo),
        ("S: 220 x\nC: EHLO [127.0.0.1]\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nsilence", Step::StartTls),
    ] {
        let error = begin_tls(transcript).await.unwrap_err();
        assert!(matches!(error, SmtpError::Timeout(at) if at == step), "{error}");
        assert_eq!(code(&error), ErrorCode::SmtpTimeout);
    }
    let begun = Instant::now();
    let transcript = format!("{OFFERS}\nC: AUTH PLAIN AGFubgBzM2NyZXQ=\nsilence");
    let (_, result) = log_in(&transcript, "ann", "s3cret").await;
    assert!(matches!(result, Err(SmtpError::Timeout(Step::Login))));
    assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());
}
