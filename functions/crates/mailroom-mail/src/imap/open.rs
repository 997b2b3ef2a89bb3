//! Opening a session, with all that differs between servers.
//!
//! On a cold connection with implicit TLS: TCP, TLS 1.3, greeting, login, EXAMINE and the listing, which is five round
//! trips. Capabilities cost a sixth and are asked for only where the login depends on them.

use mailroom_core::inbound::plan::{Listing, MailboxState};
use mailroom_core::server::{Mailbox, Security, Server};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::connection::{Answer, Connection};
use super::encode::{is_quotable, quoted};
use super::error::{ImapError, Malformed, Refusal, Step};
use super::frame::{Status, Tag};
use super::response::{Capabilities, CodeData, Response, StatusLine};
use super::session::{Session, capabilities};
use mailroom_net::connect::{self, AllowedHosts};
use mailroom_net::login::{self, Bearer, Login, Secret, Unsendable};
use mailroom_net::tls::Tls;

/// How long the TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(15);

/// Opens sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Tls,
    allowed: AllowedHosts,
}

/// What a [`Connector`]'s sessions run over.
pub type Stream = TlsStream<TcpStream>;

/// A session with its mailbox open, and what the server said of it.
#[derive(Debug)]
pub struct Opened<S = TlsStream<TcpStream>> {
    /// The session.
    pub session: Session<S>,
    /// The mailbox.
    pub state: MailboxState,
    /// The messages above the UID that was asked for, if one was.
    pub listing: Option<Listing>,
}

impl Connector {
    /// Opens sessions by `tls`, to hosts that are public or `allowed`.
    #[must_use]
    pub fn new(tls: Tls, allowed: AllowedHosts) -> Self {
        Self { tls, allowed }
    }

    /// Connects, logs in, opens `mailbox` without changing it, and lists what is above `list_above` if that is given.
    ///
    /// `deadline` holds for all that follows in the session, until [`Session::set_deadline`].
    ///
    /// # Errors
    /// See [`ImapError`]. A listing that fails is an error, never an empty listing.
    pub async fn open(
        &self,
        server: &Server,
        login: Login<'_>,
        mailbox: &Mailbox,
        list_above: Option<u32>,
        deadline: Instant,
    ) -> Result<Opened, ImapError> {
        let (connection, greeted) = self.reach(server, deadline).await?;
        log_in_and_open(connection, greeted, login, server, mailbox, list_above).await
    }

    /// Connects and begins TLS; after it the server has greeted us, and knows nothing of us yet.
    pub(super) async fn reach(
        &self,
        server: &Server,
        deadline: Instant,
    ) -> Result<(Connection<TlsStream<TcpStream>>, Greeting), ImapError> {
        let tcp = timeout_at(deadline, connect::connect(server, &self.allowed))
            .await
            .map_err(|_| ImapError::Timeout(Step::Connect))?
            .map_err(ImapError::Net)?;
        match server.security {
            Security::Tls => {
                let tls = self.handshake(server, tcp, deadline).await?;
                let mut connection = Connection::new(tls, deadline);
                let greeted = greet(&mut connection).await?;
                Ok((connection, greeted))
            }
            Security::StartTls => {
                let bare = start_tls(Connection::new(tcp, deadline)).await?;
                let tls = self.handshake(server, bare, deadline).await?;
                let mut connection = Connection::new(tls, deadline);
                // What was said before TLS may have been said by anybody (RFC 9051 §6.2.1).
                let known = Some(capabilities(&mut connection).await?);
                Ok((connection, Greeting::NotAuthenticated(known)))
            }
        }
    }

    async fn handshake<S>(
        &self,
        server: &Server,
        stream: S,
        deadline: Instant,
    ) -> Result<TlsStream<S>, ImapError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = timeout(HANDSHAKE_TIME, self.tls.connect(&server.host, stream));
        match timeout_at(deadline, handshake).await {
            Ok(Ok(result)) => result.map_err(ImapError::Tls),
            Err(_) | Ok(Err(_)) => Err(ImapError::Timeout(Step::Tls)),
        }
    }
}

/// What the greeting says.
pub(super) enum Greeting {
    /// We have to log in; the server may have said what it can do.
    NotAuthenticated(Option<Capabilities>),
    /// PREAUTH: the server knows us already.
    Authenticated,
}

/// Reads the greeting (RFC 9051 §7.1).
pub(super) async fn greet<S>(connection: &mut Connection<S>) -> Result<Greeting, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (status, line) = connection.greeting().await?;
    Ok(if status == Status::Preauth {
        Greeting::Authenticated
    } else {
        Greeting::NotAuthenticated(announced(&line))
    })
}

/// Asks for TLS on a plain connection, and says nothing else on it.
///
/// STARTTLS is sent without asking whether the server has it: its answer tells.
pub(super) async fn start_tls<S>(mut connection: Connection<S>) -> Result<S, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Greeting::Authenticated = greet(&mut connection).await? {
        let what = Malformed::PreauthBeforeTls;
        return Err(ImapError::Malformed { step: Step::Greeting, what });
    }
    let tag = connection.command("STARTTLS");
    connection.flush(Step::StartTls).await?;
    connection.complete(tag, Step::StartTls, |_| Ok(())).await?;
    connection.into_bare_stream()
}

/// Logs in, opens the mailbox and lists it.
pub(super) async fn log_in_and_open<S>(
    mut connection: Connection<S>,
    greeted: Greeting,
    login: Login<'_>,
    server: &Server,
    mailbox: &Mailbox,
    list_above: Option<u32>,
) -> Result<Opened<S>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match greeted {
        Greeting::Authenticated => None,
        Greeting::NotAuthenticated(known) => log_in(&mut connection, known, login, server).await?,
    };
    let (session, state, listing) = Session::examine(connection, known, mailbox, list_above).await?;
    Ok(Opened { session, state, listing })
}

/// How a password is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PasswordMechanism {
    /// AUTHENTICATE PLAIN with the response in the command (RFC 4959).
    PlainAtOnce,
    /// AUTHENTICATE PLAIN with the response after the server's `+`.
    PlainAfter,
    /// LOGIN.
    Login,
}

/// Logs in, and returns what the server says that it can do from now on, if it says it.
pub(super) async fn log_in<S>(
    connection: &mut Connection<S>,
    announced: Option<Capabilities>,
    login: Login<'_>,
    server: &Server,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match login.secret {
        Secret::Password(password) => with_password(connection, announced, login.login, password).await,
        Secret::AccessToken(token) => with_token(connection, announced, login.login, token, server).await,
    }
}

/// Logs in with an OAuth2 access token, by the mechanism that the server offers.
async fn with_token<S>(
    connection: &mut Connection<S>,
    announced: Option<Capabilities>,
    login: &str,
    token: &SecretString,
    server: &Server,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match announced {
        Some(known) => known,
        None => capabilities(connection).await?,
    };
    let mechanism = Bearer::offered(|name| known.has(&format!("AUTH={name}")));
    let mechanism = mechanism.ok_or(ImapError::NoTokenLogin)?;
    let response = mechanism.response(login, token, server, &mut connection.secrets);
    let response = response.map_err(|Unsendable| ImapError::Unsendable)?;
    connection.begin()?;
    let name = mechanism.name();
    let (tag, mut unsent) = if known.has("SASL-IR") {
        (connection.command(&format!("AUTHENTICATE {name} {}", response.expose_secret())), None)
    } else {
        (connection.command(&format!("AUTHENTICATE {name}")), Some(response))
    };
    connection.flush(Step::Token).await?;
    let mut announced_now = None;
    let mut why = None;
    loop {
        let note = |response| {
            if let Response::Capability(capabilities) = response {
                announced_now = Some(capabilities);
            }
            Ok(())
        };
        match connection.answer(&[tag], Step::Token, note).await {
            Ok(Answer::Done(_, line)) => return Ok(self::announced(&line).or(announced_now)),
            Ok(Answer::Continuation(challenge)) => {
                match unsent.take() {
                    Some(response) => connection.part(response.expose_secret().as_bytes()),
                    None => {
                        // What is wrong with the token; the refusal follows our answer to it. A second challenge is none.
                        let end = if why.is_none() { mechanism.end() } else { "*" };
                        why = Some(login::refusal(&challenge).unwrap_or_default());
                        connection.part(end.as_bytes());
                    }
                }
                connection.part(b"\r\n");
                connection.flush(Step::Token).await?;
            }
            Err(ImapError::Refused { step, mut reply }) => {
                if let Some(why) = why.filter(|why| !why.is_empty()) {
                    reply.words = connection.secrets.redact(format!("{} {why}", reply.words).trim());
                }
                return Err(ImapError::Refused { step, reply });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Logs in with a password.
async fn with_password<S>(
    connection: &mut Connection<S>,
    announced: Option<Capabilities>,
    login: &str,
    password: &SecretString,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    let plain = login::plain(login, password, &mut connection.secrets);
    let plain = plain.map_err(|Unsendable| ImapError::Unsendable)?;
    connection.secrets.add(SecretString::from(quoted(secret).trim_matches('"').to_owned()));

    let unquotable = !is_quotable(login) || !is_quotable(secret);
    let known = match announced {
        None if unquotable => Some(capabilities(connection).await?),
        announced => announced,
    };
    let way = match &known {
        // Every server has LOGIN until it says otherwise.
        None => PasswordMechanism::Login,
        Some(capabilities) => way(capabilities, unquotable).ok_or(ImapError::NoPasswordLogin)?,
    };
    match try_login(connection, way, login, secret, &plain).await {
        // It has no LOGIN, and had not said so. One more try, if there is another way.
        Err(ImapError::Refused { reply, .. })
            if known.is_none()
                && reply.refusal == Refusal::Bad
                && reply.code.is_none()
                && !reply.throttled =>
        {
            let refused = ImapError::Refused { step: Step::Login, reply };
            match self::way(&capabilities(connection).await?, true) {
                Some(way) if way != PasswordMechanism::Login => {
                    try_login(connection, way, login, secret, &plain).await
                }
                Some(_) | None => Err(refused),
            }
        }
        result => result,
    }
}

fn way(capabilities: &Capabilities, unquotable: bool) -> Option<PasswordMechanism> {
    let plain = capabilities.has("AUTH=PLAIN");
    let login = !capabilities.has("LOGINDISABLED");
    if plain && capabilities.has("SASL-IR") {
        Some(PasswordMechanism::PlainAtOnce)
    } else if login && !(plain && unquotable) {
        Some(PasswordMechanism::Login)
    } else if plain {
        Some(PasswordMechanism::PlainAfter)
    } else {
        None
    }
}

async fn try_login<S>(
    connection: &mut Connection<S>,
    way: PasswordMechanism,
    login: &str,
    password: &str,
    plain: &SecretString,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin()?;
    let mut announced_now = None;
    let mut note = |response| {
        if let Response::Capability(capabilities) = response {
            announced_now = Some(capabilities);
        }
        Ok(())
    };
    let line = match way {
        PasswordMechanism::Login => {
            let tag = connection.command_part("LOGIN ");
            for (text, end) in [(login, b" ".as_slice()), (password, b"\r\n".as_slice())] {
                string(connection, tag, text, &mut note).await?;
                connection.part(end);
            }
            connection.flush(Step::Login).await?;
            connection.complete(tag, Step::Login, &mut note).await?
        }
        PasswordMechanism::PlainAtOnce => {
            let tag = connection.command(&format!("AUTHENTICATE PLAIN {}", plain.expose_secret()));
            connection.flush(Step::Login).await?;
            respond(connection, tag, None, &mut note).await?
        }
        PasswordMechanism::PlainAfter => {
            let tag = connection.command("AUTHENTICATE PLAIN");
            connection.flush(Step::Login).await?;
            respond(connection, tag, Some(plain), &mut note).await?
        }
    };
    Ok(announced(&line).or(announced_now))
}

/// Adds a string to a command: quoted, or as a literal (RFC 9051 §4.3) once the server asks for it.
async fn string<S>(
    connection: &mut Connection<S>,
    tag: Tag,
    text: &str,
    note: &mut impl FnMut(Response) -> Result<(), Malformed>,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if is_quotable(text) {
        connection.part(quoted(text).as_bytes());
        return Ok(());
    }
    connection.part(format!("{{{}}}\r\n", text.len()).as_bytes());
    connection.flush(Step::Login).await?;
    match connection.answer(&[tag], Step::Login, note).await? {
        Answer::Continuation(_) => connection.part(text.as_bytes()),
        // OK to half a command.
        Answer::Done(..) => {
            return Err(ImapError::Malformed { step: Step::Login, what: Malformed::Continuation });
        }
    }
    Ok(())
}

/// Answers the challenges of AUTHENTICATE PLAIN: the first with `response`, a later one by giving up, which the server
/// has to confirm with BAD (RFC 9051 §6.2.2).
async fn respond<S>(
    connection: &mut Connection<S>,
    tag: Tag,
    mut response: Option<&SecretString>,
    note: &mut impl FnMut(Response) -> Result<(), Malformed>,
) -> Result<StatusLine, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match connection.answer(&[tag], Step::Login, &mut *note).await? {
            Answer::Done(_, line) => return Ok(line),
            Answer::Continuation(_) => {
                connection.part(response.take().map_or("*", |plain| plain.expose_secret()).as_bytes());
                connection.part(b"\r\n");
                connection.flush(Step::Login).await?;
            }
        }
    }
}

fn announced(line: &StatusLine) -> Option<Capabilities> {
    match &line.code {
        CodeData::Capability(capabilities) => Some(capabilities.clone()),
        CodeData::None
        | CodeData::UidValidity(_)
        | CodeData::UidNext(_)
        | CodeData::ReadOnly
        | CodeData::Known(_) => None,
    }
}
