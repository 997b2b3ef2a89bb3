//! The function over services and streams of its caller's: everything of it but AWS, TCP and TLS.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use mailroom_auth::tokens::Tokens;
use mailroom_core::outbound::loop_guard;
use mailroom_core::outbound::ports::{Deliveries, Objects, SendQueues};
use mailroom_core::owner_error::OwnerError;
use mailroom_core::ports::Grants;
use mailroom_core::server::Server;
use mailroom_lambda::start::Handler;
use mailroom_mail::imap::{ImapError, open_sent_over};
use mailroom_mail::smtp::{self, EhloResponse, SmtpError};
use mailroom_net::clock::Clock;
use mailroom_net::connect::NetError;
use mailroom_net::login::Login;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::handler::SendHandler;
use crate::ports::{OpenError, SentMailboxes, SmtpServers};
use crate::render::MessageStore;
use crate::servers::{Sent, Smtp};
use crate::services::{Ports, Services};

/// Connects to mail servers, with streams that need no TLS any more.
pub trait Streams: Clone + Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync;

    /// Connects to an SMTP server; `login` names who will log in.
    fn smtp(
        &self,
        server: &Server,
        login: &str,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Stream, NetError>> + Send;

    /// Connects to an IMAP server; `login` names who will log in.
    fn imap(
        &self,
        server: &Server,
        login: &str,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Stream, NetError>> + Send;
}

/// Puts the function together over these.
pub fn over_streams<T, O, Q, G, C>(
    table: T,
    objects: O,
    queues: Q,
    tokens: Tokens<G>,
    streams: C,
    clock: Clock,
) -> impl Handler
where
    T: Deliveries + 'static,
    O: Objects + 'static,
    Q: SendQueues + 'static,
    G: Grants + 'static,
    C: Streams,
{
    SendHandler::<Given<T, O, Q, G, C>>::new(Arc::new(Services {
        table,
        messages: MessageStore::new(objects),
        queues,
        tokens,
        smtp: Over(streams.clone()),
        imap: Over(streams),
        automatic_limit: loop_guard::DEFAULT_LIMIT,
        clock,
    }))
}

/// The services that [`over_streams`] was given.
struct Given<T, O, Q, G, C>(PhantomData<(T, O, Q, G, C)>);

impl<T, O, Q, G, C> Ports for Given<T, O, Q, G, C>
where
    T: Deliveries + 'static,
    O: Objects + 'static,
    Q: SendQueues + 'static,
    G: Grants + 'static,
    C: Streams,
{
    type Table = T;
    type Objects = O;
    type Queues = Q;
    type Tokens = Tokens<G>;
    type Smtp = Over<C>;
    type Imap = Over<C>;
}

/// Sessions over the caller's streams.
struct Over<C>(C);

impl<C: Streams> SmtpServers for Over<C> {
    type Transport = Smtp<C::Stream>;

    async fn open(
        &self,
        server: &Server,
        _: &str,
        login: Login<'_>,
        deadline: Instant,
    ) -> Result<Smtp<C::Stream>, OpenError> {
        let opened = match self.0.smtp(server, login.login, deadline).await {
            Ok(stream) => {
                smtp::open_over(stream, &mut EhloResponse::default(), server, Some(login), deadline).await
            }
            Err(error) => Err(SmtpError::Net(error)),
        };
        Smtp::opened(opened, server)
    }
}

impl<C: Streams> SentMailboxes for Over<C> {
    type Mailbox = Sent<C::Stream>;

    async fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        deadline: Instant,
    ) -> Result<Option<Sent<C::Stream>>, OwnerError> {
        let opened = match self.0.imap(server, login.login, deadline).await {
            Ok(stream) => open_sent_over(stream, server, login, deadline).await,
            Err(error) => Err(ImapError::Net(error)),
        };
        Sent::opened(opened, server)
    }
}
