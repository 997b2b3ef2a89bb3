//! The search: a known provider at once, or else everything that may know the domain, together.

use std::time::Duration;

use futures_util::future::join;
use mailroom_auth::http::Http;
use mailroom_core::address::EmailAddress;
use mailroom_core::known_provider::KnownProvider;
use mailroom_core::server::{Host, Security, Server, SubmissionPort};
use mailroom_mail::smtp::EhloName;
use mailroom_net::connect::AllowedHosts;
use mailroom_net::tls::Tls;
use tokio::time::{Instant, timeout_at};

use crate::candidate::{Candidate, Confidence, Origin};
use crate::document;
use crate::names::Names;
use crate::probe::{Ports, Probe};

/// How long a search takes at most.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Thunderbird's database of providers: the name of a domain follows.
const ISPDB: &str = "https://autoconfig.thunderbird.net/v1.1/";

/// Redirects that are followed, each to https and to a host that may be connected to. `autoconfig.` hosts of customers
/// redirect to their provider's.
const MAX_REDIRECTS: usize = 2;

/// Looks for the settings of addresses.
pub struct Autoconfig {
    names: Names,
    http: Http,
    tls: Tls,
    allowed: AllowedHosts,
    ports: Ports,
    ispdb: String,
}

impl Autoconfig {
    /// Asks the system's name servers, and connects only to hosts that are public or `allowed`.
    #[must_use]
    pub fn new(tls: Tls, allowed: AllowedHosts) -> Self {
        Self {
            names: Names::default(),
            http: Http::new(tls.clone(), allowed.clone()),
            tls,
            allowed,
            ports: Ports::USUAL,
            ispdb: ISPDB.to_owned(),
        }
    }

    /// The settings that may be the address's, the most certain first; none where the domain has none that can be found.
    /// A known provider without IMAP is a candidate without an IMAP server. `domain` is the address's.
    pub async fn find(&self, address: &EmailAddress, domain: &Host, deadline: Instant) -> Vec<Candidate> {
        if let Some(provider) = KnownProvider::by_domain(domain) {
            let source = format!("{domain} is a domain of {}", provider.name);
            return vec![Candidate::of_provider(provider, address, Origin::Provider, source)];
        }
        let exchangers = timeout_at(deadline, self.names.exchangers(domain)).await.unwrap_or_default();
        let mut candidates = Vec::new();
        let known = exchangers.iter().find_map(|host| Some((host, KnownProvider::by_mx(host)?)));
        if let Some((exchanger, provider)) = known {
            let source = format!("{exchanger} takes the mail for {domain}");
            candidates.push(Candidate::of_provider(provider, address, Origin::Mx, source));
            if !provider.shared_mx {
                return candidates;
            }
        }
        let search = Search { autoconfig: self, address, domain, deadline };
        let documents = join(search.own_document(), search.database(&exchangers));
        let (documents, servers) = join(documents, join(search.records(), search.guess())).await;
        for candidate in [documents.0, documents.1, servers.0, servers.1].into_iter().flatten() {
            let same = |other: &Candidate| other.imap == candidate.imap && other.smtp == candidate.smtp;
            if !candidates.iter().any(same) {
                candidates.push(candidate);
            }
        }
        candidates.sort_by_key(|candidate| candidate.confidence);
        candidates
    }
}

struct Search<'a> {
    autoconfig: &'a Autoconfig,
    address: &'a EmailAddress,
    domain: &'a Host,
    deadline: Instant,
}

impl Search<'_> {
    /// The domain's own document: at its `autoconfig` host, or below `/.well-known`.
    async fn own_document(&self) -> Option<Candidate> {
        let domain = self.domain;
        let address = percent_encoded(self.address.as_str());
        let port = self.autoconfig.ports.https;
        let host = format!("https://autoconfig.{domain}:{port}/mail/config-v1.1.xml?emailaddress={address}");
        let well_known = format!("https://{domain}:{port}/.well-known/autoconfig/mail/config-v1.1.xml");
        let (host, well_known) =
            join(self.document(&host, Origin::Autoconfig), self.document(&well_known, Origin::Autoconfig))
                .await;
        host.or(well_known)
    }

    /// What Thunderbird's database says of the domain, or else of whoever takes its mail.
    async fn database(&self, exchangers: &[Host]) -> Option<Candidate> {
        let at = |domain: &str| format!("{}{domain}", self.autoconfig.ispdb);
        if let Some(found) = self.document(&at(self.domain.as_str()), Origin::Ispdb).await {
            return Some(found);
        }
        let exchanger = exchangers.first()?.as_str();
        let (_, below) = exchanger.split_once('.')?;
        let base = last_two_labels(exchanger);
        for name in [below, base].into_iter().take(if below == base { 1 } else { 2 }) {
            if name == self.domain.as_str() || !name.contains('.') {
                continue;
            }
            if let Some(found) = self.document(&at(name), Origin::Ispdb).await {
                return Some(Candidate { confidence: Confidence::Medium, ..found });
            }
        }
        None
    }

    async fn document(&self, url: &str, origin: Origin) -> Option<Candidate> {
        let (text, source) = timeout_at(self.deadline, Box::pin(self.fetch(url))).await.ok()??;
        let found = document::read(&text, self.address)?;
        let mut candidate = Candidate::of_servers(self.address, origin, source, found.imap, found.smtp);
        if candidate.provider.is_none() {
            (candidate.login_form, candidate.login) = (found.login_form, found.login);
            candidate.auth = found.auth;
        }
        Some(candidate)
    }

    /// A document, over https only, and its address.
    async fn fetch(&self, url: &str) -> Option<(String, String)> {
        let Autoconfig { http, names, .. } = self.autoconfig;
        let mut endpoint = http.endpoint(url).ok()?;
        for _ in 0..=MAX_REDIRECTS {
            if endpoint.url().scheme() != "https" {
                return None;
            }
            let addresses = names.addresses(endpoint.host(), endpoint.server().port).await;
            let response = http.get_at(&endpoint, addresses, self.deadline).await.ok()?;
            if let Some(location) = response.redirect() {
                endpoint = http.endpoint(endpoint.url().join(location).ok()?.as_str()).ok()?;
                continue;
            }
            let text = response.status.is_success().then(|| String::from_utf8(response.body).ok())??;
            let mut source = endpoint.url().clone();
            source.set_query(None);
            return Some((text, source.to_string()));
        }
        None
    }

    /// SRV records: implicit TLS before STARTTLS (RFC 8314 §5.1).
    async fn records(&self) -> Option<Candidate> {
        let service = |name: &'static str, security| async move {
            let (host, port) = self.autoconfig.names.service(name, self.domain).await?;
            Some(Server { host, port, security })
        };
        let imap = join(service("_imaps._tcp", Security::Tls), service("_imap._tcp", Security::StartTls));
        let smtp = join(
            service("_submissions._tcp", Security::Tls),
            service("_submission._tcp", Security::StartTls),
        );
        let (imap, smtp) = timeout_at(self.deadline, join(imap, smtp)).await.ok()?;
        let (imap, smtp) = (imap.0.or(imap.1)?, smtp.0.or(smtp.1));
        let smtp = smtp.filter(|smtp| SubmissionPort::new(smtp.port).is_ok());
        let source = format!("SRV records of {}", self.domain);
        Some(Candidate::of_servers(self.address, Origin::Srv, source, Some(imap), smtp))
    }

    /// Servers at usual names in the domain.
    async fn guess(&self) -> Option<Candidate> {
        let Autoconfig { names, tls, allowed, ports, .. } = self.autoconfig;
        let probe = Probe { names, tls, allowed, deadline: self.deadline };
        let hosts = |prefixes: [&str; 2]| -> Vec<Host> {
            let domain = self.domain;
            prefixes.iter().filter_map(|prefix| Host::parse(&format!("{prefix}.{domain}")).ok()).collect()
        };
        let name = EhloName::parse(self.domain.as_str()).ok()?;
        let (imap_hosts, smtp_hosts) = (hosts(["imap", "mail"]), hosts(["smtp", "mail"]));
        let (imap, smtp) =
            join(probe.imap(&imap_hosts, *ports), probe.smtp(&smtp_hosts, *ports, &name)).await;
        let source = format!("a server answers at {}", imap.as_ref()?.host);
        Some(Candidate::of_servers(self.address, Origin::Guess, source, imap, smtp))
    }
}

fn last_two_labels(name: &str) -> &str {
    name.rmatch_indices('.').nth(1).map_or(name, |(at, _)| name.get(at + 1..).unwrap_or(name))
}

/// An address in a query (RFC 3986 §2.1).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests;
