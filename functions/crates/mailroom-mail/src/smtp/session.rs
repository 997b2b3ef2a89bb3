//! A session with an SMTP server, and the extensions that the server has.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::error::Step;

/// How long QUIT may take: closing the connection tells the server the same.
const QUIT_TIME: Duration = Duration::from_secs(2);

/// A session that is ready for a mail transaction.
pub struct Session<S = TlsStream<TcpStream>> {
    pub(super) connection: Connection<S>,
    pub(super) extensions: Extensions,
    /// Whether the session is over, or client and server are out of step.
    pub(super) spent: bool,
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// The service extensions that concern a transaction (RFC 5321 §2.2), from the response to EHLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// The largest message that the server accepts, in bytes (SIZE, RFC 1870), if it declares a limit.
    pub size: Option<u64>,
    /// Whether the server has SIZE, with or without a limit.
    pub has_size: bool,
    /// PIPELINING (RFC 2920): several commands in one flight.
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152): content that is not ASCII.
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531): addresses and headers that are not ASCII.
    pub smtp_utf8: bool,
}

impl Extensions {
    pub(super) fn read(capabilities: &[String]) -> Self {
        let mut extensions = Self::default();
        for line in capabilities {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "SIZE" => {
                    extensions.has_size = true;
                    // 0: no limit (RFC 1870 §4).
                    extensions.size =
                        words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
                }
                "PIPELINING" => extensions.pipelining = true,
                "8BITMIME" => extensions.eight_bit = true,
                "SMTPUTF8" => extensions.smtp_utf8 = true,
                _ => {}
            }
        }
        extensions
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// The server's extensions.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// Replaces the deadline given to [`super::Connector::open`].
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.connection.deadline = deadline;
    }

    /// Whether the session cannot be used any more.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.spent
    }

    /// Sends QUIT, without waiting for the reply.
    pub async fn quit(mut self) {
        // AllRecipientsRejected needs to know how it went.
        let _ = timeout(QUIT_TIME, self.connection.send("QUIT", Step::Login)).await;
    }
}
