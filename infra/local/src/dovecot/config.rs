//! Dovecot's configuration (2.3).

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::error::DovecotError;
use crate::certificates::{Certificates, Leaf};

/// The password of every login name.
pub(super) const PASSWORD: &str = "lantern-4711-quiet";

/// The ports of a running server, each open on every address of [`crate::certificates::Leaf::address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// IMAP with implicit TLS.
    pub imaps: u16,
    /// IMAP, with TLS after STARTTLS.
    pub imap: u16,
    /// LMTP, without TLS; on 127.0.0.1 only.
    pub lmtp: u16,
    /// Message submission with STARTTLS.
    pub submission: u16,
    /// Message submission with implicit TLS.
    pub submissions: u16,
    /// Where the submission service hands over what it takes.
    pub(super) relay: u16,
}

/// How a server takes access tokens.
#[derive(Debug, Clone)]
pub struct TokenLogins {
    /// The mechanisms, besides those with a password: `xoauth2`, `oauthbearer`.
    pub mechanisms: String,
    /// What is asked whether a token holds (RFC 7662).
    pub introspection_url: String,
}

/// The uid and gid that messages belong to when we are root: Debian's `mail`. Dovecot refuses to serve root's.
const MAIL_UID: u32 = 8;

/// The text of a configuration for an instance that keeps all it has in `state`.
pub(super) fn text(
    state: &Path,
    log: &Path,
    ports: Ports,
    certificates: &Certificates,
) -> Result<String, DovecotError> {
    let me = std::fs::metadata("/proc/self").map_err(DovecotError::system("cannot tell who we are"))?;
    let (users, uid, gid) = if me.uid() == 0 {
        ("default_internal_user = dovecot\ndefault_login_user = dovenull\n".to_owned(), MAIL_UID, MAIL_UID)
    } else {
        let name = user_name(me.uid())?;
        // Without root there is one user for everything, and nobody to change to.
        let users = format!(
            "default_internal_user = {name}\ndefault_internal_group = {gid}\ndefault_login_user = {name}\n",
            gid = group_name(me.gid())?
        );
        (users, me.uid(), me.gid())
    };
    let Ports { imaps, imap, lmtp, submission, submissions, relay } = ports;
    let state = state.display();
    let addresses: Vec<String> = Leaf::ALL.iter().map(|leaf| leaf.address().to_string()).collect();
    let addresses = addresses.join(" ");
    let mut text = format!(
        r#"# A private instance for one stack on this machine.
{users}base_dir = {state}/run
state_dir = {state}/state
instance_name = mailroom
log_path = {log}
protocols = imap lmtp submission
listen = 127.0.0.1
postmaster_address = postmaster@localhost
default_vsz_limit = 2 G
default_client_limit = 4000
verbose_proctitle = no

# Any login name, one password, and no mercy for the wrong one: no delay either, the tests have none to spend.
auth_mechanisms = plain login
disable_plaintext_auth = yes
auth_cache_size = 0
auth_failure_delay = 0
passdb {{
  driver = static
  args = password={{PLAIN}}{password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={state}/mail/%2.256Nu/%u allow_all_users=yes
}}

mail_location = sdbox:~/sdbox
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 0
lmtp_add_received_header = no
imap_id_send = name *
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \Sent
  }}
}}

service master {{
  process_min_avail = 0
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service auth {{
  client_limit = 12000
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 4
  client_limit = 2000
  inet_listener imap {{
    address = {addresses}
    port = {imap}
  }}
  inet_listener imaps {{
    address = {addresses}
    port = {imaps}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    address = {addresses}
    port = {submission}
  }}
  inet_listener submissions {{
    address = {addresses}
    port = {submissions}
    ssl = yes
  }}
}}
# Mail that is submitted comes back to whom it is for, if they are here.
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
# It cannot speak LMTP; the relay can.
service imap {{
  process_limit = 2000
  service_count = 100
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}

ssl = yes
ssl_min_protocol = TLSv1.2
ssl_cert = <{cert}
ssl_key = <{key}
"#,
        password = PASSWORD,
        log = log.display(),
        cert = certificates.certificate(Leaf::Good).display(),
        key = certificates.key(Leaf::Good).display(),
    );
    for leaf in Leaf::ALL.into_iter().filter(|leaf| *leaf != Leaf::Good) {
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "local {address} {{\n  ssl_cert = <{cert}\n  ssl_key = <{key}\n}}\n",
            address = leaf.address(),
            cert = certificates.certificate(leaf).display(),
            key = certificates.key(leaf).display(),
        );
    }
    Ok(text)
}

/// What a server that takes tokens has besides.
pub(super) fn tokens(tokens: &TokenLogins, asked: &Path) -> String {
    format!(
        "auth_mechanisms = plain login {mechanisms}\npassdb {{\n  driver = oauth2\n  mechanisms = {mechanisms}\n  args = {asked}\n}}\n",
        mechanisms = tokens.mechanisms,
        asked = asked.display(),
    )
}

/// Whom it asks whether a token holds, each time.
pub(super) fn introspection(tokens: &TokenLogins) -> String {
    format!(
        "introspection_mode = post\nintrospection_url = {}\nforce_introspection = yes\nusername_attribute = email\n\
         active_attribute = active\nactive_value = true\n",
        tokens.introspection_url
    )
}

fn user_name(uid: u32) -> Result<String, DovecotError> {
    name_in("/etc/passwd", uid)
}

fn group_name(gid: u32) -> Result<String, DovecotError> {
    name_in("/etc/group", gid)
}

/// Both files are lines of `name:x:id:…`.
fn name_in(file: &str, id: u32) -> Result<String, DovecotError> {
    let text = std::fs::read_to_string(file).map_err(DovecotError::system(format!("cannot read {file}")))?;
    let id = id.to_string();
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&id.as_str()))
        .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .ok_or_else(|| {
            DovecotError::system(format!("{file} has no entry {id}"))(std::io::ErrorKind::NotFound.into())
        })
}
