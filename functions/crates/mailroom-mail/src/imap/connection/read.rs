//! Reads responses: lines with their literals, bounded before they are stored, and with a time for everything.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Connection, MAX_UNREQUESTED_LITERAL};
use crate::imap::error::{ImapError, Malformed, Step};
use crate::imap::frame::{Frame, LITERAL};
use crate::imap::response::Response;

/// The most text of one response, in bytes, without its literals. The longest honest ones list capabilities and flags.
const MAX_TEXT: usize = 64 * 1024;

/// The most literals of one response: the requested ones have one.
const MAX_LITERALS: usize = 16;

/// Bytes read at once. Lines are short; literals have a buffer of their own.
const READ_BYTES: usize = 8 * 1024;

/// How long a step may take, or go on without [`MIN_PROGRESS`]: a server that drips bytes, or says `* OK Hang in there`
/// for ever, is as useless as a silent one.
const PROGRESS_TIME: Duration = Duration::from_secs(30);

/// The fewest bytes of what was requested within [`PROGRESS_TIME`], at 100 bytes a second.
const MIN_PROGRESS: u64 = 3_000;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) async fn next_response(
        &mut self,
        step: Step,
        silence: Duration,
    ) -> Result<Response, ImapError> {
        let frame = self.next_frame(step, silence).await?;
        self.last_length = u64::try_from(frame.text.len()).unwrap_or(u64::MAX);
        Response::parse(frame).map_err(|what| ImapError::Malformed { step, what })
    }

    pub(super) async fn next_frame(&mut self, step: Step, silence: Duration) -> Result<Frame, ImapError> {
        loop {
            let frame = self.read_frame(step, silence).await?;
            // Blank lines between responses are harmless.
            if !frame.text.is_empty() {
                return Ok(frame);
            }
        }
    }

    /// Reads one response, with [`LITERAL`] in its text in place of each literal.
    async fn read_frame(&mut self, step: Step, silence: Duration) -> Result<Frame, ImapError> {
        let malformed = |what| ImapError::Malformed { step, what };
        let mut frame = Frame::default();
        let mut literal_bytes = 0_u64;
        loop {
            let line_start = frame.text.len();
            self.read_line(&mut frame.text, step, silence).await?;
            for byte in frame.text.iter_mut().skip(line_start).filter(|byte| **byte == LITERAL) {
                *byte = b'?';
            }
            let Some((brace, length)) = frame.trailing_literal(line_start) else { return Ok(frame) };
            literal_bytes = literal_bytes.saturating_add(length);
            if literal_bytes > self.max_literal.max(MAX_UNREQUESTED_LITERAL)
                || frame.literals.len() >= MAX_LITERALS
            {
                return Err(malformed(Malformed::LongLiteral));
            }
            let length = usize::try_from(length).map_err(|_| malformed(Malformed::LongLiteral))?;
            frame.text.truncate(brace);
            frame.text.push(LITERAL);
            frame.literals.push(self.read_literal(length, step, silence).await?);
        }
    }

    /// Appends a line to `text`, without its end.
    async fn read_line(
        &mut self,
        text: &mut Vec<u8>,
        step: Step,
        silence: Duration,
    ) -> Result<(), ImapError> {
        loop {
            let unread = self.buffer.get(self.start..).unwrap_or_default();
            let end = unread.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(unread.len(), |end| end + 1);
            if text.len() + taken > MAX_TEXT {
                return Err(ImapError::Malformed { step, what: Malformed::LongLine });
            }
            text.extend_from_slice(unread.get(..taken).unwrap_or(unread));
            self.start += taken;
            if end.is_some() {
                text.pop();
                if text.last() == Some(&b'\r') {
                    text.pop();
                }
                return Ok(());
            }
            self.fill_buffer(step, silence).await?;
        }
    }

    /// Reads a literal. Allocates as its bytes arrive, not by the announced length.
    async fn read_literal(
        &mut self,
        length: usize,
        step: Step,
        silence: Duration,
    ) -> Result<Vec<u8>, ImapError> {
        let unread = self.buffer.get(self.start..).unwrap_or_default();
        let ready = unread.get(..length).unwrap_or(unread);
        let mut literal = Vec::with_capacity(length.min(READ_BYTES.max(ready.len())));
        literal.extend_from_slice(ready);
        self.start += literal.len();
        while literal.len() < length {
            let missing = length - literal.len();
            if literal.capacity() == literal.len() {
                literal.reserve_exact(missing.min(literal.len().max(READ_BYTES)));
            }
            let end = self.read_end(silence);
            let mut rest = (&mut self.stream).take(u64::try_from(missing).unwrap_or(u64::MAX));
            let read = match timeout_at(end, rest.read_buf(&mut literal)).await {
                Ok(read) => read_result(read, step)?,
                Err(_) => {
                    self.go_on(end, step)?;
                    continue;
                }
            };
            self.count_read(read, step)?;
            self.progress = self.progress.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        }
        Ok(literal)
    }

    /// Reads more into the empty buffer.
    async fn fill_buffer(&mut self, step: Step, silence: Duration) -> Result<(), ImapError> {
        self.buffer.clear();
        self.start = 0;
        self.buffer.reserve_exact(READ_BYTES);
        loop {
            let end = self.read_end(silence);
            match timeout_at(end, self.stream.read_buf(&mut self.buffer)).await {
                Ok(read) => return self.count_read(read_result(read, step)?, step),
                Err(_) => self.go_on(end, step)?,
            }
        }
    }

    /// When a read has to end: the next of the deadline, the end of the silence and the time for progress.
    fn read_end(&mut self, silence: Duration) -> Instant {
        // The timer's own clock.
        let due = *self.progress_due.get_or_insert_with(|| sleep(PROGRESS_TIME).deadline());
        self.deadline.min(due).min(sleep(silence).deadline())
    }

    /// Goes on after a read that had to end at `end`, if that was to look for progress and there was enough.
    fn go_on(&mut self, end: Instant, step: Step) -> Result<(), ImapError> {
        if self.progress_due != Some(end) || self.deadline <= end || self.progress < MIN_PROGRESS {
            return Err(ImapError::Timeout(step));
        }
        (self.progress_due, self.progress) = (None, 0);
        Ok(())
    }

    fn count_read(&mut self, bytes: usize, step: Step) -> Result<(), ImapError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.readable = self
            .readable
            .checked_sub(bytes)
            .ok_or(ImapError::Malformed { step, what: Malformed::Endless })?;
        Ok(())
    }
}

/// The number of bytes of a read, at least one, or the reason why there are none.
fn read_result(read: io::Result<usize>, step: Step) -> Result<usize, ImapError> {
    match read {
        Ok(0) => Err(ImapError::HungUp(step)),
        Ok(bytes) => Ok(bytes),
        // Closed without TLS's close_notify, as many servers do.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ImapError::HungUp(step)),
        Err(source) => Err(ImapError::Broken { step, source }),
    }
}
