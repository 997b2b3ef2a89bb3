//! What reports say, by the formats that servers write.

use mailroom_core::inbound::job::{Report, ReportedAction, ReportedRecipient};

use crate::parse::parse_message;

fn report(raw: &str) -> Report {
    parse_message(raw.as_bytes()).report.unwrap()
}

/// A multipart/report with a text, a part of this type, and the header of the message.
fn standard(kind: &str, part: &str, fields: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\nTo: us@example.com\nSubject: Report\n\
         Content-Type: multipart/report; report-type={kind}; boundary=b\n\n\
         --b\n\nSome words.\n--b\nContent-Type: {part}\n\n{fields}\n\
         --b\nContent-Type: text/rfc822-headers\n\n\
         From: us@example.com\nTo: Ann <ann@a.example>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMessage-ID: <1@example.com>\n\n--b--\n"
    )
}

fn delivery(raw: &str) -> Vec<ReportedRecipient> {
    report(raw).delivery.unwrap()
}

/// `address status action: diagnostic [server]`, of each recipient.
fn shown(recipients: &[ReportedRecipient]) -> Vec<String> {
    let show = |one: &ReportedRecipient| {
        format!(
            "{} {} {:?}: {} [{}]",
            one.recipient.as_deref().unwrap_or("-"),
            one.status.as_deref().unwrap_or("-"),
            one.action.unwrap(),
            one.diagnostic.as_deref().unwrap_or("-"),
            one.remote_mta.as_deref().unwrap_or("-"),
        )
    };
    recipients.iter().map(show).collect()
}

#[test]
fn a_delivery_status_says_what_became_of_each_recipient() {
    let fields = "Reporting-MTA: dns; mx.example\nArrival-Date: Sun, 1 Nov 2026 09:00:00 +0100\n\n\
        Original-Recipient: rfc822;ann@a.example\nFinal-Recipient: RFC822; <a.miller@a.example>\nAction: failed\nStatus: 5.1.1 (no such user)\n\
        Remote-MTA: dns; mx.a.example\nDiagnostic-Code: smtp; 550 5.1.1 No\n such user\n\n\
        Final-Recipient: rfc822;bob@b.example\nAction: Delayed (still trying)\n\n\
        X-Actual-Recipient: rfc822; eve@c.example\nAction: failed\nDiagnostic-Code: smtp; 552 5.2.2 Full";
    let found = report(&standard("delivery-status", "message/delivery-status", fields));
    let recipients = found.delivery.unwrap();
    assert_eq!(
        shown(&recipients),
        [
            "a.miller@a.example 5.1.1 Failed: 550 5.1.1 No such user [mx.a.example]",
            "bob@b.example - Delayed: - [-]",
            "eve@c.example 5.2.2 Failed: 552 5.2.2 Full [-]",
        ]
    );
    assert_eq!(recipients[0].original_recipient.as_deref(), Some("ann@a.example"));
    let original = found.original.unwrap();
    assert_eq!(original.message_id.as_deref(), Some("1@example.com"));
    assert_eq!(original.subject.as_deref(), Some("Grüße"));
    assert_eq!(original.to[0].address.as_deref(), Some("ann@a.example"));
}

/// What a mail server writes in words of its own.
fn written(text: &str) -> String {
    format!("From: Mailer-Daemon@mx.example\nTo: us@example.com\nSubject: Mail delivery failed\n\n{text}")
}

/// The words of the servers, with the addresses changed.
#[test]
fn servers_name_recipients_in_their_own_words() {
    for (name, text, wanted) in [
        (
            "Exim",
            "A message that you sent could not be delivered to all of its recipients. The following address(es) failed:\n\n\
             \x20 ann@a.example\n    host mx.a.example [192.0.2.7]\n    SMTP error from remote mail server after RCPT TO:<ann@a.example>:\n    550 5.1.1 No such user\n\
             \x20 bob@b.example:\n    retry timeout exceeded\n\n\
             ------ This is a copy of the message, including all the headers. ------\n\nReturn-path: <us@example.com>\nTo: eve@c.example\nMessage-ID: <2@x>\n",
            vec![
                "ann@a.example 5.1.1 Failed: host mx.a.example [192.0.2.7] SMTP error from remote mail server after RCPT TO:<ann@a.example>: 550 5.1.1 No such user [mx.a.example]",
                "bob@b.example - Failed: retry timeout exceeded [-]",
            ],
        ),
        (
            "Exim, of an alias",
            "This is a permanent error. The following address(es) failed:\n\n  an undisclosed address\n    (generated from ann@a.example)\n",
            vec!["ann@a.example - Failed: (generated from ann@a.example) [-]"],
        ),
        (
            "qmail",
            "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message.\n\n\
             <ann@a.example>:\n192.0.2.7 does not like recipient.\nRemote host said: 550 5.1.1 unknown\nGiving up on 192.0.2.7.\n\n\
             <bob@b.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <us@example.com>\n",
            vec![
                "ann@a.example 5.1.1 Failed: 192.0.2.7 does not like recipient. Remote host said: 550 5.1.1 unknown Giving up on 192.0.2.7. [192.0.2.7]",
                "bob@b.example 5.1.1 Failed: Sorry, no mailbox here by that name. (#5.1.1) [-]",
            ],
        ),
        (
            "sendmail",
            "The original message was received at Sun, 1 Nov 2026 09:00:00 +0100\n\n   ----- The following addresses had permanent fatal errors -----\n<ann@a.example>\n    (reason: 550 5.7.1 Denied)\n\n\
             \x20  ----- Transcript of session follows -----\n... while talking to mx.a.example.:\n>>> DATA\n<<< 550 5.7.1 Denied\n",
            vec!["ann@a.example 5.7.1 Failed: (reason: 550 5.7.1 Denied) [-]"],
        ),
        (
            "Postfix",
            "I'm sorry to have to inform you that your message could not be delivered.\n\n<ann@a.example>: host mx.a.example[192.0.2.7] said: 554 5.7.1\n    Relay access denied (in reply to RCPT TO command)\n",
            vec![
                "ann@a.example 5.7.1 Failed: host mx.a.example[192.0.2.7] said: 554 5.7.1 Relay access denied (in reply to RCPT TO command) [mx.a.example]",
            ],
        ),
    ] {
        assert_eq!(shown(&delivery(&written(text))), wanted, "{name}");
    }
}

#[test]
fn mail_systems_of_companies_and_providers_do_so_as_well() {
    for (name, text, wanted) in [
        (
            "Exchange",
            "Your message\n\n  To:      us@example.com\n  Subject: Offer\n  Sent:    Sun, 1 Nov 2026 09:00:00 +0100\n\ndid not reach the following recipient(s):\n\n\
             ann@a.example on Sun, 1 Nov 2026 09:00:03 +0100\n    The recipient name is not recognized\n",
            vec!["ann@a.example - Failed: The recipient name is not recognized [-]"],
        ),
        (
            "Gmail",
            "Delivery to the following recipient failed permanently:\n\n     ann@a.example\n\nTechnical details of permanent failure:\nWe tried to deliver your message, but it was rejected. The error was: 550 5.1.1 User unknown\n\n----- Original message -----\n\nFrom: us@example.com\nSubject: Offer\n",
            vec![
                "ann@a.example 5.1.1 Failed: Technical details of permanent failure: We tried to deliver your message, but it was rejected. The error was: 550 5.1.1 User unknown [-]",
            ],
        ),
        (
            "Domino",
            "was not delivered to:\n\n  ann@a.example\n\nbecause:\n\n  User ann (ann@a.example) not listed in Domino Directory\n",
            vec!["ann@a.example - Failed: - [-]"],
        ),
        (
            "SMTP32",
            "Unknown user: ann@a.example\n\nRCPT TO generated following response:\n553 5.3.0 <ann@a.example>... Addressee unknown\n",
            vec![
                "ann@a.example 5.3.0 Failed: Unknown user: ann@a.example 553 5.3.0 <ann@a.example>... Addressee unknown [-]",
            ],
        ),
        (
            "Coremail",
            "抱歉，您的邮件被退回来了……\n收件人邮件地址：ann@a.example\n退信原因： 550 5.1.1 User not found\n",
            vec!["ann@a.example 5.1.1 Failed: 退信原因： 550 5.1.1 User not found [-]"],
        ),
        // The server's own address and the reader's are nobody who was tried.
        (
            "nobody",
            "Delivery failed.\nmailer-daemon@mx.example\nus@example.com\npostmaster@mx.example\n",
            vec![],
        ),
    ] {
        assert_eq!(shown(&delivery(&written(text))), wanted, "{name}");
    }
}

#[test]
fn an_address_that_stands_in_the_header_alone_counts() {
    let raw = "From: Mailer-Daemon@mx.example\nX-Failed-Recipients: ann@a.example, bob@b.example\nSubject: Mail delivery failed\n\nSorry.\n";
    let addresses: Vec<_> = delivery(raw).into_iter().filter_map(|one| one.recipient).collect();
    assert_eq!(addresses, ["ann@a.example", "bob@b.example"]);
}

#[test]
fn a_report_of_delay_says_so_of_each_recipient() {
    let raw = "From: Mailer-Daemon@mx.example\nSubject: Warning: message 1abc delayed 24 hours\nIn-Reply-To: <7@example.com>\n\n\
        The message has not yet been delivered to:\n\n  ann@a.example\n    host mx.a.example [192.0.2.7]: 451 4.7.1 Greylisted\n";
    let found = report(raw);
    assert_eq!(found.delivery.unwrap()[0].action, Some(ReportedAction::Delayed));
    assert_eq!(found.original.unwrap().message_id.as_deref(), Some("7@example.com"));
}

#[test]
fn the_original_is_told_by_what_the_server_quotes() {
    let original = |text: &str| {
        report(&format!("From: Mailer-Daemon@mx.example\nSubject: failure notice\n\n{text}")).original
    };
    let quoted = original(
        "<ann@a.example>:\nNo.\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <us@example.com>\n\
         Message-ID: <3@example.com>\nSubject: Offer\nTo: ann@a.example\n\nMessage-ID: <no@x>\n",
    )
    .unwrap();
    assert_eq!(
        (quoted.message_id.as_deref(), quoted.subject.as_deref()),
        (Some("3@example.com"), Some("Offer"))
    );
    let named = original(
        "Your message\n\n  To:      ann@a.example\n  Subject: Offer\n\ndid not reach: bob@b.example\n",
    )
    .unwrap();
    assert_eq!((named.message_id, named.subject.as_deref()), (None, Some("Offer")));
    assert_eq!(original("Sorry.\n"), None);
}

#[test]
fn a_complaint_says_who_complains_of_what() {
    let fields = "Feedback-Type: Abuse\nUser-Agent: Feedback/1\nVersion: 1\nOriginal-Rcpt-To: <ann@a.example>\n\
        Arrival-Date: Sun, 1 Nov 2026 09:00:00 +0100\nSource-IP: 192.0.2.1";
    let found = report(&standard("feedback-report", "message/feedback-report", fields));
    let complaint = found.complaint.unwrap();
    assert_eq!(complaint.feedback_type.as_deref(), Some("abuse"));
    assert_eq!(complaint.recipients, ["ann@a.example"]);
    assert_eq!(complaint.source_ip.as_deref(), Some("192.0.2.1"));
    assert!(complaint.arrived_at.is_some() && found.delivery.is_none() && found.receipt.is_none());
    assert_eq!(found.original.unwrap().message_id.as_deref(), Some("1@example.com"));
}

#[test]
fn a_receipt_says_what_was_done_with_which_message() {
    let fields = "Reporting-UA: mail.example\nFinal-Recipient: rfc822;ann@a.example\nOriginal-Message-ID: <9@example.com>\n\
        Disposition: manual-action/MDN-sent-automatically; displayed/warning";
    let found = report(&standard("disposition-notification", "message/disposition-notification", fields));
    let receipt = found.receipt.unwrap();
    assert_eq!(receipt.recipient.as_deref(), Some("ann@a.example"));
    assert_eq!((receipt.disposition.as_deref(), receipt.automatic), (Some("displayed"), false));
    assert_eq!(found.original.unwrap().message_id.as_deref(), Some("9@example.com"));
    // Sieve's refusal is a bounce.
    let refused = fields.replace("manual-action", "automatic-action").replace("displayed", "deleted");
    let found = report(&standard("disposition-notification", "message/disposition-notification", &refused));
    assert_eq!(shown(&found.delivery.unwrap()), ["ann@a.example - Failed: - [-]"]);
}

#[test]
fn what_is_no_report_has_none() {
    for fields in ["Subject: Hello", "Auto-Submitted: auto-replied", "List-Id: <l.example>"] {
        assert_eq!(parse_message(format!("{fields}\n\nann@a.example: 550 5.1.1\n").as_bytes()).report, None);
    }
}

#[test]
fn a_flood_of_recipients_is_cut() {
    let groups = "Final-Recipient: rfc822; ann@a.example\nAction: failed\n\n".repeat(5000);
    assert_eq!(delivery(&standard("delivery-status", "message/delivery-status", &groups)).len(), 100);
    let lines: String = (0..20_000).map(|n| format!("<a{n}@a.example>: 550 5.1.1 no\n")).collect();
    let raw = format!("From: Mailer-Daemon@mx.example\nSubject: failure notice\n\n{lines}");
    assert_eq!(delivery(&raw).len(), 100);
}
