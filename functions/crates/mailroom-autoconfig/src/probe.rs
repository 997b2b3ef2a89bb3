//! Servers with usual names: each is tried over TLS, without a login.

use std::num::NonZeroU16;

use futures_util::future::join_all;
use mailroom_core::server::{Host, Security, Server};
use mailroom_mail::smtp::{EhloName, EhloResponse};
use mailroom_mail::{imap, smtp};
use mailroom_net::connect::{AllowedHosts, connect_to};
use mailroom_net::tls::Tls;
use tokio::time::{Instant, timeout_at};

use crate::names::Names;

/// Tries servers.
pub(crate) struct Probe<'a> {
    pub(crate) names: &'a Names,
    pub(crate) tls: &'a Tls,
    pub(crate) allowed: &'a AllowedHosts,
    pub(crate) deadline: Instant,
}

/// Where services listen: documents, and message access and submission with TLS (RFC 8314 §3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) https: NonZeroU16,
    pub(crate) imaps: NonZeroU16,
    pub(crate) submissions: NonZeroU16,
    pub(crate) submission: NonZeroU16,
}

const fn port(number: u16) -> NonZeroU16 {
    match NonZeroU16::new(number) {
        Some(port) => port,
        None => NonZeroU16::MIN,
    }
}

impl Ports {
    /// As IANA has them.
    pub(crate) const USUAL: Self =
        Self { https: port(443), imaps: port(993), submissions: port(465), submission: port(587) };
}

impl Probe<'_> {
    /// The first server of these that speaks IMAP.
    pub(crate) async fn imap(&self, hosts: &[Host], ports: Ports) -> Option<Server> {
        let servers = hosts.iter().map(|host| Server {
            host: host.clone(),
            port: ports.imaps,
            security: Security::Tls,
        });
        let servers: Vec<Server> = servers.collect();
        let answers = join_all(servers.iter().map(|server| self.speaks_imap(server))).await;
        servers.into_iter().zip(answers).find_map(|(server, answers)| answers.then_some(server))
    }

    /// The first server of these that speaks SMTP: one with implicit TLS before one with STARTTLS (RFC 8314 §3.3).
    pub(crate) async fn smtp(&self, hosts: &[Host], ports: Ports, name: &EhloName) -> Option<Server> {
        let with =
            |port, security| hosts.iter().map(move |host| Server { host: host.clone(), port, security });
        let implicit = with(ports.submissions, Security::Tls);
        let servers: Vec<Server> = implicit.chain(with(ports.submission, Security::StartTls)).collect();
        let answers = join_all(servers.iter().map(|server| self.speaks_smtp(server, name))).await;
        servers.into_iter().zip(answers).find_map(|(server, answers)| answers.then_some(server))
    }

    async fn speaks_imap(&self, server: &Server) -> bool {
        let probe = async {
            let addresses = self.names.addresses(&server.host, server.port).await;
            let tcp = connect_to(&server.host, addresses, self.allowed).await.ok()?;
            let stream = self.tls.connect(&server.host, tcp).await.ok()?;
            imap::greet_over(stream, self.deadline).await.ok()
        };
        timeout_at(self.deadline, Box::pin(probe)).await.ok().flatten().is_some()
    }

    async fn speaks_smtp(&self, server: &Server, name: &EhloName) -> bool {
        let probe = async {
            let addresses = self.names.addresses(&server.host, server.port).await;
            let tcp = connect_to(&server.host, addresses, self.allowed).await.ok()?;
            match server.security {
                Security::Tls => {
                    let stream = self.tls.connect(&server.host, tcp).await.ok()?;
                    let ehlo = &mut EhloResponse::default();
                    smtp::open_over(stream, ehlo, server, None, self.deadline).await.ok()?.quit().await;
                }
                Security::StartTls => {
                    let bare = smtp::start_tls_over(tcp, name, self.deadline).await.ok()?;
                    let _ = self.tls.connect(&server.host, bare).await.ok()?;
                }
            }
            Some(())
        };
        timeout_at(self.deadline, Box::pin(probe)).await.ok().flatten().is_some()
    }
}
