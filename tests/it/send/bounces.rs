//! A report that comes to the mailbox changes the status of the message that it is about, and of no other.

use mailroom_core::inbound::job::{FlowJob, Kind};
use mailroom_tests::smtp_server::{Fault, Options, Step};
use mailroom_tests::world::World;
use serde_json::{Value, json};

/// A delivery status notification (RFC 3464) about the message with this Message-ID.
fn report(n: u32, about: &str, recipient: &str, action: &str) -> Vec<u8> {
    format!(
        "Return-Path: <>\r\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\nTo: support@example.com\r\n\
         Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <report-{n}@mx.example.org>\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\n\r\nI'm sorry to have to inform you that your message could not be delivered.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: 5.1.1\r\nRemote-MTA: dns; in.example.org\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 <{recipient}>: Recipient address rejected\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         From: support@example.com\r\nTo: {recipient}\r\nSubject: Hello\r\nMessage-ID: {about}\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

/// The job of the report, once what it leads to has happened.
#[track_caller]
fn reported(world: &World, raw: &[u8]) -> FlowJob {
    world.deliver(raw);
    world.poll();
    world.send_all();
    let [job]: [FlowJob; 1] = world.jobs().try_into().unwrap();
    job
}

fn to_both() -> Value {
    let to = ["ann@example.org", "bob@example.org"].map(|address| json!({"address": address}));
    json!({"to": to, "subject": "Hello", "text": "Is it there?"})
}

/// The statuses of a message's recipients.
fn statuses(message: &Value) -> Vec<&str> {
    message["recipients"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect()
}

#[test]
fn a_recipient_that_a_report_names_has_bounced_and_the_outcome_queue_hears_of_it_once() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &to_both());
    world.send_all();
    let sent = world.message(profile, &id);
    assert_eq!((statuses(&sent), world.outcomes().len()), (vec!["sent", "sent"], 1));
    assert!(sent["recipients"][0]["bounce"].is_null());
    let ours = sent["message_id"].as_str().unwrap();

    // Still on its way, about nobody that it was sent to, and about no message of ours.
    for (n, (about, recipient, action)) in [
        (ours, "bob@example.org", "delayed"),
        (ours, "mallory@example.org", "failed"),
        ("<4711@example.org>", "bob@example.org", "failed"),
    ]
    .into_iter()
    .enumerate()
    {
        reported(&world, &report(n as u32, about, recipient, action));
        assert_eq!(world.message(profile, &id), sent, "{about} {recipient} {action}");
    }
    assert_eq!(world.outcomes(), Vec::<Value>::new());

    let job = reported(&world, &report(10, ours, "Ann@example.org", "failed"));
    assert_eq!(job.kind, Kind::Bounce);
    assert_eq!(job.report.unwrap().outbound.unwrap().message, id);
    let bounced = world.message(profile, &id);
    assert_eq!((&bounced["status"], statuses(&bounced)), (&json!("sent"), vec!["bounced", "sent"]));
    let bounce = &bounced["recipients"][0]["bounce"];
    assert_eq!((&bounce["status"], &bounce["remote_mta"]), (&json!("5.1.1"), &json!("in.example.org")));
    assert_eq!(bounce["diagnostic"], "550 5.1.1 <Ann@example.org>: Recipient address rejected");
    let outcomes = world.outcomes();
    assert_eq!((outcomes.len(), statuses(&outcomes[0])), (1, vec!["bounced", "sent"]));

    // Another report says the same.
    reported(&world, &report(11, ours, "ann@example.org", "failed"));
    assert_eq!((world.message(profile, &id), world.outcomes().len()), (bounced, 0));
    assert_eq!(smtp.received().len(), 1, "nothing is sent again");
}

#[test]
fn a_report_to_another_profile_changes_nothing() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let sender = world.sender(&smtp, |profile| profile.settings.listen = false);
    world.profile(|_| {});
    let id = world.submit(sender, &to_both());
    world.send_all();
    let sent = world.message(sender, &id);
    assert_eq!(world.outcomes().len(), 1);
    let job = reported(&world, &report(1, sent["message_id"].as_str().unwrap(), "ann@example.org", "failed"));
    assert_eq!((job.kind, job.report.unwrap().outbound), (Kind::Bounce, None));
    assert_eq!((world.message(sender, &id), world.outcomes().len()), (sent, 0));
}

#[test]
fn a_report_may_name_the_id_that_the_server_gave_the_message() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let ses = "0107018f9a2b3c4d-1f2e3d4c-0000-4a5b-8c6d-7e8f9a0b1c2d-000000";
    smtp.fault_times(Step::Stored, Fault::Reply(&format!("250 Ok {ses}")), 1);
    let id = world.submit(profile, &to_both());
    world.send_all();
    let about = format!("<{ses}@eu-central-1.amazonses.com>");
    let job = reported(&world, &report(1, &about, "bob@example.org", "failed"));
    assert_eq!(job.report.unwrap().outbound.unwrap().message, id);
    assert_eq!(statuses(&world.message(profile, &id)), ["sent", "bounced"]);
}
