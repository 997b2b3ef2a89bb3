//! The servers that all scenarios of a process share: the emulator, the mail server, and the function as it was built to
//! be deployed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use mailroom_local::certificates::Certificates;
use mailroom_local::deploy::{ApiAuth, ConsoleSignIn, Deployment};
use mailroom_local::dovecot::Dovecot;
use mailroom_local::emulator::Emulator;
use mailroom_local::functions::{self, Function, Functions};
use mailroom_local::stack::Stack;
use mailroom_local::toolbox::Toolbox;
use tempfile::TempDir;

use crate::openid::OpenId;
use crate::or_panic::or_panic;
use crate::secret_scan;

/// What is shared. Everything ends with this process at the latest: see [`mailroom_local::child_process`].
pub struct Servers {
    endpoint: SocketAddr,
    emulator: Emulator,
    certificates: Certificates,
    dovecot: Dovecot,
    functions: Functions,
    open_id: OnceLock<OpenId>,
    files: TempDir,
}

impl Servers {
    /// The servers that others use now, or new ones. Whoever is the last to drop them stops them, so that nothing is
    /// left behind when the scenarios end.
    ///
    /// # Panics
    /// When one of them cannot be installed or started, with the reason.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Servers>> = Mutex::new(Weak::new());
        // Poisoned by a start that failed: the next one says why, too.
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let servers = Arc::new(Self::start());
            *running = Arc::downgrade(&servers);
            servers
        })
    }

    fn start() -> Self {
        // What is tested does not change while it is tested.
        static BUILT: Mutex<Option<(Toolbox, Functions)>> = Mutex::new(None);
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let (toolbox, functions) = built
            .get_or_insert_with(|| {
                let toolbox = or_panic(Toolbox::prepare());
                let functions = or_panic(functions::build(&toolbox));
                (toolbox, functions)
            })
            .clone();
        let files = tempfile::Builder::new().prefix("mailroom-tests-").tempdir().expect("a temporary folder");
        let certificates = or_panic(Certificates::ensure(&files.path().join("certificates")));
        let dovecot = or_panic(Dovecot::start(files.path(), &certificates));
        let emulator = or_panic(Emulator::start(&toolbox, None, &files.path().join("emulator.log")));
        let address = emulator.endpoint().trim_start_matches("http://").parse();
        let endpoint = address.expect("the emulator has an address");
        Self { endpoint, emulator, certificates, dovecot, functions, open_id: OnceLock::new(), files }
    }

    /// The address at which the emulator serves all of AWS.
    #[must_use]
    pub const fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// The mail server on which every world has a mailbox of its own.
    #[must_use]
    pub const fn dovecot(&self) -> &Dovecot {
        &self.dovecot
    }

    /// The certificates of the mail servers.
    #[must_use]
    pub const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The OpenID provider, and the mail servers that take its tokens. Started by whoever asks first.
    ///
    /// # Panics
    /// When they cannot be installed or started.
    #[must_use]
    pub fn open_id(&self) -> &OpenId {
        self.open_id.get_or_init(|| OpenId::start(self.files.path(), &self.certificates))
    }

    /// The fetch function as it was built to be deployed.
    #[must_use]
    pub const fn fetch(&self) -> &Function {
        &self.functions.fetch
    }

    /// The api function as it was built to be deployed.
    #[must_use]
    pub const fn api(&self) -> &Function {
        &self.functions.api
    }

    /// The send function as it was built to be deployed.
    #[must_use]
    pub const fn send(&self) -> &Function {
        &self.functions.send
    }

    /// The audit function as it was built to be deployed.
    #[must_use]
    pub const fn audit(&self) -> &Function {
        &self.functions.audit
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
    pub async fn deploy(
        &self,
        account: &str,
        auth: ApiAuth,
        public_url: Option<String>,
        console: Option<ConsoleSignIn>,
    ) -> Stack {
        let deployment = Deployment {
            endpoint: self.emulator.endpoint().to_owned(),
            account: account.to_owned(),
            prefix: format!("m{account}"),
            auth,
            ca: Some(self.certificates.authority()),
            public_url,
            console,
        };
        or_panic(deployment.run(&self.functions).await)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            if let Some(open_id) = self.open_id.get() {
                secret_scan::watch(open_id.issued());
            }
            secret_scan::assert_kept("the log of all functions that were deployed", &self.emulator_log());
        }
    }
}
