//! The servers that all scenarios of a process share: the emulator, the mail server, and the function as it was built to
//! be deployed.

use std::net::SocketAddr;
use std::sync::OnceLock;

use mailroom_local::certificates::Certificates;
use mailroom_local::deploy::Deployment;
use mailroom_local::dovecot::Dovecot;
use mailroom_local::emulator::Emulator;
use mailroom_local::functions::{self, Function};
use mailroom_local::stack::Stack;
use mailroom_local::toolbox::Toolbox;
use tempfile::TempDir;

/// What is shared. Everything ends with this process: see [`mailroom_local::tied`].
pub struct Servers {
    endpoint: SocketAddr,
    emulator: Emulator,
    certificates: Certificates,
    dovecot: Dovecot,
    fetch: Function,
    _files: TempDir,
}

impl Servers {
    /// The servers, started when they are first asked for.
    ///
    /// # Panics
    /// When one of them cannot be had, with the reason.
    pub fn shared() -> &'static Self {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(Self::start)
    }

    fn start() -> Self {
        let files = tempfile::Builder::new().prefix("mailroom-tests-").tempdir().expect("a temporary folder");
        let toolbox = or_panic(Toolbox::prepare());
        let fetch = or_panic(functions::build_fetch(&toolbox));
        let certificates = or_panic(Certificates::ensure(&files.path().join("certificates")));
        let dovecot = or_panic(Dovecot::start(files.path(), &certificates));
        let emulator = or_panic(Emulator::start(&toolbox, None, &files.path().join("emulator.log")));
        let address = emulator.endpoint().trim_start_matches("http://").parse();
        let endpoint = address.expect("the emulator has an address");
        Self { endpoint, emulator, certificates, dovecot, fetch, _files: files }
    }

    /// The emulator's address.
    #[must_use]
    pub const fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// The mail server.
    #[must_use]
    pub const fn dovecot(&self) -> &Dovecot {
        &self.dovecot
    }

    /// The certificates of the mail servers.
    #[must_use]
    pub const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The fetch function.
    #[must_use]
    pub const fn fetch(&self) -> &Function {
        &self.fetch
    }

    /// The emulator's log, with what the functions that it has started say.
    #[must_use]
    pub fn emulator_log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.emulator.log()).unwrap_or_default()).into_owned()
    }

    /// Deploys the template to an account.
    ///
    /// # Panics
    /// When it cannot be deployed.
    pub async fn deploy(&self, account: &str) -> Stack {
        let deployment = Deployment {
            endpoint: self.emulator.endpoint().to_owned(),
            account: account.to_owned(),
            ca: Some(self.certificates.authority()),
        };
        or_panic(deployment.run(&self.fetch).await)
    }
}

fn or_panic<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        panic!("{text}")
    })
}
