//! What can go wrong with an SMTP session, typed where it happens.

use std::fmt;
use std::io;

use super::reply::Reply;
use mailroom_net::connect::NetError;
use mailroom_net::tls::TlsError;

/// What a session was about when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name and connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the server's first line.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH with a password.
    Login,
    /// AUTH with an OAuth2 token.
    Token,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA.
    Data,
    /// The content, before its end.
    Content,
    /// The final dot.
    Verdict,
    /// RSET.
    Reset,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::Ehlo => "the answer to EHLO",
            Self::StartTls => "the answer to STARTTLS",
            Self::Login | Self::Token => "the answer to the login",
            Self::Mail => "the answer to the sender",
            Self::Recipient => "the answer to a recipient",
            Self::Data => "the answer to DATA",
            Self::Content => "the mail to be taken",
            Self::Verdict => "the answer to the whole mail",
            Self::Reset => "the answer to RSET",
        })
    }
}

/// What was wrong with what a server sent. Never what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line that is no reply.
    #[error("it sent a line that is no SMTP reply")]
    NoReply,
    /// A reply without an end.
    #[error("it sent a reply without an end")]
    TooLong,
    /// Lines of one reply with different codes.
    #[error("it sent a reply that contradicts itself")]
    Contradiction,
    /// Plain text was waiting behind the answer to STARTTLS: somebody injected it (CVE-2011-0411 and its like).
    #[error("it sent data between STARTTLS and the TLS handshake")]
    Injection,
}

/// Why a session cannot go on. No variant's text holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// There is no connection.
    #[error("the SMTP server cannot be reached")]
    Net(#[source] NetError),
    /// There is no TLS.
    #[error("TLS with the SMTP server failed")]
    Tls(#[source] TlsError),
    /// The server did not answer within the deadline, or was silent for too long.
    #[error("the SMTP server did not answer in time: waiting for {0}")]
    Timeout(Step),
    /// The connection broke.
    #[error("the connection to the SMTP server broke while waiting for {step}")]
    Broken {
        /// What for.
        step: Step,
        /// How.
        #[source]
        source: io::Error,
    },
    /// The server hung up without a word.
    #[error("the SMTP server hung up instead of sending {0}")]
    HungUp(Step),
    /// The server refused.
    #[error("the SMTP server refused, asked for {step}: {reply:?}")]
    Refused {
        /// What was asked for.
        step: Step,
        /// What it said.
        reply: Reply,
    },
    /// The server sent what is no answer.
    #[error("the SMTP server sent something else than {step}: {what}")]
    Malformed {
        /// What was asked for.
        step: Step,
        /// What was wrong.
        what: Malformed,
    },
    /// The server does not offer STARTTLS.
    #[error("the SMTP server does not offer STARTTLS")]
    NoStartTls,
    /// The server offers no login with a password.
    #[error("the SMTP server offers no login with a password")]
    NoPasswordLogin,
    /// The server offers no login with a token.
    #[error("the SMTP server offers no login with an OAuth2 token")]
    NoTokenLogin,
    /// The login or the secret holds what no login can carry.
    #[error("the login or the secret holds a character that no login can carry")]
    Unsendable,
}
