//! Opening a session, with all that differs between servers.

use std::net::{IpAddr, SocketAddr};

use mailroom_core::server::{Security, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::auth::log_in;
use super::connection::{Answer, Connection, LOOKUP_SILENCE};
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
}

/// What a try has found, up to where it failed.
#[derive(Debug, Default)]
pub struct Probe {
    /// What the server says that it can do (RFC 5321 §4.1.1.1), under TLS, as it writes it.
    pub capabilities: Vec<String>,
}

impl Connector {
    /// Opens sessions by `tls`, to hosts that are public or `allowed`.
    #[must_use]
    pub const fn new(tls: Tls, allowed: AllowedHosts) -> Self {
        Self { tls, allowed }
    }

    /// Connects, begins TLS, and logs in, if there is a login.
    ///
    /// What is learnt goes into `probe` as it comes, so that it is there whatever happens.
    ///
    /// # Errors
    /// See [`SmtpError`].
    pub async fn open(
        &self,
        probe: &mut Probe,
        server: &Server,
        login: Option<Login<'_>>,
        deadline: Instant,
    ) -> Result<Session, SmtpError> {
        let tcp = timeout_at(deadline, connect::connect(server, &self.allowed))
            .await
            .map_err(|_| SmtpError::Timeout(Step::Connect))?
            .map_err(SmtpError::Net)?;
        let name = name(tcp.local_addr().ok());
        let connection = match server.security {
            Security::Tls => {
                let mut connection = Connection::new(self.handshake(server, tcp, deadline).await?, deadline);
                greet(&mut connection).await?;
                connection
            }
            Security::StartTls => {
                let bare = start_tls(Connection::new(tcp, deadline), &name).await?;
                Connection::new(self.handshake(server, bare, deadline).await?, deadline)
            }
        };
        introduce(probe, connection, &name, server, login).await
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

/// What a client without a name of its own calls itself: its address (RFC 5321 §4.1.4).
fn name(local: Option<SocketAddr>) -> String {
    match local.map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => "[127.0.0.1]".to_owned(),
    }
}

/// The answer, if the server did what it was asked.
fn done(answer: Answer, step: Step) -> Result<Answer, SmtpError> {
    if answer.reply.is_done() { Ok(answer) } else { Err(SmtpError::Refused { step, reply: answer.reply }) }
}

async fn greet<S>(connection: &mut Connection<S>) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    done(connection.answer(Step::Greeting).await?, Step::Greeting).map(drop)
}

/// The keywords of EHLO's answer; its first line is a greeting.
async fn ehlo<S>(connection: &mut Connection<S>, name: &str) -> Result<Vec<String>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = done(connection.command(&format!("EHLO {name}"), Step::Ehlo).await?, Step::Ehlo)?;
    let words = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
    };
    Ok(answer.lines.iter().skip(1).map(words).filter(|line| !line.is_empty()).collect())
}

/// Asks for TLS on a plain connection, and says nothing else of value on it.
pub(super) async fn start_tls<S>(mut connection: Connection<S>, name: &str) -> Result<S, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    greet(&mut connection).await?;
    if !ehlo(&mut connection, name).await?.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err(SmtpError::NoStartTls);
    }
    done(connection.command("STARTTLS", Step::StartTls).await?, Step::StartTls)?;
    connection.into_bare_stream()
}

/// Says EHLO under TLS, and logs in.
pub(super) async fn introduce<S>(
    probe: &mut Probe,
    mut connection: Connection<S>,
    name: &str,
    server: &Server,
    login: Option<Login<'_>>,
) -> Result<Session<S>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    probe.capabilities = ehlo(&mut connection, name).await?;
    if let Some(login) = login {
        log_in(&mut connection, &probe.capabilities, login, server).await?;
    }
    connection.silence = LOOKUP_SILENCE;
    Ok(Session { connection, extensions: Extensions::read(&probe.capabilities), spent: false })
}
