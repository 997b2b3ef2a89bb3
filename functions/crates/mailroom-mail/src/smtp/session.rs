//! A session with an SMTP server: what it holds, and what the server offers.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::connection::Connection;
use super::error::Step;

/// How long a farewell may take: the server learns nothing from it that the end of the connection does not tell.
const QUIT_TIME: Duration = Duration::from_secs(2);

/// A session that is ready for mail.
pub struct Session<S = TlsStream<TcpStream>> {
    pub(super) connection: Connection<S>,
    pub(super) extensions: Extensions,
    /// Whether the server has hung up where nothing was lost by it.
    pub(super) spent: bool,
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// What a server extensions for sending (RFC 5321 §2.2), as its answer to EHLO says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// The largest mail it takes, in bytes (RFC 1870), if it says so.
    pub size: Option<u64>,
    /// Whether it says anything about sizes.
    pub knows_size: bool,
    /// Several commands in one flight (RFC 2920).
    pub pipelining: bool,
    /// Content that is not ASCII (RFC 6152).
    pub eight_bit: bool,
    /// Addresses that are not ASCII (RFC 6531).
    pub smtp_utf8: bool,
}

impl Extensions {
    pub(super) fn read(capabilities: &[String]) -> Self {
        let mut extensions = Self::default();
        for line in capabilities {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "SIZE" => {
                    extensions.knows_size = true;
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
    /// What the server offers.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// Replaces the deadline given to [`super::Connector::open`].
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.connection.deadline = deadline;
    }

    /// Whether the session is of no more use.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.spent
    }

    /// Says goodbye, without waiting for the answer.
    pub async fn quit(mut self) {
        // Nobody needs to know how it went.
        let _ = timeout(QUIT_TIME, self.connection.send("QUIT", Step::Login)).await;
    }
}
