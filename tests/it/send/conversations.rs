//! What is answered, in and out, is one conversation: also where an answer names nothing but the message before it, or an
//! id that a server gave to ours.

use mailroom_core::inbound::job::FlowJob;
use mailroom_tests::smtp_server::{Fault, Options, Step};
use mailroom_tests::world::World;
use serde_json::json;

/// A message with this Message-ID, and no more fields of a thread than these.
fn letter(id: &str, fields: &str) -> Vec<u8> {
    format!(
        "From: Ann <ann@example.org>\r\nTo: support@example.com\r\nSubject: Printer\r\nMessage-ID: <{id}>\r\n\
         {fields}Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nThis is {id}.\r\n"
    )
    .into_bytes()
}

/// The conversation of the one message that a poll hands over.
#[track_caller]
fn polled(world: &World, raw: &[u8]) -> String {
    world.deliver(raw);
    world.poll();
    let jobs = world.jobs();
    let [job]: [FlowJob; 1] = jobs.try_into().unwrap();
    job.conversation_id.as_str().to_owned()
}

#[test]
fn an_answer_that_names_its_parent_alone_joins_the_conversation() {
    let world = World::new();
    world.profile(|_| {});
    let first = polled(&world, &letter("a1@example.org", ""));
    let to_first = "In-Reply-To: <a1@example.org>\r\nReferences: <a1@example.org>\r\n";
    assert_eq!(polled(&world, &letter("b1@partner.example.org", to_first)), first);
    let to_second = "In-Reply-To: <b1@partner.example.org>\r\nReferences: <b1@partner.example.org>\r\n";
    assert_eq!(polled(&world, &letter("c1@icloud.example", to_second)), first);
    assert_ne!(polled(&world, &letter("z1@example.org", "")), first);
    // On one page, too.
    let to_third = "In-Reply-To: <c1@icloud.example>\r\n";
    let to_fourth = "In-Reply-To: <d1@icloud.example>\r\n";
    let raws = [letter("d1@icloud.example", to_third), letter("e1@icloud.example", to_fourth)];
    world.deliver_all(raws.iter().map(Vec::as_slice));
    world.poll();
    let ids: Vec<_> = world.jobs().iter().map(|job| job.conversation_id.as_str().to_owned()).collect();
    assert_eq!(ids, [first.clone(), first]);
}

#[test]
fn an_answer_to_ours_joins_the_conversation_that_ours_answered() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let question = polled(&world, &letter("q1@example.org", ""));
    let answer = |subject: &str| {
        json!({
            "to": [{"address": "ann@example.org"}], "subject": subject, "text": "It is on its way.",
            "in_reply_to": "<q1@example.org>", "references": ["<q1@example.org>"],
        })
    };
    // To our own id.
    let id = world.submit(profile, &answer("Re: Printer"));
    world.send_all();
    let ours = world.message(profile, &id)["message_id"].as_str().unwrap().to_owned();
    let to_ours = format!("In-Reply-To: {ours}\r\nReferences: {ours}\r\n");
    assert_eq!(polled(&world, &letter("c1@icloud.example", &to_ours)), question);

    // To the id that Amazon SES puts in its place, without its domain in the reply.
    let ses = "0107018f9a2b3c4d-1f2e3d4c-0000-4a5b-8c6d-7e8f9a0b1c2d-000000";
    smtp.fault_times(Step::Stored, Fault::Reply(&format!("250 Ok {ses}")), 1);
    let id = world.submit(profile, &answer("Re: Printer, by SES"));
    world.send_all();
    let message = world.message(profile, &id);
    assert_eq!(
        (&message["status"], &message["smtp_reply"]),
        (&json!("sent"), &json!(format!("250 Ok {ses}")))
    );
    let to_ses = format!("<{ses}@eu-central-1.amazonses.com>");
    let to_ses = format!("In-Reply-To: {to_ses}\r\nReferences: {to_ses}\r\n");
    assert_eq!(polled(&world, &letter("c2@icloud.example", &to_ses)), question);

    // To the one of Outlook.com.
    let outlook = "<AM0PR01MB4711@AM0PR01MB4711.eurprd01.prod.exchangelabs.com>";
    let reply = format!("250 2.0.0 OK {outlook} [Hostname=AM0PR01MB4711.eurprd01.prod.exchangelabs.com]");
    smtp.fault_times(Step::Stored, Fault::Reply(&reply), 1);
    let id = world.submit(profile, &answer("Re: Printer, by Outlook"));
    world.send_all();
    assert_eq!(world.message(profile, &id)["smtp_reply"], reply);
    let to_outlook = format!("In-Reply-To: {outlook}\r\n");
    assert_eq!(polled(&world, &letter("c3@icloud.example", &to_outlook)), question);
}
