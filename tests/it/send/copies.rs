//! The sent mailbox: one copy of each message, and what it says about uncertain messages.

use mailroom_core::server::Security;
use mailroom_tests::python_parser::read;
use mailroom_tests::smtp_server::{Fault, Options, Step};
use mailroom_tests::world::{BATCH_LIMIT, World, server};
use serde_json::json;

use super::{finally, hello, status};

#[test]
fn a_copy_is_filed_as_read_and_only_where_it_is_wanted() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let mut ids = Vec::new();
    for wanted in ["auto", "always", "never"] {
        let mut message = hello();
        message["save_to_sent"] = json!(wanted);
        ids.push(world.submit(profile, &message));
    }
    world.send_all();
    let copies: Vec<_> = ids.iter().map(|id| world.message(profile, id)["sent_copy"].clone()).collect();
    assert_eq!(copies, ["filed", "filed", "skipped"]);
    let mut client = world.other_client();
    assert_eq!(client.all("Sent").len(), 2);
    assert_eq!(client.flags(), ["\\Seen", "\\Seen"]);
}

#[test]
fn a_profile_without_a_mailbox_sends_without_copies() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |profile| {
        profile.settings.listen = false;
        profile.settings.imap = None;
        profile.settings.flow_schema_id = None;
    });
    let id = world.submit(profile, &hello());
    world.send_all();
    let sent = world.message(profile, &id);
    assert_eq!((&sent["status"], &sent["sent_copy"]), (&json!("sent"), &json!("none")));
}

#[test]
fn an_unreachable_sent_mailbox_never_has_the_message_sent_again() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    // Nobody listens there.
    let profile =
        world.sender(&smtp, |profile| profile.settings.imap = Some(server("127.0.0.1", 9, Security::Tls)));
    let id = world.submit(profile, &hello());
    world.send_all();
    let sent = world.message(profile, &id);
    assert_eq!((&sent["status"], &sent["sent_copy"]), (&json!("sent"), &json!("pending")));
    assert_eq!(world.outcomes().len(), 1, "the outcome does not wait for the copy");
    for _ in 0..4 {
        world.hurry(profile, &id);
        world.send_all();
    }
    let sent = world.message(profile, &id);
    assert_eq!((&sent["status"], &sent["sent_copy"]), (&json!("sent"), &json!("failed")));
    assert_eq!((smtp.received().len(), world.outcomes().len()), (1, 0));
    // It is back: too late for this one, and the next has its copy.
    world
        .api()
        .patch(
            &format!("/profiles/{profile}"),
            &json!({
                "imap_port": world.servers().dovecot().ports().imaps, "auth": {"password": world.password()},
            }),
        )
        .expect(200);
    let next = world.submit(profile, &hello());
    world.send_all();
    assert_eq!(world.message(profile, &next)["sent_copy"], "filed");
}

#[test]
fn a_copy_that_is_there_is_not_filed_again() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    // The provider files its own, though nobody has told us.
    let message_id = world.message(profile, &id)["message_id"].as_str().unwrap().to_owned();
    world.other_client().append(
        "Sent",
        "",
        None,
        format!("Message-ID: {message_id}\r\nSubject: Hello\r\n\r\nx\r\n").as_bytes(),
    );
    world.send_all();
    assert_eq!(world.message(profile, &id)["sent_copy"], "skipped");
    assert_eq!(world.other_client().all("Sent").len(), 1);
}

#[test]
fn an_uncertain_message_is_resolved_by_its_copy() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault_times(Step::Stored, Fault::Drop, 1);
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    world.send_all();
    let doubt = world.message(profile, &id);
    assert_eq!(doubt["status"], "uncertain");
    assert!(doubt["error"]["message"].as_str().unwrap().contains("not sent again"), "{doubt}");
    assert_eq!(world.outcomes().len(), 0, "its outcome is not final");
    // Looked for, and not there yet.
    world.hurry(profile, &id);
    world.send_all();
    assert_eq!(status(&world, profile, &id), "uncertain");
    let raw = smtp.received().remove(0).content;
    assert_eq!(read(&raw)["message_id"], doubt["message_id"]);
    world.other_client().append("Sent", "", None, &raw);
    let last = finally(&world, profile, &id);
    assert_eq!((&last["status"], &last["error"]), (&json!("sent"), &json!(null)));
    assert_eq!((smtp.received().len(), world.other_client().all("Sent").len()), (1, 1));
    assert_eq!(world.outcomes()[0]["status"], "sent");
}

#[test]
fn a_message_that_stays_uncertain_is_published_so_and_never_sent_again() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    smtp.fault_times(Step::Dot, Fault::Reset, 1);
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    world.send_all();
    for _ in 0..6 {
        world.hurry(profile, &id);
        while world.send_batch(BATCH_LIMIT).is_some() {}
    }
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["status"], "uncertain");
    assert_eq!((smtp.received().len(), smtp.counts().mail_commands), (0, 1));
    assert!(world.other_client().all("Sent").is_empty(), "no copy of what may not have been sent");
}
