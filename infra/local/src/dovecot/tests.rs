use super::*;
use crate::lmtp;

#[test]
fn a_private_server_takes_mail_by_lmtp_and_ends_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::ensure(&dir.path().join("certificates")).unwrap();
    let dovecot = Dovecot::start(dir.path(), &certificates).unwrap();

    let mail = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMessage-ID: <a@example.org>\n\n.dot\n";
    lmtp::deliver(dovecot.lmtp(), "ann@example.org", "support@example.com", mail).unwrap();
    let text = dovecot.read("support@example.com", "<a@example.org>").unwrap();
    assert!(
        text.contains("Subject: Gr\u{fc}\u{df}e") && text.contains("\n.dot"),
        "{text}\n{}",
        dovecot.log_tail(20)
    );
    assert_eq!(dovecot.read("support@example.com", "<b@example.org>").unwrap(), "");

    let ports = dovecot.ports();
    drop(dovecot);
    assert!(!greets(ports.imap) && !greets(ports.lmtp));
}
