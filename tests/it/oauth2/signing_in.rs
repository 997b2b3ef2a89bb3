//! A person signs in, and from then on the mailbox is used with tokens.

use mailroom_core::health::State;
use mailroom_tests::openid::Mechanism;
use mailroom_tests::world::{World, mail};
use serde_json::{Value, json};

#[test]
fn mail_comes_in_and_goes_out_with_the_tokens_of_a_sign_in() {
    let world = World::for_browsers();
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        let profile = world.make(&world.token_settings(mechanism, &world.sign_in_client(), &json!({})));
        world.poll();
        let before = world.status(profile);
        assert_eq!(before.state, State::ReauthorizationRequired, "{before:?}");
        assert!(before.error.unwrap().message.contains("Nobody has signed in"));

        let page = world.sign_in(profile, world.login());
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("Signed in"), "{}", page.text);
        let shown = world.api().get(&format!("/profiles/{profile}")).expect(200).body;
        assert_eq!(
            (&shown["status"]["authorized"], &shown["status"]["state"]),
            (&json!(true), &json!("pending"))
        );

        world.deliver_to(mechanism, &mail("By token"));
        world.poll();
        assert_eq!(world.subjects(), ["By token"], "{:?} {}", world.status(profile), world.lambda().log());
        assert_eq!(world.status(profile).state, State::Ok);

        let id = world
            .submit(profile, &json!({"to": [{"address": world.login()}], "subject": "Out", "text": "."}));
        world.send_all();
        let sent = world.message(profile, &id);
        assert_eq!(sent["status"], "sent", "{sent}");
        let report =
            world.api().call("POST", &format!("/profiles/{profile}/test"), &[], None).expect(200).body;
        assert_eq!((&report["imap"]["ok"], &report["smtp"]["ok"]), (&json!(true), &json!(true)), "{report}");
        let _ = world.api().delete(&format!("/profiles/{profile}")).expect(204);
        let _: Value = report;
    }
}
