//! What the DNS says of a domain. hickory-resolver stays in this file.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::OnceLock;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::proto::rr::{Name, RData};
use mailroom_core::server::Host;
use tracing::warn;

/// How long one question to one name server may take.
const QUERY_TIMEOUT: Duration = Duration::from_millis(1500);

/// Records of one answer that are looked at: a domain with more is not a mail provider's.
const MAX_RECORDS: usize = 20;

/// The system's resolver. Nothing that it answers is proved (RFC 4033 §4).
#[derive(Default)]
pub(crate) struct Names(OnceLock<Option<TokioResolver>>);

impl Names {
    /// The resolver, which reads the system's configuration at the first question.
    fn resolver(&self) -> Option<&TokioResolver> {
        let build = || {
            let built = TokioResolver::builder_tokio().and_then(|mut builder| {
                bound(builder.options_mut());
                builder.build()
            });
            built.inspect_err(|error| warn!("the DNS cannot be asked: {error}")).ok()
        };
        self.0.get_or_init(build).as_ref()
    }

    /// The hosts that take mail for a domain, the preferred ones first (RFC 5321 §5.1).
    pub(crate) async fn exchangers(&self, domain: &Host) -> Vec<Host> {
        let (Some(resolver), Some(name)) = (self.resolver(), absolute(domain.as_str())) else {
            return Vec::new();
        };
        let Ok(found) = resolver.mx_lookup(name).await else { return Vec::new() };
        let records = found.answers().iter().take(MAX_RECORDS).filter_map(|record| {
            let RData::MX(mx) = &record.data else { return None };
            Some((mx.preference, host(&mx.exchange)?))
        });
        let mut records: Vec<(u16, Host)> = records.collect();
        records.sort_by_key(|(preference, _)| *preference);
        records.into_iter().map(|(_, exchange)| exchange).collect()
    }

    /// The preferred server of a service such as `_imaps._tcp` (RFC 2782). A target of `.` says that there is none.
    pub(crate) async fn service(&self, service: &str, domain: &Host) -> Option<(Host, NonZeroU16)> {
        let name = absolute(&format!("{service}.{domain}"))?;
        let found = self.resolver()?.srv_lookup(name).await.ok()?;
        let records = found.answers().iter().take(MAX_RECORDS).filter_map(|record| {
            let RData::SRV(srv) = &record.data else { return None };
            Some(srv)
        });
        let best = records.min_by_key(|srv| (srv.priority, std::cmp::Reverse(srv.weight)))?;
        Some((host(&best.target)?, NonZeroU16::new(best.port)?))
    }

    /// The addresses of a host.
    pub(crate) async fn addresses(&self, host: &Host, port: NonZeroU16) -> Vec<SocketAddr> {
        let socket = |address| SocketAddr::new(address, port.get());
        if let Ok(address) = host.as_str().parse::<IpAddr>() {
            return vec![socket(address)];
        }
        let (Some(resolver), Some(name)) = (self.resolver(), absolute(host.as_str())) else {
            return Vec::new();
        };
        let Ok(found) = resolver.lookup_ip(name).await else { return Vec::new() };
        found.iter().take(MAX_RECORDS).map(socket).collect()
    }
}

fn bound(options: &mut ResolverOpts) {
    options.timeout = QUERY_TIMEOUT;
    options.attempts = 1;
    // A function that is warm for hours would remember what has changed since.
    options.positive_max_ttl = Some(Duration::from_secs(300));
    options.negative_max_ttl = Some(Duration::from_secs(60));
    options.cache_size = 256;
}

/// A name that is not looked for below the machine's own domains.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn host(name: &Name) -> Option<Host> {
    Host::parse(&name.to_ascii()).ok().filter(|host| host.as_str().contains('.'))
}

#[cfg(test)]
impl Names {
    /// Asks one name server only, by UDP.
    pub(crate) fn of_server(address: SocketAddr) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
        use hickory_resolver::net::runtime::TokioRuntimeProvider;

        let mut udp = ConnectionConfig::udp();
        udp.port = address.port();
        let mut server = NameServerConfig::udp(address.ip());
        server.connections = vec![udp];
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        bound(builder.options_mut());
        Self(OnceLock::from(builder.build().ok()))
    }
}
