//! Postfix: a second real submission server, of the kind that mailboxes really have, with PIPELINING, SMTPUTF8, DSN and
//! CHUNKING.
//!
//! A private instance from Debian's package, which is unpacked and not installed: nothing under `/etc`, and no service
//! that anybody starts. Logins are checked by an instance of Dovecot that does nothing else. Whatever is sent goes on to
//! an [`SmtpServer`], as it would to the next server: what that one refuses comes back to it as a bounce.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mailroom_local::certificates::{Certificates, Leaf};
use mailroom_local::child_process::ChildProcess;
use mailroom_local::dovecot::{self, Dovecot};
use mailroom_local::toolbox::Toolbox;
use tempfile::TempDir;

use crate::smtp_server::{Options, SmtpServer};

/// Where it is unpacked, below `.local`.
const FOLDER: &str = "postfix";

/// How long it may take until it greets.
const START_TIME: Duration = Duration::from_secs(15);

/// Ports are chosen free, but another process may take one before the server does.
const TRIES: usize = 3;

/// The user that its daemons run as: Debian's `news`, which every system has and which owns nothing. Postfix insists on a
/// user and a group that are neither root's nor each other's.
const DAEMON_USER: &str = "news";

/// Its number on every Debian.
const DAEMON_UID: u32 = 9;

/// Postfix's queues, each of them the owner's.
const QUEUES: [&str; 13] = [
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "private",
    "public", "saved", "trace",
];

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Postfix {
    // Dropped in this order: the processes first, then the files under them.
    _master: ChildProcess,
    _auth: ChildProcess,
    next: SmtpServer,
    ports: Ports,
    state: TempDir,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    submission: u16,
    submissions: u16,
    auth: u16,
}

impl Postfix {
    /// The password of every login name.
    pub const PASSWORD: &str = Dovecot::PASSWORD;

    /// Starts a server with the good certificate, and the server that it passes messages on to.
    ///
    /// # Panics
    /// When it cannot be downloaded or started. Only root can start it.
    #[must_use]
    pub fn start(certificates: &Certificates) -> Self {
        let package = unpacked();
        let dovecot = dovecot::ensure_installed().unwrap_or_else(|error| panic!("{error}"));
        let mut log = String::new();
        for _ in 0..TRIES {
            let next = SmtpServer::start(certificates, &Options::default());
            match Self::try_start(&package, &dovecot, certificates, next) {
                Ok(postfix) => return postfix,
                Err(said) => log = said,
            }
            if !log.contains("Address already in use") {
                break;
            }
        }
        panic!("Postfix did not start:\n{log}")
    }

    fn try_start(
        package: &Path,
        dovecot: &Path,
        certificates: &Certificates,
        next: SmtpServer,
    ) -> Result<Self, String> {
        let ports = Ports { submission: free_port(), submissions: free_port(), auth: free_port() };
        let state = tempfile::Builder::new().prefix("mailroom-postfix-").tempdir();
        let state = state.expect("a temporary folder");
        let at = state.path();
        make_folders(at).expect("root's rights");
        write_old(&at.join("config/main.cf"), &main_cf(package, at, ports, next.relay(), certificates));
        write_old(&at.join("config/master.cf"), &master_cf(ports));
        write_old(&at.join("config/dynamicmaps.cf"), "");
        write_old(&at.join("auth.conf"), &auth_conf(at, ports));
        let config = at.join("auth.conf");
        let quiet = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        };
        let mut auth = ChildProcess::spawn(dovecot, [Path::new("-F"), Path::new("-c"), &config], quiet)
            .expect("Dovecot starts");
        let config = at.join("config");
        let program = package.join("usr/lib/postfix/sbin/master");
        let mut master = ChildProcess::spawn(program, [Path::new("-c"), &config], |command| {
            quiet(command);
            command.env("LD_LIBRARY_PATH", libraries(package)).env("MAIL_CONFIG", &config);
        })
        .expect("a shell");
        let begun = Instant::now();
        while ![ports.submission, ports.auth].into_iter().all(greets) {
            let ended = master.has_ended().unwrap_or(true) || auth.has_ended().unwrap_or(true);
            if ended || begun.elapsed() > START_TIME {
                return Err(log(at));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { _master: master, _auth: auth, next, ports, state })
    }

    /// The port with STARTTLS, which it insists on.
    #[must_use]
    pub const fn submission(&self) -> u16 {
        self.ports.submission
    }

    /// The port with implicit TLS.
    #[must_use]
    pub const fn submissions(&self) -> u16 {
        self.ports.submissions
    }

    /// Where messages go on to, within some milliseconds: what it has received begins with a `Received` line of
    /// Postfix's. What it puts off is tried again every second.
    #[must_use]
    pub const fn next(&self) -> &SmtpServer {
        &self.next
    }

    /// The logs of all its processes.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.state.path())
    }
}

/// The folder of the package with what it needs and this system has not, downloaded when it is not there.
fn unpacked() -> PathBuf {
    let state = Toolbox::here().state();
    let folder = state.join(FOLDER);
    fs::create_dir_all(&folder).expect("a writable folder");
    let lock = File::create(state.join(FOLDER).with_extension("lock")).expect("a writable folder");
    lock.lock().expect("a lock");
    let (archives, root, ready) = (folder.join("archives"), folder.join("root"), folder.join("ready"));
    if ready.exists() {
        return root;
    }
    fs::create_dir_all(archives.join("partial")).expect("a writable folder");
    let download = || {
        Command::new("apt-get")
            .args(["-q", "-y", "-o", "Debug::NoLocking=1", "-o"])
            .arg(format!("Dir::Cache::archives={}", archives.display()))
            .args(["--reinstall", "--download-only", "--no-install-recommends", "install", "postfix"])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .expect("Postfix comes from Debian: apt-get")
    };
    let mut output = download();
    if !output.status.success() {
        // The lists of packages are missing or too old.
        let _ = Command::new("apt-get").args(["-q", "update"]).stdin(Stdio::null()).output();
        output = download();
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "Postfix could not be downloaded: {said}");
    for entry in fs::read_dir(&archives).expect("a folder") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let unpacked = Command::new("dpkg").arg("-x").args([&path, &root]).status();
            assert!(unpacked.expect("dpkg").success(), "{} cannot be unpacked", path.display());
        }
    }
    File::create(ready).expect("a writable folder");
    root
}

/// Where the loader finds Postfix's own libraries and those that came with it.
fn libraries(package: &Path) -> String {
    let lib = package.join("usr/lib");
    let folders = fs::read_dir(&lib).expect("a folder").map(|entry| entry.expect("a readable folder").path());
    let foreign = folders.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let all: Vec<String> =
        foreign.chain([lib.join("postfix")]).map(|path| path.display().to_string()).collect();
    all.join(":")
}

fn make_folders(state: &Path) -> std::io::Result<()> {
    let owned = |path: &Path, mode| {
        fs::create_dir(path)?;
        chown(path, Some(DAEMON_UID), None)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    // Its users have to get to what is theirs.
    fs::set_permissions(state, Permissions::from_mode(0o755))?;
    for folder in ["config", "queue", "queue/pid"] {
        fs::create_dir(state.join(folder))?;
    }
    owned(&state.join("data"), 0o700)?;
    QUEUES.iter().try_for_each(|queue| owned(&state.join("queue").join(queue), 0o700))
}

/// Writes a file that looks an hour old: Postfix waits until one that has just changed is a second old.
fn write_old(path: &Path, text: &str) {
    let mut file = File::create(path).expect("a writable folder");
    file.write_all(text.as_bytes()).expect("a writable folder");
    let then = SystemTime::now() - Duration::from_secs(3600);
    file.set_times(FileTimes::new().set_modified(then)).expect("a writable folder");
}

fn main_cf(package: &Path, state: &Path, ports: Ports, next: u16, certificates: &Certificates) -> String {
    format!(
        "compatibility_level = 3.6
queue_directory = {state}/queue
data_directory = {state}/data
meta_directory = {state}/config
daemon_directory = {package}/usr/lib/postfix/sbin
command_directory = {package}/usr/sbin
shlib_directory = {package}/usr/lib/postfix
import_environment = MAIL_CONFIG LANG=C LD_LIBRARY_PATH
mail_owner = {owner}
setgid_group = uucp
default_privs = nobody
maillog_file = {state}/log
maillog_file_prefixes = {state}
myhostname = postfix.example
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
relayhost = [127.0.0.1]:{next}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
local_header_rewrite_clients =
smtputf8_enable = yes
message_size_limit = 33554432
queue_minfree = 0
in_flow_delay = 0
notify_classes =
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
",
        state = state.display(),
        package = package.display(),
        owner = DAEMON_USER,
        certificate = certificates.certificate(Leaf::Good).display(),
        key = certificates.key(Leaf::Good).display(),
        auth = ports.auth,
    )
}

fn master_cf(ports: Ports) -> String {
    format!(
        "127.0.0.1:{submission} inet n - n - - smtpd
127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
",
        submission = ports.submission,
        submissions = ports.submissions,
    )
}

fn auth_conf(state: &Path, ports: Ports) -> String {
    format!(
        "base_dir = {state}/auth
state_dir = {state}/auth
instance_name = mailroom-postfix
log_path = {state}/auth.log
protocols =
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = static
  args = password={{PLAIN}}{password}
}}
userdb {{
  driver = static
  args = uid=8 gid=8 home=/nonexistent
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
",
        state = state.display(),
        password = Postfix::PASSWORD,
        auth = ports.auth,
    )
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener").port()
}

/// Whether a server says something on this port: the listener alone proves little, since the master process opens it
/// before any service works.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    if stream.set_read_timeout(Some(Duration::from_secs(2))).is_err() {
        return false;
    }
    let mut line = String::new();
    matches!(BufReader::new(stream).read_line(&mut line), Ok(n) if n > 0)
}

fn log(state: &Path) -> String {
    let read = |name| String::from_utf8_lossy(&fs::read(state.join(name)).unwrap_or_default()).into_owned();
    read("log") + &read("auth.log")
}
