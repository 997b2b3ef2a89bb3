//! The connection: commands out, bounded replies in, a deadline on every wait.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Malformed, SmtpError, Step};
use super::reply::{Line, Reply};
use mailroom_net::redact::Secrets;

/// The longest line of a reply, in bytes: four times what RFC 5321 §4.5.3.1.5 allows.
const MAX_LINE: usize = 2048;

/// The most lines of a reply: EHLO's has some twenty.
const MAX_LINES: usize = 100;

/// How long a server may be silent until we are logged in.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// How long it may be silent after that: it looks recipients up elsewhere, and tarpits take their time. RFC 5321 §4.5.3.2
/// asks for minutes, which a function has not for each command.
pub(super) const LOOKUP_SILENCE: Duration = Duration::from_secs(75);

/// Bytes read at once.
const READ_BYTES: usize = 4 * 1024;

pub(super) struct Connection<S> {
    stream: S,
    /// Read, and from `start` on not yet used.
    buffer: Vec<u8>,
    start: usize,
    pub(super) deadline: Instant,
    /// How long a server may be silent now.
    pub(super) silence: Duration,
    pub(super) secrets: Secrets,
}

/// A reply with its lines as they came, for those that mean more than words.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) lines: Vec<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, deadline: Instant) -> Self {
        Self { stream, buffer: Vec::new(), start: 0, deadline, silence: SILENCE, secrets: Secrets::default() }
    }

    /// The stream, for TLS to begin on it.
    ///
    /// Whatever the server sent ahead came over plain text and would be taken for what it says under TLS.
    pub(super) fn into_bare_stream(self) -> Result<S, SmtpError> {
        if self.start < self.buffer.len() {
            return Err(SmtpError::Malformed { step: Step::StartTls, what: Malformed::Injection });
        }
        Ok(self.stream)
    }

    /// Sends a line and waits for the reply to it.
    pub(super) async fn command(&mut self, line: &str, step: Step) -> Result<Answer, SmtpError> {
        self.send(line, step).await?;
        self.answer(step).await
    }

    /// Sends a line.
    pub(super) async fn send(&mut self, line: &str, step: Step) -> Result<(), SmtpError> {
        self.write(format!("{line}\r\n").as_bytes(), step).await
    }

    /// Sends bytes as they are.
    pub(super) async fn write(&mut self, bytes: &[u8], step: Step) -> Result<(), SmtpError> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline, timeout(SILENCE, sending)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(source))) => Err(SmtpError::Broken { step, source }),
            Err(_) | Ok(Err(_)) => Err(SmtpError::Timeout(step)),
        }
    }

    /// Fails if the server has hung up, or has said something that nobody has asked for. Does not wait.
    pub(super) async fn check_alive(&mut self, step: Step) -> Result<(), SmtpError> {
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            match timeout(Duration::ZERO, self.stream.read_buf(&mut self.buffer)).await {
                // Nothing: as it should be.
                Err(_) => return Ok(()),
                Ok(Ok(0)) => return Err(SmtpError::HungUp(step)),
                Ok(Ok(_)) => {}
                Ok(Err(source)) => return Err(SmtpError::Broken { step, source }),
            }
        }
        let reply = self.answer(step).await?.reply;
        Err(SmtpError::Refused { step, reply })
    }

    /// Waits for a reply, whatever it says.
    pub(super) async fn answer(&mut self, step: Step) -> Result<Answer, SmtpError> {
        let malformed = |what| SmtpError::Malformed { step, what };
        let mut code = None;
        let mut lines = Vec::new();
        loop {
            let raw = self.line(step).await?;
            let line = Line::parse(&raw).ok_or_else(|| malformed(Malformed::NoReply))?;
            if code.is_some_and(|code| code != line.code) {
                return Err(malformed(Malformed::Contradiction));
            }
            if lines.len() >= MAX_LINES {
                return Err(malformed(Malformed::TooLong));
            }
            code = Some(line.code);
            lines.push(line.text.to_vec());
            if line.last {
                let reply = Reply::new(line.code, &lines, &self.secrets);
                return Ok(Answer { reply, lines });
            }
        }
    }

    /// Reads a line, without its end.
    async fn line(&mut self, step: Step) -> Result<Vec<u8>, SmtpError> {
        let mut line = Vec::new();
        loop {
            let unread = self.buffer.get(self.start..).unwrap_or_default();
            let end = unread.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(unread.len(), |end| end + 1);
            if line.len() + taken > MAX_LINE {
                return Err(SmtpError::Malformed { step, what: Malformed::TooLong });
            }
            line.extend_from_slice(unread.get(..taken).unwrap_or(unread));
            self.start += taken;
            if end.is_some() {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            self.fill(step).await?;
        }
    }

    /// Reads more into the empty buffer.
    async fn fill(&mut self, step: Step) -> Result<(), SmtpError> {
        self.buffer.clear();
        self.start = 0;
        self.buffer.reserve_exact(READ_BYTES);
        let reading = self.stream.read_buf(&mut self.buffer);
        match timeout_at(self.deadline, timeout(self.silence, reading)).await {
            Ok(Ok(Ok(0))) => Err(SmtpError::HungUp(step)),
            Ok(Ok(Ok(_))) => Ok(()),
            // Without TLS's own farewell: as many servers hang up.
            Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(SmtpError::HungUp(step))
            }
            Ok(Ok(Err(source))) => Err(SmtpError::Broken { step, source }),
            Err(_) | Ok(Err(_)) => Err(SmtpError::Timeout(step)),
        }
    }
}
