//! A mail transaction (RFC 5321 §3.3): MAIL, RCPT for each recipient, DATA, the content, the final dot.
//!
//! The final dot is a step of its own: from then on the server may have accepted the message, and without a reply
//! nobody knows whether it did.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{SmtpError, Step};
use super::reply::Reply;
use super::session::Session;

/// How long to wait for the reply to the final dot: RFC 5321 §4.5.3.2.6 asks for ten minutes, which no function has.
const END_OF_DATA_TIME: Duration = Duration::from_secs(300);

/// Bytes of content written at once.
const CHUNK: usize = 64 * 1024;

/// The envelope of a message (RFC 5321 §2.3.1), with what MAIL declares of its content.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The return path, given to MAIL.
    pub from: &'a str,
    /// The recipients, each given to RCPT.
    pub to: &'a [String],
    /// The size of the content in bytes.
    pub bytes: u64,
    /// What the content is made of.
    pub content: Content,
}

/// The bytes of a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// ASCII alone.
    Ascii,
    /// Bytes above 127 too.
    EightBit,
}

/// What a message needs and the server does not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// The message is larger than this many bytes, the server's limit (RFC 1870).
    TooLarge(u64),
    /// An address or header is not ASCII, and the server does not have SMTPUTF8 (RFC 6531).
    International,
}

/// How the start of a transaction ended: MAIL, RCPT and DATA.
#[derive(Debug)]
pub enum TransactionStart {
    /// The server waits for the content, for the recipients that are not in `refused`.
    Ready {
        /// The refused recipients, each with the server's reply.
        refused: Vec<(String, Reply)>,
    },
    /// The server refused every recipient.
    AllRecipientsRejected {
        /// Each recipient with the server's reply.
        refused: Vec<(String, Reply)>,
    },
    /// The server refused MAIL or DATA, and so the message for every recipient.
    Refused {
        /// The server's reply.
        reply: Reply,
        /// The recipients refused before, each with the server's reply.
        refused: Vec<(String, Reply)>,
    },
    /// Nothing was sent: the server does not support such a message.
    Unsupported(Unsupported),
    /// The session ended, also by a 421 reply (RFC 5321 §3.8).
    Broken {
        /// How the session ended.
        error: SmtpError,
        /// The recipients refused before the session ended: their refusals remain valid.
        refused: Vec<(String, Reply)>,
    },
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Sends MAIL, RCPT and DATA. Unless the result is [`TransactionStart::Ready`], the session is ready for the next
    /// transaction afterwards, except when [`Self::is_spent`].
    pub async fn begin(&mut self, envelope: &Envelope<'_>) -> TransactionStart {
        let mut refused = Vec::new();
        match self.try_begin(envelope, &mut refused).await {
            Ok(begun) => begun,
            Err(error) => {
                self.spent = true;
                TransactionStart::Broken { error, refused }
            }
        }
    }

    async fn try_begin(
        &mut self,
        envelope: &Envelope<'_>,
        refused: &mut Vec<(String, Reply)>,
    ) -> Result<TransactionStart, SmtpError> {
        let extensions = self.extensions;
        // A header that is not ASCII is one that only SMTPUTF8 allows (RFC 6532 §3.1); bodies are encoded.
        let international = !envelope.from.is_ascii()
            || envelope.to.iter().any(|to| !to.is_ascii())
            || envelope.content == Content::EightBit;
        if let Some(most) = extensions.size.filter(|most| envelope.bytes > *most) {
            return Ok(TransactionStart::Unsupported(Unsupported::TooLarge(most)));
        }
        if international && !extensions.smtp_utf8 {
            return Ok(TransactionStart::Unsupported(Unsupported::International));
        }
        let mut mail = format!("MAIL FROM:<{}>", envelope.from);
        if extensions.has_size {
            mail.push_str(&format!(" SIZE={}", envelope.bytes));
        }
        if envelope.content == Content::EightBit && extensions.eight_bit {
            mail.push_str(" BODY=8BITMIME");
        }
        if international {
            mail.push_str(" SMTPUTF8");
        }
        let from = self.send_envelope(mail, envelope.to, extensions.pipelining, refused).await?;
        if from.is_negative() {
            self.reset().await;
            return Ok(TransactionStart::Refused { reply: from, refused: Vec::new() });
        }
        if refused.len() == envelope.to.len() {
            self.reset().await;
            return Ok(TransactionStart::AllRecipientsRejected { refused: std::mem::take(refused) });
        }
        let data = self.command("DATA", Step::Data).await?;
        if data.code == 354 {
            return Ok(TransactionStart::Ready { refused: std::mem::take(refused) });
        }
        if !data.is_negative() {
            return Err(SmtpError::unsuccessful(Step::Data, data));
        }
        self.reset().await;
        Ok(TransactionStart::Refused { reply: data, refused: std::mem::take(refused) })
    }

    /// Sends MAIL and RCPT, in one flight if the server has PIPELINING, and returns the reply to MAIL. Refused recipients
    /// are added to `refused` at once, so that they are known if the session ends later.
    async fn send_envelope(
        &mut self,
        mail: String,
        to: &[String],
        pipelining: bool,
        refused: &mut Vec<(String, Reply)>,
    ) -> Result<Reply, SmtpError> {
        let recipients = to.iter().map(|to| format!("RCPT TO:<{to}>"));
        if pipelining {
            let flight: Vec<String> = std::iter::once(mail).chain(recipients).collect();
            self.connection.send(&flight.join("\r\n"), Step::Mail).await?;
            let from = self.read_envelope_reply(Step::Mail).await?;
            for to in to {
                if from.is_accepted() {
                    self.read_recipient_reply(to, refused).await?;
                } else if self.read_reply(Step::Recipient).await.is_err() {
                    // The replies to RCPT say only that MAIL was refused (503), and that is known already.
                    self.spent = true;
                    break;
                }
            }
            return Ok(from);
        }
        self.connection.send(&mail, Step::Mail).await?;
        let from = self.read_envelope_reply(Step::Mail).await?;
        if from.is_accepted() {
            for (to, recipient) in to.iter().zip(recipients) {
                self.connection.send(&recipient, Step::Recipient).await?;
                self.read_recipient_reply(to, refused).await?;
            }
        }
        Ok(from)
    }

    /// Reads the reply to RCPT. A refusal is added to `refused`, also one that ends the session.
    async fn read_recipient_reply(
        &mut self,
        to: &str,
        refused: &mut Vec<(String, Reply)>,
    ) -> Result<(), SmtpError> {
        match self.read_envelope_reply(Step::Recipient).await {
            Ok(reply) if reply.is_negative() => refused.push((to.to_owned(), reply)),
            Ok(_) => {}
            Err(error) => {
                if let SmtpError::Refused { reply, .. } = &error {
                    refused.push((to.to_owned(), reply.clone()));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads a reply to MAIL or RCPT, which accepts or refuses.
    async fn read_envelope_reply(&mut self, step: Step) -> Result<Reply, SmtpError> {
        let reply = self.read_reply(step).await?;
        if reply.is_accepted() || reply.is_negative() {
            Ok(reply)
        } else {
            Err(SmtpError::unsuccessful(step, reply))
        }
    }

    /// Sends the content without the final dot, so that the server has not accepted it yet. For use after
    /// [`TransactionStart::Ready`].
    ///
    /// # Errors
    /// When the session ended.
    pub async fn content(&mut self, raw: &[u8]) -> Result<(), SmtpError> {
        let written = self.write_content(raw).await;
        self.spent |= written.is_err();
        written
    }

    async fn write_content(&mut self, raw: &[u8]) -> Result<(), SmtpError> {
        let mut chunk = Vec::with_capacity(CHUNK + 2);
        let mut at_line_start = true;
        for byte in raw {
            // Transparency: a leading dot is doubled (RFC 5321 §4.5.2).
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

    /// Checks, without waiting, that the server has neither closed the connection nor sent a reply: if it has, it did not
    /// accept the message. For use right before [`Self::finish`].
    ///
    /// # Errors
    /// When the session ended. The server has not accepted the message.
    pub async fn check_alive(&mut self) -> Result<(), SmtpError> {
        let alive = self.connection.check_alive(Step::Content).await;
        self.spent |= alive.is_err();
        alive
    }

    /// Sends the final dot and waits for the reply, which accepts or refuses the message.
    ///
    /// # Errors
    /// After any error the server may or may not have accepted the message.
    pub async fn finish(&mut self) -> Result<Reply, SmtpError> {
        self.connection.silence = END_OF_DATA_TIME;
        let reply = self.connection.command(".", Step::EndOfData).await;
        self.connection.silence = super::connection::MAX_SESSION_SILENCE;
        let reply = reply.inspect_err(|_| self.spent = true)?.reply;
        // With 421 the server also closes the connection (RFC 5321 §3.8).
        self.spent |= reply.code == 421;
        if reply.is_accepted() || reply.is_negative() {
            return Ok(reply);
        }
        self.spent = true;
        Err(SmtpError::unsuccessful(Step::EndOfData, reply))
    }

    /// Sends RSET, to abort the transaction. If the server closes the connection instead, only the session is lost: its
    /// refusal is known already.
    async fn reset(&mut self) {
        if !self.spent {
            self.spent = !self.command("RSET", Step::Reset).await.is_ok_and(|reply| reply.is_accepted());
        }
    }

    async fn command(&mut self, command: &str, step: Step) -> Result<Reply, SmtpError> {
        self.connection.send(command, step).await?;
        self.read_reply(step).await
    }

    /// Reads a reply; 421, with which a server announces that it closes the connection (RFC 5321 §3.8), is an error.
    async fn read_reply(&mut self, step: Step) -> Result<Reply, SmtpError> {
        let reply = self.connection.read_reply(step).await?.reply;
        if reply.code == 421 { Err(SmtpError::Refused { step, reply }) } else { Ok(reply) }
    }
}
