//! IMAP sessions: open a mailbox, list what is above a UID, fetch it, and tidy up after it.
//!
//! Read in this order: [`open`](self) (a session with all its servers' quirks, in one function), `session` (listing,
//! marking, moving), `fetch` (bodies, whole or in chunks), `probe` (a try of the settings), `sent` (copies of what was
//! sent), `wire` (flights out, bounded responses in), `response` (what they say), `error` and `trouble` (what went wrong,
//! for the log and for the mailbox's owner).
//!
//! Invariants:
//! - A command has succeeded when its own tagged OK has come, and not before. NO, BAD, BYE, the end of the stream and
//!   silence are errors: none of them ever means "no mail".
//! - Nothing is stored before it is bounded: text and number of literals of a response, and each literal by what was
//!   asked for. Nothing recurses.
//! - What a server says of a message is never dropped because it cannot be read: that is an error. What it says beside
//!   that is skipped.
//! - A poll changes nothing: EXAMINE and BODY.PEEK, until [`Session::mark_seen`] or [`Session::move_to`] is asked for.
//!   A try changes nothing at all. Only [`SentFolder::file`] adds anything.
//!
//! Why this reads responses by itself and not with imap-proto (and async-imap above it): that parser refuses a whole
//! response for one thing it does not know (a size above 32 bits, an unknown item, an unknown untagged line), and a
//! refused FETCH is a lost message or a mailbox that is stuck; it needs a response in one piece, and parses it from the
//! start at each read, so that its input has to be framed and bounded here anyway; and it can be made to panic or to
//! overflow the stack. Of the grammar, nine responses are needed. The tests read what imap-proto reads too and compare.

mod connection;
mod connection_test;
mod date;
mod encode;
mod error;
mod fetch;
mod frame;
mod lexer;
mod open;
mod owner_error;
mod response;
mod response_text;
mod sent_mailbox;
mod session;

#[cfg(test)]
mod tests;

pub use self::connection_test::Probe;
pub use self::error::{Code, ImapError, Malformed, NotWritable, Refusal, Reply, Step};
pub use self::fetch::Fetched;
pub use self::open::{Connector, Opened, Stream};
pub use self::sent_mailbox::SentFolder;
pub use self::session::{MAX_LISTED, Session};
