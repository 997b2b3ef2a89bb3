//! The login: by password or by access token.

use async_imap::imap_proto::{Capability, Response};
use mailroom_core::server::Server;
use mailroom_net::login::{self, Bearer, Login, Secret};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Progress, SMALL_ANSWER, Session, Transport};
use crate::encode;
use crate::error::{ReadError, Step};

/// The most challenges of a login.
const MAX_CHALLENGES: u32 = 3;

/// A SASL mechanism (RFC 4422) with what the client says first, and how it ends an exchange that failed.
struct Exchange {
    mechanism: &'static str,
    response: SecretString,
    end: &'static str,
}

impl<S: Transport> Session<S> {
    /// Logs in, and tells servers that want to know it who reads.
    pub(crate) async fn log_in(&mut self, login: Login<'_>, server: &Server) -> Result<(), ReadError> {
        let offered = self.capabilities().await?;
        let offers = |name: &str| offered.iter().any(|one| one.eq_ignore_ascii_case(name));
        match login.secret {
            Secret::Password(password) => {
                let response = login::plain(login.login, password, &mut self.redactor)
                    .map_err(|_| ReadError::NoMechanism)?;
                if offers("AUTH=PLAIN") {
                    let exchange = Exchange { mechanism: "PLAIN", response, end: "*" };
                    self.authenticate(exchange, offers("SASL-IR")).await?;
                } else {
                    let (name, password) =
                        (encode::quoted(login.login), encode::quoted(password.expose_secret()));
                    let (name, password) = name.zip(password).ok_or(ReadError::NoMechanism)?;
                    self.redactor.add(SecretString::from(password.trim_matches('"').to_owned()));
                    let command = format!("LOGIN {name} {password}");
                    self.run(Step::LogIn, &command, (SMALL_ANSWER, 0), |_| Ok(())).await?;
                }
            }
            Secret::AccessToken(token) => {
                let bearer = Bearer::offered(|name| offers(&format!("AUTH={name}")));
                let bearer = bearer.ok_or(ReadError::NoMechanism)?;
                let response = bearer
                    .response(login.login, token, server, &mut self.redactor)
                    .map_err(|_| ReadError::NoMechanism)?;
                let exchange = Exchange { mechanism: bearer.name(), response, end: bearer.end() };
                self.authenticate(exchange, offers("SASL-IR")).await?;
            }
        }
        if offers("ID") {
            // NetEase opens no mailbox before it.
            self.run(Step::LogIn, "ID (\"name\" \"Mailroom\")", (SMALL_ANSWER, 0), |_| Ok(())).await?;
        }
        Ok(())
    }

    async fn capabilities(&mut self) -> Result<Vec<String>, ReadError> {
        let mut offered = Vec::new();
        self.run(Step::LogIn, "CAPABILITY", (SMALL_ANSWER, 0), |response| {
            if let Response::Capabilities(capabilities) = response {
                offered.extend(capabilities.iter().map(|capability| match capability {
                    Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
                    Capability::Auth(mechanism) => format!("AUTH={mechanism}"),
                    Capability::Atom(name) => name.to_string(),
                }));
            }
            Ok(())
        })
        .await?;
        Ok(offered)
    }

    /// AUTHENTICATE (RFC 9051 §6.2.2), with an initial response where the server takes one (SASL-IR).
    async fn authenticate(&mut self, exchange: Exchange, initial: bool) -> Result<(), ReadError> {
        self.client.get_mut().allow(SMALL_ANSWER, 0);
        let tag = self.next_tag();
        let Exchange { mechanism, response, end } = exchange;
        let (command, mut unsent) = if initial {
            (format!("{tag} AUTHENTICATE {mechanism} {}\r\n", response.expose_secret()), None)
        } else {
            (format!("{tag} AUTHENTICATE {mechanism}\r\n"), Some(response))
        };
        self.write(Step::LogIn, &command).await?;
        let mut challenges = 0;
        loop {
            match self.progress(Step::LogIn, &tag, &mut |_: &Response<'_>| Ok(())).await? {
                Progress::Completed => return Ok(()),
                Progress::Data => {}
                Progress::Refused(_) | Progress::Ended(_) => return Err(ReadError::Unexpected(Step::LogIn)),
                Progress::Challenge => {
                    challenges += 1;
                    if challenges > MAX_CHALLENGES {
                        return Err(ReadError::Unexpected(Step::LogIn));
                    }
                    // After the response, a challenge describes the error, and the refusal follows the client's end.
                    let line =
                        unsent.take().map_or_else(|| end.to_owned(), |it| it.expose_secret().to_owned());
                    self.write(Step::LogIn, &format!("{line}\r\n")).await?;
                }
            }
        }
    }
}
