//! Hosts that people type, checked before anything is stored. They are checked again, by address, at each connection.

use std::time::Duration;

use futures_util::future::join_all;
use mailroom_contract::field::{Discovery, Transport};
use mailroom_contract::problem::Problems;
use mailroom_core::profile::Profile;
use mailroom_core::server::Host;
use mailroom_net::connect::{AllowedHosts, HostCheck};

/// How long a name may take to resolve here. One that takes longer is judged when it is connected to.
const RESOLVE_TIME: Duration = Duration::from_secs(2);

/// Follows the field's name in a problem.
const NOT_ALLOWED: &str = "must be a public mail server: this host is in a private network";

/// The hosts that this deployment connects to.
pub(crate) struct Hosts(pub(crate) AllowedHosts);

impl Hosts {
    /// Adds a problem for each host that may not be connected to. A name that does not resolve now is
    /// accepted: the profile's status reports it.
    pub(crate) async fn check(
        &self,
        profile: &Profile,
        discovery: Option<&Discovery>,
        problems: &mut Problems,
    ) {
        let servers =
            [("imap_host", profile.settings.imap.as_ref()), ("smtp_host", profile.settings.smtp.as_ref())];
        let mut hosts: Vec<(&str, &Host)> =
            servers.iter().filter_map(|(field, server)| Some((*field, &server.as_ref()?.host))).collect();
        hosts.extend(discovery.map(|discovery| ("auth.discovery_url", &discovery.host)));
        let checks = join_all(hosts.iter().map(|(_, host)| self.0.check(host, RESOLVE_TIME)));
        for ((field, _), check) in hosts.iter().zip(checks.await) {
            match check {
                HostCheck::NotAllowed => problems.add(*field, NOT_ALLOWED),
                HostCheck::Allowed | HostCheck::Unresolved => {}
            }
        }
        if let Some(Discovery { transport: Transport::Http, host, .. }) = discovery
            && !self.0.names(host)
        {
            problems.add("auth.discovery_url", "must begin with https://");
        }
    }
}
