//! Servers that refuse, lie, flood or hang up: each audit of theirs is inconclusive, and the function survives.

use mailroom_core::server::Security;
use mailroom_tests::scripted_imap::{GREETING, Script, ScriptedImap, Step};
use mailroom_tests::world::{World, message, server};
use serde_json::Value;

/// What the function may hold whatever a server sends, in bytes: Lambda gives it 256 MB.
const MEMORY: u64 = 100 * 1024 * 1024;

/// Audits a profile at each of these servers with one function. Each holds two messages that no job is known of: were one of
/// them believed, it would not be inconclusive.
fn assert_inconclusive(world: &World, scripts: Vec<(&str, Script)>) {
    for (name, script) in scripts {
        let hostile = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
        let port = hostile.address().port();
        let id =
            world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
        let audited = world.audit(id);
        assert_eq!(audited["result"], "inconclusive", "{name}: {audited} {:?}", hostile.commands());
        let reason = audited["reason"].as_str().unwrap_or_else(|| panic!("{name}: {audited}"));
        assert!(reason.len() <= 500, "{name}: {reason}");
        assert!(!reason.contains("confidential"), "{name}: {reason}");
        let memory = world.audit_function().peak_memory();
        assert!(memory < MEMORY, "{name}: {} MiB", memory / 1024 / 1024);
    }
    let log = world.audit_function().log();
    assert!(!log.contains("confidential") && !log.contains("panicked"), "{log}");
}

fn script() -> Script {
    Script::with(&[&message("confidential"), &message("confidential too")])
}

fn say(text: &str) -> Vec<Step> {
    vec![Step::say(text)]
}

#[test]
fn refusals_and_hang_ups_are_inconclusive() {
    let world = World::new();
    let bye = || vec![Step::say("* BYE going down\r\n"), Step::Close];
    let no = || say("{tag} NO not now\r\n");
    assert_inconclusive(
        &world,
        vec![
            ("BYE at the greeting", script().on(GREETING, bye())),
            ("no greeting", script().on(GREETING, vec![Step::Close])),
            ("no login", script().on("AUTHENTICATE", no())),
            ("NO to EXAMINE", script().on("EXAMINE", no())),
            ("BYE at EXAMINE", script().on("EXAMINE", bye())),
            ("OK to EXAMINE without EXISTS", script().on("EXAMINE", say("{tag} OK done\r\n"))),
            ("end at EXAMINE", script().on("EXAMINE", vec![Step::Close])),
            ("NO to the list", script().on("FETCH", no())),
            ("BAD to the list", script().on("FETCH", say("{tag} BAD what\r\n"))),
            ("end in the list", script().on("FETCH", vec![Step::say("* 1 FETCH (UID 1 "), Step::Close])),
            ("OK to another command", script().on("FETCH", say("m99 OK done\r\n"))),
            ("a list without messages", script().on("FETCH", say("{tag} OK done\r\n"))),
            ("a list without UIDs", script().on("FETCH", say("* 1 FETCH (FLAGS ())\r\n{tag} OK done\r\n"))),
        ],
    );
}

#[test]
fn floods_and_forms_that_break_parsers_are_inconclusive() {
    let world = World::new();
    let deep = "(".repeat(100_000);
    let hidden = format!("* 1 FETCH (X ({{1000000}}\r\n) BODYSTRUCTURE {deep}\r\n{{tag}} OK done\r\n");
    let flood = |bytes: &[u8]| vec![Step::Flood(bytes.to_vec())];
    assert_inconclusive(
        &world,
        vec![
            ("an endless line", script().on("FETCH", flood(&[b'x'; 8192]))),
            ("endless responses", script().on("FETCH", flood(b"* 1 FETCH (FLAGS ())\r\n"))),
            ("an endless greeting", script().on(GREETING, flood(b"* OK "))),
            ("a huge literal", script().on("FETCH", say("* 1 FETCH (UID 1 BODY[] {530000000}\r\n"))),
            (
                "nesting",
                script().on("FETCH", say(&format!("* 1 FETCH (BODYSTRUCTURE {deep}\r\n{{tag}} OK done\r\n"))),
            ),
            ("nesting behind a false literal", script().on("FETCH", say(&hidden))),
            ("a code before UTF-8", script().on("EXAMINE", say("* OK [ALERT]\u{fc}\r\n{tag} OK done\r\n"))),
            ("no IMAP at all", script().on("FETCH", say("HTTP/1.1 400 confidential\r\n\r\n"))),
        ],
    );
}

#[test]
fn a_parser_that_panics_is_inconclusive() {
    let world = World::new();
    let item = "* 1 FETCH (UID 1 FLAGS () INTERNALDATE NIL RFC822.SIZE 3)\r\n{tag} OK done\r\n";
    let hostile =
        ScriptedImap::start(world.handle(), world.servers().certificates(), script().on("FETCH", say(item)));
    let port = hostile.address().port();
    let id = world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
    let audited: Value = world.audit(id);
    assert_eq!(audited["result"], "inconclusive", "{audited}");
}

#[test]
fn a_body_that_does_not_come_is_inconclusive_and_not_missing() {
    let world = World::new();
    // The list is as it should be: only the bytes of messages that no place is known of are withheld.
    let arrived = time::OffsetDateTime::now_utc().format(time::macros::format_description!(
        "[day]-[month repr:short]-[year] [hour]:[minute]:[second] +0000"
    ));
    let arrived = arrived.unwrap();
    let script = script().arrived(&arrived).on_some("UID FETCH", 2, usize::MAX, say("{tag} NO not now\r\n"));
    let withholding = ScriptedImap::start(world.handle(), world.servers().certificates(), script);
    let port = withholding.address().port();
    let id = world.profile(|profile| profile.settings.imap = Some(server("127.0.0.1", port, Security::Tls)));
    world.poll();
    assert_eq!(world.jobs().len(), 2, "{:?}", withholding.commands());
    for digest in world.ledger(id) {
        world.forget_in_ledger(id, &digest);
    }
    let audited = world.audit(id);
    assert_eq!((&audited["result"], &audited["missing"]), (&"inconclusive".into(), &0.into()), "{audited}");
}
