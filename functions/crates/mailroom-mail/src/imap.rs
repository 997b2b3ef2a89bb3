//! IMAP sessions: open a mailbox, list the messages above a UID, fetch them, and mark or move them afterwards.
//!
//! Read in this order: `open` (a session with all that differs between servers, in one function), `session` (listing,
//! marking, moving), `fetch` (content, whole or in chunks), `connection_test` (a test of the settings), `sent_mailbox`
//! (copies of sent messages), `connection` (commands out, bounded responses in), `frame` and `response` (the responses),
//! `error`, `refusal` and `owner_error` (the errors, for the log and for the mailbox's owner).
//!
//! Invariants:
//! - A command has succeeded only when its own tagged OK has arrived. NO, BAD, BYE, the end of the stream and silence are
//!   errors: none of them ever means "no messages".
//! - Everything is bounded before it is stored: the text and the number of literals of a response, and each literal by
//!   what was requested. Nothing recurses.
//! - A FETCH response that cannot be read is an error, never a missing message. Anything else that is unknown is skipped.
//! - A poll changes nothing: it uses EXAMINE and BODY.PEEK until [`Session::mark_seen`] or [`Session::move_to`] is called.
//!   A connection test changes nothing at all. Only [`SentMailbox::file`] adds a message.
//!
//! Why this parses responses by itself and not with imap-proto (and async-imap above it): that parser refuses a whole
//! response for one unknown thing (a size above 32 bits, an unknown item, an unknown untagged response), and a refused
//! FETCH is a lost message or a mailbox that is stuck; it needs a response in one piece and parses it from the start at
//! each read, so that its input would have to be framed and bounded here anyway; and a server can make it panic or
//! overflow the stack. Nine responses of the grammar are needed. The tests compare this parser with imap-proto.

mod connection;
mod connection_test;
mod date;
mod encode;
mod error;
mod fetch;
mod frame;
mod lexer;
mod lookup;
mod marks;
mod open;
mod owner_error;
mod refusal;
mod response;
mod response_text;
mod sent_mailbox;
mod session;

#[cfg(test)]
mod tests;

pub use self::connection_test::ConnectionReport;
pub use self::error::{Code, ImapError, Malformed, NotWritable, Refusal, Reply, Sign, Spoken, Step};
pub use self::fetch::{Charge, Fetched};
pub use self::marks::Marks;
pub use self::open::{Connector, Opened, Stream, greet_over, open_over};
pub use self::sent_mailbox::{SentMailbox, open_sent_over};
pub use self::session::{MAX_LISTED, Session};
