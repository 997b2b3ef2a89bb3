//! Opens a session, with all that differs between servers.
//!
//! With implicit TLS it takes five round trips: TCP, TLS 1.3, greeting, login, and EXAMINE together with the listing.
//! ID goes together with these where the server announces it. CAPABILITY is a sixth round trip, and is sent only where
//! the login depends on it.

use mailroom_core::inbound::listing::Listing;
use mailroom_core::inbound::plan::MailboxState;
use mailroom_core::server::{Mailbox, Security, Server};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::connection::{Connection, Progress};
use super::encode::{is_quotable, quoted};
use super::error::{ImapError, Malformed, Refusal, Step};
use super::frame::{Status, Tag};
use super::response::{Capabilities, Response, ResponseCode, StatusLine};
use super::session::{Session, capabilities};
use mailroom_net::connect::{self, AllowedHosts};
use mailroom_net::login::{self, Bearer, Login, Secret, Unsendable};
use mailroom_net::tls::Tls;

/// How long the TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(15);

/// The most challenges of a login.
const MAX_CHALLENGES: u32 = 2;

/// Opens sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Tls,
    allowed: AllowedHosts,
}

/// What a [`Connector`]'s sessions run over.
pub type Stream = TlsStream<TcpStream>;

/// A session with its mailbox open, and the state that the server reported.
#[derive(Debug)]
pub struct Opened<S = TlsStream<TcpStream>> {
    /// The session, with the mailbox open for reading.
    pub session: Session<S>,
    /// UIDVALIDITY, UIDNEXT and the number of messages.
    pub state: MailboxState,
    /// The messages above the given UID, if one was given.
    pub listing: Option<Listing>,
}

impl Connector {
    /// A connector that uses `tls`, and connects to hosts that are public or `allowed`.
    #[must_use]
    pub fn new(tls: Tls, allowed: AllowedHosts) -> Self {
        Self { tls, allowed }
    }

    /// Connects, logs in, opens `mailbox` read-only, and lists the messages above UID `list_above`, if that is given.
    ///
    /// `deadline` holds for the whole session, until [`Session::set_deadline`].
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
        let (connection, greeting) = self.connect(server, deadline).await?;
        log_in_and_open(connection, greeting, login, server, mailbox, list_above).await
    }

    /// Connects, begins TLS and reads the greeting; does not log in.
    pub(super) async fn connect(
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
                let greeting = read_greeting(&mut connection).await?;
                Ok((connection, greeting))
            }
            Security::StartTls => {
                let bare = start_tls(Connection::new(tcp, deadline)).await?;
                let tls = self.handshake(server, bare, deadline).await?;
                let mut connection = Connection::new(tls, deadline);
                // Capabilities from before TLS may be an attacker's, and must be discarded (RFC 9051 §6.2.1).
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

/// As [`Connector::open`], over a stream that is connected and needs no TLS any more: one in memory, where a server is
/// simulated.
///
/// # Errors
/// See [`ImapError`].
pub async fn open_over<S>(
    stream: S,
    server: &Server,
    login: Login<'_>,
    mailbox: &Mailbox,
    list_above: Option<u32>,
    deadline: Instant,
) -> Result<Opened<S>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::new(stream, deadline);
    let greeting = read_greeting(&mut connection).await?;
    log_in_and_open(connection, greeting, login, server, mailbox, list_above).await
}

/// Reads the greeting of a server over a stream that needs no TLS any more, and does not log in.
///
/// # Errors
/// When no IMAP server is there that accepts clients.
pub async fn greet_over<S>(stream: S, deadline: Instant) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    read_greeting(&mut Connection::new(stream, deadline)).await.map(|_| ())
}

/// The state that the greeting puts the session in (RFC 9051 §3).
pub(super) enum Greeting {
    /// OK: the client has to log in. With the capabilities, if the greeting or CAPABILITY listed them.
    NotAuthenticated(Option<Capabilities>),
    /// PREAUTH: the server authenticated the client by other means.
    Authenticated,
}

/// Reads the greeting (RFC 9051 §7.1).
pub(super) async fn read_greeting<S>(connection: &mut Connection<S>) -> Result<Greeting, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (status, line) = connection.greeting().await?;
    Ok(if status == Status::Preauth {
        Greeting::Authenticated
    } else {
        Greeting::NotAuthenticated(capability_code(&line))
    })
}

/// Sends STARTTLS on a plain connection, and nothing else.
///
/// Does not ask for capabilities first: a server without STARTTLS refuses the command.
pub(super) async fn start_tls<S>(mut connection: Connection<S>) -> Result<S, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Greeting::Authenticated = read_greeting(&mut connection).await? {
        let what = Malformed::PreauthBeforeTls;
        return Err(ImapError::Malformed { step: Step::Greeting, what });
    }
    let tag = connection.command("STARTTLS");
    connection.flush(Step::StartTls).await?;
    connection.complete(tag, Step::StartTls, |_| Ok(())).await?;
    connection.into_plain_stream()
}

/// Logs in, opens the mailbox and lists it.
pub(super) async fn log_in_and_open<S>(
    mut connection: Connection<S>,
    greeting: Greeting,
    login: Login<'_>,
    server: &Server,
    mailbox: &Mailbox,
    list_above: Option<u32>,
) -> Result<Opened<S>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match greeting {
        Greeting::Authenticated => None,
        Greeting::NotAuthenticated(known) => log_in(&mut connection, known, login, server).await?,
    };
    let (session, state, listing) = Session::examine_and_list(connection, known, mailbox, list_above).await?;
    Ok(Opened { session, state, listing })
}

/// The command that carries a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PasswordMechanism {
    /// AUTHENTICATE PLAIN with an initial response (SASL-IR, RFC 4959).
    PlainInitialResponse,
    /// AUTHENTICATE PLAIN, with the response after the server's `+`.
    PlainAfterContinuation,
    /// LOGIN (RFC 9051 §6.2.3).
    Login,
}

/// Logs in. Returns the capabilities after the login, if the server sent them unsolicited.
pub(super) async fn log_in<S>(
    connection: &mut Connection<S>,
    known: Option<Capabilities>,
    login: Login<'_>,
    server: &Server,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match login.secret {
        Secret::Password(password) => log_in_with_password(connection, known, login.login, password).await?,
        Secret::AccessToken(token) => {
            log_in_with_token(connection, known, login.login, token, server).await?
        }
    };
    connection.identify();
    Ok(known)
}

/// Logs in with an OAuth2 access token, by the mechanism that the server offers.
async fn log_in_with_token<S>(
    connection: &mut Connection<S>,
    known: Option<Capabilities>,
    login: &str,
    token: &SecretString,
    server: &Server,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match known {
        Some(known) => known,
        None => capabilities(connection).await?,
    };
    let mechanism = Bearer::offered(|name| known.has(&format!("AUTH={name}")));
    let mechanism = mechanism.ok_or(ImapError::NoTokenLogin)?;
    let response = mechanism.response(login, token, server, &mut connection.redactor);
    let response = response.map_err(|Unsendable| ImapError::UnsendableCredential)?;
    connection.begin_operation()?;
    let name = mechanism.name();
    let (tag, mut unsent) = if known.has("SASL-IR") {
        (connection.command(&format!("AUTHENTICATE {name} {}", response.expose_secret())), None)
    } else {
        (connection.command(&format!("AUTHENTICATE {name}")), Some(response))
    };
    connection.flush(Step::Token).await?;
    let mut capabilities_after = None;
    let mut why = None;
    let mut challenges = 0;
    loop {
        let note = |response| {
            if let Response::Capability(capabilities) = response {
                capabilities_after = Some(capabilities);
            }
            Ok(())
        };
        match connection.progress(&[tag], Step::Token, note).await {
            Ok(Progress::Completed(_, line)) => return Ok(capability_code(&line).or(capabilities_after)),
            Ok(Progress::ContinuationRequest(challenge)) => {
                challenges = count_challenge(challenges, Step::Token)?;
                match unsent.take() {
                    Some(response) => connection.push(response.expose_secret().as_bytes()),
                    None => {
                        // The first challenge describes the error, and the tagged NO follows the response to it
                        // (RFC 7628 §3.2.3). A second one breaks the protocol: `*` cancels the exchange.
                        let end = if why.is_none() { mechanism.end() } else { "*" };
                        why = Some(login::refusal(&challenge).unwrap_or_default());
                        connection.push(end.as_bytes());
                    }
                }
                connection.push(b"\r\n");
                connection.flush(Step::Token).await?;
            }
            Err(ImapError::Refused { step, mut reply }) => {
                if let Some(why) = why.filter(|why| !why.is_empty()) {
                    reply.text = connection.redactor.redact(format!("{} {why}", reply.text).trim());
                }
                return Err(ImapError::Refused { step, reply });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Logs in with a password.
async fn log_in_with_password<S>(
    connection: &mut Connection<S>,
    known: Option<Capabilities>,
    login: &str,
    password: &SecretString,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    let plain = login::plain(login, password, &mut connection.redactor);
    let plain = plain.map_err(|Unsendable| ImapError::UnsendableCredential)?;
    connection.redactor.add(SecretString::from(quoted(secret).trim_matches('"').to_owned()));

    let unquotable = !is_quotable(login) || !is_quotable(secret);
    let known = match known {
        None if unquotable => Some(capabilities(connection).await?),
        known => known,
    };
    let mechanism = match &known {
        // Nothing is known: LOGIN is in the base protocol, and saves the round trip of CAPABILITY.
        None => PasswordMechanism::Login,
        Some(capabilities) => {
            password_mechanism(capabilities, unquotable).ok_or(ImapError::NoPasswordLogin)?
        }
    };
    match authenticate(connection, mechanism, login, secret, &plain).await {
        // The server does not know LOGIN, and did not say so before. Try another mechanism once, if it has one.
        Err(ImapError::Refused { reply, .. })
            if known.is_none()
                && reply.refusal == Refusal::Bad
                && reply.code.is_none()
                && !reply.is_throttling() =>
        {
            let refused = ImapError::Refused { step: Step::Login, reply };
            match password_mechanism(&capabilities(connection).await?, true) {
                Some(mechanism) if mechanism != PasswordMechanism::Login => {
                    authenticate(connection, mechanism, login, secret, &plain).await
                }
                Some(_) | None => Err(refused),
            }
        }
        result => result,
    }
}

fn password_mechanism(capabilities: &Capabilities, unquotable: bool) -> Option<PasswordMechanism> {
    let plain = capabilities.has("AUTH=PLAIN");
    let login = !capabilities.has("LOGINDISABLED");
    if plain && capabilities.has("SASL-IR") {
        Some(PasswordMechanism::PlainInitialResponse)
    } else if login && !(plain && unquotable) {
        Some(PasswordMechanism::Login)
    } else if plain {
        Some(PasswordMechanism::PlainAfterContinuation)
    } else {
        None
    }
}

async fn authenticate<S>(
    connection: &mut Connection<S>,
    mechanism: PasswordMechanism,
    login: &str,
    password: &str,
    plain: &SecretString,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.begin_operation()?;
    let mut capabilities_after = None;
    let mut note = |response| {
        if let Response::Capability(capabilities) = response {
            capabilities_after = Some(capabilities);
        }
        Ok(())
    };
    let line = match mechanism {
        PasswordMechanism::Login => {
            let tag = connection.start_command("LOGIN ");
            for (text, end) in [(login, b" ".as_slice()), (password, b"\r\n".as_slice())] {
                push_string(connection, tag, text, &mut note).await?;
                connection.push(end);
            }
            connection.flush(Step::Login).await?;
            connection.complete(tag, Step::Login, &mut note).await?
        }
        PasswordMechanism::PlainInitialResponse => {
            let tag = connection.command(&format!("AUTHENTICATE PLAIN {}", plain.expose_secret()));
            connection.flush(Step::Login).await?;
            answer_plain_challenges(connection, tag, None, &mut note).await?
        }
        PasswordMechanism::PlainAfterContinuation => {
            let tag = connection.command("AUTHENTICATE PLAIN");
            connection.flush(Step::Login).await?;
            answer_plain_challenges(connection, tag, Some(plain), &mut note).await?
        }
    };
    Ok(capability_code(&line).or(capabilities_after))
}

/// Adds a string to a command: quoted, or as a literal (RFC 9051 §4.3) after the server's `+`.
async fn push_string<S>(
    connection: &mut Connection<S>,
    tag: Tag,
    text: &str,
    note: &mut impl FnMut(Response) -> Result<(), Malformed>,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if is_quotable(text) {
        connection.push(quoted(text).as_bytes());
        return Ok(());
    }
    connection.push(format!("{{{}}}\r\n", text.len()).as_bytes());
    connection.flush(Step::Login).await?;
    match connection.progress(&[tag], Step::Login, note).await? {
        Progress::ContinuationRequest(_) => connection.push(text.as_bytes()),
        // The server completed a command that is not yet whole.
        Progress::Completed(..) => {
            return Err(ImapError::Malformed { step: Step::Login, what: Malformed::Continuation });
        }
    }
    Ok(())
}

/// Answers the challenges of AUTHENTICATE PLAIN: the first with `response`, a later one with `*`, which cancels the
/// exchange and is answered by BAD (RFC 9051 §6.2.2).
async fn answer_plain_challenges<S>(
    connection: &mut Connection<S>,
    tag: Tag,
    mut response: Option<&SecretString>,
    note: &mut impl FnMut(Response) -> Result<(), Malformed>,
) -> Result<StatusLine, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut challenges = 0;
    loop {
        match connection.progress(&[tag], Step::Login, &mut *note).await? {
            Progress::Completed(_, line) => return Ok(line),
            Progress::ContinuationRequest(_) => {
                challenges = count_challenge(challenges, Step::Login)?;
                connection.push(response.take().map_or("*", |plain| plain.expose_secret()).as_bytes());
                connection.push(b"\r\n");
                connection.flush(Step::Login).await?;
            }
        }
    }
}

/// Counts a challenge. The mechanisms here have one, and one more describes an error: a server that goes on would go on
/// for ever.
const fn count_challenge(before: u32, step: Step) -> Result<u32, ImapError> {
    if before < MAX_CHALLENGES {
        Ok(before + 1)
    } else {
        Err(ImapError::Malformed { step, what: Malformed::Continuation })
    }
}

fn capability_code(line: &StatusLine) -> Option<Capabilities> {
    match &line.code {
        ResponseCode::Capability(capabilities) => Some(capabilities.clone()),
        ResponseCode::None
        | ResponseCode::UidValidity(_)
        | ResponseCode::UidNext(_)
        | ResponseCode::MailboxId(_)
        | ResponseCode::ReadOnly
        | ResponseCode::Known(_) => None,
    }
}
