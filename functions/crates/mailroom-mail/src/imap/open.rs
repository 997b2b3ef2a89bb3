//! Opening a session, with all that differs between servers.
//!
//! On a cold connection with implicit TLS: TCP, TLS 1.3, greeting, login, EXAMINE and the listing, which is five round
//! trips. Capabilities cost a sixth and are asked for only where the login depends on them.

use mailroom_core::inbound::poll::{Listing, MailboxState};
use mailroom_core::profile::{Mailbox, Security, Server};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::connection::{Answer, Tag, Wire};
use super::encode::{is_quotable, quoted};
use super::error::{ImapError, Malformed, Refusal, Step};
use super::response::{Capabilities, CodeData, Response, Status, StatusLine};
use super::session::{Session, capabilities};
use mailroom_net::connect::{self, AllowedHosts};
use mailroom_net::login::{self, Bearer, Login, Proof, Unsendable};
use mailroom_net::tls::Tls;

/// How long the TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(15);

/// Opens sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Tls,
    allowed: AllowedHosts,
}

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
        let (wire, greeted) = self.reach(server, deadline).await?;
        log_in_and_open(wire, greeted, login, server, mailbox, list_above).await
    }

    /// Connects and begins TLS; after it the server has greeted us, and knows nothing of us yet.
    pub(super) async fn reach(
        &self,
        server: &Server,
        deadline: Instant,
    ) -> Result<(Wire<TlsStream<TcpStream>>, Greeted), ImapError> {
        let tcp = timeout_at(deadline, connect::connect(server, &self.allowed))
            .await
            .map_err(|_| ImapError::Timeout(Step::Connect))?
            .map_err(ImapError::Net)?;
        match server.security {
            Security::Tls => {
                let tls = self.handshake(server, tcp, deadline).await?;
                let mut wire = Wire::new(tls, deadline);
                let greeted = greet(&mut wire).await?;
                Ok((wire, greeted))
            }
            Security::StartTls => {
                let bare = start_tls(Wire::new(tcp, deadline)).await?;
                let tls = self.handshake(server, bare, deadline).await?;
                let mut wire = Wire::new(tls, deadline);
                // What was said before TLS may have been said by anybody (RFC 9051 §6.2.1).
                let known = Some(capabilities(&mut wire).await?);
                Ok((wire, Greeted::Stranger(known)))
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
pub(super) enum Greeted {
    /// We have to log in; the server may have said what it can do.
    Stranger(Option<Capabilities>),
    /// PREAUTH: the server knows us already.
    Known,
}

/// Reads the greeting (RFC 9051 §7.1).
pub(super) async fn greet<S>(wire: &mut Wire<S>) -> Result<Greeted, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (status, line) = wire.greeting().await?;
    Ok(if status == Status::Preauth { Greeted::Known } else { Greeted::Stranger(announced(&line)) })
}

/// Asks for TLS on a plain connection, and says nothing else on it.
///
/// STARTTLS is sent without asking whether the server has it: its answer tells.
pub(super) async fn start_tls<S>(mut wire: Wire<S>) -> Result<S, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Greeted::Known = greet(&mut wire).await? {
        let what = Malformed::PreauthBeforeTls;
        return Err(ImapError::Malformed { step: Step::Greeting, what });
    }
    let tag = wire.command("STARTTLS");
    wire.flush(Step::StartTls).await?;
    wire.complete(tag, Step::StartTls, |_| Ok(())).await?;
    wire.into_bare_stream()
}

/// Logs in, opens the mailbox and lists it.
pub(super) async fn log_in_and_open<S>(
    mut wire: Wire<S>,
    greeted: Greeted,
    login: Login<'_>,
    server: &Server,
    mailbox: &Mailbox,
    list_above: Option<u32>,
) -> Result<Opened<S>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let known = match greeted {
        Greeted::Known => None,
        Greeted::Stranger(known) => log_in(&mut wire, known, login, server).await?,
    };
    let (session, state, listing) = Session::examine(wire, known, mailbox, list_above).await?;
    Ok(Opened { session, state, listing })
}

/// How a password is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// AUTHENTICATE PLAIN with the response in the command (RFC 4959).
    PlainAtOnce,
    /// AUTHENTICATE PLAIN with the response after the server's `+`.
    PlainAfter,
    /// LOGIN.
    Login,
}

/// Logs in, and returns what the server says that it can do from now on, if it says it.
pub(super) async fn log_in<S>(
    wire: &mut Wire<S>,
    announced: Option<Capabilities>,
    login: Login<'_>,
    server: &Server,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match login.proof {
        Proof::Password(password) => with_password(wire, announced, login.login, password).await,
        Proof::Token(token) => with_token(wire, announced, login.login, token, server).await,
    }
}

/// Logs in with an OAuth2 access token, by the mechanism that the server offers.
async fn with_token<S>(
    wire: &mut Wire<S>,
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
        None => capabilities(wire).await?,
    };
    let mechanism = Bearer::offered(|name| known.has(&format!("AUTH={name}")));
    let mechanism = mechanism.ok_or(ImapError::NoTokenLogin)?;
    let response = mechanism.response(login, token, server, &mut wire.secrets);
    let response = response.map_err(|Unsendable| ImapError::Unsendable)?;
    wire.begin()?;
    let name = mechanism.name();
    let (tag, mut unsent) = if known.has("SASL-IR") {
        (wire.command(&format!("AUTHENTICATE {name} {}", response.expose_secret())), None)
    } else {
        (wire.command(&format!("AUTHENTICATE {name}")), Some(response))
    };
    wire.flush(Step::Token).await?;
    let mut announced_now = None;
    let mut why = None;
    loop {
        let note = |response| {
            if let Response::Capability(capabilities) = response {
                announced_now = Some(capabilities);
            }
            Ok(())
        };
        match wire.answer(&[tag], Step::Token, note).await {
            Ok(Answer::Done(_, line)) => return Ok(self::announced(&line).or(announced_now)),
            Ok(Answer::GoAhead(challenge)) => {
                match unsent.take() {
                    Some(response) => wire.part(response.expose_secret().as_bytes()),
                    None => {
                        // What is wrong with the token; the refusal follows our answer to it. A second challenge is none.
                        let end = if why.is_none() { mechanism.end() } else { "*" };
                        why = Some(login::refusal(&challenge).unwrap_or_default());
                        wire.part(end.as_bytes());
                    }
                }
                wire.part(b"\r\n");
                wire.flush(Step::Token).await?;
            }
            Err(ImapError::Refused { step, mut reply }) => {
                if let Some(why) = why.filter(|why| !why.is_empty()) {
                    reply.words = wire.secrets.redact(format!("{} {why}", reply.words).trim());
                }
                return Err(ImapError::Refused { step, reply });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Logs in with a password.
async fn with_password<S>(
    wire: &mut Wire<S>,
    announced: Option<Capabilities>,
    login: &str,
    password: &SecretString,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    let plain = login::plain(login, password, &mut wire.secrets);
    let plain = plain.map_err(|Unsendable| ImapError::Unsendable)?;
    wire.secrets.add(SecretString::from(quoted(secret).trim_matches('"').to_owned()));

    let unquotable = !is_quotable(login) || !is_quotable(secret);
    let known = match announced {
        None if unquotable => Some(capabilities(wire).await?),
        announced => announced,
    };
    let way = match &known {
        // Every server has LOGIN until it says otherwise.
        None => Way::Login,
        Some(capabilities) => way(capabilities, unquotable).ok_or(ImapError::NoPasswordLogin)?,
    };
    match try_login(wire, way, login, secret, &plain).await {
        // It has no LOGIN, and had not said so. One more try, if there is another way.
        Err(ImapError::Refused { reply, .. })
            if known.is_none()
                && reply.refusal == Refusal::Bad
                && reply.code.is_none()
                && !reply.throttled =>
        {
            let refused = ImapError::Refused { step: Step::Login, reply };
            match self::way(&capabilities(wire).await?, true) {
                Some(way) if way != Way::Login => try_login(wire, way, login, secret, &plain).await,
                Some(_) | None => Err(refused),
            }
        }
        result => result,
    }
}

fn way(capabilities: &Capabilities, unquotable: bool) -> Option<Way> {
    let plain = capabilities.has("AUTH=PLAIN");
    let login = !capabilities.has("LOGINDISABLED");
    if plain && capabilities.has("SASL-IR") {
        Some(Way::PlainAtOnce)
    } else if login && !(plain && unquotable) {
        Some(Way::Login)
    } else if plain {
        Some(Way::PlainAfter)
    } else {
        None
    }
}

async fn try_login<S>(
    wire: &mut Wire<S>,
    way: Way,
    login: &str,
    password: &str,
    plain: &SecretString,
) -> Result<Option<Capabilities>, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.begin()?;
    let mut announced_now = None;
    let mut note = |response| {
        if let Response::Capability(capabilities) = response {
            announced_now = Some(capabilities);
        }
        Ok(())
    };
    let line = match way {
        Way::Login => {
            let tag = wire.command_part("LOGIN ");
            for (text, end) in [(login, b" ".as_slice()), (password, b"\r\n".as_slice())] {
                string(wire, tag, text, &mut note).await?;
                wire.part(end);
            }
            wire.flush(Step::Login).await?;
            wire.complete(tag, Step::Login, &mut note).await?
        }
        Way::PlainAtOnce => {
            let tag = wire.command(&format!("AUTHENTICATE PLAIN {}", plain.expose_secret()));
            wire.flush(Step::Login).await?;
            respond(wire, tag, None, &mut note).await?
        }
        Way::PlainAfter => {
            let tag = wire.command("AUTHENTICATE PLAIN");
            wire.flush(Step::Login).await?;
            respond(wire, tag, Some(plain), &mut note).await?
        }
    };
    Ok(announced(&line).or(announced_now))
}

/// Adds a string to a command: quoted, or as a literal (RFC 9051 §4.3) once the server asks for it.
async fn string<S>(
    wire: &mut Wire<S>,
    tag: Tag,
    text: &str,
    note: &mut impl FnMut(Response) -> Result<(), Malformed>,
) -> Result<(), ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if is_quotable(text) {
        wire.part(quoted(text).as_bytes());
        return Ok(());
    }
    wire.part(format!("{{{}}}\r\n", text.len()).as_bytes());
    wire.flush(Step::Login).await?;
    match wire.answer(&[tag], Step::Login, note).await? {
        Answer::GoAhead(_) => wire.part(text.as_bytes()),
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
    wire: &mut Wire<S>,
    tag: Tag,
    mut response: Option<&SecretString>,
    note: &mut impl FnMut(Response) -> Result<(), Malformed>,
) -> Result<StatusLine, ImapError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match wire.answer(&[tag], Step::Login, &mut *note).await? {
            Answer::Done(_, line) => return Ok(line),
            Answer::GoAhead(_) => {
                wire.part(response.take().map_or("*", |plain| plain.expose_secret()).as_bytes());
                wire.part(b"\r\n");
                wire.flush(Step::Login).await?;
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
