//! A world for one scenario: an account of the emulator with the deployed resources in it, a mailbox on a real server,
//! the function, and what a test wants to do with them.
//!
//! The servers are shared by all scenarios of the process; the account and the mailbox are not, so that scenarios run
//! side by side.

mod auditing;
mod inspect;
mod oauth2;
mod people;
mod profiles;
mod sending;

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mailroom_aws::dynamodb::Table;
use mailroom_aws::secrets::Secrets;
use mailroom_core::flow::{FlowSchema, FlowSchemaId};
use mailroom_core::profile::RefreshInterval;
use mailroom_core::server::{Host, Security, Server};
use mailroom_local::deploy::ApiAuth;
use mailroom_local::dovecot::Dovecot;
use mailroom_local::functions::Function;
use mailroom_local::lmtp::{self, Lmtp};
use mailroom_local::stack::{Function as DeployedFunction, Stack};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

use crate::api::Api;
use crate::aws::Aws;
use crate::aws_proxy::AwsProxy;
use crate::custom_domain::CustomDomain;
use crate::imap::Imap;
use crate::lambda::{Lambda, Outcome};
use crate::openid::OpenId;
use crate::rights;
use crate::secret_scan;
use crate::servers::Servers;
use crate::tls;
pub use sending::BATCH_LIMIT;

/// The interval of every profile, unless a scenario says otherwise: the default, whose schedule is always there.
pub const INTERVAL: u32 = 300;

/// The flow schema of every profile.
const FLOW_SCHEMA: &str = "add-to-queue";

/// How long a poll has when a scenario does not say.
const POLL_LIMIT: Duration = Duration::from_secs(30);

/// An account with the deployed resources, a mailbox, and the four functions.
pub struct World {
    // Dropped in this order: what runs first, then what it runs on.
    lambda: Lambda,
    api_lambda: Lambda,
    send_lambda: Lambda,
    audit_lambda: Lambda,
    proxy: AwsProxy,
    aws: Aws,
    stack: Stack,
    table: Table,
    secrets: Secrets,
    login: String,
    domain: Option<CustomDomain>,
    own_open_id: OnceLock<OpenId>,
    files: TempDir,
    servers: Arc<Servers>,
    runtime: Runtime,
}

/// Where requests to the API come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    /// At the emulator's gateway alone, with the account in a header.
    Gateway,
    /// At an address of its own too, where no header is needed.
    CustomDomain,
    /// At an address of its own, by TLS.
    SecureDomain,
}

/// Who uses the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum People {
    /// Everybody, or nobody, as the API's callers are known.
    Unknown,
    /// People who sign in at the provider.
    SignedIn,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world without profiles, and an empty mailbox. Polls happen when the scenario says so, and not before.
    #[must_use]
    pub fn new() -> Self {
        let world = Self::as_deployed();
        let interval = RefreshInterval::from_seconds(INTERVAL).expect("an interval");
        world.handle().block_on(world.stack.schedules().remove(interval)).expect("the schedule is removed");
        world.aws.forget_event_sources();
        world
    }

    /// A world with everything on that the template deploys: its schedule fires, and its poll queue starts the function.
    #[must_use]
    pub fn as_deployed() -> Self {
        Self::deployed_with(ApiAuth::Open)
    }

    /// A world with everything on, whose API identifies its callers in this way.
    #[must_use]
    pub fn deployed_with(auth: ApiAuth) -> Self {
        Self::deploy(auth, Endpoint::Gateway, People::Unknown)
    }

    /// A world whose API has an address of its own, which browsers can reach.
    #[must_use]
    pub fn for_browsers() -> Self {
        let world = Self::deploy(ApiAuth::Open, Endpoint::CustomDomain, People::Unknown);
        world.aws.forget_event_sources();
        world
    }

    /// A world with everything on, and an API that any program can reach at an address of its own.
    #[must_use]
    pub fn for_programs() -> Self {
        Self::deploy(ApiAuth::Open, Endpoint::CustomDomain, People::Unknown)
    }

    fn deploy(auth: ApiAuth, endpoint: Endpoint, visitors: People) -> Self {
        let servers = Servers::shared();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let account = new_account();
        let domain = |tls| CustomDomain::start(runtime.handle(), servers.endpoint(), &account, tls);
        let domain = match endpoint {
            Endpoint::Gateway => None,
            Endpoint::CustomDomain => Some(domain(None)),
            Endpoint::SecureDomain => Some(domain(Some(tls::acceptor(servers.certificates())))),
        };
        let public_url = domain.as_ref().map(CustomDomain::url);
        let console = match visitors {
            People::Unknown => None,
            People::SignedIn => public_url.as_ref().map(|url| servers.open_id().register_console(url)),
        };
        let stack = runtime.block_on(servers.deploy(&account, auth, public_url, console));
        if let Some(domain) = &domain {
            domain.route_to(stack.api.url.trim_start_matches(stack.endpoint.as_str()));
        }
        let aws = Aws::new(runtime.handle().clone(), servers.endpoint(), account.clone());
        let (table, secrets) = (stack.table(), stack.secrets());
        runtime.block_on(table.put_flow_schema(&flow_schema())).expect("the flow schema is stored");
        let proxy = AwsProxy::start(runtime.handle(), servers.endpoint());
        let files = tempfile::tempdir().expect("a temporary folder");
        let start = |function: &Function, deployed: &DeployedFunction, log: &str| {
            run(&runtime, function, deployed, &stack, &proxy, &files.path().join(log))
        };
        let lambda = start(servers.fetch(), &stack.functions.fetch, "fetch.log");
        let api_lambda = start(servers.api(), &stack.functions.api, "api.log");
        let send_lambda = start(servers.send(), &stack.functions.send, "send.log");
        let audit_lambda = start(servers.audit(), &stack.functions.audit, "audit.log");
        let login = format!("u{account}@example.com");
        Self {
            lambda,
            api_lambda,
            send_lambda,
            audit_lambda,
            proxy,
            aws,
            stack,
            table,
            secrets,
            login,
            domain,
            own_open_id: OnceLock::new(),
            files,
            servers,
            runtime,
        }
    }

    /// Where browsers reach the API.
    ///
    /// # Panics
    /// When the world is not for browsers.
    #[must_use]
    pub fn public_url(&self) -> String {
        self.domain.as_ref().expect("a world for browsers").url()
    }

    /// The fetch function, which polls.
    #[must_use]
    pub const fn lambda(&self) -> &Lambda {
        &self.lambda
    }

    /// A client of the HTTP API that is deployed.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(self.handle().clone(), self.servers.endpoint(), &self.stack)
    }

    /// The api function by itself, where AWS can be made to fail. [`crate::api::event`] makes what it is sent.
    #[must_use]
    pub const fn api_function(&self) -> &Lambda {
        &self.api_lambda
    }

    /// The send function by itself, where AWS can be made to fail.
    #[must_use]
    pub const fn send_function(&self) -> &Lambda {
        &self.send_lambda
    }

    /// The proxy between the functions and AWS, which fails calls on demand.
    #[must_use]
    pub const fn proxy(&self) -> &AwsProxy {
        &self.proxy
    }

    /// The AWS account, past the proxy and its faults.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The names of what is deployed.
    #[must_use]
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The table, as the api uses it.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// What the servers of a scenario run on.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// The servers shared by all scenarios.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The login name of the mailbox.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password of the mailbox.
    #[must_use]
    pub const fn password(&self) -> &'static str {
        Dovecot::PASSWORD
    }

    /// A second function over the same resources, without a proxy of its own.
    #[must_use]
    pub fn another_function(&self) -> Lambda {
        let log = self.files.path().join("second.log");
        let deployed = &self.stack.functions.fetch;
        run(&self.runtime, self.servers.fetch(), deployed, &self.stack, &self.proxy, &log)
    }

    /// Creates a queue in the account, and returns its URL.
    #[must_use]
    pub fn make_queue(&self, name: &str) -> String {
        let made = self.aws.call("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": name}));
        made.get("QueueUrl").and_then(Value::as_str).expect("a URL").to_owned()
    }

    /// Puts a message into a mailbox of the login, as another client does. Creates the mailbox where it is missing.
    pub fn append(&self, mailbox: &str, raw: &[u8]) {
        let mut client = self.other_client();
        client.create(mailbox);
        client.append(mailbox, "", None, raw);
    }

    /// Delivers a message to the INBOX, as the mail server of its sender does.
    pub fn deliver(&self, raw: &[u8]) {
        lmtp::deliver(self.servers.dovecot().lmtp(), "ann@example.org", &self.login, raw)
            .unwrap_or_else(|error| panic!("{error}: {}", self.servers.dovecot().log_tail(10)));
    }

    /// Delivers many messages in one connection.
    pub fn deliver_all<'a>(&self, messages: impl IntoIterator<Item = &'a [u8]>) {
        let mut lmtp = Lmtp::connect(self.servers.dovecot().lmtp()).expect("the server answers");
        for raw in messages {
            lmtp.deliver("ann@example.org", &self.login, raw).expect("the server takes a message");
        }
    }

    /// Another IMAP client that is logged in to the mailbox.
    #[must_use]
    pub fn other_client(&self) -> Imap {
        let address = ([127, 0, 0, 1], self.servers.dovecot().ports().imap).into();
        Imap::login(address, &self.login, Dovecot::PASSWORD)
    }

    /// Runs a poll of the interval, and requires that it succeeds.
    pub fn poll(&self) {
        let outcome = self.poll_within(POLL_LIMIT);
        assert_eq!(outcome, Outcome::Answered(json!({"batchItemFailures": []})), "{}", self.lambda.log());
    }

    /// Runs a poll of the interval within this limit, whatever its outcome.
    pub fn poll_within(&self, limit: Duration) -> Outcome {
        self.lambda.invoke(json!({"refresh_interval": INTERVAL}), limit)
    }

    /// Delivers the queue messages of the poll queue, one for each invocation, until the queue is empty. Returns how
    /// many invocations it took.
    pub fn run_poll_queue(&self, limit: Duration) -> usize {
        let mut count = 0;
        loop {
            let messages = self.aws.receive(&self.stack.queues.poll, 1);
            if messages.is_empty() {
                return count;
            }
            for message in messages {
                count += 1;
                assert!(count <= 100, "the poll queue never ends");
                let outcome = self.lambda.invoke(sqs_event("1", &message.body), limit);
                assert_eq!(
                    outcome,
                    Outcome::Answered(json!({"batchItemFailures": []})),
                    "{}",
                    self.lambda.log()
                );
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.lambda.killer().kill();
        self.api_lambda.killer().kill();
        self.send_lambda.killer().kill();
        self.audit_lambda.killer().kill();
        if std::thread::panicking() {
            let log = self.lambda.log();
            let lines: Vec<&str> = log.lines().collect();
            let end =
                lines.iter().skip(lines.len().saturating_sub(30)).copied().collect::<Vec<_>>().join("\n");
            eprintln!("--- the end of the fetch function's log:\n{end}");
            eprintln!("--- the send function's log:\n{}", self.send_lambda.log());
            eprintln!(
                "--- the audit function's log:\n{}\n--- the last calls to AWS:",
                self.audit_lambda.log()
            );
            for call in self.proxy.calls().iter().rev().take(25).rev() {
                eprintln!("{call:?}");
            }
        } else {
            assert!(self.proxy.faults_are_spent(), "a fault that the scenario planned never happened");
            if self.domain.is_some() {
                secret_scan::watch(self.open_id().issued());
            }
            self.assert_secrets_are_kept();
            rights::assert_granted(&self.aws, &self.proxy.needed());
            let begun = Instant::now();
            loop {
                let left = functions_behind(&self.proxy);
                if left.is_empty() {
                    break;
                }
                // A killed process stays in /proc until its memory is released.
                assert!(begun.elapsed() < Duration::from_secs(10), "left behind: {left:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// The processes that reach AWS through this proxy: those that the functions of a scenario run in.
fn functions_behind(proxy: &AwsProxy) -> Vec<PathBuf> {
    // Other variables may name the same port: the emulator keeps functions warm whose public URL's port was given back.
    let setting = format!("AWS_ENDPOINT_URL={}", proxy.endpoint());
    let processes = fs::read_dir("/proc").expect("Linux has /proc");
    processes
        .flatten()
        .map(|process| process.path())
        // A process that ends meanwhile has no environment any more.
        .filter(|path| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).split('\0').any(|variable| variable == setting)
        })
        .collect()
}

/// The flow schema that every profile has.
fn flow_schema() -> FlowSchema {
    let id = FlowSchemaId::parse(FLOW_SCHEMA).expect("an id");
    FlowSchema { id, name: "Add to the queue".to_owned(), queue_url: None }
}

/// A mail server of a profile.
#[must_use]
pub fn server(host: &str, port: u16, security: Security) -> Server {
    Server {
        host: Host::parse(host).expect("a host"),
        port: NonZeroU16::new(port).expect("a port"),
        security,
    }
}

/// The event in which the poll queue delivers one queue message.
#[must_use]
pub fn sqs_event(id: &str, body: &str) -> Value {
    json!({"Records": [{
        "messageId": id,
        "receiptHandle": "handle",
        "body": body,
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:polls",
        "awsRegion": "us-east-1",
    }]})
}

/// A small message with this subject.
#[must_use]
pub fn message(subject: &str) -> Vec<u8> {
    format!(
        "From: Ann <ann@example.org>\r\nTo: support@example.com\r\nSubject: {subject}\r\n\
         Message-ID: <{id}@example.org>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello,\r\nthis is {subject}.\r\n",
        id = subject.replace(' ', "-")
    )
    .into_bytes()
}

/// A function that runs as Lambda runs it, with the environment that it is deployed with.
fn run(
    runtime: &Runtime,
    function: &Function,
    deployed: &DeployedFunction,
    stack: &Stack,
    proxy: &AwsProxy,
    log: &Path,
) -> Lambda {
    let lambda = [
        ("AWS_REGION", stack.region.clone()),
        ("AWS_ACCESS_KEY_ID", stack.account.clone()),
        ("AWS_SECRET_ACCESS_KEY", Stack::SECRET_KEY.to_owned()),
        // Tells the proxy whose call it is: the emulator takes any token, and Lambda gives each function one.
        ("AWS_SESSION_TOKEN", deployed.name.clone()),
        ("AWS_ENDPOINT_URL", proxy.endpoint()),
    ];
    let lambda = lambda.map(|(name, value)| (name.to_owned(), value));
    let env = deployed.environment.clone().into_iter().chain(lambda).collect();
    Lambda::new(runtime.handle().clone(), &function.binary, env, log)
}

/// An AWS account id that no other world uses: twelve digits, from this process and a count.
fn new_account() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("1{:06}{:05}", std::process::id() % 1_000_000, count % 100_000)
}
