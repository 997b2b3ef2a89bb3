//! The connection: commands out, bounded replies in, a deadline on every wait.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Malformed, SmtpError, Step};
use super::reply::{Line, Reply};
use mailroom_net::redact::Redactor;

/// The longest line of a reply, in bytes: four times what RFC 5321 §4.5.3.1.5 allows.
const MAX_LINE: usize = 2048;

/// The most lines of a reply: EHLO's has some twenty.
const MAX_LINES: usize = 100;

/// How long to wait for the server's next bytes until the login.
pub(super) const MAX_SILENCE: Duration = Duration::from_secs(30);

/// How long to wait after the login: servers look up recipients elsewhere, and tarpits delay on purpose. RFC 5321
/// §4.5.3.2 asks for minutes, which a function does not have for each command.
pub(super) const MAX_SESSION_SILENCE: Duration = Duration::from_secs(75);

/// Bytes read at once.
const READ_BYTES: usize = 4 * 1024;

pub(super) struct Connection<S> {
    stream: S,
    /// Bytes read from the stream; those from `start` on are not consumed yet.
    buffer: Vec<u8>,
    start: usize,
    pub(super) deadline: Instant,
    /// How long to wait for the server's next bytes.
    pub(super) silence: Duration,
    pub(super) redactor: Redactor,
}

/// A reply with the raw text of its lines, which EHLO and AUTH need.
pub(super) struct ReplyLines {
    pub(super) reply: Reply,
    pub(super) lines: Vec<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, deadline: Instant) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            deadline,
            silence: MAX_SILENCE,
            redactor: Redactor::default(),
        }
    }

    /// The plain stream, to begin TLS on.
    ///
    /// # Errors
    /// When bytes from before TLS are still unread: they would be taken for the server's replies under TLS.
    pub(super) fn into_plain_stream(self) -> Result<S, SmtpError> {
        if self.start < self.buffer.len() {
            return Err(SmtpError::Malformed { step: Step::StartTls, what: Malformed::Injection });
        }
        Ok(self.stream)
    }

    /// Sends a line and waits for the reply to it.
    pub(super) async fn command(&mut self, line: &str, step: Step) -> Result<ReplyLines, SmtpError> {
        self.send(line, step).await?;
        self.read_reply(step).await
    }

    /// Sends a line.
    pub(super) async fn send(&mut self, line: &str, step: Step) -> Result<(), SmtpError> {
        self.write(format!("{line}\r\n").as_bytes(), step).await
    }

    /// Sends bytes as they are, without a line end.
    pub(super) async fn write(&mut self, bytes: &[u8], step: Step) -> Result<(), SmtpError> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline, timeout(MAX_SILENCE, sending)).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(source))) => Err(SmtpError::Broken { step, source }),
            Err(_) | Ok(Err(_)) => Err(SmtpError::Timeout(step)),
        }
    }

    /// Fails if the server has closed the connection or sent an unsolicited reply. Does not wait.
    pub(super) async fn check_alive(&mut self, step: Step) -> Result<(), SmtpError> {
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            match timeout(Duration::ZERO, self.stream.read_buf(&mut self.buffer)).await {
                // Nothing to read: the server waits for the client.
                Err(_) => return Ok(()),
                Ok(Ok(0)) => return Err(SmtpError::HungUp(step)),
                Ok(Ok(_)) => {}
                Ok(Err(source)) => return Err(SmtpError::Broken { step, source }),
            }
        }
        let reply = self.read_reply(step).await?.reply;
        Err(SmtpError::unsuccessful(step, reply))
    }

    /// Reads a reply with any code.
    pub(super) async fn read_reply(&mut self, step: Step) -> Result<ReplyLines, SmtpError> {
        let malformed = |what| SmtpError::Malformed { step, what };
        let mut code = None;
        let mut lines = Vec::new();
        loop {
            let raw = self.read_line(step).await?;
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
                let reply = Reply::new(line.code, &lines, &self.redactor);
                return Ok(ReplyLines { reply, lines });
            }
        }
    }

    /// Reads a line, without its end.
    async fn read_line(&mut self, step: Step) -> Result<Vec<u8>, SmtpError> {
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
            self.fill_buffer(step).await?;
        }
    }

    /// Reads more into the empty buffer.
    async fn fill_buffer(&mut self, step: Step) -> Result<(), SmtpError> {
        self.buffer.clear();
        self.start = 0;
        self.buffer.reserve_exact(READ_BYTES);
        let reading = self.stream.read_buf(&mut self.buffer);
        match timeout_at(self.deadline, timeout(self.silence, reading)).await {
            Ok(Ok(Ok(0))) => Err(SmtpError::HungUp(step)),
            Ok(Ok(Ok(_))) => Ok(()),
            // Closed without TLS's close_notify, as many servers do.
            Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(SmtpError::HungUp(step))
            }
            Ok(Ok(Err(source))) => Err(SmtpError::Broken { step, source }),
            Err(_) | Ok(Err(_)) => Err(SmtpError::Timeout(step)),
        }
    }
}
