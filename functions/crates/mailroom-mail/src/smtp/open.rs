//! Opens a session, with all that differs between servers.

use std::net::{IpAddr, SocketAddr};

use mailroom_core::server::{Host, Security, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::auth::log_in;
use super::connection::{Connection, MAX_SESSION_SILENCE, ReplyLines};
use super::error::{SmtpError, Step};
use super::session::{Extensions, Session};
use mailroom_net::connect::{self, AllowedHosts};
use mailroom_net::login::Login;
use mailroom_net::tls::Tls;

/// How long the TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(15);

/// Opens sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Tls,
    allowed: AllowedHosts,
    ehlo_name: Option<EhloName>,
}

/// The host name with which the client introduces itself (RFC 5321 §4.1.1.1): one with a dot, because servers refuse
/// others (smtp-relay.gmail.com, 2026: `421-4.7.0 Try again later, closing connection. (EHLO)` to `[169.254.10.1]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EhloName(Host);

impl EhloName {
    /// Reads a host name with a dot.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let host = Host::parse(text).ok().filter(|host| {
            host.as_str().contains('.') && !host.as_str().contains('_') && text.parse::<IpAddr>().is_err()
        });
        host.map(Self).ok_or("must be a host name with a dot, such as mail.example.com")
    }

    /// The domain of an address.
    fn of_address(address: &str) -> Option<Self> {
        Self::parse(address.rsplit_once('@')?.1).ok()
    }
}

/// The server's response to EHLO under TLS (RFC 5321 §4.1.1.1).
#[derive(Debug, Default)]
pub struct EhloResponse {
    /// The lines after the greeting, each a keyword with its parameters, as the server wrote them.
    pub keywords: Vec<String>,
}

impl Connector {
    /// A connector that uses `tls`, and connects to hosts that are public or `allowed`.
    #[must_use]
    pub const fn new(tls: Tls, allowed: AllowedHosts) -> Self {
        Self { tls, allowed, ehlo_name: None }
    }

    /// Introduces itself as this host, and not as the sender's domain.
    #[must_use]
    pub fn introduced_as(self, ehlo_name: Option<EhloName>) -> Self {
        Self { ehlo_name, ..self }
    }

    /// Connects, begins TLS, sends EHLO, and logs in if a login is given. `sender` is the address that messages are sent
    /// from: its domain introduces the client, if no other name is set.
    ///
    /// `ehlo` is filled before the login, so that it is known after a refused login too. `deadline` holds for the whole
    /// session, until [`Session::set_deadline`].
    ///
    /// # Errors
    /// See [`SmtpError`].
    pub async fn open(
        &self,
        ehlo: &mut EhloResponse,
        server: &Server,
        sender: &str,
        login: Option<Login<'_>>,
        deadline: Instant,
    ) -> Result<Session, SmtpError> {
        let tcp = timeout_at(deadline, connect::connect(server, &self.allowed))
            .await
            .map_err(|_| SmtpError::Timeout(Step::Connect))?
            .map_err(SmtpError::Net)?;
        let name = self.ehlo_name.clone().or_else(|| EhloName::of_address(sender));
        let name =
            name.map_or_else(|| address_literal(tcp.local_addr().ok()), |EhloName(host)| host.to_string());
        let connection = match server.security {
            Security::Tls => {
                let mut connection = Connection::new(self.handshake(server, tcp, deadline).await?, deadline);
                read_greeting(&mut connection).await?;
                connection
            }
            Security::StartTls => {
                let bare = start_tls(Connection::new(tcp, deadline), &name).await?;
                Connection::new(self.handshake(server, bare, deadline).await?, deadline)
            }
        };
        greet_and_log_in(ehlo, connection, &name, server, login).await
    }

    async fn handshake<S>(
        &self,
        server: &Server,
        stream: S,
        deadline: Instant,
    ) -> Result<TlsStream<S>, SmtpError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = timeout(HANDSHAKE_TIME, self.tls.connect(&server.host, stream));
        match timeout_at(deadline, handshake).await {
            Ok(Ok(result)) => result.map_err(SmtpError::Tls),
            Err(_) | Ok(Err(_)) => Err(SmtpError::Timeout(Step::Tls)),
        }
    }
}

/// As [`Connector::open`], over a stream that is connected and needs no TLS any more.
///
/// # Errors
/// See [`SmtpError`].
pub async fn open_over<S>(
    stream: S,
    ehlo: &mut EhloResponse,
    server: &Server,
    login: Option<Login<'_>>,
    deadline: Instant,
) -> Result<Session<S>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::new(stream, deadline);
    read_greeting(&mut connection).await?;
    greet_and_log_in(ehlo, connection, &address_literal(None), server, login).await
}

/// The argument of EHLO of a client without a host name: its address (RFC 5321 §4.1.4).
fn address_literal(local: Option<SocketAddr>) -> String {
    match local.map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => "[127.0.0.1]".to_owned(),
    }
}

/// Turns every reply but a positive completion (2yz) into an error.
fn require_success(answer: ReplyLines, step: Step) -> Result<ReplyLines, SmtpError> {
    if answer.reply.is_done() { Ok(answer) } else { Err(SmtpError::unsuccessful(step, answer.reply)) }
}

/// Begins TLS (RFC 3207) over a stream that has none yet: what is returned is ready for the handshake.
///
/// # Errors
/// See [`SmtpError`].
pub async fn start_tls_over<S>(stream: S, name: &EhloName, deadline: Instant) -> Result<S, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    start_tls(Connection::new(stream, deadline), name.0.as_str()).await
}

async fn read_greeting<S>(connection: &mut Connection<S>) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    require_success(connection.read_reply(Step::Greeting).await?, Step::Greeting).map(drop)
}

/// Sends EHLO and returns the lines of the response after the first, which is a greeting.
async fn send_ehlo<S>(connection: &mut Connection<S>, name: &str) -> Result<Vec<String>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = require_success(connection.command(&format!("EHLO {name}"), Step::Ehlo).await?, Step::Ehlo)?;
    let words = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
    };
    Ok(answer.lines.iter().skip(1).map(words).filter(|line| !line.is_empty()).collect())
}

/// Sends EHLO and STARTTLS on a plain connection, and nothing else.
pub(super) async fn start_tls<S>(mut connection: Connection<S>, name: &str) -> Result<S, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    read_greeting(&mut connection).await?;
    if !send_ehlo(&mut connection, name).await?.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err(SmtpError::NoStartTls);
    }
    require_success(connection.command("STARTTLS", Step::StartTls).await?, Step::StartTls)?;
    connection.into_plain_stream()
}

/// Sends EHLO under TLS, and logs in.
pub(super) async fn greet_and_log_in<S>(
    ehlo: &mut EhloResponse,
    mut connection: Connection<S>,
    name: &str,
    server: &Server,
    login: Option<Login<'_>>,
) -> Result<Session<S>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    ehlo.keywords = send_ehlo(&mut connection, name).await?;
    if let Some(login) = login {
        log_in(&mut connection, &ehlo.keywords, login, server).await?;
    }
    connection.silence = MAX_SESSION_SILENCE;
    Ok(Session { connection, extensions: Extensions::read(&ehlo.keywords), spent: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_introduces_itself_by_a_name_with_a_dot() {
        let of = |address| EhloName::of_address(address).map(|EhloName(host)| host.to_string());
        assert_eq!(of("ann@Example.COM").as_deref(), Some("example.com"));
        assert_eq!(of("\"a@b\"@mail.example.com").as_deref(), Some("mail.example.com"));
        for none in [
            "apikey",
            "DOMAIN\\ann",
            "ann@localhost",
            "ann@[10.0.0.7]",
            "ann@10.0.0.7",
            "ann@m\u{fc}ller.example",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        for wrong in ["", "localhost", "10.0.0.7", "::1", "a b.example", "a_b.example", "x.example\r\nRSET"] {
            assert!(EhloName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
