//! Logging in (RFC 4954): with a password by PLAIN or LOGIN, with an OAuth2 token by XOAUTH2 or OAUTHBEARER.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_core::server::Server;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::error::{SmtpError, Step};
use super::reply::Reply;
use mailroom_net::login::{self, Bearer, Login, Secret, Unsendable};

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
    connection: &mut Connection<S>,
    capabilities: &[String],
    login: Login<'_>,
    server: &Server,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offered = mechanisms(capabilities);
    let offers = |mechanism: &str| offered.iter().any(|offered| offered == mechanism);
    match login.secret {
        Secret::Password(password) if offers("PLAIN") => plain(connection, login.login, password).await,
        Secret::Password(password) if offers("LOGIN") => login_login(connection, login.login, password).await,
        Secret::Password(_) => Err(SmtpError::NoPasswordLogin),
        Secret::AccessToken(token) => match Bearer::offered(offers) {
            Some(mechanism) => bearer(connection, mechanism, login.login, token, server).await,
            None => Err(SmtpError::NoTokenLogin),
        },
    }
}

/// PLAIN (RFC 4616).
async fn plain<S>(
    connection: &mut Connection<S>,
    login: &str,
    password: &SecretString,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = login::plain(login, password, &mut connection.secrets).map_err(unsendable)?;
    let reply =
        connection.command(&format!("AUTH PLAIN {}", response.expose_secret()), Step::Login).await?.reply;
    settle(connection, reply, Step::Login).await
}

/// LOGIN, which no standard describes and old servers have.
async fn login_login<S>(
    connection: &mut Connection<S>,
    login: &str,
    password: &SecretString,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    if login.contains('\0') || secret.contains('\0') {
        return Err(SmtpError::Unsendable);
    }
    let coded = SecretString::from(STANDARD.encode(secret));
    login::hide(&mut connection.secrets, password, &coded);
    let mut reply = connection.command("AUTH LOGIN", Step::Login).await?.reply;
    for answer in [STANDARD.encode(login).as_str(), coded.expose_secret()] {
        if reply.goes_on() {
            reply = connection.command(answer, Step::Login).await?.reply;
        }
    }
    settle(connection, reply, Step::Login).await
}

/// Sends a token. A refusal comes in two parts: what is wrong, as JSON, and after our answer to that the reply.
async fn bearer<S>(
    connection: &mut Connection<S>,
    mechanism: Bearer,
    login: &str,
    token: &SecretString,
    server: &Server,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = mechanism.response(login, token, server, &mut connection.secrets).map_err(unsendable)?;
    let command = format!("AUTH {} {}", mechanism.name(), response.expose_secret());
    let mut answer = connection.command(&command, Step::Token).await?;
    let mut why = None;
    if answer.reply.goes_on() {
        why = answer.lines.first().and_then(|line| login::refusal(line));
        answer = connection.command(mechanism.end(), Step::Token).await?;
    }
    let mut reply = answer.reply;
    if let (false, Some(why)) = (reply.is_done(), why) {
        reply.words = connection.secrets.redact(format!("{} {why}", reply.words).trim());
    }
    settle(connection, reply, Step::Token).await
}

const fn unsendable(_: Unsendable) -> SmtpError {
    SmtpError::Unsendable
}

/// What a login has come to. A server that asks for more is told that there is none (RFC 4954 §4).
async fn settle<S>(connection: &mut Connection<S>, mut reply: Reply, step: Step) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if reply.goes_on() {
        reply = connection.command("*", step).await?.reply;
    }
    if reply.is_done() { Ok(()) } else { Err(SmtpError::Refused { step, reply }) }
}
