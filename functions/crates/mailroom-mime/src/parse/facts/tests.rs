use mailroom_core::inbound::job::{AutomaticReason, Importance, MailingList, MessageContent};

use super::super::parse_message;

fn read(header: &str) -> MessageContent {
    parse_message(format!("{header}\n\nHello\n").as_bytes()).content
}

fn reason(header: &str) -> Option<AutomaticReason> {
    read(header).automatic.map(|automatic| automatic.reason)
}

/// A `multipart/report` of this type, with this part.
fn report(named: &str, part: &str, body: &str) -> String {
    format!(
        "From: MAILER-DAEMON@example.org\nContent-Type: multipart/report; report-type={named}; boundary=b\n\n\
         --b\n\nReport\n--b\nContent-Type: {part}\n\n{body}\n--b--"
    )
}

#[test]
fn each_reason_has_its_proof() {
    use AutomaticReason::{Complaint, Delay, DeliveryReport, Generated, List, Receipt, Vacation};
    let status = |action: &str| {
        let body =
            format!("Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; b@c\nAction: {action}\nStatus: 4.0.0");
        report("delivery-status", "message/delivery-status", &body)
    };
    for (header, wanted) in [
        ("From: ann@example.org".to_owned(), None),
        ("From: ann@example.org\nAuto-Submitted: no".to_owned(), None),
        ("From: ann@example.org\nAuto-Submitted: auto-replied (vacation)".to_owned(), Some(Vacation)),
        ("From: ann@example.org\nX-Autoreply: yes".to_owned(), Some(Vacation)),
        ("From: shop@example.org\nAuto-Submitted: auto-generated".to_owned(), Some(Generated)),
        (
            "From: shop@example.org\nAuto-Submitted: auto-generated\nList-Id: <a.b>".to_owned(),
            Some(Generated),
        ),
        ("From: root@example.org\nX-Cron-Env: <SHELL=/bin/sh>".to_owned(), Some(Generated)),
        ("From: ann@example.org\nList-Id: A list <a.example.org>".to_owned(), Some(List)),
        ("From: news@example.org\nPrecedence: bulk".to_owned(), Some(List)),
        (status("failed"), Some(DeliveryReport)),
        (status("delivered"), Some(DeliveryReport)),
        (status("delayed"), Some(Delay)),
        (
            report(
                "disposition-notification",
                "message/disposition-notification",
                "Disposition: manual-action/MDN-sent-manually; displayed",
            ),
            Some(Receipt),
        ),
        (report("feedback-report", "message/feedback-report", "Feedback-Type: abuse"), Some(Complaint)),
    ] {
        assert_eq!(reason(&header), wanted, "{header}");
        assert_eq!(read(&header).answerable, Some(wanted.is_none()), "{header}");
    }
}

#[test]
fn a_person_with_an_address_may_be_answered() {
    for (header, wanted) in [
        ("From: ann@example.org", true),
        ("From: noreply@example.org\nReply-To: ann@example.org", true),
        ("From: ann@example.org\nReply-To: no-reply@example.org", false),
        ("From: do_not.reply@example.org", false),
        ("From: owner-list@example.org", false),
        ("From: list-request@example.org", false),
        ("From: ann@example.org\nReturn-Path: <>", false),
        ("From: ann@example.org\nReturn-Path: <ann@example.org>", true),
        ("From: ann@example.org\nX-Auto-Response-Suppress: DR, OOF, AutoReply", false),
        ("From: ann@example.org\nX-Auto-Response-Suppress: DR, RN", true),
        ("From: Ann", false),
        ("Subject: nobody", false),
    ] {
        assert_eq!(read(header).answerable, Some(wanted), "{header}");
    }
}

#[test]
fn the_address_it_came_to_is_the_topmost() {
    for (header, delivered_to, subaddress) in [
        ("Delivered-To: a+x@b.c\nX-Original-To: d+y@b.c", Some("a+x@b.c"), Some("x")),
        ("X-Original-To: <d+y+z@b.c>\nDelivered-To: a@b.c", Some("d+y+z@b.c"), Some("y+z")),
        ("Delivered-To: a@b.c\nX-Original-To: d+y@b.c", Some("a@b.c"), Some("y")),
        ("Delivered-To: mailing list x@b.c\nEnvelope-To: a@b.c", Some("a@b.c"), None),
        ("Delivered-To: autoresponder\nEnvelope-To: a@b.c, d@b.c", None, None),
        ("To: a+x@b.c", None, Some("x")),
        ("To: a+x@b.c\nCc: d@b.c", None, None),
        ("Delivered-To: a@b.c\nTo: a+x@b.c", Some("a@b.c"), None),
        ("Delivered-To: +x@b.c\nTo: a+@b.c", Some("+x@b.c"), None),
    ] {
        let content = read(header);
        assert_eq!(content.delivered_to.as_deref(), delivered_to, "{header}");
        assert_eq!(content.subaddress.as_deref(), subaddress, "{header}");
    }
}

#[test]
fn a_list_says_how_to_leave_it() {
    let list = |header: &str| read(header).list;
    assert_eq!(list("From: a@b.c"), None);
    assert_eq!(list("List-Post: NO"), None);
    assert_eq!(list("List-Unsubscribe: <javascript:alert(1)>"), None);
    let whole = "List-Id: \"News, all\" <news.example.org>\nList-Post: <mailto:news@example.org> (all)\n\
        List-Unsubscribe: <mailto:leave@example.org?subject=x>,\n <https://example.org/\n u?1>\n\
        List-Unsubscribe-Post: List-Unsubscribe=One-Click";
    let wanted = MailingList {
        id: Some("news.example.org".to_owned()),
        post: Some("mailto:news@example.org".to_owned()),
        unsubscribe: vec![
            "mailto:leave@example.org?subject=x".to_owned(),
            "https://example.org/u?1".to_owned(),
        ],
        one_click: true,
    };
    assert_eq!(list(whole), Some(wanted));
    // One click goes by https only (RFC 8058 §3.1).
    let mail =
        list("List-Unsubscribe: <mailto:a@b.c>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click").unwrap();
    assert!(!mail.one_click);
    let flood = format!("List-Unsubscribe: {}", "<https://a.example/>,".repeat(2000));
    assert_eq!(list(&flood).unwrap().unsubscribe.len(), super::MAX_UNSUBSCRIBE);
}

#[test]
fn importance_is_what_the_sender_says() {
    for (header, wanted) in [
        ("Subject: x", None),
        ("Importance: High", Some(Importance::High)),
        ("X-Priority: 1 (Highest)", Some(Importance::High)),
        ("X-Priority: 3", Some(Importance::Normal)),
        ("X-Priority: 5\nImportance: normal", Some(Importance::Normal)),
        ("Priority: non-urgent", Some(Importance::Low)),
        ("Priority: urgent\nImportance: whatever", Some(Importance::High)),
        ("X-Priority: none", None),
    ] {
        assert_eq!(read(header).importance, wanted, "{header}");
    }
}
