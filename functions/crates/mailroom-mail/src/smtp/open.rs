//! Opening a session, with all that differs between servers.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_core::profile::{Security, Server};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::error::{SmtpError, Step};
use super::reply::Reply;
use super::wire::{Answer, Wire};
use crate::net::{self, AllowedHosts};
use crate::tls::Tls;

/// How long the TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(15);

/// How long a farewell may take: the server learns nothing from it that the end of the connection does not tell.
const QUIT_TIME: Duration = Duration::from_secs(2);

/// Opens sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Tls,
    allowed: AllowedHosts,
}

/// What to log in with.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The login name.
    pub login: &'a str,
    /// The password.
    pub password: &'a SecretString,
}

/// What a try has found, up to where it failed.
#[derive(Debug, Default)]
pub struct Probe {
    /// What the server says that it can do (RFC 5321 §4.1.1.1), under TLS, as it writes it.
    pub capabilities: Vec<String>,
}

/// A session that is ready for mail.
pub struct Session<S = TlsStream<TcpStream>> {
    wire: Wire<S>,
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
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
        let tcp = timeout_at(deadline, net::connect(server, &self.allowed))
            .await
            .map_err(|_| SmtpError::Timeout(Step::Connect))?
            .map_err(SmtpError::Net)?;
        let name = name(tcp.local_addr().ok());
        let wire = match server.security {
            Security::Tls => {
                let mut wire = Wire::new(self.handshake(server, tcp, deadline).await?, deadline);
                greet(&mut wire).await?;
                wire
            }
            Security::StartTls => {
                let bare = start_tls(Wire::new(tcp, deadline), &name).await?;
                Wire::new(self.handshake(server, bare, deadline).await?, deadline)
            }
        };
        introduce(probe, wire, &name, login).await
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

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Says goodbye, without waiting for the answer.
    pub async fn quit(mut self) {
        // Nobody needs to know how it went.
        let _ = timeout(QUIT_TIME, self.wire.send("QUIT", Step::Login)).await;
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

async fn greet<S>(wire: &mut Wire<S>) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    done(wire.answer(Step::Greeting).await?, Step::Greeting).map(drop)
}

/// The keywords of EHLO's answer; its first line is a greeting.
async fn ehlo<S>(wire: &mut Wire<S>, name: &str) -> Result<Vec<String>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = done(wire.command(&format!("EHLO {name}"), Step::Ehlo).await?, Step::Ehlo)?;
    let words = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
    };
    Ok(answer.lines.iter().skip(1).map(words).filter(|line| !line.is_empty()).collect())
}

/// Asks for TLS on a plain connection, and says nothing else of value on it.
pub(super) async fn start_tls<S>(mut wire: Wire<S>, name: &str) -> Result<S, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    greet(&mut wire).await?;
    if !ehlo(&mut wire, name).await?.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err(SmtpError::NoStartTls);
    }
    done(wire.command("STARTTLS", Step::StartTls).await?, Step::StartTls)?;
    wire.into_bare_stream()
}

/// Says EHLO under TLS, and logs in.
pub(super) async fn introduce<S>(
    probe: &mut Probe,
    mut wire: Wire<S>,
    name: &str,
    login: Option<Login<'_>>,
) -> Result<Session<S>, SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    probe.capabilities = ehlo(&mut wire, name).await?;
    if let Some(login) = login {
        log_in(&mut wire, &probe.capabilities, login).await?;
    }
    Ok(Session { wire })
}

/// The SASL mechanisms that a server offers (RFC 4954 §3), in capitals. Old servers write `AUTH=`.
fn mechanisms(capabilities: &[String]) -> Vec<String> {
    capabilities
        .iter()
        .map(|line| line.to_ascii_uppercase())
        .filter_map(|line| line.strip_prefix("AUTH").map(|rest| rest.replace('=', " ")))
        .filter(|rest| rest.starts_with(' '))
        .flat_map(|rest| rest.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

async fn log_in<S>(wire: &mut Wire<S>, capabilities: &[String], login: Login<'_>) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (name, secret) = (login.login, login.password.expose_secret());
    if name.contains('\0') || secret.contains('\0') {
        return Err(SmtpError::Unsendable);
    }
    let plain = SecretString::from(STANDARD.encode(format!("\0{name}\0{secret}")));
    let coded = SecretString::from(STANDARD.encode(secret));
    for secret in [&plain, &coded, login.password] {
        wire.secrets.add(secret.clone());
    }
    let offered = mechanisms(capabilities);
    let offers = |mechanism: &str| offered.iter().any(|offered| offered == mechanism);
    let reply = if offers("PLAIN") {
        wire.command(&format!("AUTH PLAIN {}", plain.expose_secret()), Step::Login).await?.reply
    } else if offers("LOGIN") {
        let mut reply = wire.command("AUTH LOGIN", Step::Login).await?.reply;
        for answer in [STANDARD.encode(name).as_str(), coded.expose_secret()] {
            if reply.goes_on() {
                reply = wire.command(answer, Step::Login).await?.reply;
            }
        }
        reply
    } else {
        return Err(SmtpError::NoPasswordLogin);
    };
    settle(wire, reply).await
}

/// What a login has come to. A server that asks for more is told that there is none (RFC 4954 §4).
async fn settle<S>(wire: &mut Wire<S>, mut reply: Reply) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if reply.goes_on() {
        reply = wire.command("*", Step::Login).await?.reply;
    }
    if reply.is_done() { Ok(()) } else { Err(SmtpError::Refused { step: Step::Login, reply }) }
}
