//! The connection: sends whole flights of commands, reads bounded responses, and has a deadline for every wait.
//!
//! A response is a line that may contain literals (RFC 9051 §4.3). It is split into text and literals before anything
//! is parsed: the text has a bound, each literal has the bound of what was requested, and a literal's bytes go straight
//! into the vector that the caller keeps.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Code, ImapError, Malformed, Refusal, Reply, Spoken, Step};
use super::frame::{Frame, LITERAL, Status, Tag};
use super::response::{Response, StatusLine};
use mailroom_net::redact::Redactor;

/// The most text of one response, in bytes, without its literals. The longest honest ones list capabilities and flags.
const MAX_TEXT: usize = 64 * 1024;

/// The most literals of one response: the requested ones have one.
const MAX_LITERALS: usize = 16;

/// The largest literal that was not requested, in bytes: a server may send any string as a literal.
const MAX_UNREQUESTED_LITERAL: u64 = 16 * 1024;

/// The most bytes that a server may send in one operation: a listing of a million messages has 100 MB, so a server that
/// sends more does not intend to end.
const MAX_OPERATION: u64 = 256 * 1024 * 1024;

/// How long to wait for the server's next bytes.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// How long to wait for the tagged response after BYE.
const BYE_TIME: Duration = Duration::from_secs(2);

/// Bytes of a large argument written at once. Each chunk has its own [`MAX_SILENCE`], so 550 bytes a second suffice.
const WRITE_CHUNK: usize = 16 * 1024;

/// Bytes read at once. Lines are short; literals have a buffer of their own.
const READ_BYTES: usize = 8 * 1024;

/// How far a command has come.
pub(super) enum Progress {
    /// `+`, a continuation request (RFC 9051 §7.6): the server waits for the rest of the command, or sends a challenge.
    ContinuationRequest(Vec<u8>),
    /// The tagged OK of this command.
    Completed(Tag, StatusLine),
}

pub(super) struct Connection<S> {
    stream: S,
    /// Bytes read from the stream; those from `start` on are not consumed yet.
    buffer: Vec<u8>,
    start: usize,
    /// Commands of the current flight, not yet sent.
    out: Vec<u8>,
    pub(super) deadline: Instant,
    pub(super) redactor: Redactor,
    /// The largest literal that the current commands requested, in bytes.
    pub(super) max_literal: u64,
    /// Bytes that may still be read in this operation.
    readable: u64,
    last_tag: u32,
    /// Commands that still lack their tagged response. If it is not 0 between two operations, one failed in the middle
    /// and the state of the stream is unknown.
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
            redactor: Redactor::default(),
            max_literal: MAX_UNREQUESTED_LITERAL,
            readable: MAX_OPERATION,
            last_tag: 0,
            outstanding: 0,
        }
    }

    /// The plain stream, to begin TLS on.
    ///
    /// # Errors
    /// When bytes from before TLS are still unread: they would be taken for the server's responses under TLS.
    pub(super) fn into_plain_stream(self) -> Result<S, ImapError> {
        if self.start < self.buffer.len() {
            return Err(ImapError::Malformed { step: Step::StartTls, what: Malformed::Injection });
        }
        Ok(self.stream)
    }

    /// Begins an operation: resets its bounds.
    ///
    /// # Errors
    /// [`ImapError::Spent`] when an operation before it failed in the middle.
    pub(super) fn begin_operation(&mut self) -> Result<(), ImapError> {
        self.max_literal = MAX_UNREQUESTED_LITERAL;
        self.readable = MAX_OPERATION;
        if self.outstanding > 0 || !self.out.is_empty() { Err(ImapError::Spent) } else { Ok(()) }
    }

    /// Adds a command to the flight.
    pub(super) fn command(&mut self, text: &str) -> Tag {
        let tag = self.start_command(text);
        self.push(b"\r\n");
        tag
    }

    /// Adds the tag and the first part of a command; the rest follows by [`Self::push`].
    pub(super) fn start_command(&mut self, text: &str) -> Tag {
        self.last_tag += 1;
        self.outstanding += 1;
        self.out.extend_from_slice(format!("M{} {text}", self.last_tag).as_bytes());
        Tag(self.last_tag)
    }

    /// Adds bytes to the last command.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Adds many bytes to the last command and sends most of them, with a time limit for each chunk and none for the
    /// whole, so that a slow link is not taken for a silent server.
    pub(super) async fn push_in_chunks(&mut self, bytes: &[u8], step: Step) -> Result<(), ImapError> {
        for piece in bytes.chunks(WRITE_CHUNK) {
            if self.out.len() >= WRITE_CHUNK {
                self.flush(step).await?;
            }
            self.push(piece);
        }
        Ok(())
    }

    /// Why a command could not be sent to its end: the server's refusal of it, or else `error`.
    ///
    /// A server that refuses half-way through a literal may simply stop reading. The connection is unusable afterwards.
    pub(super) async fn refusal_or(&mut self, tag: Tag, step: Step, error: ImapError) -> ImapError {
        match timeout(BYE_TIME * 2, self.progress(&[tag], step, |_| Ok(()))).await {
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
        match timeout_at(self.deadline, timeout(MAX_SILENCE, sending)).await {
            Ok(Ok(Ok(()))) => {
                self.out.clear();
                Ok(())
            }
            Ok(Ok(Err(source))) => Err(ImapError::Broken { step, source }),
            Err(_) | Ok(Err(_)) => Err(ImapError::Timeout(step)),
        }
    }

    /// Sends the current flight and shuts the stream down, without waiting for the server.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.stream.write_all(&self.out).await?;
        self.stream.shutdown().await
    }

    /// Waits for the tagged OK of a command. Untagged responses before it go to `sink`.
    pub(super) async fn complete(
        &mut self,
        tag: Tag,
        step: Step,
        sink: impl FnMut(Response) -> Result<(), Malformed>,
    ) -> Result<StatusLine, ImapError> {
        match self.progress(&[tag], step, sink).await? {
            Progress::Completed(_, line) => Ok(line),
            Progress::ContinuationRequest(_) => {
                Err(ImapError::Malformed { step, what: Malformed::Continuation })
            }
        }
    }

    /// Waits for the tagged OK of one of these commands, in any order, or for `+`.
    pub(super) async fn progress(
        &mut self,
        tags: &[Tag],
        step: Step,
        mut sink: impl FnMut(Response) -> Result<(), Malformed>,
    ) -> Result<Progress, ImapError> {
        let malformed = |what| ImapError::Malformed { step, what };
        // An untagged BYE, throttling refusal or address to open: the reason, should the connection end without a tagged
        // response.
        let mut untagged_refusal: Option<Reply> = None;
        loop {
            let leaving = untagged_refusal.as_ref().is_some_and(|reply| reply.refusal == Refusal::Bye);
            let silence = if leaving { BYE_TIME } else { MAX_SILENCE };
            let response = match self.next_response(step, silence).await {
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
                    if reply.is_throttling() || reply.address.is_some() {
                        untagged_refusal.get_or_insert(reply);
                    }
                    continue;
                }
                Response::Continuation(challenge) => return Ok(Progress::ContinuationRequest(challenge)),
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
            let page = untagged_refusal.as_ref().and_then(|reply| Some((reply.code, reply.address.clone()?)));
            return match (refusal, untagged_refusal.filter(|reply| reply.refusal == Refusal::Bye)) {
                // Some of the messages were expunged; the command was done for the others (RFC 2180 §4.1.2, RFC 5530 §3).
                (Some(Refusal::No), None)
                    if line.code.known() == Some(Code::ExpungeIssued)
                        && matches!(step, Step::Fetch | Step::Store | Step::Move) =>
                {
                    Ok(Progress::Completed(theirs, line))
                }
                (Some(refusal), _) => {
                    let mut reply = self.reply(refusal, &line);
                    // Gmail sends `* NO [WEBALERT https://…]` before the tagged `NO [ALERT]`.
                    if let (Some(Code::Alert) | None, Some((code, address))) = (reply.code, page) {
                        (reply.code, reply.address) = (code, Some(address));
                    }
                    Err(ImapError::Refused { step, reply })
                }
                // After BYE the connection is over, even if this command succeeded.
                (None, Some(reply)) => Err(ImapError::Refused { step, reply }),
                (None, None) => Ok(Progress::Completed(theirs, line)),
            };
        }
    }

    /// Waits for the greeting (RFC 9051 §7.1).
    pub(super) async fn greeting(&mut self) -> Result<(Status, StatusLine), ImapError> {
        let step = Step::Greeting;
        let malformed = |spoken| ImapError::Malformed { step, what: Malformed::Greeting(spoken) };
        let frame = match self.next_frame(step, MAX_SILENCE).await {
            Ok(frame) => frame,
            // A first line that cannot be read is another protocol's.
            Err(ImapError::Malformed { .. }) => return Err(malformed(Spoken::Unknown)),
            Err(error) => return Err(error),
        };
        let spoken = Spoken::by(&frame.text);
        let Ok(Response::Status(status, line)) = Response::parse(frame) else {
            return Err(malformed(spoken));
        };
        match status {
            Status::Ok | Status::Preauth => Ok((status, line)),
            Status::No | Status::Bad | Status::Bye => {
                let refusal = status.refusal().unwrap_or(Refusal::Bye);
                Err(ImapError::Refused { step, reply: self.reply(refusal, &line) })
            }
        }
    }

    fn reply(&self, refusal: Refusal, line: &StatusLine) -> Reply {
        Reply::new(refusal, line, &self.redactor)
    }

    async fn next_response(&mut self, step: Step, silence: Duration) -> Result<Response, ImapError> {
        let frame = self.next_frame(step, silence).await?;
        Response::parse(frame).map_err(|what| ImapError::Malformed { step, what })
    }

    async fn next_frame(&mut self, step: Step, silence: Duration) -> Result<Frame, ImapError> {
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
            let mut rest = (&mut self.stream).take(u64::try_from(missing).unwrap_or(u64::MAX));
            let reading = rest.read_buf(&mut literal);
            let read = read_result(timeout_at(self.deadline, timeout(silence, reading)).await, step)?;
            self.count_read(read, step)?;
        }
        Ok(literal)
    }

    /// Reads more into the empty buffer.
    async fn fill_buffer(&mut self, step: Step, silence: Duration) -> Result<(), ImapError> {
        self.buffer.clear();
        self.start = 0;
        self.buffer.reserve_exact(READ_BYTES);
        let reading = self.stream.read_buf(&mut self.buffer);
        let read = read_result(timeout_at(self.deadline, timeout(silence, reading)).await, step)?;
        self.count_read(read, step)
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
fn read_result<E, F>(read: Result<Result<io::Result<usize>, F>, E>, step: Step) -> Result<usize, ImapError> {
    match read {
        Ok(Ok(Ok(0))) => Err(ImapError::HungUp(step)),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        // Closed without TLS's close_notify, as many servers do.
        Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ImapError::HungUp(step)),
        Ok(Ok(Err(source))) => Err(ImapError::Broken { step, source }),
        Err(_) | Ok(Err(_)) => Err(ImapError::Timeout(step)),
    }
}
