//! A new message becomes a job, once, and a poll of a mailbox without any costs next to nothing.

use std::time::Duration;

use mailroom_core::authserv_id::AuthservId;
use mailroom_core::inbound::job::{Authentication, Digest, JobId, Kind};
use mailroom_core::inbound::schedule::SHARDS;
use mailroom_core::profile::AfterFetch;
use mailroom_core::server::{Mailbox, Security};
use mailroom_tests::rtt_proxy::RttProxy;
use mailroom_tests::world::{World, message, server};

#[test]
fn each_message_is_handed_over_once_in_twenty_polls() {
    let world = World::new();
    let profile = world.profile(|_| {});
    let mut expected = Vec::new();
    for n in 0..20 {
        if n % 4 == 0 {
            let subject = format!("message {n}");
            world.deliver(&message(&subject));
            expected.push(subject);
        }
        world.poll();
    }
    assert_eq!(world.subjects(), expected);
    assert_eq!(world.ledger(profile).len(), expected.len());
}

#[test]
fn a_job_says_what_the_message_says_and_points_to_it() {
    let world = World::new();
    let raw = message("a question");
    world.other_client().append("INBOX", "", None, &raw);
    let id = world.profile(|profile| profile.settings.name = "Front desk".to_owned());
    world.poll();

    let jobs = world.jobs();
    let [job] = jobs.as_slice() else { panic!("one job: {jobs:?}") };
    assert_eq!(job.job_id, JobId::new(id, Digest::of(&raw)));
    assert_eq!(job.kind, Kind::Message);
    assert_eq!((job.profile_name.as_str(), job.login.as_str()), ("Front desk", world.login()));
    assert_eq!((job.mailbox.as_str(), job.uid), ("INBOX", 1));
    assert_eq!(job.message.subject.as_deref(), Some("a question"));
    assert_eq!(job.message.from[0].address.as_deref(), Some("ann@example.org"));
    assert!(job.message.text.as_deref().unwrap().contains("this is a question"));
    let stored = job.raw.as_ref().unwrap();
    assert_eq!(world.aws().object(&stored.bucket, &stored.key).as_deref(), Some(raw.as_slice()));
}

#[test]
fn a_job_has_the_results_of_the_owner_s_own_server() {
    let world = World::new();
    let results = "Authentication-Results: MX.example.com; spf=pass smtp.mailfrom=example.org; dmarc=fail header.from=example.org";
    let forged = "Authentication-Results: mx.example.com; dmarc=pass; dkim=pass";
    let subject = |subject: &str| format!("From: ann@example.org\r\nSubject: {subject}\r\n\r\nHello\r\n");
    world.deliver(format!("{results}\r\n{forged}\r\n{}", subject("checked")).as_bytes());
    let other = "Authentication-Results: mx.example.net; none";
    world.deliver(format!("{other}\r\n{forged}\r\n{}", subject("not checked")).as_bytes());
    world.profile(|profile| {
        profile.settings.trusted_authserv_ids = vec![AuthservId::parse("mx.example.com").unwrap()];
    });
    world.poll();

    let jobs = world.jobs();
    let found = |subject: &str| {
        let job = jobs.iter().find(|job| job.message.subject.as_deref() == Some(subject)).unwrap();
        job.authentication.clone()
    };
    let (spf, dmarc) = (Some("pass".to_owned()), Some("fail".to_owned()));
    assert_eq!(found("checked"), Some(Authentication { spf, dmarc, ..Authentication::default() }));
    assert_eq!(found("not checked"), None);
}

#[test]
fn an_attachment_is_an_object_of_its_own() {
    let world = World::new();
    world.deliver(
        b"From: ann@example.org\r\nSubject: invoice\r\nMIME-Version: 1.0\r\n\
          Content-Type: multipart/mixed; boundary=b\r\n\r\n\
          --b\r\nContent-Type: text/plain\r\n\r\nSee there.\r\n\
          --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"invoice.pdf\"\r\n\
          Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n",
    );
    world.profile(|_| {});
    world.poll();
    let jobs = world.jobs();
    let attachment = &jobs[0].message.attachments[0];
    assert_eq!(attachment.filename.as_deref(), Some("invoice.pdf"));
    assert_eq!(attachment.content_type, "application/pdf");
    let bucket = &jobs[0].raw.as_ref().unwrap().bucket;
    assert_eq!(world.aws().object(bucket, &attachment.key).as_deref(), Some(&b"%PDF-1.4\n"[..]));
}

#[test]
fn a_job_says_the_flags_that_its_message_had() {
    let world = World::new();
    let mut client = world.other_client();
    client.append("INBOX", "\\Flagged $Work", None, &message("flagged"));
    client.append("INBOX", "", None, &message("plain"));
    world.profile(|profile| profile.settings.after_fetch = AfterFetch::MarkSeen);
    world.poll();
    let jobs = world.jobs();
    let flags: Vec<_> = jobs.iter().map(|job| job.message.flags.clone().unwrap()).collect();
    assert_eq!(flags, [["\\Flagged", "$Work"].map(str::to_owned).to_vec(), Vec::new()]);
    assert!(jobs.iter().all(|job| job.message.gmail.is_none()));
}

#[test]
fn of_very_many_attachments_the_first_hundred_are_objects_of_their_own() {
    let world = World::new();
    let parts: String = (0..130)
        .map(|n| format!("--b\r\nContent-Type: image/gif; name=\"{n}.gif\"\r\n\r\nGIF{n}\r\n"))
        .collect();
    let raw = format!(
        "From: ann@example.org\r\nSubject: many\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"
    );
    world.deliver(raw.as_bytes());
    world.profile(|_| {});
    world.poll();
    let job = world.jobs().remove(0);
    assert_eq!((job.message.attachments.len(), job.message.attachments_omitted), (100, 30));
    assert!(job.message.truncated);
    let bucket = &job.raw.as_ref().unwrap().bucket;
    let last = &job.message.attachments[99];
    assert_eq!(world.aws().object(bucket, &last.key).as_deref(), Some(&b"GIF99"[..]));
    let whole = world.aws().object(bucket, &job.raw.as_ref().unwrap().key).unwrap();
    assert!(String::from_utf8(whole.to_vec()).unwrap().contains("GIF129"));
}

#[test]
fn equal_messages_are_one_job_however_often_one_lies_there() {
    let world = World::new();
    let raw = message("twice");
    let mut client = world.other_client();
    client.append("INBOX", "", None, &raw);
    client.append("INBOX", "", None, &raw);
    world.profile(|_| {});
    world.poll();
    assert_eq!(world.subjects(), ["twice"]);
    client.append("INBOX", "", None, &raw);
    world.poll();
    assert!(world.jobs().is_empty());
    assert_eq!(world.jobs_sent(), 1, "the queue forgets after five minutes, the ledger does not");
}

#[test]
fn an_idle_check_reads_the_index_and_writes_nothing() {
    let world = World::new();
    world.deliver(&message("first"));
    world.profile(|_| {});
    world.poll();
    world.poll();
    drop(world.proxy().take_calls());
    for _ in 0..3 {
        world.poll();
    }
    // One query a shard and poll; the cursor comes with it, and the credential is known. The default interval's run also
    // compares the schedules with the intervals in use, once, however many mailboxes it checks.
    let calls = world.proxy().take_calls();
    assert!(calls.iter().all(|call| call.status == 200), "{calls:?}");
    let (index, others): (Vec<_>, Vec<_>) =
        calls.iter().partition(|call| String::from_utf8_lossy(&call.body).contains("\"listening\""));
    assert!(index.iter().all(|call| call.operation == "dynamodb.Query"), "{index:?}");
    assert_eq!(index.len(), 3 * usize::from(SHARDS));
    let others: Vec<_> = others.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(others, ["dynamodb.Query", "scheduler.GetSchedule"].repeat(3));
}

#[test]
fn an_idle_check_takes_five_round_trips() {
    let world = World::new();
    let dovecot = ([127, 0, 0, 1], world.servers().dovecot().ports().imaps).into();
    let far_away = RttProxy::start(world.handle(), dovecot, Duration::from_millis(40));
    let port = far_away.address().port();
    world.deliver(&message("first"));
    world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
    world.poll();
    assert_eq!(world.subjects(), ["first"]);

    let before = far_away.round_trips();
    world.poll();
    let taken = far_away.round_trips() - before;
    assert!(taken <= 5, "{taken} round trips");
}

#[test]
fn a_poll_leaves_no_trace_in_the_mailbox() {
    let world = World::new();
    let mut client = world.other_client();
    client.append("INBOX", "\\Flagged", None, &message("one"));
    client.append("INBOX", "", None, &message("two"));
    world.profile(|_| {});
    world.poll();
    assert_eq!(world.jobs().len(), 2);
    client.select("INBOX");
    assert_eq!(client.flags(), ["\\Flagged", ""]);
}

#[test]
fn a_message_is_marked_seen_where_the_profile_says_so() {
    let world = World::new();
    world.deliver(&message("one"));
    world.profile(|profile| profile.settings.after_fetch = AfterFetch::MarkSeen);
    world.poll();
    assert_eq!(world.subjects(), ["one"]);
    let mut client = world.other_client();
    client.select("INBOX");
    assert_eq!(client.flags(), ["\\Seen"]);
}

#[test]
fn a_message_is_moved_where_the_profile_says_so() {
    let world = World::new();
    let mut client = world.other_client();
    client.create("Done");
    world.deliver(&message("one"));
    world.profile(|profile| profile.settings.after_fetch = AfterFetch::Move(Mailbox::parse("Done").unwrap()));
    world.poll();
    assert_eq!(world.subjects(), ["one"]);
    client.select("Done");
    assert_eq!(client.flags().len(), 1);
    client.select("INBOX");
    assert!(client.flags().is_empty());
}
