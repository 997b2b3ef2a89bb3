//! What servers that check messages call themselves.

use std::fmt;
use std::net::IpAddr;

use crate::invalid::Invalid;
use crate::server::Host;

/// The name under which a server writes its results into messages (RFC 8601 §2.5): a domain name, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthservId(String);

impl AuthservId {
    /// Reads a domain name. A dot at its end is ignored.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match Host::parse(text) {
            Ok(host) if host.as_str().parse::<IpAddr>().is_err() => Ok(Self(host.as_str().to_owned())),
            Ok(_) | Err(_) => Err(Invalid::new("must be a domain name such as mx.example.com")),
        }
    }

    /// The name, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a server that calls itself `name` is this one. Case and a dot at the end make no difference.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(&self.0)
    }
}

impl fmt::Display for AuthservId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_domain_name_and_stands_for_itself_alone() {
        let id = AuthservId::parse("MX.Example.com.").unwrap();
        assert_eq!(id.as_str(), "mx.example.com");
        for same in ["mx.example.com", "mx.EXAMPLE.com", "mx.example.com."] {
            assert!(id.is(same), "{same}");
        }
        for other in ["example.com", "a.mx.example.com", "mx.example.com.evil.example", "mx.example.co", ""] {
            assert!(!id.is(other), "{other}");
        }
        for wrong in [
            "",
            "192.0.2.1",
            "::1",
            "mx example.com",
            "a;b",
            ".example.com",
            "*.example.com",
            "m\u{fc}ller.example",
        ] {
            assert!(AuthservId::parse(wrong).is_err(), "{wrong}");
        }
    }
}
