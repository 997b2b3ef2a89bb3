use super::*;
use crate::lmtp;

#[test]
fn a_private_server_takes_mail_by_lmtp_and_ends_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::ensure(&dir.path().join("certificates")).unwrap();
    let dovecot = Dovecot::start(dir.path(), &certificates).unwrap();

    lmtp::deliver(dovecot.lmtp(), "ann@example.org", "support@example.com", b"Subject: Hello\n\n.dot\n")
        .unwrap();
    let fetched = std::process::Command::new("/usr/bin/doveadm")
        .arg("-c")
        .arg(dovecot.config())
        .args(["fetch", "-u", "support@example.com", "text", "all"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&fetched.stdout).into_owned();
    assert!(text.contains("Subject: Hello") && text.contains("\n.dot"), "{text}\n{}", dovecot.log_tail(20));

    let ports = dovecot.ports();
    drop(dovecot);
    assert!(!greets(ports.imap) && !greets(ports.lmtp));
}
