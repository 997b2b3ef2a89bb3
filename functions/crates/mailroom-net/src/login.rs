//! What a login shows to a server, and the SASL messages that carry it; the same for every protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_core::server::Server;
use secrecy::{ExposeSecret as _, SecretString};

use crate::redact::Redactor;

/// A login name with its secret.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The login name.
    pub login: &'a str,
    /// The secret that is shown with it.
    pub secret: &'a Secret,
}

/// The secret that is shown to a server at login.
#[derive(Debug, Clone)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// An OAuth2 access token (RFC 6749 §1.4). A server may refuse it before it expires; another one may then work.
    AccessToken(SecretString),
}

/// A login or a secret holds a character that the mechanism cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsendable;

/// A mechanism that carries a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// XOAUTH2, as Google and Microsoft document it.
    Xoauth2,
    /// OAUTHBEARER (RFC 7628).
    Oauthbearer,
}

impl Bearer {
    /// The mechanism to use, of those that a server offers. Both say the same, and the older one is the better tried.
    pub fn offered(offers: impl Fn(&str) -> bool) -> Option<Self> {
        [Self::Xoauth2, Self::Oauthbearer].into_iter().find(|mechanism| offers(mechanism.name()))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xoauth2 => "XOAUTH2",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }

    /// What ends the exchange after a refusal: nothing, or a lone control-A (RFC 7628 §3.2.3).
    pub const fn end(self) -> &'static str {
        match self {
            Self::Xoauth2 => "",
            Self::Oauthbearer => "AQ==",
        }
    }

    /// The response that carries the token, in Base64. It is kept from being repeated, in every form.
    pub fn response(
        self,
        login: &str,
        token: &SecretString,
        server: &Server,
        redactor: &mut Redactor,
    ) -> Result<SecretString, Unsendable> {
        let bearer = token.expose_secret();
        if [login, bearer].iter().any(|text| text.contains(|c: char| c.is_ascii_control())) {
            return Err(Unsendable);
        }
        let message = match self {
            Self::Xoauth2 => format!("user={login}\x01auth=Bearer {bearer}\x01\x01"),
            Self::Oauthbearer => {
                // RFC 5801 §4: the two characters that frame a name are escaped in it.
                let name = login.replace('=', "=3D").replace(',', "=2C");
                let Server { host, port, .. } = server;
                format!("n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {bearer}\x01\x01")
            }
        };
        let response = SecretString::from(STANDARD.encode(message));
        hide(redactor, token, &response);
        Ok(response)
    }
}

/// The response of PLAIN (RFC 4616 §2), in Base64. The password is kept from being repeated, in every form.
pub fn plain(
    login: &str,
    password: &SecretString,
    redactor: &mut Redactor,
) -> Result<SecretString, Unsendable> {
    let secret = password.expose_secret();
    if login.contains('\0') || secret.contains('\0') {
        return Err(Unsendable);
    }
    let response = SecretString::from(STANDARD.encode(format!("\0{login}\0{secret}")));
    hide(redactor, password, &response);
    Ok(response)
}

/// Keeps a secret, in every form in which it goes out, from being repeated.
pub fn hide(redactor: &mut Redactor, secret: &SecretString, response: &SecretString) {
    redactor.add(response.clone());
    redactor.add(SecretString::from(STANDARD.encode(secret.expose_secret())));
    redactor.add(secret.clone());
}

/// What a server says of a token that it refuses: `{"status": "401", "schemes": "bearer", …}` (RFC 7628 §3.2.2).
pub fn refusal(challenge: &[u8]) -> Option<String> {
    let json = STANDARD.decode(challenge.trim_ascii()).ok().filter(|json| !json.is_empty())?;
    let text = String::from_utf8(json).ok()?;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(format!("({clean})"))
}
