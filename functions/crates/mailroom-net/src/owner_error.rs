//! What the mailbox's owner reads of troubles that every protocol has: no connection, no TLS.

use mailroom_core::owner_error::{ErrorCode, OwnerError};
use mailroom_core::server::Security;

use crate::connect::NetError;
use crate::tls::TlsError;

/// A protocol, as far as it matters to its owner's sentences.
pub struct Protocol {
    /// What people call it.
    pub name: &'static str,
    /// The code of a server that cannot be reached.
    pub connect: ErrorCode,
    /// The code of TLS that fails.
    pub tls: ErrorCode,
    /// The port on which it speaks TLS from the first byte.
    pub tls_port: u16,
}

impl Protocol {
    /// There is no connection. `at` names host and port.
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
                    "{at} lies in a network that Mailroom does not connect to: use a host with a public address."
                ),
            ),
            NetError::Connect(source) => OwnerError::new(
                self.connect,
                format!("{at} cannot be connected to ({}): check host and port.", source.kind()),
            ),
            NetError::TimedOut => OwnerError::new(
                self.connect,
                format!(
                    "{at} does not answer: check host and port, and whether a firewall stands in the way."
                ),
            ),
        }
    }

    /// There is no TLS, which should have begun in this way.
    #[must_use]
    pub fn tls_failed(&self, error: &TlsError, security: Security, at: &str) -> OwnerError {
        let Self { name, tls_port, .. } = self;
        let tls = |message: String| OwnerError::new(self.tls, message);
        match error {
            TlsError::Expired => {
                tls(format!("The certificate of {at} has expired: its administrator has to renew it."))
            }
            TlsError::NotYetValid => tls(format!("The certificate of {at} is not valid yet.")),
            TlsError::UnknownIssuer => tls(format!(
                "The certificate of {at} is not signed by an authority that Mailroom trusts: the server needs a public certificate with its whole chain."
            )),
            TlsError::WrongName => tls(format!(
                "The certificate of {at} is for another host name: use the name that the provider gives for {name}."
            )),
            TlsError::Certificate(_) => tls(format!("The certificate of {at} cannot be accepted.")),
            TlsError::NotTls => match security {
                Security::Tls => tls(format!(
                    "{at} does not speak TLS from the first byte: set the security to \"starttls\", or use another port, usually {tls_port}."
                )),
                Security::StartTls => tls(format!("{at} offers STARTTLS, but does not speak TLS after it.")),
            },
            TlsError::Handshake(_) => {
                tls(format!("{at} and Mailroom have no way of TLS in common; TLS 1.2 or 1.3 is needed."))
            }
            // Nothing is known of the server's TLS then.
            TlsError::Broken(_) => OwnerError::new(
                self.connect,
                format!("The connection to {at} broke during the TLS handshake."),
            ),
        }
    }
}
