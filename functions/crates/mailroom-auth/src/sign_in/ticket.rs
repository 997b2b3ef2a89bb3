//! The ticket of a sign-in, and what is derived from it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailroom_core::oauth2::Oauth2;
use mailroom_core::profile::Settings;
use mailroom_core::server::Server;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// The right to complete a sign-in: 32 random bytes, as text that fits into a URL.
#[derive(Clone)]
pub struct Ticket(SecretString);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// The system has no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl Ticket {
    /// Makes a ticket for a new sign-in.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(SecretString::from(URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Reads the text of a ticket; `None` when it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine =
            text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        fine.then(|| Self(SecretString::from(text)))
    }

    /// The text, for the address that a person opens and for the cookie that the browser keeps.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The state (RFC 6749 §10.12) that the provider sends back.
    #[must_use]
    pub fn state(&self) -> String {
        self.derive("state")
    }

    /// The key under which the sign-in is stored.
    #[must_use]
    pub fn key(&self) -> String {
        key_of(&self.state())
    }

    /// Whether a state that came back is this ticket's. Both are digests, so how long the comparison takes reveals nothing.
    #[must_use]
    pub fn is_of(&self, state: &str) -> bool {
        self.state() == state
    }

    /// The PKCE verifier (RFC 7636 §4.1).
    pub(super) fn verifier(&self) -> String {
        self.derive("verifier")
    }

    /// The PKCE challenge for the verifier, by S256 (RFC 7636 §4.2).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    /// The nonce (OpenID Connect Core §3.1.2.1).
    pub(super) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    fn derive(&self, name: &str) -> String {
        let digest =
            Sha256::new().chain_update(name).chain_update([0]).chain_update(self.expose()).finalize();
        URL_SAFE_NO_PAD.encode(digest)
    }
}

/// The key under which the sign-in with this state is stored.
#[must_use]
pub fn key_of(state: &str) -> String {
    hex::encode(Sha256::digest(state))
}

/// A digest of the settings that a sign-in is for: when they change, the sign-in is void. The servers are among them,
/// because the tokens go there.
#[must_use]
pub fn settings_digest(settings: &Settings, client: &Oauth2) -> String {
    let mut digest = Sha256::new();
    let mut add = |part: &str| {
        digest.update(part);
        digest.update([0]);
    };
    for part in [&client.login, &client.client_id, &client.discovery_url, &client.scopes.join(" ")] {
        add(part);
    }
    for server in [&settings.imap, &settings.smtp] {
        match server {
            Some(Server { host, port, security }) => add(&format!("{host} {port} {security:?}")),
            None => add(""),
        }
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_sign_in_comes_from_its_ticket() {
        let ticket = Ticket::new().unwrap();
        let again = Ticket::parse(ticket.expose()).unwrap();
        assert_eq!((ticket.state(), ticket.key()), (again.state(), again.key()));
        assert!(ticket.is_of(&again.state()) && !ticket.is_of(&Ticket::new().unwrap().state()));
        // RFC 7636 §4.1: 43 characters at least. None of them gives another away.
        let derived = [ticket.state(), ticket.verifier(), ticket.nonce(), ticket.expose().to_owned()];
        for (n, one) in derived.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(derived.iter().skip(n + 1).all(|other| other != one));
        }
        for wrong in ["", "a", &"a".repeat(44), &"/".repeat(43)] {
            assert!(Ticket::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{ticket:?}"), "Ticket");
    }
}
