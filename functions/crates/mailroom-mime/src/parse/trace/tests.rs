//! Whom to believe.

use mailroom_core::authserv_id::AuthservId;
use mailroom_core::inbound::job::{Spam, SpamVerdict};

use crate::parse::parse_message;

/// `spf dkim dmarc arc` of a message with this header in a mailbox at `host`; `none known` where nothing is believed.
fn checks(host: &str, header: &str) -> String {
    checks_with(&[], host, header)
}

/// The same where the mailbox's owner trusts these servers.
fn checks_with(trusted: &[&str], host: &str, header: &str) -> String {
    let trusted: Vec<_> = trusted.iter().map(|id| AuthservId::parse(id).unwrap()).collect();
    let found = parse_message(format!("{header}\n\nbody").as_bytes()).trace.authentication(host, &trusted);
    found.map_or("nothing".to_owned(), |found| {
        let all = [found.spf, found.dkim, found.dmarc, found.arc];
        all.map(|one| one.unwrap_or_else(|| "-".to_owned())).join(" ")
    })
}

const GMAIL: &str = "imap.gmail.com";
const MICROSOFT: &str = "outlook.office365.com";
const ICLOUD: &str = "imap.mail.me.com";
const FASTMAIL: &str = "imap.fastmail.com";

#[test]
fn a_provider_is_believed_in_its_own_mailboxes_alone() {
    let gmail = "Delivered-To: a@gmail.com\nReceived: by 2002:a05:1 with SMTP id x\nAuthentication-Results: mx.google.com;\n \
        dkim=pass header.i=@b.example header.s=s1 header.b=abc;\n spf=pass (google.com: domain of x@b.example designates 192.0.2.1 as permitted sender) smtp.mailfrom=x@b.example;\n \
        dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=b.example\nFrom: x@b.example";
    assert_eq!(checks(GMAIL, gmail), "pass pass pass -");
    for host in [MICROSOFT, ICLOUD, FASTMAIL, "imap.example.org", ""] {
        assert_eq!(checks(host, gmail), "nothing", "{host}");
    }
    assert_eq!(checks(GMAIL, "From: x@b.example"), "nothing");
}

#[test]
fn what_the_sender_wrote_below_is_not_believed() {
    let own = "Authentication-Results: mx.google.com; spf=softfail smtp.mailfrom=b.example";
    let forged = "Authentication-Results: mx.google.com; dkim=pass; dmarc=pass";
    assert_eq!(checks(GMAIL, &format!("{own}\n{forged}")), "softfail - - -");
    let other = "Authentication-Results: mx.b.example; dkim=pass";
    assert_eq!(checks(GMAIL, &format!("{other}\n{forged}")), "nothing");
    let own = "Authentication-Results: mx1.messagingengine.com; dkim=fail\nAuthentication-Results: mx1.messagingengine.com; spf=none\nReceived: from b.example by mx1.messagingengine.com";
    assert_eq!(
        checks(FASTMAIL, &format!("{own}\nAuthentication-Results: mx1.messagingengine.com; dmarc=pass")),
        "none fail - -"
    );
    // Microsoft names the recipient's domain in what it sends.
    let sent = "Received: from x.outlook.com by mx-ha.gmx.net\nAuthentication-Results: gmx.net; dkim=pass";
    assert_eq!(checks("imap.gmx.net", sent), "nothing");
    assert_eq!(
        checks("imap.gmx.net", "Authentication-Results: gmx.net; dkim=pass\nReceived: from a by b"),
        "- pass - -"
    );
}

#[test]
fn microsoft_names_no_server_and_is_believed_above_its_border() {
    let inner = "Received: from A.namprd10.prod.outlook.com by B.prod.outlook.com with HTTPS\n\
        Received: from D.eop-nam11.prod.protection.outlook.com by C.outlook.office365.com";
    let results = "Authentication-Results: spf=pass (sender IP is 192.0.2.1)\n smtp.mailfrom=b.example; dkim=none (message not signed)\n \
        header.d=none;dmarc=fail action=none header.from=b.example;compauth=fail reason=001";
    let border = "Received: from mail.b.example (192.0.2.1) by D.mail.protection.outlook.com (10.0.0.1) with Microsoft SMTP Server";
    assert_eq!(checks(MICROSOFT, &format!("{inner}\n{results}\n{border}")), "pass none fail -");
    assert_eq!(checks(MICROSOFT, &format!("{inner}\n{border}\n{results}")), "nothing");
    assert_eq!(checks(MICROSOFT, &format!("{inner}\n{results}")), "nothing");
    assert_eq!(
        checks(MICROSOFT, &format!("{inner}\nAuthentication-Results: b.example; spf=pass\n{border}")),
        "nothing"
    );
}

#[test]
fn results_in_several_fields_are_one() {
    let icloud = "Authentication-Results: bimi.icloud.com; bimi=none\nX-ARC-Info: policy=fail\nAuthentication-Results: arc.icloud.com; arc=none\n\
        Authentication-Results: dmarc.icloud.com; dmarc=pass header.from=b.example\n\
        Authentication-Results: dkim-verifier.icloud.com;\n\tdkim=fail; dkim=pass (2048-bit key) header.d=b.example\n\
        Authentication-Results: spf.icloud.com; spf=pass\nReceived: from b.example by p00-icloudmta";
    assert_eq!(checks(ICLOUD, icloud), "pass pass pass none");
}

#[test]
fn an_address_cannot_smuggle_a_result_in() {
    let field = |text: &str| checks(GMAIL, &format!("Authentication-Results: mx.google.com; {text}"));
    assert_eq!(field("spf=fail smtp.mailfrom=\"a; dmarc=pass\"@b.example; dmarc=fail"), "fail - fail -");
    assert_eq!(field("spf=fail (domain of a\\) ; dmarc=pass @b.example) x; dmarc=fail"), "fail - fail -");
    // Written without quotes by a careless server.
    assert_eq!(field("spf=fail smtp.mailfrom=a; dmarc=pass x@b.example; dmarc=fail"), "fail - fail -");
    assert_eq!(field("spf=fail (a) ; dmarc=pass (@b.example) ) x"), "nothing");
    assert_eq!(field("spf=fail (never closed; dmarc=pass"), "nothing");
    assert_eq!(field("spf=fail smtp.mailfrom==?utf-8?q?a;_dmarc=3Dpass?=@b.example"), "fail - - -");
}

#[test]
fn a_server_of_the_owner_is_believed_in_the_topmost_field_alone() {
    let own = |header: &str| checks_with(&["mx1.example.com", "mx2.example.com"], "imap.example.com", header);
    let received = "Received: from b.example by mx1.example.com with ESMTPS";
    let honest = "Authentication-Results: mx1.example.com; spf=fail smtp.mailfrom=b.example; dkim=pass header.d=c.example; dmarc=fail";
    let forged = "Authentication-Results: mx1.example.com; spf=pass; dkim=pass; dmarc=pass; arc=pass";
    for header in [
        honest.to_owned(),
        format!("{honest}\n{received}"),
        format!("{received}\n{honest}"),
        // Below it, with or without a border between them, as its own or as another trusted server's.
        format!("{honest}\n{forged}"),
        format!("{honest}\n{received}\n{forged}"),
        format!("{received}\n{honest}\n{}", forged.replace("mx1", "mx2")),
        // What stands above comes from inside, and only results hide results.
        format!(
            "X-Spam: no\nARC-Authentication-Results: i=1; mx1.example.com; dmarc=pass\n{received}\n{honest}"
        ),
    ] {
        assert_eq!(own(&header), "fail pass fail -", "{header}");
    }
    // A server that is not trusted wrote last: nothing below it is sure.
    for above in ["gw.example.com", "example.com", "a.mx1.example.com", "mx1.example.com.evil.example"] {
        let above = format!("Authentication-Results: {above}; spf=pass");
        assert_eq!(own(&format!("{above}\n{forged}")), "nothing", "{above}");
    }
    assert_eq!(own(received), "nothing");
    assert_eq!(own("Authentication-Results: mx1.example.com; none"), "nothing");
    assert_eq!(checks("imap.example.com", honest), "nothing");
}

#[test]
fn an_authserv_id_is_read_as_it_may_be_written() {
    let own =
        |id: &str| checks_with(&["mx.example.com"], "", &format!("Authentication-Results:{id} dmarc=pass"));
    for right in [
        " mx.example.com;",
        "\n\tMX.Example.COM. ;",
        " mx.example.com 1;",
        " (a (b) c\\)) mx.example.com(amavisd) 1 (v);",
        " \"mx.example.com\";",
    ] {
        assert_eq!(own(right), "- - pass -", "{right}");
    }
    for wrong in [
        " mx.example.com 2;",
        " mx.example.com x=\"; \";",
        " (mx.example.com;",
        " \"mx.example.com;",
        " \"mx.example.\\com\";",
        " evil.example (mx.example.com);",
        ";",
        " ; mx.example.com;",
        "",
    ] {
        assert_eq!(own(wrong), "nothing", "{wrong}");
    }
}

#[test]
fn a_known_provider_keeps_its_place_beside_the_owners_servers() {
    let gmx = |header: &str| checks_with(&["gmx.net", "mx.example.com"], "imap.gmx.net", header);
    let results = "Authentication-Results: gmx.net; dkim=pass";
    assert_eq!(gmx(&format!("{results}\nReceived: from a by b")), "- pass - -");
    assert_eq!(gmx(&format!("Received: from a by b\n{results}")), "nothing");
    assert_eq!(gmx("Received: from a by b\nAuthentication-Results: mx.example.com; dkim=pass"), "- pass - -");
}

#[test]
fn the_filter_of_the_provider_is_asked_and_no_other() {
    let spam = |host: &str, header: &str| parse_message(format!("{header}\n\nx").as_bytes()).trace.spam(host);
    let said = |verdict, score| Some(Spam { verdict, score });
    assert_eq!(spam(MICROSOFT, "X-MS-Exchange-Organization-SCL: 5"), said(SpamVerdict::Spam, Some(5.0)));
    assert_eq!(spam(MICROSOFT, "X-MS-Exchange-Organization-SCL: -1"), said(SpamVerdict::NotSpam, Some(-1.0)));
    assert_eq!(spam(FASTMAIL, "X-Spam-score: 7.4\nX-Spam-score: 0.0"), said(SpamVerdict::Spam, Some(7.4)));
    assert_eq!(
        spam(FASTMAIL, "X-Spam-known-sender: yes (\"Address 1\")\nX-Spam-score: 7.4"),
        said(SpamVerdict::NotSpam, Some(7.4))
    );
    assert_eq!(spam("imap.yandex.com", "X-Yandex-Spam: 4"), said(SpamVerdict::Spam, None));
    for header in ["X-Spam-Flag: NO", "X-MS-Exchange-Organization-SCL: 1", "X-Spam-score: 0"] {
        assert_eq!(spam(GMAIL, header), None, "{header}");
    }
    assert_eq!(spam(FASTMAIL, "X-Spam-score: NaN"), None);
}
