//! What lies between async-imap and the network: it ends a session whose server sends more, or other, than was asked for.
//!
//! async-imap 0.12 and imap-proto 0.17 make room for a literal of 512 MiB before a byte of it has arrived, parse a line from
//! its start at each read, recurse with each parenthesis until the stack overflows, and panic at a byte that is not ASCII
//! right behind a response code. So all bytes pass here first, and nothing of what breaks a bound reaches them.
//!
//! Text is scanned and literals are not, so the two readings of where a literal begins must never differ. Here a literal
//! begins only in a FETCH response, at the end of a line, outside of quotes, in the outermost list and behind a space: where
//! imap-proto reads one too, or gives up.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest response without its literals. A server's keywords and capabilities are far below it.
const MAX_TEXT: usize = 64 * 1024;

/// The most parentheses that a response opens. What is asked for here opens three.
const MAX_PARENTHESES: usize = 64;

/// What a server must not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Excess {
    /// A response without an end.
    #[error("a response is too long")]
    Text,
    /// Parentheses that a recursive parser cannot take.
    #[error("a response is nested too deeply")]
    Nesting,
    /// A literal larger than what was asked for.
    #[error("a literal is larger than what was asked for")]
    Literal,
    /// A literal, or an end of line, where none can be.
    #[error("a response has a form that is not read")]
    Form,
    /// More bytes than a command can be answered with.
    #[error("a command is answered without an end")]
    Bytes,
}

/// A stream whose reads are bounded.
pub(crate) struct Guard<S> {
    stream: S,
    scan: Scan,
}

impl<S> Guard<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, scan: Scan::default() }
    }

    /// Sets what the next command may be answered with: bytes in all, and in one literal.
    pub(crate) const fn allow(&mut self, bytes: u64, literal: u64) {
        self.scan.bytes_left = bytes;
        self.scan.max_literal = literal;
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S> fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.scan.pass(read).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What is known of the response that is under way.
#[derive(Debug, Default)]
struct Scan {
    bytes_left: u64,
    max_literal: u64,
    /// What is left of a literal.
    literal_left: u64,
    /// The length of its text, and the parentheses opened in it.
    text: usize,
    opened: usize,
    /// How deep in lists it is, outside of quotes.
    depth: usize,
    start: Start,
    quotes: Quotes,
    size: Size,
    /// The byte before.
    last: u8,
}

/// What a response is, as far as its first bytes tell: `* 12 FETCH (` is the only form that has literals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Nothing,
    Star,
    Space,
    Number,
    /// So many letters of the word.
    Word(usize),
    Fetch,
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Quotes {
    #[default]
    Outside,
    Inside,
    Escape,
}

/// The size of a literal: `{12}` and the end of the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Size {
    #[default]
    None,
    Digits(u64),
    Closed(u64),
    EndsLine(u64),
}

impl Scan {
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Excess> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or(Excess::Bytes)?;
        while let Some((byte, rest)) = bytes.split_first() {
            if self.literal_left > 0 {
                let left = usize::try_from(self.literal_left).unwrap_or(usize::MAX);
                let (literal, rest) = bytes.split_at(left.min(bytes.len()));
                self.literal_left -= u64::try_from(literal.len()).unwrap_or(0);
                bytes = rest;
            } else {
                self.text_byte(*byte)?;
                bytes = rest;
            }
        }
        Ok(())
    }

    fn text_byte(&mut self, byte: u8) -> Result<(), Excess> {
        self.text += 1;
        if self.text > MAX_TEXT {
            return Err(Excess::Text);
        }
        let last = std::mem::replace(&mut self.last, byte);
        if byte >= 0x80 && last == b']' {
            return Err(Excess::Form);
        }
        if byte == b'(' {
            self.opened += 1;
            if self.opened > MAX_PARENTHESES {
                return Err(Excess::Nesting);
            }
        }
        if byte == b'\n' {
            return if last == b'\r' { self.end_of_line() } else { Err(Excess::Form) };
        }
        if last == b'\r' {
            return Err(Excess::Form);
        }
        self.start = self.start.after(byte);
        if self.start == Start::Fetch {
            self.fetch_byte(byte)?;
        }
        self.size = match (self.size, byte) {
            (_, b'{') if last == b' ' || self.start != Start::Fetch => Size::Digits(0),
            // imap-proto may read more than a literal from here.
            (_, b'{') if self.quotes == Quotes::Outside => return Err(Excess::Form),
            (Size::Digits(size), b'0'..=b'9') => {
                let size = size.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                Size::Digits(size)
            }
            // `{12+}` is for clients, and no number is none.
            (Size::Digits(size), b'}') if last != b'{' => Size::Closed(size),
            (Size::Closed(size), b'\r') => Size::EndsLine(size),
            (Size::None | Size::Digits(_) | Size::Closed(_) | Size::EndsLine(_), _) => Size::None,
        };
        Ok(())
    }

    /// Quotes and lists of a FETCH response.
    fn fetch_byte(&mut self, byte: u8) -> Result<(), Excess> {
        self.quotes = match (self.quotes, byte) {
            (Quotes::Outside, b'"') => Quotes::Inside,
            (Quotes::Inside | Quotes::Escape, b'\r') => return Err(Excess::Form),
            (Quotes::Inside, b'"') => Quotes::Outside,
            (Quotes::Inside, b'\\') => Quotes::Escape,
            (Quotes::Escape, _) => Quotes::Inside,
            (quotes, _) => quotes,
        };
        if self.quotes == Quotes::Outside {
            match byte {
                b'(' => self.depth += 1,
                b')' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<(), Excess> {
        match self.size {
            Size::EndsLine(size) if self.start == Start::Fetch && self.depth == 1 => {
                if size > self.max_literal {
                    return Err(Excess::Literal);
                }
                self.literal_left = size;
                (self.size, self.last) = (Size::None, 0);
                Ok(())
            }
            Size::EndsLine(_) => Err(Excess::Form),
            Size::None | Size::Digits(_) | Size::Closed(_) => {
                let Self { bytes_left, max_literal, .. } = *self;
                *self = Self { bytes_left, max_literal, ..Self::default() };
                Ok(())
            }
        }
    }
}

impl Start {
    fn after(self, byte: u8) -> Self {
        const WORD: &[u8] = b" FETCH ";
        match self {
            Self::Nothing if byte == b'*' => Self::Star,
            Self::Star if byte == b' ' => Self::Space,
            Self::Space | Self::Number if byte.is_ascii_digit() => Self::Number,
            Self::Number if byte == b' ' => Self::Word(1),
            Self::Word(read) => match WORD.get(read) {
                Some(letter) if byte.eq_ignore_ascii_case(letter) => Self::Word(read + 1),
                None if byte == b'(' => Self::Fetch,
                Some(_) | None => Self::Other,
            },
            Self::Fetch => Self::Fetch,
            Self::Nothing | Self::Star | Self::Space | Self::Number | Self::Other => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests;
