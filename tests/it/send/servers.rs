//! Real servers take our messages, and what they get is what was asked for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailroom_core::server::Security;
use mailroom_tests::imap::Imap;
use mailroom_tests::postfix::Postfix;
use mailroom_tests::python_parser::read;
use mailroom_tests::smtp_server::{Mechanism, Options, SmtpUtf8};
use mailroom_tests::world::{World, server};
use serde_json::{Value, json};

use super::hello;

#[test]
fn a_message_goes_out_and_is_told_and_filed() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &hello());
    let waiting = world.message(profile, &id);
    assert_eq!((&waiting["status"], &waiting["attempts"]), (&json!("queued"), &json!(0)));
    world.send_all();
    let received = smtp.received();
    assert_eq!(received.len(), 1, "{}", world.send_function().log());
    let to = ["ann@example.org".to_owned()];
    assert_eq!((received[0].from.as_str(), received[0].to.as_slice()), (world.login(), &to[..]));
    let sent = world.message(profile, &id);
    assert_eq!((&sent["status"], &sent["sent_copy"]), (&json!("sent"), &json!("filed")), "{sent}");
    assert!(sent["smtp_reply"].as_str().unwrap().starts_with("250"), "{sent}");
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!((&outcomes[0]["status"], &outcomes[0]["message_id"]), (&json!("sent"), &sent["message_id"]));
    assert_eq!(world.aws().depth(&world.stack().queues.send), 0);
    assert_eq!(smtp.counts().quits, 1);
}

#[test]
fn starttls_and_tls_and_each_login_with_a_password_are_taken() {
    let world = World::new();
    for mechanisms in [vec![Mechanism::Plain], vec![Mechanism::Login], Mechanism::ALL.to_vec()] {
        let smtp = world.smtp_server(&Options { mechanisms, ..Options::default() });
        for security in [Security::StartTls, Security::Tls] {
            let port = if security == Security::Tls { smtp.submissions() } else { smtp.submission() };
            let profile = world.sender(&smtp, |profile| {
                profile.settings.smtp = Some(server(&smtp.address().to_string(), port, security));
            });
            let id = world.submit(profile, &hello());
            world.send_all();
            assert_eq!(world.message(profile, &id)["status"], "sent", "{}", smtp.log());
        }
        assert_eq!(smtp.received().len(), 2);
        assert!(smtp.received().iter().all(|message| message.login == world.login()));
    }
}

/// All that a message can say, in scripts of all kinds.
fn everything(key: &str) -> Value {
    json!({
        "to": [{"name": "Jörg \"der\" Müller, Köln", "address": "joerg@müller.example"}, {"address": "ann@example.org"}],
        "cc": [{"name": "例え テスト", "address": "cc@例え.example"}],
        "bcc": [{"address": "boss@example.org"}],
        "reply_to": [{"name": "Tische & Co", "address": "desk+1@example.com"}],
        "from_name": "Kundendienst Größe — 支持",
        "subject": "Re: Übergröße 📦 — wo ist „mein“ Paket? And a subject that is long enough to be folded more than once",
        "text": "Grüße\r\n.\r\n..\r\nFrom here\r\nlast",
        "html": "<p>Grüße <img src=\"cid:logo@mailroom\"></p>",
        "in_reply_to": "<4711@example.org>", "references": ["<4709@example.org>", "<4710@example.org>"],
        "attachments": [
            {"filename": "Übersicht \"neu\" 例え.pdf", "content_type": "application/pdf", "content": STANDARD.encode(b"%PDF\r\n.\r\n\0\xff")},
            {"filename": "logo.png", "content_type": "image/png", "content": STANDARD.encode([0, 1, 2]), "content_id": "logo@mailroom"},
            {"filename": "order.csv", "content_type": "text/csv", "key": key},
        ],
        "auto_submitted": true,
    })
}

#[test]
fn what_arrives_is_what_was_asked_for() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    // An attachment that has come in goes out again by its key.
    world.deliver(
        b"From: ann@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/csv; name=order.csv\r\n\
          Content-Disposition: attachment; filename=order.csv\r\nMessage-ID: <4711@example.org>\r\n\r\nitem,count\r\nlamp,1\r\n",
    );
    world.poll();
    let job = world.jobs().remove(0);
    let key = job.message.attachments[0].key.clone();
    let csv = world.aws().object(&world.stack().bucket, &key).unwrap();

    let id = world.submit(profile, &everything(&key));
    world.send_all();
    let received = smtp.received();
    assert_eq!(received.len(), 1, "{}", world.message(profile, &id));
    assert_eq!(
        received[0].to,
        ["joerg@xn--mller-kva.example", "ann@example.org", "cc@xn--r8jz45g.example", "boss@example.org"]
    );
    let message = read(&received[0].content);
    assert_eq!(message["defects"], json!([]), "{message}");
    assert_eq!(message["from"], json!([["Kundendienst Größe — 支持", world.login()]]));
    assert_eq!(
        message["to"],
        json!([["Jörg \"der\" Müller, Köln", "joerg@xn--mller-kva.example"], ["", "ann@example.org"]])
    );
    assert_eq!(message["cc"], json!([["例え テスト", "cc@xn--r8jz45g.example"]]));
    assert_eq!(
        (&message["bcc"], &message["reply_to"]),
        (&json!([]), &json!([["Tische & Co", "desk+1@example.com"]]))
    );
    let asked = everything(&key);
    assert_eq!(message["subject"], asked["subject"]);
    assert_eq!(message["message_id"], world.message(profile, &id)["message_id"]);
    assert_eq!(message["in_reply_to"], "<4711@example.org>");
    assert_eq!(
        message["references"],
        json!(["<4709@example.org>", "<4710@example.org>", "<4711@example.org>"])
    );
    assert_eq!(message["auto_submitted"], "auto-replied");
    assert_eq!(
        message["shape"],
        json!([
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "image/png",
            "application/pdf",
            "text/csv"
        ])
    );
    let parts = message["parts"].as_array().unwrap();
    let content = |n: usize| STANDARD.decode(parts[n]["content"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(content(0)).unwrap(), asked["text"].as_str().unwrap());
    assert_eq!(String::from_utf8(content(1)).unwrap(), asked["html"].as_str().unwrap());
    assert_eq!((&parts[2]["id"], &parts[2]["disposition"]), (&json!("<logo@mailroom>"), &json!("inline")));
    assert_eq!(parts[3]["filename"], "Übersicht \"neu\" 例え.pdf");
    assert_eq!((content(2), content(3)), (vec![0, 1, 2], b"%PDF\r\n.\r\n\0\xff".to_vec()));
    assert_eq!((content(4), &parts[4]["filename"]), (csv.to_vec(), &json!("order.csv")));
    // The copy in the sent mailbox is the same to the byte.
    let mut client = world.other_client();
    assert_eq!(sent_messages(&mut client), [received[0].content.clone()]);
}

/// Every message of the sent mailbox.
fn sent_messages(client: &mut Imap) -> Vec<Vec<u8>> {
    client.all("Sent")
}

#[test]
fn addresses_in_other_scripts_go_where_they_are_taken_and_are_refused_where_not() {
    let world = World::new();
    let international = json!({
        "to": [{"address": "jörg@müller.example"}, {"address": "ann@example.org"}], "subject": "x", "text": "ü",
    });
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let id = world.submit(profile, &international);
    world.send_all();
    assert_eq!(world.message(profile, &id)["status"], "sent");
    let received = &smtp.received()[0];
    assert_eq!(received.to, ["jörg@müller.example", "ann@example.org"]);
    assert!(received.mail_options.contains(&"SMTPUTF8".to_owned()), "{:?}", received.mail_options);
    assert_eq!(read(&received.content)["to"][0][1], "jörg@müller.example");

    let plain = world.smtp_server(&Options { smtp_utf8: SmtpUtf8::Missing, ..Options::default() });
    let profile = world.sender(&plain, |_| {});
    let id = world.submit(profile, &international);
    world.send_all();
    let failed = world.message(profile, &id);
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"]["message"].as_str().unwrap().contains("SMTPUTF8"), "{failed}");
    assert_eq!((plain.received().len(), failed["rejected"].as_array().unwrap().len()), (0, 2));
}

#[test]
fn a_message_that_is_too_large_for_the_server_is_not_offered_to_it() {
    let world = World::new();
    let smtp = world.smtp_server(&Options { size: 10_000, ..Options::default() });
    let profile = world.sender(&smtp, |_| {});
    let mut large = hello();
    large["attachments"] = json!([{"filename": "a", "content": STANDARD.encode(vec![7; 20_000])}]);
    let id = world.submit(profile, &large);
    world.send_all();
    let failed = world.message(profile, &id);
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("smtp_rejected")));
    assert!(failed["error"]["message"].as_str().unwrap().contains("10000 bytes"), "{failed}");
    assert_eq!(smtp.counts().mail_commands, 0);
}

#[test]
fn another_real_server_takes_it_in_one_flight_and_delivers_it() {
    let world = World::new();
    let ports = world.servers().dovecot().ports();
    for (port, security) in [(ports.submission, Security::StartTls), (ports.submissions, Security::Tls)] {
        let profile =
            world.profile(|profile| profile.settings.smtp = Some(server("127.0.0.1", port, security)));
        // It comes back to the mailbox of the profile, which the guard has no objection to: it is no answer.
        let mut message = hello();
        message["to"] = json!([{"address": world.login()}]);
        message["subject"] = json!(format!("by {port}"));
        let id = world.submit(profile, &message);
        world.send_all();
        let sent = world.message(profile, &id);
        assert_eq!(sent["status"], "sent", "{sent}");
        world.poll();
        assert!(world.subjects().contains(&format!("by {port}")));
    }
}

#[test]
fn a_server_with_everything_gets_it_in_one_flight_and_in_utf8() {
    let world = World::new();
    let postfix = Postfix::start(world.servers().certificates());
    for (port, security) in
        [(postfix.submission(), Security::StartTls), (postfix.submissions(), Security::Tls)]
    {
        let profile =
            world.profile(|profile| profile.settings.smtp = Some(server("127.0.0.1", port, security)));
        let mut message = hello();
        message["to"] = json!([{"address": "jörg@müller.example"}, {"address": "ann@example.org"}]);
        let id = world.submit(profile, &message);
        world.send_all();
        assert_eq!(world.message(profile, &id)["status"], "sent", "{}", postfix.log());
    }
    let begun = std::time::Instant::now();
    while postfix.next().received().len() < 2 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{}", postfix.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for received in postfix.next().received() {
        // In the order that it likes.
        assert_eq!(received.to, ["ann@example.org", "jörg@müller.example"]);
        assert_eq!(read(&received.content)["subject"], "Hello");
    }
}

#[test]
fn a_batch_goes_over_one_session() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let ids: Vec<String> = (0..8).map(|_| world.submit(profile, &hello())).collect();
    world.send_all();
    assert!(ids.iter().all(|id| world.message(profile, id)["status"] == "sent"));
    let counts = smtp.counts();
    assert_eq!((counts.connections, counts.auths, counts.contents), (1, 1, 8));
}

#[test]
fn six_megabytes_go_through_the_api_and_twenty_by_their_key() {
    let world = World::new();
    let smtp = world.smtp_server(&Options { size: 100 << 20, ..Options::default() });
    let profile = world.sender(&smtp, |_| {});
    let bytes: Vec<u8> = (0..4_400_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let mut large = hello();
    large["attachments"] = json!([{"filename": "a.bin", "content": STANDARD.encode(&bytes)}]);
    let id = world.submit(profile, &large);
    let key = format!("mail/{profile}/0a/0");
    world.put_object(&key, vec![65; 20 << 20]);
    large["attachments"] = json!([{"filename": "b.bin", "key": key}]);
    let other = world.submit(profile, &large);
    world.send_all();
    for id in [id, other] {
        assert_eq!(world.message(profile, &id)["status"], "sent", "{}", world.message(profile, &id));
    }
    let received = smtp.received();
    let sizes: Vec<usize> = received
        .iter()
        .map(|message| {
            let parts = read(&message.content);
            STANDARD.decode(parts["parts"][1]["content"].as_str().unwrap()).unwrap().len()
        })
        .collect();
    let mut sorted = sizes;
    sorted.sort_unstable();
    assert_eq!(sorted, [bytes.len(), 20 << 20]);
    println!("peak memory of the send function: {} MiB", world.send_function().peak_memory() >> 20);
}
