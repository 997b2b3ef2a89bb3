//! What a person asks of messages that were accepted: which there are, to cancel one, to resend one.

use mailroom_tests::smtp_server::{Fault, Options, Step};
use mailroom_tests::world::World;
use serde_json::{Value, json};

use super::{finally, hello, status};

#[test]
fn messages_are_listed_cancelled_and_resent() {
    let world = World::new();
    let smtp = world.smtp_server(&Options::default());
    let profile = world.sender(&smtp, |_| {});
    let to_both = json!({
        "to": [{"address": "ann@example.org"}, {"address": "bob@example.org"}], "text": "Is it there?",
    });
    smtp.fault_times(Step::Rcpt, Fault::Reply("550 5.1.1 No such user"), 1);
    let refused = world.submit(profile, &to_both);
    world.send_all();
    let sent = world.message(profile, &refused);
    assert_eq!(
        sent["recipients"],
        json!([
            {"address": "ann@example.org", "status": "failed", "smtp_reply": "550 5.1.1 No such user", "bounce": null},
            {"address": "bob@example.org", "status": "sent", "smtp_reply": sent["smtp_reply"], "bounce": null},
        ])
    );
    assert_eq!(world.outcomes()[0]["recipients"], sent["recipients"]);

    let waiting = world.submit(profile, &hello());
    let path = |id: &str, what: &str| format!("/profiles/{profile}/messages/{id}/{what}");
    let post = |path: &str| world.api().call("POST", path, &[], None);
    let cancelled = post(&path(&waiting, "cancel")).expect(200).body;
    assert_eq!((&cancelled["status"], &cancelled["error"]), (&json!("cancelled"), &Value::Null));
    post(&path(&refused, "cancel")).expect(409);
    world.send_all();
    assert_eq!((status(&world, profile, &waiting).as_str(), smtp.received().len()), ("cancelled", 1));
    assert_eq!(world.outcomes()[0]["status"], "cancelled");

    // To Ann alone: Bob's server has taken it.
    let resent = post(&path(&refused, "resend")).expect(202).body;
    assert_eq!((&resent["status"], &resent["attempts"]), (&json!("queued"), &json!(0)));
    assert_eq!(finally(&world, profile, &refused)["status"], "sent");
    let received = smtp.received();
    assert_eq!((received.len(), received[1].to.as_slice()), (2, &["ann@example.org".to_owned()][..]));
    post(&path(&refused, "resend")).expect(409);

    let list = |query: &str| {
        let page = world.api().get(&format!("/profiles/{profile}/messages{query}")).expect(200).body;
        let ids = page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page["next"].clone())
    };
    assert_eq!(list(""), (vec![waiting.clone(), refused.clone()], Value::Null));
    assert_eq!(list("?status=cancelled"), (vec![waiting.clone()], Value::Null));
    assert_eq!(list("?status=queued"), (vec![], Value::Null));
    assert_eq!(list("?since=2999-01-01T00:00:00Z"), (vec![], Value::Null));
    let (first, next) = list("?limit=1");
    assert_eq!(first, [waiting]);
    assert_eq!(list(&format!("?limit=1&cursor={}", next.as_str().unwrap())).0, [refused]);
    let wrong = world.api().get(&format!("/profiles/{profile}/messages?status=lost&since=monday&cursor=x"));
    assert_eq!(wrong.expect(400).body["errors"].as_array().unwrap().len(), 3);
}
