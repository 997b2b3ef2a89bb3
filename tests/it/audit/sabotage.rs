//! Messages that are lost on purpose, in each way that a fault could lose them: none of it is fine.

use mailroom_core::server::{Mailbox, Security};
use mailroom_core::warning::{WarningCode, warnings};
use mailroom_tests::scripted_imap::{Script, ScriptedImap, Step};
use mailroom_tests::world::{World, message, server};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

#[track_caller]
fn assert_missing(audited: &Value, missing: u64) {
    assert_eq!((&audited["result"], &audited["missing"]), (&json!("missing"), &json!(missing)), "{audited}");
}

#[test]
fn a_message_that_the_cursor_has_passed_without_a_job_is_missing() {
    let world = World::new();
    let id = world.profile_with_a_lost_message();
    world.poll();
    assert_eq!(world.subjects(), ["first"]);

    assert_missing(&world.audit(id), 1);
    let log = world.audit_function().log();
    assert!(log.contains("messages have no job") && log.contains("[2]"), "{log}");
    let warnings = warnings(&world.stored(id), OffsetDateTime::now_utc());
    assert_eq!(warnings.iter().map(|one| one.code).collect::<Vec<_>>(), [WarningCode::MessagesMissing]);
    let shown = world.api().call("GET", &format!("/profiles/{id}"), &[], None).expect(200);
    assert_eq!(shown.body["status"]["audit"]["result"], "missing");
    // Nothing is repaired where the deployment does not want it.
    let _ = world.run_poll_queue(std::time::Duration::from_secs(20));
    assert!(world.jobs().is_empty());
}

/// What proves that a job was sent is the ledger: without its entry a message counts as missing, and a repair sends the same
/// job again.
#[test]
fn a_message_that_the_ledger_has_lost_is_missing() {
    let world = World::new();
    let id = world.profile(|_| {});
    world.deliver(&message("one"));
    world.deliver(&message("two"));
    world.poll();
    let ledger = world.ledger(id);
    world.forget_in_ledger(id, &ledger[0]);
    assert_missing(&world.audit(id), 1);
}

#[test]
fn a_message_that_is_lost_and_then_read_is_not_fine() {
    let world = World::new();
    let id = world.profile_with_a_lost_message();
    let mut client = world.other_client();
    client.select("INBOX");
    client.flag("2", "\\Seen");
    let audited = world.audit(id);
    assert_eq!(audited["result"], "inconclusive", "{audited}");
    assert!(audited["reason"].as_str().unwrap().contains("marked as read"), "{audited}");
}

#[test]
fn an_entry_that_names_another_message_is_not_fine() {
    let world = World::new();
    let other = World::new();
    let id = world.profile(|_| {});
    world.deliver(&message("first"));
    world.poll();
    let place = |size: usize| {
        let uid_validity = world.stored(id).cursor.unwrap().uid_validity.unwrap().get();
        json!({
            "uid": {"N": "2"}, "uid_validity": {"N": uid_validity.to_string()}, "rfc822_size": {"N": size.to_string()},
        })
    };
    // Another profile's message is noted in the place of one that is lost.
    let foreign = other.profile(|_| {});
    other.deliver(&message("foreign"));
    other.poll();
    let digest = other.ledger(foreign).remove(0);
    world.deliver(&message("lost"));
    world.push_cursor(id, 2);
    world.note_in_ledger(id, &digest, &place(1));
    let audited = world.audit(id);
    assert_eq!((&audited["result"], &audited["counts"]["changed"]), (&json!("inconclusive"), &json!(1)));

    // With the right size only its bytes tell: few messages lie there, so that all of them are sampled.
    let mut client = world.other_client();
    let size = client.all("INBOX")[1].len();
    world.note_in_ledger(id, &digest, &place(size));
    let audited = world.audit(id);
    assert_eq!((&audited["result"], &audited["counts"]["changed"]), (&json!("inconclusive"), &json!(1)));
}

#[test]
fn a_message_that_is_lost_before_its_mailbox_is_renumbered_is_still_missing() {
    let world = World::new();
    let mut client = world.other_client();
    client.create("Support");
    let id = world.profile(|profile| profile.settings.mailbox = Mailbox::parse("Support").unwrap());
    client.append("Support", "", None, &message("one"));
    world.poll();
    client.delete("Support");
    client.create("Support");
    client.append("Support", "", None, &message("one"));
    world.poll();
    client.append("Support", "", None, &message("lost"));
    world.push_cursor(id, 2);
    world.poll();
    assert_eq!(world.subjects(), ["one"]);
    assert_missing(&world.audit(id), 1);
}

/// A listing item as a server words it.
fn item(number: usize, uid: usize, raw: &[u8], arrived: &str) -> String {
    let size = raw.len();
    format!("* {number} FETCH (UID {uid} FLAGS () RFC822.SIZE {size} INTERNALDATE \"{arrived}\")\r\n")
}

#[test]
fn a_message_that_a_server_has_hidden_from_the_poll_is_missing() {
    let format = format_description!("[day]-[month repr:short]-[year] [hour]:[minute]:[second] +0000");
    let arrived = OffsetDateTime::now_utc().format(format).unwrap();
    let raw = ["one", "hidden", "three"].map(message);
    // At the poll there are two messages without a gap in their numbers.
    let examined =
        "* 2 EXISTS\r\n* OK [UIDVALIDITY 1700000000] valid\r\n* OK [UIDNEXT 4] next\r\n{tag} OK done\r\n";
    let listed = item(1, 1, &raw[0], &arrived) + &item(2, 3, &raw[2], &arrived) + "{tag} OK done\r\n";
    let script = Script::with(&raw.each_ref().map(Vec::as_slice))
        .arrived(&arrived)
        .on_some("EXAMINE", 0, 1, vec![Step::say(examined)])
        .on_some("UID FETCH", 0, 1, vec![Step::say(&listed)]);
    let world = World::new();
    let liar = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
    let port = liar.address().port();
    let id = world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
    world.poll();
    let mut subjects = world.subjects();
    subjects.sort();
    assert_eq!(subjects, ["one", "three"], "{:?}", liar.commands());
    assert_missing(&world.audit(id), 1);
}
