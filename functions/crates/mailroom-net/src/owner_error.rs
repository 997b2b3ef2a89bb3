//! What the mailbox's owner reads of the errors that all protocols share: no connection, no TLS.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::Security;

use crate::connect::NetError;
use crate::tls::TlsError;

/// What differs between protocols in the sentences about these errors.
pub struct Protocol {
    /// The protocol's name, as in `IMAP`.
    pub name: &'static str,
    /// The error code for a server that cannot be reached.
    pub connect: ErrorCode,
    /// The error code for TLS that fails.
    pub tls: ErrorCode,
    /// The port for implicit TLS.
    pub tls_port: u16,
}

impl Protocol {
    /// The sentence for a connection that could not be made. `at` names host and port.
    #[must_use]
    pub fn connection_failed(&self, error: &NetError, at: &str) -> OwnerError {
        match error {
            NetError::Resolve(_) => OwnerError::new(
                self.connect,
                format!("The host name of {at} cannot be resolved: check how it is written."),
            ),
            NetError::HostNotAllowed => OwnerError::new(
                ErrorCode::HostNotAllowed,
                format!(
                    "{at} is in a network that Mailroom does not connect to: use a host with a public address."
                ),
            ),
            NetError::Connect(source) => OwnerError::new(
                self.connect,
                format!("Mailroom cannot connect to {at} ({}): check host and port.", source.kind()),
            ),
            NetError::TimedOut => OwnerError::new(
                self.connect,
                format!(
                    "{at} does not answer: check host and port, and whether a firewall blocks the connection."
                ),
            ),
        }
    }

    /// The sentence for a TLS handshake that failed. `security` is how TLS was to begin; `at` names host and port.
    #[must_use]
    pub fn tls_failed(&self, error: &TlsError, security: Security, at: &str) -> OwnerError {
        let Self { name, tls_port, .. } = self;
        let tls = |message: String| OwnerError::new(self.tls, message);
        match error {
            TlsError::Expired => tls(format!(
                "The certificate of {at} has expired: the server's administrator has to renew it."
            )),
            TlsError::NotYetValid => tls(format!(
                "The certificate of {at} is not valid yet: the server's administrator has to install one that is, or set the clock right."
            )),
            TlsError::SelfSigned => tls(format!(
                "The certificate of {at} is self-signed, so nobody vouches for it: the server needs one from a public authority, such as Let's Encrypt, or from an authority whose root is in this deployment's CA bundle."
            )),
            TlsError::UnknownIssuer => tls(format!(
                "The certificate of {at} is not signed by an authority that Mailroom trusts: the server needs one from a public authority and has to send its whole chain, or the authority's root belongs into this deployment's CA bundle."
            )),
            TlsError::WrongName => tls(format!(
                "The certificate of {at} is for another host name: use the name that the provider gives for {name}."
            )),
            TlsError::Certificate(_) => tls(format!(
                "The certificate of {at} is not valid: the server's administrator has to install another."
            )),
            TlsError::NotTls => match security {
                Security::Tls => tls(format!(
                    "{at} does not speak TLS from the first byte: set the security to \"starttls\", or use another port, usually {tls_port}."
                )),
                Security::StartTls => tls(format!(
                    "{at} offers STARTTLS, but does not speak TLS after it: use a port with TLS from the first byte, usually {tls_port}."
                )),
            },
            TlsError::Handshake(_) => tls(format!(
                "{at} and Mailroom have no version of TLS in common: the server needs TLS 1.2 or 1.3."
            )),
            // The connection broke, which says nothing about the server's TLS.
            TlsError::Broken(_) => OwnerError::new(
                self.connect,
                format!(
                    "The connection to {at} broke during the TLS handshake. Mailroom tries again by itself."
                ),
            ),
        }
    }
}

/// An error that quotes the server: what it did, its words, and what the owner can do. Of the words as many are kept as
/// leave room for the rest.
#[must_use]
pub fn quoting(code: ErrorCode, did: &str, words: &str, hint: &str) -> OwnerError {
    let rest = [did, ": \"\". ", hint].iter().map(|part| part.chars().count()).sum();
    let room = OwnerError::MAX_MESSAGE_CHARS.saturating_sub(rest);
    let words: String = words.chars().take(room).collect();
    OwnerError::new(code, format!("{did}: \"{words}\". {hint}"))
}
