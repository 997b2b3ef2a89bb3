//! Login by AUTH (RFC 4954): with a password by PLAIN or LOGIN, with an OAuth2 token by XOAUTH2 or OAUTHBEARER.

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

/// Logs in, by the best mechanism that the server offers.
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
        Secret::Password(password) if offers("PLAIN") => {
            match auth_plain(connection, login.login, password).await {
                // It offers PLAIN and does not have it.
                Err(SmtpError::Refused { reply, .. }) if reply.code == 504 && offers("LOGIN") => {
                    auth_login(connection, login.login, password).await
                }
                result => result,
            }
        }
        Secret::Password(password) if offers("LOGIN") => auth_login(connection, login.login, password).await,
        Secret::Password(_) => Err(SmtpError::NoPasswordLogin),
        Secret::AccessToken(token) => match Bearer::offered(offers) {
            Some(mechanism) => auth_bearer(connection, mechanism, login.login, token, server).await,
            None => Err(SmtpError::NoTokenLogin),
        },
    }
}

/// PLAIN (RFC 4616).
async fn auth_plain<S>(
    connection: &mut Connection<S>,
    login: &str,
    password: &SecretString,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = login::plain(login, password, &mut connection.redactor).map_err(unsendable)?;
    let reply =
        connection.command(&format!("AUTH PLAIN {}", response.expose_secret()), Step::Login).await?.reply;
    finish_auth(connection, reply, Step::Login).await
}

/// LOGIN, which has no standard; old servers offer nothing else.
async fn auth_login<S>(
    connection: &mut Connection<S>,
    login: &str,
    password: &SecretString,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = password.expose_secret();
    if login.contains('\0') || secret.contains('\0') {
        return Err(SmtpError::UnsendableCredential);
    }
    let coded = SecretString::from(STANDARD.encode(secret));
    login::hide(&mut connection.redactor, password, &coded);
    let mut reply = connection.command("AUTH LOGIN", Step::Login).await?.reply;
    for answer in [STANDARD.encode(login).as_str(), coded.expose_secret()] {
        if reply.is_intermediate() {
            reply = connection.command(answer, Step::Login).await?.reply;
        }
    }
    finish_auth(connection, reply, Step::Login).await
}

/// Sends a token. A refusal has two parts (RFC 7628 §3.2.3): a challenge with the error as JSON and, after the response
/// to it, the reply.
async fn auth_bearer<S>(
    connection: &mut Connection<S>,
    mechanism: Bearer,
    login: &str,
    token: &SecretString,
    server: &Server,
) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = mechanism.response(login, token, server, &mut connection.redactor).map_err(unsendable)?;
    let command = format!("AUTH {} {}", mechanism.name(), response.expose_secret());
    let mut answer = connection.command(&command, Step::Token).await?;
    let mut why = None;
    if answer.reply.is_intermediate() {
        why = answer.lines.first().and_then(|line| login::refusal(line));
        answer = connection.command(mechanism.end(), Step::Token).await?;
    }
    let mut reply = answer.reply;
    if let (false, Some(why)) = (reply.is_done(), why) {
        reply.text = connection.redactor.redact(format!("{} {why}", reply.text).trim());
    }
    finish_auth(connection, reply, Step::Token).await
}

const fn unsendable(_: Unsendable) -> SmtpError {
    SmtpError::UnsendableCredential
}

/// Evaluates the last reply of the exchange. A further challenge is cancelled with `*` (RFC 4954 §4).
async fn finish_auth<S>(connection: &mut Connection<S>, mut reply: Reply, step: Step) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if reply.is_intermediate() {
        reply = connection.command("*", step).await?.reply;
    }
    if reply.is_done() { Ok(()) } else { Err(SmtpError::unsuccessful(step, reply)) }
}
