//! The connection: sends whole flights of commands, reads bounded responses, and has a deadline for every wait.
//!
//! A response is a line that may contain literals (RFC 9051 §4.3). It is split into text and literals before anything
//! is parsed: the text has a bound, each literal has the bound of what was requested, and a literal's bytes go straight
//! into the vector that the caller keeps.

mod read;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Code, ImapError, Malformed, Refusal, Reply, Spoken, Step};
use super::frame::{Status, Tag};
use super::response::{Capabilities, Response, ResponseCode, StatusLine};
use mailroom_net::redact::Redactor;

/// The largest literal that was not requested, in bytes: a server may send any string as a literal.
const MAX_UNREQUESTED_LITERAL: u64 = 16 * 1024;

/// The most bytes that a server may send in one operation: a listing of a million messages has 100 MB, so a server that
/// sends more does not intend to end.
const MAX_OPERATION: u64 = 256 * 1024 * 1024;

/// How long to wait for the server's next bytes.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// Tells the server which program this is (RFC 2971), and nothing about its user.
const ID: &str = concat!("ID (\"name\" \"Mailroom\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")");

/// How long to wait for the tagged response after BYE.
const BYE_TIME: Duration = Duration::from_secs(2);

/// Bytes of a large argument written at once. Each chunk has its own [`MAX_SILENCE`], so 550 bytes a second suffice.
const WRITE_CHUNK: usize = 16 * 1024;

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
    /// Commands that still lack their tagged response. If it is not 0 between two operations, one was cut off in the
    /// middle and the state of the stream is unknown.
    outstanding: u32,
    /// The error after which the session cannot be used any more.
    failure: Option<ImapError>,
    /// When the current step has to have made [`MIN_PROGRESS`].
    progress_due: Option<Instant>,
    /// Bytes of what was requested since then.
    progress: u64,
    /// Bytes of the text of the last response.
    last_length: u64,
    identification: Identification,
}

/// How far the client has told which program it is. NetEase opens no mailbox before (163.com, 126.com, yeah.net: `NO
/// EXAMINE Unsafe Login. Please contact kefu@188.com for help`, since 2021).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identification {
    /// The server has not announced ID.
    Unknown,
    /// The server has announced ID.
    Announced,
    /// ID goes out before the next command, in the same flight.
    Due,
    /// ID is sent. Nobody waits for the answer to this command.
    Sent(Tag),
    /// ID is answered, in whatever way.
    Answered,
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
            failure: None,
            progress_due: None,
            progress: 0,
            last_length: 0,
            identification: Identification::Unknown,
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
    /// When an operation before it failed in the middle: its error again, or [`ImapError::Spent`] if it was cut off.
    pub(super) fn begin_operation(&mut self) -> Result<(), ImapError> {
        self.max_literal = MAX_UNREQUESTED_LITERAL;
        self.readable = MAX_OPERATION;
        if let Some(failure) = &self.failure {
            return Err(failure.again());
        }
        if self.outstanding > 0 || !self.out.is_empty() { Err(ImapError::Spent) } else { Ok(()) }
    }

    /// Keeps an error after which the session cannot be used.
    fn keep_failure<T>(&mut self, result: Result<T, ImapError>) -> Result<T, ImapError> {
        if let Err(error) = &result {
            let goes_on = self.outstanding == 0
                && matches!(error, ImapError::Refused { reply, .. } if reply.refusal != Refusal::Bye);
            if !goes_on && self.failure.is_none() {
                self.failure = Some(error.again());
            }
        }
        result
    }

    /// Sends ID together with the next command, where the server has announced it.
    pub(super) fn identify(&mut self) {
        if self.identification == Identification::Announced {
            self.identification = Identification::Due;
        }
    }

    fn note_line(&mut self, line: &StatusLine) {
        if let ResponseCode::Capability(capabilities) = &line.code {
            self.note_capabilities(capabilities);
        }
    }

    fn note_capabilities(&mut self, capabilities: &Capabilities) {
        if self.identification == Identification::Unknown && capabilities.has("ID") {
            self.identification = Identification::Announced;
        }
    }

    /// Adds a command to the flight.
    pub(super) fn command(&mut self, text: &str) -> Tag {
        let tag = self.start_command(text);
        self.push(b"\r\n");
        tag
    }

    /// Adds the tag and the first part of a command; the rest follows by [`Self::push`].
    pub(super) fn start_command(&mut self, text: &str) -> Tag {
        if self.identification == Identification::Due {
            self.last_tag += 1;
            self.identification = Identification::Sent(Tag(self.last_tag));
            self.out.extend_from_slice(format!("M{} {ID}\r\n", self.last_tag).as_bytes());
        }
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
        let flushed = self.try_flush(step).await;
        (self.progress_due, self.progress) = (None, 0);
        self.keep_failure(flushed)
    }

    async fn try_flush(&mut self, step: Step) -> Result<(), ImapError> {
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
                self.keep_failure(Err(ImapError::Malformed { step, what: Malformed::Continuation }))
            }
        }
    }

    /// Waits for the tagged OK of one of these commands, in any order, or for `+`.
    pub(super) async fn progress(
        &mut self,
        tags: &[Tag],
        step: Step,
        sink: impl FnMut(Response) -> Result<(), Malformed>,
    ) -> Result<Progress, ImapError> {
        let progress = self.try_progress(tags, step, sink).await;
        // Each tagged response ends a step.
        (self.progress_due, self.progress) = (None, 0);
        self.keep_failure(progress)
    }

    async fn try_progress(
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
                Response::Tagged(theirs, _, _) if self.identification == Identification::Sent(theirs) => {
                    self.identification = Identification::Answered;
                    continue;
                }
                Response::Tagged(theirs, status, line) => {
                    self.note_line(&line);
                    (theirs, status.refusal(), line)
                }
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
                response @ (Response::Status(..) | Response::Expunge | Response::Other) => {
                    sink(response).map_err(malformed)?;
                    continue;
                }
                response @ (Response::Exists(_)
                | Response::Capability(_)
                | Response::Fetch(_)
                | Response::List(_)
                | Response::Search(_)
                | Response::Unseen(_)) => {
                    self.progress = self.progress.saturating_add(self.last_length);
                    if let Response::Capability(capabilities) = &response {
                        self.note_capabilities(capabilities);
                    }
                    sink(response).map_err(malformed)?;
                    continue;
                }
            };
            if !tags.contains(&theirs) {
                return Err(malformed(Malformed::ForeignTag));
            }
            self.outstanding -= 1;
            let Some(refusal) = refusal else {
                // After BYE the connection is over, even if this command succeeded.
                return match untagged_refusal.filter(|reply| reply.refusal == Refusal::Bye) {
                    Some(reply) => Err(ImapError::Refused { step, reply }),
                    None => Ok(Progress::Completed(theirs, line)),
                };
            };
            let left = untagged_refusal.as_ref().is_some_and(|reply| reply.refusal == Refusal::Bye);
            let expunged = line.code.known() == Some(Code::ExpungeIssued)
                && matches!(step, Step::Fetch | Step::Store | Step::Move);
            // Some of the messages were expunged; the command was done for the others (RFC 2180 §4.1.2, RFC 5530 §3).
            if refusal == Refusal::No && expunged && !left {
                return Ok(Progress::Completed(theirs, line));
            }
            let mut reply = self.reply(refusal, &line);
            reply.take_address(untagged_refusal);
            return Err(ImapError::Refused { step, reply });
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
        self.note_line(&line);
        // NetEase has ID, and its greeting has no capabilities to say so.
        if String::from_utf8_lossy(&line.text).to_ascii_lowercase().contains("coremail") {
            self.note_capabilities(&Capabilities::of("ID"));
        }
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
}
