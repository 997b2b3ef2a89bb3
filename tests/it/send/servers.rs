//! Real servers take our mail, and what they get is what was asked for.

use mailroom_tests::smtp_server::Options;
use mailroom_tests::world::World;
use serde_json::json;

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
    assert_eq!(
        (received[0].from.as_str(), received[0].to.as_slice()),
        (world.login(), &["ann@example.org".to_owned()][..])
    );
    let sent = world.message(profile, &id);
    assert_eq!((&sent["status"], &sent["sent_copy"]), (&json!("sent"), &json!("filed")), "{sent}");
    let outcomes = world.outcomes();
    assert_eq!(outcomes.len(), 1);
    assert_eq!((&outcomes[0]["status"], &outcomes[0]["message_id"]), (&json!("sent"), &sent["message_id"]));
    assert_eq!(world.aws().depth(&world.stack().queues.send), 0);
}
