//! Connects to a server by its name, and never to an address in a private network that is not allowed.
//!
//! A profile can name any host, so its connections must not reach what only this machine can reach: its loopback (where
//! the Lambda Runtime API is), the metadata service, private networks. The check is on the address and not on the name,
//! and the checked address is the one that is connected to: a name that resolves differently a moment later changes
//! nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use mailroom_core::server::{Host, Server};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::address::{Network, is_public};

/// How long a name may take to resolve.
const RESOLVE_TIME: Duration = Duration::from_secs(10);

/// How long one address may take to answer. Three retransmissions of a SYN fit.
const CONNECT_TIME: Duration = Duration::from_secs(8);

/// Addresses tried for one connection: a name with hundreds of them must not use up the deadline.
const MAX_ADDRESSES: usize = 4;

/// Hosts and networks that may be connected to although they are not public: the value of `MAILROOM_ALLOWED_HOSTS`.
///
/// A comma-separated list of host names (`mail.internal`: whatever it resolves to is allowed), addresses (`::1`) and
/// networks (`127.0.0.0/8`). An empty value allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    names: Vec<Host>,
    networks: Vec<Network>,
}

/// An entry of `MAILROOM_ALLOWED_HOSTS` that is not a host name, address or network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is neither a host name nor an IP address nor a network such as 127.0.0.0/8")]
pub struct AllowedHostsError {
    entry: String,
}

impl FromStr for AllowedHosts {
    type Err = AllowedHostsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut allowed = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if let Some(network) = Network::parse(entry) {
                allowed.networks.push(network);
            } else {
                // An entry of digits and dots was meant as an address or network: no host name looks like that.
                let numeric = entry.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                let name = Host::parse(entry).ok().filter(|_| !numeric);
                allowed.names.push(name.ok_or_else(|| AllowedHostsError { entry: entry.to_owned() })?);
            }
        }
        Ok(allowed)
    }
}

impl AllowedHosts {
    /// Resolves a host and checks its addresses. The result holds for now only: [`connect`] resolves again, and checks
    /// the address that it connects to.
    pub async fn check(&self, host: &Host, time: Duration) -> HostCheck {
        match timeout(time, lookup_host((host.as_str(), 0))).await {
            Ok(Ok(mut addresses)) => match addresses.next() {
                None => HostCheck::Unresolved,
                Some(first) if std::iter::once(first).chain(addresses).any(|a| self.allows(host, a.ip())) => {
                    HostCheck::Allowed
                }
                Some(_) => HostCheck::NotAllowed,
            },
            Ok(Err(_)) | Err(_) => HostCheck::Unresolved,
        }
    }

    /// Whether the host itself is listed, by name or as an address.
    #[must_use]
    pub fn names(&self, host: &Host) -> bool {
        let address: Option<IpAddr> = host.as_str().parse().ok();
        self.names.contains(host)
            || address.is_some_and(|address| self.networks.iter().any(|network| network.contains(address)))
    }

    fn allows(&self, host: &Host, address: IpAddr) -> bool {
        is_public(address)
            || self.names.contains(host)
            || self.networks.iter().any(|network| network.contains(address))
    }
}

/// The result of [`AllowedHosts::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostCheck {
    /// The host has an address that may be connected to.
    Allowed,
    /// None of the host's addresses may be connected to.
    NotAllowed,
    /// The name does not resolve now, or not in time.
    Unresolved,
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The name does not resolve.
    #[error("the host name cannot be resolved")]
    Resolve(#[source] io::Error),
    /// None of the host's addresses is public or allowed.
    #[error("the host has no public address")]
    HostNotAllowed,
    /// No address accepted the connection; the source is the last address's error.
    #[error("no address of the host accepts the connection")]
    Connect(#[source] io::Error),
    /// The name server or the host did not answer in time.
    #[error("the host does not answer")]
    TimedOut,
}

/// Connects to the first address of a server that is public or allowed and accepts the connection. Each address has its
/// own time limit.
///
/// # Errors
/// [`NetError::HostNotAllowed`] when no address is public or allowed; the others when none of them answers.
pub async fn connect(server: &Server, allowed: &AllowedHosts) -> Result<TcpStream, NetError> {
    let resolved: Vec<SocketAddr> =
        timeout(RESOLVE_TIME, lookup_host((server.host.as_str(), server.port.get())))
            .await
            .map_err(|_| NetError::TimedOut)?
            .map_err(NetError::Resolve)?
            .collect();
    connect_to(&server.host, resolved, allowed).await
}

/// As [`connect`], to addresses of the host that were looked up before.
///
/// # Errors
/// As for [`connect`].
pub async fn connect_to(
    host: &Host,
    addresses: Vec<SocketAddr>,
    allowed: &AllowedHosts,
) -> Result<TcpStream, NetError> {
    if addresses.is_empty() {
        return Err(NetError::Resolve(io::ErrorKind::NotFound.into()));
    }
    let mut last = NetError::HostNotAllowed;
    let fine = addresses.into_iter().filter(|address| allowed.allows(host, address.ip()));
    for address in fine.take(MAX_ADDRESSES) {
        match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Commands are written whole; with Nagle's algorithm a flight would wait for the ACK of the one before.
                stream.set_nodelay(true).map_err(NetError::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = NetError::Connect(error),
            Err(_) => last = NetError::TimedOut,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use mailroom_core::server::Security;
    use tokio::net::TcpListener;

    use super::*;

    fn allowed(text: &str) -> AllowedHosts {
        text.parse().unwrap()
    }

    fn allows(list: &str, host: &str, address: &str) -> bool {
        allowed(list).allows(&Host::parse(host).unwrap(), address.parse().unwrap())
    }

    #[test]
    fn names_addresses_and_networks_are_allowed() {
        assert!(!allows("", "mail.internal", "10.0.0.1"));
        assert!(allows("mail.internal, 127.0.0.0/8", "mail.internal", "10.0.0.1"));
        assert!(allows("MAIL.Internal", "mail.internal", "10.0.0.1"));
        assert!(!allows("mail.internal", "other.internal", "10.0.0.1"));
        assert!(allows("127.0.0.0/8,::1", "localhost", "127.9.9.9"));
        assert!(allows("127.0.0.0/8", "localhost", "::ffff:127.0.0.1"));
        assert!(allows("::1", "localhost", "::1"));
        assert!(allows("fd00::/8", "x", "fd12::1"));
        assert!(!allows("10.1.0.0/16", "x", "10.2.0.1"));
        assert!(!allows("0.0.0.0/0", "x", "::1"));
        assert!(allows("", "imap.example.com", "9.9.9.9"));
    }

    #[test]
    fn a_wrong_entry_is_named() {
        for wrong in ["127.0.0.0/33", "::1/129", "10.0.0", "a b", "10.0.0.1/", "/8", "*.example.com", "[::1]"]
        {
            let list = format!("localhost,{wrong}");
            let error = list.parse::<AllowedHosts>().unwrap_err();
            assert_eq!(error.entry, wrong);
        }
    }

    fn server(host: &str, port: u16) -> Server {
        Server {
            host: Host::parse(host).unwrap(),
            port: NonZeroU16::new(port).unwrap(),
            security: Security::Tls,
        }
    }

    #[tokio::test]
    async fn loopback_is_not_allowed_however_it_is_written() {
        for host in ["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"] {
            let error = connect(&server(host, 9), &AllowedHosts::default()).await.unwrap_err();
            assert!(matches!(error, NetError::HostNotAllowed | NetError::Resolve(_)), "{host}: {error:?}");
        }
    }

    async fn check(list: &str, host: &str) -> HostCheck {
        allowed(list).check(&Host::parse(host).unwrap(), Duration::from_secs(5)).await
    }

    /// Resolvers read them so (`inet_aton`), whether or not [`Host::parse`] lets them come that far.
    #[tokio::test]
    async fn numbers_are_judged_as_the_addresses_that_resolvers_take_them_for() {
        for number in [
            "0",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "012.0.0.1",
            "167772161",
            "0xa9fea9fe",
        ] {
            let addresses: Vec<SocketAddr> = lookup_host((number, 0)).await.unwrap().collect();
            assert!(!addresses.is_empty(), "{number}");
            assert!(!addresses.iter().any(|address| is_public(address.ip())), "{number}: {addresses:?}");
            if Host::parse(number).is_ok() {
                assert_eq!(check("", number).await, HostCheck::NotAllowed, "{number}");
            }
        }
    }

    #[tokio::test]
    async fn a_host_is_judged_by_its_addresses() {
        for private in [
            "localhost",
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
        ] {
            assert_eq!(check("", private).await, HostCheck::NotAllowed, "{private}");
        }
        assert_eq!(check("", "9.9.9.9").await, HostCheck::Allowed);
        assert_eq!(check("127.0.0.0/8,::1", "localhost").await, HostCheck::Allowed);
        assert_eq!(check("", "mail.example.invalid").await, HostCheck::Unresolved);
        assert!(allowed("mail.internal").names(&Host::parse("mail.internal").unwrap()));
        assert!(allowed("10.0.0.0/8").names(&Host::parse("10.1.1.1").unwrap()));
        assert!(!allowed("10.0.0.0/8").names(&Host::parse("mail.internal").unwrap()));
    }

    #[tokio::test]
    async fn a_refusal_to_connect_is_no_ban() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let loopback = allowed("127.0.0.0/8");
        let stream = connect(&server("127.0.0.1", port), &loopback).await.unwrap();
        assert!(stream.nodelay().unwrap());
        drop((stream, listener));
        let error = connect(&server("127.0.0.1", port), &loopback).await.unwrap_err();
        assert!(matches!(error, NetError::Connect(_)), "{error:?}");
    }
}
