//! A mail transaction (RFC 5321 §3.3): MAIL, RCPT for each recipient, DATA, the content, the final dot.
//!
//! The dot is a step of its own, because it is the moment from which the server has the mail: whoever sends it decides
//! before, and takes silence after it for doubt.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{SmtpError, Step};
use super::reply::Reply;
use super::session::Session;

/// How long a server may think about a whole mail: RFC 5321 §4.5.3.2.6 asks for ten minutes, which no function has.
const VERDICT_TIME: Duration = Duration::from_secs(300);

/// Bytes of content written at once.
const CHUNK: usize = 64 * 1024;

/// Who sends a mail to whom, and what it is like.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The return path.
    pub from: &'a str,
    /// The recipients.
    pub to: &'a [String],
    /// The size of the content in bytes.
    pub bytes: u64,
    /// What the content is made of.
    pub content: Content,
}

/// What a mail is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// ASCII, all of it.
    Ascii,
    /// Other bytes too.
    EightBit,
}

/// What a server cannot do that a mail needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// It takes mail up to so many bytes.
    TooLarge(u64),
    /// It takes no address that is not ASCII.
    International,
}

/// How far a transaction has come.
#[derive(Debug)]
pub enum Begun {
    /// The server waits for the content, for those recipients that are not among `refused`.
    Ready {
        /// The others, each with the server's answer.
        refused: Vec<(String, Reply)>,
    },
    /// It takes the mail for nobody.
    Nobody {
        /// Each recipient with the server's answer.
        refused: Vec<(String, Reply)>,
    },
    /// It does not take the mail, whoever it is for.
    Refused {
        /// What it said.
        reply: Reply,
        /// Recipients that it had refused already.
        refused: Vec<(String, Reply)>,
    },
    /// It was not asked: it cannot take such a mail.
    Unsupported(Unsupported),
    /// The session is over; 421 counts as that.
    Broken {
        /// How it ended.
        error: SmtpError,
        /// Recipients that it had refused by then. What it said to them stands.
        refused: Vec<(String, Reply)>,
    },
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Begins a transaction, up to where the server waits for the content. After anything but [`Begun::Ready`] the
    /// session is ready for the next one, unless [`Self::is_spent`].
    pub async fn begin(&mut self, envelope: &Envelope<'_>) -> Begun {
        let mut refused = Vec::new();
        match self.begin_noting(envelope, &mut refused).await {
            Ok(begun) => begun,
            Err(error) => Begun::Broken { error, refused },
        }
    }

    async fn begin_noting(
        &mut self,
        envelope: &Envelope<'_>,
        refused: &mut Vec<(String, Reply)>,
    ) -> Result<Begun, SmtpError> {
        let extensions = self.extensions;
        // A header that is not ASCII is one that only SMTPUTF8 allows (RFC 6532 §3.1); bodies are encoded.
        let international = !envelope.from.is_ascii()
            || envelope.to.iter().any(|to| !to.is_ascii())
            || envelope.content == Content::EightBit;
        if let Some(most) = extensions.size.filter(|most| envelope.bytes > *most) {
            return Ok(Begun::Unsupported(Unsupported::TooLarge(most)));
        }
        if international && !extensions.smtp_utf8 {
            return Ok(Begun::Unsupported(Unsupported::International));
        }
        let mut mail = format!("MAIL FROM:<{}>", envelope.from);
        if extensions.knows_size {
            mail.push_str(&format!(" SIZE={}", envelope.bytes));
        }
        if envelope.content == Content::EightBit && extensions.eight_bit {
            mail.push_str(" BODY=8BITMIME");
        }
        if international {
            mail.push_str(" SMTPUTF8");
        }
        let from = self.address(mail, envelope.to, extensions.pipelining, refused).await?;
        if !from.is_done() {
            self.reset().await;
            return Ok(Begun::Refused { reply: from, refused: Vec::new() });
        }
        if refused.len() == envelope.to.len() {
            self.reset().await;
            return Ok(Begun::Nobody { refused: std::mem::take(refused) });
        }
        let data = self.ask("DATA", Step::Data).await?;
        let refused = std::mem::take(refused);
        if data.goes_on() {
            return Ok(Begun::Ready { refused });
        }
        self.reset().await;
        Ok(Begun::Refused { reply: data, refused })
    }

    /// Sends MAIL and RCPT, in one flight where the server takes that, and returns the answer to the sender. The
    /// recipients that are refused are noted as they come, so that they are known whatever happens next.
    async fn address(
        &mut self,
        mail: String,
        to: &[String],
        pipelining: bool,
        refused: &mut Vec<(String, Reply)>,
    ) -> Result<Reply, SmtpError> {
        let mut note = |to: &String, reply: Reply| {
            if !reply.is_done() {
                refused.push((to.clone(), reply));
            }
        };
        let recipients = to.iter().map(|to| format!("RCPT TO:<{to}>"));
        if pipelining {
            let flight: Vec<String> = std::iter::once(mail).chain(recipients).collect();
            self.connection.send(&flight.join("\r\n"), Step::Mail).await?;
            let from = self.hear(Step::Mail).await?;
            for to in to {
                let reply = self.hear(Step::Recipient).await?;
                // Without a sender there are no recipients to refuse.
                if from.is_done() {
                    note(to, reply);
                }
            }
            return Ok(from);
        }
        let from = self.ask(&mail, Step::Mail).await?;
        if from.is_done() {
            for (to, recipient) in to.iter().zip(recipients) {
                note(to, self.ask(&recipient, Step::Recipient).await?);
            }
        }
        Ok(from)
    }

    /// Sends the content, but not its end: the server has nothing yet. To be called when [`Self::begin`] says so.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn content(&mut self, raw: &[u8]) -> Result<(), SmtpError> {
        let mut chunk = Vec::with_capacity(CHUNK + 2);
        let mut at_line_start = true;
        for byte in raw {
            // RFC 5321 §4.5.2.
            if at_line_start && *byte == b'.' {
                chunk.push(b'.');
            }
            chunk.push(*byte);
            at_line_start = *byte == b'\n';
            if chunk.len() >= CHUNK {
                self.connection.write(&chunk, Step::Content).await?;
                chunk.clear();
            }
        }
        if !at_line_start {
            chunk.extend_from_slice(b"\r\n");
        }
        self.connection.write(&chunk, Step::Content).await
    }

    /// Looks whether the server is still there, and waits for the rest: whoever has hung up or broken off by now has not
    /// taken the mail. Takes no time. To be asked right before [`Self::finish`].
    ///
    /// # Errors
    /// When the session is over. The server does not have the mail.
    pub async fn check_alive(&mut self) -> Result<(), SmtpError> {
        self.connection.check_alive(Step::Content).await
    }

    /// Sends the final dot, and waits for the server's verdict.
    ///
    /// # Errors
    /// Whatever the error is: the server may have the mail, or not.
    pub async fn finish(&mut self) -> Result<Reply, SmtpError> {
        self.connection.silence = VERDICT_TIME;
        let verdict = self.connection.command(".", Step::Verdict).await;
        self.connection.silence = super::connection::LOOKUP_SILENCE;
        Ok(verdict?.reply)
    }

    /// Forgets the transaction that was begun. A server that hangs up in place of that has said before what it thinks.
    async fn reset(&mut self) {
        self.spent |= self.ask("RSET", Step::Reset).await.is_err();
    }

    async fn ask(&mut self, command: &str, step: Step) -> Result<Reply, SmtpError> {
        self.connection.send(command, step).await?;
        self.hear(step).await
    }

    /// A reply; with 421 the server says that it hangs up (RFC 5321 §3.8).
    async fn hear(&mut self, step: Step) -> Result<Reply, SmtpError> {
        let reply = self.connection.answer(step).await?.reply;
        if reply.code == 421 { Err(SmtpError::Refused { step, reply }) } else { Ok(reply) }
    }
}
