//! The OpenID provider on this machine: oidc-provider, with its own pages for login and consent. Any account works with
//! any password, and all is forgotten when it ends.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::certificates::{Certificates, Leaf};
use crate::child_process::ChildProcess;
use crate::npm::{self, Installed};
use crate::problem::Problem;
use crate::toolbox::Toolbox;

/// Where it is installed, below `.local`.
const HOME: &str = "openid/provider";

/// How long it may take until it serves.
const START_TIME: Duration = Duration::from_secs(20);

/// What mail servers ask with whether a token holds.
const DOVECOT_SECRET: &str = "a-secret-between-two-programs-of-this-machine";

/// A running provider. Dropping it stops it, and forgets all accounts, clients and tokens.
#[derive(Debug)]
pub struct OpenIdProvider {
    _process: ChildProcess,
    https: Option<u16>,
    http: u16,
    log: PathBuf,
}

impl OpenIdProvider {
    /// Starts a provider, installing it if need be. `dir` receives its log. Without certificates it speaks plain HTTP, for
    /// browsers that would not trust them.
    ///
    /// # Errors
    /// When it cannot be installed, or does not come up.
    pub fn start(
        toolbox: &Toolbox,
        dir: &Path,
        certificates: Option<&Certificates>,
    ) -> Result<Self, Problem> {
        let source = Toolbox::root().join("infra/local/openid");
        let files = ["provider.mjs", "package.json", "package-lock.json"];
        let Installed { programs, home } =
            npm::install(toolbox, HOME, &source, &files, "the OpenID provider")?;
        let node = programs.join("node");
        let log = dir.join("openid.log");
        let failed = |doing: &str| Problem::while_(format!("the OpenID provider: {doing}"));
        let output = fs::File::create(&log).map_err(failed("no log"))?;
        let errors = output.try_clone().map_err(failed("no log"))?;
        let (https, http) =
            (free_port().map_err(failed("no port"))?, free_port().map_err(failed("no port"))?);
        let options = json!({
            "https": https, "http": http, "dovecot": DOVECOT_SECRET,
            "certificate": certificates.map(|all| all.certificate(Leaf::Good)),
            "key": certificates.map(|all| all.key(Leaf::Good)),
        });
        let args = [home.join("provider.mjs").into_os_string(), options.to_string().into()];
        let mut process = ChildProcess::spawn(node, args, |command| {
            command.stdout(Stdio::from(output)).stderr(Stdio::from(errors));
        })
        .map_err(failed("cannot be started"))?;
        let begun = Instant::now();
        while !fs::read_to_string(&log).is_ok_and(|text| text.contains("ready")) {
            if process.has_ended().unwrap_or(true) || begun.elapsed() > START_TIME {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(Problem::new(format!("the OpenID provider did not start:\n{said}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let https = certificates.map(|_| https);
        Ok(Self { _process: process, https, http, log })
    }

    /// Its issuer, which is also a discovery URL.
    #[must_use]
    pub fn issuer(&self) -> String {
        match self.https {
            Some(port) => format!("https://127.0.0.1:{port}"),
            None => format!("http://127.0.0.1:{}", self.http),
        }
    }

    /// What a mail server asks whether a token holds (RFC 7662), with its credential.
    #[must_use]
    pub fn introspection_url(&self) -> String {
        format!("http://dovecot:{DOVECOT_SECRET}@127.0.0.1:{}/token/introspection", self.http)
    }

    /// What it is asked about itself and told of its world, over plain HTTP: see `provider.mjs`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}/control", self.http)
    }

    /// Where a client is registered (RFC 7591), over plain HTTP.
    #[must_use]
    pub fn registration_url(&self) -> String {
        format!("http://127.0.0.1:{}/reg", self.http)
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The metadata of a client that a person signs in with, on this machine (RFC 7591 §2, RFC 8252 §7.3).
#[must_use]
pub fn client(redirect_uri: &str) -> Value {
    json!({
        "client_name": "Mailroom", "application_type": "native", "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
