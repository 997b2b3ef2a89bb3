//! The errors of an SMTP session, each with the step at which it happened.

use std::fmt;
use std::io;

use super::reply::Reply;
use mailroom_net::connect::NetError;
use mailroom_net::tls::TlsError;

/// The step at which an error happened: what the client was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name and connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The server's greeting.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH with a password.
    Login,
    /// AUTH with an OAuth2 token.
    Token,
    /// MAIL, with the return path.
    Mail,
    /// RCPT, with one recipient.
    Recipient,
    /// DATA, before the content.
    Data,
    /// The content, before the final dot.
    Content,
    /// The final dot (RFC 5321 §4.1.1.4, end of mail data).
    EndOfData,
    /// RSET, after a refused transaction.
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
            Self::Content => "the server to read the message",
            Self::EndOfData => "the answer to the message",
            Self::Reset => "the answer to RSET",
        })
    }
}

/// How a reply broke the protocol. Never contains what the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line that is not a reply.
    #[error("it sent a line that is not an SMTP reply")]
    NoReply,
    /// A reply longer than the bound.
    #[error("it sent a reply that is too long")]
    TooLong,
    /// A reply whose lines have different codes.
    #[error("it sent a reply with more than one code")]
    Contradiction,
    /// Plain text followed the reply to STARTTLS: an injection (CVE-2011-0411 and similar).
    #[error("it sent data between STARTTLS and the TLS handshake")]
    Injection,
}

/// Why an operation failed. No variant contains a credential.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The connection could not be made.
    #[error("the SMTP server cannot be reached")]
    Net(#[source] NetError),
    /// The TLS handshake failed.
    #[error("TLS with the SMTP server failed")]
    Tls(#[source] TlsError),
    /// The deadline passed, or the server sent nothing for too long.
    #[error("the SMTP server did not answer in time: waiting for {0}")]
    Timeout(Step),
    /// The connection broke.
    #[error("the connection to the SMTP server broke while waiting for {step}")]
    Broken {
        /// What the client was waiting for.
        step: Step,
        /// The error of the stream.
        #[source]
        source: io::Error,
    },
    /// The server closed the connection without a reply.
    #[error("the SMTP server closed the connection instead of sending {0}")]
    HungUp(Step),
    /// The server sent a negative reply.
    #[error("the SMTP server refused (waiting for {step}): {reply:?}")]
    Refused {
        /// What the client was waiting for.
        step: Step,
        /// The server's reply.
        reply: Reply,
    },
    /// The server sent a reply that does not belong to the command: client and server are out of step.
    #[error("the SMTP server sent a reply that does not belong here (waiting for {step}): {reply:?}")]
    OutOfStep {
        /// What the client was waiting for.
        step: Step,
        /// The server's reply.
        reply: Reply,
    },
    /// The server broke the protocol.
    #[error("the SMTP server broke the protocol (waiting for {step}): {what}")]
    Malformed {
        /// What the client was waiting for.
        step: Step,
        /// How the reply broke the protocol.
        what: Malformed,
    },
    /// The server does not offer STARTTLS.
    #[error("the SMTP server does not offer STARTTLS")]
    NoStartTls,
    /// The server does not offer a login with a password.
    #[error("the SMTP server does not offer a login with a password")]
    NoPasswordLogin,
    /// The server offers neither mechanism for OAuth2 tokens.
    #[error("the SMTP server has neither XOAUTH2 nor OAUTHBEARER")]
    NoTokenLogin,
    /// The login or the secret contains a character that the mechanism cannot carry, such as NUL.
    #[error("the login or the secret contains a character that cannot be sent")]
    UnsendableCredential,
}

impl SmtpError {
    /// The error for a reply that is no success: a refusal, or one that does not belong here.
    pub(super) fn unsuccessful(step: Step, reply: Reply) -> Self {
        if reply.is_negative() { Self::Refused { step, reply } } else { Self::OutOfStep { step, reply } }
    }
}
