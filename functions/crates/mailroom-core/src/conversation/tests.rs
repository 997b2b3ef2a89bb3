use ulid::Ulid;

use super::*;
use crate::address::{EmailAddress, HeaderText};
use crate::inbound::job::OriginalMessage;
use crate::outbound::message::{LoopGuard, Origin, SaveToSent};

fn profile() -> ProfileId {
    ProfileId::new(Ulid::from(7))
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn content(id: &str, references: &[&str], in_reply_to: &[&str]) -> MessageContent {
    MessageContent {
        message_id: (!id.is_empty()).then(|| id.to_owned()),
        references: ids(references),
        in_reply_to: ids(in_reply_to),
        ..MessageContent::default()
    }
}

fn thread(id: &str, references: &[&str], in_reply_to: &[&str]) -> Thread {
    let digest = Digest::of(format!("{id}{references:?}{in_reply_to:?}").as_bytes());
    Thread::of(profile(), &content(id, references, in_reply_to), None, digest)
}

/// The conversation that a message's header names.
fn of_root(id: &str) -> ConversationId {
    ConversationId::of_root(profile(), id)
}

/// Each message is placed in its turn, as if it came alone.
fn place_all(threads: &[Thread], known: &mut KnownMessages) -> Vec<ConversationId> {
    threads
        .iter()
        .map(|thread| {
            place(std::slice::from_ref(thread), known);
            thread.conversation(known)
        })
        .collect()
}

#[test]
fn a_reply_that_names_its_parent_alone_joins_its_conversation() {
    let threads = [
        thread("a1", &[], &[]),
        thread("b1", &["a1"], &["a1"]),
        thread("c1", &["b1"], &["b1"]),
        thread("d1", &[], &["c1"]),
    ];
    let one = vec![of_root("a1"); 4];
    assert_eq!(place_all(&threads, &mut KnownMessages::new()), one);
    // On one page, none is noted before the others are read.
    let mut known = KnownMessages::new();
    assert_eq!(place(&threads, &mut known).len(), 4);
    let together: Vec<_> = threads.iter().map(|thread| thread.conversation(&known)).collect();
    assert_eq!(together, one);
}

#[test]
fn whole_references_name_the_same_conversation_as_ever() {
    let mut known = KnownMessages::new();
    // Known or not, in order or not, and with messages between that nobody here has seen.
    let threads = [
        thread("c1", &["a1", "b1"], &["b1"]),
        thread("a1", &[], &[]),
        thread("e1", &["a1", "b1", "c1", "d1"], &["d1"]),
        thread("b1", &["a1"], &["a1"]),
    ];
    assert_eq!(place_all(&threads, &mut known), vec![of_root("a1"); 4]);
    let alone = thread("z1", &["y1"], &["x1"]);
    assert_eq!(place_all(&[alone], &mut known), [of_root("y1")]);
}

#[test]
fn a_message_that_comes_again_stays_where_it_was() {
    let mut known = KnownMessages::new();
    let reply = thread("b1", &[], &["ours@ses"]);
    let [before] = place_all(std::slice::from_ref(&reply), &mut known).try_into().unwrap();
    // What it names becomes known in the meantime.
    known.insert(MessageKey::of("ours@ses"), KnownMessage { conversation: of_root("other"), outbound: None });
    assert!(place(std::slice::from_ref(&reply), &mut known).is_empty(), "noted once");
    assert_eq!(reply.conversation(&known), before);
    // One without an id is known by its bytes.
    let nameless = thread("", &[], &["unknown"]);
    let before = place_all(std::slice::from_ref(&nameless), &mut known);
    assert!(place(std::slice::from_ref(&nameless), &mut known).is_empty());
    assert_eq!(before, [of_root("unknown")]);
}

#[test]
fn a_report_is_part_of_the_conversation_of_what_it_is_about() {
    let original = OriginalMessage { message_id: Some("ours@example.org".to_owned()), ..Default::default() };
    let report = Report { original: Some(original), ..Report::default() };
    let report = Thread::of(profile(), &content("r1", &[], &[]), Some(&report), Digest::of(b"report"));
    assert_eq!(report.conversation(&KnownMessages::new()), of_root("r1"));
    let ours = OutboundId::parse("order-4711").unwrap();
    let known = KnownMessages::from([(
        MessageKey::of("ours@example.org"),
        KnownMessage { conversation: of_root("q1"), outbound: Some(ours.clone()) },
    )]);
    assert_eq!(report.conversation(&known), of_root("q1"));
    assert_eq!(report.reported_outbound(&known), Some(ours));
    // A reply to the same message is no report about it.
    assert_eq!(thread("x", &["ours@example.org"], &[]).reported_outbound(&known), None);
}

#[test]
fn a_message_that_goes_out_is_part_of_the_conversation_that_it_answers() {
    let message = |references: &[&str], in_reply_to: Option<&str>| Message {
        to: Vec::new(),
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: Vec::new(),
        from_name: None,
        subject: HeaderText::parse("x", 10).unwrap(),
        text: None,
        html: None,
        in_reply_to: in_reply_to.map(|id| MessageId::parse(id).unwrap()),
        references: references.iter().map(|id| MessageId::parse(id).unwrap()).collect(),
        attachments: Vec::new(),
        headers: Vec::new(),
        origin: Origin::Person,
        save_to_sent: SaveToSent::Auto,
        loop_guard: LoopGuard::On,
    };
    let from = EmailAddress::parse("support@example.org").unwrap();
    let id = MessageId::of(profile(), &OutboundId::parse("1").unwrap(), &from);
    let thread = |message: &Message| Thread::of_outbound(profile(), &id, message);
    let mut known = KnownMessages::new();
    assert_eq!(thread(&message(&[], None)).conversation(&known), of_root(id.as_str()));
    assert_eq!(thread(&message(&["a1", "b1"], Some("b1"))).conversation(&known), of_root("a1"));
    assert_eq!(thread(&message(&[], Some("b1"))).conversation(&known), of_root("b1"));
    known.insert(MessageKey::of("b1"), KnownMessage { conversation: of_root("a1"), outbound: None });
    assert_eq!(thread(&message(&[], Some("b1"))).conversation(&known), of_root("a1"));
}

#[test]
fn few_of_many_ids_are_looked_up() {
    let many: Vec<String> = (0..200).map(|n| format!("{n}@example.org")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let thread = thread("own", &many, &many);
    let keys: Vec<&str> = thread.keys().map(MessageKey::as_str).collect();
    assert_eq!(keys.len(), 1 + 1 + LATEST_REFERENCES + PARENTS - 1, "{keys:?}");
    assert_eq!(keys[..3], ["own", "0@example.org", "192@example.org"]);
    assert!(keys.contains(&"199@example.org"));
}

#[test]
fn servers_say_which_id_they_gave_a_message() {
    let ses = "0107018f9a2b3c4d-1f2e3d4c-0000-4a5b-8c6d-7e8f9a0b1c2d-000000";
    let key = Some(MessageKey::of(&format!("{ses}@eu-central-1.amazonses.com")));
    assert_eq!(MessageKey::reported(&format!("250 Ok {ses}")), key);
    assert_eq!(key, Some(MessageKey::of(&format!("{ses}@email.AmazonSES.com"))));
    assert_ne!(key, Some(MessageKey::of(&format!("{ses}@notamazonses.com"))));
    let outlook =
        "250 2.0.0 OK <AM0PR01MB1@AM0PR01MB1.eurprd01.prod.exchangelabs.com> [Hostname=AM0.example]";
    let key = MessageKey::of("AM0PR01MB1@AM0PR01MB1.eurprd01.prod.exchangelabs.com");
    assert_eq!(MessageKey::reported(outlook), Some(key));
    let key = MessageKey::of("202611.1@smtp-relay.mailin.fr");
    assert_eq!(MessageKey::reported("250 2.0.0 OK: queued as <202611.1@smtp-relay.mailin.fr>"), Some(key));
    for reply in [
        "250 2.0.0 Ok: queued as 4XYZ12",
        "250 2.0.0 OK  1678888888 ab12-20020a170906c1d400b008b17cc28d3dsi1 - gsmtp",
        "250 <>",
        "250 Ok <no-domain>",
        "250",
        "",
    ] {
        assert_eq!(MessageKey::reported(reply), None, "{reply}");
    }
}
