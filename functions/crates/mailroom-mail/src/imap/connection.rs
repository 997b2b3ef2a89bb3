//! The connection: whole flights out, bounded responses in, a deadline on every wait.
//!
//! A response is a line, with literals in it (RFC 9051 §4.3). It is taken apart here, before anything is parsed: the
//! text has a bound, each literal has the bound of what was asked for, and a literal's bytes go straight into the
//! vector that the caller keeps.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Code, ImapError, Malformed, Refusal, Reply, Step};
use super::frame::{Frame, LITERAL, Status, Tag};
use super::response::{Response, StatusLine};
use mailroom_net::redact::Secrets;

/// The most text of one response, in bytes, its literals apart. The longest honest ones list capabilities and flags.
const MAX_TEXT: usize = 64 * 1024;

/// The literals of one response: what we ask for has one.
const MAX_LITERALS: usize = 16;

/// The largest literal where none was asked for: a server may send any string as one.
const MAX_UNASKED_LITERAL: u64 = 16 * 1024;

/// What a server may send in one operation, in bytes: a listing of a million messages has 100 MB. Whoever sends more
/// does not mean to end.
const MAX_OPERATION: u64 = 256 * 1024 * 1024;

/// How long a server may be silent while we wait for it.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a server that said BYE may take to answer what it has been asked.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes sent at once of what is large. Each piece has its own [`SILENCE`]: 550 bytes a second are enough.
const PIECE: usize = 16 * 1024;

/// Bytes read at once. Lines are short; literals have a buffer of their own.
const READ_BYTES: usize = 8 * 1024;

/// What a command came to, for now.
pub(super) enum Answer {
    /// `+`: the server waits for more of it, and may say why.
    Continuation(Vec<u8>),
    /// The tagged OK of this one.
    Done(Tag, StatusLine),
}

pub(super) struct Connection<S> {
    stream: S,
    /// Read, and from `start` on not yet used.
    buffer: Vec<u8>,
    start: usize,
    /// Written, and not yet sent.
    out: Vec<u8>,
    pub(super) deadline: Instant,
    pub(super) secrets: Secrets,
    /// The largest literal that the commands under way may bring.
    pub(super) max_literal: u64,
    /// What may still be read in this operation.
    readable: u64,
    last_tag: u32,
    /// Commands without their tagged answer. Not 0 between operations: one failed in the middle, and the stream is
    /// where nobody knows.
    outstanding: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, deadline: Instant) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            out: Vec::new(),
            deadline,
            secrets: Secrets::default(),
            max_literal: MAX_UNASKED_LITERAL,
            readable: MAX_OPERATION,
            last_tag: 0,
            outstanding: 0,
        }
    }

    /// The stream, for TLS to begin on it.
    ///
    /// Whatever the server sent ahead came over plain text and would be taken for what it says under TLS.
    pub(super) fn into_bare_stream(self) -> Result<S, ImapError> {
        if self.start < self.buffer.len() {
            return Err(ImapError::Malformed { step: Step::StartTls, what: Malformed::Injection });
        }
        Ok(self.stream)
    }

    /// Begins an operation: literals are small until it says otherwise.
    pub(super) fn begin(&mut self) -> Result<(), ImapError> {
        self.max_literal = MAX_UNASKED_LITERAL;
        self.readable = MAX_OPERATION;
        if self.outstanding > 0 || !self.out.is_empty() { Err(ImapError::Spent) } else { Ok(()) }
    }

    /// Adds a command to the flight.
    pub(super) fn command(&mut self, text: &str) -> Tag {
        let tag = self.command_part(text);
        self.part(b"\r\n");
        tag
    }

    /// Adds the first part of a command that has more.
    pub(super) fn command_part(&mut self, text: &str) -> Tag {
        self.last_tag += 1;
        self.outstanding += 1;
        self.out.extend_from_slice(format!("M{} {text}", self.last_tag).as_bytes());
        Tag(self.last_tag)
    }

    /// Adds more of the last command.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Adds much to the last command, and sends most of it: a wait for each piece, so that a slow link is no silence.
    pub(super) async fn long_part(&mut self, bytes: &[u8], step: Step) -> Result<(), ImapError> {
        for piece in bytes.chunks(PIECE) {
            if self.out.len() >= PIECE {
                self.flush(step).await?;
            }
            self.part(piece);
        }
        Ok(())
    }

    /// Why a command could not be sent to its end: what the server has said of it, or else `error`.
    ///
    /// Whoever refuses half-way through a literal may just stop reading. What was not sent has spent the connection.
    pub(super) async fn refusal_or(&mut self, tag: Tag, step: Step, error: ImapError) -> ImapError {
        match timeout(FAREWELL * 2, self.answer(&[tag], step, |_| Ok(()))).await {
            Ok(Err(refused @ ImapError::Refused { .. })) => refused,
            Ok(Ok(_) | Err(_)) | Err(_) => error,
        }
    }

    /// Sends the flight, in one write.
    pub(super) async fn flush(&mut self, step: Step) -> Result<(), ImapError> {
        let sending = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline, timeout(SILENCE, sending)).await {
            Ok(Ok(Ok(()))) => {
                self.out.clear();
                Ok(())
            }
            Ok(Ok(Err(source))) => Err(ImapError::Broken { step, source }),
            Err(_) | Ok(Err(_)) => Err(ImapError::Timeout(step)),
        }
    }

    /// Sends what there is and ends the stream, without waiting for the other side.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.stream.write_all(&self.out).await?;
        self.stream.shutdown().await
    }

    /// Waits for the tagged OK of a command. What comes before it goes to `sink`.
    pub(super) async fn complete(
        &mut self,
        tag: Tag,
        step: Step,
        sink: impl FnMut(Response) -> Result<(), Malformed>,
    ) -> Result<StatusLine, ImapError> {
        match self.answer(&[tag], step, sink).await? {
            Answer::Done(_, line) => Ok(line),
            Answer::Continuation(_) => Err(ImapError::Malformed { step, what: Malformed::Continuation }),
        }
    }

    /// Waits for the tagged OK of one of these commands, in whatever order they are done, or for `+`.
    pub(super) async fn answer(
        &mut self,
        tags: &[Tag],
        step: Step,
        mut sink: impl FnMut(Response) -> Result<(), Malformed>,
    ) -> Result<Answer, ImapError> {
        let malformed = |what| ImapError::Malformed { step, what };
        // What the server said of itself, should it say nothing more.
        let mut untagged_refusal: Option<Reply> = None;
        loop {
            let leaving = untagged_refusal.as_ref().is_some_and(|reply| reply.refusal == Refusal::Bye);
            let silence = if leaving { FAREWELL } else { SILENCE };
            let response = match self.next(step, silence).await {
                Ok(response) => response,
                Err(error @ (ImapError::HungUp(_) | ImapError::Broken { .. } | ImapError::Timeout(_))) => {
                    return Err(untagged_refusal.map_or(error, |reply| ImapError::Refused { step, reply }));
                }
                Err(error) => return Err(error),
            };
            let (theirs, refusal, line) = match response {
                Response::Tagged(theirs, status, line) => (theirs, status.refusal(), line),
                Response::Status(Status::Bye, line) => {
                    untagged_refusal = Some(self.reply(Refusal::Bye, &line));
                    continue;
                }
                Response::Status(status @ (Status::No | Status::Bad), line) => {
                    let reply = self.reply(status.refusal().unwrap_or(Refusal::No), &line);
                    if reply.throttled && untagged_refusal.is_none() {
                        untagged_refusal = Some(reply);
                    }
                    continue;
                }
                Response::Continuation(challenge) => return Ok(Answer::Continuation(challenge)),
                response @ (Response::Status(..)
                | Response::Exists(_)
                | Response::Capability(_)
                | Response::Fetch(_)
                | Response::List(_)
                | Response::Search(_)
                | Response::Unseen(_)
                | Response::Other) => {
                    sink(response).map_err(malformed)?;
                    continue;
                }
            };
            if !tags.contains(&theirs) {
                return Err(malformed(Malformed::ForeignTag));
            }
            self.outstanding -= 1;
            return match (refusal, untagged_refusal.filter(|reply| reply.refusal == Refusal::Bye)) {
                // Some of the messages are gone; with the others all is done (RFC 2180 §4.1.2, RFC 5530 §3).
                (Some(Refusal::No), None)
                    if line.code.known() == Some(Code::ExpungeIssued)
                        && matches!(step, Step::Fetch | Step::Store | Step::Move) =>
                {
                    Ok(Answer::Done(theirs, line))
                }
                (Some(refusal), _) => Err(ImapError::Refused { step, reply: self.reply(refusal, &line) }),
                // It is gone, whatever it says of the command.
                (None, Some(reply)) => Err(ImapError::Refused { step, reply }),
                (None, None) => Ok(Answer::Done(theirs, line)),
            };
        }
    }

    /// Waits for the server's first line.
    pub(super) async fn greeting(&mut self) -> Result<(Status, StatusLine), ImapError> {
        let step = Step::Greeting;
        let malformed = || ImapError::Malformed { step, what: Malformed::Greeting };
        let response = match self.next(step, SILENCE).await {
            Ok(response) => response,
            // Whatever it is, it is another protocol.
            Err(ImapError::Malformed { .. }) => return Err(malformed()),
            Err(error) => return Err(error),
        };
        let Response::Status(status, line) = response else { return Err(malformed()) };
        match status {
            Status::Ok | Status::Preauth => Ok((status, line)),
            Status::No | Status::Bad | Status::Bye => {
                let refusal = status.refusal().unwrap_or(Refusal::Bye);
                Err(ImapError::Refused { step, reply: self.reply(refusal, &line) })
            }
        }
    }

    fn reply(&self, refusal: Refusal, line: &StatusLine) -> Reply {
        Reply::new(refusal, line.code.known(), &line.text, &self.secrets)
    }

    async fn next(&mut self, step: Step, silence: Duration) -> Result<Response, ImapError> {
        loop {
            let frame = self.frame(step, silence).await?;
            // Blank lines between responses are noise that harms nobody.
            if !frame.text.is_empty() {
                return Response::parse(frame).map_err(|what| ImapError::Malformed { step, what });
            }
        }
    }

    /// Reads one response: its text with a [`LITERAL`] in the place of each literal.
    async fn frame(&mut self, step: Step, silence: Duration) -> Result<Frame, ImapError> {
        let malformed = |what| ImapError::Malformed { step, what };
        let mut frame = Frame::default();
        let mut literal_bytes = 0_u64;
        loop {
            let line_start = frame.text.len();
            self.line(&mut frame.text, step, silence).await?;
            for byte in frame.text.iter_mut().skip(line_start).filter(|byte| **byte == LITERAL) {
                *byte = b'?';
            }
            let Some((brace, length)) = frame.announced_literal(line_start) else { return Ok(frame) };
            literal_bytes = literal_bytes.saturating_add(length);
            if literal_bytes > self.max_literal.max(MAX_UNASKED_LITERAL)
                || frame.literals.len() >= MAX_LITERALS
            {
                return Err(malformed(Malformed::LongLiteral));
            }
            let length = usize::try_from(length).map_err(|_| malformed(Malformed::LongLiteral))?;
            frame.text.truncate(brace);
            frame.text.push(LITERAL);
            frame.literals.push(self.literal(length, step, silence).await?);
        }
    }

    /// Appends a line to `text`, without its end.
    async fn line(&mut self, text: &mut Vec<u8>, step: Step, silence: Duration) -> Result<(), ImapError> {
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
            self.fill(step, silence).await?;
        }
    }

    /// Reads a literal. Memory is taken as its bytes arrive.
    async fn literal(&mut self, length: usize, step: Step, silence: Duration) -> Result<Vec<u8>, ImapError> {
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
            let mut rest = (&mut self.stream).take(u64::try_from(missing).unwrap_or(u64::MAX));
            let reading = rest.read_buf(&mut literal);
            let read = waited(timeout_at(self.deadline, timeout(silence, reading)).await, step)?;
            self.note_read(read, step)?;
        }
        Ok(literal)
    }

    /// Reads more into the empty buffer.
    async fn fill(&mut self, step: Step, silence: Duration) -> Result<(), ImapError> {
        self.buffer.clear();
        self.start = 0;
        self.buffer.reserve_exact(READ_BYTES);
        let reading = self.stream.read_buf(&mut self.buffer);
        let read = waited(timeout_at(self.deadline, timeout(silence, reading)).await, step)?;
        self.note_read(read, step)
    }

    fn note_read(&mut self, bytes: usize, step: Step) -> Result<(), ImapError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.readable = self
            .readable
            .checked_sub(bytes)
            .ok_or(ImapError::Malformed { step, what: Malformed::Endless })?;
        Ok(())
    }
}

/// What came of a read: how many bytes, at least one, or an error.
fn waited<E, F>(read: Result<Result<io::Result<usize>, F>, E>, step: Step) -> Result<usize, ImapError> {
    match read {
        Ok(Ok(Ok(0))) => Err(ImapError::HungUp(step)),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        // Without TLS's own farewell: as many servers hang up.
        Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ImapError::HungUp(step)),
        Ok(Ok(Err(source))) => Err(ImapError::Broken { step, source }),
        Err(_) | Ok(Err(_)) => Err(ImapError::Timeout(step)),
    }
}
