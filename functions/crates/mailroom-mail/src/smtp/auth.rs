//! Logging in (RFC 4954): with a password by PLAIN or LOGIN, with an OAuth2 token by XOAUTH2 or OAUTHBEARER.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_core::profile::Server;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{SmtpError, Step};
use super::reply::Reply;
use super::wire::{Answer, Wire};

/// What to log in with.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The login name.
    pub login: &'a str,
    /// What proves that it is ours.
    pub proof: Proof<'a>,
}

/// What proves that a login is ours.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// A password.
    Password(&'a SecretString),
    /// An OAuth2 access token (RFC 6750).
    Token(&'a SecretString),
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

/// Logs in, by the best way that the server offers.
pub(super) async fn log_in<S>(
    wire: &mut Wire<S>,
    capabilities: &[String],
    login: Login<'_>,
    server: &Server,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offered = mechanisms(capabilities);
    let offers = |mechanism: &str| offered.iter().any(|offered| offered == mechanism);
    match login.proof {
        Proof::Password(password) if offers("PLAIN") => plain(wire, login.login, password).await,
        Proof::Password(password) if offers("LOGIN") => login_login(wire, login.login, password).await,
        Proof::Password(_) => Err(SmtpError::NoPasswordLogin),
        Proof::Token(token) if offers("XOAUTH2") => xoauth2(wire, login.login, token).await,
        Proof::Token(token) if offers("OAUTHBEARER") => oauthbearer(wire, login.login, token, server).await,
        Proof::Token(_) => Err(SmtpError::NoTokenLogin),
    }
}

/// PLAIN (RFC 4616).
async fn plain<S>(wire: &mut Wire<S>, login: &str, password: &SecretString) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    sendable(&[login, secret], |c| c == '\0')?;
    let response = SecretString::from(STANDARD.encode(format!("\0{login}\0{secret}")));
    hide(wire, password, &response);
    let reply = wire.command(&format!("AUTH PLAIN {}", response.expose_secret()), Step::Login).await?.reply;
    settle(wire, reply).await
}

/// LOGIN, which no standard describes and old servers have.
async fn login_login<S>(wire: &mut Wire<S>, login: &str, password: &SecretString) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    sendable(&[login, secret], |c| c == '\0')?;
    let coded = SecretString::from(STANDARD.encode(secret));
    hide(wire, password, &coded);
    let mut reply = wire.command("AUTH LOGIN", Step::Login).await?.reply;
    for answer in [STANDARD.encode(login).as_str(), coded.expose_secret()] {
        if reply.goes_on() {
            reply = wire.command(answer, Step::Login).await?.reply;
        }
    }
    settle(wire, reply).await
}

/// XOAUTH2, as Google and Microsoft document it.
async fn xoauth2<S>(wire: &mut Wire<S>, login: &str, token: &SecretString) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    sendable(&[login, token.expose_secret()], |c| c.is_ascii_control())?;
    let message = format!("user={login}\x01auth=Bearer {}\x01\x01", token.expose_secret());
    bearer(wire, "XOAUTH2", &message, token, "").await
}

/// OAUTHBEARER (RFC 7628).
async fn oauthbearer<S>(
    wire: &mut Wire<S>,
    login: &str,
    token: &SecretString,
    server: &Server,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    sendable(&[login, token.expose_secret()], |c| c.is_ascii_control())?;
    // RFC 5801 §4: the two characters that frame a name are escaped in it.
    let name = login.replace('=', "=3D").replace(',', "=2C");
    let message = format!(
        "n,a={name},\x01host={}\x01port={}\x01auth=Bearer {}\x01\x01",
        server.host,
        server.port,
        token.expose_secret()
    );
    // A lone control-A ends the exchange after a refusal (§3.2.3).
    bearer(wire, "OAUTHBEARER", &message, token, "AQ==").await
}

/// Sends a token. A refusal comes in two parts: what is wrong, as JSON, and after our answer to that the reply.
async fn bearer<S>(
    wire: &mut Wire<S>,
    mechanism: &str,
    message: &str,
    token: &SecretString,
    end: &str,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = SecretString::from(STANDARD.encode(message));
    hide(wire, token, &response);
    let command = format!("AUTH {mechanism} {}", response.expose_secret());
    let mut answer = wire.command(&command, Step::Login).await?;
    let mut why = None;
    if answer.reply.goes_on() {
        why = challenge(&answer);
        answer = wire.command(end, Step::Login).await?;
    }
    let mut reply = answer.reply;
    if let (false, Some(why)) = (reply.is_done(), why) {
        reply.words = wire.secrets.redact(format!("{} {why}", reply.words).trim());
    }
    settle(wire, reply).await
}

/// What a server says of a token that it refuses: `{"status": "401", "schemes": "bearer", …}` (RFC 7628 §3.2.2).
fn challenge(answer: &Answer) -> Option<String> {
    let line = answer.lines.first()?;
    let json = STANDARD.decode(line.trim_ascii()).ok()?;
    let text = String::from_utf8(json).ok()?;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(format!("({clean})"))
}

fn sendable(texts: &[&str], wrong: impl Fn(char) -> bool) -> Result<(), SmtpError> {
    if texts.iter().any(|text| text.contains(&wrong)) { Err(SmtpError::Unsendable) } else { Ok(()) }
}

/// Keeps a secret, in every form in which it goes out, from being repeated.
fn hide<S>(wire: &mut Wire<S>, secret: &SecretString, response: &SecretString) {
    wire.secrets.add(response.clone());
    wire.secrets.add(SecretString::from(STANDARD.encode(secret.expose_secret())));
    wire.secrets.add(secret.clone());
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
