//! Fuzzing of the reader: lines, replies, and what is read out of the response to EHLO.

use std::time::Duration;

use tokio::io::{join, sink};
use tokio::runtime::{Builder, Runtime};

use super::super::connection::Connection;
use super::super::error::Step;
use super::super::session::Extensions;
use super::{example, soon};
use crate::smtp::SmtpError;

const WORDS: [&str; 24] = [
    "220 ",
    "250-",
    "250 ",
    "354 ",
    "421 ",
    "432 ",
    "550 5.4.5 ",
    "535 5.7.139 ",
    "5.7.8 ",
    "-",
    " ",
    "\r\n",
    "\n",
    "\r",
    "AUTH ",
    "AUTH=",
    "SIZE ",
    "PIPELINING",
    "daily limit",
    "\0",
    "\u{fc}",
    "999999999999 ",
    "2.",
    "STARTTLS",
];

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

/// Reads replies until the first error, and all that is made of them.
fn read_all(input: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let late = soon() + Duration::from_secs(3600);
            let mut connection = Connection::new(join(input, sink()), late);
            let mut kept = 0;
            while let Ok(answer) = connection.read_reply(Step::Login).await {
                kept += answer.lines.iter().map(Vec::len).sum::<usize>();
                let lines: Vec<String> =
                    answer.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
                let _ = Extensions::read(&lines);
                assert!(answer.reply.text.chars().count() <= 300);
                for step in [Step::Greeting, Step::StartTls, Step::Login, Step::Token, Step::EndOfData] {
                    let error = SmtpError::unsuccessful(step, answer.reply.clone());
                    let message = error.owner_error(&example()).message;
                    assert!(message.ends_with('.') && !message.contains('\n'), "{message}");
                    let _ = error.is_login_refused();
                }
            }
            assert!(kept <= input.len(), "{kept} of {} bytes", input.len());
        });
    });
}

#[test]
fn any_change_of_the_corpus_is_read_or_refused() {
    mailroom_fuzzing::run(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/smtp"), &WORDS, read_all);
}

#[test]
fn the_time_for_replies_grows_with_their_length_alone() {
    for (start, piece) in [
        (b"250 ".as_slice(), b"x".as_slice()),
        (b"", b"250 ok\r\n"),
        (b"", b"250-AUTH PLAIN LOGIN\r\n250 AUTH=LOGIN\r\n"),
        (b"250 ", b"5.7.8 "),
        (b"", b"\r\n"),
    ] {
        mailroom_fuzzing::is_linear(piece, start, 60_000 / piece.len(), read_all);
    }
}
