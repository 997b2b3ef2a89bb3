//! The real servers behind [`crate::ports`]: their sessions, and what they reply in the words of a delivery.

use mailroom_auth::error::OauthError;
use mailroom_auth::tokens::Tokens;
use mailroom_core::outbound::delivery::{Attempt, ReplyClass, SmtpReply};
use mailroom_core::owner_error::OwnerError;
use mailroom_core::ports::Grants;
use mailroom_core::profile::Profile;
use mailroom_core::server::Server;
use mailroom_mail::imap::{self, ImapError};
use mailroom_mail::smtp::{
    self, Content, EhloResponse, Reply, Session, SmtpError, TransactionStart, Unsupported,
};
use mailroom_net::login::Login;
use mailroom_net::login::Secret;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::ports::{
    Envelope, Failure, FinalDot, LoginSecrets, OpenError, SentMailboxSession, SentMailboxes, SmtpServers,
    SmtpTransport, Transfer, TransferEnd,
};

impl From<OauthError> for Failure {
    fn from(error: OauthError) -> Self {
        error.into_owner_error().map_or_else(Self::Port, Self::Owner)
    }
}

impl<G: Grants + 'static> LoginSecrets for Tokens<G> {
    async fn login_secret(&self, profile: &Profile, deadline: Instant) -> Result<Secret, Failure> {
        Ok(Self::login_secret(self, profile, deadline).await?)
    }

    async fn smtp_login_secret(&self, profile: &Profile, deadline: Instant) -> Result<Secret, Failure> {
        Ok(Self::smtp_login_secret(self, profile, deadline).await?)
    }

    async fn other_login_secret(
        &self,
        profile: &Profile,
        refused: &Secret,
        deadline: Instant,
    ) -> Result<Option<Secret>, Failure> {
        Ok(Self::other_login_secret(self, profile, refused, deadline).await?)
    }

    async fn settle(&self, deadline: Instant) {
        Self::settle(self, deadline).await;
    }
}

/// A session, and the server for sentences about it.
pub(crate) struct Smtp<S = imap::Stream> {
    session: Session<S>,
    server: Server,
}

impl<S> Smtp<S> {
    /// The session, or why it could not be opened.
    pub(crate) fn opened(opened: Result<Session<S>, SmtpError>, server: &Server) -> Result<Self, OpenError> {
        match opened {
            Ok(session) => Ok(Self { session, server: server.clone() }),
            Err(error) if error.is_login_refused() => Err(OpenError::LoginRefused(error.owner_error(server))),
            Err(error) => Err(OpenError::Other(error.owner_error(server))),
        }
    }
}

impl SmtpServers for smtp::Connector {
    type Transport = Smtp;

    async fn open(
        &self,
        server: &Server,
        sender: &str,
        login: Login<'_>,
        deadline: Instant,
    ) -> Result<Smtp, OpenError> {
        let mut ehlo = EhloResponse::default();
        let opened = Self::open(self, &mut ehlo, server, sender, Some(login), deadline).await;
        Smtp::opened(opened, server)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> SmtpTransport for Smtp<S> {
    fn is_spent(&self) -> bool {
        self.session.is_spent()
    }

    async fn transfer(&mut self, envelope: Envelope<'_>, raw: &[u8], deadline: Instant) -> Transfer {
        self.session.set_deadline(deadline);
        let bytes = u64::try_from(raw.len()).unwrap_or(u64::MAX);
        let content = if raw.is_ascii() { Content::Ascii } else { Content::EightBit };
        let begun = self
            .session
            .begin(&smtp::Envelope { from: envelope.from, to: envelope.to, bytes, content })
            .await;
        let (refused, end) = match begun {
            TransactionStart::Ready { refused } => {
                let end = match self.session.content(raw).await {
                    Ok(()) => TransferEnd::Complete,
                    Err(error) => TransferEnd::Broken(error.owner_error(&self.server)),
                };
                (refused, end)
            }
            TransactionStart::AllRecipientsRejected { refused } => {
                (refused, TransferEnd::Refused(Attempt::AllRecipientsRejected))
            }
            TransactionStart::Refused { reply, refused } => {
                (refused, TransferEnd::Refused(Attempt::Refused(negative(&reply))))
            }
            TransactionStart::Unsupported(unsupported) => {
                let text = unsupported_text(unsupported, bytes, &self.server);
                let reply = SmtpReply { class: ReplyClass::Permanent, text };
                (Vec::new(), TransferEnd::Refused(Attempt::Refused(reply)))
            }
            TransactionStart::Broken { error, refused } => {
                (refused, TransferEnd::Broken(error.owner_error(&self.server)))
            }
        };
        let rejected = refused.into_iter().map(|(address, reply)| (address, negative(&reply))).collect();
        Transfer { rejected, end }
    }

    async fn finish(&mut self, deadline: Instant) -> FinalDot {
        self.session.set_deadline(deadline);
        // While the delivery was stored, the server may have hung up: then it has nothing, and there is no doubt.
        if let Err(error) = self.session.check_alive().await {
            return FinalDot::NotSent(error.owner_error(&self.server));
        }
        match self.session.finish().await {
            Ok(reply) if reply.is_done() => FinalDot::Accepted(text(&reply)),
            Ok(reply) => FinalDot::Refused(negative(&reply)),
            Err(error) => FinalDot::NoReply(error.owner_error(&self.server)),
        }
    }

    async fn quit(self) {
        self.session.quit().await;
    }
}

/// A sent mailbox, and its server for sentences about it.
pub(crate) struct Sent<S = imap::Stream> {
    mailbox: imap::SentMailbox<S>,
    server: Server,
}

impl<S> Sent<S> {
    /// The sent mailbox, or why it could not be opened; `None` where the server has none.
    pub(crate) fn opened(
        opened: Result<Option<imap::SentMailbox<S>>, ImapError>,
        server: &Server,
    ) -> Result<Option<Self>, OwnerError> {
        let mailbox = opened.map_err(|error| error.owner_error(server))?;
        Ok(mailbox.map(|mailbox| Self { mailbox, server: server.clone() }))
    }
}

impl SentMailboxes for imap::Connector {
    type Mailbox = Sent;

    async fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        deadline: Instant,
    ) -> Result<Option<Sent>, OwnerError> {
        Sent::opened(self.open_sent(server, login, deadline).await, server)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> SentMailboxSession for Sent<S> {
    async fn holds(&mut self, message_id: &str, deadline: Instant) -> Result<bool, OwnerError> {
        self.mailbox.set_deadline(deadline);
        self.mailbox.holds(message_id).await.map_err(|error| error.owner_error(&self.server))
    }

    async fn file(
        &mut self,
        raw: &[u8],
        sent_at: OffsetDateTime,
        deadline: Instant,
    ) -> Result<(), OwnerError> {
        self.mailbox.set_deadline(deadline);
        self.mailbox.file(raw, sent_at).await.map_err(|error| error.owner_error(&self.server))
    }

    async fn logout(self) {
        self.mailbox.logout().await;
    }
}

fn unsupported_text(unsupported: Unsupported, bytes: u64, server: &Server) -> String {
    let at = format!("{} (port {})", server.host, server.port);
    match unsupported {
        Unsupported::TooLarge(limit) => {
            format!("{at} takes messages of at most {limit} bytes; this one has {bytes}.")
        }
        Unsupported::International => {
            format!("{at} takes only ASCII addresses (it does not offer SMTPUTF8).")
        }
    }
}

fn negative(reply: &Reply) -> SmtpReply {
    let class = if reply.is_sending_limit() {
        ReplyClass::Limit
    } else if reply.is_transient() {
        ReplyClass::Transient
    } else {
        ReplyClass::Permanent
    };
    SmtpReply { class, text: text(reply) }
}

/// A reply as it is shown: `550 5.1.1 No such user`.
fn text(reply: &Reply) -> String {
    let enhanced = reply.enhanced.map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}"));
    format!("{}{} {}", reply.code, enhanced.unwrap_or_default(), reply.text).trim().to_owned()
}
