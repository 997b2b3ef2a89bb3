//! Delivers messages to the mail server on this machine (LMTP, RFC 2033): what the world does to a mailbox.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply may take. A server on this machine answers in milliseconds; storing 60 MB takes seconds.
const REPLY_TIME: Duration = Duration::from_secs(30);

/// The longest reply line (RFC 5321 §4.5.3.1.5 asks for 512 bytes; servers take liberties).
const MAX_LINE: u64 = 4096;

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum LmtpError {
    /// The connection failed, was closed, or the server did not answer in time.
    #[error("the connection to the LMTP server failed")]
    Connection(#[from] io::Error),
    /// The server refused a command or the message.
    #[error("the LMTP server refused {command}: {reply}")]
    Refused {
        /// What was asked for.
        command: &'static str,
        /// What it said, code and all.
        reply: String,
    },
    /// A sender or recipient that a command cannot hold.
    #[error("an address must not hold line ends, spaces or angle brackets")]
    Address,
}

/// Delivers one message over a connection of its own.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub fn deliver(server: SocketAddr, from: &str, to: &str, raw: &[u8]) -> Result<(), LmtpError> {
    let mut lmtp = Lmtp::connect(server)?;
    lmtp.deliver(from, to, raw)?;
    lmtp.quit()
}

/// A connection over which many messages can be delivered, one after the other.
#[derive(Debug)]
pub struct Lmtp {
    replies: BufReader<TcpStream>,
}

impl Lmtp {
    /// Connects and says LHLO.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn connect(server: SocketAddr) -> Result<Self, LmtpError> {
        let stream = TcpStream::connect_timeout(&server, REPLY_TIME)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIME))?;
        stream.set_write_timeout(Some(REPLY_TIME))?;
        let mut lmtp = Self { replies: BufReader::new(stream) };
        lmtp.expect("the connection", b'2')?;
        lmtp.command("LHLO", "LHLO localhost\r\n", b'2')?;
        Ok(lmtp)
    }

    /// Delivers one message. `raw` may have bare LF or CRLF line ends and goes out with CRLF.
    ///
    /// # Errors
    /// When the connection breaks or the server refuses.
    pub fn deliver(&mut self, from: &str, to: &str, raw: &[u8]) -> Result<(), LmtpError> {
        self.command("MAIL", &format!("MAIL FROM:<{}>\r\n", address(from)?), b'2')?;
        self.command("RCPT", &format!("RCPT TO:<{}>\r\n", address(to)?), b'2')?;
        self.command("DATA", "DATA\r\n", b'3')?;
        self.send(&stuffed(raw))?;
        // One reply per recipient (RFC 2033 §4.2), and there is one.
        self.expect("the message", b'2')
    }

    /// Ends the session with QUIT.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn quit(mut self) -> Result<(), LmtpError> {
        self.command("QUIT", "QUIT\r\n", b'2')
    }

    fn command(&mut self, name: &'static str, line: &str, expected: u8) -> Result<(), LmtpError> {
        self.send(line.as_bytes())?;
        self.expect(name, expected)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), LmtpError> {
        Ok(self.replies.get_mut().write_all(bytes)?)
    }

    /// Reads a reply (RFC 5321 §4.2) whose code begins with `expected`.
    fn expect(&mut self, command: &'static str, expected: u8) -> Result<(), LmtpError> {
        loop {
            let mut line = String::new();
            self.replies.by_ref().take(MAX_LINE).read_line(&mut line)?;
            if line.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            // The fourth character is a hyphen on all lines but the last.
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            if line.as_bytes().first() == Some(&expected) {
                return Ok(());
            }
            return Err(LmtpError::Refused { command, reply: line.trim_end().to_owned() });
        }
    }
}

fn address(text: &str) -> Result<&str, LmtpError> {
    let unusable = |c: char| c.is_control() || matches!(c, ' ' | '<' | '>');
    if text.contains(unusable) { Err(LmtpError::Address) } else { Ok(text) }
}

/// The message as DATA wants it: CRLF line ends, a dot before each line that begins with one, a dot at the end
/// (RFC 5321 §4.5.2).
fn stuffed(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32 + 8);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_and_line_ends_are_crlf() {
        for (raw, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\n.\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"..x\r\n", b"...x\r\n.\r\n"),
        ] {
            assert_eq!(stuffed(raw), wire, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn an_address_cannot_carry_a_command() {
        for hostile in ["a>\r\nDATA", "a b", "<a", "a\n"] {
            assert!(matches!(address(hostile), Err(LmtpError::Address)), "{hostile:?}");
        }
    }
}
