//! Fuzzing of the reader: framing, literals, responses and values.

use std::cell::RefCell;
use std::time::Duration;

use tokio::io::{join, sink};
use tokio::runtime::{Builder, Runtime};

use super::super::connection::Connection;
use super::super::error::Step;
use super::super::response::Response;

const WORDS: [&str; 40] = [
    "* ",
    "M1 ",
    "M2 ",
    "OK ",
    "NO ",
    "BAD ",
    "BYE ",
    "PREAUTH ",
    "+ ",
    "\r\n",
    "\n",
    "\r\n* ",
    "1 FETCH (",
    "UID 1 ",
    "FLAGS ",
    "(",
    ")",
    "\"",
    "\\",
    "RFC822.SIZE ",
    "INTERNALDATE ",
    "NIL ",
    "BODY[] ",
    "BODY[HEADER]<0> ",
    "[",
    "]",
    "<",
    ">",
    "{3}\r\nabc",
    "{0}\r\n",
    "{9}\r\n",
    "~{2}\r\nab",
    "{",
    "}\r\n",
    "[UIDNEXT ",
    "CAPABILITY ",
    "LIST () \"/\" ",
    "STATUS x (UNSEEN ",
    "\0",
    "\u{fc}",
];

/// A literal that was requested, in bytes.
const REQUESTED: u64 = 64 * 1024;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

/// The bytes of a response that are kept.
fn kept(response: &Response) -> usize {
    match response {
        Response::Fetch(fetch) => {
            fetch.content.as_ref().and_then(|content| content.bytes.as_ref()).map_or(0, Vec::len)
        }
        Response::List(listed) => listed.name.len(),
        Response::Capability(capabilities) => {
            capabilities.clone().into_names().iter().map(String::len).sum::<usize>() / 3
        }
        Response::Status(_, line) | Response::Tagged(_, _, line) => line.text.len(),
        Response::Continuation(challenge) => challenge.len(),
        Response::Exists(_)
        | Response::Expunge
        | Response::Search(_)
        | Response::Unseen(_)
        | Response::Other => 0,
    }
}

/// Reads a greeting and then responses until the first error, and checks that no more is kept than came.
fn read_all(input: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let late = super::soon() + Duration::from_secs(3600);
            let mut connection = Connection::new(join(input, sink()), late);
            let _ = connection.greeting().await;
            let mut connection = Connection::new(join(input, sink()), late);
            connection.max_literal = REQUESTED;
            let tags: Vec<_> = (0..4).map(|_| connection.command("NOOP")).collect();
            let total = RefCell::new(0);
            for _ in 0..tags.len() {
                let sink = |response: Response| {
                    *total.borrow_mut() += kept(&response);
                    Ok(())
                };
                let _ = connection.progress(&tags, Step::Fetch, sink).await;
            }
            assert!(*total.borrow() <= input.len(), "{} of {} bytes", total.borrow(), input.len());
        });
    });
}

#[test]
fn any_change_of_the_corpus_is_read_or_refused() {
    mailroom_fuzzing::run(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/imap"), &WORDS, read_all);
}

#[test]
fn the_time_for_a_response_grows_with_its_length_alone() {
    let fetch = b"* 1 FETCH (UID 1 X ".as_slice();
    for (start, piece) in [
        (b"* 1 FETCH ".as_slice(), b"(".as_slice()),
        (fetch, b"(("),
        (fetch, b"() "),
        (fetch, b"\"a\" "),
        (fetch, b"\\\""),
        (fetch, b"a[b "),
        (b"* 1 FETCH (UID 1 FLAGS (", b"a "),
        (b"* OK [", b"] ["),
        (b"* OK ", b"{1}"),
        (b"* LIST (", b"\\a "),
        (b"* SEARCH ", b"1 "),
        (b"* CAPABILITY ", b"A "),
        (b"* X {1}\r\na", b" "),
        (b"+ ", b"="),
        (b"* ", b"\0"),
        (b"", b"\r\n"),
        (b"", b"* 1 EXISTS\r\n"),
        (b"", b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n"),
    ] {
        mailroom_fuzzing::is_linear(piece, start, 60_000 / piece.len(), read_all);
    }
}
